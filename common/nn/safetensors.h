/* safetensors - one weight file: its header, bounds-checked, and its mapped payload.
 *
 * Format: u64 header length, JSON header {name: {dtype, shape, data_offsets}}, payload. The header may end at any byte,
 * so a tensor's data need not be aligned: read it through dtype_to_f32 or memcpy. */
#ifndef SHOTLINE_NN_SAFETENSORS_H
#define SHOTLINE_NN_SAFETENSORS_H

#include "common/base/error.h"
#include "common/nn/tensor.h"

struct safetensors;

/* Maps PATH. Every tensor's offsets are checked against its shape and the file's size. NULL on failure. */
struct safetensors *safetensors_open(const char *path, struct error *err);
/* The same for a file that is in memory already (borrowed); `where` names it in messages. */
struct safetensors *safetensors_parse(const void *bytes, size_t size, const char *where, struct error *err);
void safetensors_close(struct safetensors **f);

size_t safetensors_count(const struct safetensors *f);
const struct weight *safetensors_at(const struct safetensors *f, size_t index);
const struct weight *safetensors_find(const struct safetensors *f, const char *name); /* NULL when absent */

/* Writes named arrays as one file (write-then-rename). */
bool safetensors_write(const char *path, const struct weight *tensors, size_t count, struct error *err);

#endif

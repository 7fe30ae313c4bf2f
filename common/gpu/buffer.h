/* buffer - device memory with a size, filled and read in bounded steps through a staging area where the host cannot see
 * it. */
#ifndef SHOTLINE_GPU_BUFFER_H
#define SHOTLINE_GPU_BUFFER_H

#include "common/gpu/device.h"

struct gpu_buffer;

/* A part of a buffer: what a kernel binds. */
struct gpu_range {
    struct gpu_buffer *buffer;
    int64_t offset, bytes;
};

/* Contents start undefined. NULL with ERROR_MEMORY when it would pass max_bytes or the device has no more. */
struct gpu_buffer *gpu_buffer_new(struct gpu *g, int64_t bytes, struct error *err);
void gpu_buffer_free(struct gpu_buffer **b);
int64_t gpu_buffer_bytes(const struct gpu_buffer *b);

bool gpu_buffer_write(struct gpu_buffer *b, int64_t offset, const void *data, int64_t bytes, struct error *err);
bool gpu_buffer_read(struct gpu_buffer *b, int64_t offset, void *data, int64_t bytes, struct error *err);
bool gpu_buffer_zero(struct gpu_buffer *b, struct error *err);

#endif

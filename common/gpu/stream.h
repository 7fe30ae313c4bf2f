/* stream - commands recorded once and run many times; barriers follow from what each dispatch reads and writes.
 *
 * A recorder keeps its first failure: dispatch after dispatch can be written without checks, gpu_stream_finish reports.
 */
#ifndef SHOTLINE_GPU_STREAM_H
#define SHOTLINE_GPU_STREAM_H

#include "common/gpu/buffer.h"
#include "common/gpu/kernel.h"

struct gpu_stream;

struct gpu_dispatch {
    enum kernel kernel;
    struct gpu_range
        bind[KERNEL_MAX_BINDINGS]; /* by binding number; a kernel's layout says which are read and written */
    const void *push;
    int push_bytes;
    uint32_t spec[KERNEL_MAX_SPECS]; /* specialisation constants by id */
    uint32_t groups[3];              /* 0 means 1 */
};

struct gpu_stream *gpu_stream_new(struct gpu *g, struct error *err);
void gpu_stream_free(struct gpu_stream **s);

void gpu_stream_dispatch(struct gpu_stream *s, const struct gpu_dispatch *d);
void gpu_stream_copy(struct gpu_stream *s, struct gpu_range from, struct gpu_range to); /* same bytes, no overlap */

/* Ends the recording. */
bool gpu_stream_finish(struct gpu_stream *s, struct error *err);

bool gpu_stream_submit(struct gpu_stream *s, struct error *err);
bool gpu_stream_wait(struct gpu_stream *s, int64_t timeout_ms, struct error *err); /* ERROR_DEVICE when time runs out */

#endif

/* device - one GPU, opened for compute: choice, limits, memory budget, faults.
 *
 * Not thread-safe: one opened device, one thread. Several may be open in one process. */
#ifndef SHOTLINE_GPU_DEVICE_H
#define SHOTLINE_GPU_DEVICE_H

#include "common/base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum gpu_kind { GPU_DISCRETE, GPU_INTEGRATED, GPU_VIRTUAL, GPU_OTHER, GPU_SOFTWARE }; /* best first */

struct gpu_info {
    int index; /* position in gpu_list, best device first: what --device N means */
    char name[256];
    char driver[256];
    enum gpu_kind kind;
    int64_t memory_bytes;         /* the largest device-local heap */
    int64_t max_range_bytes;      /* of one storage-buffer binding */
    int64_t max_texels;           /* of one texel-buffer binding */
    int64_t max_allocation_bytes; /* of one buffer */
    int alignment;                /* of a binding's offset, of either kind */
    int subgroup_size;
    bool subgroup_shuffle;
    bool int64; /* 64-bit integers in shaders */
    uint32_t max_groups[3];
    uint8_t uuid[32]; /* device and driver: what a pipeline cache is good for */
};

const char *gpu_kind_name(enum gpu_kind kind);

/* Fills at most `room` entries, best first, and returns how many devices there are; -1 on failure. No device at all is
 * 0, not a failure. */
int gpu_list(struct gpu_info *to, int room, struct error *err);

struct gpu_options {
    const char *device;    /* NULL: the best one; a number: by index; else part of a name, ignoring case */
    const char *cache_dir; /* pipelines are kept here between runs; NULL: nowhere */
    int64_t max_bytes;     /* device memory to use at most; 0: what the heap has */
    bool validate;         /* with the validation layer: each message is logged, and fails the next call */
    bool time_kernels;     /* measure every dispatch (gpu_times) */
};

struct gpu;
struct gpu *gpu_open(const struct gpu_options *o, struct error *err);
void gpu_close(struct gpu **g);

const struct gpu_info *gpu_about(const struct gpu *g);

int64_t gpu_bytes_used(const struct gpu *g);
int64_t gpu_bytes_peak(const struct gpu *g);

/* False, with the first message in *err, when the validation layer has complained since the last call. */
bool gpu_check(struct gpu *g, struct error *err);

/* Seconds and calls of one kernel so far; false past the last kernel or when nothing was timed. */
struct gpu_time {
    const char *kernel;
    double seconds;
    int64_t calls;
};
bool gpu_times(const struct gpu *g, int index, struct gpu_time *t);

#endif

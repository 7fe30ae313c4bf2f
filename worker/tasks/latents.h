/* latents - latent videos as blobs, and the ranges of a shot put together again. */
#ifndef SHOTLINE_WORKER_TASKS_LATENTS_H
#define SHOTLINE_WORKER_TASKS_LATENTS_H

#include "common/base/error.h"

#include <stddef.h>
#include <stdint.h>

/* The finished latents of one window of a shot. */
struct latent_range {
    int first, count;
    const float *data; /* [channels, count, height, width] */
};

/* Joins ranges, in order and overlapping or touching, into to[channels, frames, height, width]. In an overlap of v
 * latents the share of the later range is the smooth step 3 s^2 - 2 s^3 of s = (j + 1) / (v + 1), j = 0..v-1: where one
 * range has seen little of what lies beyond its end, the other one knows better, and none is trusted alone. Ranges that
 * leave a hole or do not reach both ends are ERROR_INPUT. */
bool latents_blend(const struct latent_range *ranges, size_t count, int channels, int height, int width, int frames,
                   float *to, struct error *err);

#endif

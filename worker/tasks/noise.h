/* noise - where denoising starts: a pure function of (seed, take, stream of the shot, absolute latent index, channel,
 * y, x).
 *
 * A value is rng_normal(seed, stream, index):
 *   stream = kind << 56 | take << 32 | shot     what is drawn, which try, which shot (or cast member: 0)
 *   index  = ((latent * channels + channel) * height + y) * width + x
 * so that a window of a shot has the noise of the shot, whoever makes it, and no two things share a number. Reference
 * slots count their own latents. */
#ifndef SHOTLINE_WORKER_TASKS_NOISE_H
#define SHOTLINE_WORKER_TASKS_NOISE_H

#include <stdint.h>

enum noise_kind { NOISE_SHOT = 1, NOISE_REFERENCE = 2, NOISE_CAST = 3 };
#define NOISE_MAX_TAKE 0xffffffu

struct noise {
    enum noise_kind kind;
    uint64_t seed;
    uint32_t take; /* at most NOISE_MAX_TAKE */
    uint32_t shot;
    int channels, height, width; /* of the latents */
};

/* Writes latents [first, first + count) of the stream into frames [at, at + count) of to[channels, frames, height,
 * width]. */
void noise_fill(const struct noise *n, int64_t first, int count, float *to, int frames, int at);

#endif

/* dit_tables - what the host prepares for the painter: positions, noise level, pictures cut into patches. Portable
 * functions only: the same bits everywhere. */
#ifndef SHOTLINE_WORKER_MODELS_DIT_TABLES_H
#define SHOTLINE_WORKER_MODELS_DIT_TABLES_H

#include <stdint.h>

/* Rotary tables of Wan for frames x height x width tokens: cos and sin, each [tokens, head_dim / 2]. The pairs of a
 * head are split into time | height | width; positions[frames] are the times, NULL: 0, 1, 2... */
void dit_rope_tables(int frames, int height, int width, int head_dim, const int32_t *positions, float *cos, float *sin);

/* [cos | sin] of timestep * 10000^(-i / (size / 2)): to[count, size]; size is even. */
void dit_timestep_sinusoid(const float *timesteps, int count, int size, float *to);

/* from[channels, frames, height, width] -> tokens[tokens, channels * patch volume]; a token's columns are (channel, t,
 * h, w), as the patch embedding's kernel. */
void dit_patchify(const float *from, int channels, int frames, int height, int width, const int patch[3],
                  float *tokens);

/* The painter's output: a token's columns are (t, h, w, channel). -> to[channels, frames, height, width] */
void dit_unpatchify(const float *tokens, int channels, int frames, int height, int width, const int patch[3],
                    float *to);

#endif

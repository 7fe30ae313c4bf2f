#include "worker/models/dit_tables.h"

#include "common/base/arena.h"
#include "common/base/rng.h"

#include <stdlib.h>

#define BASE 10000.0

/* cos and sin of position * BASE^(-2i / dim), i < dim / 2: [count, dim / 2] */
static void axis_table(const int32_t *positions, int count, int dim, float *cos, float *sin)
{
    for (int i = 0; i < dim / 2; i++) {
        double frequency = 1.0 / portable_pow(BASE, 2.0 * i / dim);
        for (int p = 0; p < count; p++) {
            double angle = (positions ? positions[p] : p) * frequency;
            cos[p * (dim / 2) + i] = (float)portable_cos(angle);
            sin[p * (dim / 2) + i] = (float)portable_sin(angle);
        }
    }
}

void dit_rope_tables(int frames, int height, int width, int head_dim, const int32_t *positions, float *cos, float *sin)
{
    int side = head_dim / 6, time = head_dim / 2 - 2 * side; /* pairs */
    int count[3] = { frames, height, width }, pairs[3] = { time, side, side };
    float *c[3], *s[3];

    for (int a = 0; a < 3; a++) {
        c[a] = xcalloc((size_t)(count[a] * pairs[a] + 1), sizeof(float));
        s[a] = xcalloc((size_t)(count[a] * pairs[a] + 1), sizeof(float));
        axis_table(a == 0 ? positions : NULL, count[a], 2 * pairs[a], c[a], s[a]);
    }
    for (int t = 0; t < frames; t++)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                const int at[3] = { t, y, x };
                for (int a = 0; a < 3; a++)
                    for (int i = 0; i < pairs[a]; i++) {
                        *cos++ = c[a][at[a] * pairs[a] + i];
                        *sin++ = s[a][at[a] * pairs[a] + i];
                    }
            }
    for (int a = 0; a < 3; a++) {
        free(c[a]);
        free(s[a]);
    }
}

void dit_timestep_sinusoid(const float *timesteps, int count, int size, float *to)
{
    int half = size / 2;
    for (int i = 0; i < half; i++) {
        double frequency = portable_exp(-portable_log(BASE) * i / half);
        for (int k = 0; k < count; k++) {
            double angle = (double)timesteps[k] * frequency;
            to[k * size + i] = (float)portable_cos(angle);
            to[k * size + half + i] = (float)portable_sin(angle);
        }
    }
}

/* The place in [channels, frames, height, width] of an element of token (t, y, x). */
struct patch_walk {
    int channels, frames, height, width;
    const int *patch;
};

static int64_t place(const struct patch_walk *w, int64_t token, int c, int pt, int ph, int pw)
{
    int64_t columns = w->width / w->patch[2], rows = w->height / w->patch[1];
    int64_t t = token / columns / rows * w->patch[0] + pt;
    int64_t y = token / columns % rows * w->patch[1] + ph;
    int64_t x = token % columns * w->patch[2] + pw;
    return ((c * w->frames + t) * w->height + y) * w->width + x;
}

static int64_t token_count(const struct patch_walk *w)
{
    return (int64_t)(w->frames / w->patch[0]) * (w->height / w->patch[1]) * (w->width / w->patch[2]);
}

void dit_patchify(const float *from, int channels, int frames, int height, int width, const int patch[3], float *tokens)
{
    const struct patch_walk w = { channels, frames, height, width, patch };
    int64_t count = token_count(&w);
    for (int64_t token = 0; token < count; token++)
        for (int c = 0; c < channels; c++)
            for (int t = 0; t < patch[0]; t++)
                for (int h = 0; h < patch[1]; h++)
                    for (int x = 0; x < patch[2]; x++)
                        *tokens++ = from[place(&w, token, c, t, h, x)];
}

void dit_unpatchify(const float *tokens, int channels, int frames, int height, int width, const int patch[3], float *to)
{
    const struct patch_walk w = { channels, frames, height, width, patch };
    int64_t count = token_count(&w);
    for (int64_t token = 0; token < count; token++)
        for (int t = 0; t < patch[0]; t++)
            for (int h = 0; h < patch[1]; h++)
                for (int x = 0; x < patch[2]; x++)
                    for (int c = 0; c < channels; c++)
                        to[place(&w, token, c, t, h, x)] = *tokens++;
}

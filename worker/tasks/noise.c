#include "worker/tasks/noise.h"

#include "common/base/rng.h"

void noise_fill(const struct noise *n, int64_t first, int count, float *to, int frames, int at)
{
    const uint64_t stream = (uint64_t)n->kind << 56 | (uint64_t)n->take << 32 | n->shot;
    const int64_t area = (int64_t)n->height * n->width;

    for (int c = 0; c < n->channels; c++) {
        for (int t = 0; t < count; t++) {
            const uint64_t index = (uint64_t)(((first + t) * n->channels + c) * area);
            float *frame = to + ((int64_t)c * frames + at + t) * area;
            for (int64_t i = 0; i < area; i++)
                frame[i] = rng_normal(n->seed, stream, index + (uint64_t)i);
        }
    }
}

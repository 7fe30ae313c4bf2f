#include "worker/tasks/latents.h"

#include <string.h>

static bool check(const struct latent_range *ranges, size_t count, int frames, struct error *err)
{
    int end = 0;
    for (size_t k = 0; k < count; k++) {
        const struct latent_range *r = &ranges[k];
        const bool follows = k == 0 ? r->first == 0 : r->first > ranges[k - 1].first && r->first <= end;
        if (!follows || r->count < 1 || r->count > frames - r->first || r->first + r->count <= end)
            return error_set(err, ERROR_INPUT,
                             "range %zu: %d latents from %d do not continue the %d before, of %d in all", k + 1,
                             r->count, r->first, end, frames);
        end = r->first + r->count;
    }
    return end == frames || error_set(err, ERROR_INPUT, "the ranges end at latent %d, expected %d", end, frames);
}

static float smooth_step(float s)
{
    return s * s * (3 - 2 * s);
}

bool latents_blend(const struct latent_range *ranges, size_t count, int channels, int height, int width, int frames,
                   float *to, struct error *err)
{
    const int64_t area = (int64_t)height * width;
    if (!check(ranges, count, frames, err))
        return false;
    int end = 0;
    for (size_t k = 0; k < count; k++) {
        const struct latent_range *r = &ranges[k];
        const int overlap = end - r->first;
        for (int c = 0; c < channels; c++) {
            for (int t = 0; t < r->count; t++) {
                const float *from = r->data + ((int64_t)c * r->count + t) * area;
                float *at = to + ((int64_t)c * frames + r->first + t) * area;
                if (t >= overlap) {
                    memcpy(at, from, (size_t)area * sizeof *at);
                    continue;
                }
                const float share = smooth_step((float)(t + 1) / (float)(overlap + 1));
                for (int64_t i = 0; i < area; i++)
                    at[i] = at[i] + (from[i] - at[i]) * share;
            }
        }
        end = r->first + r->count;
    }
    return true;
}

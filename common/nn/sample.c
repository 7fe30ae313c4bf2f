#include "common/nn/sample.h"

#include "common/base/arena.h"
#include "common/base/rng.h"

#include <stdlib.h>

/* Of the seed's streams the planner's own. */
#define SAMPLE_STREAM 0x706c616e6e657273u

int32_t sample_token(struct sampler *s, const float *logits, const int32_t *candidates, size_t count)
{
    size_t best = 0;

    for (size_t i = 1; i < count; i++)
        if (logits[candidates[i]] > logits[candidates[best]])
            best = i;
    if (s->temperature <= 0 || count == 1)
        return candidates[best];

    double top = logits[candidates[best]], total = 0;
    for (size_t i = 0; i < count; i++)
        total += portable_exp((logits[candidates[i]] - top) / s->temperature);
    double wanted = rng_uniform(s->seed, SAMPLE_STREAM, s->drawn++) * total, sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += portable_exp((logits[candidates[i]] - top) / s->temperature);
        if (sum > wanted)
            return candidates[i];
    }
    return candidates[best]; /* logits that are no numbers */
}

void sample_walk_open(struct sample_walk *w, const struct sample_option *options, size_t count)
{
    *w = (struct sample_walk){ .options = options, .count = count, .left = count, .fits = xmalloc(count ? count : 1) };
    for (size_t i = 0; i < count; i++)
        w->fits[i] = true;
}

void sample_walk_close(struct sample_walk *w)
{
    free(w->fits);
    *w = (struct sample_walk){ 0 };
}

size_t sample_walk_candidates(const struct sample_walk *w, int32_t *candidates)
{
    size_t count = 0;

    for (size_t i = 0; i < w->count; i++) {
        if (!w->fits[i] || w->options[i].count <= w->depth)
            continue;
        int32_t id = w->options[i].ids[w->depth];
        size_t at = 0;
        while (at < count && candidates[at] < id)
            at++;
        if (at < count && candidates[at] == id)
            continue;
        for (size_t k = count++; k > at; k--)
            candidates[k] = candidates[k - 1];
        candidates[at] = id;
    }
    return count;
}

void sample_walk_take(struct sample_walk *w, int32_t token)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->fits[i] && (w->options[i].count <= w->depth || w->options[i].ids[w->depth] != token)) {
            w->fits[i] = false;
            w->left--;
        }
    w->depth++;
}

size_t sample_walk_result(const struct sample_walk *w)
{
    size_t i = 0;

    if (w->left != 1)
        return SIZE_MAX;
    while (!w->fits[i])
        i++;
    return i;
}

/* sample - picks the next token among those that are allowed, and walks a set of texts token by token until one is
 * left.
 *
 * The pick is a pure function of logits, seed and how often was drawn before: with exact logits the same on every
 * machine. */
#ifndef SHOTLINE_NN_SAMPLE_H
#define SHOTLINE_NN_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sampler {
    uint64_t seed;
    double temperature; /* 0: always the best, the lowest id of equals */
    uint64_t drawn;
};

/* One of `candidates` (ids in ascending order, at least one): softmax over their logits alone. */
int32_t sample_token(struct sampler *s, const float *logits, const int32_t *candidates, size_t count);

struct sample_option {
    const int32_t *ids;
    size_t count;
};

/* The options that a walk can still end in. None begins another. */
struct sample_walk {
    const struct sample_option *options;
    size_t count;
    size_t depth; /* tokens taken */
    size_t left;  /* options that still fit */
    bool *fits;
};

void sample_walk_open(struct sample_walk *w, const struct sample_option *options, size_t count);
void sample_walk_close(struct sample_walk *w);

/* The different next tokens in ascending order; room for `left`. One token: nothing is to be decided yet. */
size_t sample_walk_candidates(const struct sample_walk *w, int32_t *candidates);
void sample_walk_take(struct sample_walk *w, int32_t token);
/* The option that is left, SIZE_MAX while there are several. */
size_t sample_walk_result(const struct sample_walk *w);

#endif

/* taps - inner values of a model that a diagnosis wants to see: golden-check compares them with the reference's own.
 *
 * A model opened with taps marks the values that it names as outputs of its programs; after a run they can be read by
 * those names. Without taps nothing is kept and the functions do nothing. */
#ifndef SHOTLINE_WORKER_MODELS_TAPS_H
#define SHOTLINE_WORKER_MODELS_TAPS_H

#include "common/nn/exec.h"

#define TAP_NAME_ROOM 64

struct tap {
    char name[TAP_NAME_ROOM]; /* the reference's own: "blocks.0.attn1_out" */
    value v;
    struct shape shape;
};

struct taps {
    bool wanted;
    struct tap *tap;
    size_t count, room;
};

/* Names `v`, when taps are wanted; returns v, so that model code can wrap a value. */
value taps_name(struct taps *t, struct graph *g, value v, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
const struct tap *taps_find(const struct taps *t, const char *name); /* NULL when there is none */
/* Reads a tap after a run of `p` into a new array (freed by the caller). NULL on failure or when there is no such tap.
 */
float *taps_read(const struct taps *t, struct program *p, const char *name, struct shape *shape, struct error *err);
void taps_free(struct taps *t);

#endif

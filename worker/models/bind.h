/* bind - finds a model's tensors by name and shape, and remembers the first that is missing or wrong. */
#ifndef SHOTLINE_WORKER_MODELS_BIND_H
#define SHOTLINE_WORKER_MODELS_BIND_H

#include "common/nn/weights.h"

struct binder {
    const struct weights *weights;
    struct error *err;
    bool failed;
};

/* NULL after a failure. */
const struct weight *bind(struct binder *b, struct shape expected, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A weight and its bias: NAME.weight of shape `expected` and NAME.bias [expected.dim[0]]. */
struct bound_layer {
    const struct weight *w, *b;
};
struct bound_layer bind_layer(struct binder *b, struct shape expected, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif

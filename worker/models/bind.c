#include "worker/models/bind.h"

#include <stdarg.h>
#include <stdio.h>

#define NAME_ROOM 256

static const struct weight *find(struct binder *b, const struct shape *expected, const char *name)
{
    if (b->failed)
        return NULL;
    const struct weight *w = weights_find(b->weights, name, expected, b->err);
    b->failed = !w;
    return w;
}

const struct weight *bind(struct binder *b, struct shape expected, const char *fmt, ...)
{
    char name[NAME_ROOM];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    return find(b, &expected, name);
}

struct bound_layer bind_layer(struct binder *b, struct shape expected, const char *fmt, ...)
{
    char prefix[NAME_ROOM - 8], name[NAME_ROOM];
    struct bound_layer l;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(prefix, sizeof prefix, fmt, ap);
    va_end(ap);
    snprintf(name, sizeof name, "%s.weight", prefix);
    l.w = find(b, &expected, name);
    snprintf(name, sizeof name, "%s.bias", prefix);
    l.b = find(b, &SHAPE(expected.dim[0]), name);
    return l;
}

#include "worker/models/taps.h"

#include "common/base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

value taps_name(struct taps *t, struct graph *g, value v, const char *fmt, ...)
{
    va_list ap;

    if (!t->wanted || v.index == 0)
        return v;
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 16;
        t->tap = xrealloc(t->tap, t->room * sizeof *t->tap);
    }
    struct tap *tap = &t->tap[t->count++];
    *tap = (struct tap){ .v = v, .shape = graph_shape(g, v) };
    va_start(ap, fmt);
    vsnprintf(tap->name, sizeof tap->name, fmt, ap);
    va_end(ap);
    graph_output(g, v);
    return v;
}

const struct tap *taps_find(const struct taps *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++)
        if (!strcmp(t->tap[i].name, name))
            return &t->tap[i];
    return NULL;
}

float *taps_read(const struct taps *t, struct program *p, const char *name, struct shape *shape, struct error *err)
{
    const struct tap *tap = taps_find(t, name);
    if (!tap) {
        error_set(err, ERROR_INPUT, "no inner value is named %s", name);
        return NULL;
    }
    int64_t count = shape_count(&tap->shape);
    float *data = xmalloc((size_t)count * sizeof *data);
    *shape = tap->shape;
    if (!program_read(p, tap->v, data, count, err)) {
        free(data);
        return NULL;
    }
    return data;
}

void taps_free(struct taps *t)
{
    free(t->tap);
    t->tap = NULL;
    t->count = t->room = 0;
}

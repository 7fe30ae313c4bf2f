#include "common/nn/graph_internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct graph *graph_new(void)
{
    struct graph *g = xcalloc(1, sizeof *g);
    g->value_room = g->node_room = 64;
    g->value = xcalloc((size_t)g->value_room, sizeof *g->value);
    g->node = xcalloc((size_t)g->node_room, sizeof *g->node);
    g->value_count = 1; /* VALUE_NONE */
    g->value[0].name = "";
    return g;
}

void graph_free(struct graph **g)
{
    if (!*g)
        return;
    arena_free(&(*g)->arena);
    free((*g)->value);
    free((*g)->node);
    free(*g);
    *g = NULL;
}

bool graph_ok(const struct graph *g, struct error *err)
{
    if (g->error.kind == ERROR_NONE)
        return true;
    if (err)
        *err = g->error;
    return false;
}

void graph_enter(struct graph *g, const char *fmt, ...)
{
    size_t at = strlen(g->scope);
    va_list ap;

    if (at && at + 3 < sizeof g->scope)
        at += (size_t)snprintf(g->scope + at, sizeof g->scope - at, " > ");
    va_start(ap, fmt);
    vsnprintf(g->scope + at, sizeof g->scope - at, fmt, ap);
    va_end(ap);
}

void graph_leave(struct graph *g)
{
    char *end = NULL;
    for (char *p = strstr(g->scope, " > "); p; p = strstr(p + 1, " > "))
        end = p;
    *(end ? end : g->scope) = '\0';
}

value graph_fail(struct graph *g, enum error_kind kind, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    if (g->error.kind != ERROR_NONE)
        return VALUE_NONE;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    error_set(&g->error, kind, "%s%s%s", g->scope, g->scope[0] ? ": " : "", text);
    return VALUE_NONE;
}

value graph_add_value(struct graph *g, const struct graph_value *v)
{
    if (g->value_count == g->value_room) {
        g->value_room *= 2;
        g->value = xrealloc(g->value, (size_t)g->value_room * sizeof *g->value);
    }
    struct graph_value *added = &g->value[g->value_count];
    *added = *v;
    added->name = arena_strdup(&g->arena, v->name ? v->name : g->scope);
    if (v->kind != VALUE_VIEW)
        added->base = g->value_count;
    return (value){ g->value_count++ };
}

struct graph_node *graph_add_node(struct graph *g, enum op_kind kind)
{
    if (g->node_count == g->node_room) {
        g->node_room *= 2;
        g->node = xrealloc(g->node, (size_t)g->node_room * sizeof *g->node);
    }
    struct graph_node *n = &g->node[g->node_count++];
    *n = (struct graph_node){ .kind = kind, .scope = arena_strdup(&g->arena, g->scope) };
    return n;
}

static bool shape_is_sane(const struct shape *s)
{
    int64_t count = 1;
    if (s->rank < 0 || s->rank > SHAPE_MAX_RANK)
        return false;
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] < 1 || __builtin_mul_overflow(count, s->dim[i], &count) || count > INT64_MAX / 8)
            return false;
    return true;
}

static value add_named(struct graph *g, enum value_kind kind, const char *name, const struct graph_value *v)
{
    char text[128];

    if (!shape_is_sane(&v->shape)) {
        shape_text(&v->shape, text, sizeof text);
        return graph_fail(g, ERROR_INPUT, "%s has the impossible shape %s", name, text);
    }
    struct graph_value added = *v;
    added.kind = kind;
    added.name = name;
    return graph_add_value(g, &added);
}

value graph_input(struct graph *g, const char *name, struct shape shape)
{
    return add_named(g, VALUE_INPUT, name, &(struct graph_value){ .shape = shape });
}

value graph_weight(struct graph *g, const struct weight *w)
{
    if (!w)
        return graph_fail(g, ERROR_INTERNAL, "a weight is missing");
    return add_named(g, VALUE_WEIGHT, w->name, &(struct graph_value){ .shape = w->shape, .weight = w });
}

value graph_state(struct graph *g, int slot, struct shape shape)
{
    char name[32], found[128], expected[128];

    for (int32_t i = 1; i < g->value_count; i++)
        if (g->value[i].kind == VALUE_STATE && g->value[i].slot == slot) {
            if (shape_equal(&g->value[i].shape, &shape))
                return (value){ i };
            shape_text(&shape, found, sizeof found);
            shape_text(&g->value[i].shape, expected, sizeof expected);
            return graph_fail(g, ERROR_INTERNAL, "state %d is %s, expected %s as before", slot, found, expected);
        }
    snprintf(name, sizeof name, "state %d", slot);
    return add_named(g, VALUE_STATE, name, &(struct graph_value){ .shape = shape, .slot = slot });
}

void graph_output(struct graph *g, value v)
{
    if (v.index == 0)
        graph_fail(g, ERROR_INTERNAL, "an output is missing");
    else
        g->value[v.index].output = true;
}

struct shape graph_shape(const struct graph *g, value v)
{
    assert(v.index >= 0 && v.index < g->value_count);
    return g->value[v.index].shape;
}

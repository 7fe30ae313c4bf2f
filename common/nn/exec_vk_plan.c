/* exec_vk_plan - which node of a graph runs when, and when each value lives: what lives at different times shares
 * memory.
 */
#include "common/nn/exec_vk_internal.h"

#include "common/base/arena.h"

#include <stdlib.h>

#define F32 ((int64_t)sizeof(float))

static bool reads_value(const struct graph *g, const struct graph_node *n, int32_t base)
{
    for (int i = n->kind == OP_STORE ? 1 : 0; i < NODE_MAX_INPUTS; i++)
        if (n->in[i] && vk_base_of(g, n->in[i]) == base)
            return true;
    return false;
}

/* Stores run as early as they may, so that what they store need not live to the end. */
static void order_nodes(struct vk_plan *p)
{
    const struct graph *g = p->g;
    int32_t *ready = xcalloc((size_t)g->node_count + 1, sizeof *ready); /* the node after which a store may run */
    for (int32_t i = 0; i < g->node_count; i++) {
        const struct graph_node *n = &g->node[i];
        if (n->kind != OP_STORE)
            continue;
        ready[i] = i;
        for (int32_t j = i + 1; j < g->node_count; j++)
            if (reads_value(g, &g->node[j], vk_base_of(g, n->in[0])))
                ready[i] = j;
    }
    int32_t count = 0;
    for (int32_t i = 0; i < g->node_count; i++) {
        if (g->node[i].kind != OP_STORE)
            p->order[count++] = i;
        for (int32_t j = 0; j <= i; j++)
            if (g->node[j].kind == OP_STORE && ready[j] == i)
                p->order[count++] = j;
    }
    free(ready);
}

static void touch(struct vk_plan *p, int32_t v, int32_t step)
{
    int32_t r = p->root[v];
    if (step < p->first[r])
        p->first[r] = step;
    if (step > p->last[r])
        p->last[r] = step;
}

/* Slices of rows are views when they start aligned. States are left out: a store may change them under the view. */
static bool slice_is_view(const struct vk_plan *p, const struct graph_node *n, int64_t *shift)
{
    const struct graph *g = p->g;
    if (n->kind != OP_SLICE_ROWS || g->value[vk_base_of(g, n->in[0])].kind == VALUE_STATE)
        return false;
    const struct shape *s = &g->value[n->in[0]].shape;
    *shift = p->shift[n->in[0]] + shape_count(s) / s->dim[0] * n->u.slice.first * F32;
    return *shift % p->x->alignment == 0;
}

static void find_roots(struct vk_plan *p)
{
    const struct graph *g = p->g;
    for (int32_t v = 1; v < g->value_count; v++) {
        int32_t base = vk_base_of(g, v);
        int64_t shift = 0;
        if (base != v) {
            p->root[v] = p->root[base];
            p->shift[v] = p->shift[base];
        } else if (g->value[v].kind == VALUE_MADE && slice_is_view(p, &g->node[g->value[v].node], &shift)) {
            p->root[v] = p->root[g->node[g->value[v].node].in[0]];
            p->shift[v] = shift;
        } else {
            p->root[v] = v;
        }
    }
}

static void find_lifetimes(struct vk_plan *p)
{
    const struct graph *g = p->g;
    for (int32_t v = 0; v < g->value_count; v++) {
        p->first[v] = INT32_MAX;
        p->last[v] = -1;
    }
    for (int32_t step = 0; step < g->node_count; step++) {
        const struct graph_node *n = &g->node[p->order[step]];
        for (int i = 0; i < NODE_MAX_INPUTS; i++)
            if (n->in[i])
                touch(p, n->in[i], step);
        if (n->out)
            touch(p, n->out, step);
    }
    for (int32_t v = 1; v < g->value_count; v++) {
        if (g->value[v].kind == VALUE_INPUT)
            touch(p, v, 0);
        if (g->value[v].kind == VALUE_INPUT || g->value[v].output)
            touch(p, v, g->node_count); /* inputs outlive the run, outputs are read after it */
    }
    for (int32_t v = 1; v < g->value_count; v++)
        if (p->root[v] == v && g->value[v].kind == VALUE_INPUT)
            p->first[v] = 0;
}

static bool works_in_place(enum op_kind k)
{
    switch (k) {
    case OP_ADD:
    case OP_MUL:
    case OP_SCALE:
    case OP_ACT:
    case OP_CLAMP:
    case OP_MODULATE:
    case OP_GATE_ADD:
    case OP_RMS_NORM:
    case OP_LAYER_NORM:
    case OP_CHANNEL_NORM:
    case OP_ROPE:
        return true;
    default:
        return false;
    }
}

/* A result takes over the memory of its first input when nobody else reads that. */
static void share_places(struct vk_plan *p)
{
    const struct graph *g = p->g;
    for (int32_t step = 0; step < g->node_count; step++) {
        const struct graph_node *n = &g->node[p->order[step]];
        if (!works_in_place(n->kind))
            continue;
        int32_t from = p->root[n->in[0]], out = n->out;
        bool ok = g->value[from].kind == VALUE_MADE && p->last[from] == step && p->shift[n->in[0]] == 0 &&
                  p->root[out] == out && shape_count(&g->value[from].shape) == shape_count(&g->value[out].shape);
        for (int i = 1; i < NODE_MAX_INPUTS && ok; i++)
            ok = !n->in[i] || p->root[n->in[i]] != from;
        if (!ok)
            continue;
        p->last[from] = p->last[out];
        for (int32_t v = 1; v < g->value_count; v++)
            if (p->root[v] == out)
                p->root[v] = from;
    }
}

int32_t vk_plan_scratch(const struct vk_plan *p, int32_t step, int i)
{
    return p->g->value_count + step * NODE_MAX_SCRATCH + i;
}

int32_t vk_plan_items(const struct vk_plan *p)
{
    return p->g->value_count + p->g->node_count * NODE_MAX_SCRATCH;
}

static void fill_items(struct vk_plan *p)
{
    const struct graph *g = p->g;
    for (int32_t v = 1; v < g->value_count; v++) {
        enum value_kind k = g->value[v].kind;
        if (p->root[v] != v || (k != VALUE_INPUT && k != VALUE_MADE) || p->last[v] < 0)
            continue;
        p->items[v] = (struct place_item){ .bytes = vk_padded(p->x, shape_count(&g->value[v].shape) * F32),
                                           .first = p->first[v],
                                           .last = p->last[v] };
    }
    for (int32_t step = 0; step < g->node_count; step++) {
        const struct graph_node *n = &g->node[p->order[step]];
        int64_t bytes[NODE_MAX_SCRATCH];
        vk_node_scratch(p->x, g, n, bytes);
        for (int i = 0; i < NODE_MAX_SCRATCH; i++)
            p->items[vk_plan_scratch(p, step, i)] =
                (struct place_item){ .bytes = vk_padded(p->x, bytes[i]), .first = step, .last = step };
    }
}

void vk_plan_free(struct vk_plan *p)
{
    free(p->order);
    free(p->root);
    free(p->shift);
    free(p->first);
    free(p->last);
    free(p->items);
}

void vk_plan_open(struct vk_plan *p, struct vk_exec *x, const struct graph *g)
{
    size_t values = (size_t)g->value_count + 1;
    *p = (struct vk_plan){ .x = x, .g = g };
    p->order = xcalloc((size_t)g->node_count + 1, sizeof *p->order);
    p->root = xcalloc(values, sizeof *p->root);
    p->shift = xcalloc(values, sizeof *p->shift);
    p->first = xcalloc(values, sizeof *p->first);
    p->last = xcalloc(values, sizeof *p->last);
    p->items = xcalloc((size_t)vk_plan_items(p) + 1, sizeof *p->items);
    order_nodes(p);
    find_roots(p);
    find_lifetimes(p);
    share_places(p);
    fill_items(p);
}

/* exec_ref - runs a graph with the plain loops of ref_ops: the oracle that the shaders are compared with, and a way to
 * run without any device. */
#include "common/base/clock.h"
#include "common/nn/exec_internal.h"
#include "common/nn/ref_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A weight as the loops want it, shared by all programs. */
struct ref_weight {
    const void *key;  /* the mapped bytes */
    enum op_kind use; /* OP_LINEAR or OP_CONV: in panels; else as it is */
    float *data;
    int64_t bytes;
    int users; /* living programs */
    struct ref_weight *next;
};

struct ref_exec {
    struct exec base;
    struct ref_weight *weights;
    int64_t bytes_used, bytes_peak;
    double seconds[OP_COUNT];
};

struct ref_slot {
    struct shape shape; /* rank -1: not in use yet */
    float *data;
};

struct ref_states {
    struct states base;
    struct ref_exec *x;
    struct ref_slot *slot;
    int count;
};

struct ref_program {
    struct program base;
    struct ref_exec *x;
    struct ref_states *states;
    struct graph_node *node; /* copies: the graph may be gone */
    struct graph_value *value;
    int32_t node_count, value_count;
    float **data;               /* by base value; NULL while a made value is not alive */
    int32_t *last_use;          /* by base value: the node after which it can go; node_count: it stays */
    struct ref_weight **weight; /* by node: what its in[1] is in panels, or NULL */
    struct ref_weight **plain;  /* by value: a weight as it is, or NULL */
};

static float *take(struct ref_exec *x, int64_t count)
{
    x->bytes_used += count * (int64_t)sizeof(float);
    if (x->bytes_used > x->bytes_peak)
        x->bytes_peak = x->bytes_used;
    return xcalloc((size_t)count, sizeof(float));
}

static void give(struct ref_exec *x, float *data, int64_t count)
{
    if (data)
        x->bytes_used -= count * (int64_t)sizeof(float);
    free(data);
}

/* ---- weights ---- */

static struct ref_weight *weight_use(struct ref_exec *x, const struct weight *w, enum op_kind use)
{
    struct ref_weight *r = x->weights;
    while (r && (r->key != w->data || r->use != use))
        r = r->next;
    if (!r) {
        int64_t count = shape_count(&w->shape), outputs = w->shape.rank ? w->shape.dim[0] : 1;
        int64_t packed = use == OP_COUNT ? count : ref_panels_count(outputs, count / outputs);
        r = xcalloc(1, sizeof *r);
        *r = (struct ref_weight){ .key = w->data, .use = use, .next = x->weights };
        r->bytes = packed * (int64_t)sizeof(float);
        r->data = take(x, packed);
        x->weights = r;
        if (use == OP_COUNT) {
            dtype_to_f32(r->data, w->data, w->type, (size_t)count);
        } else {
            float *flat = xmalloc((size_t)count * sizeof *flat);
            dtype_to_f32(flat, w->data, w->type, (size_t)count);
            if (use == OP_CONV)
                ref_pack_conv(r->data, flat, outputs, w->shape.dim[1], count / outputs / w->shape.dim[1]);
            else
                ref_pack_linear(r->data, flat, outputs, count / outputs);
            free(flat);
        }
    }
    r->users++;
    return r;
}

static void ref_drop_weights(struct exec *base)
{
    struct ref_exec *x = (struct ref_exec *)base;
    for (struct ref_weight **at = &x->weights; *at;) {
        struct ref_weight *r = *at;
        if (r->users) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        give(x, r->data, r->bytes / (int64_t)sizeof(float));
        free(r);
    }
}

/* ---- states ---- */

static struct states *ref_states_open(struct exec *base)
{
    struct ref_states *s = xcalloc(1, sizeof *s);
    s->x = (struct ref_exec *)base;
    return &s->base;
}

static void ref_states_close(struct states *base)
{
    struct ref_states *s = (struct ref_states *)base;
    for (int i = 0; i < s->count; i++)
        if (s->slot[i].data)
            give(s->x, s->slot[i].data, shape_count(&s->slot[i].shape));
    free(s->slot);
    free(s);
}

static bool states_slot(struct ref_states *s, const struct graph_value *v, struct error *err)
{
    if (v->slot < 0)
        return error_set(err, ERROR_INTERNAL, "state slot %d is negative", v->slot);
    if (v->slot >= s->count) {
        s->slot = xrealloc(s->slot, ((size_t)v->slot + 1) * sizeof *s->slot);
        memset(s->slot + s->count, 0, ((size_t)v->slot + 1 - (size_t)s->count) * sizeof *s->slot);
        s->count = v->slot + 1;
    }
    struct ref_slot *slot = &s->slot[v->slot];
    if (slot->data && !shape_equal(&slot->shape, &v->shape)) {
        char found[96], expected[96];
        shape_text(&v->shape, found, sizeof found);
        shape_text(&slot->shape, expected, sizeof expected);
        return error_set(err, ERROR_INTERNAL, "state slot %d is %s, expected %s as in another program", v->slot, found,
                         expected);
    }
    if (!slot->data) {
        slot->shape = v->shape;
        slot->data = take(s->x, shape_count(&v->shape));
    }
    return true;
}

/* ---- programs ---- */

static bool reads_panels(const struct graph_node *n, int i)
{
    return (n->kind == OP_LINEAR || n->kind == OP_CONV) && i == 1;
}

/* Finds the weights of each node, in the form that it wants. */
static void bind_weights(struct ref_program *p)
{
    for (int32_t i = 0; i < p->node_count; i++)
        for (int k = 0; k < NODE_MAX_INPUTS; k++) {
            const struct graph_node *n = &p->node[i];
            int32_t base = p->value[n->in[k]].base;
            const struct graph_value *v = &p->value[base];
            if (n->in[k] == 0 || v->kind != VALUE_WEIGHT)
                continue;
            if (reads_panels(n, k))
                p->weight[i] = weight_use(p->x, v->weight, n->kind);
            else if (!p->plain[base])
                p->plain[base] = weight_use(p->x, v->weight, OP_COUNT);
        }
}

static void find_lifetimes(struct ref_program *p)
{
    for (int32_t i = 0; i < p->node_count; i++)
        for (int k = 0; k < NODE_MAX_INPUTS; k++)
            if (p->node[i].in[k])
                p->last_use[p->value[p->node[i].in[k]].base] = p->node[i].kind == OP_STORE ? p->node_count : i;
    for (int32_t i = 0; i < p->node_count; i++) /* what is stored is copied at the end */
        if (p->node[i].kind == OP_STORE)
            p->last_use[p->value[p->node[i].in[1]].base] = p->node_count;
    for (int32_t i = 1; i < p->value_count; i++)
        if (p->value[i].output)
            p->last_use[p->value[i].base] = p->node_count;
}

static void ref_program_free(struct program *base)
{
    struct ref_program *p = (struct ref_program *)base;
    for (int32_t i = 1; i < p->value_count; i++) {
        if (p->value[i].kind == VALUE_INPUT || p->value[i].kind == VALUE_MADE)
            give(p->x, p->data[i], shape_count(&p->value[i].shape));
        if (p->plain[i])
            p->plain[i]->users--;
    }
    for (int32_t i = 0; i < p->node_count; i++)
        if (p->weight[i])
            p->weight[i]->users--;
    free(p->node);
    free(p->value);
    free(p->data);
    free(p->last_use);
    free(p->weight);
    free(p->plain);
    free(p);
}

static struct program *ref_program_new(struct exec *base, const struct graph *g, struct states *s, struct error *err)
{
    struct ref_program *p = xcalloc(1, sizeof *p);
    size_t nodes = (size_t)g->node_count + 1, values = (size_t)g->value_count;

    p->x = (struct ref_exec *)base;
    p->states = (struct ref_states *)s;
    p->node_count = g->node_count;
    p->value_count = g->value_count;
    p->node = xcalloc(nodes, sizeof *p->node);
    p->value = xcalloc(values, sizeof *p->value);
    p->data = xcalloc(values, sizeof *p->data);
    p->last_use = xcalloc(values, sizeof *p->last_use);
    p->weight = xcalloc(nodes, sizeof *p->weight);
    p->plain = xcalloc(values, sizeof *p->plain);
    memcpy(p->node, g->node, (size_t)g->node_count * sizeof *p->node);
    memcpy(p->value, g->value, values * sizeof *p->value);

    for (int32_t i = 1; i < p->value_count; i++) {
        if (p->value[i].kind == VALUE_INPUT)
            p->data[i] = take(p->x, shape_count(&p->value[i].shape));
        if (p->value[i].kind == VALUE_STATE && !states_slot(p->states, &p->value[i], err)) {
            ref_program_free(&p->base);
            return NULL;
        }
    }
    bind_weights(p);
    find_lifetimes(p);
    return &p->base;
}

static const float *data_of(const struct ref_program *p, int32_t index)
{
    int32_t base = p->value[index].base;
    switch (p->value[base].kind) {
    case VALUE_WEIGHT:
        return p->plain[base] ? p->plain[base]->data : NULL;
    case VALUE_STATE:
        return p->states->slot[p->value[base].slot].data;
    default:
        return p->data[base];
    }
}

/* A matrix that is no weight is packed for this one run. */
static float *pack_made(const struct graph_node *n, const float *w, const struct shape *s)
{
    int64_t count = shape_count(s), k = count / s->dim[0];
    float *panels = xmalloc((size_t)ref_panels_count(s->dim[0], k) * sizeof *panels);
    if (n->kind == OP_CONV)
        ref_pack_conv(panels, w, s->dim[0], s->dim[1], k / s->dim[1]);
    else
        ref_pack_linear(panels, w, s->dim[0], k);
    return panels;
}

static void run_node(struct ref_program *p, int32_t index)
{
    const struct graph_node *n = &p->node[index];
    const float *in[NODE_MAX_INPUTS] = { NULL };
    const struct shape *shape[NODE_MAX_INPUTS];
    float *packed = NULL;

    for (int k = 0; k < NODE_MAX_INPUTS; k++) {
        shape[k] = &p->value[n->in[k]].shape;
        if (!n->in[k])
            continue;
        in[k] = data_of(p, n->in[k]);
        if (reads_panels(n, k))
            in[k] = p->weight[index] ? p->weight[index]->data : (packed = pack_made(n, in[k], shape[k]));
    }
    const struct shape *out = &p->value[n->out].shape;
    if (!p->data[n->out])
        p->data[n->out] = take(p->x, shape_count(out));
    ref_run_node(n, in, shape, p->data[n->out], out);
    free(packed);
}

static void free_after(struct ref_program *p, int32_t index)
{
    const struct graph_node *n = &p->node[index];
    for (int k = 0; k <= NODE_MAX_INPUTS; k++) {
        int32_t base = p->value[k < NODE_MAX_INPUTS ? n->in[k] : n->out].base;
        if (base && p->value[base].kind == VALUE_MADE && p->last_use[base] <= index && p->data[base]) {
            give(p->x, p->data[base], shape_count(&p->value[base].shape));
            p->data[base] = NULL;
        }
    }
}

static bool run_store(struct ref_program *p, const struct graph_node *n, struct error *err)
{
    const struct graph_value *state = &p->value[n->in[0]];
    const struct shape *rows = &p->value[n->in[1]].shape;
    int64_t at = n->in[2] ? (int64_t)data_of(p, n->in[2])[0] : 0;
    int64_t row = shape_count(&state->shape) / state->shape.dim[0];

    if (at < 0 || at + rows->dim[0] > state->shape.dim[0])
        return error_set(err, ERROR_INTERNAL, "rows [%lld, %lld) do not fit state %d, which has %lld", (long long)at,
                         (long long)(at + rows->dim[0]), state->slot, (long long)state->shape.dim[0]);
    memcpy(p->states->slot[state->slot].data + at * row, data_of(p, n->in[1]),
           (size_t)(rows->dim[0] * row) * sizeof(float));
    return true;
}

static bool ref_program_run(struct program *base, struct error *err)
{
    struct ref_program *p = (struct ref_program *)base;
    for (int32_t i = 0; i < p->node_count; i++) {
        int64_t began_us = clock_now_us();
        if (p->node[i].kind == OP_STORE)
            continue;
        run_node(p, i);
        free_after(p, i);
        p->x->seconds[p->node[i].kind] += (double)(clock_now_us() - began_us) * 1e-6;
    }
    bool ok = true;
    for (int32_t i = 0; i < p->node_count && ok; i++)
        if (p->node[i].kind == OP_STORE)
            ok = run_store(p, &p->node[i], err);
    return ok;
}

static bool ref_program_write(struct program *base, int32_t index, const float *data, struct error *err)
{
    struct ref_program *p = (struct ref_program *)base;
    (void)err;
    memcpy(p->data[index], data, (size_t)shape_count(&p->value[index].shape) * sizeof *data);
    return true;
}

static bool ref_program_read(struct program *base, int32_t index, float *data, struct error *err)
{
    struct ref_program *p = (struct ref_program *)base;
    const float *from = data_of(p, index);
    if (!from)
        return error_set(err, ERROR_INTERNAL, "output %d is read before the first run", index);
    memcpy(data, from, (size_t)shape_count(&p->value[index].shape) * sizeof *data);
    return true;
}

/* ---- the executor ---- */

static void ref_close(struct exec *base)
{
    struct ref_exec *x = (struct ref_exec *)base;
    for (struct ref_weight *r = x->weights; r; r = r->next)
        r->users = 0;
    ref_drop_weights(base);
    free(x);
}

static const char *ref_device_name(const struct exec *base)
{
    (void)base;
    return "plain C";
}

static int64_t ref_bytes_used(const struct exec *base)
{
    return ((const struct ref_exec *)base)->bytes_used;
}

static int64_t ref_bytes_peak(const struct exec *base)
{
    return ((const struct ref_exec *)base)->bytes_peak;
}

static void ref_print_times(const struct exec *base)
{
    static const char *const names[OP_COUNT] = {
        "add",      "mul",      "scale",      "act",          "clamp",       "modulate",
        "gate_add", "rms_norm", "layer_norm", "channel_norm", "linear",      "attention",
        "rope",     "conv",     "slice_rows", "slice_cols",   "concat_rows", "interleave_time",
        "store",
    };
    for (int i = 0; i < OP_COUNT; i++)
        if (((const struct ref_exec *)base)->seconds[i] > 0)
            printf("%-16s %9.3f s\n", names[i], ((const struct ref_exec *)base)->seconds[i]);
}

struct exec *exec_open_ref(void)
{
    static const struct exec_calls calls = {
        .close = ref_close,
        .device_name = ref_device_name,
        .bytes_used = ref_bytes_used,
        .bytes_peak = ref_bytes_peak,
        .print_times = ref_print_times,
        .drop_weights = ref_drop_weights,
        .states_open = ref_states_open,
        .states_close = ref_states_close,
        .program_new = ref_program_new,
        .program_free = ref_program_free,
        .program_write = ref_program_write,
        .program_run = ref_program_run,
        .program_read = ref_program_read,
    };
    struct ref_exec *x = xcalloc(1, sizeof *x);
    x->base.calls = &calls;
    return &x->base;
}

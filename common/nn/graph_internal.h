/* graph_internal - what a finished graph looks like inside: read by the executors, written by graph.c and ops.c alone.
 *
 * Values and nodes are arrays; an index is their name. Nodes are in the order in which they were built, which is a
 * valid order to run them. */
#ifndef SHOTLINE_NN_GRAPH_INTERNAL_H
#define SHOTLINE_NN_GRAPH_INTERNAL_H

#include "common/base/arena.h"
#include "common/nn/graph.h"
#include "common/nn/ops.h"

enum op_kind {
    OP_ADD,             /* in: a, b */
    OP_MUL,             /* in: a, b */
    OP_SCALE,           /* in: a */
    OP_ACT,             /* in: a */
    OP_CLAMP,           /* in: a */
    OP_MODULATE,        /* in: x, scale, shift */
    OP_GATE_ADD,        /* in: x, y, gate */
    OP_RMS_NORM,        /* in: x, weight or 0 */
    OP_LAYER_NORM,      /* in: x, weight or 0, bias or 0 */
    OP_CHANNEL_NORM,    /* in: x, gamma */
    OP_LINEAR,          /* in: x, w, bias or 0 */
    OP_ATTENTION,       /* in: q, k, v, bias or 0, mask or 0, offset or 0 */
    OP_ROPE,            /* in: x, cos, sin */
    OP_CONV,            /* in: x, w, bias or 0 */
    OP_SLICE_ROWS,      /* in: x */
    OP_SLICE_COLS,      /* in: x */
    OP_CONCAT_ROWS,     /* in: a, b */
    OP_INTERLEAVE_TIME, /* in: x */
    OP_STORE,           /* in: state, x, at or 0; out: 0 */
    OP_COUNT
};

#define NODE_MAX_INPUTS 6

struct graph_node {
    enum op_kind kind;
    int32_t in[NODE_MAX_INPUTS]; /* value indices; 0: not there */
    int32_t out;                 /* the value it makes; 0 for OP_STORE */
    const char *scope;           /* "blocks.3 > attn1", "" outside of any */
    union {
        float factor;        /* OP_SCALE */
        enum activation act; /* OP_ACT */
        struct {
            float low, high;
        } clamp;
        struct {
            float eps;
            float inv_cols; /* 1.0f / (float)cols */
        } norm;             /* OP_RMS_NORM, OP_LAYER_NORM */
        struct {
            float sqrt_cols; /* (float)sqrt((double)cols), correctly rounded on every host */
            enum activation act;
        } channel_norm;
        struct {
            enum activation act;
        } linear;
        struct {
            int heads, kv_heads;
            int head_dim;
            float scale;
        } attention;
        struct {
            int heads;
            enum rope_kind kind;
        } rope;
        struct {
            int kernel[3]; /* t, h, w */
            int stride[3]; /* resolved: never 0 */
            int pad_before[3];
            int pad_after[3];
            bool upsample2;
        } conv;
        struct {
            int64_t first, count;
        } slice; /* OP_SLICE_ROWS, OP_SLICE_COLS */
    } u;
};

enum value_kind {
    VALUE_INPUT,  /* written by the host */
    VALUE_WEIGHT, /* borrowed from a mapping */
    VALUE_STATE,  /* lives in `struct states`; graph_state of one slot always returns the same value */
    VALUE_MADE,   /* the output of a node */
    VALUE_VIEW,   /* another shape of `base` (op_reshape) */
};

struct graph_value {
    enum value_kind kind;
    struct shape shape;
    const char *name;            /* of the input or weight; the maker's scope otherwise; never NULL */
    const struct weight *weight; /* VALUE_WEIGHT */
    int slot;                    /* VALUE_STATE */
    int32_t node;                /* VALUE_MADE: index of its node */
    int32_t base;                /* VALUE_VIEW: what it views, which is never itself a view; else its own index */
    bool output;                 /* the host reads it (graph_output) */
};

#define GRAPH_MAX_SCOPE 256

struct graph {
    struct arena arena;        /* names */
    struct graph_value *value; /* value[0] is VALUE_NONE and unused */
    int32_t value_count, value_room;
    struct graph_node *node;
    int32_t node_count, node_room;
    char scope[GRAPH_MAX_SCOPE];
    struct error error; /* the first failure; kind ERROR_NONE while all is well */
};

/* For ops.c: append a copy of *v (named after the scope when it has no name), a bare node. */
value graph_add_value(struct graph *g, const struct graph_value *v);
struct graph_node *graph_add_node(struct graph *g, enum op_kind kind);

/* Elements of the last dimension (1 for a scalar), and how many such rows there are. */
static inline int64_t shape_cols(const struct shape *s)
{
    return s->rank > 0 ? s->dim[s->rank - 1] : 1;
}

static inline int64_t shape_rows(const struct shape *s)
{
    int64_t rows = 1;
    for (int i = 0; i + 1 < s->rank; i++)
        rows *= s->dim[i];
    return rows;
}

#endif

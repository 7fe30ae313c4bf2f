/* ops - the constructors of ops.h: shape rules and messages; what the operations compute is in exec_ref.c. */
#include "common/nn/graph_internal.h"

#include <math.h>
#include <string.h>

/* ---- checks: each returns false with the graph's failure recorded ---- */

/* All of `v` up to the first VALUE_NONE that the caller did not expect. */
static bool present(struct graph *g, const char *op, const value *v, int count)
{
    for (int i = 0; i < count; i++)
        if (v[i].index == 0) {
            graph_fail(g, ERROR_INTERNAL, "%s: operand %d is missing", op, i + 1);
            return false;
        }
    return true;
}

#define PRESENT(g, op, ...)                                                                                            \
    present(g, op, (const value[]){ __VA_ARGS__ }, (int)(sizeof((value[]){ __VA_ARGS__ }) / sizeof(value)))

static const struct shape *shape_of(const struct graph *g, value v)
{
    return &g->value[v.index].shape;
}

static bool mismatch(struct graph *g, const char *op, const char *what, value a, value b)
{
    char a_text[96], b_text[96];
    shape_text(shape_of(g, a), a_text, sizeof a_text);
    shape_text(shape_of(g, b), b_text, sizeof b_text);
    graph_fail(g, ERROR_INPUT, "%s: %s: %s (%s) and %s (%s)", op, what, a_text, g->value[a.index].name, b_text,
               g->value[b.index].name);
    return false;
}

static bool wrong(struct graph *g, const char *op, const char *what, value a)
{
    char text[96];
    shape_text(shape_of(g, a), text, sizeof text);
    graph_fail(g, ERROR_INPUT, "%s: %s, found %s (%s)", op, what, text, g->value[a.index].name);
    return false;
}

/* `b` is shaped as `a`, or is one row of it. */
static bool rows_fit(struct graph *g, const char *op, value a, value b)
{
    const struct shape *x = shape_of(g, a), *y = shape_of(g, b);
    if (shape_cols(x) == shape_cols(y) && (shape_rows(y) == 1 || shape_rows(y) == shape_rows(x)))
        return true;
    return mismatch(g, op, "second is neither the first's shape nor one row of it", a, b);
}

static bool counts(struct graph *g, const char *op, const char *what, value v, int64_t expected)
{
    char text[96];
    if (shape_count(shape_of(g, v)) == expected)
        return true;
    shape_text(shape_of(g, v), text, sizeof text);
    graph_fail(g, ERROR_INPUT, "%s: %s is %s (%s), expected %lld elements", op, what, text, g->value[v.index].name,
               (long long)expected);
    return false;
}

/* Appends a node with its output; inputs are filled by the caller's literal. */
static value make(struct graph *g, const struct graph_node *like, struct shape shape)
{
    value out = graph_add_value(g, &(struct graph_value){ .kind = VALUE_MADE, .shape = shape, .node = g->node_count });
    struct graph_node *n = graph_add_node(g, like->kind);
    const char *scope = n->scope;
    *n = *like;
    n->scope = scope;
    n->out = out.index;
    return out;
}

/* ---- element-wise ---- */

static value binary(struct graph *g, enum op_kind kind, const char *op, value a, value b)
{
    if (!PRESENT(g, op, a, b) || !rows_fit(g, op, a, b))
        return VALUE_NONE;
    return make(g, &(struct graph_node){ .kind = kind, .in = { a.index, b.index } }, *shape_of(g, a));
}

value op_add(struct graph *g, value a, value b)
{
    return binary(g, OP_ADD, "add", a, b);
}

value op_mul(struct graph *g, value a, value b)
{
    return binary(g, OP_MUL, "mul", a, b);
}

value op_scale(struct graph *g, value a, float factor)
{
    if (!PRESENT(g, "scale", a))
        return VALUE_NONE;
    return make(g, &(struct graph_node){ .kind = OP_SCALE, .in = { a.index }, .u.factor = factor }, *shape_of(g, a));
}

value op_act(struct graph *g, value a, enum activation act)
{
    if (!PRESENT(g, "act", a))
        return VALUE_NONE;
    return make(g, &(struct graph_node){ .kind = OP_ACT, .in = { a.index }, .u.act = act }, *shape_of(g, a));
}

value op_clamp(struct graph *g, value a, float low, float high)
{
    if (!PRESENT(g, "clamp", a))
        return VALUE_NONE;
    return make(g, &(struct graph_node){ .kind = OP_CLAMP, .in = { a.index }, .u.clamp = { low, high } },
                *shape_of(g, a));
}

value op_modulate(struct graph *g, value x, value scale, value shift)
{
    if (!PRESENT(g, "modulate", x, scale, shift) || !rows_fit(g, "modulate", x, scale) ||
        !rows_fit(g, "modulate", x, shift))
        return VALUE_NONE;
    return make(g, &(struct graph_node){ .kind = OP_MODULATE, .in = { x.index, scale.index, shift.index } },
                *shape_of(g, x));
}

value op_gate_add(struct graph *g, value x, value y, value gate)
{
    if (!PRESENT(g, "gate_add", x, y, gate) || !rows_fit(g, "gate_add", x, gate))
        return VALUE_NONE;
    if (shape_count(shape_of(g, x)) != shape_count(shape_of(g, y)) || !rows_fit(g, "gate_add", x, y))
        return mismatch(g, "gate_add", "shapes differ", x, y), VALUE_NONE;
    return make(g, &(struct graph_node){ .kind = OP_GATE_ADD, .in = { x.index, y.index, gate.index } },
                *shape_of(g, x));
}

/* ---- rows ---- */

value op_rms_norm(struct graph *g, value x, value weight, float eps)
{
    if (!PRESENT(g, "rms_norm", x))
        return VALUE_NONE;
    int64_t cols = shape_cols(shape_of(g, x));
    if (weight.index && !counts(g, "rms_norm", "weight", weight, cols))
        return VALUE_NONE;
    return make(g,
                &(struct graph_node){ .kind = OP_RMS_NORM,
                                      .in = { x.index, weight.index },
                                      .u.norm = { .eps = eps, .inv_cols = 1.0f / (float)cols } },
                *shape_of(g, x));
}

value op_layer_norm(struct graph *g, value x, value weight, value bias, float eps)
{
    if (!PRESENT(g, "layer_norm", x))
        return VALUE_NONE;
    int64_t cols = shape_cols(shape_of(g, x));
    if (!weight.index != !bias.index)
        return graph_fail(g, ERROR_INTERNAL, "layer_norm: weight and bias come together or not at all");
    if (weight.index &&
        (!counts(g, "layer_norm", "weight", weight, cols) || !counts(g, "layer_norm", "bias", bias, cols)))
        return VALUE_NONE;
    return make(g,
                &(struct graph_node){ .kind = OP_LAYER_NORM,
                                      .in = { x.index, weight.index, bias.index },
                                      .u.norm = { .eps = eps, .inv_cols = 1.0f / (float)cols } },
                *shape_of(g, x));
}

value op_channel_norm(struct graph *g, value x, value gamma, enum activation act)
{
    if (!PRESENT(g, "channel_norm", x, gamma))
        return VALUE_NONE;
    int64_t cols = shape_cols(shape_of(g, x));
    if (!counts(g, "channel_norm", "gamma", gamma, cols))
        return VALUE_NONE;
    return make(g,
                &(struct graph_node){ .kind = OP_CHANNEL_NORM,
                                      .in = { x.index, gamma.index },
                                      .u.channel_norm = { .sqrt_cols = (float)sqrt((double)cols), .act = act } },
                *shape_of(g, x));
}

/* ---- matrices ---- */

value op_linear(struct graph *g, value x, value w, value bias, enum activation act)
{
    if (!PRESENT(g, "linear", x, w))
        return VALUE_NONE;
    const struct shape *ws = shape_of(g, w);
    struct shape shape = *shape_of(g, x);
    if (ws->rank < 2 || shape.rank < 1 || shape_count(ws) != ws->dim[0] * shape_cols(&shape))
        return mismatch(g, "linear", "the input's columns are not the weight's", x, w), VALUE_NONE;
    if (bias.index && !counts(g, "linear", "bias", bias, ws->dim[0]))
        return VALUE_NONE;
    shape.dim[shape.rank - 1] = ws->dim[0];
    return make(g,
                &(struct graph_node){ .kind = OP_LINEAR, .in = { x.index, w.index, bias.index }, .u.linear = { act } },
                shape);
}

value op_attention(struct graph *g, value q, value k, value v, const struct attention *a)
{
    static const char *op = "attention";

    if (!PRESENT(g, op, q, k, v))
        return VALUE_NONE;
    const struct shape *qs = shape_of(g, q), *ks = shape_of(g, k);
    if (qs->rank != 2 || ks->rank != 2)
        return wrong(g, op, "expected [rows, heads * head size]", qs->rank != 2 ? q : k), VALUE_NONE;
    if (a->heads < 1 || a->kv_heads < 1 || a->heads % a->kv_heads || qs->dim[1] % a->heads)
        return graph_fail(g, ERROR_INPUT, "%s: %lld columns, %d heads and %d key heads do not divide", op,
                          (long long)qs->dim[1], a->heads, a->kv_heads);
    if (ks->dim[1] != qs->dim[1] / a->heads * a->kv_heads || !shape_equal(ks, shape_of(g, v)))
        return mismatch(g, op, "keys (or values) do not fit the queries", q, k), VALUE_NONE;
    if ((a->bias.index && !counts(g, op, "bias", a->bias, a->heads * qs->dim[0] * ks->dim[0])) ||
        (a->mask.index && !counts(g, op, "mask", a->mask, ks->dim[0])) ||
        (a->offset.index && !counts(g, op, "offset", a->offset, 1)))
        return VALUE_NONE;
    return make(
        g,
        &(struct graph_node){ .kind = OP_ATTENTION,
                              .in = { q.index, k.index, v.index, a->bias.index, a->mask.index, a->offset.index },
                              .u.attention = { a->heads, a->kv_heads, (int)(qs->dim[1] / a->heads), a->scale } },
        *qs);
}

value op_rope(struct graph *g, value x, value cos, value sin, int heads, enum rope_kind kind)
{
    if (!PRESENT(g, "rope", x, cos, sin))
        return VALUE_NONE;
    const struct shape *xs = shape_of(g, x);
    if (xs->rank != 2 || heads < 1 || xs->dim[1] % (2 * heads))
        return wrong(g, "rope", "expected [rows, heads * an even head size]", x), VALUE_NONE;
    int64_t expected = xs->dim[0] * (xs->dim[1] / heads / 2);
    if (!counts(g, "rope", "cos", cos, expected) || !counts(g, "rope", "sin", sin, expected))
        return VALUE_NONE;
    return make(
        g, &(struct graph_node){ .kind = OP_ROPE, .in = { x.index, cos.index, sin.index }, .u.rope = { heads, kind } },
        *xs);
}

/* ---- convolution ---- */

value op_conv(struct graph *g, value x, value w, value bias, const struct conv *c)
{
    if (!PRESENT(g, "conv", x, w))
        return VALUE_NONE;
    const struct shape *xs = shape_of(g, x), *ws = shape_of(g, w);
    if (xs->rank != 4)
        return wrong(g, "conv", "expected [T, H, W, channels]", x), VALUE_NONE;
    if ((ws->rank != 5 && ws->rank != 4) || ws->dim[1] != xs->dim[3])
        return mismatch(g, "conv", "the input's channels are not the weight's", x, w), VALUE_NONE;
    if (bias.index && !counts(g, "conv", "bias", bias, ws->dim[0]))
        return VALUE_NONE;

    struct graph_node n = { .kind = OP_CONV, .in = { x.index, w.index, bias.index }, .u.conv.upsample2 = c->upsample2 };
    struct shape shape = *xs;
    for (int i = 0; i < 3; i++) {
        int kernel = ws->rank == 5 ? (int)ws->dim[2 + i] : i == 0 ? 1 : (int)ws->dim[1 + i];
        int64_t in = xs->dim[i] * (c->upsample2 && i > 0 ? 2 : 1) + c->pad_before[i] + c->pad_after[i];
        int stride = c->stride[i] ? c->stride[i] : 1;
        if (in < kernel)
            return mismatch(g, "conv", "the input is smaller than the kernel", x, w), VALUE_NONE;
        shape.dim[i] = (in - kernel) / stride + 1;
        n.u.conv.kernel[i] = kernel;
        n.u.conv.stride[i] = stride;
        n.u.conv.pad_before[i] = c->pad_before[i];
        n.u.conv.pad_after[i] = c->pad_after[i];
    }
    shape.dim[3] = ws->dim[0];
    return make(g, &n, shape);
}

/* ---- moving data ---- */

value op_reshape(struct graph *g, value x, struct shape shape)
{
    if (!PRESENT(g, "reshape", x) || !counts(g, "reshape", "the input", x, shape_count(&shape)))
        return VALUE_NONE;
    struct graph_value view = { .kind = VALUE_VIEW, .shape = shape, .base = g->value[x.index].base };
    return graph_add_value(g, &view);
}

static value slice(struct graph *g, enum op_kind kind, const char *op, value x, int dim, int64_t first, int64_t count)
{
    struct shape shape = *shape_of(g, x);
    if (first < 0 || count < 1 || first + count > shape.dim[dim])
        return graph_fail(g, ERROR_INTERNAL, "%s: [%lld, %lld) of %lld", op, (long long)first,
                          (long long)(first + count), (long long)shape.dim[dim]);
    shape.dim[dim] = count;
    return make(g, &(struct graph_node){ .kind = kind, .in = { x.index }, .u.slice = { first, count } }, shape);
}

value op_slice_rows(struct graph *g, value x, int64_t first, int64_t count)
{
    if (!PRESENT(g, "slice_rows", x))
        return VALUE_NONE;
    if (shape_of(g, x)->rank < 2)
        return wrong(g, "slice_rows", "expected rows", x), VALUE_NONE;
    return slice(g, OP_SLICE_ROWS, "slice_rows", x, 0, first, count);
}

value op_slice_cols(struct graph *g, value x, int64_t first, int64_t count)
{
    if (!PRESENT(g, "slice_cols", x))
        return VALUE_NONE;
    if (shape_of(g, x)->rank < 1)
        return wrong(g, "slice_cols", "expected columns", x), VALUE_NONE;
    return slice(g, OP_SLICE_COLS, "slice_cols", x, shape_of(g, x)->rank - 1, first, count);
}

/* The same but for the outermost dimension. */
static bool inner_equal(const struct shape *a, const struct shape *b)
{
    if (a->rank != b->rank || a->rank < 1)
        return false;
    for (int i = 1; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

value op_concat_rows(struct graph *g, value a, value b)
{
    if (!PRESENT(g, "concat_rows", a, b))
        return VALUE_NONE;
    struct shape shape = *shape_of(g, a);
    if (!inner_equal(&shape, shape_of(g, b)))
        return mismatch(g, "concat_rows", "rows differ", a, b), VALUE_NONE;
    shape.dim[0] += shape_of(g, b)->dim[0];
    return make(g, &(struct graph_node){ .kind = OP_CONCAT_ROWS, .in = { a.index, b.index } }, shape);
}

value op_interleave_time(struct graph *g, value x)
{
    if (!PRESENT(g, "interleave_time", x))
        return VALUE_NONE;
    struct shape shape = *shape_of(g, x);
    if (shape.rank != 4 || shape.dim[3] % 2)
        return wrong(g, "interleave_time", "expected [T, H, W, an even number of channels]", x), VALUE_NONE;
    shape.dim[0] *= 2;
    shape.dim[3] /= 2;
    return make(g, &(struct graph_node){ .kind = OP_INTERLEAVE_TIME, .in = { x.index } }, shape);
}

void op_store(struct graph *g, value state, value x, value at)
{
    if (!PRESENT(g, "store", state, x))
        return;
    const struct shape *ss = shape_of(g, state), *xs = shape_of(g, x);
    if (g->value[state.index].kind != VALUE_STATE) {
        graph_fail(g, ERROR_INTERNAL, "store: its target is not a state");
    } else if (g->value[g->value[x.index].base].kind == VALUE_STATE) {
        graph_fail(g, ERROR_INTERNAL, "store: its source is a state itself");
    } else if (!inner_equal(ss, xs) || xs->dim[0] > ss->dim[0]) {
        mismatch(g, "store", "the rows do not fit the state", state, x);
    } else if (!at.index || counts(g, "store", "at", at, 1)) {
        struct graph_node *n = graph_add_node(g, OP_STORE);
        n->in[0] = state.index;
        n->in[1] = x.index;
        n->in[2] = at.index;
    }
}

/* ops - one constructor per operation: shapes, meaning, and the order of every sum.
 *
 * Rules for all (exec_ref.c is the oracle; a kernel that differs in one bit is wrong):
 * - products and sums are rounded separately (x_mac); functions come from exact_math.h; no fma, no built-in
 *   transcendental;
 * - every element that is stored has passed x_snap;
 * - "row sum" of x[0..n): 32 partials, partial j adds x[j], x[j+32], ... in that order starting at +0; then
 *   p[j] += p[j+s] for s = 16, 8, 4, 2, 1; the sum is p[0]. Row operations see their input as [rows, cols], cols being
 *   the last dimension;
 * - broadcast: where a value "may have 1 row", that row serves all rows. */
#ifndef SHOTLINE_NN_OPS_H
#define SHOTLINE_NN_OPS_H

#include "common/nn/graph.h"

enum activation { ACT_NONE, ACT_GELU /* x_gelu */, ACT_SILU /* x_silu */ };

/* ---- element-wise; the same shape everywhere, or b/gate/scale/shift with 1 row ---- */
value op_add(struct graph *g, value a, value b);             /* a + b */
value op_mul(struct graph *g, value a, value b);             /* a * b */
value op_scale(struct graph *g, value a, float factor);      /* a * factor */
value op_act(struct graph *g, value a, enum activation act); /* act(a) */
value op_clamp(struct graph *g, value a, float low, float high);
value op_modulate(struct graph *g, value x, value scale, value shift); /* x * (1 + scale) + shift, in that order */
value op_gate_add(struct graph *g, value x, value y, value gate);      /* x + y * gate */

/* ---- rows ---- */
/* x * rsqrt(rowsum(x^2) / cols + eps) * weight; weight [cols] or VALUE_NONE. 1/cols is one f32 constant that multiplies
 * the sum. */
value op_rms_norm(struct graph *g, value x, value weight, float eps);
/* mean = rowsum(x) * (1/cols); d = x - mean; y = d * rsqrt(rowsum(d^2) * (1/cols) + eps) [* weight + bias]; both or
 * none. */
value op_layer_norm(struct graph *g, value x, value weight, value bias, float eps);
/* AutoencoderKLWan's RMS_norm, channels last: act(x / max(sqrt(rowsum(x^2)), 1e-12) * (sqrt(cols) * gamma)); gamma has
 * cols elements (any rank). The divisor is x_sqrt, the quotient x_recip of the clamped divisor times x, then times
 * (sqrt_cols * gamma); sqrt_cols is an f32 constant. */
value op_channel_norm(struct graph *g, value x, value gamma, enum activation act);

/* ---- matrices ---- */
/* act(x W^T + bias): x [rows, K], W [N, K] (any rank whose first dimension is N and whose others multiply to K), bias
 * [N] or VALUE_NONE. acc = bias or +0; acc = x_mac(acc, x[k], w[k]) for k = 0..K-1; act; snap. */
value op_linear(struct graph *g, value x, value w, value bias, enum activation act);

struct attention {
    int heads, kv_heads; /* heads % kv_heads == 0: query head h reads kv head h / (heads / kv_heads) */
    float scale;         /* multiplies each score */
    value bias;          /* optional [heads, Lq, Lk], added after the scale */
    value mask;          /* optional [Lk]: keys with mask == 0 are skipped; not all may be */
    value offset; /* optional [1], an integer as f32: query i sees keys 0 .. offset + i (causal, with a KV cache) */
};
#define ATTENTION_BLOCK 16
/* q [Lq, heads*D], k [Lk, kv_heads*D], v [Lk, kv_heads*D] -> [Lq, heads*D]. Online softmax over blocks of
 * ATTENTION_BLOCK consecutive keys (the last may be short). Start: m = -1e30, l = 0, o[] = 0. For each block that has a
 * visible key:
 *   s_j = (x_mac chain over d from +0 of q_d * k_d) * scale (+ bias)
 *   m' = max(m, visible s_j);  c = x_snap(x_exp(m - m'))
 *   l = x_snap(l * c);  o_d = x_snap(o_d * c)
 *   for visible j in order: p = x_snap(x_exp(s_j - m'));  l = l + p;  o_d = x_mac(o_d, p, v_jd)
 *   m = m'
 * Result: o_d * x_recip(l). A block without visible keys changes nothing. */
value op_attention(struct graph *g, value q, value k, value v, const struct attention *a);

enum rope_kind {
    ROPE_PAIRS, /* Wan: elements (2i, 2i+1) rotate together */
    ROPE_HALF,  /* Qwen3: elements (i, i + D/2) rotate together */
};
/* x [rows, heads*D], cos and sin [rows, D/2]: (a, b) -> (a*cos - b*sin, a*sin + b*cos); each product rounded, then the
 * sum or difference. */
value op_rope(struct graph *g, value x, value cos, value sin, int heads, enum rope_kind kind);

/* ---- convolution, channels last ---- */
struct conv {
    int stride[3];     /* t, h, w; 0 means 1 */
    int pad_before[3]; /* zeros in front, t, h, w */
    int pad_after[3];
    bool upsample2; /* reads x as if every pixel were doubled in h and w (nearest), before padding */
};
/* x [T, H, W, Cin], w [Cout, Cin, kt, kh, kw] or [Cout, Cin, kh, kw] (kt = 1), bias [Cout] or VALUE_NONE -> [T', H',
 * W', Cout]. acc = bias or +0; for kt, kh, kw, then cin: acc = x_mac(acc, x, w), where x is 0 in the padding (a tap in
 * the padding may be skipped). */
value op_conv(struct graph *g, value x, value w, value bias, const struct conv *c);

/* ---- moving data; bits are kept ---- */
value op_reshape(struct graph *g, value x, struct shape shape);              /* a view */
value op_slice_rows(struct graph *g, value x, int64_t first, int64_t count); /* of the outermost dimension */
value op_slice_cols(struct graph *g, value x, int64_t first, int64_t count); /* of the last dimension */
value op_concat_rows(struct graph *g, value a, value b);                     /* along the outermost dimension */
/* [T, H, W, 2*C] -> [2*T, H, W, C]: frame 2t takes the first C channels of frame t, frame 2t+1 the others. */
value op_interleave_time(struct graph *g, value x);
/* Writes x into a state after every read of it in this run: rows [at, at + rows(x)) of the outermost dimension; `at` is
 * an optional [1] value that holds an integer as f32, VALUE_NONE means row 0. */
void op_store(struct graph *g, value state, value x, value at);

#endif

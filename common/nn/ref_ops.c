#include "common/nn/ref_ops.h"

#include "common/nn/exact_math.h"

#include <stdlib.h>
#include <string.h>

/* One build for every machine, yet wide vectors where there are some. (Sanitizers start later than the resolvers that
 * this makes.) */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDE
#endif
#define INLINE static inline __attribute__((always_inline))

typedef float lanes __attribute__((vector_size(REF_LANES * sizeof(float))));

INLINE void lanes_load(lanes *to, const float *from)
{
    memcpy(to, from, sizeof *to);
}

/* ---- element-wise ---- */

/* How far a broadcast operand moves from row to row. */
static int64_t row_step(const struct shape *s)
{
    return shape_rows(s) == 1 ? 0 : shape_cols(s);
}

WIDE static void binary_row(enum op_kind kind, const float *a, const float *b, float *y, int64_t cols)
{
    if (kind == OP_ADD)
        for (int64_t c = 0; c < cols; c++)
            y[c] = x_snap(a[c] + b[c]);
    else
        for (int64_t c = 0; c < cols; c++)
            y[c] = x_snap(a[c] * b[c]);
}

WIDE static void modulate_row(const float *x, const float *scale, const float *shift, float *y, int64_t cols)
{
    for (int64_t c = 0; c < cols; c++) {
        float s = 1.0f + scale[c];
        float p = x[c] * s;
        y[c] = x_snap(p + shift[c]);
    }
}

WIDE static void gate_add_row(const float *x, const float *v, const float *gate, float *y, int64_t cols)
{
    for (int64_t c = 0; c < cols; c++)
        y[c] = x_snap(x_mac(x[c], v[c], gate[c]));
}

WIDE static void scale_all(const float *a, float factor, float *y, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        y[i] = x_snap(a[i] * factor);
}

WIDE static void clamp_all(const float *a, float low, float high, float *y, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        float v = a[i] < low ? low : a[i];
        y[i] = x_snap(v > high ? high : v);
    }
}

/* In place works. */
WIDE static void activate_all(const float *a, enum activation act, float *y, int64_t count)
{
    if (act == ACT_GELU)
        for (int64_t i = 0; i < count; i++)
            y[i] = x_snap(x_gelu(a[i]));
    else if (act == ACT_SILU)
        for (int64_t i = 0; i < count; i++)
            y[i] = x_snap(x_silu(a[i]));
    else
        for (int64_t i = 0; i < count; i++)
            y[i] = x_snap(a[i]);
}

/* ---- rows ---- */

#define PARTIALS 32

INLINE float tree_sum(float *p)
{
    for (int s = PARTIALS / 2; s >= 1; s /= 2)
        for (int j = 0; j < s; j++)
            p[j] = p[j] + p[j + s];
    return p[0];
}

INLINE float row_sum(const float *x, int64_t cols)
{
    float p[PARTIALS] = { 0 };
    int64_t i = 0;
    for (; i + PARTIALS <= cols; i += PARTIALS)
        for (int j = 0; j < PARTIALS; j++)
            p[j] = p[j] + x[i + j];
    for (int j = 0; i + j < cols; j++)
        p[j] = p[j] + x[i + j];
    return tree_sum(p);
}

/* The sum of (x - mean)^2. */
INLINE float row_sum_squares(const float *x, float mean, int64_t cols)
{
    float p[PARTIALS] = { 0 };
    int64_t i = 0;
    for (; i + PARTIALS <= cols; i += PARTIALS)
        for (int j = 0; j < PARTIALS; j++) {
            float d = x[i + j] - mean;
            p[j] = x_mac(p[j], d, d);
        }
    for (int j = 0; i + j < cols; j++) {
        float d = x[i + j] - mean;
        p[j] = x_mac(p[j], d, d);
    }
    return tree_sum(p);
}

WIDE static void rms_norm_row(const float *x, const float *weight, float inv_cols, float eps, float *y, int64_t cols)
{
    float mean = row_sum_squares(x, 0.0f, cols) * inv_cols;
    float r = x_rsqrt(mean + eps);
    for (int64_t c = 0; c < cols; c++) {
        float v = x[c] * r;
        y[c] = x_snap(weight ? v * weight[c] : v);
    }
}

WIDE static void layer_norm_row(const float *x, const float *weight, const float *bias, float inv_cols, float eps,
                                float *y, int64_t cols)
{
    float mean = row_sum(x, cols) * inv_cols;
    float variance = row_sum_squares(x, mean, cols) * inv_cols;
    float r = x_rsqrt(variance + eps);
    for (int64_t c = 0; c < cols; c++) {
        float d = x[c] - mean;
        float v = d * r;
        y[c] = x_snap(weight ? x_mac(bias[c], v, weight[c]) : v);
    }
}

WIDE static void channel_norm_row(const float *x, const float *gamma, float sqrt_cols, float *y, int64_t cols)
{
    float norm = x_sqrt(row_sum_squares(x, 0.0f, cols));
    float r = x_recip(norm > 1e-12f ? norm : 1e-12f);
    for (int64_t c = 0; c < cols; c++) {
        float v = r * x[c];
        float g = sqrt_cols * gamma[c];
        y[c] = v * g;
    }
}

WIDE static void rope_row(const float *x, const float *cos, const float *sin, int heads, int half, enum rope_kind kind,
                          float *y)
{
    int step = kind == ROPE_PAIRS ? 2 : 1, apart = kind == ROPE_PAIRS ? 1 : half;
    for (int h = 0; h < heads; h++, x += 2 * half, y += 2 * half)
        for (int i = 0; i < half; i++) {
            float a = x[i * step], b = x[i * step + apart];
            float ac = a * cos[i], bs = b * sin[i], as = a * sin[i], bc = b * cos[i];
            y[i * step] = x_snap(ac - bs);
            y[i * step + apart] = x_snap(as + bc);
        }
}

/* ---- matrices ---- */

int64_t ref_panels_count(int64_t outputs, int64_t k)
{
    return (outputs + REF_LANES - 1) / REF_LANES * REF_LANES * k;
}

void ref_pack_conv(float *panels, const float *w, int64_t outputs, int64_t channels, int64_t taps)
{
    int64_t k = channels * taps;
    memset(panels, 0, (size_t)ref_panels_count(outputs, k) * sizeof *panels);
    for (int64_t n = 0; n < outputs; n++) {
        float *to = panels + n / REF_LANES * REF_LANES * k + n % REF_LANES;
        for (int64_t c = 0; c < channels; c++)
            for (int64_t t = 0; t < taps; t++)
                to[(t * channels + c) * REF_LANES] = w[(n * channels + c) * taps + t];
    }
}

void ref_pack_linear(float *panels, const float *w, int64_t outputs, int64_t k)
{
    ref_pack_conv(panels, w, outputs, k, 1);
}

#define TILE_ROWS 6 /* sums in flight: enough to hide an addition's latency */

/* acc[i] += x[i][0..k) * w[0..k), in k order, for `rows` rows. */
INLINE void multiply_rows(lanes *acc, const float *const *x, const float *w, int64_t k, int rows)
{
    for (int64_t j = 0; j < k; j++) {
        lanes wj;
        lanes_load(&wj, w + j * REF_LANES);
        for (int i = 0; i < rows; i++) {
            lanes product = x[i][j] * wj;
            acc[i] = acc[i] + product;
        }
    }
}

/* One panel for up to TILE_ROWS rows; each x[i] has `taps` pieces of `k` elements, x[tap * TILE_ROWS + i]. */
INLINE void multiply_tile(lanes *acc, const float *const *x, const float *panel, int64_t k, int taps, int rows)
{
    for (int t = 0; t < taps; t++, x += TILE_ROWS, panel += k * REF_LANES)
        if (rows == TILE_ROWS)
            multiply_rows(acc, x, panel, k, TILE_ROWS);
        else if (rows == 1)
            multiply_rows(acc, x, panel, k, 1);
        else
            multiply_rows(acc, x, panel, k, rows);
}

/* The bias lanes of a panel: outputs n0 .. n0 + lanes. */
INLINE void start_lanes(lanes *to, const float *bias, int64_t n0, int64_t outputs)
{
    float start[REF_LANES] = { 0 };
    for (int64_t j = 0; bias && j < REF_LANES && n0 + j < outputs; j++)
        start[j] = bias[n0 + j];
    lanes_load(to, start);
}

WIDE static void linear(const float *x, const float *panels, const float *bias, float *y, int64_t rows, int64_t k,
                        int64_t outputs)
{
    for (int64_t n0 = 0; n0 < outputs; n0 += REF_LANES) {
        lanes start;
        start_lanes(&start, bias, n0, outputs);
        size_t width = (size_t)(outputs - n0 < REF_LANES ? outputs - n0 : REF_LANES) * sizeof *y;
        for (int64_t r0 = 0; r0 < rows; r0 += TILE_ROWS) {
            int count = (int)(rows - r0 < TILE_ROWS ? rows - r0 : TILE_ROWS);
            const float *tile[TILE_ROWS];
            lanes acc[TILE_ROWS];
            for (int i = 0; i < TILE_ROWS; i++) {
                tile[i] = x + (r0 + (i < count ? i : 0)) * k;
                acc[i] = start;
            }
            multiply_tile(acc, tile, panels + n0 * k, k, 1, count);
            for (int i = 0; i < count; i++)
                memcpy(y + (r0 + i) * outputs + n0, &acc[i], width);
        }
    }
}

/* One head's keys and values, laid out for lanes: a block of keys side by side, a row of values filled up with zeros.
 */
struct attention_view {
    const float *q, *bias, *mask; /* of this head; bias [Lq, Lk] */
    int64_t q_step;               /* from row to row */
    int64_t keys, offset;         /* query i sees keys 0 .. offset + i */
    int size, chunks;             /* of a head; in lanes, rounded up */
    float scale;
    float *turned; /* keys, [blocks][size][ATTENTION_BLOCK] */
    float *values; /* [keys][chunks * REF_LANES] */
};

_Static_assert(ATTENTION_BLOCK == REF_LANES, "a block of scores fills the lanes");

static void lay_out(const struct attention_view *a, const float *k, const float *v, int64_t step)
{
    int64_t blocks = (a->keys + ATTENTION_BLOCK - 1) / ATTENTION_BLOCK, width = (int64_t)a->chunks * REF_LANES;
    memset(a->turned, 0, (size_t)(blocks * ATTENTION_BLOCK * a->size) * sizeof *a->turned);
    memset(a->values, 0, (size_t)(a->keys * width) * sizeof *a->values);
    for (int64_t j = 0; j < a->keys; j++) {
        for (int d = 0; d < a->size; d++)
            a->turned[(j / ATTENTION_BLOCK * a->size + d) * ATTENTION_BLOCK + j % ATTENTION_BLOCK] = k[j * step + d];
        memcpy(a->values + j * width, v + j * step, (size_t)a->size * sizeof *v);
    }
}

/* o = snap(o * c), then o += p[j] * value j for the visible keys of a block, in order. */
INLINE void add_values(const struct attention_view *a, const float *values, float c, const float *p,
                       const bool *visible, float *o)
{
    for (int chunk = 0; chunk < a->chunks; chunk++) {
        float *kept = o + chunk * REF_LANES;
        lanes sum;
        for (int d = 0; d < REF_LANES; d++)
            kept[d] = x_snap(kept[d] * c);
        lanes_load(&sum, kept);
        for (int j = 0; j < ATTENTION_BLOCK; j++)
            if (visible[j]) {
                lanes v, product;
                lanes_load(&v, values + ((int64_t)j * a->chunks + chunk) * REF_LANES);
                product = p[j] * v;
                sum = sum + product;
            }
        memcpy(kept, &sum, sizeof sum);
    }
}

WIDE static void attend_query(const struct attention_view *a, int64_t i, float *o, float *y)
{
    const float *q = a->q + i * a->q_step;
    int64_t end = a->keys < a->offset + i + 1 ? a->keys : a->offset + i + 1;
    float m = -1e30f, l = 0.0f;

    memset(o, 0, (size_t)a->chunks * sizeof(lanes));
    for (int64_t j0 = 0; j0 < end; j0 += ATTENTION_BLOCK) {
        float s[ATTENTION_BLOCK], p[ATTENTION_BLOCK], top = m;
        bool visible[ATTENTION_BLOCK], any = false;
        const float *block = a->turned + j0 * a->size;
        lanes dot = { 0 };
        for (int d = 0; d < a->size; d++) {
            lanes k, product;
            lanes_load(&k, block + (int64_t)d * ATTENTION_BLOCK);
            product = q[d] * k;
            dot = dot + product;
        }
        memcpy(s, &dot, sizeof s);

        for (int j = 0; j < ATTENTION_BLOCK; j++) {
            visible[j] = j0 + j < end && (!a->mask || a->mask[j0 + j] != 0.0f);
            s[j] = s[j] * a->scale;
            if (visible[j] && a->bias)
                s[j] = s[j] + a->bias[i * a->keys + j0 + j];
            if (visible[j]) {
                any = true;
                top = s[j] > top ? s[j] : top;
            }
        }
        if (!any)
            continue;
        float c = x_snap(x_exp(m - top));
        for (int j = 0; j < ATTENTION_BLOCK; j++)
            p[j] = x_snap(x_exp(s[j] - top));
        l = x_snap(l * c);
        for (int j = 0; j < ATTENTION_BLOCK; j++)
            l = visible[j] ? l + p[j] : l;
        add_values(a, a->values + j0 * a->chunks * REF_LANES, c, p, visible, o);
        m = top;
    }
    float r = x_recip(l);
    for (int d = 0; d < a->size; d++)
        y[d] = x_snap(o[d] * r);
}

static void attention(const struct graph_node *n, const float *const *in, const struct shape *const *shape, float *y)
{
    int heads = n->u.attention.heads, group = heads / n->u.attention.kv_heads, size = n->u.attention.head_dim;
    int64_t queries = shape[0]->dim[0], keys = shape[1]->dim[0], step = shape[1]->dim[1];
    int64_t blocks = (keys + ATTENTION_BLOCK - 1) / ATTENTION_BLOCK;
    struct attention_view a = { .q_step = shape[0]->dim[1],
                                .keys = keys,
                                .offset = in[5] ? (int64_t)in[5][0] : keys,
                                .mask = in[4],
                                .size = size,
                                .chunks = (size + REF_LANES - 1) / REF_LANES,
                                .scale = n->u.attention.scale };
    float *o = xmalloc((size_t)a.chunks * sizeof(lanes));
    a.turned = xmalloc((size_t)(blocks * ATTENTION_BLOCK * size) * sizeof(float));
    a.values = xmalloc((size_t)(keys * a.chunks) * sizeof(lanes));
    for (int h = 0; h < heads; h++) {
        a.q = in[0] + h * size;
        a.bias = in[3] ? in[3] + h * queries * keys : NULL;
        if (h % group == 0)
            lay_out(&a, in[1] + h / group * size, in[2] + h / group * size, step);
        for (int64_t i = 0; i < queries; i++)
            attend_query(&a, i, o, y + i * a.q_step + h * size);
    }
    free(o);
    free(a.turned);
    free(a.values);
}

/* ---- convolution ---- */

struct conv_view {
    const struct graph_node *n;
    const float *x;
    int64_t in[3], channels; /* the input as stored */
    const float *zeros;      /* [channels] */
};

/* The input pixel under tap (kt, ky, kx) of output pixel (t, y, x): its channels, or zeros in the padding. */
static const float *conv_pixel(const struct conv_view *v, const int64_t out[3], const int tap[3])
{
    int64_t at[3];
    for (int i = 0; i < 3; i++) {
        bool twice = v->n->u.conv.upsample2 && i > 0;
        at[i] = out[i] * v->n->u.conv.stride[i] + tap[i] - v->n->u.conv.pad_before[i];
        if (at[i] < 0 || at[i] >= v->in[i] * (twice ? 2 : 1))
            return v->zeros;
        if (twice)
            at[i] /= 2;
    }
    return v->x + ((at[0] * v->in[1] + at[1]) * v->in[2] + at[2]) * v->channels;
}

/* Up to TILE_ROWS output pixels that lie side by side: x[tap][i] are their inputs. */
WIDE static void conv_tile(const float *const *x, const float *panels, const float *bias, float *y, int64_t k, int taps,
                           int count, int64_t outputs)
{
    for (int64_t n0 = 0; n0 < outputs; n0 += REF_LANES) {
        lanes acc[TILE_ROWS], start;
        start_lanes(&start, bias, n0, outputs);
        size_t width = (size_t)(outputs - n0 < REF_LANES ? outputs - n0 : REF_LANES) * sizeof *y;
        for (int i = 0; i < TILE_ROWS; i++)
            acc[i] = start;
        multiply_tile(acc, x, panels + n0 * k * taps, k, taps, count);
        for (int i = 0; i < count; i++)
            memcpy(y + i * outputs + n0, &acc[i], width);
    }
}

static void conv(const struct graph_node *n, const float *x, const struct shape *xs, const float *panels,
                 const float *bias, float *y, const struct shape *ys)
{
    const int *kernel = n->u.conv.kernel;
    int taps = kernel[0] * kernel[1] * kernel[2];
    struct conv_view v = { .n = n, .x = x, .in = { xs->dim[0], xs->dim[1], xs->dim[2] }, .channels = xs->dim[3] };
    float *zeros = xcalloc((size_t)v.channels, sizeof *zeros);
    const float **tile = xcalloc((size_t)taps * TILE_ROWS, sizeof *tile);
    int64_t outputs = ys->dim[3], width = ys->dim[2];

    v.zeros = zeros;
    for (int64_t t = 0; t < ys->dim[0]; t++)
        for (int64_t row = 0; row < ys->dim[1]; row++)
            for (int64_t x0 = 0; x0 < width; x0 += TILE_ROWS) {
                int count = (int)(width - x0 < TILE_ROWS ? width - x0 : TILE_ROWS);
                const float **at = tile;
                for (int kt = 0; kt < kernel[0]; kt++)
                    for (int ky = 0; ky < kernel[1]; ky++)
                        for (int kx = 0; kx < kernel[2]; kx++, at += TILE_ROWS)
                            for (int i = 0; i < TILE_ROWS; i++)
                                at[i] = conv_pixel(&v, (int64_t[]){ t, row, x0 + (i < count ? i : 0) },
                                                   (int[]){ kt, ky, kx });
                conv_tile(tile, panels, bias, y + ((t * ys->dim[1] + row) * width + x0) * outputs, v.channels, taps,
                          count, outputs);
            }
    free(zeros);
    free(tile);
}

/* ---- moving data ---- */

static void interleave_time(const float *x, const struct shape *xs, float *y)
{
    int64_t pixels = xs->dim[1] * xs->dim[2], half = xs->dim[3] / 2;
    for (int64_t t = 0; t < xs->dim[0]; t++)
        for (int part = 0; part < 2; part++)
            for (int64_t p = 0; p < pixels; p++, y += half)
                memcpy(y, x + ((t * pixels + p) * 2 + part) * half, (size_t)half * sizeof *y);
}

static void copy_rows(float *y, int64_t y_step, const float *x, int64_t x_step, int64_t cols, int64_t rows)
{
    for (int64_t r = 0; r < rows; r++)
        memcpy(y + r * y_step, x + r * x_step, (size_t)cols * sizeof *y);
}

void ref_run_node(const struct graph_node *n, const float *const *in, const struct shape *const *in_shape, float *out,
                  const struct shape *out_shape)
{
    const struct shape *xs = in_shape[0];
    int64_t rows = shape_rows(xs), cols = shape_cols(xs), count = shape_count(out_shape);

    switch (n->kind) {
    case OP_ADD:
    case OP_MUL:
        for (int64_t r = 0; r < rows; r++)
            binary_row(n->kind, in[0] + r * cols, in[1] + r * row_step(in_shape[1]), out + r * cols, cols);
        break;
    case OP_SCALE:
        scale_all(in[0], n->u.factor, out, count);
        break;
    case OP_ACT:
        activate_all(in[0], n->u.act, out, count);
        break;
    case OP_CLAMP:
        clamp_all(in[0], n->u.clamp.low, n->u.clamp.high, out, count);
        break;
    case OP_MODULATE:
        for (int64_t r = 0; r < rows; r++)
            modulate_row(in[0] + r * cols, in[1] + r * row_step(in_shape[1]), in[2] + r * row_step(in_shape[2]),
                         out + r * cols, cols);
        break;
    case OP_GATE_ADD:
        for (int64_t r = 0; r < rows; r++)
            gate_add_row(in[0] + r * cols, in[1] + r * cols, in[2] + r * row_step(in_shape[2]), out + r * cols, cols);
        break;
    case OP_RMS_NORM:
        for (int64_t r = 0; r < rows; r++)
            rms_norm_row(in[0] + r * cols, in[1], n->u.norm.inv_cols, n->u.norm.eps, out + r * cols, cols);
        break;
    case OP_LAYER_NORM:
        for (int64_t r = 0; r < rows; r++)
            layer_norm_row(in[0] + r * cols, in[1], in[2], n->u.norm.inv_cols, n->u.norm.eps, out + r * cols, cols);
        break;
    case OP_CHANNEL_NORM:
        for (int64_t r = 0; r < rows; r++)
            channel_norm_row(in[0] + r * cols, in[1], n->u.channel_norm.sqrt_cols, out + r * cols, cols);
        activate_all(out, n->u.channel_norm.act, out, count);
        break;
    case OP_LINEAR:
        linear(in[0], in[1], in[2], out, rows, cols, shape_cols(out_shape));
        activate_all(out, n->u.linear.act, out, count);
        break;
    case OP_ATTENTION:
        attention(n, in, in_shape, out);
        break;
    case OP_ROPE:
        for (int64_t r = 0; r < rows; r++) {
            int half = (int)(cols / n->u.rope.heads / 2);
            rope_row(in[0] + r * cols, in[1] + r * half, in[2] + r * half, n->u.rope.heads, half, n->u.rope.kind,
                     out + r * cols);
        }
        break;
    case OP_CONV:
        conv(n, in[0], xs, in[1], in[2], out, out_shape);
        activate_all(out, ACT_NONE, out, count);
        break;
    case OP_SLICE_ROWS:
        memcpy(out, in[0] + n->u.slice.first * (shape_count(xs) / xs->dim[0]), (size_t)count * sizeof *out);
        break;
    case OP_SLICE_COLS:
        copy_rows(out, n->u.slice.count, in[0] + n->u.slice.first, cols, n->u.slice.count, rows);
        break;
    case OP_CONCAT_ROWS:
        memcpy(out, in[0], (size_t)shape_count(xs) * sizeof *out);
        memcpy(out + shape_count(xs), in[1], (size_t)shape_count(in_shape[1]) * sizeof *out);
        break;
    case OP_INTERLEAVE_TIME:
        interleave_time(in[0], xs, out);
        break;
    case OP_STORE: /* the executor's: a state changes after all reads */
    case OP_COUNT:
        break;
    }
}

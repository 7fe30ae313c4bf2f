/* links: shotline_nn */
#include "common/nn/exec.h"

#include "common/base/arena.h"
#include "common/base/rng.h"
#include "common/nn/exact_math.h"
#include "common/nn/ops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The text of ops.h once more, one number at a time: what the oracle computes side by side must be the same bits. */

static float *numbers(uint64_t stream, int64_t count)
{
    float *to = xmalloc((size_t)count * sizeof *to);
    for (int64_t i = 0; i < count; i++)
        to[i] = rng_normal(20, stream, (uint64_t)i);
    return to;
}

struct bench {
    struct exec *x;
    struct graph *g;
};

/* Runs `result` of a graph of one input; the caller frees. */
static float *run(struct bench *b, value input, const float *in, value result)
{
    struct error err = { 0 };
    graph_output(b->g, result);
    struct program *p = program_new(b->x, b->g, NULL, &err);
    if (!p)
        fail_msg("%s", err.text);
    struct shape in_shape = graph_shape(b->g, input), out_shape = graph_shape(b->g, result);
    float *out = xmalloc((size_t)shape_count(&out_shape) * sizeof *out);
    assert_true(program_write(p, input, in, shape_count(&in_shape), &err));
    assert_true(program_run(p, &err));
    assert_true(program_read(p, result, out, shape_count(&out_shape), &err));
    program_free(&p);
    return out;
}

static void open_bench(struct bench *b)
{
    b->x = exec_open_ref();
    b->g = graph_new();
}

static void close_bench(struct bench *b)
{
    graph_free(&b->g);
    exec_drop_weights(b->x);
    assert_int_equal(exec_bytes_used(b->x), 0);
    exec_close(&b->x);
}

static void linear_sums_in_k_order(void **state)
{
    (void)state;
    static const int sizes[][3] = { { 1, 1, 1 }, { 5, 3, 17 }, { 6, 16, 16 }, { 13, 33, 31 }, { 7, 70, 50 } };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int rows = sizes[i][0], k = sizes[i][1], n = sizes[i][2];
        struct bench b;
        open_bench(&b);
        float *x = numbers(1, rows * k), *w = numbers(2, n * k), *bias = numbers(3, n);
        const struct weight weight = { "w", DTYPE_F32, SHAPE(n, k), w }, start = { "b", DTYPE_F32, SHAPE(n), bias };
        value in = graph_input(b.g, "x", SHAPE(rows, k));
        float *out =
            run(&b, in, x, op_linear(b.g, in, graph_weight(b.g, &weight), graph_weight(b.g, &start), ACT_GELU));
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < n; c++) {
                float acc = bias[c];
                for (int j = 0; j < k; j++)
                    acc = x_mac(acc, x[r * k + j], w[c * k + j]);
                float expected = x_snap(x_gelu(acc));
                assert_memory_equal(&out[r * n + c], &expected, sizeof expected);
            }
        free(x);
        free(w);
        free(bias);
        free(out);
        close_bench(&b);
    }
}

static float pixel(const float *x, const int64_t *size, int64_t t, int64_t y, int64_t w, int64_t c)
{
    if (t < 0 || y < 0 || w < 0 || t >= size[0] || y >= size[1] || w >= size[2])
        return 0;
    return x[((t * size[1] + y) * size[2] + w) * size[3] + c];
}

static void conv_sums_taps_then_channels(void **state)
{
    (void)state;
    static const struct conv cases[] = {
        { .upsample2 = false },
        { .pad_before = { 2, 1, 1 }, .pad_after = { 0, 1, 1 } },
        { .stride = { 2, 2, 2 }, .pad_after = { 0, 1, 1 } },
        { .pad_before = { 0, 1, 1 }, .pad_after = { 0, 1, 1 }, .upsample2 = true },
    };
    const int64_t in[4] = { 4, 5, 7, 3 };
    const int outs = 19;
    float *x = numbers(4, 4 * 5 * 7 * 3), *w = numbers(5, outs * 3 * 27);
    const struct weight weight = { "w", DTYPE_F32, SHAPE(outs, 3, 3, 3, 3), w };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct conv *c = &cases[i];
        struct bench b;
        open_bench(&b);
        value input = graph_input(b.g, "x", SHAPE(4, 5, 7, 3));
        value result = op_conv(b.g, input, graph_weight(b.g, &weight), VALUE_NONE, c);
        struct shape s = graph_shape(b.g, result);
        float *out = run(&b, input, x, result), *at = out;
        int scale = c->upsample2 ? 2 : 1;
        for (int64_t t = 0; t < s.dim[0]; t++)
            for (int64_t y = 0; y < s.dim[1]; y++)
                for (int64_t p = 0; p < s.dim[2]; p++)
                    for (int o = 0; o < outs; o++) {
                        float acc = 0;
                        for (int tap = 0; tap < 27; tap++)
                            for (int k = 0; k < 3; k++) {
                                int64_t from[3] = { t, y, p }, offset[3] = { tap / 9, tap / 3 % 3, tap % 3 };
                                for (int d = 0; d < 3; d++) {
                                    from[d] =
                                        from[d] * (c->stride[d] ? c->stride[d] : 1) + offset[d] - c->pad_before[d];
                                    from[d] = d && from[d] >= 0 ? from[d] / scale : from[d];
                                }
                                acc = x_mac(acc, pixel(x, in, from[0], from[1], from[2], k), w[(o * 3 + k) * 27 + tap]);
                            }
                        acc = x_snap(acc);
                        assert_memory_equal(at++, &acc, sizeof acc);
                    }
        free(out);
        close_bench(&b);
    }
    free(x);
    free(w);
}

struct reference_attention {
    const float *q, *k, *v, *bias, *mask;
    int rows, keys, heads, kv_heads, size, offset;
    float scale;
};

static void attend(const struct reference_attention *a, int row, int head, float *o)
{
    float m = -1e30f, l = 0;
    int kv = head / (a->heads / a->kv_heads);
    memset(o, 0, (size_t)a->size * sizeof *o);
    for (int j0 = 0; j0 < a->keys; j0 += ATTENTION_BLOCK) {
        float s[ATTENTION_BLOCK], top = m;
        bool see[ATTENTION_BLOCK] = { false }, any = false;
        for (int j = 0; j < ATTENTION_BLOCK && j0 + j < a->keys; j++) {
            float dot = 0;
            see[j] = j0 + j <= a->offset + row && (!a->mask || a->mask[j0 + j] != 0);
            if (!see[j])
                continue;
            for (int d = 0; d < a->size; d++)
                dot = x_mac(dot, a->q[(row * a->heads + head) * a->size + d],
                            a->k[((j0 + j) * a->kv_heads + kv) * a->size + d]);
            s[j] = dot * a->scale;
            if (a->bias)
                s[j] = s[j] + a->bias[(head * a->rows + row) * a->keys + j0 + j];
            top = s[j] > top ? s[j] : top;
            any = true;
        }
        if (!any)
            continue;
        float c = x_snap(x_exp(m - top));
        l = x_snap(l * c);
        for (int d = 0; d < a->size; d++)
            o[d] = x_snap(o[d] * c);
        for (int j = 0; j < ATTENTION_BLOCK; j++)
            if (see[j]) {
                float p = x_snap(x_exp(s[j] - top));
                l = l + p;
                for (int d = 0; d < a->size; d++)
                    o[d] = x_mac(o[d], p, a->v[((j0 + j) * a->kv_heads + kv) * a->size + d]);
            }
        m = top;
    }
    for (int d = 0; d < a->size; d++)
        o[d] = x_snap(o[d] * x_recip(l));
}

/* All values lie in one input, cut into rows: q, k, v have the same width here unless kv_heads says otherwise. */
static void attention_adds_blocks_in_order(void **state)
{
    (void)state;
    static const struct {
        int rows, keys, heads, kv_heads, size;
        bool bias, mask, causal;
    } cases[] = {
        { 1, 1, 1, 1, 3, false, false, false },  { 5, 16, 2, 2, 8, false, false, false },
        { 7, 37, 4, 2, 6, false, false, false }, { 9, 33, 3, 3, 5, true, false, false },
        { 4, 40, 2, 1, 24, false, true, false }, { 6, 26, 2, 2, 12, true, true, true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reference_attention a = { .rows = cases[i].rows,
                                         .keys = cases[i].keys,
                                         .heads = cases[i].heads,
                                         .kv_heads = cases[i].kv_heads,
                                         .size = cases[i].size,
                                         .scale = 0.37f,
                                         .offset = cases[i].causal ? cases[i].keys - cases[i].rows : cases[i].keys };
        int wide = a.heads * a.size, narrow = a.kv_heads * a.size;
        float *q = numbers(6, a.rows * wide), *k = numbers(7, a.keys * narrow), *v = numbers(8, a.keys * narrow);
        float *bias = numbers(9, a.heads * a.rows * a.keys), *mask = numbers(10, a.keys), offset = (float)a.offset;
        for (int j = 0; j < a.keys; j++)
            mask[j] = (j >= 16 && j < 32) || j % 3 == 1 ? 0.0f : 1.0f; /* a whole block is hidden */
        const struct weight wk = { "k", DTYPE_F32, SHAPE(a.keys, narrow), k },
                            wv = { "v", DTYPE_F32, SHAPE(a.keys, narrow), v };
        const struct weight wb = { "bias", DTYPE_F32, SHAPE(a.heads, a.rows, a.keys), bias };
        const struct weight wm = { "mask", DTYPE_F32, SHAPE(a.keys), mask },
                            wo = { "offset", DTYPE_F32, SHAPE(1), &offset };
        struct bench b;
        open_bench(&b);
        struct attention how = { .heads = a.heads, .kv_heads = a.kv_heads, .scale = a.scale };
        if (cases[i].bias)
            how.bias = graph_weight(b.g, &wb);
        if (cases[i].mask)
            how.mask = graph_weight(b.g, &wm);
        if (cases[i].causal)
            how.offset = graph_weight(b.g, &wo);
        a.q = q;
        a.k = k;
        a.v = v;
        a.bias = cases[i].bias ? bias : NULL;
        a.mask = cases[i].mask ? mask : NULL;
        value in = graph_input(b.g, "q", SHAPE(a.rows, wide));
        float *out = run(&b, in, q, op_attention(b.g, in, graph_weight(b.g, &wk), graph_weight(b.g, &wv), &how)), o[64];
        for (int r = 0; r < a.rows; r++)
            for (int h = 0; h < a.heads; h++) {
                attend(&a, r, h, o);
                assert_memory_equal(out + r * wide + h * a.size, o, (size_t)a.size * sizeof *o);
            }
        free(q);
        free(k);
        free(v);
        free(bias);
        free(mask);
        free(out);
        close_bench(&b);
    }
}

static float row_sum(const float *x, int n)
{
    float p[32] = { 0 };
    for (int i = 0; i < n; i++)
        p[i % 32] = p[i % 32] + x[i];
    for (int s = 16; s; s /= 2)
        for (int j = 0; j < s; j++)
            p[j] = p[j] + p[j + s];
    return p[0];
}

static void norms_use_the_row_sum(void **state)
{
    (void)state;
    static const int widths[] = { 1, 31, 32, 33, 64, 100 };
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        int n = widths[i], rows = 3;
        float *x = numbers(11, rows * n), *w = numbers(12, n), *bias = numbers(13, n),
              *square = xmalloc((size_t)n * sizeof(float));
        const struct weight weight = { "w", DTYPE_F32, SHAPE(n), w }, shift = { "b", DTYPE_F32, SHAPE(n), bias };
        float inv = 1.0f / (float)n;
        for (int kind = 0; kind < 3; kind++) {
            struct bench b;
            open_bench(&b);
            value in = graph_input(b.g, "x", SHAPE(rows, n)), wv = graph_weight(b.g, &weight), result;
            if (kind == 0)
                result = op_rms_norm(b.g, in, wv, 1e-6f);
            else if (kind == 1)
                result = op_layer_norm(b.g, in, wv, graph_weight(b.g, &shift), 1e-6f);
            else
                result = op_channel_norm(b.g, in, wv, ACT_SILU);
            float *out = run(&b, in, x, result);
            for (int r = 0; r < rows; r++) {
                const float *row = x + r * n;
                float mean = kind == 1 ? row_sum(row, n) * inv : 0;
                for (int c = 0; c < n; c++)
                    square[c] = (row[c] - mean) * (row[c] - mean);
                float sum = row_sum(square, n);
                for (int c = 0; c < n; c++) {
                    float d = row[c] - mean, y;
                    if (kind == 0)
                        y = d * x_rsqrt(sum * inv + 1e-6f) * w[c];
                    else if (kind == 1)
                        y = d * x_rsqrt(sum * inv + 1e-6f) * w[c] + bias[c];
                    else
                        y = x_silu(x_recip(fmaxf(x_sqrt(sum), 1e-12f)) * d * (sqrtf((float)n) * w[c]));
                    y = x_snap(y);
                    assert_memory_equal(&out[r * n + c], &y, sizeof y);
                }
            }
            free(out);
            close_bench(&b);
        }
        free(x);
        free(w);
        free(bias);
        free(square);
    }
}

/* A state is read as it was before the run, and keeps its rows for the next one. */
static void states_change_after_all_reads(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct exec *x = exec_open_ref();
    struct states *s = states_open(x);
    struct graph *g = graph_new();
    value in = graph_input(g, "in", SHAPE(1, 2)), at = graph_input(g, "at", SHAPE(1)),
          cache = graph_state(g, 0, SHAPE(3, 2));
    op_store(g, cache, in, at);
    value seen = op_scale(g, cache, 1.0f);
    graph_output(g, seen);
    struct program *p = program_new(x, g, s, &err);
    graph_free(&g);
    assert_non_null(p);
    float out[6];
    for (int i = 0; i < 3; i++) {
        const float row[2] = { (float)i + 1, (float)i + 10 }, where = (float)i;
        assert_true(program_write(p, in, row, 2, &err) && program_write(p, at, &where, 1, &err));
        assert_true(program_run(p, &err) && program_read(p, seen, out, 6, &err));
        assert_true(out[2 * i] == 0.0f && (i == 0 || out[2 * (i - 1)] == (float)i));
    }
    const float beyond = 3;
    assert_true(program_write(p, at, &beyond, 1, &err));
    assert_false(program_run(p, &err));
    assert_non_null(strstr(err.text, "rows [3, 4) do not fit state 0"));
    program_free(&p);
    states_close(&s);
    assert_int_equal(exec_bytes_used(x), 0);
    exec_close(&x);
}

static void wrong_use_is_said(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct exec *x = exec_open_ref();
    struct graph *g = graph_new();
    value in = graph_input(g, "in", SHAPE(2, 2)), out = op_scale(g, in, 2.0f);
    float data[4] = { 0 };
    graph_output(g, out);
    struct program *p = program_new(x, g, NULL, &err);
    assert_false(program_write(p, in, data, 3, &err));
    assert_string_equal(err.text, "input in has 3 elements, expected 4");
    assert_false(program_write(p, out, data, 4, &err));
    assert_false(program_read(p, in, data, 4, &err));
    program_free(&p);
    graph_free(&g);
    exec_close(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_sums_in_k_order),         cmocka_unit_test(conv_sums_taps_then_channels),
        cmocka_unit_test(attention_adds_blocks_in_order), cmocka_unit_test(norms_use_the_row_sum),
        cmocka_unit_test(states_change_after_all_reads),  cmocka_unit_test(wrong_use_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

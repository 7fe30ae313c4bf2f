/* Every operation on the device gives the bits of plain C: odd shapes, mild and wild magnitudes.
 *
 * Usage: test_ops LOAD_PATH [tiny]. `tiny` keeps to shapes that a slow device finishes in seconds. */
#include "tests/gpu/compare.h"

#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct exec *ref, *vk;
static uint64_t seed;
static bool tiny;

/* Each case is built twice: with mild and with wild numbers. */
#define BOTH(c)                                                                                                        \
    for (int both = 0; both < 2 && (case_open(&(c), seed++, both ? SPREAD_WILD : SPREAD_MILD), true); both++)

static void finish(struct test_case *c, const char *name, value out)
{
    case_output(c, out);
    case_compare(c, name, ref, vk, 1);
    case_free(c);
}

static bool skipped(int64_t work)
{
    return tiny && work > 60000;
}

static void elementwise_operations(void **state)
{
    (void)state;
    static const int shapes[][2] = {
        { 1, 1 }, { 3, 5 }, { 7, 12 }, { 17, 24 }, { 33, 192 }, { 1000, 20 }, { 5, 1000 }
    };
    struct test_case c;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int one_row = 0; one_row < 2; one_row++) {
            int64_t rows = shapes[i][0], cols = shapes[i][1];
            struct shape full = SHAPE(rows, cols), row = SHAPE(1, cols), *other = one_row ? &row : &full;
            BOTH(c)
            finish(&c, "add", op_add(c.g, case_input(&c, full), case_input(&c, *other)));
            BOTH(c)
            finish(&c, "mul", op_mul(c.g, case_input(&c, full), case_input(&c, *other)));
            BOTH(c)
            finish(&c, "modulate", op_modulate(c.g, case_input(&c, full), case_input(&c, *other), case_input(&c, row)));
            BOTH(c)
            finish(&c, "gate_add",
                   op_gate_add(c.g, case_input(&c, full), case_input(&c, full), case_input(&c, *other)));
            BOTH(c)
            finish(&c, "scale", op_scale(c.g, case_input(&c, full), 0.73f));
            BOTH(c)
            finish(&c, "clamp", op_clamp(c.g, case_input(&c, full), -0.5f, 0.25f));
            BOTH(c)
            finish(&c, "gelu", op_act(c.g, case_input(&c, full), ACT_GELU));
            BOTH(c)
            finish(&c, "silu", op_act(c.g, case_input(&c, full), ACT_SILU));
        }
}

/* A weight as an operand of an element-wise operation, in each type of a file. */
static void weights_of_every_type(void **state)
{
    (void)state;
    static const enum dtype types[] = { DTYPE_F32, DTYPE_F16, DTYPE_BF16 };
    struct test_case c;
    for (int i = 0; i < 3; i++) {
        case_open(&c, seed++, SPREAD_MILD);
        finish(&c, "weight", op_add(c.g, case_input(&c, SHAPE(9, 20)), case_weight(&c, SHAPE(1, 20), types[i])));
        case_open(&c, seed++, SPREAD_MILD);
        finish(&c, "linear",
               op_linear(c.g, case_input(&c, SHAPE(9, 20)), case_weight(&c, SHAPE(30, 20), types[i]),
                         case_weight(&c, SHAPE(30), types[i]), ACT_NONE));
    }
}

static void row_norms(void **state)
{
    (void)state;
    static const int shapes[][2] = { { 1, 4 },    { 5, 3 },    { 9, 12 },   { 17, 16 },  { 40, 20 },  { 3, 36 },
                                     { 100, 64 }, { 33, 100 }, { 21, 192 }, { 2, 1537 }, { 37, 260 }, { 3, 1536 } };
    struct test_case c;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct shape x = SHAPE(shapes[i][0], shapes[i][1]), w = SHAPE(shapes[i][1]);
        BOTH(c)
        finish(&c, "rms_norm", op_rms_norm(c.g, case_input(&c, x), case_weight(&c, w, DTYPE_F32), 1e-6f));
        BOTH(c)
        finish(&c, "rms_norm plain", op_rms_norm(c.g, case_input(&c, x), VALUE_NONE, 1e-6f));
        BOTH(c)
        finish(
            &c, "layer_norm",
            op_layer_norm(c.g, case_input(&c, x), case_weight(&c, w, DTYPE_F32), case_weight(&c, w, DTYPE_F32), 1e-6f));
        BOTH(c)
        finish(&c, "layer_norm plain", op_layer_norm(c.g, case_input(&c, x), VALUE_NONE, VALUE_NONE, 1e-6f));
        BOTH(c)
        finish(&c, "channel_norm", op_channel_norm(c.g, case_input(&c, x), case_weight(&c, w, DTYPE_F32), ACT_SILU));
        BOTH(c)
        finish(&c, "channel_norm plain",
               op_channel_norm(c.g, case_input(&c, x), case_weight(&c, w, DTYPE_F32), ACT_NONE));
    }
}

static void linear_shapes(void **state)
{
    (void)state;
    static const int shapes[][3] = { /* rows, k, n */
                                     { 1, 1, 1 },      { 1, 4, 5 },     { 1, 192, 1152 }, { 2, 64, 33 },
                                     { 3, 7, 10 },     { 4, 100, 65 },  { 5, 16, 16 },    { 17, 6, 3 },
                                     { 16, 20, 64 },   { 31, 33, 48 },  { 40, 192, 192 }, { 65, 12, 130 },
                                     { 100, 768, 40 }, { 37, 256, 100 }
    };
    struct test_case c;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int64_t m = shapes[i][0], k = shapes[i][1], n = shapes[i][2];
        if (skipped(m * k * n))
            continue;
        BOTH(c)
        finish(&c, "linear",
               op_linear(c.g, case_input(&c, SHAPE(m, k)), case_weight(&c, SHAPE(n, k), DTYPE_F32),
                         case_weight(&c, SHAPE(n), DTYPE_F32), ACT_NONE));
        BOTH(c)
        finish(
            &c, "linear without bias",
            op_linear(c.g, case_input(&c, SHAPE(m, k)), case_weight(&c, SHAPE(n, k), DTYPE_F32), VALUE_NONE, ACT_NONE));
    }
    for (int act = ACT_NONE; act <= ACT_SILU; act++) {
        case_open(&c, seed++, SPREAD_MILD);
        finish(&c, "linear with activation",
               op_linear(c.g, case_input(&c, SHAPE(2, 3, 24)), case_weight(&c, SHAPE(40, 6, 2, 2), DTYPE_BF16),
                         case_weight(&c, SHAPE(40), DTYPE_BF16), (enum activation)act));
        case_open(&c, seed++, SPREAD_MILD);
        finish(&c, "linear of a made matrix",
               op_linear(c.g, case_input(&c, SHAPE(19, 10)), op_scale(c.g, case_input(&c, SHAPE(21, 10)), 2.0f),
                         case_input(&c, SHAPE(21)), (enum activation)act));
    }
}

struct attention_shape {
    int lq, lk, heads, kv_heads, dims;
    bool bias, mask, offset;
};

static void attention_shapes(void **state)
{
    (void)state;
    static const struct attention_shape shapes[] = {
        { 1, 1, 1, 1, 4, false, false, false },     { 5, 7, 2, 2, 12, false, false, false },
        { 17, 33, 3, 3, 20, false, false, false },  { 16, 16, 2, 1, 24, false, false, false },
        { 40, 64, 6, 6, 32, false, false, false },  { 33, 48, 4, 4, 48, true, true, false },
        { 18, 20, 2, 2, 64, true, false, false },   { 9, 50, 2, 2, 16, false, true, false },
        { 13, 21, 2, 2, 16, true, true, false },    { 1, 40, 4, 2, 32, false, false, true },
        { 7, 40, 4, 2, 16, false, false, true },    { 20, 64, 2, 2, 128, false, false, true },
        { 6, 9, 2, 2, 7, false, false, false },     { 6, 18, 2, 1, 5, true, true, true },
        { 20, 35, 1, 1, 160, false, false, false }, { 8, 24, 1, 1, 384, false, false, false },
        { 5, 30, 2, 2, 150, false, true, false },
    };
    struct test_case c;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct attention_shape *s = &shapes[i];
        if (skipped((int64_t)s->lq * s->lk * s->heads * s->dims))
            continue;
        BOTH(c)
        {
            struct attention a = { .heads = s->heads, .kv_heads = s->kv_heads, .scale = 0.3f };
            value q = case_input(&c, SHAPE(s->lq, s->heads * s->dims));
            value k = case_input(&c, SHAPE(s->lk, s->kv_heads * s->dims));
            value v = case_input(&c, SHAPE(s->lk, s->kv_heads * s->dims));
            float mask[64];
            for (int j = 0; j < s->lk; j++) /* whole blocks are hidden too, never all keys */
                mask[j] = s->lk > 32 && j >= 16 && j < 32            ? 0.0f
                          : rng_uniform(seed, 99, (uint64_t)j) < 0.7 ? 1.0f
                                                                     : 0.0f;
            mask[s->offset ? 0 : s->lk - 1] = 1.0f;
            float offset = (float)(s->lk / 3);
            if (s->bias)
                a.bias = case_input(&c, SHAPE(s->heads, s->lq, s->lk));
            if (s->mask)
                a.mask = case_input_of(&c, SHAPE(s->lk), mask);
            if (s->offset)
                a.offset = case_input_of(&c, SHAPE(1), &offset);
            char name[64];
            snprintf(name, sizeof name, "attention %zu", i);
            finish(&c, name, op_attention(c.g, q, k, v, &a));
        }
    }
}

static void rope_kinds(void **state)
{
    (void)state;
    static const int shapes[][3] = { { 1, 1, 2 }, { 5, 2, 6 }, { 9, 3, 16 }, { 30, 6, 32 }, { 3, 2, 20 } };
    struct test_case c;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int kind = ROPE_PAIRS; kind <= ROPE_HALF; kind++) {
            int64_t rows = shapes[i][0], heads = shapes[i][1], dims = shapes[i][2];
            BOTH(c)
            finish(&c, "rope",
                   op_rope(c.g, case_input(&c, SHAPE(rows, heads * dims)), case_input(&c, SHAPE(rows, dims / 2)),
                           case_input(&c, SHAPE(rows, dims / 2)), (int)heads, (enum rope_kind)kind));
        }
}

struct conv_shape {
    int in[4], out, kernel[3];
    struct conv how;
};

static void conv_shapes(void **state)
{
    (void)state;
    static const struct conv_shape shapes[] = {
        { { 1, 1, 1, 1 }, 1, { 1, 1, 1 }, { .upsample2 = false } },
        { { 2, 3, 5, 4 }, 7, { 1, 1, 1 }, { .upsample2 = false } },
        { { 3, 6, 5, 8 }, 16, { 3, 3, 3 }, { .pad_before = { 2, 1, 1 }, .pad_after = { 0, 1, 1 } } },
        { { 5, 5, 7, 3 }, 12, { 3, 3, 3 }, { .pad_before = { 0, 1, 1 }, .pad_after = { 0, 1, 1 } } },
        { { 1, 9, 8, 6 }, 3, { 1, 3, 3 }, { .stride = { 1, 2, 2 }, .pad_after = { 0, 1, 1 } } },
        { { 5, 3, 3, 12 }, 20, { 3, 1, 1 }, { .stride = { 2, 1, 1 } } },
        { { 2, 4, 6, 16 }, 8, { 1, 3, 3 }, { .pad_before = { 0, 1, 1 }, .pad_after = { 0, 1, 1 }, .upsample2 = true } },
        { { 3, 5, 4, 20 }, 3, { 3, 3, 3 }, { .pad_before = { 0, 1, 1 }, .pad_after = { 0, 1, 1 } } },
        { { 1, 7, 7, 5 }, 2, { 1, 3, 3 }, { .pad_before = { 0, 2, 0 }, .pad_after = { 0, 0, 2 } } },
        { { 1, 12, 10, 4 }, 17, { 1, 4, 2 }, { .stride = { 1, 4, 2 } } },
        { { 2, 8, 9, 32 }, 40, { 3, 3, 3 }, { .pad_before = { 2, 1, 1 }, .pad_after = { 0, 1, 1 } } },
    };
    struct test_case c;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct conv_shape *s = &shapes[i];
        if (skipped((int64_t)s->in[0] * s->in[1] * s->in[2] * s->in[3] * s->out * s->kernel[0] * s->kernel[1] *
                    s->kernel[2]))
            continue;
        BOTH(c)
        {
            value x = case_input(&c, SHAPE(s->in[0], s->in[1], s->in[2], s->in[3]));
            value w =
                s->kernel[0] == 1 && i % 2 == 0
                    ? case_weight(&c, SHAPE(s->out, s->in[3], s->kernel[1], s->kernel[2]), DTYPE_F32)
                    : case_weight(&c, SHAPE(s->out, s->in[3], s->kernel[0], s->kernel[1], s->kernel[2]), DTYPE_F32);
            value b = i % 3 == 0 ? VALUE_NONE : case_weight(&c, SHAPE(s->out), DTYPE_F32);
            char name[64];
            snprintf(name, sizeof name, "conv %zu", i);
            finish(&c, name, op_conv(c.g, x, w, b, &s->how));
        }
    }
}

static void moving_data(void **state)
{
    (void)state;
    struct test_case c;
    BOTH(c)
    finish(&c, "reshape", op_scale(c.g, op_reshape(c.g, case_input(&c, SHAPE(6, 10)), SHAPE(4, 15)), 2.0f));
    for (int first = 0; first < 20; first += 3) {
        BOTH(c)
        finish(&c, "slice_rows", op_slice_rows(c.g, case_input(&c, SHAPE(23, 16)), first, 3));
        BOTH(c)
        finish(&c, "slice_cols", op_slice_cols(c.g, case_input(&c, SHAPE(19, 24)), first, 4));
        BOTH(c)
        finish(&c, "slice of a slice",
               op_act(c.g,
                      op_slice_rows(
                          c.g, op_slice_rows(c.g, op_scale(c.g, case_input(&c, SHAPE(24, 16)), 3.0f), first, 4), 1, 2),
                      ACT_SILU));
    }
    BOTH(c)
    finish(&c, "concat_rows", op_concat_rows(c.g, case_input(&c, SHAPE(3, 5, 2)), case_input(&c, SHAPE(4, 5, 2))));
    BOTH(c)
    finish(&c, "interleave_time", op_interleave_time(c.g, case_input(&c, SHAPE(3, 4, 5, 6))));
}

/* Intermediates share memory: a deep graph with values that live long and short. */
static void a_deep_graph(void **state)
{
    (void)state;
    struct test_case c;
    BOTH(c)
    {
        value x = case_input(&c, SHAPE(50, 32)), keep = x;
        for (int i = 0; i < 8; i++) {
            value w = case_weight(&c, SHAPE(32, 32), DTYPE_F32);
            value y = op_rms_norm(c.g, x, VALUE_NONE, 1e-5f);
            value z = op_linear(c.g, y, w, VALUE_NONE, i % 2 ? ACT_GELU : ACT_SILU);
            value s = op_slice_rows(c.g, z, i, 20);
            if (i == 2)
                keep = s;
            x = op_add(c.g, x, op_concat_rows(c.g, op_slice_rows(c.g, z, 20, 30), s));
            x = op_layer_norm(c.g, x, VALUE_NONE, VALUE_NONE, 1e-5f);
        }
        case_output(&c, keep);
        case_output(&c, op_scale(c.g, keep, 3.0f));
        finish(&c, "deep graph", x);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "Usage: test_ops texel|storage [tiny]\n");
        return 2;
    }
    tiny = argc > 2 && strcmp(argv[2], "tiny") == 0;
    seed = test_seed();
    ref = exec_open_ref();
    vk = open_device(argv[1], false);
    if (!vk) {
        exec_close(&ref);
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise_operations),
        cmocka_unit_test(weights_of_every_type),
        cmocka_unit_test(row_norms),
        cmocka_unit_test(linear_shapes),
        cmocka_unit_test(attention_shapes),
        cmocka_unit_test(rope_kinds),
        cmocka_unit_test(conv_shapes),
        cmocka_unit_test(moving_data),
        cmocka_unit_test(a_deep_graph),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    exec_close(&vk);
    exec_close(&ref);
    return failed;
}

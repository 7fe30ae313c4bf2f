/* links: shotline_nn */
#include "common/nn/ops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void shapes_follow_the_operations(void **state)
{
    (void)state;
    struct graph *g = graph_new();
    const float none[1] = { 0 };
    const struct weight w = { "w", DTYPE_F32, SHAPE(7, 3, 1, 2, 2), none },
                        c = { "c", DTYPE_F32, SHAPE(5, 4, 3, 3, 3), none };
    value x = graph_input(g, "x", SHAPE(10, 12)), video = graph_input(g, "video", SHAPE(5, 8, 9, 4));

    struct shape s = graph_shape(g, op_linear(g, x, graph_weight(g, &w), VALUE_NONE, ACT_NONE));
    assert_true(shape_equal(&s, &SHAPE(10, 7))); /* a patch embedding's kernel counts as a matrix */
    s = graph_shape(g, op_conv(g, video, graph_weight(g, &c), VALUE_NONE,
                               &(struct conv){ .stride = { 2, 2, 1 }, .pad_after = { 0, 1, 1 }, .upsample2 = true }));
    assert_true(shape_equal(&s, &SHAPE(2, 8, 17, 5)));
    s = graph_shape(g, op_interleave_time(g, video));
    assert_true(shape_equal(&s, &SHAPE(10, 8, 9, 2)));
    s = graph_shape(g, op_slice_cols(g, x, 4, 3));
    assert_true(shape_equal(&s, &SHAPE(10, 3)));
    s = graph_shape(g, op_concat_rows(g, op_slice_rows(g, video, 1, 2), video));
    assert_true(shape_equal(&s, &SHAPE(7, 8, 9, 4)));
    s = graph_shape(g, op_reshape(g, x, SHAPE(4, 30)));
    assert_true(shape_equal(&s, &SHAPE(4, 30)));
    assert_true(graph_ok(g, NULL));
    graph_free(&g);
}

/* The first failure is kept with its scope; everything after it is quiet. */
static void first_failure_names_scope_and_shapes(void **state)
{
    (void)state;
    struct graph *g = graph_new();
    struct error err = { 0 };
    value a = graph_input(g, "a", SHAPE(4, 6)), b = graph_input(g, "b", SHAPE(4, 5));
    graph_enter(g, "blocks.%d", 3);
    graph_enter(g, "attn1");
    value bad = op_add(g, a, b);
    assert_int_equal(bad.index, 0);
    graph_leave(g);
    graph_leave(g);
    bad = op_mul(g, bad, a);
    assert_int_equal(bad.index, 0);
    op_store(g, bad, a, VALUE_NONE);
    graph_output(g, bad);
    assert_false(graph_ok(g, &err));
    assert_string_equal(err.text,
                        "blocks.3 > attn1: add: second is neither the first's shape nor one row of it: [4, 6] (a) "
                        "and [4, 5] (b)");
    graph_free(&g);
}

/* Every constructor refuses what does not fit. */
static void misfits_are_refused(void **state)
{
    (void)state;
    const float none[1] = { 0 };
    const struct weight w = { "w", DTYPE_F32, SHAPE(7, 5), none };
    for (int i = 0;; i++) {
        struct graph *g = graph_new();
        value x = graph_input(g, "x", SHAPE(10, 12)), row = graph_input(g, "row", SHAPE(12)),
              y = graph_input(g, "y", SHAPE(3, 4, 5, 6));
        value odd = graph_input(g, "odd", SHAPE(3, 4, 5, 7)), cache = graph_state(g, 1, SHAPE(4, 12));
        value m = graph_weight(g, &w);
        assert_true(graph_ok(g, NULL));
        switch (i) {
        case 0:
            op_linear(g, x, m, VALUE_NONE, ACT_NONE);
            break;
        case 1:
            op_rms_norm(g, x, m, 1e-6f);
            break;
        case 2:
            op_layer_norm(g, x, row, VALUE_NONE, 1e-6f);
            break;
        case 3:
            op_channel_norm(g, y, row, ACT_NONE);
            break;
        case 4:
            op_modulate(g, x, row, m);
            break;
        case 5:
            op_gate_add(g, x, row, row);
            break;
        case 6:
            op_attention(g, x, x, x, &(struct attention){ .heads = 5, .kv_heads = 5 });
            break;
        case 7:
            op_attention(g, x, x, x, &(struct attention){ .heads = 4, .kv_heads = 3 });
            break;
        case 8:
            op_attention(g, x, x, x, &(struct attention){ .heads = 4, .kv_heads = 4, .mask = row });
            break;
        case 9:
            op_attention(g, x, x, x, &(struct attention){ .heads = 4, .kv_heads = 2 });
            break;
        case 10:
            op_rope(g, x, row, row, 2, ROPE_PAIRS);
            break;
        case 11:
            op_conv(g, x, m, VALUE_NONE, &(struct conv){ 0 });
            break;
        case 12:
            op_conv(g, y, m, VALUE_NONE, &(struct conv){ 0 });
            break;
        case 13:
            op_reshape(g, x, SHAPE(11, 11));
            break;
        case 14:
            op_slice_rows(g, x, 8, 3);
            break;
        case 15:
            op_slice_cols(g, x, -1, 3);
            break;
        case 16:
            op_concat_rows(g, x, m);
            break;
        case 17:
            op_interleave_time(g, odd);
            break;
        case 18:
            op_store(g, x, x, VALUE_NONE);
            break;
        case 19:
            op_store(g, cache, x, VALUE_NONE);
            break; /* 10 rows into 4 */
        case 20:
            op_store(g, cache, cache, VALUE_NONE);
            break;
        case 21:
            graph_state(g, 1, SHAPE(5, 12));
            break;
        case 22:
            graph_input(g, "z", SHAPE(0, 4));
            break;
        case 23:
            graph_input(g, "z", SHAPE(INT64_MAX / 2, 4));
            break;
        case 24:
            graph_weight(g, NULL);
            break;
        default:
            graph_free(&g);
            assert_int_equal(i, 25);
            return;
        }
        if (graph_ok(g, NULL))
            fail_msg("case %d was accepted", i);
        graph_free(&g);
    }
}

static void one_slot_is_one_value(void **state)
{
    (void)state;
    struct graph *g = graph_new();
    value a = graph_state(g, 3, SHAPE(2, 2)), b = graph_state(g, 3, SHAPE(2, 2));
    assert_int_equal(a.index, b.index);
    graph_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_follow_the_operations),
        cmocka_unit_test(first_failure_names_scope_and_shapes),
        cmocka_unit_test(misfits_are_refused),
        cmocka_unit_test(one_slot_is_one_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

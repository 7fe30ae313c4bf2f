/* Programs on the device: shared states, stores, split bindings, limits, device choice, the pipeline cache, the
 * validation layer. */
#include "tests/gpu/compare.h"

#include "common/base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t seed;

static struct exec *open_or_skip(const struct exec_options *o)
{
    struct error err = { 0 };
    struct exec *x = exec_open_vk(o, &err);
    if (!x)
        fail_msg("%s", err.text);
    return x;
}

/* A graph that keeps a running sum and its last input: reads see the state as it was before the run. */
static void a_state_is_read_before_it_is_stored(void **state)
{
    (void)state;
    struct exec *ref = exec_open_ref(), *vk = open_or_skip(&(struct exec_options){ 0 });
    struct test_case c;
    case_open(&c, seed++, SPREAD_MILD);
    value x = case_input(&c, SHAPE(6, 20));
    value sum = graph_state(c.g, 0, SHAPE(6, 20)), last = graph_state(c.g, 1, SHAPE(6, 20));
    value more = op_add(c.g, sum, x);
    op_store(c.g, sum, more, VALUE_NONE);
    op_store(c.g, last, op_scale(c.g, sum, 1.0f), VALUE_NONE); /* the sum of before */
    case_output(&c, op_add(c.g, op_scale(c.g, last, 2.0f), sum));
    case_output(&c, more);
    case_compare(&c, "states", ref, vk, 4);
    case_free(&c);
    exec_close(&vk);
    exec_close(&ref);
}

/* Three programs with other shapes meet in one state, as prefill and decode steps of a language model do. */
static void programs_share_states(void **state)
{
    (void)state;
    struct exec *both[2] = { exec_open_ref(), open_or_skip(&(struct exec_options){ 0 }) };
    float got[2][24 * 8];
    float prompt[7 * 8], step[8];
    for (int i = 0; i < 7 * 8; i++)
        prompt[i] = (float)(i % 13) - 6.0f;
    for (int i = 0; i < 8; i++)
        step[i] = 0.125f * (float)i;
    for (int e = 0; e < 2; e++) {
        struct error err = { 0 };
        struct states *s = states_open(both[e]);
        struct graph *fill = graph_new(), *one = graph_new(), *show = graph_new();
        value many = graph_input(fill, "many", SHAPE(7, 8));
        op_store(fill, graph_state(fill, 3, SHAPE(24, 8)), many, VALUE_NONE);
        value row = graph_input(one, "row", SHAPE(1, 8)), at = graph_input(one, "at", SHAPE(1));
        op_store(one, graph_state(one, 3, SHAPE(24, 8)), row, at);
        value shown = op_scale(show, graph_state(show, 3, SHAPE(24, 8)), 2.0f);
        graph_output(show, shown);
        struct program *p = program_new(both[e], fill, s, &err), *q = program_new(both[e], one, s, &err);
        struct program *r = program_new(both[e], show, s, &err);
        assert_true(p && q && r);
        graph_free(&fill);
        graph_free(&one);
        graph_free(&show);
        assert_true(program_write(p, many, prompt, 7 * 8, &err) && program_run(p, &err));
        for (int i = 7; i < 24; i++) {
            const float place = (float)i;
            assert_true(program_write(q, row, step, 8, &err) && program_write(q, at, &place, 1, &err));
            assert_true(program_run(q, &err));
        }
        assert_true(program_run(r, &err) && program_read(r, shown, got[e], 24 * 8, &err));
        /* One row too far is refused by name. */
        const float beyond = 24.0f;
        assert_true(program_write(q, at, &beyond, 1, &err));
        assert_false(program_run(q, &err));
        assert_non_null(strstr(err.text, "state 3"));
        program_free(&p);
        program_free(&q);
        program_free(&r);
        states_close(&s);
        exec_close(&both[e]);
    }
    assert_memory_equal(got[0], got[1], sizeof got[0]);
    assert_true(got[1][23 * 8 + 7] == 1.75f);
}

static void split_graph(struct test_case *c)
{
    value x = case_input(c, SHAPE(90, 36));
    value w = case_weight(c, SHAPE(70, 36), DTYPE_F32), gate = case_input(c, SHAPE(1, 70));
    value y = op_linear(c->g, x, w, case_weight(c, SHAPE(70), DTYPE_F32), ACT_NONE);
    case_output(c, y);
    case_output(c, op_gate_add(c->g, y, op_act(c->g, y, ACT_SILU), gate));
    case_output(c, op_layer_norm(c->g, y, VALUE_NONE, VALUE_NONE, 1e-6f));
    case_output(c, op_rope(c->g, x, case_input(c, SHAPE(90, 6)), case_input(c, SHAPE(90, 6)), 3, ROPE_PAIRS));
    case_output(c, op_slice_cols(c->g, y, 5, 31));
    const struct attention a = { .heads = 1, .kv_heads = 1, .scale = 0.2f };
    value k = case_input(c, SHAPE(20, 36));
    case_output(c, op_attention(c->g, x, k, k, &a));
    value v = case_input(c, SHAPE(5, 6, 7, 10));
    const struct conv how = { .pad_before = { 2, 1, 1 }, .pad_after = { 0, 1, 1 } };
    value u = op_conv(c->g, v, case_weight(c, SHAPE(12, 10, 3, 3, 3), DTYPE_F32), VALUE_NONE, &how);
    case_output(c, op_interleave_time(c->g, u));
    case_output(c, u);
}

/* Layers of unequal widths and types, a convolution, one weight that is read twice (once as it is), and a state. */
static void layers_graph(struct test_case *c)
{
    static const int width[] = { 36, 70, 36, 130, 36, 17, 36 };
    static const enum dtype type[] = { DTYPE_F32, DTYPE_F16, DTYPE_BF16 };
    value x = case_input(c, SHAPE(21, 36)), seen = graph_state(c->g, 0, SHAPE(21, 36));
    value twice = case_weight(c, SHAPE(36, 36), DTYPE_F16);
    for (int i = 0; i < 6; i++) {
        value w = case_weight(c, SHAPE(width[i + 1], width[i]), type[i % 3]);
        x = op_linear(c->g, x, w, i % 2 ? case_weight(c, SHAPE(width[i + 1]), DTYPE_F32) : VALUE_NONE, ACT_SILU);
        if (i % 2)
            x = op_linear(c->g, op_rms_norm(c->g, x, VALUE_NONE, 1e-6f), twice, VALUE_NONE, ACT_NONE);
    }
    x = op_add(c->g, op_add(c->g, x, op_slice_rows(c->g, twice, 0, 21)), seen);
    op_store(c->g, seen, x, VALUE_NONE);
    case_output(c, x);
    const struct conv how = { .pad_before = { 2, 1, 1 }, .pad_after = { 0, 1, 1 } };
    value v = op_reshape(c->g, x, SHAPE(3, 3, 7, 12));
    for (int i = 0; i < 3; i++)
        v = op_conv(c->g, v, case_weight(c, SHAPE(12, 12, 3, 3, 3), type[i]), case_weight(c, SHAPE(12), DTYPE_F32),
                    &how);
    case_output(c, v);
}

/* Weights that every run brings anew give the same bits as those that stay, and as plain C, in every run. */
static void streamed_weights_change_no_bit(void **state)
{
    (void)state;
    struct exec *ref = exec_open_ref();
    for (int path = 0; path < 2; path++) {
        struct exec *vk =
            open_or_skip(&(struct exec_options){ .load_path = path ? "storage" : NULL, .validate = true });
        for (int wild = 0; wild < 2; wild++) {
            struct test_case c;
            case_open(&c, seed++, wild ? SPREAD_WILD : SPREAD_MILD);
            layers_graph(&c);
            for (int streamed = 0; streamed < 2; streamed++) {
                exec_stream_weights(vk, streamed);
                case_compare(&c, streamed ? "streamed" : "kept", ref, vk, 3);
            }
            case_free(&c);
        }
        exec_close(&vk);
    }
    exec_close(&ref);
}

/* Twelve layers need the room of two, whichever programs read them, and leave nothing behind. */
static void streamed_weights_need_the_room_of_two_layers(void **state)
{
    (void)state;
    enum { LAYERS = 12, WIDTH = 256, BYTES = WIDTH * WIDTH * (int)sizeof(float) };
    int64_t used[2];
    for (int streamed = 0; streamed < 2; streamed++) {
        struct exec *x = open_or_skip(&(struct exec_options){ 0 });
        struct error err = { 0 };
        struct program *p[2];
        struct test_case c;
        case_open(&c, seed, SPREAD_MILD);
        value v = case_input(&c, SHAPE(1, WIDTH));
        for (int i = 0; i < LAYERS; i++)
            v = op_linear(c.g, v, case_weight(&c, SHAPE(WIDTH, WIDTH), DTYPE_F32), VALUE_NONE, ACT_NONE);
        case_output(&c, v);
        exec_stream_weights(x, streamed);
        for (int i = 0; i < 2; i++) {
            p[i] = program_new(x, c.g, NULL, &err);
            assert_true(p[i] && program_run(p[i], &err));
        }
        used[streamed] = exec_bytes_used(x);
        program_free(&p[0]);
        assert_true(program_run(p[1], &err)); /* it shares the ring, which stays */
        program_free(&p[1]);
        exec_drop_weights(x);
        assert_int_equal(exec_bytes_used(x), 0);
        exec_close(&x);
        case_free(&c);
    }
    assert_true(used[0] >= LAYERS * BYTES);
    assert_true(used[1] >= 2 * BYTES && used[1] < 3 * BYTES);
}

/* Tensors over the device's binding range are done in parts; the range is made small here, so that small tensors are.
 */
static void split_at(const char *path, int64_t range)
{
    struct exec *ref = exec_open_ref();
    struct exec *vk = open_or_skip(&(struct exec_options){ .load_path = path, .max_range_bytes = range });
    for (int wild = 0; wild < 2; wild++) {
        struct test_case c;
        case_open(&c, seed++, wild ? SPREAD_WILD : SPREAD_MILD);
        split_graph(&c);
        case_compare(&c, "split", ref, vk, 1);
        case_free(&c);
    }
    exec_close(&vk);
    exec_close(&ref);
}

static void large_tensors_are_split_texel(void **state)
{
    (void)state;
    split_at("texel", 6000);
}

static void large_tensors_are_split_storage(void **state)
{
    (void)state;
    split_at("storage", 14000);
}

static void what_cannot_be_split_is_refused(void **state)
{
    (void)state;
    struct exec *vk = open_or_skip(&(struct exec_options){ .max_range_bytes = 4096 });
    struct error err = { 0 };
    struct graph *g = graph_new();
    graph_output(g, op_layer_norm(g, graph_input(g, "x", SHAPE(2, 5000)), VALUE_NONE, VALUE_NONE, 1e-6f));
    struct program *p = program_new(vk, g, NULL, &err);
    assert_null(p);
    assert_int_equal(err.kind, ERROR_MEMORY);
    graph_free(&g);
    exec_close(&vk);
}

static void too_little_memory_is_an_error_of_its_kind(void **state)
{
    (void)state;
    struct exec *vk = open_or_skip(&(struct exec_options){ .max_bytes = 1 << 20 });
    struct error err = { 0 };
    struct graph *g = graph_new();
    value x = graph_input(g, "x", SHAPE(1000, 1000));
    graph_output(g, op_act(g, x, ACT_SILU));
    assert_null(program_new(vk, g, NULL, &err));
    assert_int_equal(err.kind, ERROR_MEMORY);
    graph_free(&g);
    int64_t after = exec_bytes_used(vk);
    g = graph_new(); /* and what fits still runs */
    x = graph_input(g, "x", SHAPE(100, 100));
    graph_output(g, op_act(g, x, ACT_SILU));
    struct program *p = program_new(vk, g, NULL, &err);
    assert_non_null(p);
    assert_true(program_run(p, &err));
    assert_true(exec_bytes_peak(vk) >= exec_bytes_used(vk) && exec_bytes_used(vk) > after);
    program_free(&p);
    assert_int_equal(exec_bytes_used(vk), after);
    graph_free(&g);
    exec_close(&vk);
}

/* Values that never live at once share memory. */
static void a_long_chain_needs_few_buffers(void **state)
{
    (void)state;
    struct exec *vk = open_or_skip(&(struct exec_options){ 0 });
    struct error err = { 0 };
    struct graph *g = graph_new();
    value x = graph_input(g, "x", SHAPE(64, 1024));
    for (int i = 0; i < 50; i++)
        x = op_concat_rows(g, op_slice_rows(g, x, 32, 32), op_act(g, op_slice_rows(g, x, 0, 32), ACT_SILU));
    graph_output(g, x);
    struct program *p = program_new(vk, g, NULL, &err);
    assert_non_null(p);
    assert_true(exec_bytes_used(vk) < 5 * 64 * 1024 * 4);
    program_free(&p);
    graph_free(&g);
    exec_close(&vk);
}

static void devices_are_chosen_by_index_and_name(void **state)
{
    (void)state;
    struct error err = { 0 };
    assert_null(exec_open_vk(&(struct exec_options){ .device = "no such device" }, &err));
    assert_int_equal(err.kind, ERROR_USAGE);
    assert_null(exec_open_vk(&(struct exec_options){ .device = "99" }, &err));
    assert_int_equal(err.kind, ERROR_USAGE);
    struct exec *first = open_or_skip(&(struct exec_options){ .device = "0" });
    char part[8] = { 0 };
    memcpy(part, exec_device_name(first), sizeof part - 1);
    struct exec *named = open_or_skip(&(struct exec_options){ .device = part });
    assert_string_equal(exec_device_name(first), exec_device_name(named));
    exec_close(&first);
    exec_close(&named);
    assert_null(exec_open_vk(&(struct exec_options){ .load_path = "sideways" }, &err));
    assert_int_equal(err.kind, ERROR_USAGE);
}

static void run_small(struct exec *x)
{
    struct error err = { 0 };
    struct graph *g = graph_new();
    graph_output(g, op_act(g, graph_input(g, "x", SHAPE(3, 8)), ACT_GELU));
    struct program *p = program_new(x, g, NULL, &err);
    assert_non_null(p);
    assert_true(program_run(p, &err));
    program_free(&p);
    graph_free(&g);
}

/* The cache is written when the device closes; a damaged one is as good as none. */
static void pipelines_are_kept_on_disk(void **state)
{
    (void)state;
    char dir[] = "/tmp/shotline-cache-XXXXXX", command[128], name[160] = { 0 };
    assert_non_null(mkdtemp(dir));
    for (int round = 0; round < 3; round++) {
        struct exec *x = open_or_skip(&(struct exec_options){ .cache_dir = dir });
        run_small(x);
        exec_close(&x);
        snprintf(command, sizeof command, "ls %s/pipelines-*.bin", dir);
        FILE *f = popen(command, "r");
        assert_non_null(f);
        assert_non_null(fgets(name, sizeof name, f));
        pclose(f);
        name[strcspn(name, "\n")] = '\0';
        struct error err = { 0 };
        if (round == 1)
            assert_true(file_write(name, "no cache at all", 15, &err));
    }
    assert_true(file_remove_tree(dir, NULL));
}

static void the_validation_layer_has_nothing_to_say(void **state)
{
    (void)state;
    struct exec *ref = exec_open_ref();
    for (int path = 0; path < 2; path++) {
        struct error err = { 0 };
        struct exec *vk = exec_open_vk(
            &(struct exec_options){ .load_path = path ? "storage" : "texel", .validate = true, .time_kernels = true },
            &err);
        if (!vk && strstr(err.text, "not installed"))
            skip();
        if (!vk)
            fail_msg("%s", err.text);
        struct test_case c;
        case_open(&c, seed++, SPREAD_MILD);
        split_graph(&c);
        value kept = graph_state(c.g, 0, SHAPE(90, 36));
        op_store(c.g, kept, op_concat_rows(c.g, case_input(&c, SHAPE(40, 36)), case_input(&c, SHAPE(50, 36))),
                 VALUE_NONE);
        case_output(&c, op_scale(c.g, kept, 2.0f));
        case_compare(&c, "validated", ref, vk, 2);
        case_free(&c);
        exec_close(&vk);
    }
    exec_close(&ref);
}

int main(void)
{
    struct error err = { 0 };
    struct exec *x = exec_open_vk(&(struct exec_options){ 0 }, &err);
    if (!x) {
        printf("no device: %s\n", err.text);
        return 77;
    }
    exec_close(&x);
    seed = test_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_is_read_before_it_is_stored),
        cmocka_unit_test(programs_share_states),
        cmocka_unit_test(streamed_weights_change_no_bit),
        cmocka_unit_test(streamed_weights_need_the_room_of_two_layers),
        cmocka_unit_test(large_tensors_are_split_texel),
        cmocka_unit_test(large_tensors_are_split_storage),
        cmocka_unit_test(what_cannot_be_split_is_refused),
        cmocka_unit_test(too_little_memory_is_an_error_of_its_kind),
        cmocka_unit_test(a_long_chain_needs_few_buffers),
        cmocka_unit_test(devices_are_chosen_by_index_and_name),
        cmocka_unit_test(pipelines_are_kept_on_disk),
        cmocka_unit_test(the_validation_layer_has_nothing_to_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

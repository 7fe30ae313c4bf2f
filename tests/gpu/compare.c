#include "tests/gpu/compare.h"

#include "common/base/arena.h"
#include "common/base/rng.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void case_open(struct test_case *c, uint64_t seed, enum spread spread)
{
    *c = (struct test_case){ .g = graph_new(), .seed = seed, .spread = spread };
}

void case_free(struct test_case *c)
{
    for (int i = 0; i < c->ports; i++)
        free(c->port[i].data);
    for (int i = 0; i < c->weights; i++) {
        free((void *)c->weight[i]->data);
        free(c->weight[i]);
    }
    graph_free(&c->g);
}

static float one(const struct test_case *c, uint64_t stream, uint64_t i)
{
    double u = rng_uniform(c->seed, stream, 3 * i);
    double sign = rng_uniform(c->seed, stream, 3 * i + 1) < 0.5 ? -1.0 : 1.0;
    if (c->spread == SPREAD_MILD)
        return (float)(sign * (u + 1e-6));
    double pick = rng_uniform(c->seed, stream, 3 * i + 2);
    if (pick < 0.05)
        return 0.0f;
    int exponent = (int)(pick * 69.0) - 50; /* 2^-50 .. 2^18 */
    double m = sign * (1.0 + u);
    for (; exponent > 0; exponent--)
        m *= 2.0;
    for (; exponent < 0; exponent++)
        m *= 0.5;
    return (float)m;
}

float *case_floats(struct test_case *c, int64_t count)
{
    float *data = xmalloc((size_t)count * sizeof *data);
    uint64_t stream = c->next++;
    for (int64_t i = 0; i < count; i++)
        data[i] = one(c, stream, (uint64_t)i);
    return data;
}

static value add_input(struct test_case *c, struct shape shape, float *data)
{
    char name[32];
    assert_true(c->ports < CASE_MAX_VALUES);
    snprintf(name, sizeof name, "in%d", c->ports);
    value v = graph_input(c->g, name, shape);
    c->port[c->ports].v = v;
    c->port[c->ports].data = data;
    c->port[c->ports].count = shape_count(&shape);
    c->port[c->ports++].input = true;
    return v;
}

value case_input(struct test_case *c, struct shape shape)
{
    return add_input(c, shape, case_floats(c, shape_count(&shape)));
}

value case_input_of(struct test_case *c, struct shape shape, const float *data)
{
    size_t bytes = (size_t)shape_count(&shape) * sizeof *data;
    float *copy = xmalloc(bytes);
    memcpy(copy, data, bytes);
    return add_input(c, shape, copy);
}

value case_weight(struct test_case *c, struct shape shape, enum dtype type)
{
    int64_t count = shape_count(&shape);
    float *data = case_floats(c, count);
    if (type != DTYPE_F32) {
        uint16_t *half = xmalloc((size_t)count * sizeof *half);
        for (int64_t i = 0; i < count; i++)
            half[i] = type == DTYPE_F16 ? f32_to_f16(data[i]) : f32_to_bf16(data[i]);
        free(data);
        data = (float *)(void *)half;
    }
    struct weight *w = xcalloc(1, sizeof *w);
    *w = (struct weight){ .name = "weight", .type = type, .shape = shape, .data = data };
    assert_true(c->weights < CASE_MAX_VALUES);
    c->weight[c->weights++] = w;
    return graph_weight(c->g, w);
}

void case_output(struct test_case *c, value v)
{
    assert_true(c->ports < CASE_MAX_VALUES);
    graph_output(c->g, v);
    struct shape s = graph_shape(c->g, v);
    c->port[c->ports].v = v;
    c->port[c->ports].count = shape_count(&s);
    c->port[c->ports].data = NULL;
    c->port[c->ports++].input = false;
}

static struct program *start(struct test_case *c, const char *name, struct exec *x, struct states *s)
{
    struct error err = { 0 };
    struct program *p = program_new(x, c->g, s, &err);
    if (!p)
        fail_msg("%s: %s: %s", name, exec_device_name(x), err.text);
    for (int i = 0; i < c->ports; i++)
        if (c->port[i].input && !program_write(p, c->port[i].v, c->port[i].data, c->port[i].count, &err))
            fail_msg("%s: write: %s", name, err.text);
    return p;
}

static void run(const char *name, struct program *p)
{
    struct error err = { 0 };
    if (!program_run(p, &err))
        fail_msg("%s: run: %s", name, err.text);
}

static void compare_output(struct test_case *c, const char *name, int port, struct program *a, struct program *b)
{
    int64_t count = c->port[port].count, wrong = 0, first = -1;
    struct error err = { 0 };
    float *expected = xmalloc((size_t)count * sizeof *expected), *got = xmalloc((size_t)count * sizeof *got);
    if (!program_read(a, c->port[port].v, expected, count, &err) || !program_read(b, c->port[port].v, got, count, &err))
        fail_msg("%s: read: %s", name, err.text);
    for (int64_t i = 0; i < count; i++)
        if (memcmp(&expected[i], &got[i], sizeof *got) != 0) {
            first = first < 0 ? i : first;
            wrong++;
        }
    float e = first < 0 ? 0 : expected[first], o = first < 0 ? 0 : got[first];
    free(expected);
    free(got);
    if (wrong > 0)
        fail_msg("%s: seed %" PRIu64 ": %" PRId64 " of %" PRId64 " differ, first [%" PRId64 "]: %a, expected %a", name,
                 c->seed, wrong, count, first, (double)o, (double)e);
}

void case_compare(struct test_case *c, const char *name, struct exec *ref, struct exec *vk, int runs)
{
    struct error err = { 0 };
    if (!graph_ok(c->g, &err))
        fail_msg("%s: %s", name, err.text);
    struct states *ref_states = states_open(ref), *vk_states = states_open(vk);
    struct program *a = start(c, name, ref, ref_states), *b = start(c, name, vk, vk_states);
    for (int i = 0; i < runs; i++) {
        run(name, a);
        run(name, b);
        for (int port = 0; port < c->ports; port++)
            if (!c->port[port].input)
                compare_output(c, name, port, a, b);
    }
    program_free(&a);
    program_free(&b);
    states_close(&ref_states);
    states_close(&vk_states);
    exec_drop_weights(ref);
    exec_drop_weights(vk);
}

struct exec *open_device(const char *load_path, bool validate)
{
    struct error err = { 0 };
    struct exec *x = exec_open_vk(&(struct exec_options){ .load_path = load_path, .validate = validate }, &err);
    if (!x)
        printf("no device: %s\n", err.text);
    else
        printf("device: %s, load path %s\n", exec_device_name(x), load_path);
    return x;
}

uint64_t test_seed(void)
{
    const char *text = getenv("SHOTLINE_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20260701;
    printf("seed %" PRIu64 " (SHOTLINE_TEST_SEED)\n", seed);
    return seed;
}

/* links: shotline_tasks shotline_models shotline_nn */
/* A solver state goes through a blob and through a cut without losing a bit, and no bytes from outside can break it. */
#include "worker/tasks/noise.h"
#include "worker/tasks/solver_state.h"

#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/rng.h"
#include "common/nn/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { CHANNELS = 3, REFERENCES = 2, WINDOW = 7, HEIGHT = 2, WIDTH = 4, FRAMES = REFERENCES + WINDOW, STEPS = 6 };
enum { COUNT = CHANNELS * FRAMES * HEIGHT * WIDTH };

static char path[] = "/tmp/shotline-test-state-XXXXXX";

static int make_path(void **state)
{
    (void)state;
    const int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static struct schedule unipc(void)
{
    struct error err;
    struct schedule c = { 0 };
    const struct sampler_config config = {
        .kind = SAMPLER_UNIPC, .shift = 3.0, .train_timesteps = 1000, .order = 2, .lower_order_final = true
    };
    assert_true(schedule_make(&c, &config, STEPS, &err));
    return c;
}

/* A stand-in for the painter that treats every element alike, so that a cut must not matter. */
static void flow_of(const struct sampler_state *s, float *flow)
{
    for (int64_t i = 0; i < sampler_state_count(s); i++)
        flow[i] = s->sample[i] * 0.75f - 0.125f * (float)s->step;
}

static void advance(const struct schedule *c, struct solver_state *s, int to)
{
    struct error err;
    float *flow = xmalloc((size_t)sampler_state_count(&s->sampler) * sizeof *flow);
    while (s->sampler.step < to) {
        flow_of(&s->sampler, flow);
        assert_true(sampler_step(c, &s->sampler, flow, &err));
    }
    free(flow);
}

static struct solver_state start(void)
{
    float noise[COUNT];
    const struct noise n = { .kind = NOISE_SHOT, .seed = 9, .channels = CHANNELS, .height = HEIGHT, .width = WIDTH };
    noise_fill(&n, 0, FRAMES, noise, FRAMES, 0);
    struct solver_state s = { .references = REFERENCES };
    sampler_state_init(&s.sampler, CHANNELS, FRAMES, HEIGHT, WIDTH, noise);
    return s;
}

static void assert_same(const struct solver_state *a, const struct solver_state *b)
{
    const struct sampler_state *v = &a->sampler, *w = &b->sampler;
    const size_t bytes = (size_t)sampler_state_count(v) * sizeof(float);
    assert_int_equal(a->references, b->references);
    assert_int_equal(a->first, b->first);
    assert_int_equal(v->frames, w->frames);
    assert_int_equal(v->step, w->step);
    assert_int_equal(v->order, w->order);
    assert_int_equal(v->kept, w->kept);
    assert_memory_equal(v->sample, w->sample, bytes);
    if (v->kept > 0) {
        assert_memory_equal(v->last_sample, w->last_sample, bytes);
        assert_memory_equal(v->x0[0], w->x0[0], bytes);
    }
    if (v->kept > 1)
        assert_memory_equal(v->x0[1], w->x0[1], bytes);
}

static struct solver_state through_a_file(const struct solver_state *s)
{
    struct error err = { 0 };
    struct solver_state back = { 0 };
    size_t size;
    assert_true(solver_state_write(s, path, &err));
    char *bytes = file_read(path, 1 << 24, &size, &err);
    assert_non_null(bytes);
    assert_true(solver_state_parse(&back, bytes, size, "test", &err));
    free(bytes);
    return back;
}

static void round_trip_keeps_every_bit(void **state)
{
    (void)state;
    struct schedule c = unipc();
    for (int step = 0; step < STEPS; step++) { /* nothing kept, one prediction, two */
        struct solver_state s = start();
        advance(&c, &s, step);
        struct solver_state back = through_a_file(&s);
        assert_same(&s, &back);
        solver_state_free(&back);
        solver_state_free(&s);
    }
    schedule_free(&c);
}

static void same_state_same_bytes(void **state)
{
    (void)state;
    struct error err;
    struct digest a, b;
    struct schedule c = unipc();
    struct solver_state s = start();
    advance(&c, &s, 3);
    struct solver_state copy = through_a_file(&s);
    assert_true(digest_of_file(&a, path, &err));
    assert_true(solver_state_write(&copy, path, &err));
    assert_true(digest_of_file(&b, path, &err));
    assert_true(digest_equal(&a, &b));
    solver_state_free(&copy);
    solver_state_free(&s);
    schedule_free(&c);
}

/* Hand over at every step: the whole window goes on as if nothing had happened, and every window has its part of that.
 */
static void handed_over_equals_uninterrupted(void **state)
{
    (void)state;
    struct error err;
    struct schedule c = unipc();
    struct solver_state whole = start();
    advance(&c, &whole, STEPS);
    for (int step = 0; step < STEPS; step++) {
        struct solver_state anchor = start();
        advance(&c, &anchor, step);
        struct solver_state carried = through_a_file(&anchor);
        for (int first = 0; first < WINDOW; first++) {
            for (int count = 1; count <= WINDOW - first; count++) {
                struct solver_state range, part;
                assert_true(solver_state_slice(&range, &carried, first, count, &err));
                assert_int_equal(solver_state_window(&range), count);
                advance(&c, &range, STEPS);
                assert_true(solver_state_slice(&part, &whole, first, count, &err));
                assert_same(&range, &part);
                solver_state_free(&part);
                solver_state_free(&range);
            }
        }
        solver_state_free(&carried);
        solver_state_free(&anchor);
    }
    solver_state_free(&whole);
    schedule_free(&c);
}

static void slice_of_a_slice_keeps_absolute_places(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct solver_state s = start(), window, inner, direct;
    assert_true(solver_state_slice(&window, &s, 2, 4, &err));
    assert_int_equal(window.first, 2);
    assert_true(solver_state_slice(&inner, &window, 3, 2, &err));
    assert_true(solver_state_slice(&direct, &s, 3, 2, &err));
    assert_same(&inner, &direct);
    struct solver_state none;
    assert_false(solver_state_slice(&none, &window, 1, 2, &err)); /* before the window */
    assert_false(solver_state_slice(&none, &window, 4, 3, &err)); /* past it */
    assert_int_equal(err.kind, ERROR_INPUT);
    assert_string_equal(err.text, "solver state: has latents 2 to 5, expected 4 to 6");
    solver_state_free(&direct);
    solver_state_free(&inner);
    solver_state_free(&window);
    solver_state_free(&s);
}

/* ---- hostile bytes ---- */

static bool parses(const struct weight *tensors, size_t count, struct error *err)
{
    struct solver_state s = { 0 };
    size_t size;
    assert_true(safetensors_write(path, tensors, count, err));
    char *bytes = file_read(path, 1 << 24, &size, err);
    assert_non_null(bytes);
    const bool ok = solver_state_parse(&s, bytes, size, "test", err);
    if (!ok)
        assert_int_equal(err->kind, ERROR_INPUT);
    solver_state_free(&s);
    free(bytes);
    return ok;
}

static void hostile_bookkeeping_is_refused(void **state)
{
    (void)state;
    struct error err = { 0 };
    float data[COUNT] = { 0 };
    const struct shape shape = SHAPE(CHANNELS, FRAMES, HEIGHT, WIDTH);
    int64_t about[8] = { 1, REFERENCES, 0, 2, 2, 2, 0, 0 };
    struct weight tensors[] = {
        { "about", DTYPE_I64, SHAPE(8), about },   { "sample", DTYPE_F32, shape, data },
        { "last_sample", DTYPE_F32, shape, data }, { "x0.0", DTYPE_F32, shape, data },
        { "x0.1", DTYPE_F32, shape, data },        { "more", DTYPE_F32, shape, data },
    };
    assert_true(parses(tensors, 5, &err));

    assert_false(parses(tensors, 6, &err)); /* a tensor too many */
    assert_false(parses(tensors, 4, &err)); /* one that is missing */
    assert_false(parses(tensors, 1, &err));
    assert_false(parses(tensors + 1, 4, &err));

    const int64_t bad[][2] = {
        { 0, 2 },       { 0, -1 }, { 1, FRAMES }, { 1, -1 },        { 1, INT64_MAX }, { 2, -1 },
        { 2, 1 << 20 }, { 3, -1 }, { 3, 1 },      { 3, 0 },         { 3, 1 << 20 },   { 4, 3 },
        { 4, -1 },      { 5, 1 },  { 5, 3 },      { 5, INT64_MIN }, { 6, 1 },         { 7, -1 }
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const int64_t good = about[bad[i][0]];
        about[bad[i][0]] = bad[i][1];
        assert_false(parses(tensors, 5, &err));
        about[bad[i][0]] = good;
    }
    data[COUNT / 2] = NAN;
    assert_false(parses(tensors, 5, &err));
    data[COUNT / 2] = INFINITY;
    assert_false(parses(tensors, 5, &err));
    assert_non_null(strstr(err.text, "not finite"));
    data[COUNT / 2] = 0;

    tensors[3].shape = SHAPE(CHANNELS, FRAMES, WIDTH, HEIGHT); /* as many elements, another shape */
    assert_false(parses(tensors, 5, &err));
    tensors[3].shape = shape;
    tensors[2].type = DTYPE_I32;
    assert_false(parses(tensors, 5, &err));
    tensors[2].type = DTYPE_F32;
    assert_true(parses(tensors, 5, &err));
}

static void every_cut_and_flip_is_survived(void **state)
{
    (void)state;
    struct error err;
    struct schedule c = unipc();
    struct solver_state s = start(), back;
    size_t size;
    advance(&c, &s, 3);
    assert_true(solver_state_write(&s, path, &err));
    char *bytes = file_read(path, 1 << 24, &size, &err);
    for (size_t cut = 0; cut < size; cut++)
        assert_false(solver_state_parse(&back, bytes, cut, "test", &err));
    for (size_t i = 0; i < size && i < 700; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] ^= (char)(1 << bit);
            back = (struct solver_state){ 0 };
            if (solver_state_parse(&back, bytes, size, "test", &err))
                solver_state_free(&back); /* a flip in a number may still be a state */
            bytes[i] ^= (char)(1 << bit);
        }
    }
    free(bytes);
    solver_state_free(&s);
    schedule_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip_keeps_every_bit),       cmocka_unit_test(same_state_same_bytes),
        cmocka_unit_test(handed_over_equals_uninterrupted), cmocka_unit_test(slice_of_a_slice_keeps_absolute_places),
        cmocka_unit_test(hostile_bookkeeping_is_refused),   cmocka_unit_test(every_cut_and_flip_is_survived),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}

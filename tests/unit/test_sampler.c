/* links: shotline_models */
#include "worker/models/sampler.h"

#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 3, FRAMES = 7, HEIGHT = 2, WIDTH = 4, COUNT = CHANNELS * FRAMES * HEIGHT * WIDTH };

/* A stand-in for the painter that treats every element alike, so that windows can be compared with the whole. */
static void paint(const struct sampler_state *s, float timestep, float *flow)
{
    int64_t count = sampler_state_count(s);
    for (int64_t i = 0; i < count; i++)
        flow[i] = s->sample[i] * 0.7f - timestep * 0.0003f + (s->sample[i] > 0 ? 0.1f : -0.2f);
}

static void denoise(const struct schedule *c, struct sampler_state *s, int to)
{
    struct error err = { 0 };
    float *flow = xmalloc((size_t)sampler_state_count(s) * sizeof *flow);
    while (s->step < to) {
        paint(s, c->timesteps[s->step], flow);
        assert_true(sampler_step(c, s, flow, &err));
    }
    free(flow);
}

static void start(struct sampler_state *s)
{
    float noise[COUNT];
    for (int i = 0; i < COUNT; i++)
        noise[i] = rng_normal(7, 1, (uint64_t)i);
    sampler_state_init(s, CHANNELS, FRAMES, HEIGHT, WIDTH, noise);
}

static const struct sampler_config configs[] = {
    { SAMPLER_UNIPC, 3.0, 1000, 2, true },
    { SAMPLER_UNIPC, 5.0, 1000, 1, true },
    { SAMPLER_EULER, 3.0, 1000, 0, false },
};

static void same_arrays(const float *a, const float *b, int64_t count)
{
    assert_int_equal(!a, !b);
    if (a)
        assert_memory_equal(a, b, (size_t)count * sizeof *a);
}

/* An anchor, handed over after any number of steps as a copied struct, ends exactly where an uninterrupted run does. */
static void anchor_then_whole_range_equals_one_run(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof configs / sizeof *configs; k++)
        for (int handoff = 0; handoff <= 8; handoff++) {
            struct schedule c;
            struct error err = { 0 };
            struct sampler_state whole, anchor, range;
            int32_t all[FRAMES];
            for (int i = 0; i < FRAMES; i++)
                all[i] = i;
            assert_true(schedule_make(&c, &configs[k], 8, &err));
            start(&whole);
            denoise(&c, &whole, 8);
            start(&anchor);
            denoise(&c, &anchor, handoff);
            sampler_state_pick(&range, &anchor, all, FRAMES);
            denoise(&c, &range, 8);
            same_arrays(whole.sample, range.sample, COUNT);
            same_arrays(whole.last_sample, range.last_sample, COUNT);
            same_arrays(whole.x0[0], range.x0[0], COUNT);
            same_arrays(whole.x0[1], range.x0[1], COUNT);
            assert_int_equal(whole.kept, range.kept);
            assert_int_equal(whole.order, range.order);
            sampler_state_free(&whole);
            sampler_state_free(&anchor);
            sampler_state_free(&range);
            schedule_free(&c);
        }
}

/* A window of the state goes on as those frames of the whole would. */
static void window_equals_those_frames_of_the_whole(void **state)
{
    (void)state;
    static const int32_t frames[3] = { 0, 4, 5 }; /* a reference slot and two latents */
    struct schedule c;
    struct error err = { 0 };
    struct sampler_state whole, window, expected;
    assert_true(schedule_make(&c, &configs[0], 8, &err));
    start(&whole);
    denoise(&c, &whole, 4);
    sampler_state_pick(&window, &whole, frames, 3);
    denoise(&c, &window, 8);
    denoise(&c, &whole, 8);
    sampler_state_pick(&expected, &whole, frames, 3);
    same_arrays(expected.sample, window.sample, sampler_state_count(&window));
    same_arrays(expected.x0[1], window.x0[1], sampler_state_count(&window));
    sampler_state_free(&whole);
    sampler_state_free(&window);
    sampler_state_free(&expected);
    schedule_free(&c);
}

/* With the exact flow of a straight path the latents are reached, whatever the number of steps. */
static void straight_path_is_followed_to_its_end(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof configs / sizeof *configs; k++)
        for (int steps = 1; steps <= 9; steps += 4) {
            struct schedule c;
            struct error err = { 0 };
            struct sampler_state s;
            float flow[COUNT];
            assert_true(schedule_make(&c, &configs[k], steps, &err));
            start(&s);
            for (int i = 0; i < COUNT; i++)
                flow[i] = s.sample[i] - 0.25f; /* noise - picture */
            for (int i = 0; i < steps; i++)
                assert_true(sampler_step(&c, &s, flow, &err));
            for (int i = 0; i < COUNT; i++)
                assert_true(fabsf(s.sample[i] - 0.25f) < 1e-4f);
            sampler_state_free(&s);
            schedule_free(&c);
        }
}

static void impossible_states_and_steps_are_refused(void **state)
{
    (void)state;
    struct schedule c;
    struct error err = { 0 };
    struct sampler_state s;
    float flow[COUNT] = { 0 };
    assert_false(schedule_make(&c, &configs[0], 0, &err));
    assert_string_equal(err.text, "0 denoising steps, expected 1 to 1000");
    assert_true(schedule_make(&c, &configs[0], 4, &err));
    start(&s);
    s.step = 2; /* nothing is kept, though two steps are said to be done */
    assert_false(sampler_step(&c, &s, flow, &err));
    assert_int_equal(err.kind, ERROR_INPUT);
    s.step = 4;
    assert_false(sampler_step(&c, &s, flow, &err));
    s.step = -1;
    assert_false(sampler_step(&c, &s, flow, &err));
    sampler_state_free(&s);
    schedule_free(&c);
}

static bool load(const char *dir, const char *text, struct sampler_config *c, struct error *err)
{
    char path[128];
    snprintf(path, sizeof path, "%s/scheduler_config.json", dir);
    return file_write(path, text, strlen(text), err) && sampler_config_load(c, dir, err);
}

static void configs_are_read_and_checked(void **state)
{
    (void)state;
    char dir[] = "/tmp/shotline-test-XXXXXX";
    struct error err = { 0 };
    struct sampler_config c;
    assert_non_null(mkdtemp(dir));
    assert_true(load(dir,
                     "{\"_class_name\": \"UniPCMultistepScheduler\", \"use_flow_sigmas\": true, \"flow_shift\": 3.0, "
                     "\"prediction_type\": \"flow_prediction\", \"solver_order\": 2}",
                     &c, &err));
    assert_int_equal(c.kind, SAMPLER_UNIPC);
    assert_true(c.shift == 3.0 && c.order == 2 && c.train_timesteps == 1000);
    assert_true(load(dir, "{\"_class_name\": \"FlowMatchEulerDiscreteScheduler\", \"shift\": 5}", &c, &err));
    assert_int_equal(c.kind, SAMPLER_EULER);

    static const struct {
        const char *text, *says;
    } bad[] = {
        { "{\"_class_name\": \"DDIMScheduler\"}",
          "_class_name: is \"DDIMScheduler\", expected \"UniPCMultistepScheduler\"" },
        { "{}", "_class_name: is missing" },
        { "{\"_class_name\": \"UniPCMultistepScheduler\"}", "use_flow_sigmas" },
        { "{\"_class_name\": \"UniPCMultistepScheduler\", \"use_flow_sigmas\": true, \"solver_order\": 3}",
          "solver_order" },
        { "{\"_class_name\": \"UniPCMultistepScheduler\", \"use_flow_sigmas\": true, \"solver_type\": \"bh1\"}",
          "solver_type: is \"bh1\"" },
        { "{\"_class_name\": \"UniPCMultistepScheduler\", \"use_flow_sigmas\": true, \"flow_shift\": -1}",
          "flow_shift: is -1" },
        { "{\"_class_name\": \"FlowMatchEulerDiscreteScheduler\", \"use_dynamic_shifting\": true}",
          "use_dynamic_shifting" },
        { "{\"_class_name\": \"FlowMatchEulerDiscreteScheduler\", \"shift_terminal\": 0.1}", "shift_terminal" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(load(dir, bad[i].text, &c, &err));
        if (!strstr(err.text, bad[i].says) || !strstr(err.text, "scheduler_config.json"))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.text, bad[i].says);
    }
    assert_true(file_remove_tree(dir, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anchor_then_whole_range_equals_one_run),
        cmocka_unit_test(window_equals_those_frames_of_the_whole),
        cmocka_unit_test(straight_path_is_followed_to_its_end),
        cmocka_unit_test(impossible_states_and_steps_are_refused),
        cmocka_unit_test(configs_are_read_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

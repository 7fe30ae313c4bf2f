/* packs/tiny against PyTorch: one prompt from its ids to its frames, on the device when there is one, else in plain C.
 * The planner is not looked at. After the painter was trained again the reference has to be written again:
 * python3 tools/train/vectors.py --pack packs/tiny --to tests/golden/tiny */
#include "worker/tasks/denoise.h"
#include "worker/tasks/studio.h"
#include "worker/tasks/task.h"

#include "common/base/arena.h"
#include "common/base/json.h"
#include "common/nn/pack.h"
#include "common/nn/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PACK      "packs/tiny"
#define REFERENCE "tests/golden/tiny"
/* Relative L2. Another order of f32 addition leaves 1e-6 after all steps, on this pack. */
#define TOLERANCE 2e-5

static struct {
    struct arena arena;
    struct exec *exec;
    struct studio *studio;
    const struct pack_defaults *defaults;
    json_t *json;
    const char *prompt, *negative_prompt;
    int frames, height, width, rows; /* latents; rows of an embedding */
    struct safetensors *vectors;
} tiny;

/* ---- the reference ---- */

static const struct weight *stored(const char *name, enum dtype type, struct shape shape)
{
    const struct weight *w = safetensors_find(tiny.vectors, name);
    if (!w)
        fail_msg("vectors.safetensors has no %s", name);
    if (w->type != type || !shape_equal(&w->shape, &shape)) {
        char got[128], wanted[128];
        shape_text(&w->shape, got, sizeof got);
        shape_text(&shape, wanted, sizeof wanted);
        fail_msg("vectors.safetensors: %s is %s %s, expected %s %s", name, dtype_name(w->type), got, dtype_name(type),
                 wanted);
    }
    return w;
}

static float *floats(const char *name, struct shape shape)
{
    const int64_t count = shape_count(&shape);
    const struct weight *w = stored(name, DTYPE_F32, shape);
    float *to = arena_array(&tiny.arena, float, count);
    dtype_to_f32(to, w->data, w->type, (size_t)count);
    return to;
}

static struct shape latents_shape(int channels)
{
    return SHAPE(channels, tiny.frames, tiny.height, tiny.width);
}

static void assert_agrees(const char *name, const float *got, struct shape shape)
{
    const float *expected = floats(name, shape);
    double difference = 0, size = 0;
    for (int64_t i = 0; i < shape_count(&shape); i++) {
        const double d = (double)got[i] - expected[i];
        difference += d * d;
        size += (double)expected[i] * expected[i];
    }
    assert_true(size > 0);
    const double error = sqrt(difference / size);
    print_message("%s: relative L2 error %.2e\n", name, error);
    if (!(error <= TOLERANCE))
        fail_msg("%s: relative L2 error %g, expected at most %g", name, error, TOLERANCE);
}

/* ---- the pack ---- */

static void ids_of(const char *text, struct token_ids *ids)
{
    struct error err = { 0 };
    struct str cleaned = { 0 };
    struct tokenizer *t = studio_tokenizer(tiny.studio, &err);
    if (!t)
        fail_msg("%s", err.text);
    prompt_clean(text, &cleaned);
    if (!tokenizer_encode(t, str_text(&cleaned), cleaned.size, ids, &err))
        fail_msg("%s", err.text);
    str_free(&cleaned);
}

static struct text_encoder *encoder(void)
{
    struct error err = { 0 };
    struct text_encoder *e = studio_text_encoder(tiny.studio, &err);
    if (!e)
        fail_msg("%s", err.text);
    return e;
}

static float *embedding_of(const char *text)
{
    struct error err = { 0 };
    struct token_ids ids = { 0 };
    struct text_encoder *e = encoder();
    float *out = arena_array(&tiny.arena, float, (int64_t)tiny.rows *text_encoder_width(e));
    ids_of(text, &ids);
    if (!text_encoder_embed(e, ids.ids, (int)ids.count, tiny.rows, out, &err))
        fail_msg("%s", err.text);
    token_ids_free(&ids);
    return out;
}

static struct dit *painter(void)
{
    struct error err = { 0 };
    struct dit *d = studio_dit(tiny.studio, &err);
    if (!d)
        fail_msg("%s", err.text);
    return d;
}

static struct vae *coder(void)
{
    struct error err = { 0 };
    struct vae *v = studio_vae(tiny.studio, &err);
    if (!v)
        fail_msg("%s", err.text);
    return v;
}

/* The device as workers find it, else plain C. */
static struct exec *best_exec(void)
{
    struct error err = { 0 };
    struct exec *x = exec_open_vk(&(struct exec_options){ 0 }, &err);
    if (!x)
        print_message("%s\n", err.text);
    return x ? x : exec_open_ref();
}

static int open_all(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct json_reader r = { .where = REFERENCE "/case.json", .err = &err };
    tiny.exec = best_exec();
    print_message("on %s\n", exec_device_name(tiny.exec));
    tiny.studio = studio_open(PACK, tiny.exec, &err);
    tiny.vectors = tiny.studio ? safetensors_open(REFERENCE "/vectors.safetensors", &err) : NULL;
    tiny.json = tiny.vectors ? json_load(r.where, &err) : NULL;
    if (tiny.json) {
        tiny.defaults = studio_defaults(tiny.studio);
        tiny.rows = tiny.defaults->max_sequence_length;
        tiny.prompt = json_text(&r, tiny.json, "prompt");
        tiny.negative_prompt = json_text(&r, tiny.json, "negative_prompt");
        tiny.frames = (int)json_int(&r, tiny.json, "latent_frames", 1, 100);
        tiny.height = tiny.defaults->height / tiny.defaults->strides.space;
        tiny.width = tiny.defaults->width / tiny.defaults->strides.space;
    }
    if (!tiny.json || r.failed) {
        print_error("%s\n", err.text);
        return -1;
    }
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    json_decref(tiny.json);
    safetensors_close(&tiny.vectors);
    studio_close(&tiny.studio);
    exec_close(&tiny.exec);
    arena_free(&tiny.arena);
    return 0;
}

/* ---- the tests ---- */

/* All that follows computes with the pack's own settings; a reference made with others would be a stale one. */
static void reference_was_made_with_the_packs_settings(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct json_reader r = { .where = REFERENCE "/case.json", .err = &err };
    const struct sampler_config *sampler = studio_sampler(tiny.studio, &err);
    if (!sampler)
        fail_msg("%s", err.text);
    assert_int_equal(json_int(&r, tiny.json, "steps", 1, SAMPLER_MAX_STEPS), tiny.defaults->steps);
    assert_int_equal(json_int(&r, tiny.json, "references", 0, 100), 0);
    assert_true(json_number(&r, tiny.json, "guidance_scale") == tiny.defaults->guidance_scale);
    assert_true(json_number(&r, tiny.json, "flow_shift") == sampler->shift);
    assert_string_equal(tiny.negative_prompt, tiny.defaults->negative_prompt);
    if (r.failed)
        fail_msg("%s", err.text);
}

static void prompt_has_the_same_ids(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct token_ids ids = { 0 };
    int64_t expected[256];
    assert_in_range(tiny.rows, 2, 256);
    memcpy(expected, stored("ids", DTYPE_I64, SHAPE(tiny.rows))->data, (size_t)tiny.rows * sizeof *expected);

    struct tokenizer *t = studio_tokenizer(tiny.studio, &err);
    assert_non_null(t);
    const int32_t end = tokenizer_find(t, "</s>"), pad = tokenizer_find(t, "<pad>");
    assert_true(end >= 0 && pad >= 0);
    ids_of(tiny.prompt, &ids);
    assert_true(ids.count > 0 && ids.count < (size_t)tiny.rows);
    for (int i = 0; i < tiny.rows; i++) {
        const size_t at = (size_t)i;
        assert_int_equal(at < ids.count ? ids.ids[at] : at == ids.count ? end : pad, expected[i]);
    }
    token_ids_free(&ids);
}

static void embeddings_agree(void **state)
{
    (void)state;
    const struct shape shape = SHAPE(tiny.rows, text_encoder_width(encoder()));
    assert_agrees("prompt_embeds", embedding_of(tiny.prompt), shape);
    assert_agrees("negative_embeds", embedding_of(tiny.negative_prompt), shape);
}

static void grey_video_encodes_alike(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct vae *v = coder();
    const int channels = vae_info(v)->channels, frames = vae_video_frames(v, tiny.frames);
    const int64_t values = (int64_t)frames * tiny.defaults->height * tiny.defaults->width * 3;
    float *video = arena_array(&tiny.arena, float, values);
    float *latents = arena_array(&tiny.arena, float, (int64_t)channels *tiny.frames *tiny.height *tiny.width);
    memset(video, 0, (size_t)values * sizeof *video);
    if (!vae_encode(v, video, frames, tiny.defaults->height, tiny.defaults->width, latents, &err))
        fail_msg("%s", err.text);
    assert_agrees("grey", latents, latents_shape(channels));
}

/* The painter alone: everything that it reads is the reference's. */
static void first_velocities_agree(void **state)
{
    (void)state;
    static const char *const names[2][2] = { { "velocity_cond", "prompt_embeds" },
                                             { "velocity_uncond", "negative_embeds" } };
    struct error err = { 0 };
    struct schedule schedule = { 0 };
    struct dit *d = painter();
    const struct dit_info *info = dit_info(d);
    const int z = info->channels;
    const struct shape shape = latents_shape(z);
    const int64_t plane = (int64_t)tiny.frames * tiny.height * tiny.width;
    const float *grey = floats("grey", shape);
    float *control = arena_array(&tiny.arena, float, info->control_channels *plane),
          *flow = arena_array(&tiny.arena, float, z *plane);

    assert_true(info->control_channels > 2 * z);
    for (int half = 0; half < 2; half++)
        memcpy(control + half * z * plane, grey, (size_t)(z * plane) * sizeof *grey);
    for (int64_t i = 2 * z * plane; i < info->control_channels * plane; i++)
        control[i] = 1;

    const struct sampler_config *config = studio_sampler(tiny.studio, &err);
    if (!config || !schedule_make(&schedule, config, tiny.defaults->steps, &err))
        fail_msg("%s", err.text);
    for (int i = 0; i < 2; i++) {
        const struct dit_call call = {
            .frames = tiny.frames,
            .height = tiny.height,
            .width = tiny.width,
            .text_rows = tiny.rows,
            .control_frames = tiny.frames,
            .latents = floats("noise", shape),
            .timesteps = schedule.timesteps,
            .timestep_count = 1,
            .text = floats(names[i][1], SHAPE(tiny.rows, info->text_width)),
            .control = control,
        };
        if (!dit_run(d, &call, flow, &err))
            fail_msg("%s", err.text);
        assert_agrees(names[i][0], flow, shape);
    }
    schedule_free(&schedule);
}

/* As a worker does it: nothing but the prompts and the noise is the reference's. */
static float *drawn_latents(void)
{
    struct error err = { 0 };
    const struct task_run run = { .studio = tiny.studio };
    const int z = dit_info(painter())->channels;
    const struct denoise d = {
        .text = embedding_of(tiny.prompt),
        .negative = embedding_of(tiny.negative_prompt),
        .text_rows = tiny.rows,
        .text_width = text_encoder_width(encoder()),
        .latent_frames = tiny.frames,
        .steps = tiny.defaults->steps,
        .step_to = tiny.defaults->steps,
        .guidance_scale = tiny.defaults->guidance_scale,
    };
    struct solver_state s = { 0 };
    const struct shape shape = latents_shape(z);
    sampler_state_init(&s.sampler, z, tiny.frames, tiny.height, tiny.width, floats("noise", shape));
    if (!denoise_run(&run, &d, &s, &err))
        fail_msg("%s", err.text);
    float *latents = arena_array(&tiny.arena, float, shape_count(&shape));
    memcpy(latents, s.sampler.sample, (size_t)shape_count(&shape) * sizeof *latents);
    solver_state_free(&s);
    return latents;
}

static void latents_and_video_agree(void **state)
{
    (void)state;
    struct error err = { 0 };
    const float *latents = drawn_latents();
    struct vae *v = coder();
    const int frames = vae_video_frames(v, tiny.frames), height = tiny.defaults->height, width = tiny.defaults->width;
    const struct shape shape = SHAPE(frames, height, width, 3);
    const int64_t count = shape_count(&shape);
    float *video = arena_array(&tiny.arena, float, count);
    assert_agrees("latents", latents, latents_shape(vae_info(v)->channels));

    if (!vae_decode(v, latents, tiny.frames, tiny.height, tiny.width, video, &err))
        fail_msg("%s", err.text);
    const uint8_t *expected = stored("video", DTYPE_U8, shape)->data;
    int64_t differ = 0;
    int largest = 0;
    for (int64_t i = 0; i < count; i++) {
        assert_true(video[i] >= -1 && video[i] <= 1);
        const int d = abs((int)((video[i] + 1) / 2 * 255 + 0.5f) - expected[i]);
        differ += d > 0;
        largest = d > largest ? d : largest;
    }
    print_message("video: %lld of %lld bytes differ, by %d at most\n", (long long)differ, (long long)count, largest);
    /* what lies next to a rounding edge falls on either side, and nothing more */
    assert_true(largest <= 1);
    assert_true(differ * 1000 <= count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_was_made_with_the_packs_settings),
        cmocka_unit_test(prompt_has_the_same_ids),
        cmocka_unit_test(embeddings_agree),
        cmocka_unit_test(grey_video_encodes_alike),
        cmocka_unit_test(first_velocities_agree),
        cmocka_unit_test(latents_and_video_agree),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}

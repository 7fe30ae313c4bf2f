/* Tasks that cannot be done: specs, packs and blobs that do not fit are named, and the worker lives on. */
#include "tests/golden/task_bench.h"

#include "common/base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Runs a changed copy of a good denoise task, which must fail with this text. */
static void assert_refused(struct bench *b, const Shotline__DenoiseTask *t, enum error_kind kind, const char *text)
{
    struct task_outputs out;
    struct error err = { 0 };
    Shotline__DenoiseTask copy = *t;
    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
    spec.kind = SHOTLINE__TASK_KIND__TASK_DENOISE;
    spec.numerics = SHOTLINE__NUMERICS__NUMERICS_EXACT;
    spec.denoise = &copy;
    assert_false(task_execute(&b->run, &spec, &out, &err));
    assert_string_equal(err.text, text);
    assert_int_equal(err.kind, kind);
}

static void bad_specs_are_refused_by_name(void **state)
{
    (void)state;
    struct bench b;
    struct script s;
    struct named anchor;
    struct error err = { 0 };
    struct task_outputs out;
    bench_open(&b, "store");
    script_make(&b, &s);
    Shotline__DenoiseTask t = s.t;
    t.width = 40;
    assert_refused(&b, &t, ERROR_INPUT, "denoise: size is 40x32, expected multiples of 16, 16 to 4096");
    t = s.t;
    t.window_first = 1;
    assert_refused(&b, &t, ERROR_INPUT, "denoise: window_first is 1, expected 0 to 0");
    t = s.t;
    t.step_from = 2;
    assert_refused(&b, &t, ERROR_INPUT, "denoise: step_from is 2 without a state to start from");
    t = s.t;
    t.steps = UINT32_MAX;
    assert_refused(&b, &t, ERROR_INPUT, "denoise: steps is 4294967295, expected 1 to 1000");
    t = s.t;
    t.latent_frames = t.window_count = 1100;
    assert_refused(&b, &t, ERROR_INPUT, "denoise: 1100 latent frames and 1 references, the painter has 1024 positions");
    t = s.t;
    t.height = 64;
    assert_refused(&b, &t, ERROR_INPUT, "denoise: identity: tensor latent is [16, 4, 6], expected F32 [16, 8, 6]");
    t = s.t;
    t.text = &s.identity.blob;
    assert_refused(&b, &t, ERROR_INPUT, "denoise: text: tensor embedding is absent, expected F32 [-1, -1]");

    bench_denoise(&b, &s, 0, LATENTS, 0, 2, NULL, &anchor);
    t = s.t;
    t.step_from = 1;
    t.state = &anchor.blob;
    assert_refused(
        &b, &t, ERROR_INPUT,
        "denoise: state: 16 channels of 6x4 with 1 references after 2 steps, expected 16 of 6x4 with 1 after 1");

    struct named missing;
    const struct digest nobody = { { 1 } };
    name_digest(&missing, &nobody);
    t = s.t;
    t.text = &missing.blob;
    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
    spec.kind = SHOTLINE__TASK_KIND__TASK_DENOISE;
    spec.numerics = SHOTLINE__NUMERICS__NUMERICS_EXACT;
    spec.denoise = &t;
    assert_false(task_execute(&b.run, &spec, &out, &err));
    assert_non_null(strstr(err.text, "denoise: text: "));
    missing.blob.digest.len = 31;
    assert_refused(&b, &t, ERROR_INPUT, "denoise: text: a digest has 31 bytes, expected 32");
    spec.denoise = NULL;
    assert_false(task_execute(&b.run, &spec, &out, &err));
    assert_string_equal(err.text, "denoise: the task says nothing");
    spec.profile = 7;
    assert_false(task_execute(&b.run, &spec, &out, &err));
    assert_string_equal(err.text, "profile 7, expected usual or lean");
    assert_int_equal(err.kind, ERROR_INPUT);
    spec.profile = SHOTLINE__PROFILE__PROFILE_USUAL;
    spec.numerics = SHOTLINE__NUMERICS__NUMERICS_FAST;
    assert_false(task_execute(&b.run, &spec, &out, &err));
    assert_int_equal(err.kind, ERROR_INPUT);
    bench_close(&b);
}

static void denoise_is_refused(struct bench *b, struct script *s, const char *says)
{
    struct error err = { 0 };
    struct task_outputs out;
    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
    spec.kind = SHOTLINE__TASK_KIND__TASK_DENOISE;
    spec.numerics = SHOTLINE__NUMERICS__NUMERICS_EXACT;
    spec.denoise = &s->t;
    assert_false(task_execute(&b->run, &spec, &out, &err));
    assert_int_equal(err.kind, ERROR_INPUT);
    assert_non_null(strstr(err.text, says));
}

/* A model file that was cut short is named, and the worker lives on. */
static void broken_pack_is_named(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct bench b;
    struct script s;
    bench_open(&b, "store");
    script_make(&b, &s);
    studio_close(&b.studio);

    bench_pack(bench_path("broken"));
    size_t size;
    const char *file = bench_path("broken/transformer/diffusion_pytorch_model.safetensors");
    char *bytes = file_read(file, 1 << 28, &size, &err);
    assert_non_null(bytes);
    assert_true(file_write(file, bytes, size / 2, &err));
    free(bytes);
    b.studio = b.run.studio = studio_open(bench_path("broken"), b.exec, &err);
    assert_non_null(b.studio);

    denoise_is_refused(&b, &s, "transformer/diffusion_pytorch_model.safetensors");
    bench_close(&b);
    assert_true(file_remove_tree(bench_path("broken"), &err));
}

/* Each part can be loaded, but a task would reach beyond the arrays that it makes for the others. */
static void parts_that_do_not_fit_are_named(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct bench b;
    struct script s;
    bench_open(&b, "store");
    script_make(&b, &s);
    studio_close(&b.studio);

    bench_pack(bench_path("unfit"));
    static const char *const files[] = { "config.json", "diffusion_pytorch_model.safetensors" };
    for (int i = 0; i < 2; i++) { /* a VAE of 4 channels */
        char from[64], to[64];
        size_t size;
        snprintf(from, sizeof from, "tests/golden/vae/%s", files[i]);
        snprintf(to, sizeof to, "unfit/vae/%s", files[i]);
        char *bytes = file_read(from, 1 << 20, &size, &err);
        assert_non_null(bytes);
        assert_true(file_write(bench_path(to), bytes, size, &err));
        free(bytes);
    }
    b.studio = b.run.studio = studio_open(bench_path("unfit"), b.exec, &err);
    assert_non_null(b.studio);
    denoise_is_refused(&b, &s, "the painter reads 96 control channels, the VAE gives 72");
    bench_close(&b);
    assert_true(file_remove_tree(bench_path("unfit"), &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_specs_are_refused_by_name),
        cmocka_unit_test(broken_pack_is_named),
        cmocka_unit_test(parts_that_do_not_fit_are_named),
    };
    return cmocka_run_group_tests(tests, bench_open_all, bench_remove_all);
}

/* links: shotline_nn */
#include "common/nn/pack.h"

#include "tests/unit/temp_dir.h"

#include <stdio.h>

#define DEFAULTS                                                                                                       \
    "{\"name\": \"t\", \"width\": 128, \"height\": 80, \"fps\": 8, \"steps\": 8, \"guidance_scale\": 2.5, "            \
    "\"handoff_step\": 5, \"window\": 5, \"overlap\": 2, \"longest_shot\": 9, \"references\": 2, "                     \
    "\"reference_suffix\": \", on a white background\", \"max_sequence_length\": 32, \"negative_prompt\": \"\"}"

#define VAE "{\"dim_mult\": [1, 2, 4, 4], \"temperal_downsample\": [false, true, true]}"

static void put(const char *name, const char *text)
{
    char path[256];
    struct error err = { 0 };
    snprintf(path, sizeof path, "%s/%s", dir, name);
    *strrchr(path, '/') = '\0';
    assert_true(file_make_dirs(path, 0755, &err));
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_true(file_write(path, text, strlen(text), &err));
}

static void defaults_are_read(void **state)
{
    (void)state;
    struct pack_defaults p;
    struct error err = { 0 };
    put("shotline.json", DEFAULTS);
    put("vae/config.json", VAE);
    if (!pack_defaults_load(&p, dir, &err))
        fail_msg("%s", err.text);
    assert_int_equal(p.strides.time, 4);
    assert_int_equal(p.strides.space, 8);
    assert_int_equal(pack_size_multiple(&p), 16);
    assert_string_equal(p.name, "t");
    assert_int_equal(p.width, 128);
    assert_true(p.guidance_scale == 2.5);
    assert_int_equal(p.longest_shot, 9);
    assert_string_equal(p.reference_suffix, ", on a white background");
}

/* What a latent stands for is the VAE's to say, and the pack's size must fit it. */
static void strides_are_the_vaes(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        int time, space;
        const char *says; /* NULL: it is taken */
    } cases[] = {
        { "{\"dim_mult\": [1, 2, 4], \"temperal_downsample\": [true, true], \"patch_size\": 2}", 4, 8, NULL },
        { "{\"dim_mult\": [1, 2], \"temperal_downsample\": [true], \"patch_size\": null}", 2, 2, NULL },
        { "{\"dim_mult\": [1], \"temperal_downsample\": [], \"patch_size\": 1}", 1, 1, NULL },
        { "{\"dim_mult\": [1, 2, 4, 4], \"temperal_downsample\": [false, true, true], \"patch_size\": 2}", 0, 0,
          "shotline.json: height: is 80, expected a multiple of 32" },
        { "{\"dim_mult\": [1, 2], \"temperal_downsample\": [true], \"patch_size\": 3}", 0, 0,
          "vae/config.json: patch_size: expected an integer from 1 to 2, found 3" },
        { "{\"dim_mult\": [1, 2], \"temperal_downsample\": [true, true]}", 0, 0,
          "vae/config.json: temperal_downsample: has 2 entries, expected 1" },
        { "{\"dim_mult\": [1, 2], \"temperal_downsample\": [1]}", 0, 0,
          "vae/config.json: temperal_downsample: entry 0 is neither true nor false" },
        { "{\"dim_mult\": [], \"temperal_downsample\": []}", 0, 0, "vae/config.json: dim_mult: has 0 entries" },
        { "{\"temperal_downsample\": []}", 0, 0, "vae/config.json: dim_mult: is missing" },
        { "[]", 0, 0, "vae/config.json" },
    };
    put("shotline.json", DEFAULTS);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pack_defaults p;
        struct error err = { 0 };
        put("vae/config.json", cases[i].config);
        bool ok = pack_defaults_load(&p, dir, &err);
        assert_true(ok == !cases[i].says);
        if (ok) {
            assert_int_equal(p.strides.time, cases[i].time);
            assert_int_equal(p.strides.space, cases[i].space);
        } else if (!strstr(err.text, cases[i].says)) {
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.text, cases[i].says);
        }
    }
}

/* Each key is checked by itself and against the others. */
static void impossible_defaults_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        { "\"fps\": 8, ", "", "fps: is missing" },
        { "\"fps\": 8", "\"fps\": 8, \"fbs\": 8", "fbs" },
        { "\"width\": 128", "\"width\": 130", "width: is 130, expected a multiple of 16" },
        { "\"steps\": 8", "\"steps\": \"8\"", "steps: expected an integer" },
        { "\"handoff_step\": 5", "\"handoff_step\": 9", "handoff_step: is 9, expected at most steps (8)" },
        { "\"overlap\": 2", "\"overlap\": 5", "overlap: is 5, expected less than window (5)" },
        { "\"window\": 5", "\"window\": 10", "window: is 10, expected at most longest_shot (9)" },
        { "2.5", "0.5", "guidance_scale: is 0.5" },
        { "\"t\"", "\"\"", "name: is empty" },
    };
    put("vae/config.json", VAE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        struct pack_defaults p;
        struct error err = { 0 };
        const char *at = strstr(DEFAULTS, cases[i].from);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - DEFAULTS), DEFAULTS, cases[i].to,
                 at + strlen(cases[i].from));
        put("shotline.json", text);
        assert_false(pack_defaults_load(&p, dir, &err));
        if (!strstr(err.text, cases[i].says) || !strstr(err.text, "shotline.json"))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.text, cases[i].says);
    }
}

/* The digest names contents and places of all files but those that are no part of the pack. */
static void digest_names_the_whole_pack(void **state)
{
    (void)state;
    struct pack_listing a, b;
    struct error err = { 0 };
    put("shotline.json", DEFAULTS);
    put("vae/config.json", "{}");
    put("transformer/config.json", "[]");
    assert_true(pack_list(&a, dir, &err));
    assert_int_equal(a.count, 3);
    assert_string_equal(a.files[0].path, "shotline.json");
    assert_string_equal(a.files[1].path, "transformer/config.json");
    assert_int_equal(a.files[2].bytes, 2);

    put("README.md", "words");
    put("LICENSE", "words");
    put(".hidden/file", "words");
    put("vae/.cache", "words");
    assert_true(pack_list(&b, dir, &err));
    assert_int_equal(b.count, 3);
    assert_true(digest_equal(&a.digest, &b.digest));
    struct digest again = pack_listing_digest(&b);
    assert_true(digest_equal(&again, &b.digest));
    pack_listing_free(&b);

    put("vae/config.json", "[]"); /* other contents */
    assert_true(pack_list(&b, dir, &err));
    assert_false(digest_equal(&a.digest, &b.digest));
    pack_listing_free(&b);
    put("vae/config.json", "{}");
    put("vae/config2.json", "{}"); /* another file */
    assert_true(pack_list(&b, dir, &err));
    assert_false(digest_equal(&a.digest, &b.digest));
    pack_listing_free(&b);
    pack_listing_free(&a);

    assert_false(pack_list(&a, "/nonexistent", &err));
    assert_non_null(strstr(err.text, "/nonexistent"));
}

static void copy(const char *from, const char *to)
{
    char source[256], target[256];
    struct error err = { 0 };
    snprintf(source, sizeof source, "tests/golden/goldens/models/%s", from);
    snprintf(target, sizeof target, "%s/%s", dir, to);
    char folder[256];
    strcpy(folder, target);
    *strrchr(folder, '/') = '\0';
    assert_true(file_make_dirs(folder, 0755, &err));
    if (!file_copy(source, target, &err))
        fail_msg("%s", err.text);
}

static void copy_pack(void)
{
    static const char *const files[] = {
        "model_index.json",
        "transformer/config.json",
        "transformer/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/config.json",
        "text_encoder/model.safetensors.index.json",
        "text_encoder/model-00001-of-00002.safetensors",
        "text_encoder/model-00002-of-00002.safetensors",
        "scheduler/scheduler_config.json",
        "tokenizer/tokenizer.json",
    };
    char from[128];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(from, sizeof from, "wan_vace/%s", files[i]);
        copy(from, files[i]);
    }
    put("shotline.json", DEFAULTS);
}

/* A pack that lacks something is refused by name before any work. */
static void incomplete_packs_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *file, *text, *says; /* text NULL: the file is removed */
    } cases[] = {
        { "transformer/diffusion_pytorch_model.safetensors", NULL, "transformer: no weights" },
        { "text_encoder/model-00002-of-00002.safetensors", NULL, "model-00002-of-00002.safetensors" },
        { "vae/config.json", NULL, "vae/config.json" },
        { "vae/config.json", "{\"_class_name\": \"AutoencoderKL\"}",
          "_class_name is \"AutoencoderKL\", expected \"AutoencoderKLWan\"" },
        { "transformer/config.json", "{\"_class_name\": \"UNet\"}",
          "expected \"WanVACETransformer3DModel\" or \"WanTransformer3DModel\"" },
        { "vae/diffusion_pytorch_model.safetensors", "short", "too short for a safetensors file" },
        { "tokenizer/tokenizer.json", NULL, "tokenizer.json: is missing from the pack" },
        { "shotline.json", NULL, "shotline.json" },
    };
    struct error err = { 0 };
    copy_pack();
    if (!pack_check_files(dir, false, &err))
        fail_msg("%s", err.text);
    assert_false(pack_check_files(dir, true, &err));
    assert_non_null(strstr(err.text, "planner/config.json"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", dir, cases[i].file);
        if (cases[i].text)
            put(cases[i].file, cases[i].text);
        else
            assert_int_equal(unlink(path), 0);
        assert_false(pack_check_files(dir, false, &err));
        if (!strstr(err.text, cases[i].says) || !strstr(err.text, dir))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.text, cases[i].says);
        copy_pack();
    }
    assert_false(pack_check_files("/nonexistent", false, &err));
    assert_string_equal(err.text, "/nonexistent: no such pack folder");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(defaults_are_read, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(strides_are_the_vaes, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(impossible_defaults_are_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(digest_names_the_whole_pack, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(incomplete_packs_are_refused_by_name, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

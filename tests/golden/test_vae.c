/* A VAE that folds 2 x 2 pixels into channels (patch_size 2), with random weights, against PyTorch; the device against
 * plain C with ==. The reference was written by python3 tools/train/vae_vectors.py --to tests/golden/vae */
#include "worker/models/vae.h"

#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "common/nn/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MODEL "tests/golden/vae"
/* Relative L2: another order of f32 addition. */
#define TOLERANCE 2e-5

enum { FRAMES = 9, HEIGHT = 16, WIDTH = 24, Z = 4, LATENTS = 3, ROWS = HEIGHT / 8, COLS = WIDTH / 8 };
enum { CLIP = FRAMES * HEIGHT * WIDTH * 3, CODE = Z * LATENTS * ROWS * COLS };

struct results {
    float latents[CODE], frames[CLIP];
};

static struct safetensors *vectors;
static struct results plain;

static void stored(const char *name, enum dtype type, struct shape shape, float *to)
{
    const struct weight *w = safetensors_find(vectors, name);
    if (!w || w->type != type || !shape_equal(&w->shape, &shape))
        fail_msg("vectors.safetensors: %s is missing, or not as expected", name);
    if (type == DTYPE_F32)
        dtype_to_f32(to, w->data, type, (size_t)shape_count(&shape));
    for (int64_t i = 0; type == DTYPE_U8 && i < shape_count(&shape); i++)
        to[i] = (float)((const uint8_t *)w->data)[i] / 127.5f - 1.0f;
}

/* The clip's latents, and the frames of other latents. */
static void code(struct exec *x, struct results *r)
{
    struct error err = { 0 };
    static float clip[CLIP], latents[CODE];
    struct vae *v = vae_open(MODEL, x, false, &err);
    if (!v)
        fail_msg("%s", err.text);
    assert_int_equal(vae_info(v)->time_factor, 4);
    assert_int_equal(vae_info(v)->space_factor, 8);
    stored("clip", DTYPE_U8, SHAPE(FRAMES, HEIGHT, WIDTH, 3), clip);
    stored("decode_latents", DTYPE_F32, SHAPE(Z, LATENTS, ROWS, COLS), latents);
    if (!vae_encode(v, clip, FRAMES, HEIGHT, WIDTH, r->latents, &err) ||
        !vae_decode(v, latents, LATENTS, ROWS, COLS, r->frames, &err))
        fail_msg("%s", err.text);
    vae_close(&v);
}

static void assert_agrees(const char *name, const float *got, struct shape shape)
{
    static float expected[CLIP];
    double difference = 0, size = 0;
    stored(name, DTYPE_F32, shape, expected);
    for (int64_t i = 0; i < shape_count(&shape); i++) {
        const double d = (double)got[i] - expected[i];
        difference += d * d;
        size += (double)expected[i] * expected[i];
    }
    const double error = sqrt(difference / size);
    print_message("%s: relative L2 error %.2e\n", name, error);
    assert_true(error <= TOLERANCE); /* fails for a NaN, too */
}

static int open_vectors(void **state)
{
    (void)state;
    struct error err = { 0 };
    vectors = safetensors_open(MODEL "/vectors.safetensors", &err);
    if (!vectors)
        return -1;
    struct exec *x = exec_open_ref();
    code(x, &plain);
    exec_close(&x);
    return 0;
}

static int close_vectors(void **state)
{
    (void)state;
    safetensors_close(&vectors);
    return 0;
}

static void folded_pixels_agree_with_pytorch(void **state)
{
    (void)state;
    assert_agrees("latents", plain.latents, SHAPE(Z, LATENTS, ROWS, COLS));
    assert_agrees("frames", plain.frames, SHAPE(FRAMES, HEIGHT, WIDTH, 3));
}

static void device_equals_plain_c(void **state)
{
    (void)state;
    struct error err = { 0 };
    static struct results r;
    struct exec *x = exec_open_vk(&(struct exec_options){ 0 }, &err);
    if (!x) {
        print_message("%s\n", err.text);
        skip();
    }
    code(x, &r);
    exec_close(&x);
    assert_memory_equal(r.latents, plain.latents, sizeof r.latents);
    assert_memory_equal(r.frames, plain.frames, sizeof r.frames);
}

/* A config of another kind of VAE is refused by file and key, before any tensor is looked for. */
static void other_vaes_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *says;
    } cases[] = {
        { "is_residual", "true", "is_residual: is true" },
        { "in_channels", "3", "in_channels: expected 12: 3 colours of 2 x 2 pixels (patch_size)" },
        { "out_channels", "null", "out_channels: expected 12" },
        { "patch_size", "null", "in_channels: expected 3" },
        { "patch_size", "4", "patch_size: expected an integer from 1 to 2, found 4" },
        { "dim_mult", "[1, 2]", "temperal_downsample: has 2 entries, expected 1" },
        { "dim_mult", "[1, 2, 65]", "dim_mult: entry 2" },
    };
    char dir[] = "/tmp/shotline-test-XXXXXX", path[64];
    struct error err = { 0 };
    struct exec *x = exec_open_ref();
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/config.json", dir);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *config = json_load(MODEL "/config.json", &err);
        assert_non_null(config);
        json_object_set_new(config, cases[i].key, json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        char *text = json_dumps(config, 0);
        assert_true(file_write(path, text, strlen(text), &err));
        free(text);
        json_decref(config);
        assert_null(vae_open(dir, x, false, &err));
        if (!strstr(err.text, cases[i].says) || !strstr(err.text, path))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.text, cases[i].says);
    }
    exec_close(&x);
    assert_true(file_remove_tree(dir, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folded_pixels_agree_with_pytorch),
        cmocka_unit_test(device_equals_plain_c),
        cmocka_unit_test(other_vaes_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, open_vectors, close_vectors);
}

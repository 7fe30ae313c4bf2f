/* links: shotline_models shotline_nn */
#include "worker/models/dit.h"
#include "worker/models/text_encoder.h"
#include "worker/models/vace.h"

#include "common/base/arena.h"
#include "common/base/rng.h"
#include "common/nn/safetensors.h"
#include "tests/unit/temp_dir.h"

#include <stdio.h>

#define MODELS "tests/golden/goldens/models"

static struct exec *x;

static int open_exec(void **state)
{
    (void)state;
    x = exec_open_ref();
    return 0;
}

static int close_exec(void **state)
{
    (void)state;
    exec_close(&x);
    return 0;
}

static float *numbers(uint64_t stream, int64_t count)
{
    float *to = xmalloc((size_t)count * sizeof *to);
    for (int64_t i = 0; i < count; i++)
        to[i] = rng_normal(4, stream, (uint64_t)i);
    return to;
}

/* ---- what the models promise ---- */

/* Rows that stand behind a text (to make its length round) change no bit of it, and neither does running another length
 * in between. */
static void text_does_not_depend_on_its_neighbours(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct text_encoder *t = text_encoder_open(MODELS "/wan_t2v/text_encoder", x, false, &err);
    assert_non_null(t);
    int32_t ids[40];
    uint8_t mask[40];
    float a[9 * 64], b[40 * 64], c[12 * 64];
    assert_int_equal(text_encoder_width(t), 64);
    for (int i = 0; i < 40; i++) {
        ids[i] = 7 * i + 3;
        mask[i] = i < 9;
    }
    assert_true(text_encoder_run(t, ids, 9, NULL, a, &err));
    assert_true(text_encoder_run(t, ids, 40, mask, b, &err));
    assert_memory_equal(a, b, sizeof a);

    ids[8] = 1; /* the end mark: embed puts it there itself, and zeros behind */
    assert_true(text_encoder_run(t, ids, 9, NULL, a, &err));
    assert_true(text_encoder_embed(t, ids, 8, 12, c, &err));
    assert_memory_equal(a, c, sizeof a);
    for (size_t i = 9 * 64; i < 12 * 64; i++)
        assert_true(c[i] == 0.0f);
    assert_true(text_encoder_embed(t, ids, 40, 9, c, &err)); /* too long: cut, the end mark last */
    assert_memory_equal(a, c, sizeof a);

    ids[3] = 576;
    assert_false(text_encoder_run(t, ids, 9, NULL, a, &err));
    assert_string_equal(err.text, "text encoder: token 4 of 9 is 576, expected 0 to 575");
    text_encoder_close(&t);
    assert_int_equal(exec_bytes_used(x), 0);
}

/* Pushing frame by frame equals decoding at once, for the next clip too. */
static void a_clip_is_decoded_piece_by_piece(void **state)
{
    (void)state;
    enum { H = 2, W = 3, T = 3, Z = 16, PICTURE = 8 * H * 8 * W * 3 };
    struct error err = { 0 };
    struct vae *v = vae_open(MODELS "/wan_t2v/vae", x, false, &err);
    assert_non_null(v);
    float *latents = numbers(1, Z * T * H * W), *whole = numbers(2, 9 * PICTURE), *parts = numbers(3, 9 * PICTURE),
          one[Z * H * W];
    assert_int_equal(vae_video_frames(v, T), 9);
    assert_true(vae_decode(v, latents, T, H, W, whole, &err));

    for (int clip = 0; clip < 2; clip++) {
        struct vae_decoder *d = vae_decoder_open(v, H, W, &err);
        assert_non_null(d);
        int at = 0, count;
        int64_t held = 0;
        for (int t = 0; t < T; t++) {
            for (int c = 0; c < Z; c++)
                memcpy(one + c * H * W, latents + (c * T + t) * H * W, H * W * sizeof *one);
            assert_true(vae_decoder_push(d, one, parts + at * PICTURE, &count, &err));
            assert_int_equal(count, t ? 4 : 1);
            at += count;
            if (t == 1)
                held = exec_bytes_peak(x);
        }
        assert_int_equal(exec_bytes_peak(x), held); /* a longer clip needs no more memory */
        assert_memory_equal(whole, parts, 9 * PICTURE * sizeof *whole);
        vae_decoder_close(&d);
    }
    vae_close(&v);
    free(latents);
    free(whole);
    free(parts);
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct vae *v = vae_open(MODELS "/wan_t2v/vae", x, false, &err);
    float some[64] = { 0 };
    assert_non_null(v);
    assert_null(vae_encoder_open(v, 24, 20, &err));
    assert_string_equal(err.text, "VAE: pictures of 20 x 24, expected positive multiples of 8");
    assert_null(vae_decoder_open(v, 0, 4, &err));
    assert_false(vae_encode(v, some, 4, 8, 8, some, &err));
    assert_string_equal(err.text, "VAE: 4 frames, expected 4n+1");
    vae_close(&v);
}

/* Latent frame k of a mask looks at frame floor((k + 0.5) F / n); each latent pixel holds its 8 x 8 pixels as channels.
 */
static void mask_is_packed_by_the_nearest_exact_rule(void **state)
{
    (void)state;
    enum { F = 9, H = 16, W = 8 };
    static const int looked_at[3] = { 1, 4, 7 };
    struct error err = { 0 };
    struct vae *v = vae_open(MODELS "/wan_vace/vae", x, false, &err);
    assert_non_null(v);
    float *mask = numbers(5, F * H * W), packed[64 * 3 * 2];
    vace_pack_mask(v, mask, F, H, W, packed);
    for (int y = 0; y < 8; y++)
        for (int p = 0; p < 8; p++)
            for (int k = 0; k < 3; k++)
                for (int h = 0; h < 2; h++)
                    assert_true(packed[((y * 8 + p) * 3 + k) * 2 + h] == mask[(looked_at[k] * H + 8 * h + y) * W + p]);
    free(mask);
    vae_close(&v);
}

/* With references alone, both parts are the code of zeros and everything is to be painted. */
static void references_alone_make_control_latents(void **state)
{
    (void)state;
    enum { F = 5, H = 16, W = 32, PLANE = 2 * 4, Z = 16, T = 2, R = 1 };
    struct error err = { 0 };
    struct vae *v = vae_open(MODELS "/wan_vace/vae", x, false, &err);
    assert_non_null(v);
    assert_int_equal(vace_control_channels(v), 96);
    float *zeros = xcalloc(F * H * W * 3, sizeof *zeros), code[Z * T * PLANE], control[96 * (R + T) * PLANE];
    float *reference = numbers(6, Z * PLANE);
    const float *references[] = { reference };
    assert_true(vae_encode(v, zeros, F, H, W, code, &err));
    assert_true(vace_control(v, &(struct vace_source){ F, H, W, NULL, NULL, references, R }, control, &err));
    for (int c = 0; c < 96; c++)
        for (int t = 0; t < R + T; t++) {
            const float *at = control + (c * (R + T) + t) * PLANE;
            for (int i = 0; i < PLANE; i++) {
                float expected = c >= 2 * Z ? 1.0f : t ? code[((c % Z) * T + t - R) * PLANE + i] : 0.0f;
                if (t == 0)
                    expected = c < Z ? reference[c * PLANE + i] : 0.0f;
                assert_true(at[i] == expected);
            }
        }
    free(zeros);
    free(reference);
    vae_close(&v);
}

static void image_is_centred_on_white(void **state)
{
    (void)state;
    float image[2 * 4 * 3], canvas[8 * 8 * 3];
    for (int i = 0; i < 24; i++)
        image[i] = -0.5f;
    vace_letterbox(image, 2, 4, canvas, 8, 8);
    for (int y = 0; y < 8; y++)
        for (int p = 0; p < 8 * 3; p++)
            assert_true(canvas[y * 24 + p] == (y >= 2 && y < 6 ? -0.5f : 1.0f));
}

struct painting {
    struct dit *d;
    struct dit_call call;
    float out[16 * 3 * 4 * 4];
};

static void paint(struct painting *p)
{
    struct error err = { 0 };
    if (!dit_run(p->d, &p->call, p->out, &err))
        fail_msg("%s", err.text);
}

static void painter_keeps_its_promises(void **state)
{
    (void)state;
    enum { COUNT = 16 * 3 * 4 * 4 };
    struct error err = { 0 };
    struct painting p = { .d = dit_open(MODELS "/wan_vace/transformer", x, false, &err) };
    assert_non_null(p.d);
    float *latents = numbers(7, COUNT), *text = numbers(8, 5 * 48), *control = numbers(9, 96 * 3 * 16),
          *negative = numbers(10, 5 * 48);
    const float t = 700, zeros[2] = { 0 }, ones[2] = { 1, 1 };
    const int32_t usual[3] = { 0, 1, 2 }, far[3] = { 0, 8, 9 }, beyond[3] = { 0, 1, 1024 };
    float plain[COUNT], guided[COUNT];
    p.call = (struct dit_call){ .frames = 3,
                                .height = 4,
                                .width = 4,
                                .text_rows = 5,
                                .control_frames = 3,
                                .latents = latents,
                                .timesteps = &t,
                                .timestep_count = 1,
                                .text = text,
                                .control = control };
    paint(&p);
    memcpy(plain, p.out, sizeof plain);

    p.call.positions = usual; /* the default, said aloud */
    p.call.control_scale = ones;
    paint(&p);
    assert_memory_equal(p.out, plain, sizeof plain);
    p.call.positions = far; /* a window elsewhere in the shot is another place */
    paint(&p);
    assert_memory_not_equal(p.out, plain, sizeof plain);
    p.call.positions = NULL;

    p.call.control_scale = zeros; /* hints times 0 are no control */
    paint(&p);
    memcpy(plain, p.out, sizeof plain);
    p.call.control_scale = NULL;
    p.call.control_frames = 0;
    paint(&p);
    assert_memory_equal(p.out, plain, sizeof plain);

    assert_true(dit_run_guided(p.d, &p.call, negative, 1.0f, guided, &err));
    assert_memory_equal(guided, plain, sizeof plain);
    assert_true(dit_run_guided(p.d, &p.call, negative, 2.5f, guided, &err));
    p.call.text = negative;
    paint(&p);
    for (int i = 0; i < COUNT; i++) {
        float toward = plain[i] - p.out[i], step = 2.5f * toward, expected = p.out[i] + step;
        assert_true(guided[i] == expected);
    }

    p.call.positions = beyond;
    assert_false(dit_run(p.d, &p.call, p.out, &err));
    assert_string_equal(err.text, "painter: latent frame 2 has position 1024, expected 0 to 1023");
    p.call.positions = NULL;
    p.call.height = 3;
    assert_false(dit_run(p.d, &p.call, p.out, &err));
    assert_string_equal(err.text, "painter: latents of 3 x 3 x 4, expected multiples of 1 x 2 x 2");
    dit_close(&p.d);
    free(latents);
    free(text);
    free(control);
    free(negative);
}

/* ---- broken model folders ---- */

/* Copies MODELS/from into `dir`: its config, with `old` replaced by `new`; its weights, with tensor `drop` left out and
 * tensor `turn` transposed. */
static void damage(const char *from, const char *stem, const char *old, const char *new, const char *drop,
                   const char *turn)
{
    char path[300], text[8192];
    struct error err = { 0 };
    size_t size;
    snprintf(path, sizeof path, MODELS "/%s/config.json", from);
    char *config = file_read(path, sizeof text - 256, &size, &err);
    assert_non_null(config);
    char *at = old ? strstr(config, old) : NULL;
    assert_true(!old || at);
    snprintf(text, sizeof text, "%.*s%s%s", at ? (int)(at - config) : (int)size, config, at ? new : "",
             at ? at + strlen(old) : "");
    free(config);
    snprintf(path, sizeof path, "%s/config.json", dir);
    assert_true(file_write(path, text, strlen(text), &err));

    snprintf(path, sizeof path, MODELS "/%s/%s.safetensors", from, stem);
    struct safetensors *f = safetensors_open(path, &err);
    assert_non_null(f);
    size_t count = 0;
    struct weight *w = xcalloc(safetensors_count(f), sizeof *w);
    for (size_t i = 0; i < safetensors_count(f); i++) {
        const struct weight *one = safetensors_at(f, i);
        if (drop && !strcmp(one->name, drop))
            continue;
        w[count] = *one;
        if (turn && !strcmp(one->name, turn)) {
            w[count].shape.dim[0] = one->shape.dim[1];
            w[count].shape.dim[1] = one->shape.dim[0];
        }
        count++;
    }
    snprintf(path, sizeof path, "%s/%s.safetensors", dir, stem);
    assert_true(safetensors_write(path, w, count, &err));
    free(w);
    safetensors_close(&f);
}

enum model { TEXT, PAINTER, VAE };

static bool opens(enum model which, struct error *err)
{
    struct text_encoder *t = NULL;
    struct dit *d = NULL;
    struct vae *v = NULL;
    if (which == TEXT)
        t = text_encoder_open(dir, x, false, err);
    else if (which == PAINTER)
        d = dit_open(dir, x, false, err);
    else
        v = vae_open(dir, x, false, err);
    bool ok = t || d || v;
    text_encoder_close(&t);
    dit_close(&d);
    vae_close(&v);
    return ok;
}

/* Folder, file, tensor or key, what was found and what was expected. */
static void broken_models_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        enum model model;
        const char *old, *new, *drop, *turn, *says;
    } cases[] = {
        { PAINTER, "WanVACETransformer3DModel", "UNet2DModel", NULL, NULL,
          "config.json: _class_name: is \"UNet2DModel\", expected \"WanTransformer3DModel\" or" },
        { PAINTER, "\"num_layers\": 3", "\"layers\": 3", NULL, NULL, "config.json: num_layers: is missing" },
        { PAINTER, "\"num_layers\": 3", "\"num_layers\": 0", NULL, NULL, "num_layers: expected an integer from 1" },
        { PAINTER, "\"num_layers\": 3", "\"num_layers\": 4", NULL, NULL,
          "tensor blocks.3.scale_shift_table is missing" },
        { PAINTER, "\"ffn_dim\": 104", "\"ffn_dim\": 105", NULL, NULL,
          "tensor blocks.0.ffn.net.0.proj.weight is [104, 64], expected [105, 64]" },
        { PAINTER, "\"image_dim\": null", "\"image_dim\": 80", NULL, NULL,
          "image_dim: image conditioning is not supported" },
        { PAINTER, NULL, NULL, "vace_blocks.1.proj_out.bias", NULL, "tensor vace_blocks.1.proj_out.bias is missing" },
        { PAINTER, NULL, NULL, NULL, "blocks.1.ffn.net.2.weight",
          "diffusion_pytorch_model.safetensors: tensor blocks.1.ffn.net.2.weight is [104, 64], expected [64, 104]" },
        { VAE, "AutoencoderKLWan", "AutoencoderKL", NULL, NULL,
          "_class_name: is \"AutoencoderKL\", expected \"AutoencoderKLWan\"" },
        { VAE, "\"z_dim\": 16", "\"z_dim\": 15", NULL, NULL, "latents_mean: has 16 entries, expected 15" },
        { VAE, "\"base_dim\": 3", "\"base_dim\": 4", NULL, NULL, "expected [4, 3, 3, 3, 3]" },
        { VAE, "\"dropout\": 0.0", "\"is_residual\": true", NULL, NULL, "is_residual: is true" },
        { VAE, NULL, NULL, "decoder.up_blocks.1.upsamplers.0.time_conv.weight", NULL,
          "tensor decoder.up_blocks.1.upsamplers.0.time_conv.weight is missing" },
        { TEXT, "UMT5EncoderModel", "T5EncoderModel", NULL, NULL,
          "architectures: is \"T5EncoderModel\", expected \"UMT5EncoderModel\"" },
        { TEXT, "gated-gelu", "relu", NULL, NULL, "feed_forward_proj: is \"relu\"" },
        { TEXT, "\"d_ff\": 160", "\"d_ff\": \"160\"", NULL, NULL, "d_ff: expected an integer" },
        { TEXT, NULL, NULL, "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight", NULL,
          "relative_attention_bias.weight is missing" },
        { TEXT, NULL, NULL, NULL, "shared.weight", "tensor shared.weight is [64, 576], expected [576, 64]" },
    };
    static const char *const folders[] = { "wan_t2v/text_encoder", "wan_vace/transformer", "wan_vace/vae" };
    static const char *const stems[] = { "model", "diffusion_pytorch_model", "diffusion_pytorch_model" };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum model m = cases[i].model;
        struct error err = { 0 };
        damage(folders[m], stems[m], cases[i].old, cases[i].new, cases[i].drop, cases[i].turn);
        assert_false(opens(m, &err));
        if (!strstr(err.text, cases[i].says) || !strstr(err.text, dir))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.text, cases[i].says);
    }
    for (int m = TEXT; m <= VAE; m++) { /* undamaged they open; cut or gone they do not */
        char path[128];
        struct error err = { 0 };
        damage(folders[m], stems[m], NULL, NULL, NULL, NULL);
        if (!opens((enum model)m, &err))
            fail_msg("%s", err.text);
        snprintf(path, sizeof path, "%s/%s.safetensors", dir, stems[m]);
        assert_int_equal(truncate(path, 40000), 0);
        assert_false(opens((enum model)m, &err));
        assert_non_null(strstr(err.text, path));
        assert_int_equal(unlink(path), 0);
        assert_false(opens((enum model)m, &err));
        assert_non_null(strstr(err.text, "no weights"));
        snprintf(path, sizeof path, "%s/config.json", dir);
        assert_int_equal(unlink(path), 0);
        assert_false(opens((enum model)m, &err));
        assert_non_null(strstr(err.text, path));
    }
    assert_int_equal(exec_bytes_used(x), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_does_not_depend_on_its_neighbours),
        cmocka_unit_test(a_clip_is_decoded_piece_by_piece),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(mask_is_packed_by_the_nearest_exact_rule),
        cmocka_unit_test(references_alone_make_control_latents),
        cmocka_unit_test(image_is_centred_on_white),
        cmocka_unit_test(painter_keeps_its_promises),
        cmocka_unit_test_setup_teardown(broken_models_are_refused_by_name, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, open_exec, close_exec);
}

/* task_cast - what shots must know of a cast member: its identity latent, taken from a reference image or drawn from
 * its phrase, and its colours. */
#include "worker/tasks/denoise.h"
#include "worker/tasks/noise.h"
#include "worker/gates/palette.h"
#include "worker/tasks/task_internal.h"
#include "worker/models/vace.h"
#include "worker/video/video_image.h"

#include "common/base/arena.h"

#include <stdlib.h>
#include <string.h>

static bool check(const struct task_run *run, const Shotline__CastTask *t, struct error *err)
{
    static const char *const kinds[] = { "character", "product", "place" };
    bool known = false;
    for (size_t i = 0; i < 3; i++)
        known = known || strcmp(t->kind, kinds[i]) == 0;
    if (!known)
        return error_set(err, ERROR_INPUT, "kind \"%.40s\", expected character, product or place", t->kind);
    if (!task_check_size(run, t->width, t->height, err))
        return false;
    if (t->image)
        return true;
    if (!t->text || !t->negative_text)
        return error_set(err, ERROR_INPUT, "neither an image nor a text to draw it from");
    if (!(t->guidance_scale >= 0 && t->guidance_scale <= 100))
        return error_set(err, ERROR_INPUT, "guidance_scale is %g, expected 0 to 100", t->guidance_scale);
    return task_check("steps", t->steps, 1, SAMPLER_MAX_STEPS, err);
}

/* A large photo is first averaged down by whole factors: the bilinear fit looks at four pixels only, and from a photo
 * that would be a random choice. */
static void shrink(struct image *i, int to_width, int to_height)
{
    const int by_width = i->width / to_width, by_height = i->height / to_height;
    const int factor = by_width > by_height ? by_width : by_height; /* the fit is decided by the tighter side */
    if (factor < 2)
        return;
    const int width = i->width / factor, height = i->height / factor;
    if (width < 1 || height < 1)
        return;
    uint8_t *small = xmalloc((size_t)width * height * 3);
    const uint32_t area = (uint32_t)factor * factor;
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            uint32_t sum[3] = { 0 };
            for (int v = 0; v < factor; v++) {
                const uint8_t *from = i->rgb + 3 * ((size_t)(y * factor + v) * i->width + (size_t)x * factor);
                for (int u = 0; u < factor; u++, from += 3) {
                    for (int c = 0; c < 3; c++)
                        sum[c] += from[c];
                }
            }
            for (int c = 0; c < 3; c++)
                small[3 * ((size_t)y * width + x) + c] = (uint8_t)((sum[c] + area / 2) / area);
        }
    }
    free(i->rgb);
    *i = (struct image){ width, height, small };
}

static float to_unit(uint8_t v)
{
    return (float)v / 127.5f - 1.0f;
}

static uint8_t to_byte(float x)
{
    x = x < -1.0f ? -1.0f : x > 1.0f ? 1.0f : x;
    const float scaled = x * 127.5f;
    return (uint8_t)(scaled + 128.0f);
}

/* Blob, preview and palette of a member. */
struct identity {
    float *latent; /* [channels, h, w] */
    int channels;
    struct image preview;
    struct palette palette;
};

static void preview_from(struct identity *id, const float *canvas, int width, int height)
{
    id->preview = (struct image){ .width = width, .height = height, .rgb = xmalloc((size_t)width * height * 3) };
    for (size_t i = 0; i < (size_t)width * height * 3; i++)
        id->preview.rgb[i] = to_byte(canvas[i]);
}

static bool take_image(struct identity *id, const struct task_run *run, const Shotline__CastTask *t, struct error *err)
{
    const int width = (int)t->width, height = (int)t->height;
    size_t size;
    struct image image = { 0 };
    float *pixels = NULL, *canvas = NULL;
    char *bytes = task_blob_read(run, t->image, "reference image", &size, err);
    bool ok = bytes && image_decode(&image, bytes, size, "reference image", err);
    free(bytes);
    struct vae *vae = ok ? studio_vae(run->studio, err) : NULL;
    if (!vae) {
        image_free(&image);
        return false;
    }
    shrink(&image, width, height);
    palette_find(&id->palette, image.rgb, (size_t)image.width * image.height);
    const size_t count = (size_t)image.width * image.height * 3;
    pixels = xmalloc(count * sizeof *pixels);
    for (size_t i = 0; i < count; i++)
        pixels[i] = to_unit(image.rgb[i]);
    canvas = xmalloc((size_t)width * height * 3 * sizeof *canvas);
    vace_letterbox(pixels, image.height, image.width, canvas, height, width);
    preview_from(id, canvas, width, height);

    id->channels = vae_info(vae)->channels;
    id->latent = xmalloc((size_t)id->channels * (size_t)task_latents(run, t->height) *
                         (size_t)task_latents(run, t->width) * sizeof(float));
    ok = vace_reference(vae, pixels, image.height, image.width, height, width, id->latent, err);
    free(canvas);
    free(pixels);
    image_free(&image);
    return ok;
}

static bool denoise_picture(struct identity *id, const struct task_run *run, const Shotline__CastTask *t,
                            struct error *err)
{
    struct shape shape = SHAPE(-1, -1);
    struct solver_state state = { 0 };
    float *negative = NULL, *noise = NULL, *text = task_blob_tensor(run, t->text, "text", "embedding", &shape, err);
    bool ok = text && task_check("rows of the text embedding", shape.dim[0], 1, TASK_MAX_TEXT_ROWS, err) &&
              (negative = task_blob_tensor(run, t->negative_text, "negative text", "embedding", &shape, err));
    struct dit *dit = ok ? studio_dit(run->studio, err) : NULL;
    if (!dit) {
        ok = false;
        goto out;
    }
    id->channels = dit_info(dit)->channels;
    const struct noise n = {
        .kind = NOISE_CAST,
        .seed = t->seed,
        .channels = id->channels,
        .height = task_latents(run, t->height),
        .width = task_latents(run, t->width),
    };
    const size_t count = (size_t)n.channels * n.height * n.width;
    noise = xmalloc(count * sizeof *noise);
    noise_fill(&n, 0, 1, noise, 1, 0);
    sampler_state_init(&state.sampler, n.channels, 1, n.height, n.width, noise);
    const struct denoise d = {
        .text = text,
        .negative = negative,
        .text_rows = (int)shape.dim[0],
        .text_width = (int)shape.dim[1],
        .latent_frames = 1,
        .steps = (int)t->steps,
        .step_to = (int)t->steps,
        .guidance_scale = t->guidance_scale,
    };
    ok = denoise_run(run, &d, &state, err);
    if (ok) {
        id->latent = xmalloc(count * sizeof *id->latent);
        memcpy(id->latent, state.sampler.sample, count * sizeof *id->latent);
    }
out:
    solver_state_free(&state);
    free(noise);
    free(negative);
    free(text);
    return ok;
}

/* A picture is a shot of one latent frame; its latent is what a reference's would be. */
static bool draw(struct identity *id, const struct task_run *run, const Shotline__CastTask *t, struct error *err)
{
    if (!denoise_picture(id, run, t, err))
        return false;
    struct vae *vae = studio_vae(run->studio, err);
    if (!vae)
        return false;
    if (vae_info(vae)->channels != id->channels)
        return error_set(err, ERROR_INPUT, "the painter's latents have %d channels, the VAE's %d", id->channels,
                         vae_info(vae)->channels);
    float *canvas = xmalloc((size_t)t->width * t->height * 3 * sizeof *canvas);
    bool ok = vae_decode(vae, id->latent, 1, task_latents(run, t->height), task_latents(run, t->width), canvas, err);
    if (ok) {
        preview_from(id, canvas, (int)t->width, (int)t->height);
        palette_find(&id->palette, id->preview.rgb, (size_t)t->width * t->height);
    }
    free(canvas);
    return ok;
}

bool task_cast_run(const struct task_run *run, const Shotline__CastTask *t, struct task_outputs *out, struct error *err)
{
    struct identity id = { 0 };
    uint8_t *png = NULL;
    size_t size;
    bool ok = check(run, t, err) && (t->image ? take_image(&id, run, t, err) : draw(&id, run, t, err)) &&
              (png = image_encode_png(&id.preview, &size, err));
    if (ok) {
        const struct weight tensors[] = {
            { "latent", DTYPE_F32, SHAPE(id.channels, task_latents(run, t->height), task_latents(run, t->width)),
              id.latent },
            { "palette", DTYPE_F32, SHAPE(id.palette.count, 4), id.palette.colour },
        };
        ok = task_add_tensors(run, out, "identity", tensors, 2, err) &&
             task_add_bytes(run, out, "preview", png, size, err);
        task_progress(run, 1, 1);
    }
    free(png);
    image_free(&id.preview);
    free(id.latent);
    return ok;
}

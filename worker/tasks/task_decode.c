/* task_decode - the ranges of a shot, joined, to frames: one causal decode over the whole timeline, so that no range
 * leaves a seam. */
#include "worker/gates/gate_measure.h"
#include "worker/tasks/latents.h"
#include "worker/tasks/solver_state.h"
#include "worker/tasks/task_internal.h"
#include "worker/video/video_image.h"
#include "worker/video/video_write.h"

#include "common/base/arena.h"

#include <stdlib.h>
#include <string.h>

#define MAX_RANGES     1024
#define MAX_IDENTITIES 16

/* [-1, 1] to a byte, halves up; rounding is part of the result. What is no number becomes black. */
static uint8_t pixel(float x)
{
    x = !(x >= -1.0f) ? -1.0f : x > 1.0f ? 1.0f : x;
    const float scaled = x * 127.5f;
    return (uint8_t)(scaled + 128.0f);
}

static bool is_finite(float x)
{
    return x - x == 0.0f;
}

static bool check(const struct task_run *run, const Shotline__DecodeTask *t, struct error *err)
{
    return task_check_size(run, t->width, t->height, err) &&
           task_check("latent_frames", t->latent_frames, 1, SOLVER_MAX_FRAMES, err) &&
           task_check("fps", t->fps, 1, 240, err) &&
           task_check("number of ranges", (int64_t)t->n_ranges, 1, MAX_RANGES, err) &&
           task_check("number of identities", (int64_t)t->n_identities, 0, MAX_IDENTITIES, err);
}

/* The whole shot's latents [channels, latent_frames, h, w], freed by the caller; NULL on failure. */
static float *join(const struct task_run *run, const Shotline__DecodeTask *t, int channels, struct error *err)
{
    const int height = task_latents(run, t->height), width = task_latents(run, t->width);
    struct latent_range *ranges = xcalloc(t->n_ranges, sizeof *ranges);
    float *latents = NULL;
    for (size_t i = 0; i < t->n_ranges; i++) {
        const Shotline__DecodeRange *r = t->ranges[i];
        struct shape shape = SHAPE(channels, r->count, height, width);
        if (!task_check("first of a range", r->first, 0, t->latent_frames - 1, err) ||
            !task_check("count of a range", r->count, 1, t->latent_frames, err))
            goto out;
        ranges[i] = (struct latent_range){ .first = (int)r->first, .count = (int)r->count };
        ranges[i].data = task_blob_tensor(run, r->latents, "latents", "latents", &shape, err);
        if (!ranges[i].data)
            goto out;
    }
    latents = xmalloc((size_t)channels * t->latent_frames * height * width * sizeof *latents);
    if (!latents_blend(ranges, t->n_ranges, channels, height, width, (int)t->latent_frames, latents, err)) {
        free(latents);
        latents = NULL;
    }
out:
    for (size_t i = 0; i < t->n_ranges; i++)
        free((void *)ranges[i].data);
    free(ranges);
    return latents;
}

/* What becomes of the frames. */
struct footage {
    struct video_writer *mezzanine;
    struct hash hash;
    struct gate_measure *measure;
    struct image thumbnail; /* the frame in the middle */
    int64_t frames, middle;
};

static bool footage_add(struct footage *k, const float *frame, uint8_t *rgb, struct error *err)
{
    const size_t size = (size_t)k->thumbnail.width * k->thumbnail.height * 3;
    int64_t unusable = 0;
    for (size_t i = 0; i < size; i++) {
        rgb[i] = pixel(frame[i]);
        unusable += !is_finite(frame[i]);
    }
    hash_bytes(&k->hash, rgb, size);
    gate_measure_frame(k->measure, rgb, unusable);
    if (k->frames++ == k->middle)
        memcpy(k->thumbnail.rgb, rgb, size);
    return video_writer_add(k->mezzanine, rgb, err);
}

static bool decode(const struct task_run *run, const Shotline__DecodeTask *t, struct vae *vae, const float *latents,
                   struct footage *k, struct error *err)
{
    const int channels = vae_info(vae)->channels, height = task_latents(run, t->height),
              width = task_latents(run, t->width);
    const size_t area = (size_t)height * width, picture = (size_t)t->height * t->width * 3;
    struct vae_decoder *decoder = vae_decoder_open(vae, height, width, err);
    if (!decoder)
        return false;
    float *latent = xmalloc(channels * area * sizeof *latent),
          *frames = xmalloc(vae_info(vae)->time_factor * picture * sizeof *frames);
    uint8_t *rgb = xmalloc(picture);
    bool ok = true;
    for (uint32_t i = 0; ok && i < t->latent_frames; i++) {
        int count = 0;
        for (int c = 0; c < channels; c++)
            memcpy(latent + c * area, latents + ((size_t)c * t->latent_frames + i) * area, area * sizeof *latent);
        ok = !task_cancelled(run, err) && vae_decoder_push(decoder, latent, frames, &count, err);
        for (int f = 0; ok && f < count; f++)
            ok = footage_add(k, frames + f * picture, rgb, err);
        if (ok)
            task_progress(run, i + 1, t->latent_frames);
    }
    free(rgb);
    free(frames);
    free(latent);
    vae_decoder_close(&decoder);
    return ok;
}

static bool give_texts(const struct task_run *run, const struct footage *k, struct task_outputs *out, struct error *err)
{
    struct hash hash = k->hash;
    char hex[DIGEST_HEX_ROOM];
    struct str scores = { 0 };
    const struct digest d = hash_end(&hash);
    digest_hex(&d, hex);
    gate_measure_json(k->measure, &scores);
    bool ok = task_add_bytes(run, out, "frames", hex, strlen(hex), err) &&
              task_add_bytes(run, out, "scores", scores.data, scores.size, err);
    str_free(&scores);
    if (!ok)
        return false;
    size_t size;
    uint8_t *png = image_encode_png(&k->thumbnail, &size, err);
    ok = png && task_add_bytes(run, out, "thumbnail", png, size, err);
    free(png);
    return ok;
}

/* First and last frame that are made of a latent: 1 of the first, as many of every other. */
static int first_frame(int latent, int per_latent)
{
    return latent ? per_latent * (latent - 1) + 1 : 0;
}

static int last_frame(int latent, int per_latent)
{
    return per_latent * latent;
}

/* NULL on failure. */
static struct gate_measure *measure_open(const struct task_run *run, const Shotline__DecodeTask *t, int per_latent,
                                         struct error *err)
{
    struct gate_seam *borders = xcalloc(t->n_ranges, sizeof *borders);
    struct palette *figures = xcalloc(t->n_identities, sizeof *figures);
    struct gate_shot shot = { .width = (int)t->width,
                              .height = (int)t->height,
                              .fps = (int)t->fps,
                              .borders = borders,
                              .figures = figures,
                              .figure_count = t->n_identities };
    struct gate_measure *m = NULL;
    bool ok = true;
    for (size_t i = 0; i + 1 < t->n_ranges; i++) {
        const uint32_t from = t->ranges[i + 1]->first, end = t->ranges[i]->first + t->ranges[i]->count;
        if (from < end && end <= t->latent_frames) /* join refuses the others */
            borders[shot.border_count++] =
                (struct gate_seam){ first_frame((int)from, per_latent), last_frame((int)end - 1, per_latent) };
    }
    for (size_t i = 0; ok && i < t->n_identities; i++)
        ok = task_blob_palette(run, t->identities[i], &figures[i], err);
    if (ok)
        m = gate_measure_open(&shot);
    free(figures);
    free(borders);
    return m;
}

bool task_decode_run(const struct task_run *run, const Shotline__DecodeTask *t, struct task_outputs *out,
                     struct error *err)
{
    char path[1024];
    struct footage k = { 0 };
    float *latents = NULL;
    bool ok = false;
    if (!check(run, t, err) || !task_scratch(run, "mezzanine.mkv", path, sizeof path, err))
        return false;
    struct vae *vae = studio_vae(run->studio, err);
    if (!vae)
        return false;
    const int width = (int)t->width, height = (int)t->height, channels = vae_info(vae)->channels;
    const struct shape shape =
        SHAPE(channels, t->latent_frames, task_latents(run, t->height), task_latents(run, t->width));
    k.middle = vae_video_frames(vae, (int)t->latent_frames) / 2;
    k.thumbnail = (struct image){ .width = width, .height = height, .rgb = xcalloc((size_t)width * height, 3) };
    hash_begin(&k.hash);
    k.measure = measure_open(run, t, vae_info(vae)->time_factor, err);
    latents = k.measure ? join(run, t, channels, err) : NULL;
    if (latents)
        k.mezzanine = video_writer_open_ffv1(
            path, &(struct video_format){ .width = width, .height = height, .fps = (int)t->fps }, err);
    ok = k.mezzanine && decode(run, t, vae, latents, &k, err) && video_writer_finish(&k.mezzanine, err) &&
         task_add_tensors(run, out, "latents", &(struct weight){ "latents", DTYPE_F32, shape, latents }, 1, err) &&
         task_add_file(run, out, "mezzanine", path, err) && give_texts(run, &k, out, err);

    video_writer_abort(&k.mezzanine);
    gate_measure_close(&k.measure);
    image_free(&k.thumbnail);
    free(latents);
    return ok;
}

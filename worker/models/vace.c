#include "worker/models/vace.h"

#include "common/base/arena.h"

#include <stdlib.h>
#include <string.h>

int vace_control_channels(const struct vae *v)
{
    const struct vae_info *i = vae_info(v);
    return 2 * i->channels + i->space_factor * i->space_factor;
}

void vace_pack_mask(const struct vae *v, const float *mask, int frames, int height, int width, float *packed)
{
    int side = vae_info(v)->space_factor, latents = vae_latent_frames(v, frames);
    int rows = height / side, columns = width / side;

    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            for (int k = 0; k < latents; k++) {
                int frame = (2 * k + 1) * frames / (2 * latents); /* floor((k + 0.5) * frames / latents) */
                for (int h = 0; h < rows; h++)
                    for (int w = 0; w < columns; w++)
                        *packed++ = mask[((int64_t)frame * height + h * side + y) * width + w * side + x];
            }
}

/* The part of the video that is kept (painted == false) or that is to be painted; the rest is 0. */
static void cut(const struct vace_source *s, bool painted, float *to)
{
    int64_t pixels = (int64_t)s->frames * s->height * s->width;
    for (int64_t i = 0; i < pixels; i++) {
        bool paint = !s->mask || s->mask[i] > 0.5f;
        for (int c = 0; c < 3; c++)
            to[3 * i + c] = paint == painted && s->video ? s->video[3 * i + c] : 0.0f;
    }
}

/* Encodes both parts: inactive and reactive, each [channels, latents, h, w]. With nothing given both are the code of
 * zeros. */
static bool encode_parts(struct vae *v, const struct vace_source *s, float *inactive, float *reactive, int64_t count,
                         struct error *err)
{
    float *part = xmalloc((size_t)s->frames * (size_t)s->height * (size_t)s->width * 3 * sizeof *part);
    cut(s, false, part);
    bool ok = vae_encode(v, part, s->frames, s->height, s->width, inactive, err);
    if (ok && s->video) {
        cut(s, true, part);
        ok = vae_encode(v, part, s->frames, s->height, s->width, reactive, err);
    } else if (ok) {
        memcpy(reactive, inactive, (size_t)count * sizeof *reactive);
    }
    free(part);
    return ok;
}

/* Copies planes [channels, from_frames, plane] into channels [first, ..) and frames [at, ..) of control[?, frames,
 * plane]. */
static void place(float *control, int frames, size_t plane, int first, int at, const float *from, int channels,
                  int from_frames)
{
    for (int c = 0; c < channels; c++)
        memcpy(control + ((size_t)(first + c) * (size_t)frames + (size_t)at) * plane,
               from + (size_t)c * (size_t)from_frames * plane, (size_t)from_frames * plane * sizeof *control);
}

bool vace_control(struct vae *v, const struct vace_source *s, float *control, struct error *err)
{
    const struct vae_info *info = vae_info(v);
    int side = info->space_factor;
    if (s->frames < 1 || (s->frames - 1) % info->time_factor || s->height % side || s->width % side)
        return error_set(err, ERROR_INPUT,
                         "control video of %d frames, %d x %d pixels: expected %dn+1 frames and multiples of %d",
                         s->frames, s->width, s->height, info->time_factor, side);

    int latents = vae_latent_frames(v, s->frames), frames = s->reference_count + latents;
    size_t plane = (size_t)(s->height / side) * (size_t)(s->width / side);
    int64_t count = (int64_t)info->channels * latents * (int64_t)plane;
    float *parts = xmalloc(2 * (size_t)count * sizeof *parts);
    if (!encode_parts(v, s, parts, parts + count, count, err)) {
        free(parts);
        return error_wrap(err, "control latents");
    }

    memset(control, 0, (size_t)vace_control_channels(v) * (size_t)frames * plane * sizeof *control);
    for (int r = 0; r < s->reference_count; r++)
        place(control, frames, plane, 0, r, s->references[r], info->channels, 1);
    place(control, frames, plane, 0, s->reference_count, parts, info->channels, latents);
    place(control, frames, plane, info->channels, s->reference_count, parts + count, info->channels, latents);
    free(parts);

    int64_t pixels = (int64_t)s->frames * s->height * s->width;
    float *mask = xmalloc((size_t)pixels * sizeof *mask);
    float *packed = xmalloc((size_t)(side * side * latents) * plane * sizeof *packed);
    for (int64_t i = 0; i < pixels; i++)
        mask[i] = s->mask ? s->mask[i] : 1.0f;
    vace_pack_mask(v, mask, s->frames, s->height, s->width, packed);
    place(control, frames, plane, 2 * info->channels, s->reference_count, packed, side * side, latents);
    free(mask);
    free(packed);
    return true;
}

/* ---- references ---- */

/* The two source pixels and the weight of the second for output pixel i, half-pixel centres. */
static void sample_at(int i, int from, int to, int *first, int *second, float *weight)
{
    float scale = (float)from / (float)to;
    float at = ((float)i + 0.5f) * scale;
    at = at - 0.5f;
    at = at < 0.0f ? 0.0f : at;
    *first = (int)at < from ? (int)at : from - 1;
    *second = *first + 1 < from ? *first + 1 : *first;
    *weight = at - (float)*first;
}

static void resize(const float *image, int height, int width, float *to, int to_height, int to_width, int step)
{
    for (int y = 0; y < to_height; y++)
        for (int x = 0; x < to_width; x++) {
            int y0, y1, x0, x1;
            float wy, wx;
            sample_at(y, height, to_height, &y0, &y1, &wy);
            sample_at(x, width, to_width, &x0, &x1, &wx);
            for (int c = 0; c < 3; c++) {
                const float *top = image + (int64_t)y0 * width * 3 + c, *bottom = image + (int64_t)y1 * width * 3 + c;
                float a = (1.0f - wx) * top[3 * x0] + wx * top[3 * x1];
                float b = (1.0f - wx) * bottom[3 * x0] + wx * bottom[3 * x1];
                to[((int64_t)y * step + x) * 3 + c] = (1.0f - wy) * a + wy * b;
            }
        }
}

void vace_letterbox(const float *image, int height, int width, float *canvas, int to_height, int to_width)
{
    double down = (double)to_height / height, across = (double)to_width / width;
    double scale = down < across ? down : across;
    int rows = (int)(height * scale), columns = (int)(width * scale);

    rows = rows < 1 ? 1 : rows;
    columns = columns < 1 ? 1 : columns;
    for (int64_t i = 0; i < (int64_t)to_height * to_width * 3; i++)
        canvas[i] = 1.0f;
    int top = (to_height - rows) / 2, left = (to_width - columns) / 2;
    resize(image, height, width, canvas + ((int64_t)top * to_width + left) * 3, rows, columns, to_width);
}

bool vace_reference(struct vae *v, const float *image, int height, int width, int to_height, int to_width,
                    float *latent, struct error *err)
{
    float *canvas = xmalloc((size_t)to_height * (size_t)to_width * 3 * sizeof *canvas);
    vace_letterbox(image, height, width, canvas, to_height, to_width);
    bool ok = vae_encode(v, canvas, 1, to_height, to_width, latent, err);
    free(canvas);
    return ok;
}

#include "worker/tasks/studio.h"

#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "worker/models/vace.h"
#include "worker/video/video_write.h"

#include <stdlib.h>
#include <string.h>

struct empty_control {
    float *data; /* NULL: none yet */
    int frames, height, width;
};

struct studio {
    char dir[512];
    struct exec *exec;
    struct pack_defaults defaults;
    bool lean;

    struct tokenizer *tokenizer;
    struct text_encoder *text_encoder;
    struct dit *dit;
    struct vae *vae;
    struct sampler_config sampler;
    bool sampler_known;
    struct empty_control empty;
};

/* A device copy of a weight is known by the weight, so copies go when a model does. */
static void close_models(struct studio *s)
{
    text_encoder_close(&s->text_encoder);
    dit_close(&s->dit);
    vae_close(&s->vae);
    exec_drop_weights(s->exec);
}

struct studio *studio_open(const char *pack_dir, struct exec *exec, struct error *err)
{
    struct studio *s = xcalloc(1, sizeof *s);
    s->exec = exec;
    if (strlen(pack_dir) >= sizeof s->dir)
        error_set(err, ERROR_INPUT, "path of the pack is too long: %.100s...", pack_dir);
    else if (pack_defaults_load(&s->defaults, pack_dir, err)) {
        strcpy(s->dir, pack_dir);
        /* decoded and stitched bytes hang on these: workers of one farm should show the same */
        log_info("studio.open", "pack=%s codecs=\"%s\"", s->defaults.name, video_codec_version());
        return s;
    }
    free(s);
    return NULL;
}

void studio_close(struct studio **s)
{
    if (!*s)
        return;
    close_models(*s);
    tokenizer_close(&(*s)->tokenizer);
    free((*s)->empty.data);
    free(*s);
    *s = NULL;
}

bool studio_enter(struct studio *s, bool lean)
{
    if (lean || s->lean)
        close_models(s);
    s->lean = lean;
    exec_stream_weights(s->exec, lean);
    return s->text_encoder || s->dit || s->vae;
}

void studio_clear(struct studio *s)
{
    close_models(s);
}

const struct pack_defaults *studio_defaults(const struct studio *s)
{
    return &s->defaults;
}

/* "DIR/PART", and room for the model that lives there. */
static bool make_ready(struct studio *s, const char *part, char path[static 640], struct error *err)
{
    if (!file_join(path, 640, s->dir, part))
        return error_set(err, ERROR_INPUT, "path too long: %s/%s", s->dir, part);
    if (s->lean)
        close_models(s);
    return true;
}

struct tokenizer *studio_tokenizer(struct studio *s, struct error *err)
{
    char path[640];
    if (s->tokenizer)
        return s->tokenizer;
    if (!file_join(path, sizeof path, s->dir, "tokenizer/tokenizer.json")) {
        error_set(err, ERROR_INPUT, "path too long: %s/tokenizer", s->dir);
        return NULL;
    }
    return s->tokenizer = tokenizer_open(path, err);
}

struct text_encoder *studio_text_encoder(struct studio *s, struct error *err)
{
    char path[640];
    if (!s->text_encoder && make_ready(s, "text_encoder", path, err))
        s->text_encoder = text_encoder_open(path, s->exec, false, err);
    return s->text_encoder;
}

struct dit *studio_dit(struct studio *s, struct error *err)
{
    char path[640];
    if (!s->dit && make_ready(s, "transformer", path, err))
        s->dit = dit_open(path, s->exec, false, err);
    return s->dit;
}

struct vae *studio_vae(struct studio *s, struct error *err)
{
    char path[640];
    if (!s->vae && make_ready(s, "vae", path, err))
        s->vae = vae_open(path, s->exec, false, err);
    return s->vae;
}

const struct sampler_config *studio_sampler(struct studio *s, struct error *err)
{
    char path[640];
    if (s->sampler_known)
        return &s->sampler;
    if (!file_join(path, sizeof path, s->dir, "scheduler")) {
        error_set(err, ERROR_INPUT, "path too long: %s/scheduler", s->dir);
        return NULL;
    }
    s->sampler_known = sampler_config_load(&s->sampler, path, err);
    return s->sampler_known ? &s->sampler : NULL;
}

const float *studio_empty_control(struct studio *s, int channels, int frames, int height, int width, int *frames_kept,
                                  struct error *err)
{
    struct empty_control *e = &s->empty;
    if (e->data && e->height == height && e->width == width && e->frames >= frames) {
        *frames_kept = e->frames;
        return e->data;
    }
    struct vae *vae = studio_vae(s, err);
    if (!vae)
        return NULL;
    if (vace_control_channels(vae) != channels) {
        error_set(err, ERROR_INPUT, "the painter reads %d control channels, the VAE gives %d", channels,
                  vace_control_channels(vae));
        return NULL;
    }
    const struct vace_source nothing = {
        .frames = vae_video_frames(vae, frames),
        .height = height * vae_info(vae)->space_factor,
        .width = width * vae_info(vae)->space_factor,
    };
    float *data = xmalloc((size_t)channels * frames * height * width * sizeof(float));
    if (!vace_control(vae, &nothing, data, err)) {
        free(data);
        return NULL;
    }
    free(e->data);
    *e = (struct empty_control){ data, frames, height, width };
    *frames_kept = frames;
    return data;
}

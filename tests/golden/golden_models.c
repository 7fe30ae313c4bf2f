/* golden_models - the single models: text encoder, painter, VAE, samplers, planner. */
#include "tests/golden/golden.h"

#include "common/base/str.h"
#include "common/nn/lm.h"
#include "worker/models/dit.h"
#include "worker/models/dit_tables.h"
#include "worker/models/sampler.h"
#include "worker/models/text_encoder.h"
#include "worker/models/vae.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- umt5 ---- */

static bool umt5_row(struct golden *c, struct text_encoder *t, const int32_t *ids, const float *mask, int row,
                     int count, struct error *err)
{
    int64_t width = text_encoder_width(t);
    float *out = arena_array(&c->arena, float, count *width);
    uint8_t *seen = arena_array(&c->arena, uint8_t, count);

    for (int i = 0; i < count; i++)
        seen[i] = mask[(int64_t)row * count + i] != 0;
    if (!text_encoder_run(t, ids + (int64_t)row * count, count, seen, out, err))
        return false;
    golden_compare_part(c, "last_hidden_state", row, out, count * width);
    for (size_t i = 0; i < safetensors_count(c->expected); i++) {
        const char *name = safetensors_at(c->expected, i)->name;
        struct shape shape;
        if (strncmp(name, "block.", 6))
            continue;
        float *tap = text_encoder_tap(t, name, &shape, err);
        if (!tap)
            return false;
        golden_compare_part(c, name, row, tap, shape_count(&shape));
        free(tap);
    }
    return true;
}

static void umt5_buckets(struct golden *c, const struct text_encoder *t)
{
    int64_t buckets[1201];
    for (int d = -600; d <= 600; d++)
        buckets[d + 600] = text_encoder_bucket(t, d);
    golden_compare_ints(c, "relative_buckets_m600_600", buckets, 1201);
}

bool golden_umt5(struct golden *c, struct error *err)
{
    char dir[PATH_MAX];
    struct shape shape;
    const int32_t *ids = golden_input_ids(c, "input_ids", &shape, err);
    struct shape mask_shape;
    const float *mask = golden_input(c, "attention_mask", &mask_shape, err);
    if (!ids || !mask || !golden_path(c, "model", dir, err))
        return false;
    if (shape.rank != 2 || !shape_equal(&shape, &mask_shape))
        return error_set(err, ERROR_INPUT,
                         "inputs.safetensors: input_ids and attention_mask are not both [rows, count]");
    struct text_encoder *t = text_encoder_open(dir, c->exec, true, err);
    if (!t)
        return false;
    bool ok = true;
    for (int row = 0; row < shape.dim[0] && ok; row++)
        ok = umt5_row(c, t, ids, mask, row, (int)shape.dim[1], err);
    umt5_buckets(c, t);
    text_encoder_close(&t);
    return ok && golden_require(c, "last_hidden_state", err);
}

/* ---- the painter ---- */

static void dit_rope(struct golden *c, const struct dit_info *info, const struct dit_call *call)
{
    const int *p = info->patch;
    int t = call->frames / p[0], h = call->height / p[1], w = call->width / p[2], size = info->width / info->heads;
    int64_t count = (int64_t)t * h * w * (size / 2);
    float *table = arena_array(&c->arena, float, 2 * count), *twice = arena_array(&c->arena, float, 2 * count);
    static const char *const names[] = { "rope_cos", "rope_sin" };

    dit_rope_tables(t, h, w, size, NULL, table, table + count);
    for (int part = 0; part < 2; part++) {
        for (int64_t i = 0; i < 2 * count; i++)
            twice[i] = table[part * count + i / 2];
        golden_compare(c, names[part], twice, 2 * count);
    }
}

/* The inner values of one batch row, all of those that the case has. */
static bool dit_taps(struct golden *c, struct dit *d, int row, struct error *err)
{
    for (size_t i = 0; i < safetensors_count(c->expected); i++) {
        const char *name = safetensors_at(c->expected, i)->name;
        bool inner = !strcmp(name, "temb") || !strcmp(name, "timestep_proj") || !strcmp(name, "text_proj") ||
                     !strncmp(name, "blocks.", 7) || !strncmp(name, "vace_blocks.", 12);
        bool embedding = str_ends(name, "patch_embedding");
        struct shape shape;
        if (!inner && !embedding)
            continue;
        float *tap = dit_tap(d, name, &shape, err);
        if (!tap)
            return false;
        const float *values =
            embedding ? golden_transpose(c, tap, shape.dim[0], shape.dim[1]) : tap; /* channels first there */
        golden_compare_part(c, name, row, values, shape_count(&shape));
        free(tap);
    }
    return true;
}

struct dit_inputs {
    struct shape latents, timestep, text, control;
    const float *latents_data, *timestep_data, *text_data, *control_data, *scale;
    int64_t scales;
};

static bool dit_row(struct golden *c, struct dit *d, const struct dit_inputs *in, int row, struct error *err)
{
    const struct dit_info *info = dit_info(d);
    int64_t latents = shape_count(&in->latents) / in->latents.dim[0],
            text = shape_count(&in->text) / in->latents.dim[0];
    int64_t control = in->control_data ? shape_count(&in->control) / in->latents.dim[0] : 0;
    int steps = in->timestep.rank == 2 ? (int)in->timestep.dim[1] : 1;
    struct dit_call call = { .frames = (int)in->latents.dim[2],
                             .height = (int)in->latents.dim[3],
                             .width = (int)in->latents.dim[4],
                             .text_rows = (int)in->text.dim[1],
                             .control_frames = in->control_data ? (int)in->control.dim[2] : 0,
                             .latents = in->latents_data + row * latents,
                             .timesteps = in->timestep_data + (int64_t)row * steps,
                             .timestep_count = steps,
                             .text = in->text_data + row * text,
                             .control = in->control_data ? in->control_data + row * control : NULL,
                             .control_scale = in->scale };
    int64_t count = latents / info->channels * info->out_channels;
    float *out = arena_array(&c->arena, float, count);
    if (!dit_run(d, &call, out, err) || !dit_taps(c, d, row, err))
        return false;
    golden_compare_part(c, "sample", row, out, count);

    const struct weight *sinusoid = golden_expected(c, "timestep_sinusoid");
    if (sinusoid && sinusoid->shape.rank == 2) {
        float *table = arena_array(&c->arena, float, steps * sinusoid->shape.dim[1]);
        dit_timestep_sinusoid(call.timesteps, steps, (int)sinusoid->shape.dim[1], table);
        golden_compare_part(c, "timestep_sinusoid", row, table, steps * sinusoid->shape.dim[1]);
    }
    dit_rope(c, info, &call);
    return true;
}

/* Batches of one size, all of them as the model wants them. */
static bool check_inputs(const struct dit_inputs *in, const struct dit_info *info, struct error *err)
{
    const struct shape *l = &in->latents, *t = &in->text, *k = &in->control;
    const int64_t batch = l->dim[0];

    if (l->rank != 5 || l->dim[1] != info->channels)
        return error_set(err, ERROR_INPUT,
                         "inputs.safetensors: hidden_states is not [batch, %d, frames, height, width]", info->channels);
    if (t->rank != 3 || t->dim[0] != batch || t->dim[2] != info->text_width)
        return error_set(err, ERROR_INPUT, "inputs.safetensors: encoder_hidden_states is not [%d, rows, %d]",
                         (int)batch, info->text_width);
    if (in->timestep.rank < 1 || in->timestep.rank > 2 || in->timestep.dim[0] != batch)
        return error_set(err, ERROR_INPUT, "inputs.safetensors: timestep is not [%d] or [%d, tokens]", (int)batch,
                         (int)batch);
    if (in->control_data && (k->rank != 5 || k->dim[0] != batch || k->dim[1] != info->control_channels ||
                             k->dim[3] != l->dim[3] || k->dim[4] != l->dim[4]))
        return error_set(err, ERROR_INPUT, "inputs.safetensors: control_hidden_states is not [%d, %d, frames, %d, %d]",
                         (int)batch, info->control_channels, (int)l->dim[3], (int)l->dim[4]);
    if (in->scale && in->scales != info->control_layers)
        return error_set(err, ERROR_INPUT, "inputs.safetensors: control_hidden_states_scale has %d values, expected %d",
                         (int)in->scales, info->control_layers);
    return true;
}

bool golden_dit(struct golden *c, struct error *err)
{
    char dir[PATH_MAX];
    struct dit_inputs in = { 0 };
    struct shape scale;
    in.latents_data = golden_input(c, "hidden_states", &in.latents, err);
    in.timestep_data = golden_input(c, "timestep", &in.timestep, err);
    in.text_data = golden_input(c, "encoder_hidden_states", &in.text, err);
    if (!in.latents_data || !in.timestep_data || !in.text_data || !golden_path(c, "model", dir, err))
        return false;
    if (golden_has_input(c, "control_hidden_states"))
        in.control_data = golden_input(c, "control_hidden_states", &in.control, err);
    if (golden_has_input(c, "control_hidden_states_scale"))
        in.scale = golden_input(c, "control_hidden_states_scale", &scale, err);
    in.scales = in.scale ? shape_count(&scale) : 0;

    struct dit *d = dit_open(dir, c->exec, true, err);
    if (!d)
        return false;
    bool ok = check_inputs(&in, dit_info(d), err);
    for (int row = 0; row < in.latents.dim[0] && ok; row++)
        ok = dit_row(c, d, &in, row, err);
    dit_close(&d);
    return ok && golden_require(c, "sample", err);
}

/* ---- VAE ---- */

typedef float *read_tap(void *coder, const char *name, struct shape *shape, struct error *err);

static float *encoder_tap(void *coder, const char *name, struct shape *shape, struct error *err)
{
    return vae_encoder_tap(coder, name, shape, err);
}

static float *decoder_tap(void *coder, const char *name, struct shape *shape, struct error *err)
{
    return vae_decoder_tap(coder, name, shape, err);
}

/* After push `group`: the inner values named "*.chunk<group>", [1, channels, frames, h, w] there, channels last here.
 */
static bool vae_taps(struct golden *c, void *coder, read_tap *read, int group, struct error *err)
{
    char suffix[32], inner[128];
    int length = snprintf(suffix, sizeof suffix, ".chunk%d", group);

    for (size_t i = 0; i < safetensors_count(c->expected); i++) {
        const struct weight *w = safetensors_at(c->expected, i);
        struct shape shape;
        if (!str_ends(w->name, suffix) || strlen(w->name) >= sizeof inner)
            continue;
        snprintf(inner, sizeof inner, "%.*s", (int)strlen(w->name) - length, w->name);
        float *tap = read(coder, inner, &shape, err);
        if (!tap)
            return false;
        int64_t channels = shape.dim[3], pixels = shape_count(&shape) / channels;
        if (shape_count(&shape) == shape_count(&w->shape))
            golden_compare(c, w->name, golden_transpose(c, tap, pixels, channels), pixels * channels);
        free(tap); /* post_quant_conv of the reference runs over the whole clip at once: compared only when that is one
                      frame */
    }
    return true;
}

bool golden_vae_encode(struct golden *c, struct error *err)
{
    char dir[PATH_MAX];
    struct shape s;
    const float *video = golden_input(c, "video", &s, err);
    if (!video || !golden_path(c, "model", dir, err))
        return false;
    if (s.rank != 5 || s.dim[0] != 1 || s.dim[1] != 3)
        return error_set(err, ERROR_INPUT, "inputs.safetensors: video is not [1, 3, frames, height, width]");
    struct vae *v = vae_open(dir, c->exec, true, err);
    if (v && (s.dim[2] < 1 || (s.dim[2] - 1) % vae_info(v)->time_factor)) {
        error_set(err, ERROR_INPUT, "inputs.safetensors: video has %d frames, expected %dn+1", (int)s.dim[2],
                  vae_info(v)->time_factor);
        vae_close(&v);
    }
    struct vae_encoder *e = v ? vae_encoder_open(v, (int)s.dim[3], (int)s.dim[4], err) : NULL;
    if (!e) {
        vae_close(&v);
        return false;
    }
    int64_t plane = s.dim[3] * s.dim[4];
    int side = vae_info(v)->space_factor, z = vae_info(v)->channels, latents = vae_latent_frames(v, (int)s.dim[2]);
    int64_t small = plane / side / side, count = z * latents * small;
    const float *frames = golden_transpose(c, video, 3, s.dim[2] * plane);
    float *latent = arena_array(&c->arena, float, z *small), *mean = arena_array(&c->arena, float, z *small);
    float *logvar = arena_array(&c->arena, float, z *small), *all = arena_array(&c->arena, float, 3 * count);
    bool ok = true;
    for (int t = 0; t < latents && ok; t++) {
        int wants = vae_encoder_wants(e);
        ok = vae_encoder_push(e, frames, latent, err) && vae_taps(c, e, encoder_tap, t, err);
        vae_encoder_moments(e, mean, logvar);
        for (int k = 0; k < z; k++)
            for (int part = 0; part < 3; part++)
                memcpy(all + part * count + ((int64_t)k * latents + t) * small,
                       (part == 0   ? mean
                        : part == 1 ? logvar
                                    : latent) +
                           k * small,
                       (size_t)small * sizeof *all);
        frames += wants * plane * 3;
    }
    if (ok) {
        golden_compare(c, "mean", all, count);
        golden_compare(c, "logvar", all + count, count);
        golden_compare(c, "normalized_latents", all + 2 * count, count);
    }
    vae_encoder_close(&e);
    vae_close(&v);
    return ok && golden_require(c, "mean", err) && golden_require(c, "logvar", err);
}

bool golden_vae_decode(struct golden *c, struct error *err)
{
    char dir[PATH_MAX];
    struct shape s;
    const float *latents = golden_input(c, "latents", &s, err);
    if (!latents || !golden_path(c, "model", dir, err))
        return false;
    struct vae *v = vae_open(dir, c->exec, true, err);
    if (v && (s.rank != 5 || s.dim[0] != 1 || s.dim[1] != vae_info(v)->channels)) {
        error_set(err, ERROR_INPUT, "inputs.safetensors: latents are not [1, %d, frames, height, width]",
                  vae_info(v)->channels);
        vae_close(&v);
    }
    struct vae_decoder *d = v ? vae_decoder_open(v, (int)s.dim[3], (int)s.dim[4], err) : NULL;
    if (!d) {
        vae_close(&v);
        return false;
    }
    int64_t plane = s.dim[3] * s.dim[4], picture = plane * vae_info(v)->space_factor * vae_info(v)->space_factor;
    int frames = vae_video_frames(v, (int)s.dim[2]), at = 0;
    float *latent = arena_array(&c->arena, float, s.dim[1] * plane),
          *video = arena_array(&c->arena, float, frames *picture * 3);
    bool ok = true;
    for (int t = 0; t < s.dim[2] && ok; t++) {
        int count = 0;
        for (int k = 0; k < s.dim[1]; k++)
            memcpy(latent + k * plane, latents + (k * s.dim[2] + t) * plane, (size_t)plane * sizeof *latent);
        ok = vae_decoder_push_raw(d, latent, video + at * picture * 3, &count, err) &&
             vae_taps(c, d, decoder_tap, t, err);
        at += count;
    }
    if (ok)
        golden_compare(c, "video", golden_transpose(c, video, frames * picture, 3), frames * picture * 3);
    vae_decoder_close(&d);
    vae_close(&v);
    return ok && golden_require(c, "video", err);
}

/* ---- samplers ---- */

void golden_schedule(struct golden *c, const struct schedule *s)
{
    int64_t *whole = arena_array(&c->arena, int64_t, s->steps);
    for (int i = 0; i < s->steps; i++)
        whole[i] = (int64_t)s->timesteps[i];
    golden_compare(c, "sigmas", s->sigmas, s->steps + 1);
    if (s->config.kind == SAMPLER_UNIPC)
        golden_compare_ints(c, "timesteps", whole, s->steps);
    else
        golden_compare(c, "timesteps", s->timesteps, s->steps); /* fractions */
}

bool golden_scheduler(struct golden *c, struct error *err)
{
    char path[PATH_MAX];
    struct shape shape;
    struct sampler_config config;
    struct schedule schedule = { 0 };
    struct shape sample;
    const float *start = golden_input(c, "initial_sample", &sample, err);
    const float *flows = golden_input(c, "model_outputs", &shape, err);
    if (!start || !flows || !golden_path(c, "model", path, err))
        return false;
    if (shape.rank < 1 || shape.dim[0] < 1 || shape_count(&shape) / shape.dim[0] != shape_count(&sample))
        return error_set(err, ERROR_INPUT, "inputs.safetensors: model_outputs is not [steps, shape of initial_sample]");
    *strrchr(path, '/') = '\0'; /* the file's folder */
    if (!sampler_config_load(&config, path, err) || !schedule_make(&schedule, &config, (int)shape.dim[0], err))
        return false;

    struct sampler_state s;
    int64_t count = shape_count(&shape) / shape.dim[0];
    sampler_state_init(&s, 1, 1, 1, (int)count, start);
    golden_compare_part(c, "samples", 0, s.sample, count);
    bool ok = true;
    for (int i = 0; i < schedule.steps && ok; i++) {
        ok = sampler_step(&schedule, &s, flows + i * count, err);
        golden_compare_part(c, "samples", i + 1, s.sample, count);
    }
    sampler_state_free(&s);

    golden_schedule(c, &schedule);
    schedule_free(&schedule);
    return ok && golden_require(c, "samples", err) && golden_require(c, "sigmas", err);
}

/* ---- the planner's model ---- */

static int best_of(const float *logits, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

bool golden_qwen3(struct golden *c, struct error *err)
{
    char dir[PATH_MAX];
    struct shape shape;
    const int32_t *ids = golden_input_ids(c, "input_ids", &shape, err);
    const struct weight *generated = golden_expected(c, "generated_ids");
    if (!ids || !golden_path(c, "model", dir, err))
        return false;
    if (shape_count(&shape) < 1)
        return error_set(err, ERROR_INPUT, "inputs.safetensors: input_ids is empty");
    int count = (int)shape_count(&shape), more = generated ? (int)shape_count(&generated->shape) : 0;
    struct lm *m = lm_open(dir, c->exec, count + more + 1, err);
    if (!m)
        return false;
    int vocab = lm_vocab_size(m);
    float *logits = arena_array(&c->arena, float, (int64_t)(count + 1) * vocab);
    int64_t *picked = arena_array(&c->arena, int64_t, more + 1);
    bool ok = lm_feed_all(m, ids, count, logits, err);
    if (ok)
        golden_compare(c, "logits", logits, (int64_t)count * vocab);
    float *last = logits + (int64_t)(count - 1) * vocab;
    for (int i = 0; i < more && ok; i++) {
        int32_t next = best_of(last, vocab);
        golden_compare_part(c, "generated_logits", i, last, vocab);
        picked[i] = next;
        ok = i + 1 == more || lm_feed(m, &next, 1, last, err);
    }
    if (ok)
        golden_compare_ints(c, "generated_ids", picked, more);
    lm_close(&m);
    return ok && golden_require(c, "logits", err) && (!more || golden_require(c, "generated_ids", err));
}

/* golden_pipeline - whole runs of WanPipeline and WanVACEPipeline: text, control latents, every denoising step, video.
 */
#include "tests/golden/golden.h"

#include "common/nn/tokenizer.h"
#include "worker/models/dit.h"
#include "worker/models/sampler.h"
#include "worker/models/text_encoder.h"
#include "worker/models/vace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pipeline {
    struct golden *c;
    char dir[PATH_MAX];
    struct dit *dit;
    struct vae *vae;
    struct schedule schedule;
    int frames, height, width; /* latents, references included */
    int references;
    const float *noise, *positive, *negative; /* text [rows, text_width] */
    int text_rows;
    float *control;     /* VACE */
    const float *scale; /* VACE: [control_layers] */
};

static bool part_path(const struct pipeline *p, const char *part, char path[PATH_MAX], struct error *err)
{
    if (snprintf(path, PATH_MAX, "%s/%s", p->dir, part) >= PATH_MAX)
        return error_set(err, ERROR_INPUT, "%s: path too long", p->dir);
    return true;
}

static bool pipeline_open(struct pipeline *p, struct golden *c, struct error *err)
{
    char path[PATH_MAX];
    struct shape noise;
    struct sampler_config config;
    int steps;

    *p = (struct pipeline){ .c = c };
    p->noise = golden_input(c, "noise", &noise, err);
    if (!p->noise || !golden_path(c, "model", p->dir, err))
        return false;
    if (noise.rank != 5 || noise.dim[0] != 1)
        return error_set(err, ERROR_INPUT, "inputs.safetensors: noise is not [1, channels, frames, height, width]");
    p->frames = (int)noise.dim[2];
    p->height = (int)noise.dim[3];
    p->width = (int)noise.dim[4];
    if (!golden_call_int(c, "num_inference_steps", 0, 1, SAMPLER_MAX_STEPS, &steps, err) ||
        !part_path(p, "scheduler", path, err) || !sampler_config_load(&config, path, err) ||
        !schedule_make(&p->schedule, &config, steps, err))
        return false;
    if (!part_path(p, "transformer", path, err) || !(p->dit = dit_open(path, c->exec, false, err)) ||
        !part_path(p, "vae", path, err) || !(p->vae = vae_open(path, c->exec, false, err)))
        return false;
    if (noise.dim[1] != dit_info(p->dit)->channels)
        return error_set(err, ERROR_INPUT, "inputs.safetensors: noise has %d channels", (int)noise.dim[1]);
    const struct dit_info *dit = dit_info(p->dit);
    if (dit->channels != vae_info(p->vae)->channels || dit->out_channels != dit->channels ||
        (dit->vace && dit->control_channels != vace_control_channels(p->vae)))
        return error_set(err, ERROR_INPUT, "%s: transformer and vae have different numbers of channels", p->dir);
    return true;
}

static void pipeline_close(struct pipeline *p)
{
    dit_close(&p->dit);
    vae_close(&p->vae);
    schedule_free(&p->schedule);
}

/* ---- text ---- */

/* The text as the pipeline cleans it; where ftfy would do more than we do, the case says what. */
static const char *cleaned_prompt(struct golden *c, const char *key, int row)
{
    const json_t *call = json_object_get(c->json, "call");
    const char *prompt = json_string_value(json_object_get(call, key));
    const char *given = json_string_value(json_array_get(json_object_get(call, "cleaned"), (size_t)row));
    struct str own = { 0 };

    prompt_clean(prompt ? prompt : "", &own);
    if (given && strcmp(given, str_text(&own)))
        snprintf(c->note, sizeof c->note, "prompt_clean differs from ftfy");
    const char *text = given ? given : arena_strdup(&c->arena, str_text(&own));
    str_free(&own);
    return text;
}

static float *embed_prompt(struct pipeline *p, struct tokenizer *t, struct text_encoder *e, const char *text, int row,
                           int64_t *all_ids, int64_t *all_masks, struct error *err)
{
    struct token_ids ids = { 0 };
    float *out = arena_array(&p->c->arena, float, (int64_t)p->text_rows *text_encoder_width(e));
    bool ok = tokenizer_encode(t, text, strlen(text), &ids, err);
    int32_t end = tokenizer_find(t, "</s>");
    int used = (int)ids.count < p->text_rows - 1 ? (int)ids.count : p->text_rows - 1;

    for (int i = 0; ok && i <= used; i++) {
        all_ids[row * p->text_rows + i] = i < used ? ids.ids[i] : end;
        all_masks[row * p->text_rows + i] = 1;
    }
    ok = ok && text_encoder_embed(e, ids.ids, (int)ids.count, p->text_rows, out, err);
    token_ids_free(&ids);
    return ok ? out : NULL;
}

static bool text_from_prompts(struct pipeline *p, struct error *err)
{
    struct golden *c = p->c;
    char path[PATH_MAX];
    struct tokenizer *t = NULL;
    struct text_encoder *e = NULL;

    if (!golden_call_int(c, "max_sequence_length", 512, 1, 65536, &p->text_rows, err))
        return false;
    if (part_path(p, "text_encoder", path, err))
        e = text_encoder_open(path, c->exec, false, err);
    if (e && part_path(p, "tokenizer/tokenizer.json", path, err))
        t = tokenizer_open(path, err);
    if (t) {
        int64_t *ids = arena_array(&c->arena, int64_t, 2 * p->text_rows),
                *mask = arena_array(&c->arena, int64_t, 2 * p->text_rows);
        p->positive = embed_prompt(p, t, e, cleaned_prompt(c, "prompt", 0), 0, ids, mask, err);
        if (p->positive)
            p->negative = embed_prompt(p, t, e, cleaned_prompt(c, "negative_prompt", 1), 1, ids, mask, err);
        int64_t count = (int64_t)p->text_rows * text_encoder_width(e);
        if (p->negative) {
            golden_compare_ints(c, "input_ids", ids, 2 * p->text_rows);
            golden_compare_ints(c, "attention_mask", mask, 2 * p->text_rows);
            golden_compare(c, "prompt_embeds", p->positive, count);
            golden_compare(c, "negative_prompt_embeds", p->negative, count);
        }
    }
    tokenizer_close(&t);
    text_encoder_close(&e);
    return p->negative != NULL;
}

static float guidance_of(const struct golden *c)
{
    return (float)golden_call_number(c, "guidance_scale", 5.0);
}

static bool text_from_inputs(struct pipeline *p, struct error *err)
{
    const bool guided = guidance_of(p->c) > 1 || golden_has_input(p->c, "negative_prompt_embeds");
    struct shape shape, negative;
    p->positive = golden_input(p->c, "prompt_embeds", &shape, err);
    p->negative = p->positive && guided ? golden_input(p->c, "negative_prompt_embeds", &negative, err) : NULL;
    if (!p->positive || (guided && !p->negative))
        return false;
    if (shape.rank != 3 || shape.dim[0] != 1 || shape.dim[2] != dit_info(p->dit)->text_width ||
        (guided && !shape_equal(&shape, &negative)))
        return error_set(err, ERROR_INPUT, "inputs.safetensors: the embeddings are not [1, rows, %d]",
                         dit_info(p->dit)->text_width);
    p->text_rows = (int)shape.dim[1];
    return true;
}

/* ---- VACE ---- */

/* [.., 3] or mask bytes, 0..255 -> as the pipelines scale them. */
static float *scaled(struct golden *c, const char *name, bool signed_range, struct shape *shape)
{
    float *data = golden_has_input(c, name) ? golden_input(c, name, shape, NULL) : NULL;
    for (int64_t i = 0; data && i < shape_count(shape); i++) {
        float v = data[i] / 255.0f;
        data[i] = signed_range ? 2.0f * v - 1.0f : v;
    }
    return data;
}

/* Channels [first, first + count) and frames [at, ..) of the control latents; raw: back in VAE space. */
static void compare_control(struct pipeline *p, const char *name, int first, int count, int at, int frames, bool raw)
{
    const struct vae_info *info = vae_info(p->vae);
    int64_t plane = (int64_t)p->height * p->width;
    float *part = arena_array(&p->c->arena, float, count *frames *plane);
    for (int k = 0; k < count; k++)
        for (int64_t i = 0; i < frames * plane; i++) {
            float v = p->control[((int64_t)(first + k) * p->frames + at) * plane + i];
            part[k * frames * plane + i] = raw ? v * info->std[k] + info->mean[k] : v;
        }
    golden_compare(p->c, name, part, count * frames * plane);
}

static void compare_controls(struct pipeline *p)
{
    int z = vae_info(p->vae)->channels, latents = p->frames - p->references;
    char name[64];
    for (int raw = 0; raw < 2; raw++) {
        const char *kind = raw ? "mode" : "latents";
        snprintf(name, sizeof name, "inactive_%s", kind);
        compare_control(p, name, 0, z, p->references, latents, raw);
        snprintf(name, sizeof name, "reactive_%s", kind);
        compare_control(p, name, z, z, p->references, latents, raw);
        for (int r = 0; r < p->references; r++) {
            snprintf(name, sizeof name, "reference.%d_%s", p->references - 1 - r, kind);
            compare_control(p, name, 0, z, r, 1, raw);
        }
    }
    compare_control(p, "mask_latents", 2 * z, vace_control_channels(p->vae) - 2 * z, 0, p->frames, false);
    golden_compare(p->c, "control_hidden_states", p->control,
                   (int64_t)vace_control_channels(p->vae) * p->frames * p->height * p->width);
}

enum { MAX_REFERENCES = 16 };

/* The reference images, the last one first, as diffusers puts them. */
static bool encode_references(struct pipeline *p, const struct vace_source *s, const float **latents, struct error *err)
{
    struct golden *c = p->c;
    char name[64];
    int64_t count = (int64_t)vae_info(p->vae)->channels * p->height * p->width;

    while (p->references < MAX_REFERENCES && snprintf(name, sizeof name, "reference_u8.%d", p->references) > 0 &&
           golden_has_input(c, name))
        p->references++;
    for (int r = 0; r < p->references; r++) {
        struct shape shape;
        snprintf(name, sizeof name, "reference_u8.%d", r);
        const float *image = scaled(c, name, true, &shape);
        if (shape.rank != 3 || shape.dim[2] != 3 || shape_count(&shape) < 3)
            return error_set(err, ERROR_INPUT, "inputs.safetensors: %s is not [height, width, 3]", name);
        float *canvas = arena_array(&c->arena, float, (int64_t)s->height * s->width * 3);
        float *latent = arena_array(&c->arena, float, count);
        vace_letterbox(image, (int)shape.dim[0], (int)shape.dim[1], canvas, s->height, s->width);
        snprintf(name, sizeof name, "preprocessed_reference.%d", r);
        golden_compare(c, name, golden_transpose(c, canvas, (int64_t)s->height * s->width, 3),
                       (int64_t)s->height * s->width * 3);
        if (!vace_reference(p->vae, image, (int)shape.dim[0], (int)shape.dim[1], s->height, s->width, latent, err))
            return false;
        latents[p->references - 1 - r] = latent;
    }
    return true;
}

static bool make_control(struct pipeline *p, struct error *err)
{
    struct golden *c = p->c;
    struct shape video, mask;
    const float *references[MAX_REFERENCES];
    struct vace_source s = { .references = references };
    int side = vae_info(p->vae)->space_factor;

    if (!golden_call_int(c, "num_frames", 0, 1, 65536, &s.frames, err) ||
        !golden_call_int(c, "height", 0, 1, 65536, &s.height, err) ||
        !golden_call_int(c, "width", 0, 1, 65536, &s.width, err))
        return false;
    s.video = scaled(c, "video_u8", true, &video);
    s.mask = scaled(c, "mask_u8", false, &mask);
    int64_t pixels = (int64_t)s.frames * s.height * s.width;
    if (s.height != p->height * side || s.width != p->width * side || (s.video && shape_count(&video) != 3 * pixels) ||
        (s.mask && shape_count(&mask) != pixels))
        return error_set(err, ERROR_INPUT, "video or mask do not fit %d frames of %d x %d", s.frames, s.width,
                         s.height);
    if (s.video)
        golden_compare(c, "preprocessed_video", golden_transpose(c, s.video, pixels, 3), 3 * pixels);
    if (s.mask)
        golden_compare(c, "preprocessed_mask", s.mask, pixels);
    if (!encode_references(p, &s, references, err))
        return false;
    s.reference_count = p->references;
    if (p->frames != p->references + vae_latent_frames(p->vae, s.frames))
        return error_set(err, ERROR_INPUT, "noise has %d frames, but there are %d references and %d pictures",
                         p->frames, p->references, s.frames);

    p->control =
        arena_array(&c->arena, float, (int64_t)vace_control_channels(p->vae) * p->frames * p->height * p->width);
    if (!vace_control(p->vae, &s, p->control, err))
        return false;
    compare_controls(p);

    const json_t *scale = json_object_get(json_object_get(c->json, "call"), "conditioning_scale");
    float *scales = arena_array(&c->arena, float, dit_info(p->dit)->control_layers);
    for (int i = 0; i < dit_info(p->dit)->control_layers; i++) {
        const json_t *one = json_is_array(scale) ? json_array_get(scale, (size_t)i) : scale;
        scales[i] = json_is_number(one) ? (float)json_number_value(one) : 1.0f;
    }
    p->scale = scales;
    return true;
}

/* ---- denoising ---- */

static bool denoise(struct pipeline *p, struct sampler_state *s, struct error *err)
{
    struct golden *c = p->c;
    int64_t count = sampler_state_count(s);
    float guidance = guidance_of(c);
    float *flow = arena_array(&c->arena, float, count);
    struct dit_call call = { .frames = p->frames,
                             .height = p->height,
                             .width = p->width,
                             .text_rows = p->text_rows,
                             .control_frames = p->control ? p->frames : 0,
                             .timestep_count = 1,
                             .text = p->positive,
                             .control = p->control,
                             .control_scale = p->scale };

    for (int i = 0; i < p->schedule.steps; i++) {
        call.latents = s->sample;
        call.timesteps = &p->schedule.timesteps[i];
        call.text = p->positive;
        if (!dit_run(p->dit, &call, flow, err))
            return false;
        golden_compare_part(c, "noise_pred_cond", i, flow, count);
        if (guidance > 1) {
            call.text = p->negative;
            if (!dit_run(p->dit, &call, flow, err))
                return false;
            golden_compare_part(c, "noise_pred_uncond", i, flow, count);
            call.text = p->positive;
        }
        if (!dit_run_guided(p->dit, &call, guidance > 1 ? p->negative : NULL, guidance, flow, err))
            return false;
        golden_compare_part(c, "cfg_noise_pred", i, flow, count);
        if (!sampler_step(&p->schedule, s, flow, err))
            return false;
        golden_compare_part(c, "latents_after_step", i, s->sample, count);
    }
    return true;
}

static bool decode(struct pipeline *p, const float *latents, struct error *err)
{
    struct golden *c = p->c;
    const struct vae_info *info = vae_info(p->vae);
    int keep = p->frames - p->references, pictures = vae_video_frames(p->vae, keep);
    int64_t plane = (int64_t)p->height * p->width, picture = plane * info->space_factor * info->space_factor;
    int64_t count = (int64_t)info->channels * keep * plane;
    float *kept = arena_array(&c->arena, float, count), *raw = arena_array(&c->arena, float, count);
    float *video = arena_array(&c->arena, float, pictures *picture * 3);

    for (int k = 0; k < info->channels; k++)
        for (int64_t i = 0; i < keep * plane; i++) {
            float v = latents[((int64_t)k * p->frames + p->references) * plane + i];
            kept[k * keep * plane + i] = v;
            raw[k * keep * plane + i] = v * info->std[k] + info->mean[k];
        }
    golden_compare(c, "vae_decode_input", raw, count);
    if (!vae_decode(p->vae, kept, keep, p->height, p->width, video, err))
        return false;
    golden_compare(c, "video", golden_transpose(c, video, pictures * picture, 3), pictures * picture * 3);
    for (int64_t i = 0; i < pictures * picture * 3; i++) {
        float v = video[i] / 2.0f + 0.5f;
        video[i] = v < 0.0f ? 0.0f : v > 1.0f ? 1.0f : v;
    }
    golden_compare(c, "frames_np", video, pictures * picture * 3);
    return true;
}

static bool run(struct pipeline *p, struct error *err)
{
    struct golden *c = p->c;
    struct sampler_state s;
    bool from_text = !strcmp(golden_kind(c), "pipeline_t2v_text"), vace = !strcmp(golden_kind(c), "pipeline_vace");

    golden_schedule(c, &p->schedule);
    if (!(from_text ? text_from_prompts(p, err) : text_from_inputs(p, err)) || (vace && !make_control(p, err)))
        return false;

    sampler_state_init(&s, dit_info(p->dit)->channels, p->frames, p->height, p->width, p->noise);
    bool ok = denoise(p, &s, err) && decode(p, s.sample, err);
    sampler_state_free(&s);
    return ok && golden_require(c, "latents_after_step", err) && golden_require(c, "video", err) &&
           (!vace || golden_require(c, "control_hidden_states", err)) &&
           (!from_text || golden_require(c, "prompt_embeds", err));
}

bool golden_pipeline(struct golden *c, struct error *err)
{
    struct pipeline p;
    bool ok = pipeline_open(&p, c, err) && run(&p, err);
    pipeline_close(&p);
    return ok;
}

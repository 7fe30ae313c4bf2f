#include "coordinator/core/key.h"

#include "coordinator/core/gate_scores.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

char *json_canonical(const json_t *value)
{
    char *text = json_dumps(value, JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY);

    assert(text); /* fails only on invalid UTF-8, which is refused at the door */
    return text;
}

/* Seeds use all 64 bits, which JSON readers lose: they are text. */
static void put_seed(struct json_out *o, uint64_t seed)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, seed);
    json_out_text(o, "seed", text);
}

static void put_cast(const struct cast_params *p, struct json_out *o)
{
    json_out_text(o, "kind", p->kind);
    put_seed(o, p->seed);
    json_out_int(o, "width", p->width);
    json_out_int(o, "height", p->height);
    json_out_int(o, "steps", p->steps);
    json_out_real(o, "guidance_scale", p->guidance_scale);
}

static void put_denoise(const struct denoise_params *p, struct json_out *o)
{
    json_out_int(o, "width", p->width);
    json_out_int(o, "height", p->height);
    json_out_int(o, "latent_frames", p->latent_frames);
    json_out_int(o, "window_first", p->window_first);
    json_out_int(o, "window_count", p->window_count);
    json_out_int(o, "steps", p->steps);
    json_out_int(o, "step_from", p->step_from);
    json_out_int(o, "step_to", p->step_to);
    json_out_real(o, "guidance_scale", p->guidance_scale);
    put_seed(o, p->seed);
    json_out_int(o, "noise_shot", p->noise_shot);
    json_out_int(o, "take", p->take);
}

static void put_decode(const struct decode_params *p, struct json_out *o)
{
    json_out_list(o, "ranges");
    for (size_t i = 0; i < p->range_count; i++) {
        json_out_list(o, NULL);
        json_out_int(o, NULL, p->ranges[i].first);
        json_out_int(o, NULL, p->ranges[i].count);
        json_out_end(o);
    }
    json_out_end(o);
    json_out_int(o, "latent_frames", p->latent_frames);
    json_out_int(o, "width", p->width);
    json_out_int(o, "height", p->height);
    json_out_int(o, "fps", p->fps);
    json_out_int(o, "scores", GATE_SCORES_FORMAT);
}

static void put_stitch(const struct stitch_params *p, struct json_out *o)
{
    json_out_list(o, "shots");
    for (size_t i = 0; i < p->shot_count; i++) {
        json_out_object(o, NULL);
        json_out_int(o, "frames", p->shots[i].frames);
        json_out_text(o, "transition", p->shots[i].transition);
        json_out_int(o, "transition_frames", p->shots[i].transition_frames);
        json_out_end(o);
    }
    json_out_end(o);
    json_out_int(o, "width", p->width);
    json_out_int(o, "height", p->height);
    json_out_int(o, "fps_in", p->fps_in);
    json_out_int(o, "fps_out", p->fps_out);
    json_out_int(o, "frames", p->frames);
    json_out_int(o, "crf", p->crf);
}

void task_params(const struct task *t, const char *name, struct json_out *o)
{
    json_out_object(o, name);
    switch (t->kind) {
    case TASK_TEXT:
        json_out_text(o, "prompt", t->text.prompt);
        break;
    case TASK_CAST:
        put_cast(&t->cast, o);
        break;
    case TASK_DENOISE:
        put_denoise(&t->denoise, o);
        break;
    case TASK_DECODE:
        put_decode(&t->decode, o);
        break;
    case TASK_STITCH:
        put_stitch(&t->stitch, o);
        break;
    }
    json_out_end(o);
}

struct hash key_begin(const char *kind, const struct key_context *c, const char *params, size_t input_count)
{
    struct hash h;

    hash_begin(&h);
    hash_text(&h, "shotline task 1");
    hash_text(&h, kind);
    hash_digest(&h, &c->pack);
    hash_text(&h, "exact");
    hash_u64(&h, c->version);
    hash_text(&h, params);
    hash_u64(&h, input_count);
    return h;
}

void key_input(struct hash *key, const char *slot, const struct digest *d)
{
    hash_text(key, slot);
    hash_digest(key, d);
}

struct digest task_key(const struct task *t, const struct key_context *c)
{
    struct str params = { 0 };
    struct json_out o = { .to = &params, .canonical = true };

    task_params(t, NULL, &o);
    struct hash h = key_begin(task_kind_name(t->kind), c, params.data, t->input_count);

    for (uint32_t i = 0; i < t->input_count; i++) {
        assert(t->inputs[i].known);
        key_input(&h, input_slot_name(t->inputs[i].slot), &t->inputs[i].blob.digest);
    }
    str_free(&params);
    return hash_end(&h);
}

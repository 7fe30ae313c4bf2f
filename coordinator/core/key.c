#include "coordinator/core/key.h"

#include "coordinator/core/gate_scores.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

char *json_canonical(const json_t *value)
{
    char *text = json_dumps(value, JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY);

    assert(text); /* fails only on what task_params never builds: invalid UTF-8 is refused at the door */
    return text;
}

/* Seeds use all 64 bits, which JSON readers lose: they are text. */
static json_t *json_seed(uint64_t seed)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, seed);
    return json_string(text);
}

static json_t *denoise_params_json(const struct denoise_params *p)
{
    return json_pack("{si si si si si si si si sf so si si}", "width", p->width, "height", p->height, "latent_frames",
                     p->latent_frames, "window_first", p->window_first, "window_count", p->window_count, "steps",
                     p->steps, "step_from", p->step_from, "step_to", p->step_to, "guidance_scale", p->guidance_scale,
                     "seed", json_seed(p->seed), "noise_shot", (int)p->noise_shot, "take", (int)p->take);
}

static json_t *decode_params_json(const struct decode_params *p)
{
    json_t *ranges = json_array();

    for (size_t i = 0; i < p->range_count; i++)
        json_array_append_new(ranges, json_pack("[ii]", p->ranges[i].first, p->ranges[i].count));
    return json_pack("{so si si si si si}", "ranges", ranges, "latent_frames", p->latent_frames, "width", p->width,
                     "height", p->height, "fps", p->fps, "scores", GATE_SCORES_FORMAT);
}

static json_t *stitch_params_json(const struct stitch_params *p)
{
    json_t *shots = json_array();

    for (size_t i = 0; i < p->shot_count; i++)
        json_array_append_new(shots,
                              json_pack("{si ss si}", "frames", p->shots[i].frames, "transition",
                                        p->shots[i].transition, "transition_frames", p->shots[i].transition_frames));
    return json_pack("{so si si si si si si}", "shots", shots, "width", p->width, "height", p->height, "fps_in",
                     p->fps_in, "fps_out", p->fps_out, "frames", p->frames, "crf", p->crf);
}

json_t *task_params(const struct task *t)
{
    json_t *params = NULL;

    switch (t->kind) {
    case TASK_TEXT:
        params = json_pack("{ss}", "prompt", t->text.prompt);
        break;
    case TASK_CAST:
        params = json_pack("{ss so si si si sf}", "kind", t->cast.kind, "seed", json_seed(t->cast.seed), "width",
                           t->cast.width, "height", t->cast.height, "steps", t->cast.steps, "guidance_scale",
                           t->cast.guidance_scale);
        break;
    case TASK_DENOISE:
        params = denoise_params_json(&t->denoise);
        break;
    case TASK_DECODE:
        params = decode_params_json(&t->decode);
        break;
    case TASK_STITCH:
        params = stitch_params_json(&t->stitch);
        break;
    }
    assert(params);
    return params;
}

struct hash key_begin(const char *kind, const struct key_context *c, const json_t *params, size_t input_count)
{
    char *text = json_canonical(params);
    struct hash h;

    hash_begin(&h);
    hash_text(&h, "shotline task 1");
    hash_text(&h, kind);
    hash_digest(&h, &c->pack);
    hash_text(&h, "exact");
    hash_u64(&h, c->version);
    hash_text(&h, text);
    hash_u64(&h, input_count);
    free(text);
    return h;
}

void key_input(struct hash *key, const char *slot, const struct digest *d)
{
    hash_text(key, slot);
    hash_digest(key, d);
}

struct digest task_key(const struct task *t, const struct key_context *c)
{
    json_t *params = task_params(t);
    struct hash h = key_begin(task_kind_name(t->kind), c, params, t->input_count);

    for (uint32_t i = 0; i < t->input_count; i++) {
        assert(t->inputs[i].known);
        key_input(&h, input_slot_name(t->inputs[i].slot), &t->inputs[i].blob.digest);
    }
    json_decref(params);
    return hash_end(&h);
}

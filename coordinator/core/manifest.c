#include "coordinator/core/manifest.h"

#include "common/base/json.h"
#include "coordinator/core/takes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MANIFEST_FORMAT 1

static json_t *json_digest(const struct digest *d)
{
    char hex[DIGEST_HEX_ROOM];

    digest_hex(d, hex);
    return json_string(hex);
}

static json_t *json_seed(uint64_t seed) /* text: JSON readers lose bits beyond 53 */
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, seed);
    return json_string(text);
}

/* One digest for an output of all shots: over the digests of the shots' blobs, in order. */
static json_t *json_over_shots(const struct video *v, enum output_name output)
{
    struct hash h;

    hash_begin(&h);
    for (uint32_t i = 0; i < v->shot_count; i++)
        hash_digest(&h, &task_find_output(&v->tasks[v->shots[i].settled - 1], output)->digest);
    struct digest d = hash_end(&h);
    return json_digest(&d);
}

static json_t *pack_json(const struct manifest_input *in)
{
    json_t *files = json_object();

    for (size_t i = 0; i < in->listing->count; i++)
        json_object_set_new(files, in->listing->files[i].path, json_digest(&in->listing->files[i].digest));
    return json_pack("{ss so so}", "name", in->pack->name, "digest", json_digest(&in->keys->pack), "files", files);
}

static json_t *cast_json(const struct campaign *c)
{
    json_t *cast = json_array();

    for (uint32_t i = 0; i < c->cast_count; i++) {
        const struct cast_member *m = &c->cast[i];
        json_t *member = json_pack("{ss ss ss}", "id", m->id, "kind", m->kind, "phrase", m->phrase);

        if (m->has_image)
            json_object_set_new(member, "image", json_digest(&m->image.digest));
        json_array_append_new(cast, member);
    }
    return cast;
}

/* What each take scored and which gates it failed; the noise of take n is that of the parameter `take` n - 1. */
static json_t *takes_json(const struct video *v, const struct shot *s)
{
    json_t *takes = json_array();

    for (uint32_t i = 0; i < s->takes; i++) {
        const struct task *t = &v->tasks[s->decodes[i]];

        json_array_append_new(takes, json_pack("{sb so so}", "passed", verdict_passed(t->verdict), "failed",
                                               verdict_json(t->verdict), "scores",
                                               json_digest(&task_find_output(t, OUTPUT_SCORES)->digest)));
    }
    return takes;
}

/* How many shots passed their gates, and with which limits. */
static json_t *gates_json(const struct manifest_input *in)
{
    struct campaign_figures n = { 0 };
    json_t *limits = json_object();

    takes_count(in->video, &n);
    for (enum gate_check c = 0; c < GATE_CHECKS; c++)
        if (check_key(c))
            json_object_set_new(limits, check_key(c), json_real(in->gates->limit[c]));
    json_object_set_new(limits, "freeze_change", json_real(in->gates->freeze_change));
    return json_pack("{si si si so}", "shots", (int)n.shots_settled, "passed_at_first", (int)n.shots_first_try,
                     "passed", (int)n.shots_passed, "limits", limits);
}

static json_t *shots_json(const struct video *v)
{
    json_t *shots = json_array();

    for (uint32_t i = 0; i < v->shot_count; i++) {
        const struct shot *s = &v->shots[i];

        json_array_append_new(shots, json_pack("{si ss si si si si so}", "number", (int)s->number, "prompt", s->prompt,
                                               "latent_frames", s->latent_frames, "frames", s->file_frames, "ranges",
                                               (int)s->ranges, "take", (int)v->tasks[s->settled - 1].take + 1, "takes",
                                               takes_json(v, s)));
    }
    return shots;
}

static json_t *task_json(const struct task *t)
{
    json_t *inputs = json_array(), *outputs = json_object();
    json_t *m = json_pack("{ss so}", "kind", task_kind_name(t->kind), "key", json_digest(&t->key));

    if (t->role)
        json_object_set_new(m, "role", json_string(task_role_name(t->role)));
    if (t->shot)
        json_object_set_new(m, "shot", json_integer(t->shot));
    for (uint32_t i = 0; i < t->input_count; i++)
        json_array_append_new(inputs, json_pack("{ss so}", "slot", input_slot_name(t->inputs[i].slot), "digest",
                                                json_digest(&t->inputs[i].blob.digest)));
    for (enum output_name n = OUTPUT_EMBEDDING; n <= OUTPUT_VIDEO;
         n++) { /* in an order of ours, not of the worker's report */
        const struct blob_ref *blob = task_find_output(t, n);

        if (blob)
            json_object_set_new(
                outputs, output_text(n),
                json_pack("{so sI}", "digest", json_digest(&blob->digest), "bytes", (json_int_t)blob->bytes));
    }
    json_object_set_new(m, "params", task_params(t));
    json_object_set_new(m, "inputs", inputs);
    json_object_set_new(m, "outputs", outputs);
    return m;
}

char *manifest_write(const struct manifest_input *in, struct error *err)
{
    const struct video *v = in->video;
    const struct task *stitch = &v->tasks[v->stitch];
    json_t *plan = json_parse(v->plan_text, strlen(v->plan_text), "plan", err), *tasks = json_array();

    if (!plan) {
        json_decref(tasks);
        return NULL;
    }
    for (uint32_t i = 0; i <= v->stitch; i++) { /* in the order of the first takes, whichever take is shown */
        const struct task *t = &v->tasks[i];

        if (t->shot)
            t += v->shots[t->shot - 1].settled - 1 - v->shots[t->shot - 1].decodes[0];
        json_array_append_new(tasks, task_json(t));
    }
    json_t *m = json_pack("{si ss so so so so so}", "manifest", MANIFEST_FORMAT, "name", v->name, "plan_digest",
                          json_digest(&v->plan_digest), "latents_digest", json_over_shots(v, OUTPUT_LATENTS),
                          "frames_digest", json_over_shots(v, OUTPUT_FRAMES), "video_digest",
                          json_digest(&task_find_output(stitch, OUTPUT_VIDEO)->digest), "seed", json_seed(v->seed));
    if (v->prompt)
        json_object_set_new(m, "prompt", json_string(v->prompt));
    json_object_set_new(m, "plan", plan);
    json_object_set_new(m, "cast", cast_json(v->campaign));
    json_object_set_new(m, "output",
                        json_pack("{si si si si si}", "width", stitch->stitch.width, "height", stitch->stitch.height,
                                  "fps", stitch->stitch.fps_out, "frames", stitch->stitch.frames, "crf",
                                  stitch->stitch.crf));
    json_object_set_new(m, "numerics", json_string("exact"));
    json_object_set_new(m, "kernel_set", json_integer(in->keys->version));
    json_object_set_new(m, "pack", pack_json(in));
    json_object_set_new(m, "shots", shots_json(v));
    json_object_set_new(m, "gates", gates_json(in));
    json_object_set_new(m, "tasks", tasks);
    char *text = json_dumps(m, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(17));
    json_decref(m);
    if (!text)
        error_set(err, ERROR_INTERNAL, "manifest of video %" PRIu64 ": cannot be written as JSON", v->id.v);
    return text;
}

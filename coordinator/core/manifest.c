#include "coordinator/core/manifest.h"

#include "common/base/json_out.h"
#include "coordinator/core/figures.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MANIFEST_FORMAT 1

static void put_digest(struct json_out *o, const char *key, const struct digest *d)
{
    char hex[DIGEST_HEX_ROOM];

    digest_hex(d, hex);
    json_out_text(o, key, hex);
}

/* One digest for an output of all shots: over the digests of the shots' blobs, in order. */
static void put_over_shots(struct json_out *o, const char *key, const struct video *v, enum output_name output)
{
    struct hash h;

    hash_begin(&h);
    for (uint32_t i = 0; i < v->shot_count; i++)
        hash_digest(&h, &task_find_output(&v->tasks[v->shots[i].settled - 1], output)->digest);
    const struct digest d = hash_end(&h);
    put_digest(o, key, &d);
}

static void put_pack(struct json_out *o, const struct manifest_input *in)
{
    json_out_object(o, "pack");
    json_out_text(o, "name", in->pack->name);
    put_digest(o, "digest", &in->keys->pack);
    json_out_object(o, "files");
    for (size_t i = 0; i < in->listing->count; i++)
        put_digest(o, in->listing->files[i].path, &in->listing->files[i].digest);
    json_out_end(o);
    json_out_end(o);
}

static void put_cast(struct json_out *o, const struct campaign *c)
{
    json_out_list(o, "cast");
    for (uint32_t i = 0; i < c->cast_count; i++) {
        const struct cast_member *m = &c->cast[i];

        json_out_object(o, NULL);
        json_out_text(o, "id", m->id);
        json_out_text(o, "kind", m->kind);
        json_out_text(o, "phrase", m->phrase);
        if (m->has_image)
            put_digest(o, "image", &m->image.digest);
        json_out_end(o);
    }
    json_out_end(o);
}

/* What each take scored and which gates it failed; the noise of take n is that of the parameter `take` n - 1. */
static void put_takes(struct json_out *o, const struct video *v, const struct shot *s)
{
    json_out_list(o, "takes");
    for (uint32_t i = 0; i < s->takes; i++) {
        const struct task *t = &v->tasks[s->decodes[i]];

        json_out_object(o, NULL);
        json_out_bool(o, "passed", verdict_passed(t->verdict));
        verdict_write(t->verdict, "failed", o);
        put_digest(o, "scores", &task_find_output(t, OUTPUT_SCORES)->digest);
        json_out_end(o);
    }
    json_out_end(o);
}

/* How many shots passed their gates, and with which limits. */
static void put_gates(struct json_out *o, const struct manifest_input *in)
{
    struct campaign_figures n = { 0 };

    figures_add(&n, in->video);
    json_out_object(o, "gates");
    json_out_int(o, "shots", n.shots_settled);
    json_out_int(o, "passed_at_first", n.shots_first_try);
    json_out_int(o, "passed", n.shots_passed);
    json_out_object(o, "limits");
    for (enum gate_check c = 0; c < GATE_CHECKS; c++)
        if (check_key(c))
            json_out_real(o, check_key(c), in->gates->limit[c]);
    json_out_real(o, "freeze_change", in->gates->freeze_change);
    json_out_end(o);
    json_out_end(o);
}

static void put_shots(struct json_out *o, const struct video *v)
{
    json_out_list(o, "shots");
    for (uint32_t i = 0; i < v->shot_count; i++) {
        const struct shot *s = &v->shots[i];

        json_out_object(o, NULL);
        json_out_int(o, "number", s->number);
        json_out_text(o, "prompt", s->prompt);
        json_out_int(o, "latent_frames", s->latent_frames);
        json_out_int(o, "frames", s->file_frames);
        json_out_int(o, "ranges", s->ranges);
        json_out_int(o, "take", v->tasks[s->settled - 1].take + 1);
        put_takes(o, v, s);
        json_out_end(o);
    }
    json_out_end(o);
}

static void put_task(struct json_out *o, const struct task *t)
{
    json_out_object(o, NULL);
    json_out_text(o, "kind", task_kind_name(t->kind));
    put_digest(o, "key", &t->key);
    if (t->role)
        json_out_text(o, "role", task_role_name(t->role));
    if (t->shot)
        json_out_int(o, "shot", t->shot);
    task_params(t, "params", o);
    json_out_list(o, "inputs");
    for (uint32_t i = 0; i < t->input_count; i++) {
        json_out_object(o, NULL);
        json_out_text(o, "slot", input_slot_name(t->inputs[i].slot));
        put_digest(o, "digest", &t->inputs[i].blob.digest);
        json_out_end(o);
    }
    json_out_end(o);
    json_out_object(o, "outputs");
    for (enum output_name n = OUTPUT_EMBEDDING; n <= OUTPUT_VIDEO;
         n++) { /* in an order of ours, not of the worker's report */
        const struct blob_ref *blob = task_find_output(t, n);

        if (!blob)
            continue;
        json_out_object(o, output_text(n));
        put_digest(o, "digest", &blob->digest);
        json_out_int(o, "bytes", blob->bytes);
        json_out_end(o);
    }
    json_out_end(o);
    json_out_end(o);
}

static void put_tasks(struct json_out *o, const struct video *v)
{
    json_out_list(o, "tasks");
    for (uint32_t i = 0; i <= v->stitch; i++) { /* in the order of the first takes, whichever take is shown */
        const struct task *t = &v->tasks[i];

        if (t->shot)
            t += v->shots[t->shot - 1].settled - 1 - v->shots[t->shot - 1].decodes[0];
        put_task(o, t);
    }
    json_out_end(o);
}

static void put_file(struct json_out *o, const struct stitch_params *p)
{
    json_out_object(o, "output");
    json_out_int(o, "width", p->width);
    json_out_int(o, "height", p->height);
    json_out_int(o, "fps", p->fps_out);
    json_out_int(o, "frames", p->frames);
    json_out_int(o, "crf", p->crf);
    json_out_end(o);
}

void manifest_write(const struct manifest_input *in, struct str *to)
{
    const struct video *v = in->video;
    const struct task *stitch = &v->tasks[v->stitch];
    struct json_out o = { .to = to };
    char seed[24];

    str_clear(to);
    snprintf(seed, sizeof seed, "%" PRIu64, v->seed); /* text: JSON readers lose bits beyond 53 */
    json_out_object(&o, NULL);
    json_out_int(&o, "manifest", MANIFEST_FORMAT);
    json_out_text(&o, "name", v->name);
    put_digest(&o, "plan_digest", &v->plan_digest);
    put_over_shots(&o, "latents_digest", v, OUTPUT_LATENTS);
    put_over_shots(&o, "frames_digest", v, OUTPUT_FRAMES);
    put_digest(&o, "video_digest", &task_find_output(stitch, OUTPUT_VIDEO)->digest);
    json_out_text(&o, "seed", seed);
    if (v->prompt)
        json_out_text(&o, "prompt", v->prompt);
    json_out_json(&o, "plan", v->plan_text);
    put_cast(&o, v->campaign);
    put_file(&o, &stitch->stitch);
    json_out_text(&o, "numerics", "exact");
    json_out_int(&o, "kernel_set", in->keys->version);
    put_pack(&o, in);
    put_shots(&o, v);
    put_gates(&o, in);
    put_tasks(&o, v);
    json_out_end(&o);
}

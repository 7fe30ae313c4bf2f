#include "coordinator/core/verify.h"

#include "common/base/json.h"
#include "common/base/str.h"
#include "coordinator/core/gate_scores.h"
#include "coordinator/core/ledger.h"
#include "coordinator/core/manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_SIDE  16384
#define MOST_FRAMES   1000000
#define MOST_STEPS    10000
#define MOST_IN_LISTS 10000

/* ---- parameters: the inverse of task_params ---- */

static int read_int(struct json_reader *r, const json_t *o, const char *key, int most)
{
    return (int)json_int(r, o, key, 0, most);
}

static uint64_t read_seed(struct json_reader *r, const json_t *o)
{
    const char *text = json_text(r, o, "seed");
    char *end;
    uint64_t v = strtoull(text, &end, 10);

    if (!r->failed && (end == text || *end))
        json_fail(r, "seed", "expected a number as text, found \"%.30s\"", text);
    return v;
}

static char *read_text(struct json_reader *r, const json_t *o, const char *key, struct arena *arena)
{
    return arena_strdup(arena, json_text(r, o, key));
}

static size_t list_count(struct json_reader *r, const json_t *list, const char *key)
{
    size_t count = json_array_size(list);

    if (!r->failed && count > MOST_IN_LISTS)
        json_fail(r, key, "%zu of them, expected at most %d", count, MOST_IN_LISTS);
    return r->failed ? 0 : count;
}

static void read_denoise(struct json_reader *r, const json_t *o, struct denoise_params *p)
{
    *p = (struct denoise_params){ .width = read_int(r, o, "width", LARGEST_SIDE),
                                  .height = read_int(r, o, "height", LARGEST_SIDE),
                                  .latent_frames = read_int(r, o, "latent_frames", MOST_FRAMES),
                                  .window_first = read_int(r, o, "window_first", MOST_FRAMES),
                                  .window_count = read_int(r, o, "window_count", MOST_FRAMES),
                                  .steps = read_int(r, o, "steps", MOST_STEPS),
                                  .step_from = read_int(r, o, "step_from", MOST_STEPS),
                                  .step_to = read_int(r, o, "step_to", MOST_STEPS),
                                  .guidance_scale = json_number(r, o, "guidance_scale"),
                                  .seed = read_seed(r, o),
                                  .noise_shot = (uint32_t)json_int(r, o, "noise_shot", 0, INT32_MAX),
                                  .take = (uint32_t)json_int(r, o, "take", 0, INT32_MAX) };
    if (!r->failed && (p->step_from >= p->step_to || p->step_to > p->steps || !p->window_count ||
                       p->window_first + p->window_count > p->latent_frames))
        json_fail(r, "step_from", "steps or windows that do not fit each other");
}

static void read_decode(struct json_reader *r, const json_t *o, struct decode_params *p, struct arena *arena)
{
    const json_t *ranges = json_list(r, o, "ranges");
    size_t count = list_count(r, ranges, "ranges");

    json_int(r, o, "scores", GATE_SCORES_FORMAT,
             GATE_SCORES_FORMAT); /* what is measured another way cannot be compared */
    *p = (struct decode_params){ .latent_frames = read_int(r, o, "latent_frames", MOST_FRAMES),
                                 .width = read_int(r, o, "width", LARGEST_SIDE),
                                 .height = read_int(r, o, "height", LARGEST_SIDE),
                                 .fps = read_int(r, o, "fps", 1000),
                                 .ranges = arena_array(arena, struct decode_range, count + 1) };
    for (; p->range_count < count; p->range_count++) {
        const json_t *range = json_array_get(ranges, p->range_count);
        int64_t first = json_integer_value(json_array_get(range, 0)), n = json_integer_value(json_array_get(range, 1));

        if (first < 0 || n < 1 || first > p->latent_frames || n > p->latent_frames - first)
            json_fail(r, "ranges", "a range that is not inside the shot");
        p->ranges[p->range_count] = (struct decode_range){ (int)first, (int)n };
    }
}

static void read_stitch(struct json_reader *r, const json_t *o, struct stitch_params *p, struct arena *arena)
{
    const json_t *shots = json_list(r, o, "shots");
    size_t count = list_count(r, shots, "shots");

    *p = (struct stitch_params){ .width = read_int(r, o, "width", LARGEST_SIDE),
                                 .height = read_int(r, o, "height", LARGEST_SIDE),
                                 .fps_in = read_int(r, o, "fps_in", 1000),
                                 .fps_out = read_int(r, o, "fps_out", 1000),
                                 .frames = read_int(r, o, "frames", MOST_FRAMES),
                                 .crf = read_int(r, o, "crf", 51),
                                 .shots = arena_array(arena, struct stitch_shot, count + 1) };
    for (; p->shot_count < count; p->shot_count++) {
        const json_t *shot = json_array_get(shots, p->shot_count);

        p->shots[p->shot_count] =
            (struct stitch_shot){ .frames = read_int(r, shot, "frames", MOST_FRAMES),
                                  .transition = read_text(r, shot, "transition", arena),
                                  .transition_frames = read_int(r, shot, "transition_frames", MOST_FRAMES) };
    }
}

static void read_params(struct json_reader *r, const json_t *o, struct task *t, struct arena *arena)
{
    switch (t->kind) {
    case TASK_TEXT:
        t->text.prompt = read_text(r, o, "prompt", arena);
        break;
    case TASK_CAST:
        t->cast = (struct cast_params){ .kind = read_text(r, o, "kind", arena),
                                        .seed = read_seed(r, o),
                                        .width = read_int(r, o, "width", LARGEST_SIDE),
                                        .height = read_int(r, o, "height", LARGEST_SIDE),
                                        .steps = read_int(r, o, "steps", MOST_STEPS),
                                        .guidance_scale = json_number(r, o, "guidance_scale") };
        break;
    case TASK_DENOISE:
        read_denoise(r, o, &t->denoise);
        break;
    case TASK_DECODE:
        read_decode(r, o, &t->decode, arena);
        break;
    case TASK_STITCH:
        read_stitch(r, o, &t->stitch, arena);
        break;
    }
}

/* ---- tasks ---- */

/* Its size, for the estimates of the scheduler: latent positions times passes, as compile.c counts them. */
static double work_of(const struct task *t)
{
    switch (t->kind) {
    case TASK_TEXT:
        return 1;
    case TASK_CAST:
        return t->cast.width * 1e-2 * t->cast.height / 256 * t->cast.steps;
    case TASK_DENOISE:
        return t->denoise.width * 1e-2 * t->denoise.height / 256 * t->denoise.window_count *
               (t->denoise.step_to - t->denoise.step_from);
    case TASK_DECODE:
        return 3e-2 * t->decode.width * t->decode.height / 256 * t->decode.latent_frames;
    case TASK_STITCH:
        return 1 + 1e-6 * t->stitch.frames * t->stitch.width * t->stitch.height;
    }
    return 1;
}

/* The task before `t` that made these bytes; NULL: they were given. */
static struct task *maker_of(struct video *v, const struct task *t, const struct digest *d,
                             const struct task_output **o)
{
    for (uint32_t i = t->position; i-- > 0;)
        for (uint32_t k = 0; k < v->tasks[i].expected_count; k++)
            if (digest_equal(&v->tasks[i].expected[k].blob.digest, d)) {
                *o = &v->tasks[i].expected[k];
                return &v->tasks[i];
            }
    return NULL;
}

static bool take_inputs(struct video *v, struct task *t, const struct manifest_task *from, struct error *err)
{
    t->inputs = arena_array(&v->arena, struct task_input, from->input_count + 1);
    for (; t->input_count < from->input_count; t->input_count++) {
        const struct manifest_ref *ref = &from->inputs[t->input_count];
        const struct task_output *made = NULL;
        const struct task *maker = maker_of(v, t, &ref->digest, &made);

        if (!maker && ref->slot != INPUT_IMAGE)
            return error_set(err, ERROR_INPUT, "inputs[%" PRIu32 "]: no task before it made this %s", t->input_count,
                             input_slot_name(ref->slot));
        t->inputs[t->input_count] =
            (struct task_input){ .slot = ref->slot,
                                 .known = true,
                                 .from = maker ? maker->position : 0,
                                 .output = maker ? made->name : 0,
                                 .blob = { .digest = ref->digest, .bytes = maker ? made->blob.bytes : 0 } };
    }
    return true;
}

static bool take_task(struct video *v, struct task *t, const struct manifest_task *from, const struct key_context *farm,
                      struct error *err)
{
    struct json_reader r = { .where = "params", .err = err };

    t->kind = from->kind;
    t->role = from->role;
    t->shot = from->shot;
    t->expected_count = from->output_count;
    t->expected = arena_copy(&v->arena, from->outputs, sizeof from->outputs);
    read_params(&r, from->params, t, &v->arena);
    if (r.failed || !take_inputs(v, t, from, err))
        return false;
    /* From our own records again: whatever the manifest says beyond what this program computes shows in the key. */
    struct digest key = task_key(t, farm);
    if (!digest_equal(&key, &from->key))
        return error_set(err, ERROR_INPUT,
                         "its key is not that of its parameters and inputs: the manifest was changed, or is of "
                         "another version of the program");
    t->key = key;
    t->work = work_of(t);
    return true;
}

static void link_dependents(struct video *v)
{
    for (uint32_t i = 0; i < v->task_count; i++) {
        struct task *t = &v->tasks[i];

        t->dependents = arena_array(&v->arena, uint32_t, v->task_count);
        for (uint32_t k = i + 1; k < v->task_count; k++)
            for (uint32_t n = 0; n < v->tasks[k].input_count; n++)
                if (v->tasks[k].inputs[n].output && v->tasks[k].inputs[n].from == i) {
                    t->dependents[t->dependent_count++] = k;
                    break;
                }
        t->rank = v->task_count - i; /* in the order of making */
    }
}

/* What was not chosen is as the manifest says, without work. */
static bool choose(struct video *v, struct error *err)
{
    const struct verification *how = v->campaign->verification;

    for (size_t i = 0; i < how->chosen_count; i++)
        if (how->chosen[i] >= v->task_count)
            return error_set(err, ERROR_INPUT, "task %" PRIu32 " is chosen, and the manifest has %" PRIu32,
                             how->chosen[i], v->task_count);
    for (uint32_t i = 0; how->chosen_count && i < v->task_count; i++) {
        struct task *t = &v->tasks[i];
        bool chosen = false;

        for (size_t k = 0; k < how->chosen_count; k++)
            chosen = chosen || how->chosen[k] == i;
        if (chosen)
            continue;
        t->state = TASK_DONE;
        t->cached = true;
        memcpy(t->outputs, t->expected, t->expected_count * sizeof *t->outputs);
        t->output_count = t->expected_count;
    }
    return true;
}

static bool take_tasks(struct video *v, const struct manifest *m, const struct key_context *farm, struct error *err)
{
    struct hash graph;

    hash_begin(&graph);
    hash_text(&graph, "shotline verification 1");
    v->tasks = xcalloc(m->task_count, sizeof *v->tasks);
    v->task_room = (uint32_t)m->task_count;
    v->stitch = v->task_room - 1;
    for (size_t i = 0; i < m->task_count; i++) {
        struct task *t = &v->tasks[i];

        *t = (struct task){ .video = v, .position = (uint32_t)i, .state = TASK_WAITING };
        if (!take_task(v, t, &m->tasks[i], farm, err))
            return error_wrap(err, "tasks[%zu]", i);
        v->task_count++;
        hash_digest(&graph, &t->key);
    }
    v->graph = hash_end(&graph);
    link_dependents(v);
    return choose(v, err);
}

bool verify_compile(struct video *v, const char *manifest, const struct key_context *farm, struct error *err)
{
    struct manifest m;

    if (!manifest_read(&m, manifest, strlen(manifest), "manifest", err))
        return false;
    bool ok = true;
    if (!digest_equal(&m.keys.pack, &farm->pack))
        ok = error_set(err, ERROR_INPUT, "it was made with another pack (%.60s) than this farm serves", m.pack_name);
    else if (m.keys.version != farm->version)
        ok = error_set(err, ERROR_INPUT, "it was made with kernel set %" PRIu32 ", this farm computes with %" PRIu32,
                       m.keys.version, farm->version);
    else if (m.tasks[m.task_count - 1].kind != TASK_STITCH)
        ok = error_set(err, ERROR_INPUT, "its last task does not make a video");
    ok = ok && take_tasks(v, &m, farm, err);
    manifest_free(&m);
    if (!ok)
        video_drop_graph(v);
    return ok || error_wrap(err, "manifest");
}

/* ---- verdicts ---- */

static const struct blob_ref *find(const struct task_output *outputs, uint32_t count, enum output_name n)
{
    for (uint32_t i = 0; i < count; i++)
        if (outputs[i].name == n)
            return &outputs[i].blob;
    return NULL;
}

void verify_judge(struct task *t, const struct task_output *outputs, uint32_t count)
{
    struct str what = { 0 };

    for (enum output_name n = OUTPUT_EMBEDDING; n <= OUTPUT_VIDEO; n++) {
        const struct blob_ref *made = find(outputs, count, n), *said = find(t->expected, t->expected_count, n);
        char ours[DIGEST_HEX_ROOM] = "nothing", theirs[DIGEST_HEX_ROOM] = "nothing";

        if ((!made && !said) || (made && said && digest_equal(&made->digest, &said->digest)))
            continue;
        if (made)
            digest_hex(&made->digest, ours);
        if (said)
            digest_hex(&said->digest, theirs);
        str_printf(&what, "%s%s: made %s, the manifest says %s", what.size ? "; " : "", output_text(n), ours, theirs);
    }
    free(t->trouble); /* of an earlier attempt */
    t->trouble = what.size ? xstrdup(what.data) : NULL;
    str_free(&what);
}

enum verdict verify_verdict(const struct task *t)
{
    if (t->state == TASK_DONE)
        return t->cached ? VERDICT_NOT_CHOSEN : t->trouble ? VERDICT_DIFFERENT : VERDICT_SAME;
    return task_ended(t->state) ? VERDICT_UNMADE : VERDICT_OPEN;
}

uint32_t verify_count(const struct video *v, enum verdict verdict)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < v->task_count; i++)
        count += verify_verdict(&v->tasks[i]) == verdict;
    return count;
}

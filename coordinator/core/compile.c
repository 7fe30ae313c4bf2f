#include "coordinator/core/compile.h"

#include "common/base/str.h"
#include "coordinator/core/key.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TRANSITION_MS 500

size_t compile_windows(int frames, int window, int overlap, struct decode_range *to)
{
    if (frames <= window) {
        to[0] = (struct decode_range){ 0, frames };
        return 1;
    }
    int stride = window - overlap, count = (frames - overlap + stride - 1) / stride;
    int total = frames + (count - 1) * overlap, first = 0;
    /* Equal windows, so that workers finish together; but a window narrower than two overlaps would have frames that
     * three windows share. */
    bool equal = count == 2 || total / count >= 2 * overlap;

    for (int i = 0; i < count; i++) {
        int size = equal ? total / count + (i < total % count) : frames - first < window ? frames - first : window;

        to[i] = (struct decode_range){ first, size };
        first += size - overlap;
    }
    return (size_t)count;
}

int compile_latents(int frames, int time_stride)
{
    return (frames - 1 + time_stride - 1) / time_stride + 1;
}

/* ---- the file's timeline ---- */

struct timeline_shot {
    int own;        /* frames of the file between its cuts */
    int transition; /* frames that its end shares with the next shot */
    int frames;     /* seen in the file, transitions included */
    int latents;
};

struct timeline {
    struct timeline_shot *shots;
    size_t count;
    int fps_in, fps_out, frames;
    int time_stride; /* of the pack */
};

/* The share of the transition before and behind the cut. */
static int head(int transition)
{
    return transition / 2;
}

static int tail(int transition)
{
    return transition - transition / 2;
}

static void measure(struct timeline *t, size_t i)
{
    struct timeline_shot *s = &t->shots[i];
    int in = i ? t->shots[i - 1].transition : 0;

    s->frames = s->own + head(in) + tail(s->transition);
    /* Frame k of the file shows the painted frame that is on at its middle. */
    int needed = (int)(((int64_t)(2 * s->frames - 1) * t->fps_in) / (2 * t->fps_out)) + 1;
    s->latents = compile_latents(needed, t->time_stride);
}

static bool lay_out(struct timeline *t, const struct plan *plan, int longest, struct error *err)
{
    int64_t at_ms = 0, boundary = 0;

    for (size_t i = 0; i < t->count; i++) {
        int64_t end;

        at_ms += plan->shots[i].duration_ms;
        end = (at_ms * t->fps_out + 500) / 1000;
        t->shots[i].own = (int)(end - boundary);
        boundary = end;
        if (t->shots[i].own < 1)
            return error_set(err, ERROR_INPUT, "shot %zu: shorter than one frame at %d frames/s", i + 1, t->fps_out);
    }
    t->frames = (int)boundary;
    for (size_t i = 0; i + 1 < t->count; i++) {
        struct timeline_shot *s = &t->shots[i];
        const char *name = plan->shots[i].fields[FIELD_TRANSITION];

        if (strcmp(name, "cut") && strcmp(name, "dissolve") && strcmp(name, "fade"))
            return error_set(err, ERROR_INPUT, "shot %zu: transition \"%s\": expected cut, dissolve or fade", i + 1,
                             name);
        if (!strcmp(name, "cut"))
            continue;
        s->transition = (TRANSITION_MS * t->fps_out + 500) / 1000;
        if (s->transition > s->own)
            s->transition = s->own;
        if (s->transition > s[1].own)
            s->transition = s[1].own;
    }
    for (size_t i = 0; i < t->count; i++)
        measure(t, i);
    /* A shot that is too long with its handles gives them up frame by frame. */
    for (size_t i = 0; i < t->count; i++)
        while (t->shots[i].latents > longest) {
            int *before = i ? &t->shots[i - 1].transition : NULL, *after = &t->shots[i].transition;
            int *longer = before && *before > *after ? before : after;

            if (!*longer)
                return error_set(err, ERROR_INPUT, "shot %zu: needs %d latent frames, and the pack draws at most %d",
                                 i + 1, t->shots[i].latents, longest);
            --*longer;
            measure(t, i);
            if (longer == before)
                measure(t, i - 1);
            else if (i + 1 < t->count)
                measure(t, i + 1);
        }
    return true;
}

/* ---- building the graph ---- */

struct builder {
    struct video *v;
    const struct compile_input *in;
    struct arena *arena;
    struct task *tasks; /* grows */
    uint32_t count, room;
    int steps, handoff;
    double guidance_scale;
    double frame_work; /* of one latent frame in one step */
    uint32_t *texts;   /* positions of the text tasks so far */
    uint32_t text_count;
    uint32_t *members; /* position of each plan member's cast task + 1; 0: none */
};

static struct task *add_task(struct builder *b, enum task_kind kind, uint32_t shot, uint32_t most_inputs)
{
    if (b->count == b->room) {
        b->room = b->room ? 2 * b->room : 32;
        b->tasks = xrealloc(b->tasks, b->room * sizeof *b->tasks);
    }
    struct task *t = &b->tasks[b->count];
    *t = (struct task){ .video = b->v,
                        .position = b->count++,
                        .kind = kind,
                        .shot = shot,
                        .state = TASK_WAITING,
                        .inputs = arena_array(b->arena, struct task_input, most_inputs ? most_inputs : 1) };
    return t;
}

static void add_input(struct task *t, enum input_slot slot, uint32_t from, enum output_name output)
{
    t->inputs[t->input_count++] = (struct task_input){ .slot = slot, .from = from, .output = output };
    t->inputs_missing++;
}

static void add_blob(struct task *t, enum input_slot slot, const struct blob_ref *blob)
{
    t->inputs[t->input_count++] = (struct task_input){ .slot = slot, .known = true, .blob = *blob };
}

/* The text task of a prompt: one per distinct prompt. */
static uint32_t text_of(struct builder *b, const char *prompt)
{
    for (uint32_t i = 0; i < b->text_count; i++)
        if (!strcmp(b->tasks[b->texts[i]].text.prompt, prompt))
            return b->texts[i];
    struct task *t = add_task(b, TASK_TEXT, 0, 0);
    t->text.prompt = arena_strdup(b->arena, prompt);
    t->work = b->frame_work;
    b->texts[b->text_count++] = t->position;
    return t->position;
}

static const struct cast_member *campaign_member(const struct campaign *c, const struct plan_member *m)
{
    for (uint32_t i = 0; i < c->cast_count; i++)
        if (!strcmp(c->cast[i].id, m->id))
            return &c->cast[i];
    return NULL;
}

/* What shots must know of a member: one task, whichever shots show it. */
static uint32_t identity_of(struct builder *b, int member)
{
    const struct plan_member *m = &b->in->plan->members[member];
    const struct pack_defaults *pack = b->in->pack;
    const struct cast_member *given = campaign_member(b->v->campaign, m);
    uint32_t text = 0, negative = 0;

    if (b->members[member])
        return b->members[member] - 1;
    if (!given || !given->has_image) {
        text = text_of(b, arena_printf(b->arena, "%s%s", m->phrase, pack->reference_suffix));
        negative = text_of(b, pack->negative_prompt);
    }
    struct task *t = add_task(b, TASK_CAST, 0, 2);
    t->cast = (struct cast_params){ .kind = arena_strdup(b->arena, m->kind),
                                    /* A member of the campaign looks the same in all its videos. */
                                    .seed = given ? b->v->campaign->videos[0].seed : b->v->seed,
                                    .width = pack->width,
                                    .height = pack->height,
                                    .steps = b->steps,
                                    .guidance_scale = b->guidance_scale };
    if (given && given->has_image) {
        t->cast.seed = 0; /* nothing is drawn: no seed, step or guidance may tell two of these apart */
        t->cast.steps = 0;
        t->cast.guidance_scale = 0;
        add_blob(t, INPUT_IMAGE, &given->image);
        t->work = 2 * b->frame_work;
    } else {
        add_input(t, INPUT_TEXT, text, OUTPUT_EMBEDDING);
        add_input(t, INPUT_NEGATIVE_TEXT, negative, OUTPUT_EMBEDDING);
        t->work = b->frame_work * b->steps;
    }
    b->members[member] = t->position + 1;
    return t->position;
}

struct shot_inputs {
    uint32_t text, negative;
    uint32_t identities[PLAN_MAX_ACTORS];
    int identity_count;
    uint32_t noise_shot;
};

static uint32_t add_denoise(struct builder *b, uint32_t shot, enum task_role role, int latents,
                            struct decode_range window, const struct shot_inputs *in, uint32_t anchor)
{
    struct task *t = add_task(b, TASK_DENOISE, shot, 3 + (uint32_t)in->identity_count);
    const struct pack_defaults *pack = b->in->pack;

    t->role = role;
    t->denoise = (struct denoise_params){ .width = pack->width,
                                          .height = pack->height,
                                          .latent_frames = latents,
                                          .window_first = window.first,
                                          .window_count = window.count,
                                          .steps = b->steps,
                                          .step_from = role == ROLE_RANGE ? b->handoff : 0,
                                          .step_to = role == ROLE_ANCHOR ? b->handoff : b->steps,
                                          .guidance_scale = b->guidance_scale,
                                          .seed = b->v->seed,
                                          .noise_shot = in->noise_shot };
    add_input(t, INPUT_TEXT, in->text, OUTPUT_EMBEDDING);
    add_input(t, INPUT_NEGATIVE_TEXT, in->negative, OUTPUT_EMBEDDING);
    for (int i = 0; i < in->identity_count; i++)
        add_input(t, INPUT_IDENTITY, in->identities[i], OUTPUT_IDENTITY);
    if (role == ROLE_RANGE)
        add_input(t, INPUT_STATE, anchor, OUTPUT_STATE);
    t->work = b->frame_work * (window.count + in->identity_count) * (t->denoise.step_to - t->denoise.step_from);
    return t->position;
}

/* Identities whose colours a shot must show: of figures, and not of places. */
static void add_identities(struct builder *b, struct task *decode, const struct shot_inputs *in)
{
    for (int i = 0; i < in->identity_count; i++)
        if (strcmp(b->tasks[in->identities[i]].cast.kind, "place"))
            add_input(decode, INPUT_IDENTITY, in->identities[i], OUTPUT_IDENTITY);
}

/* The denoising of one shot and its decode; returns the decode's position. */
static uint32_t add_shot(struct builder *b, uint32_t number, int latents, const struct shot_inputs *in)
{
    const struct pack_defaults *pack = b->in->pack;
    struct decode_range *windows = arena_array(b->arena, struct decode_range, latents);
    size_t count = compile_windows(latents, pack->window, pack->overlap, windows);
    uint32_t *ranges = arena_array(b->arena, uint32_t, count), first = b->count;
    struct shot *s = &b->v->shots[number - 1];

    if (count > 1 && b->handoff > 0 && b->handoff < b->steps) {
        uint32_t anchor = add_denoise(b, number, ROLE_ANCHOR, latents, (struct decode_range){ 0, latents }, in, 0);

        for (size_t i = 0; i < count; i++)
            ranges[i] = add_denoise(b, number, ROLE_RANGE, latents, windows[i], in, anchor);
    } else {
        windows[0] = (struct decode_range){ 0, latents };
        count = 1;
        ranges[0] = add_denoise(b, number, ROLE_WHOLE, latents, windows[0], in, 0);
    }
    struct task *t = add_task(b, TASK_DECODE, number, (uint32_t)count + (uint32_t)in->identity_count);
    t->decode = (struct decode_params){ .ranges = windows,
                                        .range_count = count,
                                        .latent_frames = latents,
                                        .width = pack->width,
                                        .height = pack->height,
                                        .fps = pack->fps };
    for (size_t i = 0; i < count; i++)
        add_input(t, INPUT_LATENTS, ranges[i], OUTPUT_LATENTS);
    add_identities(b, t, in);
    t->work = 3 * b->frame_work * latents;
    s->ranges = (uint32_t)count;
    s->size = b->count - first;
    s->takes = 1;
    s->decodes[0] = t->position;
    return t->position;
}

static void add_stitch(struct builder *b, const struct timeline *line, const uint32_t *decodes)
{
    const struct video *v = b->v;
    const struct pack_defaults *pack = b->in->pack;
    struct task *t = add_task(b, TASK_STITCH, 0, (uint32_t)line->count);

    t->stitch = (struct stitch_params){ .shots = arena_array(b->arena, struct stitch_shot, line->count),
                                        .shot_count = line->count,
                                        .width = v->width ? (int)v->width : pack->width,
                                        .height = v->height ? (int)v->height : pack->height,
                                        .fps_in = line->fps_in,
                                        .fps_out = line->fps_out,
                                        .frames = line->frames,
                                        .crf = (int)v->crf };
    for (size_t i = 0; i < line->count; i++) {
        const struct timeline_shot *s = &line->shots[i];

        t->stitch.shots[i] = (struct stitch_shot){
            .frames = s->frames,
            .transition =
                s->transition ? arena_strdup(b->arena, b->in->plan->shots[i].fields[FIELD_TRANSITION]) : "cut",
            .transition_frames = s->transition,
        };
        add_input(t, INPUT_MEZZANINE, decodes[i], OUTPUT_MEZZANINE);
    }
    t->work = 1 + (double)line->frames * t->stitch.width * t->stitch.height * 1e-6;
}

/* Who waits for whom, and how much work lies behind each task. */
static void connect(struct builder *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        for (uint32_t k = 0; k < b->tasks[i].input_count; k++)
            if (b->tasks[i].inputs[k].output)
                b->tasks[b->tasks[i].inputs[k].from].dependent_count++;
    for (uint32_t i = 0; i < b->count; i++) {
        b->tasks[i].dependents = arena_array(b->arena, uint32_t, b->tasks[i].dependent_count + 1);
        b->tasks[i].dependent_count = 0;
    }
    for (uint32_t i = 0; i < b->count; i++)
        for (uint32_t k = 0; k < b->tasks[i].input_count; k++) {
            struct task *from = &b->tasks[b->tasks[i].inputs[k].from];

            if (!b->tasks[i].inputs[k].output ||
                (from->dependent_count && from->dependents[from->dependent_count - 1] == i))
                continue;
            from->dependents[from->dependent_count++] = i;
        }
    for (uint32_t i = b->count; i-- > 0;) {
        struct task *t = &b->tasks[i];

        t->rank = 0;
        for (uint32_t k = 0; k < t->dependent_count; k++)
            if (b->tasks[t->dependents[k]].rank > t->rank)
                t->rank = b->tasks[t->dependents[k]].rank;
        t->rank += t->work;
    }
}

static struct digest graph_digest(const struct task *tasks, uint32_t count)
{
    struct str params = { 0 };
    struct hash h;

    hash_begin(&h);
    hash_text(&h, "shotline graph 1");
    for (uint32_t i = 0; i < count; i++) {
        const struct task *t = &tasks[i];
        struct json_out o = { .to = &params, .canonical = true };

        str_clear(&params);
        task_params(t, NULL, &o);
        hash_u64(&h, t->kind);
        hash_u64(&h, t->role);
        hash_u64(&h, t->shot);
        hash_text(&h, params.data);
        for (uint32_t k = 0; k < t->input_count; k++) {
            hash_u64(&h, t->inputs[k].slot);
            hash_u64(&h, t->inputs[k].output);
            hash_u64(&h, t->inputs[k].from);
            hash_digest(&h, &t->inputs[k].blob.digest);
        }
    }
    str_free(&params);
    return hash_end(&h);
}

/* The shot whose initial noise this one takes: its own, or that of the first in the chain which it must match. */
static uint32_t noise_shot(const struct plan *plan, size_t shot)
{
    while (plan->shots[shot].match)
        shot = (size_t)plan->shots[shot].match - 1;
    return (uint32_t)shot + 1;
}

static void build(struct builder *b, const struct timeline *line)
{
    const struct plan *plan = b->in->plan;
    const struct pack_defaults *pack = b->in->pack;
    struct shot_inputs *inputs = arena_array(b->arena, struct shot_inputs, line->count);
    uint32_t *decodes = arena_array(b->arena, uint32_t, line->count);
    struct str prompt = { 0 };

    b->texts = arena_array(b->arena, uint32_t, line->count + plan->member_count + 1);
    b->members = arena_array(b->arena, uint32_t, plan->member_count + 1);
    for (size_t i = 0; i < line->count; i++) { /* texts and cast of all shots come first in the order of tasks */
        const struct plan_shot *from = &plan->shots[i];

        str_clear(&prompt);
        plan_prompt(plan, i, b->in->grammar, &prompt);
        inputs[i].text = text_of(b, str_text(&prompt));
        inputs[i].negative = text_of(b, pack->negative_prompt);
        inputs[i].noise_shot = noise_shot(plan, i);
        b->v->shots[i] = (struct shot){ .number = (uint32_t)i + 1,
                                        .latent_frames = line->shots[i].latents,
                                        .file_frames = line->shots[i].frames,
                                        .steps = b->steps,
                                        .camera = arena_strdup(b->arena, from->fields[FIELD_CAMERA]),
                                        .prompt = arena_strdup(b->arena, str_text(&prompt)) };
        for (int k = 0; k < from->actor_count && k < pack->references; k++)
            inputs[i].identities[inputs[i].identity_count++] = identity_of(b, from->actors[k].member);
    }
    for (size_t i = 0; i < line->count; i++)
        decodes[i] = add_shot(b, (uint32_t)i + 1, line->shots[i].latents, &inputs[i]);
    add_stitch(b, line, decodes);
    connect(b);
    str_free(&prompt);
}

bool compile_video(struct video *v, const struct compile_input *in, struct error *err)
{
    const struct campaign *c = v->campaign;
    const struct pack_defaults *pack = in->pack;
    struct timeline line = { .count = in->plan->shot_count,
                             .fps_in = pack->fps,
                             .fps_out = v->fps ? (int)v->fps : pack->fps,
                             .time_stride = pack->strides.time };
    struct builder b = { .v = v, .in = in, .arena = &v->arena };

    assert(!v->task_count);
    line.shots = arena_array(&v->arena, struct timeline_shot, line.count);
    if (!lay_out(&line, in->plan, pack->longest_shot, err)) {
        arena_free(&v->arena);
        return false;
    }
    b.steps = c->steps ? (int)c->steps : pack->steps;
    b.guidance_scale = c->guidance_scale > 0 ? c->guidance_scale : pack->guidance_scale;
    /* Other steps than the pack's keep the same share of them in the anchor. */
    b.handoff = (pack->handoff_step * b.steps + pack->steps / 2) / pack->steps;
    const int token = pack_size_multiple(pack); /* pixels on a side */
    b.frame_work = (double)(pack->width / token) * (pack->height / token) * (b.guidance_scale == 1 ? 1 : 2) / 100;
    v->shots = arena_array(&v->arena, struct shot, line.count);
    v->shot_count = (uint32_t)line.count;
    build(&b, &line);
    v->task_room = b.count;
    for (uint32_t i = 0; i < v->shot_count; i++)
        v->task_room += (c->takes - 1) * v->shots[i].size;
    v->tasks = xcalloc(v->task_room, sizeof *v->tasks);
    memcpy(v->tasks, b.tasks, b.count * sizeof *b.tasks);
    v->task_count = b.count;
    v->stitch = b.count - 1;
    v->tasks_open = b.count;
    v->graph = graph_digest(v->tasks, v->task_count);
    free(b.tasks);
    return true;
}

/* farm_graph - a small campaign built by hand for the tests of the coordinator's core: one video of one shot in two
 * ranges.
 *
 *   0 text   1 negative text   2 anchor   3 range   4 range   5 decode   6 stitch */
#ifndef SHOTLINE_TESTS_FARM_GRAPH_H
#define SHOTLINE_TESTS_FARM_GRAPH_H

#include "coordinator/core/attempts.h"
#include "coordinator/core/lifecycle.h"
#include "coordinator/core/takes.h"

#include <stdio.h>
#include <string.h>

enum { G_TEXT, G_NEGATIVE, G_ANCHOR, G_LEFT, G_RIGHT, G_DECODE, G_STITCH, G_TASKS };

static inline void graph_input(struct video *v, uint32_t to, enum input_slot slot, uint32_t from,
                               enum output_name output)
{
    struct task *t = &v->tasks[to], *f = &v->tasks[from];

    t->inputs[t->input_count++] = (struct task_input){ .slot = slot, .from = from, .output = output };
    t->inputs_missing++;
    if (!f->dependent_count || f->dependents[f->dependent_count - 1] != to)
        f->dependents[f->dependent_count++] = to;
}

static inline void graph_video(struct video *v, const char *prompt, uint64_t seed)
{
    static const enum task_kind kinds[G_TASKS] = { TASK_TEXT,    TASK_TEXT,   TASK_DENOISE, TASK_DENOISE,
                                                   TASK_DENOISE, TASK_DECODE, TASK_STITCH };

    v->task_room = G_TASKS + (TAKES_MOST - 1) * (G_DECODE - G_ANCHOR + 1);
    v->tasks = xcalloc(v->task_room, sizeof *v->tasks);
    v->task_count = G_TASKS;
    v->stitch = G_STITCH;
    v->shots = arena_array(&v->arena, struct shot, 1);
    v->shot_count = 1;
    v->shots[0] = (struct shot){ .number = 1,
                                 .latent_frames = 8,
                                 .camera = "static",
                                 .size = G_DECODE - G_ANCHOR + 1,
                                 .takes = 1,
                                 .decodes = { G_DECODE } };
    for (uint32_t i = 0; i < G_TASKS; i++)
        v->tasks[i] = (struct task){ .video = v,
                                     .position = i,
                                     .kind = kinds[i],
                                     .state = TASK_WAITING,
                                     .work = 100,
                                     .rank = 1000 - i,
                                     .shot = i >= G_ANCHOR && i < G_STITCH ? 1 : 0,
                                     .inputs = arena_array(&v->arena, struct task_input, 8),
                                     .dependents = arena_array(&v->arena, uint32_t, 8) };
    v->tasks[G_TEXT].text.prompt = arena_strdup(&v->arena, prompt);
    v->tasks[G_NEGATIVE].text.prompt = "";
    for (uint32_t i = G_ANCHOR; i <= G_RIGHT; i++) {
        struct task *t = &v->tasks[i];
        bool anchor = i == G_ANCHOR;

        t->role = anchor ? ROLE_ANCHOR : ROLE_RANGE;
        t->denoise = (struct denoise_params){ .width = 64,
                                              .height = 32,
                                              .latent_frames = 8,
                                              .window_first = i == G_RIGHT ? 3 : 0,
                                              .window_count = anchor ? 8 : 5,
                                              .steps = 4,
                                              .step_from = anchor ? 0 : 2,
                                              .step_to = anchor ? 2 : 4,
                                              .guidance_scale = 2,
                                              .seed = seed,
                                              .noise_shot = 1 };
        graph_input(v, i, INPUT_TEXT, G_TEXT, OUTPUT_EMBEDDING);
        graph_input(v, i, INPUT_NEGATIVE_TEXT, G_NEGATIVE, OUTPUT_EMBEDDING);
        if (!anchor)
            graph_input(v, i, INPUT_STATE, G_ANCHOR, OUTPUT_STATE);
    }
    v->tasks[G_DECODE].decode = (struct decode_params){ .latent_frames = 8, .width = 64, .height = 32, .fps = 8 };
    graph_input(v, G_DECODE, INPUT_LATENTS, G_LEFT, OUTPUT_LATENTS);
    graph_input(v, G_DECODE, INPUT_LATENTS, G_RIGHT, OUTPUT_LATENTS);
    v->tasks[G_STITCH].stitch =
        (struct stitch_params){ .width = 64, .height = 32, .fps_in = 8, .fps_out = 8, .frames = 29 };
    graph_input(v, G_STITCH, INPUT_MEZZANINE, G_DECODE, OUTPUT_MEZZANINE);
}

/* Videos of one campaign, each with its own prompt unless `same`. */
static inline struct campaign *graph_campaign(struct ledger *l, uint32_t videos, bool same)
{
    struct campaign *c = campaign_new();

    c->name = "test";
    c->token[0] = (uint8_t)(l->last_campaign + 1);
    c->takes = 3;
    c->on_gate_failure = GATE_KEEP;
    c->videos = arena_array(&c->arena, struct video, videos);
    c->video_count = videos;
    for (uint32_t i = 0; i < videos; i++)
        c->videos[i] = (struct video){ .campaign = c, .number = i + 1, .name = "v", .state = WORK_PLANNING };
    ledger_add(l, c);
    for (uint32_t i = 0; i < videos; i++) {
        char prompt[32];

        snprintf(prompt, sizeof prompt, "prompt %u of %d", same ? 0 : i, same ? 0 : (int)c->id.v);
        graph_video(&c->videos[i], prompt, same ? 7 : c->id.v * 100 + i);
        video_start(l, &c->videos[i]);
    }
    return c;
}

/* What an honest worker would give: outputs whose digests depend on the key alone. */
static inline uint32_t graph_outputs(const struct task *t, struct task_output *outputs)
{
    uint32_t count = 0;

    for (enum output_name n = OUTPUT_EMBEDDING; n <= OUTPUT_VIDEO; n++)
        if (output_required(t->kind, t->role, n)) {
            struct hash h;

            hash_begin(&h);
            hash_digest(&h, &t->key);
            hash_text(&h, output_text(n));
            outputs[count++] = (struct task_output){ .name = n, .blob = { .digest = hash_end(&h), .bytes = 1000 } };
        }
    return count;
}

static inline void graph_finish_unjudged(struct ledger *l, struct task *t, int64_t busy_ms)
{
    struct task_output outputs[TASK_MAX_OUTPUTS];
    uint32_t count = graph_outputs(t, outputs);

    task_done(l, t, t->worker, t->attempt, outputs, count, busy_ms);
}

/* Every take that waits for its verdict passes. */
static inline void graph_pass(struct ledger *l)
{
    static const struct gate_verdict passed;
    struct task *t;

    while ((t = ledger_next_unjudged(l)))
        if (t->state == TASK_DONE && !t->verdict && !work_ended(t->video->state))
            takes_judged(l, t, &passed, 0);
}

static inline void graph_finish(struct ledger *l, struct task *t, int64_t busy_ms)
{
    graph_finish_unjudged(l, t, busy_ms);
    graph_pass(l);
}

/* Takes the next task of the queue and gives it to a worker. */
static inline struct task *graph_lease(struct ledger *l, struct campaign *c, uint64_t worker, int64_t now_ms)
{
    struct task *t = queue_pop(c);

    if (t)
        task_lease(l, t, (struct worker_id){ worker }, now_ms, 15000);
    return t;
}

#endif

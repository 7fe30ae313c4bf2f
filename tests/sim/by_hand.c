/* by_hand - what must come out of a campaign: its tasks are done one after the other, with nothing going wrong. */
#include "tests/sim/oracle.h"

#include "common/wire/codec.h"
#include "coordinator/core/compile.h"
#include "coordinator/farm/intake.h"
#include "coordinator/core/manifest.h"
#include "coordinator/plan/plan.h"
#include "coordinator/core/takes.h"
#include "proto/client.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define fail_msg(...) (fprintf(stderr, __VA_ARGS__), abort())
#include "tests/unit/farm_plan.h"

static void make_task(struct world *w, struct task *t, struct expected_video *to)
{
    struct video *v = t->video;

    for (uint32_t k = 0; k < t->input_count; k++)
        if (t->inputs[k].output) {
            t->inputs[k].blob = *task_find_output(&v->tasks[t->inputs[k].from], t->inputs[k].output);
            t->inputs[k].known = true;
        }
    t->key = task_key(t, &w->oracle->keys);
    to->poisoned = to->poisoned || task_poisoned(&t->key, t->kind);
    for (enum output_name n = OUTPUT_EMBEDDING; n <= OUTPUT_VIDEO; n++) {
        char text[OUTPUT_ROOM];

        if (!output_required(t->kind, t->role, n))
            continue;
        output_of(&t->key, output_text(n), text, sizeof text);
        t->outputs[t->output_count++] =
            (struct task_output){ .name = n,
                                  .blob = { .digest = digest_of(text, strlen(text)), .bytes = (int64_t)strlen(text) } };
    }
    t->state = TASK_DONE;
}

/* A take was decoded: the shot shows it, or another one is made, or the least bad of them all must do. */
static void judge_by_hand(struct world *w, struct task *decode, struct expected_video *to)
{
    struct video *v = decode->video;
    struct shot *s = &v->shots[decode->shot - 1];
    const int bad = badness_of(&decode->key);
    uint32_t shown = decode->position;

    decode->verdict = xcalloc(1, sizeof *decode->verdict);
    if (bad)
        *decode->verdict = (struct gate_verdict){
            .count = 1, .faults = { { CHECK_UNUSABLE, bad, w->coordinator.farm.gates.limit[CHECK_UNUSABLE] } }
        };
    if (bad && s->takes < v->campaign->takes) {
        takes_add(v, s);
        return;
    }
    if (bad) {
        to->rejected = to->rejected || v->campaign->on_gate_failure == GATE_FAIL;
        for (uint32_t i = s->takes; i-- > 0;) /* of equals the first */
            if (badness_of(&v->tasks[s->decodes[i]].key) <= badness_of(&v->tasks[shown].key))
                shown = s->decodes[i];
    }
    s->settled = shown + 1;
}

static void make_by_hand(struct world *w, struct video *v, struct expected_video *to)
{
    struct oracle *o = w->oracle;
    struct plan plan = { 0 };
    struct error err = { 0 };

    if (v->given_plan) {
        v->plan_text = xstrdup(v->given_plan);
    } else {
        struct str text = { 0 };

        farm_roll_plan(o->grammar, intake_members(v->campaign), v->campaign->cast_count, v->duration_ms,
                       digest_of(v->prompt, strlen(v->prompt)).bytes[0], &text);
        v->plan_text = text.data;
    }
    if (!plan_parse(&plan, v->plan_text, strlen(v->plan_text), o->grammar, v->duration_ms, &err)) {
        world_break(w, "the simulator's own plan: %s", err.text);
        return;
    }
    v->plan_digest = plan_digest(&plan);
    const bool compiled =
        compile_video(v, &(struct compile_input){ .pack = &o->pack, .grammar = o->grammar, .plan = &plan }, &err);
    plan_free(&plan);
    if (!compiled) {
        world_break(w, "the simulator's own plan: %s", err.text);
        return;
    }
    for (uint32_t i = 0; i < v->task_count; i++) { /* in topological order, and takes that are added on the way */
        if (i == v->stitch)
            continue;
        make_task(w, &v->tasks[i], to);
        if (v->tasks[i].kind == TASK_DECODE)
            judge_by_hand(w, &v->tasks[i], to);
    }
    struct task *stitch = &v->tasks[v->stitch];
    for (uint32_t k = 0; k < stitch->input_count; k++)
        stitch->inputs[k].from = v->shots[v->tasks[stitch->inputs[k].from].shot - 1].settled - 1;
    make_task(w, stitch, to);
    v->tasks_open = 0;
    v->file = *task_find_output(stitch, OUTPUT_VIDEO);
    struct str text = { 0 };
    manifest_write(&(struct manifest_input){ .video = v,
                                             .keys = &o->keys,
                                             .pack = &o->pack,
                                             .listing = &o->listing,
                                             .gates = &w->coordinator.farm.gates },
                   &text);
    to->manifest = digest_of(text.data, text.size);
    str_free(&text);
}

void oracle_expect(struct world *w, const void *campaign, size_t size)
{
    struct oracle *o = w->oracle;
    struct arena arena = { 0 };
    struct error err = { 0 };

    if (!o->grammar) { /* with the first campaign: the farm has written its pack by now */
        o->grammar = farm_grammar();
        if (!pack_defaults_load(&o->pack, w->coordinator.pack, &err) ||
            !pack_list(&o->listing, w->coordinator.pack, &err))
            world_break(w, "%s", err.text);
        o->keys = w->coordinator.farm.ledger.keys;
    }
    const Shotline__Campaign *m = codec_unpack(&shotline__campaign__descriptor, campaign, size, &arena, &err);
    struct campaign *c = m ? intake_campaign(&(struct intake){ .grammar = o->grammar }, m, &err) : NULL;
    arena_free(&arena);
    if (!c) {
        world_break(w, "the simulator's own campaign: %s", err.text);
        return;
    }
    if (o->expected_count == o->expected_room) {
        o->expected_room = o->expected_room ? 2 * o->expected_room : 16;
        o->expected = xrealloc(o->expected, o->expected_room * sizeof *o->expected);
    }
    struct expected *e = &o->expected[o->expected_count++];
    *e = (struct expected){ .videos = xcalloc(c->video_count, sizeof *e->videos), .video_count = c->video_count };
    memcpy(e->token, c->token, sizeof e->token);
    for (uint32_t i = 0; i < c->video_count && !*w->broken; i++) {
        make_by_hand(w, &c->videos[i], &e->videos[i]);
        video_drop_graph(&c->videos[i]);
    }
    campaign_free(&c);
}

struct expected *expected_of(struct oracle *o, const uint8_t token[16])
{
    for (size_t i = 0; i < o->expected_count; i++)
        if (!memcmp(o->expected[i].token, token, 16))
            return &o->expected[i];
    return NULL;
}

void oracle_cancelled(struct world *w, const uint8_t token[16])
{
    expected_of(w->oracle, token)->cancelled = true;
}

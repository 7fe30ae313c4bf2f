#include "coordinator/farm/recover.h"

#include "common/base/log.h"
#include "common/wire/codec.h"
#include "coordinator/core/attempts.h"
#include "coordinator/core/figures.h"
#include "coordinator/core/lifecycle.h"
#include "coordinator/core/takes.h"
#include "coordinator/farm/intake.h"
#include "coordinator/farm/planning.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct recovery {
    struct farm *f;
    struct campaign *campaign;
    struct video *video;
    int64_t now_ms;
};

static bool on_worker(void *context, struct worker_id id, const char *name, const uint8_t boot_id[16],
                      const struct curve_key *key)
{
    struct recovery *r = context;

    fleet_restore(&r->f->fleet, id, name, boot_id, key);
    return true;
}

/* A task's fate, laid over what was compiled. */
static bool on_task(void *context, const struct stored_task *row, struct error *err)
{
    struct recovery *r = context;
    struct video *v = r->video;

    if (row->position == v->task_count && row->shot >= 1 && row->shot <= v->shot_count &&
        v->shots[row->shot - 1].takes < v->campaign->takes)
        takes_add(v, &v->shots[row->shot - 1]); /* rows come in the order in which takes were begun */
    if (row->position >= v->task_count)
        return error_set(err, ERROR_INPUT, "store: task %" PRIu64 " is beyond its video's %" PRIu32 " tasks", row->id.v,
                         v->task_count);
    struct task *t = &v->tasks[row->position];
    t->id = row->id;
    t->state = row->state;
    t->attempt = row->attempt;
    t->worker = row->worker;
    t->reason = row->reason;
    t->errors = row->errors;
    t->timeouts = row->timeouts;
    t->checkpoint = row->checkpoint;
    t->checkpoint_step = t->furthest_step = row->checkpoint_step;
    t->losses = row->losses;
    t->failed_count = row->failed_count;
    memcpy(t->failed_on, row->failed_on, sizeof t->failed_on);
    t->profile = row->profile;
    t->too_small_bytes = row->too_small_bytes;
    t->trouble = row->trouble ? xstrdup(row->trouble) : NULL;
    t->cached = row->cached;
    t->busy_ms = row->busy_ms;
    if (row->has_key)
        t->key = row->key;
    if (t->state == TASK_DONE && !t->cached)
        t->committed = t->attempt;
    if (row->has_verdict && t->kind == TASK_DECODE) {
        t->verdict = xmalloc(sizeof *t->verdict);
        *t->verdict = row->verdict;
    }
    if (t->state == TASK_DONE && t->expected) {
        memcpy(t->outputs, t->expected, t->expected_count * sizeof *t->outputs);
        t->output_count = t->expected_count;
    } else if (t->state == TASK_DONE) {
        t->output_count = row->has_key ? store_find_result(r->f->store, &row->key, t->outputs) : 0;
        for (enum output_name n = OUTPUT_EMBEDDING; n <= OUTPUT_VIDEO; n++)
            if (output_required(t->kind, t->role, n) && !task_find_output(t, n)) {
                t->output_count = 0;
                t->state = TASK_WAITING; /* its result is lost: it is made again */
                break;
            }
    }
    return true;
}

/* Running attempts stand in their worker's list, so that they are adopted, or given up with it. */
static void adopt(struct recovery *r)
{
    for (uint32_t i = 0; i < r->video->task_count; i++) {
        struct task *t = &r->video->tasks[i];
        struct worker *w = t->state == TASK_RUNNING ? fleet_worker(&r->f->fleet, t->worker) : NULL;

        if (w)
            worker_start(w, t->id);
        if (t->state == TASK_RUNNING && (!w || !worker_runs(w, t->id)))
            task_lost(&r->f->ledger, t, r->f->wall_ms);
    }
}

static bool on_video(void *context, const struct stored_video *row, struct error *err)
{
    struct recovery *r = context;
    struct farm *f = r->f;
    struct error fault;

    if (row->number < 1 || row->number > r->campaign->video_count)
        return error_set(err, ERROR_INPUT, "store: video %" PRIu64 " is beyond its campaign's %" PRIu32, row->id.v,
                         r->campaign->video_count);
    struct video *v = r->video = &r->campaign->videos[row->number - 1];
    v->id = row->id;
    v->state = row->state;
    str_copy(v->reason, sizeof v->reason, row->reason);
    v->manifest = row->manifest;
    v->file = row->file;
    if (!row->plan)
        return true;
    v->plan_text = xstrdup(row->plan);
    if (row->has_graph)
        v->graph = row->graph;
    if (work_ended(r->campaign->state)) /* its graphs are read when somebody asks for them */
        return true;
    if (!planning_compile(f, v, &fault)) { /* of another pack or an older program: the plan is no longer one */
        if (!work_ended(v->state))
            video_fail(&f->ledger, v, f->wall_ms, "%s", fault.text);
        return true;
    }
    if (!row->has_graph || !digest_equal(&row->graph, &v->graph)) {
        /* Compiled differently now. What is still the same work is found by its key. */
        log_warn("video.recompiled", "video=%" PRIu64, v->id.v);
        if (work_ended(v->state)) {
            video_drop_graph(v);
        } else {
            v->state = WORK_PLANNING;
            video_start(&f->ledger, v);
        }
        return true;
    }
    if (!store_each_task(f->store, v->id, on_task, r, err))
        return false;
    takes_restore(v);
    video_resume(&f->ledger, v, r->now_ms, f->fleet.lease_ms);
    if (!work_ended(v->state))
        adopt(r);
    const struct shot *s = work_ended(v->state) ? NULL : takes_unsettled(v);
    if (s)
        video_fail(&f->ledger, v, f->wall_ms,
                   "its record is damaged: the last take of shot %" PRIu32 " was judged, and nothing followed",
                   s->number);
    return true;
}

static bool on_campaign(void *context, const struct stored_campaign *row, struct error *err)
{
    struct recovery *r = context;
    struct farm *f = r->f;
    struct arena arena = { 0 };
    struct error fault;
    const Shotline__Campaign *m =
        codec_unpack(&shotline__campaign__descriptor, row->request, row->request_bytes, &arena, &fault);
    struct campaign *c =
        m ? intake_campaign(&(struct intake){ .grammar = f->grammar, .manifests = f->blobs }, m, &fault) : NULL;

    arena_free(&arena);
    if (!c) { /* no longer a campaign under this pack's grammar: it stays in the store, for a farm that serves its pack
               */
        log_warn("campaign.unreadable", "campaign=%" PRIu64 " reason=\"%s\"", row->id.v, fault.text);
        return true;
    }
    c->id = row->id;
    memcpy(c->token, row->token, sizeof c->token);
    c->pack = row->pack;
    c->owner = row->owner;
    c->state = row->state;
    c->created_ms = row->created_ms;
    c->ended_ms = row->ended_ms;
    c->busy_ms = row->busy_ms;
    c->overlap_ms = row->overlap_ms;
    c->ranges_at_once = row->ranges_at_once;
    c->superseded = row->superseded;
    c->figures = row->figures;
    c->shelved = work_ended(c->state);
    c->unsaved = false;
    r->campaign = c;
    ledger_add(&f->ledger, c);
    if (!store_each_video(f->store, c->id, on_video, r, err))
        return false;
    if (c->shelved && !c->figures.tasks) { /* it ended under a program that did not save its figures */
        if (!recover_graphs(f, c, err))
            return false;
        c->figures = figures_of(c);
        ledger_touch_campaign(&f->ledger, c);
    }
    if (!work_ended(c->state) && !digest_equal(&c->pack, &f->ledger.keys.pack))
        for (uint32_t i = 0; i < c->video_count; i++)
            video_fail(&f->ledger, &c->videos[i], f->wall_ms, "the farm serves another pack now");
    return true;
}

bool recover_graphs(struct farm *f, struct campaign *c, struct error *err)
{
    struct recovery r = { .f = f, .campaign = c };
    struct error fault;

    for (uint32_t i = 0; i < c->video_count; i++) {
        struct video *v = r.video = &c->videos[i];
        const struct digest stored = v->graph;

        if (!v->plan_text || !planning_compile(f, v, &fault))
            continue;
        if (!digest_equal(&stored, &v->graph)) {
            video_drop_graph(v);
            v->graph = stored;
            continue;
        }
        if (!store_each_task(f->store, v->id, on_task, &r, err))
            return false;
        takes_restore(v);
        video_resume(&f->ledger, v, 0, 0);
    }
    ledger_unshelve(&f->ledger, c);
    return true;
}

bool recover(struct farm *f, int64_t now_ms, int64_t wall_ms, struct error *err)
{
    struct recovery r = { .f = f, .now_ms = now_ms };

    f->wall_ms = wall_ms;
    f->fleet.opened_ms = now_ms;
    return store_load_counters(f->store, &f->ledger, &f->fleet, err) &&
           store_each_worker(f->store, on_worker, &r, err) && store_each_campaign(f->store, on_campaign, &r, err);
}

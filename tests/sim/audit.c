/* audit - whether the farm's books agree with themselves, and how everything ended. */
#include "tests/sim/oracle.h"

#include "coordinator/core/fleet.h"
#include "coordinator/farm/shelf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool twin_speaks(const struct ledger *l, const struct task *t)
{
    for (const struct task *o = ledger_twin(l, &t->key, NULL); o; o = ledger_twin(l, &t->key, o))
        if (o != t && (o->state == TASK_RUNNING || o->queue_place))
            return true;
    return false;
}

static void audit_task(struct world *w, const struct task *t)
{
    const struct ledger *l = &w->coordinator.farm.ledger;
    const struct fleet *fleet = &w->coordinator.farm.fleet;
    const struct campaign *c = t->video->campaign;
    uint32_t missing = 0;

    for (uint32_t k = 0; k < t->input_count; k++)
        missing += !t->inputs[k].known;
    if (missing != t->inputs_missing)
        world_break(w, "task %" PRIu64 ": %" PRIu32 " inputs are missing, it counts %" PRIu32, t->id.v, missing,
                    t->inputs_missing);
    if (t->queue_place && (t->queue_place > c->queue_count || c->queue[t->queue_place - 1] != t))
        world_break(w, "task %" PRIu64 ": it is not where it says in its queue", t->id.v);
    if (t->queue_place && t->state != TASK_READY)
        world_break(w, "task %" PRIu64 ": queued while %s", t->id.v, task_state_name(t->state));
    if (work_ended(t->video->state)) {
        if (!task_ended(t->state))
            world_break(w, "task %" PRIu64 ": %s in a video that has ended", t->id.v, task_state_name(t->state));
        return;
    }
    if (t->state == TASK_WAITING && !missing)
        world_break(w, "task %" PRIu64 ": it waits, and nothing is missing", t->id.v);
    if (t->state == TASK_READY && !t->queue_place && !twin_speaks(l, t))
        world_break(w, "task %" PRIu64 ": ready, not queued, and nobody else makes it", t->id.v);
    if (t->state == TASK_RUNNING) {
        const struct worker *at = fleet_worker(fleet, t->worker);

        if (!at || !worker_runs(at, t->id))
            world_break(w, "task %" PRIu64 ": running, and its worker's list does not have it", t->id.v);
    }
    if (t->state == TASK_DONE && !t->output_count)
        world_break(w, "task %" PRIu64 ": done without outputs", t->id.v);
}

void oracle_audit(struct world *w)
{
    const struct ledger *l = &w->coordinator.farm.ledger;
    const struct fleet *fleet = &w->coordinator.farm.fleet;

    w->oracle->audits++;
    for (size_t i = 0; i < l->campaign_count; i++) {
        const struct campaign *c = l->campaigns[i];
        uint32_t running = 0;

        for (uint32_t k = 0; k < c->video_count; k++) {
            const struct video *v = &c->videos[k];
            uint32_t open = 0;

            for (uint32_t n = 0; n < v->task_count; n++) {
                audit_task(w, &v->tasks[n]);
                open += v->tasks[n].state != TASK_DONE;
                running += v->tasks[n].state == TASK_RUNNING;
            }
            if (open != v->tasks_open)
                world_break(w, "video %" PRIu64 ": %" PRIu32 " tasks are open, it counts %" PRIu32, v->id.v, open,
                            v->tasks_open);
        }
        if (running != c->running)
            world_break(w, "campaign %" PRIu64 ": %" PRIu32 " tasks run, it counts %" PRIu32, c->id.v, running,
                        c->running);
    }
    for (size_t i = 0; i < fleet->count; i++)
        for (uint32_t k = 0; k < fleet->workers[i]->running_count; k++) {
            const struct task *t = ledger_task(l, fleet->workers[i]->running[k]);

            if (!t || t->state != TASK_RUNNING || t->worker.v != fleet->workers[i]->id.v)
                world_break(w, "worker %" PRIu64 ": task %" PRIu64 " is in its list and is not its own",
                            fleet->workers[i]->id.v, fleet->workers[i]->running[k].v);
        }
}

/* ---- how it ended ---- */

/* A video may fail only for what really happened to one of its tasks. */
static void check_failed(struct world *w, const struct video *v, const struct expected_video *e)
{
    const struct oracle *o = w->oracle;
    uint64_t id = 0;

    if (e->poisoned)
        return;
    if (e->rejected && !strncmp(v->reason, "shot ", 5)) {
        w->oracle->rejected++;
        return;
    }
    w->oracle->videos_failed++;
    const bool known = sscanf(v->reason, "task %" SCNu64, &id) == 1 && id < o->leased_room;
    const uint32_t able = w->set.workers < 4 ? 1 : 3; /* others may have been away */
    /* For want of memory: with any other reason it must have been tried on several workers, or lost several times. */
    const bool small = known && strstr(v->reason, "enough memory") && o->leased[id].too_small_bytes[PROFILE_LEAN];

    if (!known || (!small && o->leased[id].attempt < able))
        world_break(w, "video %" PRIu64 " failed, and nothing explains it: %s", v->id.v, v->reason);
}

static void check_video(struct world *w, const struct expected *e, const struct video *v)
{
    const struct expected_video *want = &e->videos[v->number - 1];
    struct oracle *o = w->oracle;

    o->videos++;
    if (!work_ended(v->state)) {
        world_break(w, "video %" PRIu64 " of a campaign that ended is %s", v->id.v, work_state_name(v->state));
    } else if (v->state == WORK_FAILED) {
        check_failed(w, v, want);
    } else if (v->state == WORK_CANCELLED) {
        if (!e->cancelled)
            world_break(w, "video %" PRIu64 " was cancelled, and nobody asked for it", v->id.v);
    } else if (want->poisoned) {
        world_break(w, "video %" PRIu64 " is done, and one of its tasks cannot be", v->id.v);
    } else if (want->rejected) {
        world_break(w, "video %" PRIu64 " is done, and no take of one of its shots passes", v->id.v);
    } else if (!digest_equal(&v->manifest.digest, &want->manifest)) {
        world_break(w, "video %" PRIu64 ": its manifest differs from the one made without faults", v->id.v);
    }
    for (uint32_t i = 0; i < v->task_count; i++) {
        const struct task *t = &v->tasks[i];

        o->tasks++;
        o->takes += t->take && t->kind == TASK_DECODE;
        o->cached += t->state == TASK_DONE && t->cached;
        o->failed += t->state == TASK_FAILED;
        o->cancelled_tasks += t->state == TASK_CANCELLED;
        if (!task_ended(t->state))
            world_break(w, "task %" PRIu64 " was lost: %s", t->id.v, task_state_name(t->state));
        else if (v->state == WORK_DONE && t->state != TASK_DONE)
            world_break(w, "task %" PRIu64 " is %s in a video that is done", t->id.v, task_state_name(t->state));
    }
}

void oracle_end(struct world *w)
{
    struct oracle *o = w->oracle;
    const struct ledger *l = &w->coordinator.farm.ledger;

    if (!w->coordinator.up) {
        world_break(w, "the coordinator is not back");
        return;
    }
    oracle_audit(w);
    recall_check(w, true);
    if (workers_reports(w))
        world_break(w, "%" PRIu64 " results are still in outboxes", workers_reports(w));
    for (size_t i = 0; i < o->expected_count; i++) {
        const struct expected *e = &o->expected[i];
        struct error err;
        const struct campaign *c = shelf_campaign(&w->coordinator.farm, (struct campaign_id){ e->id }, &err);

        if (!c || !work_ended(c->state)) {
            world_break(w, "campaign %" PRIu64 " ended for its client and is %s", e->id,
                        c ? work_state_name(c->state) : "unknown");
            return;
        }
        for (uint32_t k = 0; k < c->video_count; k++)
            check_video(w, e, &c->videos[k]);
    }
    if (l->campaign_count != o->expected_count)
        world_break(w, "%zu campaigns were submitted, the farm has %zu", o->expected_count, l->campaign_count);
    if (w->coordinator.most_out > 65536)
        world_break(w, "%zu messages were held at once", w->coordinator.most_out);
}

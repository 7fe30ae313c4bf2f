#include "coordinator/farm/leases.h"

#include "common/base/log.h"
#include "coordinator/core/attempts.h"
#include "coordinator/core/lifecycle.h"
#include "coordinator/core/patience.h"
#include "coordinator/core/schedule.h"
#include "coordinator/farm/worker_tell.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Gives back everything that a worker runs, or ran when it was last heard of. */
void leases_lose(struct farm *f, struct worker *w)
{
    while (w->running_count) {
        struct task *t = ledger_task(&f->ledger, w->running[0]);

        worker_stop(w, w->running[0]);
        if (!t || t->state != TASK_RUNNING || t->worker.v != w->id.v)
            continue;
        log_warn("task.lost", "task=%" PRIu64 " attempt=%" PRIu32 " worker=%" PRIu64, t->id.v, t->attempt.v, w->id.v);
        task_lost(&f->ledger, t, f->wall_ms);
    }
}

uint32_t leases_drain(struct farm *f, const char *name)
{
    uint32_t count = 0;

    for (size_t i = 0; i < f->fleet.count; i++) {
        struct worker *w = f->fleet.workers[i];

        if (!w->alive || strcmp(w->name, name))
            continue;
        log_info("worker.drain", "worker=%" PRIu64 " name=\"%s\"", w->id.v, w->name);
        w->draining = true;
        w->credit = 0;
        tell_drain(f, w);
        count++;
    }
    return count;
}

uint32_t leases_revoke(struct farm *f, const struct curve_key *key, const char *why)
{
    uint32_t leases = 0;

    for (size_t i = 0; i < f->fleet.count; i++) {
        struct worker *w = f->fleet.workers[i];

        if (memcmp(w->key.bytes, key->bytes, CURVE_BYTES))
            continue;
        leases += w->running_count;
        leases_lose(f, w);
        if (w->alive) {
            log_warn("worker.given_up", "worker=%" PRIu64 " name=\"%s\" reason=\"%s\"", w->id.v, w->name, why);
            tell_gone(f, w, why);
            worker_gone(w);
        }
    }
    return leases;
}

/* Ends the leases of a worker that are over. When the next one will be: INT64_MAX for none. */
static int64_t end_leases(struct farm *f, struct worker *w, int64_t now_ms)
{
    int64_t next_ms = INT64_MAX;

    for (uint32_t k = w->running_count; k-- > 0;) {
        struct task *t = ledger_task(&f->ledger, w->running[k]);

        if (t && task_lease_over(t, now_ms)) {
            log_warn("task.expired", "task=%" PRIu64 " attempt=%" PRIu32 " worker=%" PRIu64, t->id.v, t->attempt.v,
                     w->id.v);
            worker_stop(w, t->id);
            if (w->alive)
                tell_cancel(f, w, t->id.v, t->attempt.v);
            task_lost(&f->ledger, t, f->wall_ms);
        } else if (t && t->state == TASK_RUNNING && t->lease_until_ms < next_ms) {
            next_ms = t->lease_until_ms;
        }
    }
    return next_ms;
}

/* Who has fallen silent, and which leases are over. What begins later ends later than the time at which this is done
 * again, so that no turn between has to look at all workers. */
static void look_over(struct farm *f, int64_t now_ms)
{
    int64_t lease_ms = f->fleet.lease_ms, silence_ms = FLEET_MISSED_HEARTBEATS * f->fleet.heartbeat_ms;
    int64_t next_ms = now_ms + (lease_ms < silence_ms ? lease_ms : silence_ms);

    for (size_t i = 0; i < f->fleet.count; i++) {
        struct worker *w = f->fleet.workers[i];

        if (now_ms >= worker_silent_at_ms(&f->fleet, w)) {
            log_warn("worker.lost", "worker=%" PRIu64 " name=\"%s\" silent_ms=%" PRId64, w->id.v, w->name,
                     now_ms - w->heard_ms);
            leases_lose(f, w);
            worker_gone(w);
        }
        int64_t lease_until_ms = end_leases(f, w, now_ms), silent_at_ms = worker_silent_at_ms(&f->fleet, w);

        next_ms = lease_until_ms < next_ms ? lease_until_ms : next_ms;
        next_ms = silent_at_ms < next_ms ? silent_at_ms : next_ms;
    }
    f->look_over_at_ms = next_ms;
}

void leases_tick(struct farm *f, int64_t now_ms)
{
    struct worker *w;

    /* Nobody is silent as long as messages wait to be read. */
    if (!f->again && now_ms >= f->look_over_at_ms)
        look_over(f, now_ms);
    for (size_t i = 0; i < f->ledger.stopped_count; i++) {
        const struct stopped_attempt *s = &f->ledger.stopped[i];

        w = fleet_worker(&f->fleet, s->worker);
        if (!w)
            continue;
        worker_stop(w, s->task);
        if (w->alive)
            tell_cancel(f, w, s->task.v, s->attempt.v);
    }
    f->ledger.stopped_count = 0;
}

/* Whether all bytes that the task needs are here; if not, their maker runs again first. */
static bool inputs_present(struct farm *f, struct task *t)
{
    if (t->checkpoint_step && !store_dir_has(f->blobs, &t->checkpoint.digest)) {
        log_warn("task.checkpoint_gone", "task=%" PRIu64 " step=%" PRIu32, t->id.v, t->checkpoint_step);
        task_forget_checkpoint(&f->ledger, t);
    }
    for (uint32_t i = 0; i < t->input_count; i++)
        if (!store_dir_has(f->blobs, &t->inputs[i].blob.digest)) {
            log_warn("task.input_gone", "task=%" PRIu64 " input=%s", t->id.v, input_slot_name(t->inputs[i].slot));
            task_input_gone(&f->ledger, t, i, f->wall_ms);
            return false;
        }
    return true;
}

const struct task *leases_unheard(const struct farm *f, const struct worker *w)
{
    for (uint32_t i = 0; i < w->running_count; i++) {
        const struct task *t = ledger_task(&f->ledger, w->running[i]);

        if (t && t->state == TASK_RUNNING && t->worker.v == w->id.v && !t->seen)
            return t;
    }
    return NULL;
}

/* When all that came in this turn was heard: a lease that it ended is not given again. */
static void give_again(struct farm *f, struct worker *w, int64_t now_ms)
{
    const struct task *t = w->alive ? leases_unheard(f, w) : NULL;

    w->lease_again = false;
    if (t && now_ms - t->dispatched_ms >= f->fleet.heartbeat_ms)
        tell_lease(f, w, t);
}

void leases_dispatch(struct farm *f, int64_t now_ms)
{
    size_t credit = 0;

    for (size_t i = 0; i < f->fleet.count; i++) {
        struct worker *w = f->fleet.workers[i];

        if (w->lease_again)
            give_again(f, w, now_ms);
        credit += w->alive ? w->credit : 0;
    }
    if (!credit)
        return;
    size_t room = 2 * credit + 16;
    struct task **tasks = xcalloc(room, sizeof *tasks);
    struct assignment *assignments = xcalloc(room, sizeof *assignments);
    size_t count = schedule_candidates(f->ledger.campaigns, f->ledger.campaign_count, tasks, room);
    size_t made = count ? schedule_assign(&f->fleet, &f->ledger, tasks, count, now_ms, assignments) : 0;

    for (size_t i = 0; i < count; i++) /* all go back first: starting one takes it out of the queue again */
        queue_push(tasks[i]);
    for (size_t i = 0; i < made; i++) {
        struct task *t = assignments[i].task;
        struct worker *w = assignments[i].worker;

        if (t->state != TASK_READY) /* its video failed just now */
            continue;
        if (!w) {
            task_unplaceable(&f->ledger, t, f->wall_ms);
            continue;
        }
        if (!inputs_present(f, t)) {
            f->again = true; /* its maker may start at once */
            continue;
        }
        if (t->profile == PROFILE_USUAL && worker_is_short(w, t, now_ms)) /* not found out by every task anew */
            task_turn_lean(t);
        task_lease(&f->ledger, t, w->id, now_ms, f->fleet.lease_ms);
        patience_begin(t, w);
        worker_start(w, t->id);
        log_info("task.lease",
                 "campaign=%" PRIu64 " task=%" PRIu64 " attempt=%" PRIu32 " kind=%s role=%s shot=%" PRIu32
                 " worker=%" PRIu64 " from_step=%" PRIu32 " profile=%s",
                 t->video->campaign->id.v, t->id.v, t->attempt.v, task_kind_name(t->kind), task_role_name(t->role),
                 t->shot, w->id.v, t->resumed_step, profile_name(t->profile));
        tell_lease(f, w, t);
    }
    free(tasks);
    free(assignments);
}

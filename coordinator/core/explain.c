#include "coordinator/core/explain.h"

#include "coordinator/core/attempts.h"
#include "coordinator/core/schedule.h"
#include "coordinator/core/standing.h"

#include <inttypes.h>
#include <stdio.h>

/* The first task before it that is not done. */
static struct task_id open_input(const struct task *t)
{
    for (uint32_t i = 0; i < t->input_count; i++)
        if (!t->inputs[i].known)
            return t->video->tasks[t->inputs[i].from].id;
    return (struct task_id){ 0 };
}

/* Who does the work that a parked task waits for. */
static struct task_id busy_twin(const struct ledger *l, const struct task *t)
{
    for (struct task *twin = ledger_twin(l, &t->key, NULL); twin; twin = ledger_twin(l, &t->key, twin))
        if (twin != t && (twin->state == TASK_RUNNING || twin->queue_place))
            return twin->id;
    return (struct task_id){ 0 };
}

static void count_workers(struct explanation *e, const struct fleet *f, const struct task *t, int64_t now_ms)
{
    for (size_t i = 0; i < f->count; i++) {
        const struct worker *w = f->workers[i];
        int64_t aside_ms = standing_aside_until_ms(t->video->campaign, w->id, now_ms);

        if (!w->alive)
            continue;
        if (task_failed_on(t, w->id)) {
            e->failed_on++;
        } else if (!schedule_suits(w, t)) {
            e->too_small++;
        } else if (aside_ms) {
            e->set_aside++;
            if (!e->until_ms || aside_ms < e->until_ms)
                e->until_ms = aside_ms;
        } else if (w->running_count) {
            e->busy++;
            e->worker = e->worker.v ? e->worker : w->id;
        } else if (!w->credit) {
            e->not_asking++;
        } else {
            e->idle++;
        }
    }
}

/* Tasks of another campaign that are given out before one that stands at place `ahead` of its own queue: campaigns take
 * turns, whoever runs least is next (schedule_candidates). */
static uint32_t others_ahead(const struct campaign *other, const struct campaign *own, uint32_t ahead, bool earlier)
{
    if (other->priority != own->priority)
        return other->priority > own->priority ? other->queue_count : 0;
    int64_t lead = (int64_t)own->running + ahead - other->running + earlier;
    return lead <= 0 ? 0 : lead < other->queue_count ? (uint32_t)lead : other->queue_count;
}

static void count_ahead(struct explanation *e, const struct ledger *l, const struct task *t)
{
    const struct campaign *own = t->video->campaign;
    bool earlier = true;

    e->ahead = queue_ahead(t);
    for (size_t i = 0; i < l->campaign_count; i++) {
        if (l->campaigns[i] == own)
            earlier = false;
        else
            e->ahead_of_others += others_ahead(l->campaigns[i], own, e->ahead, earlier);
    }
}

static enum task_reason why_ready(struct explanation *e, const struct fleet *f, const struct ledger *l,
                                  const struct task *t, int64_t now_ms)
{
    if (!t->queue_place) {
        e->other = busy_twin(l, t);
        if (e->other.v)
            return REASON_TWIN;
    }
    count_workers(e, f, t, now_ms);
    count_ahead(e, l, t);
    if (e->idle && e->busy)
        return REASON_FASTER_SOON;
    e->worker.v = 0;
    if (e->idle || e->busy) {
        e->until_ms = 0;
        return e->ahead_of_others ? REASON_FAIR_SHARE : REASON_ALL_BUSY;
    }
    if (e->not_asking) {
        e->until_ms = 0;
        return REASON_NOT_ASKING;
    }
    if (e->set_aside)
        return REASON_SET_ASIDE;
    return e->too_small ? REASON_TOO_SMALL : e->failed_on ? REASON_FAILED_ON_THEM : REASON_NO_WORKER;
}

struct explanation task_explain(const struct fleet *f, const struct ledger *l, const struct task *t, int64_t now_ms)
{
    struct explanation e = { .reason = REASON_NONE };

    switch (t->state) {
    case TASK_WAITING:
        e.reason = REASON_INPUTS;
        e.other = open_input(t);
        break;
    case TASK_READY:
        e.reason = why_ready(&e, f, l, t, now_ms);
        break;
    case TASK_RUNNING: {
        const struct worker *w = fleet_worker(f, t->worker);

        e.worker = t->worker;
        e.until_ms = t->lease_until_ms;
        e.reason = w && w->alive && now_ms - w->heard_ms <= f->heartbeat_ms ? REASON_RUNNING : REASON_UNHEARD;
        break;
    }
    case TASK_DONE:
        e.reason = t->cached ? REASON_CACHED : REASON_DONE;
        break;
    case TASK_FAILED:
        e.reason = t->reason;
        break;
    case TASK_CANCELLED:
        e.reason = t->video->state == WORK_FAILED ? REASON_VIDEO_FAILED : REASON_CANCELLED;
        break;
    }
    return e;
}

void explanation_next(const struct explanation *e, const struct task *t, int64_t now_ms, char *to, size_t room)
{
    int64_t left_s = e->until_ms > now_ms ? (e->until_ms - now_ms + 999) / 1000 : 0;

    switch (e->reason) {
    case REASON_INPUTS:
        snprintf(to, room, "It is queued when its %" PRIu32 " open input%s, first of task %" PRIu64 ", %s there.",
                 t->inputs_missing, t->inputs_missing == 1 ? "" : "s", e->other.v,
                 t->inputs_missing == 1 ? "is" : "are");
        break;
    case REASON_TWIN:
        snprintf(to, room, "It takes the result of task %" PRIu64 ", or does the work itself should that one end.",
                 e->other.v);
        break;
    case REASON_NO_WORKER:
        snprintf(to, room, "It starts when a worker connects.");
        break;
    case REASON_ALL_BUSY:
    case REASON_FAIR_SHARE:
        snprintf(to, room, "It starts on the next free worker of %" PRIu32 " after %" PRIu32 " task%s that %s first.",
                 e->busy + e->idle, e->ahead + e->ahead_of_others, e->ahead + e->ahead_of_others == 1 ? "" : "s",
                 e->ahead + e->ahead_of_others == 1 ? "goes" : "go");
        break;
    case REASON_NOT_ASKING:
        snprintf(to, room, "It starts when one of %" PRIu32 " idle workers has the pack and asks for work.",
                 e->not_asking);
        break;
    case REASON_FASTER_SOON:
        snprintf(to, room, "It starts on a faster worker that is nearly free, or on an idle one if that is late.");
        break;
    case REASON_SET_ASIDE:
        snprintf(to, room,
                 "It starts in %" PRId64 " s, when the first of %" PRIu32 " workers is forgiven, or on a new one.",
                 left_s, e->set_aside);
        break;
    case REASON_TOO_SMALL:
        snprintf(to, room,
                 "It starts on a worker with more than %" PRId64
                 " MiB of device memory, where even the lean profile ran out of it; "
                 "else it fails soon.",
                 t->too_small_bytes >> 20);
        break;
    case REASON_FAILED_ON_THEM:
        snprintf(to, room, "It starts on a worker where it did not fail yet, else it fails soon.");
        break;
    case REASON_RUNNING:
        snprintf(to, room, "Its lease ends in %" PRId64 " s unless worker %" PRIu64 " renews it.", left_s, e->worker.v);
        break;
    case REASON_UNHEARD:
        snprintf(to, room, "If worker %" PRIu64 " stays silent it is tried again elsewhere, in at most %" PRId64 " s.",
                 e->worker.v, left_s);
        break;
    case REASON_DONE:
    case REASON_CACHED:
        snprintf(to, room, "Nothing: its result is stored.");
        break;
    case REASON_NONE:
    case REASON_LOST:
    case REASON_BAD_INPUT:
    case REASON_FAILED_EVERYWHERE:
    case REASON_NO_MEMORY:
    case REASON_TIMED_OUT:
    case REASON_INPUT_GONE:
        snprintf(to, room, "Nothing: its video failed. What is done stays cached for the next submit.");
        break;
    case REASON_CANCELLED:
    case REASON_VIDEO_FAILED:
        snprintf(to, room, "Nothing: its video has ended.");
        break;
    }
}

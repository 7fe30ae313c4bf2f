#include "coordinator/core/schedule.h"

#include "coordinator/core/standing.h"

#include <math.h>
#include <stdlib.h>

#define FETCH_BYTES_PER_MS 50000.0 /* a guess for moving blobs; only its order of magnitude matters */
/* Measures are rough: an idle worker is passed over only for one that would be done in less than 1/WAIT_GAIN of its
 * time. */
#define WAIT_GAIN 1.5

size_t schedule_candidates(struct campaign **campaigns, size_t campaign_count, struct task **tasks, size_t room)
{
    struct entrant {
        struct campaign *campaign;
        uint32_t taken;
    } *entrants = xcalloc(campaign_count ? campaign_count : 1, sizeof *entrants);
    size_t entrant_count = 0, count = 0;

    for (size_t i = 0; i < campaign_count; i++)
        if (campaigns[i]->queue_count)
            entrants[entrant_count++].campaign = campaigns[i];
    while (count < room) {
        struct entrant *best = NULL;

        for (struct entrant *e = entrants; e < entrants + entrant_count; e++) {
            const struct campaign *c = e->campaign;

            if (!c->queue_count)
                continue;
            if (!best || c->priority > best->campaign->priority ||
                (c->priority == best->campaign->priority &&
                 c->running + e->taken < best->campaign->running + best->taken))
                best = e;
        }
        if (!best)
            break;
        best->taken++;
        tasks[count++] = queue_pop(best->campaign);
    }
    free(entrants);
    return count;
}

bool schedule_suits(const struct worker *w, const struct task *t)
{
    return (!t->too_small_bytes || w->device_bytes > t->too_small_bytes) && !task_failed_on(t, w->id);
}

bool schedule_may_run(const struct worker *w, const struct task *t, int64_t now_ms)
{
    return w->alive && schedule_suits(w, t) && !standing_aside_until_ms(t->video->campaign, w->id, now_ms);
}

/* Whether anybody could run it, now or when set-aside and absent ones are back. How much memory a worker has that was
 * not heard since the restart will be seen. */
static bool has_hope(const struct fleet *f, const struct task *t, int64_t now_ms)
{
    for (size_t i = 0; i < f->count; i++) {
        const struct worker *w = f->workers[i];

        if ((w->alive || w->heard_ms ? schedule_suits(w, t) : !task_failed_on(t, w->id)) &&
            worker_counted_on(f, w, now_ms))
            return true;
    }
    return false;
}

static double task_ms(const struct worker *w, const struct task *t, const struct fleet_means *means)
{
    return t->work * (w ? worker_ms_per_unit(w, t->kind, means) : means->ms[t->kind]);
}

static double fetch_ms(const struct worker *w, const struct task *t)
{
    double bytes = 0;

    for (uint32_t i = 0; i < t->input_count; i++)
        if (t->inputs[i].known && !worker_holds(w, &t->inputs[i].blob.digest))
            bytes += (double)t->inputs[i].blob.bytes;
    return bytes / FETCH_BYTES_PER_MS;
}

static double remaining_ms(const struct worker *w, const struct task *t, int64_t now_ms,
                           const struct fleet_means *means)
{
    double elapsed = (double)(now_ms - t->dispatched_ms);

    if (t->step && t->step_count)
        return elapsed * (double)(t->step_count - t->step) / (double)t->step;
    double left = task_ms(w, t, means) - elapsed;
    return left > 0 ? left
                    : elapsed / 2; /* late, or never measured: the longer it took, the longer it may still take */
}

/* When what the worker runs now should be finished, from its progress or measured speed. */
static double free_at_ms(const struct ledger *l, const struct worker *w, int64_t now_ms,
                         const struct fleet_means *means)
{
    double left = 0;

    for (uint32_t i = 0; i < w->running_count; i++) {
        const struct task *t = ledger_task(l, w->running[i]);

        if (t && t->state == TASK_RUNNING)
            left += remaining_ms(w, t, now_ms, means);
    }
    return (double)(now_ms + (int64_t)left);
}

/* A living worker while tasks are given out. */
struct desk {
    struct worker *worker;
    double free_at;
    uint32_t credit;
    bool idle; /* runs nothing */
    double ms_per_unit[TASK_KINDS];
};

struct office {
    double now;
    struct desk *desks; /* first those who ask for work, last those who do not: each task looks at one end or both */
    size_t asking;      /* of them at the first end */
    size_t busy_from, room; /* the others */
};

static struct office office_open(const struct fleet *f, const struct ledger *l, int64_t now_ms)
{
    const struct fleet_means means = fleet_means(f);
    struct office o = { .now = (double)now_ms,
                        .desks = xcalloc(f->count ? f->count : 1, sizeof *o.desks),
                        .busy_from = f->count,
                        .room = f->count };

    for (size_t i = 0; i < f->count; i++) {
        struct worker *w = f->workers[i];

        if (!w->alive)
            continue;
        struct desk *d = &o.desks[w->credit ? o.asking++ : --o.busy_from];
        *d = (struct desk){ .worker = w, .free_at = free_at_ms(l, w, now_ms, &means), .credit = w->credit };
        d->idle = !w->running_count;
        for (int k = 0; k < TASK_KINDS; k++)
            d->ms_per_unit[k] = worker_ms_per_unit(w, (enum task_kind)k, &means);
    }
    return o;
}

/* One more attempt for who asked for it: the last one that it asked for moves it to the other end. */
static void take_credit(struct office *o, struct desk *d)
{
    if (--d->credit)
        return;
    const struct desk busy = *d;
    *d = o->desks[--o->asking];
    o->desks[--o->busy_from] = busy;
}

/* Of the workers that ask for work (or of those that do not) who but `avoid` would finish the task first, and when.
 * Nobody who is not faster than `limit` even with nothing to fetch is looked at closely: most busy workers are not. */
static struct desk *first_to_finish(const struct office *o, const struct task *t, bool asking, struct worker_id avoid,
                                    double limit, double *finish)
{
    struct desk *best = NULL, *end = o->desks + (asking ? o->asking : o->room);

    for (struct desk *d = o->desks + (asking ? 0 : o->busy_from); d < end; d++) {
        double at = d->free_at + t->work * d->ms_per_unit[t->kind];

        if (at >= limit || d->worker->id.v == avoid.v)
            continue;
        if (!asking && d->idle && d->free_at <= o->now)
            continue; /* idle without asking for work: it fetches the pack, or leaves */
        if (!schedule_may_run(d->worker, t, (int64_t)o->now))
            continue;
        at += fetch_ms(d->worker, t);
        if (at < limit) {
            best = d;
            limit = *finish = at;
        }
    }
    return best;
}

size_t schedule_assign(const struct fleet *f, const struct ledger *l, struct task *const *tasks, size_t count,
                       int64_t now_ms, struct assignment *assignments)
{
    struct office o = office_open(f, l, now_ms);
    size_t made = 0;

    for (size_t k = 0; k < count; k++) {
        struct task *t = tasks[k];
        double finish = 0;

        if (t->failed_count && !has_hope(f, t, now_ms)) {
            if (o.asking || o.busy_from < o.room)
                assignments[made++] = (struct assignment){ .task = t };
            continue;
        }
        if (!o.asking)
            continue;
        struct desk *d = first_to_finish(&o, t, true, t->avoid, HUGE_VAL, &finish);
        /* A busy one is worth waiting for when even then it is done in much less time. */
        struct desk *busy =
            first_to_finish(&o, t, false, t->avoid, d ? o.now + (finish - o.now) / WAIT_GAIN : HUGE_VAL, &finish);
        if (busy)
            d = busy;
        else if (!d && t->avoid.v) /* better than nobody */
            d = first_to_finish(&o, t, true, (struct worker_id){ 0 }, HUGE_VAL, &finish);
        if (!d)
            continue;
        d->free_at = finish;
        if (busy)
            continue;
        assignments[made++] = (struct assignment){ .task = t, .worker = d->worker };
        take_credit(&o, d);
    }
    free(o.desks);
    return made;
}

int64_t schedule_eta_ms(const struct fleet *f, const struct campaign *c, int64_t now_ms)
{
    const struct fleet_means means = fleet_means(f);
    double work_ms = 0, longest_ms = 0;
    uint32_t alive = fleet_alive(f);

    if (!alive)
        return -1;
    for (uint32_t i = 0; i < c->video_count; i++) {
        const struct video *v = &c->videos[i];

        if (work_ended(v->state))
            continue;
        if (!v->task_count)
            return -1; /* not planned yet */
        for (uint32_t k = 0; k < v->task_count; k++) {
            const struct task *t = &v->tasks[k];
            double ms = task_ms(NULL, t, &means);

            if (task_ended(t->state))
                continue;
            if (ms <= 0)
                return -1;
            if (t->state == TASK_RUNNING) {
                const struct worker *w = fleet_worker(f, t->worker);
                ms = remaining_ms(w, t, now_ms, &means);
            }
            work_ms += ms;
            if (ms > longest_ms)
                longest_ms = ms;
        }
    }
    work_ms /= alive;
    return (int64_t)(work_ms > longest_ms ? work_ms : longest_ms);
}

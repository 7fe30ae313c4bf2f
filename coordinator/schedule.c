#include "coordinator/schedule.h"

#include <stdlib.h>

#define FETCH_BYTES_PER_MS 50000.0 /* a guess for moving blobs; only its order of magnitude matters */
/* Measures are rough: an idle worker is passed over only for one that would be done in less than 1/WAIT_GAIN of its
 * time. */
#define WAIT_GAIN 1.5

size_t schedule_candidates(struct campaign **campaigns, size_t campaign_count, struct task **tasks, size_t room)
{
    size_t count = 0;
    uint32_t *taken = xcalloc(campaign_count ? campaign_count : 1, sizeof *taken);

    while (count < room) {
        size_t best = campaign_count;

        for (size_t i = 0; i < campaign_count; i++) {
            const struct campaign *c = campaigns[i];

            if (!c->queue_count)
                continue;
            if (best == campaign_count || c->priority > campaigns[best]->priority ||
                (c->priority == campaigns[best]->priority &&
                 c->running + taken[i] < campaigns[best]->running + taken[best]))
                best = i;
        }
        if (best == campaign_count)
            break;
        taken[best]++;
        tasks[count++] = queue_pop(campaigns[best]);
    }
    free(taken);
    return count;
}

bool schedule_may_run(const struct worker *w, const struct task *t)
{
    return w->alive && w->device_bytes >= t->too_small_bytes && !task_failed_on(t, w->id);
}

static double task_ms(const struct fleet *f, const struct worker *w, const struct task *t)
{
    return t->work * fleet_ms_per_unit(f, w, t->kind);
}

static double fetch_ms(const struct worker *w, const struct task *t)
{
    double bytes = 0;

    for (uint32_t i = 0; i < t->input_count; i++)
        if (t->inputs[i].known && !worker_holds(w, &t->inputs[i].blob.digest))
            bytes += (double)t->inputs[i].blob.bytes;
    return bytes / FETCH_BYTES_PER_MS;
}

static double remaining_ms(const struct fleet *f, const struct worker *w, const struct task *t, int64_t now_ms)
{
    double elapsed = (double)(now_ms - t->dispatched_ms);

    if (t->step && t->step_count)
        return elapsed * (double)(t->step_count - t->step) / (double)t->step;
    double left = task_ms(f, w, t) - elapsed;
    return left > 0 ? left
                    : elapsed / 2; /* late, or never measured: the longer it took, the longer it may still take */
}

int64_t schedule_free_at_ms(const struct fleet *f, const struct ledger *l, const struct worker *w, int64_t now_ms)
{
    double left = 0;

    for (uint32_t i = 0; i < w->running_count; i++) {
        const struct task *t = ledger_task(l, w->running[i]);

        if (t && t->state == TASK_RUNNING)
            left += remaining_ms(f, w, t, now_ms);
    }
    return now_ms + (int64_t)left;
}

/* A worker that could do a task, and when it would be done. */
struct choice {
    bool found;
    size_t worker;
    double ms, finish;
};

size_t schedule_assign(const struct fleet *f, const struct ledger *l, struct task *const *tasks, size_t count,
                       int64_t now_ms, struct assignment *assignments)
{
    size_t made = 0;
    double *free_at = xcalloc(f->count ? f->count : 1, sizeof *free_at);
    uint32_t *credit = xcalloc(f->count ? f->count : 1, sizeof *credit);

    for (size_t i = 0; i < f->count; i++)
        if (f->workers[i]->alive) {
            free_at[i] = (double)schedule_free_at_ms(f, l, f->workers[i], now_ms);
            credit[i] = f->workers[i]->credit;
        }
    for (size_t k = 0; k < count; k++) {
        struct task *t = tasks[k];
        struct choice any = { 0 }, idle = { 0 };
        bool possible = false;

        for (size_t i = 0; i < f->count; i++) {
            const struct worker *w = f->workers[i];

            if (!schedule_may_run(w, t))
                continue;
            possible = true;
            if (!credit[i] && !w->running_count && free_at[i] <= (double)now_ms)
                continue; /* idle without asking for work: it fetches the pack, or leaves */
            struct choice c = { .found = true, .worker = i, .ms = task_ms(f, w, t) + fetch_ms(w, t) };
            c.finish = free_at[i] + c.ms;
            if (!any.found || c.finish < any.finish)
                any = c;
            if (credit[i] && (!idle.found || c.finish < idle.finish))
                idle = c;
        }
        if (!possible && t->failed_count && fleet_alive(f)) {
            assignments[made++] = (struct assignment){ .task = t };
            continue;
        }
        if (!any.found)
            continue;
        double now = (double)now_ms;
        if (idle.found && WAIT_GAIN * (any.finish - now) >= idle.finish - now)
            any = idle;
        free_at[any.worker] += any.ms;
        if (!credit[any.worker])
            continue; /* worth waiting for */
        credit[any.worker]--;
        assignments[made++] = (struct assignment){ .task = t, .worker = f->workers[any.worker] };
    }
    free(free_at);
    free(credit);
    return made;
}

int64_t schedule_eta_ms(const struct fleet *f, const struct campaign *c, int64_t now_ms)
{
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
            double ms = task_ms(f, NULL, t);

            if (task_ended(t->state))
                continue;
            if (ms <= 0)
                return -1;
            if (t->state == TASK_RUNNING) {
                const struct worker *w = fleet_worker(f, t->worker);
                ms = remaining_ms(f, w, t, now_ms);
            }
            work_ms += ms;
            if (ms > longest_ms)
                longest_ms = ms;
        }
    }
    work_ms /= alive;
    return (int64_t)(work_ms > longest_ms ? work_ms : longest_ms);
}

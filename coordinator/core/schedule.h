/* schedule - which worker starts which task now. Pure: queues, workers and the time in, assignments out.
 *
 * Tasks are taken in fair order (priority, then the campaign that runs least, then its own order) and each is given to
 * the worker that is expected to finish it first: measured speed, bytes to fetch, and when it will be free. When that
 * is a worker still busy, the task waits for it: an idle slow machine must not hold up what a fast one would finish
 * earlier. */
#ifndef SHOTLINE_COORDINATOR_CORE_SCHEDULE_H
#define SHOTLINE_COORDINATOR_CORE_SCHEDULE_H

#include "coordinator/core/attempts.h"
#include "coordinator/core/fleet.h"

struct assignment {
    struct task *task;
    struct worker *worker; /* NULL: the task has failed on every worker that is counted on */
};

/* Takes up to `room` tasks out of the queues, in fair order. What is not assigned goes back with queue_push. */
size_t schedule_candidates(struct campaign **campaigns, size_t campaign_count, struct task **tasks, size_t room);

/* assignments: room for `count`. Tasks that should wait get none. */
size_t schedule_assign(const struct fleet *f, const struct ledger *l, struct task *const *tasks, size_t count,
                       int64_t now_ms, struct assignment *assignments);

/* Expected time until the campaign is finished; -1 when nothing was measured yet that could tell. */
int64_t schedule_eta_ms(const struct fleet *f, const struct campaign *c, int64_t now_ms);

/* Whether this worker may run the task now: it is alive, it is not set aside, and schedule_suits. */
bool schedule_may_run(const struct worker *w, const struct task *t, int64_t now_ms);
/* The task did not fail on it, and it has more memory than what was not enough. */
bool schedule_suits(const struct worker *w, const struct task *t);

#endif

/* explain - why a task is where it is, and what will happen next: for the person on call. Pure. */
#ifndef SHOTLINE_COORDINATOR_CORE_EXPLAIN_H
#define SHOTLINE_COORDINATOR_CORE_EXPLAIN_H

#include "coordinator/core/fleet.h"
#include "coordinator/core/ledger.h"

struct explanation {
    enum task_reason reason;
    struct task_id other;    /* INPUTS: the first input's maker that is not done; TWIN: who does the work */
    struct worker_id worker; /* RUNNING, UNHEARD: who runs it; FASTER_SOON: for whom it waits */
    int64_t until_ms;        /* RUNNING, UNHEARD: the lease's end; SET_ASIDE: when the first is forgiven; else 0 */

    /* Of a queued task: what goes before it. */
    uint32_t ahead;           /* tasks of its own campaign */
    uint32_t ahead_of_others; /* tasks of other campaigns: by priority, or because theirs run less at the moment */

    /* How the connected workers stand to it; each is counted once, by the first that holds. */
    uint32_t failed_on; /* it failed there */
    uint32_t too_small; /* no more memory than what was not enough */
    uint32_t set_aside;
    uint32_t busy;
    uint32_t not_asking; /* idle, but wants nothing yet */
    uint32_t idle;
};

struct explanation task_explain(const struct fleet *f, const struct ledger *l, const struct task *t, int64_t now_ms);

/* What happens next, as one sentence: "It starts when task 7 (anchor of shot 2) is done." */
void explanation_next(const struct explanation *e, const struct task *t, int64_t now_ms, char *to, size_t room);

#endif

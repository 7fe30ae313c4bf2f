/* attempts - the tries at a task: who has the right to one, what news of it is worth, and what its end means for the
 * task.
 *
 * Pure, as lifecycle.h, which changes the states. */
#ifndef SHOTLINE_COORDINATOR_CORE_ATTEMPTS_H
#define SHOTLINE_COORDINATOR_CORE_ATTEMPTS_H

#include "coordinator/core/ledger.h"

/* The next attempt is lean: it would run out of device memory otherwise. */
void task_turn_lean(struct task *t);
/* READY -> RUNNING with the next attempt number. */
void task_lease(struct ledger *l, struct task *t, struct worker_id worker, int64_t now_ms, int64_t lease_ms);
/* The worker named this attempt: the lease runs anew. False when it is not the current one. */
bool task_renew(struct task *t, struct worker_id worker, struct attempt a, int64_t now_ms, int64_t lease_ms);

/* The worker still runs an attempt that was given up, and nobody has begun anew: it may go on. */
bool task_readopt(struct ledger *l, struct task *t, struct worker_id worker, struct attempt a, int64_t now_ms,
                  int64_t lease_ms);

enum report {
    REPORT_CURRENT,    /* of the attempt that owns the task */
    REPORT_REPEATED,   /* this very attempt has committed already */
    REPORT_BY_KEY,     /* of an attempt from before, and nobody has begun anew: the same key, the same bytes */
    REPORT_SUPERSEDED, /* stale: drop it */
};
/* What a result has to show besides its numbers. */
enum claim {
    CLAIM_NONE,
    CLAIM_KEY,  /* the task's key */
    CLAIM_HEIR, /* the key, and it comes from the next process of the worker that was given the attempt (its outbox) */
};
/* What a result of (task, attempt) from this worker is worth. A worker that was thought lost may still commit while no
 * newer attempt runs. */
enum report task_judge(const struct task *t, struct worker_id worker, struct attempt a, enum claim claim);

/* The same for news of a failure: an attempt fails once, and only the current one. */
enum report task_judge_failure(const struct task *t, struct worker_id worker, struct attempt a);

/* The attempt's result is taken: the task is done. All blobs are present and all required outputs named. */
void task_done(struct ledger *l, struct task *t, struct worker_id worker, struct attempt a,
               const struct task_output *outputs, uint32_t count, int64_t busy_ms);

/* The worker of a running task is gone or its lease ran out: a free retry, at most TASK_MAX_LOSSES until one comes
 * further than all before. */
void task_lost(struct ledger *l, struct task *t, int64_t wall_ms);
bool task_lease_over(const struct task *t, int64_t now_ms);

/* The running attempt took too long (patience.h) and is given up: tried again, elsewhere first, at most
 * TASK_MAX_TIMEOUTS times. */
void task_timed_out(struct ledger *l, struct task *t, const char *reason, int64_t wall_ms);

/* The running attempt has saved its solver state after `step` steps. False when it is not the current one, or the step
 * is not between the last checkpoint and the task's end. The state before it is dropped; the last one when the task
 * ends. Who comes further than any attempt before has made progress, and losses count from zero: machines that are
 * taken away again and again finish a long task in the end. */
bool task_checkpoint(struct ledger *l, struct task *t, struct worker_id worker, struct attempt a, uint32_t step,
                     const struct blob_ref *state);

struct task_failure {
    struct worker_id worker;
    enum failure failure;
    const char *reason;
    int64_t device_bytes;  /* of that worker */
    uint32_t able_workers; /* that are counted on, this one included */
};
/* A task error is tried on min(3, able workers) distinct workers, bad input on min(2, able workers): one machine that
 * reads rubbish must not fail a shot. Out of device memory is no task error: the next attempt is lean, anywhere; the
 * one after a lean one that failed for memory, on a larger device. */
void task_failed(struct ledger *l, struct task *t, const struct task_failure *f, int64_t wall_ms);
bool task_failed_on(const struct task *t, struct worker_id worker);
/* Nobody that is counted on may take it, since it failed on all of them. */
void task_unplaceable(struct ledger *l, struct task *t, int64_t wall_ms);

#endif

/* lifecycle - the states of tasks, videos and campaigns, and the only door to them. What becomes of an attempt, and
 * with it of its task, is decided in attempts.h.
 *
 * Pure: callers pass the time, and save what the ledger lists as touched before anybody hears of it. */
#ifndef SHOTLINE_COORDINATOR_CORE_LIFECYCLE_H
#define SHOTLINE_COORDINATOR_CORE_LIFECYCLE_H

#include "coordinator/core/ledger.h"

/* ---- campaigns and videos ---- */

/* The video was compiled: its tasks are new. They get ids and keys, and those without missing inputs become ready, or
 * done from the cache. */
void video_start(struct ledger *l, struct video *v);
/* As video_start, after a restart: tasks have ids and states from the store. */
void video_resume(struct ledger *l, struct video *v, int64_t now_ms, int64_t lease_ms);
void video_fail(struct ledger *l, struct video *v, int64_t wall_ms, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* All tasks are done, and this is its manifest. */
void video_finish(struct ledger *l, struct video *v, const struct blob_ref *manifest, int64_t wall_ms);
/* Running with no open task, and each shot shows a take: it waits for its manifest. */
bool video_is_complete(const struct video *v);
void campaign_cancel(struct ledger *l, struct campaign *c, int64_t wall_ms);

/* ---- takes: see takes.h, which decides ---- */

/* The tasks from position `first` on are new in a video that was started: another take of a shot. */
void video_extend(struct ledger *l, struct video *v, uint32_t first);
/* The shot shows this take from now on: the stitch gets its mezzanine. */
void shot_settle(struct ledger *l, struct task *decode);

/* ---- tasks ---- */

void task_run(struct ledger *l, struct task *t);   /* READY -> RUNNING: an attempt has begun */
void task_again(struct ledger *l, struct task *t); /* the attempt came to nothing: READY */
/* Done with these results, which go to the tasks that wait for them. */
void task_accept(struct ledger *l, struct task *t, const struct task_output *outputs, uint32_t count);
/* Same key, same bytes: who waited for the same work has it, now that `t` is done. */
void task_answer_twins(struct ledger *l, const struct task *t);
/* It cannot be made, and its video fails with it. */
void task_fail(struct ledger *l, struct task *t, int64_t wall_ms, enum task_reason reason, const char *why);
/* The result of a task that is done cannot be used: it is made again. */
void task_redo(struct ledger *l, struct task *t);
/* An input's bytes are gone: its maker must run again first. */
void task_input_gone(struct ledger *l, struct task *t, uint32_t input, int64_t wall_ms);
void task_forget_checkpoint(struct ledger *l, struct task *t); /* its bytes are gone: from the beginning, then */

#endif

/* store - the coordinator's memory on disk, and the only user of SQLite: WAL, synchronous=FULL, one transaction per
 * turn of the loop.
 *
 * A failed write leaves memory ahead of the disk: the caller must end the process without answering, and start again
 * from the store. */
#ifndef SHOTLINE_COORDINATOR_STORE_STORE_H
#define SHOTLINE_COORDINATOR_STORE_STORE_H

#include "common/base/error.h"
#include "coordinator/core/access.h"
#include "coordinator/core/fleet.h"
#include "coordinator/core/gates.h"
#include "coordinator/core/ledger.h"

struct store;

/* Opens or creates PATH and brings it to this version's schema. A damaged file, one of another program or of a newer
 * version is refused. */
struct store *store_open(const char *path, struct error *err);
void store_close(struct store **s);

/* Everything that was touched in this turn, in one transaction, durable when it returns true. Cleans the ledger. No
 * touched record, no transaction. */
bool store_save(struct store *s, struct ledger *l, struct fleet *f, struct error *err);

/* What was written since the store was opened: how large a commit is, and how long it blocks. */
struct store_work {
    uint64_t commits, records;
    int64_t commit_us;
};
struct store_work store_work(const struct store *s);

/* Results, plans and keys are written at once into the turn's transaction, which store_save commits. */
bool store_put_result(struct store *s, const struct digest *key, const struct task_output *outputs, uint32_t count,
                      struct error *err);
uint32_t store_find_result(struct store *s, const struct digest *key, struct task_output outputs[TASK_MAX_OUTPUTS]);
bool store_put_evicted(struct store *s, const struct digest *blob,
                       struct error *err); /* it may not be there from now on */
bool store_put_plan(struct store *s, const struct digest *key, const char *plan, struct error *err);
char *store_find_plan(struct store *s, const struct digest *key); /* NULL: none; free it */

bool store_put_key(struct store *s, const struct access_entry *e, struct error *err); /* new or changed */
bool store_drop_key(struct store *s, const struct curve_key *key, struct error *err);

/* Its record is removed; its token keeps its number. */
bool store_forget_campaign(struct store *s, struct campaign_id id, struct error *err);
/* The campaign with this token that was forgotten; 0: none. */
bool store_find_forgotten(struct store *s, const uint8_t token[16], struct campaign_id *campaign, struct error *err);

/* ---- reading it all back at start, in order of id ---- */
struct stored_campaign {
    struct campaign_id id;
    uint8_t token[16];
    const void *request;
    size_t request_bytes;
    struct digest pack;
    struct curve_key owner; /* none: submitted without keys */
    enum work_state state;
    int64_t created_ms, ended_ms, busy_ms, overlap_ms;
    uint32_t ranges_at_once, superseded;
    struct campaign_figures figures; /* all 0: it has not ended */
};
struct stored_video {
    struct video_id id;
    uint32_t number;
    enum work_state state;
    const char *reason;
    const char *plan; /* NULL while planning */
    bool has_graph;
    struct digest graph;
    struct blob_ref manifest, file; /* bytes 0: none */
};
struct stored_task {
    struct task_id id;
    uint32_t position;
    bool has_key;
    struct digest key;
    enum task_state state;
    struct attempt attempt;
    struct worker_id worker;
    uint32_t losses, failed_count;
    struct worker_id failed_on[TASK_MAX_FAILED_ON];
    enum profile profile;
    int64_t too_small_bytes;
    const char *trouble; /* NULL: none */
    bool cached;
    int64_t busy_ms;
    enum task_reason reason;
    uint32_t errors, timeouts;
    struct blob_ref checkpoint;
    uint32_t checkpoint_step; /* 0: none */
    uint32_t shot, take;
    bool has_verdict;
    struct gate_verdict verdict;
};
/* Each calls its function for every row; what a row points to lives during the call. False when the function said so,
 * or the file cannot be read. */
typedef bool store_campaign_row(void *context, const struct stored_campaign *row, struct error *err);
typedef bool store_video_row(void *context, const struct stored_video *row, struct error *err);
typedef bool store_task_row(void *context, const struct stored_task *row, struct error *err);
typedef bool store_worker_row(void *context, struct worker_id id, const char *name, const uint8_t boot_id[16],
                              const struct curve_key *key);
typedef bool store_key_row(void *context, const struct access_entry *e);
bool store_each_campaign(struct store *s, store_campaign_row *row, void *context, struct error *err);
bool store_each_video(struct store *s, struct campaign_id campaign, store_video_row *row, void *context,
                      struct error *err);
bool store_each_task(struct store *s, struct video_id video, store_task_row *row, void *context, struct error *err);
bool store_each_worker(struct store *s, store_worker_row *row, void *context, struct error *err);
bool store_each_key(struct store *s, store_key_row *row, void *context, struct error *err);
/* Whose task it is; 0: unknown. */
bool store_find_task(struct store *s, struct task_id task, struct campaign_id *campaign, struct error *err);
/* Whether a task is done whose key this is or, when that is not known (NULL), whose last attempt. */
bool store_find_done(struct store *s, struct task_id task, const struct digest *key, struct attempt attempt, bool *done,
                     struct error *err);
/* Ids given out so far, into the ledger and the fleet. */
bool store_load_counters(struct store *s, struct ledger *l, struct fleet *f, struct error *err);

#endif

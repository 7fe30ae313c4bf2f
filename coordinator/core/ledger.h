/* ledger - all campaigns in memory, with the indexes, the queues and the list of what must be saved. Pure: no sockets,
 * database or clock. */
#ifndef SHOTLINE_COORDINATOR_CORE_LEDGER_H
#define SHOTLINE_COORDINATOR_CORE_LEDGER_H

#include "coordinator/core/index.h"
#include "coordinator/core/job.h"
#include "coordinator/core/key.h"

/* An attempt that must stop on its worker: its campaign was cancelled or failed. */
struct stopped_attempt {
    struct task_id task;
    struct attempt attempt;
    struct worker_id worker;
};

/* Asks the store for the result of a key, with all its blobs present. Fills outputs[TASK_MAX_OUTPUTS]; 0: there is
 * none. */
typedef uint32_t ledger_find_result(void *context, const struct digest *key, struct task_output *outputs);

struct ledger {
    struct key_context keys;
    ledger_find_result *find_result; /* NULL: no cache */
    void *context;

    struct campaign **campaigns; /* in order of id */
    size_t campaign_count, campaign_room;
    struct index tasks;                            /* by id */
    struct index by_key;                           /* first 8 bytes of the key -> first of the twins */
    uint64_t last_campaign, last_video, last_task; /* ids given out so far; saved with the campaigns */

    struct task *dirty_tasks;
    struct video *dirty_videos;
    struct campaign *dirty_campaigns;

    struct video *complete;          /* whose last task was done: they wait for their manifests; drained by the edge */
    struct stopped_attempt *stopped; /* drained by the edge every turn */
    size_t stopped_count, stopped_room;

    struct digest *garbage; /* blobs that nobody needs once this turn is saved: drained by the edge then */
    size_t garbage_count, garbage_room;
    struct task *unjudged; /* decodes that are done and wait for their verdict */
    size_t ended_tasks;    /* of campaigns that have ended and are not on the shelf */
    uint64_t uses;         /* last number of a campaign's use */
};

void ledger_free(struct ledger *l);

/* The ledger owns the campaign from now on. One without id gets the next one, its videos too. */
void ledger_add(struct ledger *l, struct campaign *c);
void ledger_remove(struct ledger *l, struct campaign *c); /* ended long ago: forgets and frees it */
/* The graphs of an ended campaign leave memory, and are there again. Nothing of it may wait to be saved. */
void ledger_shelve(struct ledger *l, struct campaign *c);
void ledger_unshelve(struct ledger *l, struct campaign *c);
struct campaign *ledger_campaign(const struct ledger *l, struct campaign_id id); /* NULL: unknown */
struct campaign *ledger_campaign_by_token(const struct ledger *l, const uint8_t token[16]);
struct task *ledger_task(const struct ledger *l, struct task_id id);
size_t ledger_live(const struct ledger *l); /* campaigns that have not ended */

/* Registers the tasks of a compiled video; those without id get one. */
void ledger_add_tasks(struct ledger *l, struct video *v);

/* The next task with the same key after `t` (first: t NULL). */
struct task *ledger_twin(const struct ledger *l, const struct digest *key, const struct task *t);
/* Names the task, whose twins find it by that from now on. Whoever was named first stays the first of them: it is the
 * one that mostly speaks for the others. */
void ledger_set_key(struct ledger *l, struct task *t, const struct digest *key);

/* A decode whose take must be judged; taken off the list. NULL: none. */
void ledger_await_verdict(struct ledger *l, struct task *decode);
struct task *ledger_next_unjudged(struct ledger *l);

/* What must be saved at the end of the turn. */
void ledger_touch_task(struct ledger *l, struct task *t);
void ledger_touch_video(struct ledger *l, struct video *v);
void ledger_touch_campaign(struct ledger *l, struct campaign *c);
void ledger_list_complete(struct ledger *l, struct video *v);
struct video *ledger_next_complete(struct ledger *l); /* takes it off the list; NULL: none */
void ledger_drop_blob(struct ledger *l, const struct digest *d);
/* Whether it is a manifest, a finished file or a reference image, which nothing would make again: a worker may name any
 * blob as its saved state. */
bool ledger_keeps_blob(const struct ledger *l, const struct digest *d);
bool ledger_dirty(const struct ledger *l);
void ledger_clean(struct ledger *l); /* all was saved */

/* The queue of a campaign: ready tasks in the order in which they should start. */
void queue_push(struct task *t);
void queue_remove(struct task *t);          /* not queued is fine */
struct task *queue_pop(struct campaign *c); /* NULL: empty */
/* How many tasks of its campaign go before a queued one. */
uint32_t queue_ahead(const struct task *t);

struct campaign *campaign_new(void);
void campaign_free(struct campaign **c); /* NULL-safe */
void video_drop_graph(struct video *v);

#endif

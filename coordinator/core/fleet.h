/* fleet - the workers: who they are, whether they live, what they hold and how fast they are. Pure: time is an
 * argument. */
#ifndef SHOTLINE_COORDINATOR_CORE_FLEET_H
#define SHOTLINE_COORDINATOR_CORE_FLEET_H

#include "coordinator/core/index.h"
#include "coordinator/core/job.h"

#define FLEET_MAX_WORKERS  4096
#define WORKER_MAX_RUNNING 16
#define WORKER_HELD_SETS   64 /* of WORKER_HELD_WAYS blobs each that a worker is remembered to hold */
#define WORKER_HELD_WAYS   8

#define WORKER_RECENT 4 /* measures that count */

/* How the edge reaches a worker: opaque here. */
struct worker_address {
    uint8_t size;
    uint8_t bytes[31];
};

struct worker {
    struct worker_id id; /* stays when a worker of this name comes back */
    char name[64];
    uint8_t boot_id[16]; /* a new one means that the process started anew: what it ran is lost */
    char device[128];
    int64_t device_bytes;
    struct worker_address address;
    struct curve_key key; /* a worker is one only with its key; none on a farm without keys */

    bool alive;
    bool left;        /* said goodbye: not expected back */
    bool draining;    /* told to leave: gets nothing more */
    bool dirty;       /* name or boot id must be saved; the fleet's flag says so too */
    int64_t heard_ms; /* when it last said anything */
    uint32_t credit;  /* attempts that it asked for and did not get yet */
    bool lease_again; /* it asked, though it was given one that it never spoke of */
    uint64_t answer;  /* number of the message that acknowledges its last report, which a lease may go with; 0: none */
    struct task_id running[WORKER_MAX_RUNNING];
    uint32_t running_count;
    uint32_t tasks_done, failures, superseded; /* superseded: reports of stale attempts */
    bool set_aside;                            /* for some campaign: see standing.h */
    int64_t busy_ms;
    /* Measured ms per unit of work. The first task of a kind also loads weights and builds pipelines: it tells little.
     */
    double cold_ms[TASK_KINDS], recent_ms[TASK_KINDS][WORKER_RECENT];
    uint32_t measures[TASK_KINDS];

    /* The smallest task of a kind that did not fit its memory as usual, and when that was; in memory only. */
    int64_t short_of[TASK_KINDS], short_ms[TASK_KINDS];

    uint64_t held[WORKER_HELD_SETS][WORKER_HELD_WAYS]; /* first bytes of digests, the oldest of a set is overwritten */
    uint8_t held_next[WORKER_HELD_SETS];
};

struct fleet {
    int64_t heartbeat_ms, lease_ms;
    int64_t opened_ms; /* when the coordinator started: workers known from before may still be on their way back */
    struct worker **workers;
    size_t count, room;
    bool dirty; /* some worker is */
    uint64_t last_id;
    struct index by_id, by_address; /* the latter by a hash: an address is compared whole */
};

#define FLEET_MISSED_HEARTBEATS 3
#define WORKER_SHORT_MS         1800000 /* so long a want of memory is remembered: perhaps another program's */
#define FLEET_AWAY_MS           60000   /* a worker that left less than this ago is counted on: it may be back */

struct worker_hello {
    const char *name;
    const uint8_t *boot_id; /* 16 bytes */
    const char *device;
    int64_t device_bytes;
    struct worker_address address;
    struct curve_key key;
};

void fleet_free(struct fleet *f);

/* The worker of a hello, alive. *restarted: the process is a new one, so whatever ran under this id is lost. NULL when
 * the fleet is full. */
struct worker *fleet_hello(struct fleet *f, const struct worker_hello *h, int64_t now_ms, bool *restarted);
/* After a restart of the coordinator: a worker known from the store, not alive until it is heard. */
struct worker *fleet_restore(struct fleet *f, struct worker_id id, const char *name, const uint8_t boot_id[16],
                             const struct curve_key *key);

struct worker *fleet_worker(const struct fleet *f, struct worker_id id);                /* NULL: unknown */
struct worker *fleet_at_address(const struct fleet *f, const struct worker_address *a); /* alive ones only */
uint32_t fleet_alive(const struct fleet *f);
/* Workers that are alive or were so of late: on how many a task can be tried. */
uint32_t fleet_counted_on(const struct fleet *f, int64_t now_ms);
bool worker_counted_on(const struct fleet *f, const struct worker *w, int64_t now_ms);

void worker_heard(struct worker *w, int64_t now_ms);
void worker_gone(struct worker *w); /* said goodbye, or was given up */
/* When it will have been silent for three heartbeats, and so is lost; INT64_MAX for one that is not alive. */
int64_t worker_silent_at_ms(const struct fleet *f, const struct worker *w);

void worker_start(struct worker *w, struct task_id t);
bool worker_runs(const struct worker *w, struct task_id t);
void worker_stop(struct worker *w, struct task_id t); /* not running it is fine */

void worker_hold(struct worker *w, const struct digest *d);
bool worker_holds(const struct worker *w, const struct digest *d);

/* The task ran out of its device memory in the usual profile; and whether one like it, or larger, did so of late. */
void worker_ran_short(struct worker *w, const struct task *t, int64_t now_ms);
bool worker_is_short(const struct worker *w, const struct task *t, int64_t now_ms);

/* Takes the measure of a finished task. */
void worker_measure(struct worker *w, enum task_kind k, double units, int64_t ms);
/* Expected ms per unit: the worker's own best of late, else the fleet's mean of those, else the mean of cold starts,
 * else what denoising costs (units are of about the same cost), else 0. The means are taken once for many questions. */
struct fleet_means {
    double ms[TASK_KINDS]; /* 0: nothing was measured */
};
struct fleet_means fleet_means(const struct fleet *f);
/* By the worker's own measures alone; 0: none. */
double worker_own_ms_per_unit(const struct worker *w, enum task_kind k);
double worker_ms_per_unit(const struct worker *w, enum task_kind k, const struct fleet_means *means);

#endif

/* oracle - what its files share: what is known of the farm from outside, and what must come of it. */
#ifndef SHOTLINE_TESTS_SIM_ORACLE_H
#define SHOTLINE_TESTS_SIM_ORACLE_H

#include "tests/sim/world.h"

#include "common/nn/pack.h"
#include "coordinator/core/index.h"
#include "coordinator/core/ledger.h"
#include "proto/worker.pb-c.h"

#include <string.h>

#define HISTORY 16

/* A task as its leases tell. */
struct leased {
    uint32_t attempt, worker;
    uint64_t campaign;
    int64_t too_small_bytes[2]; /* the largest device whose memory was not enough, by profile; as the store has it */
    uint32_t history[HISTORY];  /* worker + 1 of attempt % HISTORY */
};

/* The result of a key. */
struct commit {
    struct digest key;
    uint64_t task;
    bool done, lost; /* lost: stored outputs were taken away, so it may be made again */
};

/* A task that failed for want of memory. */
struct too_small {
    uint64_t task;
    enum profile profile;
    int64_t device_bytes;
};

/* A state that the farm took of a running task. */
struct kept {
    struct digest state;
    uint64_t task;
    uint32_t step;
    bool durable, dropped; /* dropped: by the farm itself, or lost */
};

/* What the farm has said of a key. */
struct right {
    struct curve_key key;
    enum role role;
    bool asked, revoked; /* it was asked to revoke it; it said that it did */
};

struct expected_video {
    struct digest manifest;
    bool poisoned;
    bool rejected; /* a shot of it has no take that passes, and the campaign wants one */
};

struct expected {
    uint8_t token[16];
    uint64_t id; /* as the farm told; 0: not yet */
    bool cancelled;
    struct expected_video *videos;
    uint32_t video_count;
};

struct oracle {
    struct grammar *grammar;
    struct pack_defaults pack;
    struct pack_listing listing;
    struct key_context keys;

    struct leased *leased; /* by id */
    size_t leased_room;
    struct index commits; /* by the key's first bytes */
    struct commit **commit_list;
    size_t commit_count, commit_room;
    struct commit *pending[512]; /* of this turn */
    size_t pending_count;
    struct too_small too_small[512]; /* of this turn */
    size_t too_small_count;
    const void *reading; /* the message that the farm works on */
    size_t reading_size;
    uint32_t reading_worker;
    struct curve_key reading_key;
    struct index rights; /* by the key's first bytes */
    struct right **right_list;
    size_t right_count, right_room;

    struct index kept; /* by the state's first bytes */
    struct kept **kept_list;
    size_t kept_count, kept_room, kept_durable; /* the latter: those before it */

    struct expected *expected;
    size_t expected_count, expected_room;
    uint64_t leases, done, cached, failed, cancelled_tasks, tasks, videos, videos_failed, rejected, takes, resumed,
        superseded, audits;
};

/* For indexes by digest. */
static inline uint64_t mark(const struct digest *d)
{
    uint64_t v;

    memcpy(&v, d->bytes, sizeof v);
    return v;
}

/* by_hand.c */
struct expected *expected_of(struct oracle *o, const uint8_t token[16]);
/* rights.c: something was done for the bearer of a key; somebody was turned away; the farm is back. */
void rights_check(struct world *w, const struct curve_key *key, enum role role, const char *what);
void rights_check_refused(struct world *w, const struct curve_key *key, const char *reason);
void rights_check_guard(struct world *w);
void rights_close(struct oracle *o);
/* recall.c: what the farm must not forget of tasks; what has just left it, what it has just saved, when it is back. */
void recall_check_lease(struct world *w, uint32_t worker, const Shotline__Lease *lease, bool first);
void recall_saved(struct oracle *o, bool durable);
void recall_restarted(struct world *w);
void recall_check(struct world *w, bool all);
void recall_close(struct oracle *o);
struct task *recall_find_task(struct world *w, uint64_t id);

#endif

/* eviction - bounds the coordinator's blobs: what nobody needs goes, the least recently used first, when there is more
 * than the quota. cache.h says what is needed. */
#ifndef SHOTLINE_COORDINATOR_FARM_EVICTION_H
#define SHOTLINE_COORDINATOR_FARM_EVICTION_H

#include "common/wire/store_dir.h"
#include "coordinator/core/cache.h"
#include "coordinator/store/store.h"

#define EVICTION_GRACE_MS 600000 /* a blob this new may be of a message that is still to come */
#define EVICTION_LOOK_MS  2000   /* how often it is looked whether there is too much */
#define EVICTION_BATCH    512    /* blobs that go in one turn */

struct eviction {
    struct store *store; /* borrowed, as the next three are */
    struct store_dir *blobs;
    const struct ledger *ledger;
    const struct digest *listing; /* the pack's: it stays */
    int64_t quota_bytes;          /* of the cache; 0: no bound */
    int64_t grace_ms;             /* EVICTION_GRACE_MS */
    int64_t look_ms;              /* EVICTION_LOOK_MS */
    int64_t kept_bytes;           /* of what is no cache, when it was last looked at */
    int64_t look_at_ms;
    bool full;              /* it was too much, and nothing could go */
    uint64_t evicted_blobs; /* since the start */
    int64_t evicted_bytes;
    struct cache_needs needs;
    struct store_blob *chosen; /* in this turn */
    size_t chosen_count;
};

/* The quota for a farm that was given none: half of the room that its disk has for the cache. */
int64_t eviction_default_quota(const char *state, struct store_dir *blobs);

/* Chooses, and writes what it chose into the turn's transaction; after the save the bytes go. */
bool eviction_tick(struct eviction *e, int64_t now_ms, int64_t wall_ms, struct error *err);
void eviction_carry_out(struct eviction *e);
void eviction_free(struct eviction *e);

/* What is needed, and how much of it all is kept, as of now. */
void eviction_look(struct eviction *e);
/* Bytes that are a cache: all that is not kept. */
int64_t eviction_cache_bytes(const struct eviction *e);

#endif

/* cache - which blobs the farm must keep, and which are only a cache: whatever a task made can be made again. Pure.
 *
 * Kept for as long as their campaign is remembered: finished videos, their manifests, and what users gave (reference
 * images, manifests to verify). Needed for the moment: what tasks that are not done start from, and what a video still
 * shows. All else may go, the least recently used first: its task is then no longer cached. */
#ifndef SHOTLINE_COORDINATOR_CORE_CACHE_H
#define SHOTLINE_COORDINATOR_CORE_CACHE_H

#include "coordinator/core/ledger.h"

/* Digests, once filled in order, so that one can be asked for. */
struct cache_set {
    struct digest *list;
    size_t count, room;
};
struct cache_needs { /* zero-initialised means empty and ready */
    struct cache_set kept, needed;
};

/* Fills both sets anew; `listing` is the pack's, which is kept. */
void cache_needs_of(struct cache_needs *n, const struct ledger *l, const struct digest *listing);
void cache_needs_free(struct cache_needs *n);

/* Whether this blob may not go. */
bool cache_holds(const struct cache_needs *n, const struct digest *d);

/* How many bytes should go when the cache has `bytes` and may have `quota`: a little more than too many, so that it is
 * not done for every blob. */
int64_t cache_surplus(int64_t bytes, int64_t quota);

#endif

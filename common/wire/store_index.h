/* store_index - what a store of blobs holds, in memory: by digest, and in the order of use. No disk, no lock. */
#ifndef SHOTLINE_WIRE_STORE_INDEX_H
#define SHOTLINE_WIRE_STORE_INDEX_H

#include "common/base/hash.h"

#include <stddef.h>
#include <stdint.h>

struct store_entry {
    struct digest digest;
    int64_t bytes;   /* -1: not there (only pinned) */
    int64_t used_ms; /* wall clock */
    uint32_t pins;
    struct store_entry *next;          /* in its bucket */
    struct store_entry *older, *newer; /* in the order of use */
};

struct store_index { /* zero-initialised means empty and ready */
    struct store_entry **buckets;
    size_t count, room;
    struct store_entry *oldest, *newest;
    int64_t total_bytes;
};

struct store_entry *store_index_find(const struct store_index *x, const struct digest *d);
struct store_entry *store_index_find_or_add(struct store_index *x, const struct digest *d); /* new ones are not there */
/* It is there with that many bytes, and was used last of all. */
void store_index_use(struct store_index *x, struct store_entry *e, int64_t bytes, int64_t wall_ms);
/* It is no longer there; without pins it is forgotten, and `e` with it. */
void store_index_gone(struct store_index *x, struct store_entry *e);
void store_index_free(struct store_index *x);

#endif

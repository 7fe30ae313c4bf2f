#include "common/wire/store_index.h"

#include "common/base/arena.h"

#include <stdlib.h>
#include <string.h>

/* Digests are as good as random. */
static size_t bucket_of(const struct store_index *x, const struct digest *d)
{
    uint64_t v;

    memcpy(&v, d->bytes, sizeof v);
    return (size_t)v & (x->room - 1);
}

struct store_entry *store_index_find(const struct store_index *x, const struct digest *d)
{
    struct store_entry *e = x->room ? x->buckets[bucket_of(x, d)] : NULL;

    while (e && !digest_equal(&e->digest, d))
        e = e->next;
    return e;
}

static void grow(struct store_index *x)
{
    x->room = x->room ? 2 * x->room : 64;
    free(x->buckets);
    x->buckets = xcalloc(x->room, sizeof(struct store_entry *));
    for (struct store_entry *e = x->oldest; e; e = e->newer) {
        struct store_entry **bucket = &x->buckets[bucket_of(x, &e->digest)];

        e->next = *bucket;
        *bucket = e;
    }
}

static void leave_order(struct store_index *x, struct store_entry *e)
{
    *(e->older ? &e->older->newer : &x->oldest) = e->newer;
    *(e->newer ? &e->newer->older : &x->newest) = e->older;
    e->older = e->newer = NULL;
}

static void join_order(struct store_index *x, struct store_entry *e)
{
    e->older = x->newest;
    *(x->newest ? &x->newest->newer : &x->oldest) = e;
    x->newest = e;
}

struct store_entry *store_index_find_or_add(struct store_index *x, const struct digest *d)
{
    struct store_entry *e = store_index_find(x, d);

    if (e)
        return e;
    if (x->count == x->room)
        grow(x);
    e = xcalloc(1, sizeof *e);
    e->digest = *d;
    e->bytes = -1;
    struct store_entry **bucket = &x->buckets[bucket_of(x, d)];
    e->next = *bucket;
    *bucket = e;
    join_order(x, e);
    x->count++;
    return e;
}

void store_index_use(struct store_index *x, struct store_entry *e, int64_t bytes, int64_t wall_ms)
{
    x->total_bytes += bytes - (e->bytes >= 0 ? e->bytes : 0);
    e->bytes = bytes;
    e->used_ms = wall_ms;
    leave_order(x, e);
    join_order(x, e);
}

void store_index_gone(struct store_index *x, struct store_entry *e)
{
    struct store_entry **at = &x->buckets[bucket_of(x, &e->digest)];

    if (e->bytes >= 0)
        x->total_bytes -= e->bytes;
    e->bytes = -1;
    if (e->pins)
        return;
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    leave_order(x, e);
    free(e);
    x->count--;
}

void store_index_free(struct store_index *x)
{
    for (struct store_entry *e = x->oldest, *newer; e; e = newer) {
        newer = e->newer;
        free(e);
    }
    free(x->buckets);
    *x = (struct store_index){ 0 };
}

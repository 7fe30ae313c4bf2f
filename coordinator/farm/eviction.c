#include "coordinator/farm/eviction.h"

#include "common/base/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#define PATIENCE_WHEN_FULL 5 /* times as long: nothing could go, and what is needed changes slowly */
#define QUOTA_WITHOUT_DISK (INT64_C(20) << 30)

int64_t eviction_default_quota(const char *state, struct store_dir *blobs)
{
    struct statvfs disk;

    if (statvfs(state, &disk) != 0)
        return QUOTA_WITHOUT_DISK;
    return ((int64_t)disk.f_bavail * (int64_t)disk.f_frsize + store_dir_total(blobs)) / 2;
}

int64_t eviction_cache_bytes(const struct eviction *e)
{
    int64_t bytes = store_dir_total(e->blobs) - e->kept_bytes;

    return bytes > 0 ? bytes : 0;
}

struct choice {
    const struct eviction *e;
    int64_t wall_ms;
};

static bool holds(void *context, const struct store_blob *b)
{
    const struct choice *c = context;
    const int64_t age_ms = c->wall_ms - b->used_ms;

    return (age_ms >= 0 && age_ms < c->e->grace_ms) || cache_holds(&c->e->needs, &b->digest);
}

void eviction_look(struct eviction *e)
{
    cache_needs_of(&e->needs, e->ledger, e->listing);
    e->kept_bytes = 0;
    for (size_t i = 0; i < e->needs.kept.count; i++) {
        int64_t bytes = store_dir_peek(e->blobs, &e->needs.kept.list[i]);

        e->kept_bytes += bytes > 0 ? bytes : 0;
    }
}

static void choose(struct eviction *e, int64_t wall_ms)
{
    struct choice choice = { .e = e, .wall_ms = wall_ms };

    eviction_look(e);
    const int64_t surplus = cache_surplus(eviction_cache_bytes(e), e->quota_bytes);
    if (!surplus)
        return;
    if (!e->chosen)
        e->chosen = xcalloc(EVICTION_BATCH, sizeof *e->chosen);
    e->chosen_count = store_dir_oldest(e->blobs, surplus, holds, &choice, e->chosen, EVICTION_BATCH);
    if (!e->chosen_count && !e->full)
        log_warn("cache.full",
                 "bytes=%" PRId64 " quota=%" PRId64 " reason=\"all of it is new, or needed by what runs\"",
                 eviction_cache_bytes(e), e->quota_bytes);
    e->full = !e->chosen_count;
}

bool eviction_tick(struct eviction *e, int64_t now_ms, int64_t wall_ms, struct error *err)
{
    if (!e->quota_bytes || now_ms < e->look_at_ms)
        return true;
    e->look_at_ms = now_ms + e->look_ms;
    if (eviction_cache_bytes(e) <= e->quota_bytes)
        return true;
    choose(e, wall_ms);
    if (e->full)
        e->look_at_ms = now_ms + PATIENCE_WHEN_FULL * e->look_ms;
    for (size_t i = 0; i < e->chosen_count; i++)
        if (!store_put_evicted(e->store, &e->chosen[i].digest, err))
            return false;
    return true;
}

void eviction_carry_out(struct eviction *e)
{
    int64_t bytes = 0;
    size_t count = 0;

    if (!e->chosen_count)
        return;
    for (size_t i = 0; i < e->chosen_count; i++)
        if (store_dir_evict(e->blobs, &e->chosen[i])) { /* else it was used just now */
            count++;
            bytes += e->chosen[i].bytes;
        }
    e->chosen_count = 0;
    e->evicted_blobs += count;
    e->evicted_bytes += bytes;
    log_info("cache.evicted", "blobs=%zu bytes=%" PRId64 " left=%" PRId64 " quota=%" PRId64, count, bytes,
             eviction_cache_bytes(e), e->quota_bytes);
}

void eviction_free(struct eviction *e)
{
    cache_needs_free(&e->needs);
    free(e->chosen);
    e->chosen = NULL;
}

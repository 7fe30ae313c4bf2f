#include "coordinator/eviction.h"

#include "common/base/log.h"
#include "coordinator/farm.h"

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

int64_t eviction_cache_bytes(const struct farm *f)
{
    int64_t bytes = store_dir_total(f->blobs) - f->eviction.kept_bytes;

    return bytes > 0 ? bytes : 0;
}

static bool holds(void *context, const struct store_blob *b)
{
    const struct farm *f = context;
    const int64_t age_ms = f->wall_ms - b->used_ms;

    return (age_ms >= 0 && age_ms < f->eviction.grace_ms) || cache_holds(&f->eviction.needs, &b->digest);
}

void eviction_look(struct farm *f)
{
    struct eviction *e = &f->eviction;

    cache_needs_of(&e->needs, &f->ledger, &f->listing_blob.digest);
    e->kept_bytes = 0;
    for (size_t i = 0; i < e->needs.kept.count; i++) {
        int64_t bytes = store_dir_peek(f->blobs, &e->needs.kept.list[i]);

        e->kept_bytes += bytes > 0 ? bytes : 0;
    }
}

static void choose(struct farm *f)
{
    struct eviction *e = &f->eviction;

    eviction_look(f);
    const int64_t surplus = cache_surplus(eviction_cache_bytes(f), e->quota_bytes);
    if (!surplus)
        return;
    if (!e->chosen)
        e->chosen = xcalloc(EVICTION_BATCH, sizeof *e->chosen);
    e->chosen_count = store_dir_oldest(f->blobs, surplus, holds, f, e->chosen, EVICTION_BATCH);
    if (!e->chosen_count && !e->full)
        log_warn("cache.full",
                 "bytes=%" PRId64 " quota=%" PRId64 " reason=\"all of it is new, or needed by what runs\"",
                 eviction_cache_bytes(f), e->quota_bytes);
    e->full = !e->chosen_count;
}

bool eviction_tick(struct farm *f, int64_t now_ms, struct error *err)
{
    struct eviction *e = &f->eviction;

    if (!e->quota_bytes || now_ms < e->look_at_ms)
        return true;
    e->look_at_ms = now_ms + e->look_ms;
    if (eviction_cache_bytes(f) <= e->quota_bytes)
        return true;
    choose(f);
    if (e->full)
        e->look_at_ms = now_ms + PATIENCE_WHEN_FULL * e->look_ms;
    for (size_t i = 0; i < e->chosen_count; i++)
        if (!store_put_evicted(f->store, &e->chosen[i].digest, err))
            return false;
    return true;
}

void eviction_carry_out(struct farm *f)
{
    struct eviction *e = &f->eviction;
    int64_t bytes = 0;
    size_t count = 0;

    if (!e->chosen_count)
        return;
    for (size_t i = 0; i < e->chosen_count; i++)
        if (store_dir_evict(f->blobs, &e->chosen[i])) { /* else it was used just now */
            count++;
            bytes += e->chosen[i].bytes;
        }
    e->chosen_count = 0;
    e->blobs += count;
    e->bytes += bytes;
    log_info("cache.evicted", "blobs=%zu bytes=%" PRId64 " left=%" PRId64 " quota=%" PRId64, count, bytes,
             eviction_cache_bytes(f), e->quota_bytes);
}

void eviction_free(struct eviction *e)
{
    cache_needs_free(&e->needs);
    free(e->chosen);
    e->chosen = NULL;
}

/* blobs - the coordinator's store of blobs in memory, in place of common/wire/store_dir: what was added is durable, as
 * the real one promises, unless the disk is full; and blobs can be lost. An output's bytes name the key of its task, so
 * that everything that the farm holds can be checked. */
#include "tests/sim/world.h"

#include "common/wire/store_dir.h"
#include "coordinator/core/index.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct blob {
    struct digest digest;
    bool there, removed; /* removed: by the farm itself */
    uint64_t used;       /* a count, larger is later */
    size_t size;
    char data[];
};

struct store_dir {
    struct world *w;
    struct index by_digest;
    struct blob **list;
    size_t count, room;
    uint64_t uses;
    int64_t full_until_ms;
};

void saved_state_of(const struct digest *key, uint32_t step, char *text, size_t room)
{
    char hex[DIGEST_HEX_ROOM];

    digest_hex(key, hex);
    snprintf(text, room, "saved %" PRIu32 " of %s", step, hex);
}

int badness_of(const struct digest *key)
{
    return key->bytes[8] < 90 ? 1 + key->bytes[9] % 16 : 0;
}

void output_of(const struct digest *key, const char *name, char *text, size_t room)
{
    char hex[DIGEST_HEX_ROOM];

    digest_hex(key, hex);
    if (strcmp(name, "scores"))
        snprintf(text, room, "%s of %s", name, hex);
    else /* the coordinator reads them: of no frames, which its gates are told to let pass */
        snprintf(text, room,
                 "{\"format\":5,\"frames\":0,\"columns\":1,\"fps\":%d,\"unusable\":%d,\"borders\":[],\"dark\":[],"
                 "\"bright\":[],\"sharpness\":[],\"change\":[],\"tint\":[],\"residual\":[],\"colours\":[],"
                 "\"lasting\":[],\"move\":[],\"camera\":[],\"drift\":[],\"figures\":[]}",
                 1 + key->bytes[0] % 240, badness_of(key));
}

static uint64_t mark(const struct digest *d)
{
    uint64_t v;

    memcpy(&v, d->bytes, sizeof v);
    return v;
}

static struct blob *find(struct store_dir *s, const struct digest *d)
{
    struct blob *b = index_get(&s->by_digest, mark(d));

    return b && b->there && digest_equal(&b->digest, d) ? b : NULL;
}

void blobs_open(struct world *w)
{
    w->blobs = xcalloc(1, sizeof *w->blobs);
    w->blobs->w = w;
}

void blobs_close(struct world *w)
{
    for (size_t i = 0; i < w->blobs->count; i++)
        free(w->blobs->list[i]);
    free(w->blobs->list);
    index_free(&w->blobs->by_digest);
    free(w->blobs);
    w->blobs = NULL;
}

static bool add(struct store_dir *s, const struct digest *d, const void *data, size_t size)
{
    struct world *w = s->w;
    struct blob *b = index_get(&s->by_digest, mark(d));

    if (w->now_ms < s->full_until_ms && !w->calm)
        return false;
    if (fault_strikes(w, FAULT_BLOB_FULL, 3000)) {
        s->full_until_ms = w->now_ms + dice_between(&w->luck, 100, 5000);
        return false;
    }
    if (b) {
        b->there = true;
        b->removed = false;
        b->used = ++s->uses;
        return true;
    }
    b = xcalloc(1, sizeof *b + size + 1);
    b->digest = *d;
    b->there = true;
    b->used = ++s->uses;
    b->size = size;
    memcpy(b->data, data, size);
    index_put(&s->by_digest, mark(d), b);
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 1024;
        s->list = xrealloc(s->list, s->room * sizeof *s->list);
    }
    s->list[s->count++] = b;
    return true;
}

bool blobs_upload(struct world *w, const struct digest *d, const char *text)
{
    return add(w->blobs, d, text, strlen(text));
}

bool blobs_lose_one(struct world *w, struct digest *key)
{
    struct store_dir *s = w->blobs;

    for (int tries = 0; s->count && tries < 16; tries++) {
        struct blob *b = s->list[dice_between(&w->luck, 0, (int64_t)s->count - 1)];
        const char *of = strstr(b->data, " of ");

        if (!b->there || !of || !digest_from_hex(key, of + 4))
            continue;
        if (!strncmp(b->data, "saved ", 6))
            *key = (struct digest){ { 0 } };
        b->there = false;
        return true;
    }
    return false;
}

const char *blobs_text(struct world *w, const struct digest *d)
{
    const struct blob *b = find(w->blobs, d);

    return b ? b->data : NULL;
}

bool blobs_removed(struct world *w, const struct digest *d)
{
    const struct blob *b = index_get(&w->blobs->by_digest, mark(d));

    return b && b->removed;
}

/* ---- what the farm asks of it ---- */

int64_t store_dir_bytes(struct store_dir *s, const struct digest *d)
{
    struct blob *b = find(s, d);

    if (b)
        b->used = ++s->uses;
    return b ? (int64_t)b->size : -1;
}

bool store_dir_has(struct store_dir *s, const struct digest *d)
{
    return store_dir_bytes(s, d) >= 0;
}

int64_t store_dir_peek(struct store_dir *s, const struct digest *d)
{
    const struct blob *b = find(s, d);

    return b ? (int64_t)b->size : -1;
}

int64_t store_dir_total(struct store_dir *s)
{
    int64_t bytes = 0;

    for (size_t i = 0; i < s->count; i++)
        bytes += s->list[i]->there ? (int64_t)s->list[i]->size : 0;
    return bytes;
}

static int by_use(const void *a, const void *b)
{
    const struct blob *x = *(const struct blob *const *)a, *y = *(const struct blob *const *)b;

    return x->used < y->used ? -1 : x->used > y->used;
}

size_t store_dir_oldest(struct store_dir *s, int64_t bytes, store_dir_keeps *keeps, void *context,
                        struct store_blob *list, size_t room)
{
    size_t count = 0;

    if (s->count)
        qsort(s->list, s->count, sizeof *s->list, by_use);
    for (size_t i = 0; i < s->count && bytes > 0 && count < room; i++) {
        const struct blob *b = s->list[i];
        const struct store_blob named = { .digest = b->digest, .bytes = (int64_t)b->size };

        if (!b->there || keeps(context, &named))
            continue;
        list[count++] = named;
        bytes -= named.bytes;
    }
    return count;
}

bool store_dir_evict(struct store_dir *s, const struct store_blob *b)
{
    struct digest key;
    const char *text = blobs_text(s->w, &b->digest), *of = text ? strstr(text, " of ") : NULL;

    if (!store_dir_remove(s, &b->digest))
        return false;
    s->w->evicted++;
    oracle_evicted(s->w, &b->digest);
    if (of && strncmp(text, "saved ", 6) && digest_from_hex(&key, of + 4))
        oracle_key_lost(s->w, &key); /* made again, if it is asked for */
    return true;
}

bool store_dir_remove(struct store_dir *s, const struct digest *d)
{
    struct blob *b = index_get(&s->by_digest, mark(d));

    if (!b || !b->there || coordinator_step(s->w) != STEP_LIVES)
        return false;
    b->there = false;
    b->removed = true;
    return true;
}

bool store_dir_add_bytes(struct store_dir *s, const void *data, size_t size, struct digest *d, struct error *err)
{
    *d = digest_of(data, size);
    if (find(s, d))
        return true;
    if (coordinator_step(s->w) != STEP_LIVES)
        return error_set(err, ERROR_IO, "blobs: the coordinator is dead");
    return add(s, d, data, size) || error_set(err, ERROR_IO, "blobs: the disk is full");
}

char *store_dir_read(struct store_dir *s, const struct digest *d, size_t max_bytes, size_t *size, struct error *err)
{
    const struct blob *b = find(s, d);

    if (!b || b->size > max_bytes) {
        error_set(err, ERROR_IO, "blobs: %s", b ? "too large" : "not here");
        return NULL;
    }
    char *copy = xmalloc(b->size + 1);
    memcpy(copy, b->data, b->size + 1);
    if (size)
        *size = b->size;
    return copy;
}

#include "coordinator/core/fleet.h"

#include "common/base/str.h"

#include <stdlib.h>
#include <string.h>

void fleet_free(struct fleet *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->workers[i]);
    free(f->workers);
    index_free(&f->by_id);
    index_free(&f->by_address);
    *f = (struct fleet){ 0 };
}

static uint64_t address_hash(const struct worker_address *a)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (uint8_t i = 0; i < a->size; i++)
        h = (h ^ a->bytes[i]) * UINT64_C(0x100000001b3);
    return h;
}

static bool address_is(const struct worker *w, const struct worker_address *a)
{
    return w->address.size == a->size && !memcmp(w->address.bytes, a->bytes, a->size);
}

/* A worker is found at one address: the one that its last hello came from. */
static void move_to(struct fleet *f, struct worker *w, const struct worker_address *a)
{
    if (index_get(&f->by_address, address_hash(&w->address)) == w)
        index_remove(&f->by_address, address_hash(&w->address));
    w->address = *a;
    index_put(&f->by_address, address_hash(a), w);
}

static void forget(struct fleet *f, struct worker *w)
{
    if (index_get(&f->by_address, address_hash(&w->address)) == w)
        index_remove(&f->by_address, address_hash(&w->address));
    index_remove(&f->by_id, w->id.v);
    *w = (struct worker){ 0 };
}

static void take_id(struct fleet *f, struct worker *w, struct worker_id id)
{
    w->id = id;
    index_put(&f->by_id, id.v, w);
}

static struct worker *fleet_add(struct fleet *f)
{
    if (f->count == FLEET_MAX_WORKERS) { /* forget the one that has been away for longest */
        struct worker *oldest = NULL;

        for (size_t i = 0; i < f->count; i++)
            if (!f->workers[i]->alive && (!oldest || f->workers[i]->heard_ms < oldest->heard_ms))
                oldest = f->workers[i];
        if (oldest)
            forget(f, oldest);
        return oldest;
    }
    if (f->count == f->room) {
        f->room = f->room ? f->room * 2 : 16;
        f->workers = xrealloc(f->workers, f->room * sizeof *f->workers);
    }
    struct worker *w = xcalloc(1, sizeof *w);
    f->workers[f->count++] = w;
    return w;
}

struct worker *fleet_restore(struct fleet *f, struct worker_id id, const char *name, const uint8_t boot_id[16],
                             const struct curve_key *key)
{
    struct worker *w = fleet_add(f);

    if (!w)
        return NULL;
    take_id(f, w, id);
    str_copy(w->name, sizeof w->name, name);
    memcpy(w->boot_id, boot_id, sizeof w->boot_id);
    w->key = *key;
    if (id.v > f->last_id)
        f->last_id = id.v;
    return w;
}

static bool same_key(const struct worker *w, const struct worker_hello *h)
{
    return !memcmp(w->key.bytes, h->key.bytes, CURVE_BYTES);
}

struct worker *fleet_hello(struct fleet *f, const struct worker_hello *h, int64_t now_ms, bool *restarted)
{
    struct worker *w = fleet_at_address(f, &h->address);

    *restarted = false;
    if (w && !(same_key(w, h) && !memcmp(w->boot_id, h->boot_id, 16)))
        w = NULL;
    for (size_t i = 0; i < f->count && !w; i++) /* the same process again, perhaps over a new connection */
        if (same_key(f->workers[i], h) && !memcmp(f->workers[i]->boot_id, h->boot_id, 16))
            w = f->workers[i];
    /* A dead worker's name: it came back as a new process. A living one's name is a second worker, which must not push
     * the first one out. */
    for (size_t i = 0; i < f->count && !w; i++)
        if (!f->workers[i]->alive && same_key(f->workers[i], h) && !strcmp(f->workers[i]->name, h->name)) {
            w = f->workers[i];
            *restarted = true;
        }
    if (!w) {
        w = fleet_add(f);
        if (!w)
            return NULL;
        take_id(f, w, (struct worker_id){ ++f->last_id });
        w->dirty = f->dirty = true;
    }
    if (*restarted) { /* its next task of each kind loads the models again */
        memset(w->measures, 0, sizeof w->measures);
        memset(w->short_of, 0, sizeof w->short_of);
        w->draining = false;
        w->dirty = f->dirty = true;
    }
    str_copy(w->name, sizeof w->name, h->name);
    str_copy(w->device, sizeof w->device, h->device);
    memcpy(w->boot_id, h->boot_id, sizeof w->boot_id);
    w->device_bytes = h->device_bytes;
    w->key = h->key;
    move_to(f, w, &h->address);
    w->alive = true;
    w->left = false;
    w->heard_ms = now_ms;
    w->credit = 0;
    w->answer = 0; /* that went to its former address */
    return w;
}

struct worker *fleet_worker(const struct fleet *f, struct worker_id id)
{
    return index_get(&f->by_id, id.v);
}

struct worker *fleet_at_address(const struct fleet *f, const struct worker_address *a)
{
    struct worker *w = index_get(&f->by_address, address_hash(a));

    if (!w || address_is(w, a))
        return w && w->alive ? w : NULL;
    for (size_t i = 0; i < f->count; i++) /* two addresses of one hash: rare, but peers may choose them */
        if (f->workers[i]->alive && address_is(f->workers[i], a))
            return f->workers[i];
    return NULL;
}

uint32_t fleet_alive(const struct fleet *f)
{
    uint32_t alive = 0;

    for (size_t i = 0; i < f->count; i++)
        alive += f->workers[i]->alive;
    return alive;
}

bool worker_counted_on(const struct fleet *f, const struct worker *w, int64_t now_ms)
{
    if (w->alive || w->left)
        return w->alive;
    if (!w->heard_ms) /* known from the store: what it ran is adopted, and it looks for us */
        return w->running_count || now_ms - f->opened_ms < f->lease_ms;
    return now_ms - w->heard_ms < FLEET_AWAY_MS;
}

uint32_t fleet_counted_on(const struct fleet *f, int64_t now_ms)
{
    uint32_t count = 0;

    for (size_t i = 0; i < f->count; i++)
        count += worker_counted_on(f, f->workers[i], now_ms);
    return count;
}

void worker_heard(struct worker *w, int64_t now_ms)
{
    w->heard_ms = now_ms;
}

void worker_gone(struct worker *w)
{
    w->alive = false;
    w->credit = 0;
    w->running_count = 0;
}

int64_t worker_silent_at_ms(const struct fleet *f, const struct worker *w)
{
    return w->alive ? w->heard_ms + FLEET_MISSED_HEARTBEATS * f->heartbeat_ms : INT64_MAX;
}

void worker_start(struct worker *w, struct task_id t)
{
    if (!worker_runs(w, t) && w->running_count < WORKER_MAX_RUNNING)
        w->running[w->running_count++] = t;
    if (w->credit)
        w->credit--;
}

bool worker_runs(const struct worker *w, struct task_id t)
{
    for (uint32_t i = 0; i < w->running_count; i++)
        if (w->running[i].v == t.v)
            return true;
    return false;
}

void worker_stop(struct worker *w, struct task_id t)
{
    for (uint32_t i = 0; i < w->running_count; i++)
        if (w->running[i].v == t.v) {
            w->running[i] = w->running[--w->running_count];
            return;
        }
}

static uint64_t held_mark(const struct digest *d)
{
    uint64_t v;

    memcpy(&v, d->bytes, sizeof v);
    return v;
}

bool worker_holds(const struct worker *w, const struct digest *d)
{
    uint64_t mark = held_mark(d);
    const uint64_t *set = w->held[mark % WORKER_HELD_SETS];

    for (int i = 0; i < WORKER_HELD_WAYS; i++)
        if (set[i] == mark)
            return true;
    return false;
}

void worker_hold(struct worker *w, const struct digest *d)
{
    uint64_t mark = held_mark(d), set = mark % WORKER_HELD_SETS;

    if (worker_holds(w, d))
        return;
    w->held[set][w->held_next[set]] = mark;
    w->held_next[set] = (uint8_t)((w->held_next[set] + 1) % WORKER_HELD_WAYS);
}

void worker_ran_short(struct worker *w, const struct task *t, int64_t now_ms)
{
    int64_t footprint = task_footprint(t);

    if (!worker_is_short(w, t, now_ms))
        w->short_of[t->kind] = footprint;
    w->short_ms[t->kind] = now_ms;
}

bool worker_is_short(const struct worker *w, const struct task *t, int64_t now_ms)
{
    int64_t least = w->short_of[t->kind];

    return least && task_footprint(t) >= least && now_ms - w->short_ms[t->kind] < WORKER_SHORT_MS;
}

void worker_measure(struct worker *w, enum task_kind k, double units, int64_t ms)
{
    if (units <= 0 || ms <= 0)
        return;
    uint32_t n = w->measures[k]++;
    if (n)
        w->recent_ms[k][(n - 1) % WORKER_RECENT] = (double)ms / units;
    else
        w->cold_ms[k] = (double)ms / units;
}

/* The best of late: whatever else a machine does only makes it slower. 0: not measured. */
static double warm_ms(const struct worker *w, enum task_kind k)
{
    double best = 0;

    for (uint32_t i = 0; i < WORKER_RECENT; i++)
        if (w->recent_ms[k][i] > 0 && (!(best > 0) || w->recent_ms[k][i] < best))
            best = w->recent_ms[k][i];
    return best;
}

static double fleet_mean(const struct fleet *f, enum task_kind k)
{
    double warm = 0, cold = 0;
    int warm_count = 0, cold_count = 0;

    for (size_t i = 0; i < f->count; i++) {
        double ms = warm_ms(f->workers[i], k);

        warm += ms;
        warm_count += ms > 0;
        cold += f->workers[i]->cold_ms[k];
        cold_count += f->workers[i]->cold_ms[k] > 0;
    }
    return warm_count ? warm / warm_count : cold_count ? cold / cold_count : 0;
}

struct fleet_means fleet_means(const struct fleet *f)
{
    struct fleet_means means = { { 0 } };

    for (int k = 0; k < TASK_KINDS; k++)
        means.ms[k] = fleet_mean(f, (enum task_kind)k);
    for (int k = 0; k < TASK_KINDS; k++)
        if (!(means.ms[k] > 0))
            means.ms[k] = means.ms[TASK_DENOISE];
    return means;
}

double worker_own_ms_per_unit(const struct worker *w, enum task_kind k)
{
    double own = warm_ms(w, k);

    return own > 0 ? own : w->cold_ms[k];
}

double worker_ms_per_unit(const struct worker *w, enum task_kind k, const struct fleet_means *means)
{
    double own = warm_ms(w, k);

    return own > 0 ? own : means->ms[k];
}

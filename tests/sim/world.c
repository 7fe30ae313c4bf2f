/* world - see world.h: the clock, the events, and what goes wrong when. */
#include "tests/sim/world.h"

#include "common/base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No commit for so long, though tasks are open: first the faults end, then the farm is stuck. */
#define PATIENCE_MS (10 * 60 * 1000)
#define SETTLING_MS (2 * 60 * 1000) /* after the last campaign's end: outboxes must be empty then */

const char *const fault_names[FAULT_COUNT] = {
    [FAULT_DROP] = "messages lost",
    [FAULT_REPEAT] = "messages repeated",
    [FAULT_DELAY] = "messages late by seconds",
    [FAULT_REORDER] = "messages overtaken",
    [FAULT_GARBLE] = "messages garbled",
    [FAULT_FORGE] = "reports forged",
    [FAULT_CUT] = "messages lost in partitions",
    [FAULT_RECONNECT] = "connections broken",
    [FAULT_WORKER_KILL] = "workers killed",
    [FAULT_WORKER_WIPE] = "workers killed with their disk",
    [FAULT_STALL] = "workers stalled",
    [FAULT_HANG] = "tasks that stood still",
    [FAULT_CLOCK] = "clocks jumped",
    [FAULT_TASK] = "attempts failed",
    [FAULT_LOST_OUTPUT] = "outputs lost on the worker",
    [FAULT_KILL] = "coordinator killed",
    [FAULT_POWER] = "coordinator without power",
    [FAULT_DISK_FULL] = "database disk full",
    [FAULT_DISK_ERROR] = "database disk errors",
    [FAULT_BLOB_FULL] = "blobs without room",
    [FAULT_BLOB_LOST] = "stored blobs lost",
    [FAULT_REVOKE] = "keys revoked",
    [FAULT_TRESPASS] = "requests beyond a key",
};

const char *const plant_names[PLANT_COUNT] = {
    [PLANT_NONE] = "none",
    [PLANT_NO_FENCE] = "no-fence",
    [PLANT_EARLY_REPLY] = "early-reply",
    [PLANT_NO_SYNC] = "no-sync",
    [PLANT_LOST_RECORD] = "lost-record",
    [PLANT_FORGOTTEN] = "forgotten",
    [PLANT_TOKEN] = "token",
    [PLANT_SAME_ATTEMPT] = "same-attempt",
    [PLANT_LENIENT] = "lenient",
    [PLANT_TAKES] = "takes",
    [PLANT_REVOKED] = "revoked",
    [PLANT_KEY_LOST] = "key-lost",
    [PLANT_REPLAY] = "replay",
    [PLANT_STATE] = "state",
    [PLANT_CIRCLE] = "circle",
    [PLANT_EVICT] = "evict",
};

struct world *world;

void world_break(struct world *w, const char *fmt, ...)
{
    va_list ap;

    if (*w->broken)
        return;
    va_start(ap, fmt);
    vsnprintf(w->broken, sizeof w->broken, fmt, ap);
    va_end(ap);
}

void world_trace(struct world *w, uint64_t what, uint64_t value)
{
    struct dice mix = { w->trace ^ (what * UINT64_C(0xff51afd7ed558ccd)) ^ value };

    w->trace = dice_u64(&mix);
}

/* ---- events ---- */

static bool sooner(const struct event *a, const struct event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

void world_at(struct world *w, int64_t at_ms, event_handler *handler, uint32_t who, uint64_t token, void *data)
{
    struct schedule *s = &w->schedule;
    const struct event e = { at_ms < w->now_ms ? w->now_ms : at_ms, ++s->order, handler, who, token, data };
    size_t i = s->count++;

    if (s->count > s->room) {
        s->room = s->room ? 2 * s->room : 1024;
        s->heap = xrealloc(s->heap, s->room * sizeof *s->heap);
    }
    for (; i && sooner(&e, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = e;
}

static bool next_event(struct schedule *s, struct event *next)
{
    if (!s->count)
        return false;
    *next = s->heap[0];
    const struct event last = s->heap[--s->count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= s->count)
            break;
        if (child + 1 < s->count && sooner(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!sooner(&s->heap[child], &last))
            break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return true;
}

/* ---- faults ---- */

void fault_count(struct world *w, enum fault f)
{
    w->faults[f]++;
    world_trace(w, 1000 + f, (uint64_t)w->now_ms);
}

bool fault_strikes(struct world *w, enum fault f, uint32_t per_million)
{
    if (w->calm || dice_u64(&w->luck) % 100000000 >= (uint64_t)per_million * w->set.intensity)
        return false;
    fault_count(w, f);
    return true;
}

int64_t fault_next_ms(struct world *w, int64_t mean_ms)
{
    return w->now_ms + dice_between(&w->luck, 1, 2 * mean_ms * 100 / (w->set.intensity ? w->set.intensity : 1));
}

/* Faults of the coordinator and its disks come by the clock. */
static void harm_coordinator(struct world *w, uint32_t who, uint64_t token, void *data)
{
    (void)who, (void)token, (void)data;
    if (w->calm)
        return;
    bool power = dice_u64(&w->luck) & 1;

    coordinator_doom(w, (uint32_t)dice_between(&w->luck, 1, 80), power);
    world_at(w, fault_next_ms(w, 20000), harm_coordinator, 0, 0, NULL);
}

static void harm_blobs(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct digest key;

    (void)who, (void)token, (void)data;
    if (w->calm)
        return;
    if (blobs_lose_one(w, &key)) {
        fault_count(w, FAULT_BLOB_LOST);
        oracle_key_lost(w, &key);
    }
    world_at(w, fault_next_ms(w, 5000), harm_blobs, 0, 0, NULL);
}

static void harm_clock(struct world *w, uint32_t who, uint64_t token, void *data)
{
    (void)who, (void)token, (void)data;
    if (w->calm)
        return;
    fault_count(w, FAULT_CLOCK);
    w->coordinator.wall_off_ms = dice_between(&w->luck, -100000000, 100000000);
    world_at(w, fault_next_ms(w, 60000), harm_clock, 0, 0, NULL);
}

/* ---- running ---- */

bool world_run(struct world *w, const struct settings *s)
{
    struct event e;
    int64_t progress_ms, over_ms = INT64_MAX;
    uint64_t commits = 0;

    *w = (struct world){ .set = *s,
                         .content = { s->seed * UINT64_C(0x9e3779b97f4a7c15) + 1 },
                         .luck = { s->seed * UINT64_C(0xd1342543de82ef95) + 2 },
                         .now_ms = 5000,
                         .calm = s->intensity == 0 };
    world = w;
    log_set_level(s->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    disk_open(w);
    blobs_open(w);
    network_open(w);
    oracle_open(w);
    keys_open(w);
    coordinator_open(w);
    workers_open(w);
    clients_open(w);
    if (!w->calm) {
        world_at(w, fault_next_ms(w, 20000), harm_coordinator, 0, 0, NULL);
        world_at(w, fault_next_ms(w, 5000), harm_blobs, 0, 0, NULL);
        world_at(w, fault_next_ms(w, 60000), harm_clock, 0, 0, NULL);
    }
    progress_ms = w->now_ms;
    while (!*w->broken && w->now_ms < over_ms && next_event(&w->schedule, &e)) {
        w->now_ms = e.at_ms;
        w->events++;
        world_trace(w, e.who, (uint64_t)e.at_ms);
        e.handler(w, e.who, e.token, e.data);
        if (over_ms == INT64_MAX && clients_satisfied(w)) { /* what is on its way still arrives */
            w->calm = true;
            over_ms = w->now_ms + SETTLING_MS;
        }
        if (oracle_commits(w) != commits) {
            commits = oracle_commits(w);
            progress_ms = w->now_ms;
        } else if (over_ms == INT64_MAX && w->now_ms - progress_ms > PATIENCE_MS) {
            if (w->calm)
                world_break(w, "stuck: nothing was committed for %d s, and nothing is in its way", PATIENCE_MS / 1000);
            w->calm = true;
            progress_ms = w->now_ms;
        }
    }
    if (!*w->broken)
        oracle_end(w);
    return !*w->broken;
}

void world_close(struct world *w)
{
    struct event e;

    while (next_event(&w->schedule, &e))
        free(e.data);
    free(w->schedule.heap);
    clients_close(w);
    workers_close(w);
    keys_close(w);
    coordinator_close(w);
    oracle_close(w);
    network_close(w);
    blobs_close(w);
    disk_close(w);
    world = NULL;
}

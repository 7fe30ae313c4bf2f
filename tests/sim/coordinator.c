/* coordinator - the real farm in its turns, with a planner that throws dice: killed, restarted and woken as the world
 * wants. Death comes inside a turn: from that step on nothing that it does has an effect, and what it held in memory is
 * thrown away. */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "coordinator/api/guard.h"
#include "coordinator/farm/planner_thread.h"
#include "coordinator/farm/recover.h"
#include "coordinator/farm/scribe.h"
#include "coordinator/turn.h"
#define fail_msg(...) (fprintf(stderr, __VA_ARGS__), abort())
#include "tests/unit/farm_plan.h"

#define MAX_ORDERS        64
#define SMALL_CACHE_BYTES 3000 /* some 30 outputs: every other farm has no room for more that it could make again */

/* ---- the planner ---- */

struct planner_thread {
    struct world *w;
    struct plan_answer answers[MAX_ORDERS];
    int64_t ready_ms[MAX_ORDERS];
    size_t count;
};

static void something_ready(struct world *w, uint32_t who, uint64_t token, void *data)
{
    (void)who, (void)token, (void)data;
    if (w->coordinator.up)
        coordinator_wake(w);
}

void planner_thread_ask(struct planner_thread *t, const struct plan_order *o)
{
    struct grammar *g = farm_grammar();
    struct str text = { 0 };

    if (t->count == MAX_ORDERS) {
        world_break(t->w, "planner: more than %d orders at once", MAX_ORDERS);
    } else {
        farm_roll_plan(g, o->given, o->given_count, o->duration_ms, digest_of(o->prompt, strlen(o->prompt)).bytes[0],
                       &text);
        t->ready_ms[t->count] = t->w->now_ms + dice_between(&t->w->luck, 1, 2000);
        world_at(t->w, t->ready_ms[t->count], something_ready, 0, 0, NULL);
        t->answers[t->count++] = (struct plan_answer){ .job = o->job, .key = o->key, .plan = text.data };
    }
    grammar_close(&g);
}

bool planner_thread_take(struct planner_thread *t, struct plan_answer *a)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->ready_ms[i] > t->w->now_ms)
            continue;
        *a = t->answers[i];
        t->answers[i] = t->answers[--t->count];
        t->ready_ms[i] = t->ready_ms[t->count];
        return true;
    }
    return false;
}

static void planner_forget(struct planner_thread *t)
{
    while (t->count)
        free(t->answers[--t->count].plan);
}

/* ---- the scribe ---- */

/* A manifest is written when its time comes: until then a death takes it away. */
struct written {
    struct scribe_order order;
    struct str text;
    int64_t ready_ms;
};

struct scribe {
    struct world *w;
    struct written list[SCRIBE_AT_ONCE];
    size_t count;
};

void scribe_ask(struct scribe *s, const struct scribe_order *o, struct str *text)
{
    if (s->count == SCRIBE_AT_ONCE) {
        world_break(s->w, "scribe: more than %d orders at once", SCRIBE_AT_ONCE);
        return;
    }
    struct written *n = &s->list[s->count++];
    *n = (struct written){ .order = *o, .text = *text, .ready_ms = s->w->now_ms + dice_between(&s->w->luck, 1, 300) };
    *text = (struct str){ 0 };
    world_at(s->w, n->ready_ms, something_ready, 0, 0, NULL);
}

bool scribe_take(struct scribe *s, struct scribe_answer *a)
{
    for (size_t i = 0; i < s->count; i++) {
        struct written *n = &s->list[i];

        if (n->ready_ms > s->w->now_ms)
            continue;
        *a = (struct scribe_answer){ .order = n->order };
        if (store_dir_add_bytes(s->w->blobs, n->text.data, n->text.size, &a->manifest.digest, &a->why))
            a->manifest.bytes = (int64_t)n->text.size;
        str_free(&n->text);
        *n = s->list[--s->count];
        return true;
    }
    return false;
}

static void scribe_forget(struct scribe *s)
{
    while (s->count)
        str_free(&s->list[--s->count].text);
}

/* ---- its clocks ---- */

int64_t coordinator_wall_ms(const struct world *w)
{
    return 1000000000000 + w->now_ms + w->coordinator.wall_off_ms;
}

/* Few parts of the farm read them by themselves. */
int64_t __real_clock_now_ms(void);
int64_t __wrap_clock_now_ms(void);
int64_t __wrap_clock_now_ms(void)
{
    return world ? world->now_ms : __real_clock_now_ms();
}

int64_t __real_clock_wall_ms(void);
int64_t __wrap_clock_wall_ms(void);
int64_t __wrap_clock_wall_ms(void)
{
    return world ? coordinator_wall_ms(world) : __real_clock_wall_ms();
}

/* ---- life and death ---- */

static void start(struct world *w, uint32_t who, uint64_t token, void *data);

enum step coordinator_step(struct world *w)
{
    struct coordinator *c = &w->coordinator;

    if (c->dead)
        return STEP_DEAD;
    if (!c->doomed || --c->doomed)
        return STEP_LIVES;
    fault_count(w, c->power ? FAULT_POWER : FAULT_KILL);
    log_info("sim.death", "power=%d", c->power);
    c->dead = true;
    return STEP_DIES;
}

void coordinator_doom(struct world *w, uint32_t steps, bool power)
{
    if (w->coordinator.doomed)
        return;
    w->coordinator.doomed = steps;
    w->coordinator.power = power;
}

/* The process has ended, one way or the other. */
static void end(struct world *w)
{
    struct coordinator *c = &w->coordinator;
    bool power = c->dead && c->power;

    c->dead = true; /* closing changes nothing on disk any more */
    c->doomed = 0;
    if (c->up)
        farm_close(&c->farm);
    c->up = false;
    store_close(&c->store);
    guard_close(&c->guard);
    network_coordinator_gone(w);
    planner_forget(c->planner);
    scribe_forget(c->scribe);
    c->turn_at_ms = INT64_MAX;
    c->dead = false;
    if (power)
        disk_lose_power(w);
    world_at(w, w->now_ms + dice_between(&w->luck, 100, 4000), start, 0, 0, NULL);
}

static void turn(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct coordinator *c = &w->coordinator;
    struct error err = { 0 };

    (void)who, (void)data;
    if (!c->up || (int64_t)token != c->turn_at_ms)
        return;
    c->turn_at_ms = INT64_MAX;
    c->turns++;
    uint64_t faults = w->faults[FAULT_DISK_FULL] + w->faults[FAULT_DISK_ERROR];
    c->at_work = true;
    bool ok = turn_take(&c->farm, w->now_ms, coordinator_wall_ms(w), &err);
    c->at_work = false;
    if (c->farm.out_room > c->most_out)
        c->most_out = c->farm.out_room;
    if (c->dead || !ok) {
        if (!c->dead && faults == w->faults[FAULT_DISK_FULL] + w->faults[FAULT_DISK_ERROR] && !strstr(err.text, "full"))
            world_break(w, "a turn failed without a fault: %s", err.text);
        end(w);
        return;
    }
    if (c->turns % 1024 == 0)
        oracle_audit(w);
    int64_t at_ms = turn_due_ms(&c->farm);
    if (c->turn_at_ms == INT64_MAX) {
        if (at_ms > w->now_ms + 60000)
            at_ms = w->now_ms + 60000;
        c->turn_at_ms = at_ms <= w->now_ms ? w->now_ms + 1 : at_ms;
        world_at(w, c->turn_at_ms, turn, 0, (uint64_t)c->turn_at_ms, NULL);
    }
}

void coordinator_wake(struct world *w)
{
    struct coordinator *c = &w->coordinator;
    int64_t at_ms = w->now_ms + 1;

    if (c->turn_at_ms <= at_ms)
        return;
    c->turn_at_ms = at_ms; /* the later one, if any, finds that it is not meant */
    world_at(w, at_ms, turn, 0, (uint64_t)at_ms, NULL);
}

static void start(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct coordinator *c = &w->coordinator;
    uint64_t faults = w->faults[FAULT_DISK_FULL] + w->faults[FAULT_DISK_ERROR] + w->faults[FAULT_BLOB_FULL];
    struct error err = { 0 };

    (void)who, (void)token, (void)data;
    if (!w->calm && dice_u64(&w->luck) % 8 == 0) /* not even its start is safe */
        coordinator_doom(w, (uint32_t)dice_between(&w->luck, 1, 40), dice_u64(&w->luck) & 1);
    c->at_work = true;
    c->store = store_open("farm.db", &err);
    if (c->store && keys_guard(w, &c->guard, c->store, coordinator_wall_ms(w), &err))
        c->up = farm_open(&c->farm,
                          &(struct farm_parts){ .pack_dir = c->pack,
                                                .store = c->store,
                                                .blobs = w->blobs,
                                                .workers = network_endpoint(w, false),
                                                .clients = network_endpoint(w, true),
                                                .kernel_proof = { { 42 } },
                                                .scribe = c->scribe,
                                                .planner = c->planner,
                                                .checkpoint_ms = 500,
                                                .cache_bytes = w->set.seed % 2 ? 0 : SMALL_CACHE_BYTES,
                                                .guard = c->guard },
                          &err);
    bool ok = c->up && recover(&c->farm, w->now_ms, coordinator_wall_ms(w), &err);
    c->at_work = false;
    c->farm.eviction.grace_ms = 0;
    if (c->restarts % 2)
        c->farm.tasks_kept = 50;                          /* what has ended is put away soon */
    c->farm.gates.limit[CHECK_FRAMES] = GATE_MOST_FRAMES; /* stand-ins have no frames */
    if (!ok || c->dead) {
        if (!c->dead && !strstr(err.text, "full") &&
            faults == w->faults[FAULT_DISK_FULL] + w->faults[FAULT_DISK_ERROR] + w->faults[FAULT_BLOB_FULL])
            world_break(w, "the coordinator does not start again: %s", err.text);
        end(w);
        return;
    }
    log_info("sim.restart", "at_ms=%" PRId64, w->now_ms);
    c->restarts++;
    workers_reconnect(w);
    oracle_restarted(w);
    oracle_audit(w);
    coordinator_wake(w);
}

/* ---- the pack ---- */

static bool write_pack(struct coordinator *c, struct error *err)
{
    static const char *const files[][2] = {
        { "shotline.json",
          "{\"name\":\"dice\",\"width\":64,\"height\":32,\"fps\":8,\"steps\":8,\"guidance_scale\":2.5,"
          "\"handoff_step\":4,\"window\":5,\"overlap\":2,\"longest_shot\":9,\"references\":1,"
          "\"reference_suffix\":\", on white\",\"max_sequence_length\":32,\"negative_prompt\":\"blurred\"}" },
        { "planner/grammar.json", farm_grammar_json },
        { "vae/config.json", farm_vae_json },
    };
    char path[160];

    strcpy(c->dir, "/tmp/shotline-sim-XXXXXX");
    if (!mkdtemp(c->dir))
        return error_set(err, ERROR_IO, "%s: no folder", c->dir);
    snprintf(c->pack, sizeof c->pack, "%s/pack", c->dir);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", c->pack, files[i][0]);
        char *slash = strrchr(path, '/');
        *slash = '\0';
        if (!file_make_dirs(path, 0700, err))
            return false;
        *slash = '/';
        if (!file_write(path, files[i][1], strlen(files[i][1]), err))
            return false;
    }
    return true;
}

void coordinator_open(struct world *w)
{
    struct coordinator *c = &w->coordinator;
    struct error err = { 0 };

    c->planner = xcalloc(1, sizeof *c->planner);
    c->planner->w = w;
    c->scribe = xcalloc(1, sizeof *c->scribe);
    c->scribe->w = w;
    c->turn_at_ms = INT64_MAX;
    if (!write_pack(c, &err))
        world_break(w, "%s", err.text);
    bool calm = w->calm;
    w->calm = true; /* its first start is undisturbed */
    if (!*w->broken)
        start(w, 0, 0, NULL);
    w->calm = calm;
}

void coordinator_close(struct world *w)
{
    struct coordinator *c = &w->coordinator;
    struct error err;

    if (c->up)
        farm_close(&c->farm);
    c->dead = true;
    store_close(&c->store);
    guard_close(&c->guard);
    planner_forget(c->planner);
    free(c->planner);
    scribe_forget(c->scribe);
    free(c->scribe);
    file_remove_tree(c->dir, &err);
}

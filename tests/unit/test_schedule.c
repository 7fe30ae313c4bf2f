/* links: shotline_coordinator_core */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "coordinator/core/schedule.h"
#include "tests/unit/farm_graph.h"

#include <stdlib.h>

#define HEARTBEAT_MS 2000
#define LEASE_MS     15000

static struct worker *join(struct fleet *f, const char *name, uint8_t boot, int64_t now_ms)
{
    uint8_t boot_id[16] = { boot };
    bool restarted;
    struct worker *w = fleet_hello(f,
                                   &(struct worker_hello){ .name = name,
                                                           .boot_id = boot_id,
                                                           .device = "d",
                                                           .device_bytes = 100,
                                                           .address = { .size = 1, .bytes = { boot } } },
                                   now_ms, &restarted);
    w->credit = 1;
    return w;
}

/* Takes candidates, assigns, and gives the rest back, as the coordinator does. */
static size_t assign(struct fleet *f, struct ledger *l, int64_t now_ms, struct assignment *made)
{
    struct task *tasks[64];
    size_t count = schedule_candidates(l->campaigns, l->campaign_count, tasks, 64);
    size_t n = schedule_assign(f, l, tasks, count, now_ms, made);

    for (size_t i = 0; i < count; i++)
        queue_push(tasks[i]);
    return n;
}

static void start(struct ledger *l, const struct assignment *a, int64_t now_ms)
{
    task_lease(l, a->task, a->worker->id, now_ms, LEASE_MS);
    worker_start(a->worker, a->task->id);
}

/* Three silent heartbeats and a worker is lost; anything it says keeps it. */
static void three_missed_heartbeats_are_too_many(void **state)
{
    (void)state;
    struct fleet f = { .heartbeat_ms = HEARTBEAT_MS, .lease_ms = LEASE_MS };
    struct worker *w = join(&f, "a", 1, 1000);

    assert_int_equal(worker_silent_at_ms(&f, w), 1000 + 3 * HEARTBEAT_MS);
    worker_heard(w, 5000);
    assert_int_equal(worker_silent_at_ms(&f, w), 5000 + 3 * HEARTBEAT_MS);
    worker_gone(w);
    assert_int_equal(worker_silent_at_ms(&f, w), INT64_MAX);
    fleet_free(&f);
}

/* A new process under a dead worker's name takes its id over; under a living one's name it is a second worker. */
static void boot_ids_tell_processes_apart(void **state)
{
    (void)state;
    struct fleet f = { .heartbeat_ms = HEARTBEAT_MS, .lease_ms = LEASE_MS };
    struct worker_hello h = { .name = "a", .boot_id = (uint8_t[16]){ 1 }, .device = "d" };
    bool restarted;
    struct worker *first = fleet_hello(&f, &h, 0, &restarted);
    struct worker_id id = first->id;

    assert_false(restarted);
    assert_ptr_equal(fleet_hello(&f, &h, 5, &restarted), first); /* the same process, said again */
    assert_false(restarted);
    h.boot_id = (uint8_t[16]){ 2 };
    struct worker *second = fleet_hello(&f, &h, 10, &restarted);
    assert_ptr_not_equal(second, first);
    assert_false(restarted);
    worker_gone(fleet_worker(&f, id));
    h.boot_id = (uint8_t[16]){ 3 };
    struct worker *third = fleet_hello(&f, &h, 20, &restarted);
    assert_true(restarted);
    assert_int_equal(third->id.v, id.v);
    assert_int_equal(fleet_alive(&f), 2);
    fleet_free(&f);
}

/* Ready tasks are spread: two idle workers get the two ranges of a shot, one each. */
static void ranges_go_to_different_workers(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct fleet f = { .heartbeat_ms = HEARTBEAT_MS, .lease_ms = LEASE_MS };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct assignment made[64];

    for (int i = 0; i < 3; i++)
        graph_finish(&l, graph_lease(&l, c, 9, 0), 10);
    struct worker *a = join(&f, "a", 1, 0), *b = join(&f, "b", 2, 0);
    a->credit = 2; /* room for both would be there */
    assert_int_equal(assign(&f, &l, 0, made), 2);
    assert_ptr_not_equal(made[0].worker, made[1].worker);
    (void)b;
    fleet_free(&f);
    ledger_free(&l);
}

/* A task waits for a fast worker that will be free soon rather than start on one that would finish later. */
static void slow_workers_do_not_hold_up_fast_ones(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct fleet f = { .heartbeat_ms = HEARTBEAT_MS, .lease_ms = LEASE_MS };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct assignment made[64];
    struct worker *fast = join(&f, "fast", 1, 0), *slow = join(&f, "slow", 2, 0);

    for (int i = 0; i < 2; i++) {
        worker_measure(fast, TASK_TEXT, 100, 1000); /* 1 s for a task of these graphs */
        worker_measure(slow, TASK_TEXT, 100, 60000);
    }
    slow->credit = 0;
    assert_int_equal(assign(&f, &l, 0, made), 1);
    start(&l, &made[0], 0);
    slow->credit = 1;
    assert_int_equal(assign(&f, &l, 500, made), 0); /* fast again: at 2 s, slow: at 60.5 s */
    assert_int_equal(c->queue_count, 1);
    /* When the fast one is late without end, its time counts as lost and the slow one gets the task after all. */
    assert_int_equal(assign(&f, &l, 200000, made), 1);
    assert_ptr_equal(made[0].worker, slow);
    fleet_free(&f);
    ledger_free(&l);
}

static double ms_per_unit(const struct fleet *f, const struct worker *w, enum task_kind k)
{
    const struct fleet_means means = fleet_means(f);

    return worker_ms_per_unit(w, k, &means);
}

/* The first task of a kind, with its loading and compiling, does not make a worker slow; the best of the later ones
 * tells. */
static void cold_starts_do_not_count(void **state)
{
    (void)state;
    struct fleet f = { .heartbeat_ms = HEARTBEAT_MS, .lease_ms = LEASE_MS };
    struct worker *a = join(&f, "a", 1, 0), *b = join(&f, "b", 2, 0);

    assert_true(ms_per_unit(&f, a, TASK_DECODE) == 0);
    worker_measure(a, TASK_DECODE, 1, 60000);
    assert_true(ms_per_unit(&f, a, TASK_DECODE) == 60000); /* better than nothing */
    worker_measure(b, TASK_DECODE, 1, 50000);
    worker_measure(b, TASK_DECODE, 1, 1000);
    assert_true(ms_per_unit(&f, a, TASK_DECODE) == 1000); /* as others, warm */
    worker_measure(b, TASK_DECODE, 1, 1500);              /* a busy moment */
    assert_true(ms_per_unit(&f, b, TASK_DECODE) == 1000);
    for (int i = 0; i < WORKER_RECENT; i++)
        worker_measure(b, TASK_DECODE, 1, 3000); /* it has become slower for good */
    assert_true(ms_per_unit(&f, b, TASK_DECODE) == 3000);
    fleet_free(&f);
}

/* Of two idle workers the one that holds the inputs gets the task. */
static void work_goes_where_its_blobs_are(void **state)
{
    (void)state;
    for (int holder = 0; holder < 2; holder++) {
        struct ledger l = { 0 };
        struct fleet f = { .heartbeat_ms = HEARTBEAT_MS, .lease_ms = LEASE_MS };
        struct campaign *c = graph_campaign(&l, 1, false);
        struct assignment made[64];
        struct worker *w[2] = { join(&f, "a", 1, 0), join(&f, "b", 2, 0) };

        for (int i = 0; i < 2; i++)
            graph_finish(&l, graph_lease(&l, c, 9, 0), 10);
        struct task *anchor = &c->videos[0].tasks[G_ANCHOR];
        anchor->inputs[0].blob.bytes = 500000000;
        worker_hold(w[holder], &anchor->inputs[0].blob.digest);
        assert_int_equal(assign(&f, &l, 0, made), 1);
        assert_ptr_equal(made[0].worker, w[holder]);
        fleet_free(&f);
        ledger_free(&l);
    }
}

/* Campaigns of one priority share the farm; a higher priority goes first. */
static void campaigns_share_fairly(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct fleet f = { .heartbeat_ms = HEARTBEAT_MS, .lease_ms = LEASE_MS };
    struct campaign *a = graph_campaign(&l, 8, false), *b = graph_campaign(&l, 8, false);
    struct assignment made[64];

    for (uint8_t i = 0; i < 6; i++)
        join(&f, (char[]){ 'w', (char)('a' + i), 0 }, (uint8_t)(i + 1), 0);
    size_t n = assign(&f, &l, 0, made);
    assert_int_equal(n, 6);
    for (size_t i = 0; i < n; i++)
        start(&l, &made[i], 0);
    assert_int_equal(a->running, 3);
    assert_int_equal(b->running, 3);

    b->priority = 1;
    for (size_t i = 0; i < f.count; i++)
        f.workers[i]->credit = 1;
    n = assign(&f, &l, 10, made);
    assert_int_equal(n, 6);
    for (size_t i = 0; i < n; i++) /* all five that b has left, then one of a */
        assert_ptr_equal(made[i].task->video->campaign, i < 5 ? b : a);
    fleet_free(&f);
    ledger_free(&l);
}

/* A worker on which a task failed never gets it again; when that holds for all, the task is given up. */
static void failed_tasks_go_elsewhere_or_nowhere(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct fleet f = { .heartbeat_ms = HEARTBEAT_MS, .lease_ms = LEASE_MS };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct assignment made[64];
    struct worker *a = join(&f, "a", 1, 0), *b = join(&f, "b", 2, 0);
    int64_t away_ms = FLEET_AWAY_MS + 1;
    struct task_failure failure = {
        .worker = a->id, .failure = FAILURE_MEMORY, .reason = "too big", .device_bytes = 100, .able_workers = 2
    };

    b->credit = 0;
    assert_int_equal(assign(&f, &l, 0, made), 1);
    struct task *t = made[0].task;
    for (int profile = PROFILE_USUAL; profile <= PROFILE_LEAN; profile++) {
        assert_int_equal(t->profile, profile);
        assert_true(schedule_suits(a, t));
        task_lease(&l, t, a->id, 0, LEASE_MS);
        task_failed(&l, t, &failure, 0);
    }
    a->credit = 1;
    b->device_bytes = 100; /* no more than what was not enough */
    size_t n = assign(&f, &l, 0, made);
    bool given_up = false;
    for (size_t i = 0; i < n; i++) {
        assert_false(made[i].task == t && made[i].worker);
        given_up = given_up || (made[i].task == t && !made[i].worker);
    }
    assert_true(given_up);
    b->device_bytes = 200;
    b->credit = 1;
    n = assign(&f, &l, 0, made);
    for (size_t i = 0; i < n; i++)
        if (made[i].task == t)
            assert_ptr_equal(made[i].worker, b);

    /* One that was here a moment ago may be back; one that said goodbye is not waited for. */
    b->alive = false;
    n = assign(&f, &l, 0, made);
    for (size_t i = 0; i < n; i++)
        assert_false(made[i].task == t);
    for (int left = 0; left < 2; left++) {
        given_up = false;
        b->left = left;
        n = assign(&f, &l, left ? 0 : away_ms, made);
        for (size_t i = 0; i < n; i++)
            given_up = given_up || (made[i].task == t && !made[i].worker);
        assert_true(given_up);
    }
    (void)c;
    fleet_free(&f);
    ledger_free(&l);
}

/* What a task taught of a worker's memory holds for those of its kind that are no smaller, until its process or half an
 * hour ends. */
static void a_worker_short_of_memory_is_remembered(void **state)
{
    (void)state;
    struct fleet f = { .heartbeat_ms = HEARTBEAT_MS, .lease_ms = LEASE_MS };
    struct worker *w = join(&f, "a", 1, 0);
    struct task small = { .kind = TASK_DENOISE, .denoise = { .width = 64, .height = 64, .window_count = 5 } };
    struct task same = small, large = small, other = { .kind = TASK_DECODE, .decode = { .width = 640, .height = 640 } };
    bool restarted;

    same.denoise.window_count = large.denoise.window_count = 9;
    large.denoise.width = 128;
    assert_false(worker_is_short(w, &large, 0));
    worker_ran_short(w, &large, 0);
    worker_ran_short(w, &same, 1000);
    worker_ran_short(w, &large, 2000); /* the smallest counts */
    assert_true(worker_is_short(w, &same, 2000));
    assert_false(worker_is_short(w, &small, 2000));
    assert_false(worker_is_short(w, &other, 2000));
    assert_true(worker_is_short(w, &large, 2000 + WORKER_SHORT_MS - 1));
    assert_false(worker_is_short(w, &large, 2000 + WORKER_SHORT_MS));
    worker_gone(w);
    fleet_hello(&f, &(struct worker_hello){ .name = "a", .boot_id = (uint8_t[16]){ 2 }, .device = "d" }, 3000,
                &restarted);
    assert_true(restarted);
    assert_false(worker_is_short(w, &large, 3000));
    fleet_free(&f);
}

/* What an attempt of this profile needs. */
static int64_t need_bytes(const struct task *t, int64_t need)
{
    return t->profile == PROFILE_LEAN ? need / 2 : need;
}

/* Whatever the sizes: a profile is never tried again on a device no larger than one where it failed, and a task ends
 * well exactly when the largest device is large enough for it lean, or for it as usual when it came there first. */
static void out_of_memory_never_goes_around_in_a_circle(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 300; seed++) {
        struct ledger l = { 0 };
        struct fleet f = { .heartbeat_ms = HEARTBEAT_MS, .lease_ms = LEASE_MS };
        struct campaign *c = graph_campaign(&l, 1, false);
        struct assignment made[64];
        int64_t failed[2] = { -1, -1 }, largest = 0;
        struct task *t = &c->videos[0].tasks[G_TEXT];
        unsigned dice = seed, workers = 1 + seed % 6;
        int64_t need = 50 + (int64_t)(seed * 37 % 400);

        queue_remove(t);
        while (queue_pop(c))
            continue; /* it alone */
        queue_push(t);
        for (unsigned i = 0; i < workers; i++) {
            struct worker *w = join(&f, (char[]){ (char)('a' + i), 0 }, (uint8_t)(i + 1), 0);

            dice = dice * 1103515245u + 12345u;
            w->device_bytes = 100 + dice / 65536 % 4 * 50;
            largest = w->device_bytes > largest ? w->device_bytes : largest;
        }
        for (int tries = 0; t->state == TASK_READY; tries++) {
            assert_true(tries <= 2 + (int)workers);
            assert_int_equal(assign(&f, &l, 0, made), 1);
            struct worker *w = made[0].worker;
            if (!w) {
                task_unplaceable(&l, t, 0);
                break;
            }
            assert_true(w->device_bytes > failed[t->profile]);
            task_lease(&l, t, w->id, 0, LEASE_MS);
            if (w->device_bytes >= need_bytes(t, need)) {
                graph_finish(&l, t, 1);
                break;
            }
            failed[t->profile] = w->device_bytes;
            struct task_failure failure = { .worker = w->id,
                                            .failure = FAILURE_MEMORY,
                                            .reason = "too big",
                                            .device_bytes = w->device_bytes,
                                            .able_workers = workers };
            task_failed(&l, t, &failure, 0);
        }
        assert_int_equal(t->state, largest >= need / 2 ? TASK_DONE : TASK_FAILED);
        assert_true(t->state == TASK_DONE || t->reason == REASON_NO_MEMORY);
        fleet_free(&f);
        ledger_free(&l);
    }
}

/* The time that is left comes from measured speed and shrinks as work is done; without any measure there is none. */
static void the_eta_is_measured(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct fleet f = { .heartbeat_ms = HEARTBEAT_MS, .lease_ms = LEASE_MS };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct worker *w = join(&f, "a", 1, 0);

    assert_int_equal(schedule_eta_ms(&f, c, 0), -1);
    worker_measure(w, TASK_TEXT, 100, 1000);
    worker_measure(w, TASK_DENOISE, 100, 1000); /* other kinds count like it until they are measured */
    assert_int_equal(schedule_eta_ms(&f, c, 0), G_TASKS * 1000);
    graph_finish(&l, graph_lease(&l, c, 1, 0), 1000);
    assert_int_equal(schedule_eta_ms(&f, c, 1000), (G_TASKS - 1) * 1000);
    join(&f, "b", 2, 0);
    assert_int_equal(schedule_eta_ms(&f, c, 1000), (G_TASKS - 1) * 1000 / 2);
    fleet_free(&f);
    ledger_free(&l);
}

/* Progress that a busy worker tells says when it will be free, better than its measured speed. */
static void progress_tells_when_a_worker_is_free(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct fleet f = { .heartbeat_ms = HEARTBEAT_MS, .lease_ms = LEASE_MS };
    struct assignment made[64];
    struct worker *fast = join(&f, "fast", 1, 0), *slow = join(&f, "slow", 2, 0);

    graph_campaign(&l, 1, false);
    for (int i = 0; i < 2; i++) {
        worker_measure(fast, TASK_TEXT, 100, 22000);
        worker_measure(slow, TASK_TEXT, 100, 60000);
    }
    slow->credit = 0;
    assert_int_equal(assign(&f, &l, 0, made), 1);
    start(&l, &made[0], 0);
    slow->credit = 1;
    /* After 40 s of 22, with 6 of 8 steps done: free in 13 s, and done with the next one long before 60 s are over. */
    made[0].task->step = 6;
    made[0].task->step_count = 8;
    assert_int_equal(assign(&f, &l, 40000, made + 1), 0);
    made[0].task->step = 1; /* free in 280 s */
    assert_int_equal(assign(&f, &l, 40000, made + 1), 1);
    assert_ptr_equal(made[1].worker, slow);
    fleet_free(&f);
    ledger_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_missed_heartbeats_are_too_many),
        cmocka_unit_test(boot_ids_tell_processes_apart),
        cmocka_unit_test(ranges_go_to_different_workers),
        cmocka_unit_test(slow_workers_do_not_hold_up_fast_ones),
        cmocka_unit_test(cold_starts_do_not_count),
        cmocka_unit_test(work_goes_where_its_blobs_are),
        cmocka_unit_test(campaigns_share_fairly),
        cmocka_unit_test(failed_tasks_go_elsewhere_or_nowhere),
        cmocka_unit_test(a_worker_short_of_memory_is_remembered),
        cmocka_unit_test(out_of_memory_never_goes_around_in_a_circle),
        cmocka_unit_test(the_eta_is_measured),
        cmocka_unit_test(progress_tells_when_a_worker_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

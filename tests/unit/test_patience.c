/* links: shotline_coordinator_core */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "coordinator/core/patience.h"
#include "coordinator/core/schedule.h"
#include "tests/unit/farm_graph.h"

#define LEASE_MS 15000
#define WALL_MS  1000000

struct scene {
    struct ledger l;
    struct fleet f;
    struct campaign *c;
    struct worker *w;
    struct task *t; /* the anchor, running since 0 */
};

static struct worker *join(struct scene *s, uint8_t boot)
{
    bool restarted;
    char name[] = { (char)('a' + boot), 0 };
    struct worker *w = fleet_hello(
        &s->f, &(struct worker_hello){ .name = name, .boot_id = (uint8_t[16]){ boot }, .device = "d" }, 0, &restarted);

    w->credit = 1;
    return w;
}

static int open_scene(void **state)
{
    struct scene *s = calloc(1, sizeof *s);

    s->f = (struct fleet){ .heartbeat_ms = 2000, .lease_ms = LEASE_MS };
    s->c = graph_campaign(&s->l, 1, true);
    s->w = join(s, 1);
    for (int i = 0; i < 2; i++)
        graph_finish(&s->l, graph_lease(&s->l, s->c, s->w->id.v, 0), 1);
    s->t = graph_lease(&s->l, s->c, s->w->id.v, 0);
    assert_int_equal(s->t->kind, TASK_DENOISE);
    *state = s;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *s = *state;

    fleet_free(&s->f);
    ledger_free(&s->l);
    free(s);
    return 0;
}

static void measure(struct scene *s, int64_t ms)
{
    worker_measure(s->w, TASK_DENOISE, s->t->work, ms);
}

/* A task that tells no steps is late after four times what it should take on this worker, and never within a minute. */
static void lateness_comes_from_measured_speed(void **state)
{
    struct scene *s = *state;

    patience_begin(s->t, s->w); /* nothing is known: half an hour, not a guess of ours */
    assert_int_equal(patience_over(s->t, PATIENCE_UNMEASURED_MS), OVERDUE_NOT);
    assert_int_equal(patience_over(s->t, PATIENCE_UNMEASURED_MS + 1), OVERDUE_LATE);
    measure(s, 100000);
    patience_begin(s->t, s->w);
    assert_int_equal(patience_over(s->t, 400000), OVERDUE_NOT);
    assert_int_equal(patience_over(s->t, 400001), OVERDUE_LATE);
    s->t->profile = PROFILE_LEAN; /* which is slower */
    patience_begin(s->t, s->w);
    assert_int_equal(patience_over(s->t, 400000 * PATIENCE_LEAN), OVERDUE_NOT);
    assert_int_equal(patience_over(s->t, 400000 * PATIENCE_LEAN + 1), OVERDUE_LATE);
    s->t->profile = PROFILE_USUAL;
    measure(s, 10);
    patience_begin(s->t, s->w);
    assert_int_equal(patience_over(s->t, PATIENCE_FLOOR_MS), OVERDUE_NOT);
    assert_int_equal(patience_over(s->t, PATIENCE_FLOOR_MS + 1), OVERDUE_LATE);
}

/* A worker's new process loads everything again: what its former one measured says nothing of its first task. */
static void a_restarted_worker_may_load_its_models(void **state)
{
    struct scene *s = *state;
    bool restarted;

    measure(s, 10);
    worker_gone(s->w);
    fleet_hello(&s->f, &(struct worker_hello){ .name = s->w->name, .boot_id = (uint8_t[16]){ 9 }, .device = "d" }, 0,
                &restarted);
    assert_true(restarted);
    patience_begin(s->t, s->w);
    assert_int_equal(patience_over(s->t, PATIENCE_UNMEASURED_MS), OVERDUE_NOT);
    assert_true(worker_own_ms_per_unit(s->w, TASK_DENOISE) > 0); /* its speed is not forgotten */
}

/* Steps that go on are never late, however slow; a counter that stands still is a stall after ten steps' time. */
static void a_counter_that_stands_still_is_a_stall(void **state)
{
    struct scene *s = *state;
    int64_t now_ms = 0;

    measure(s, 1000);
    patience_begin(s->t, s->w);
    for (uint32_t step = 1; step <= 20; step++) {
        now_ms += 50000; /* a thousand times slower than it was */
        patience_step(s->t, step, 30, now_ms);
        assert_int_equal(patience_over(s->t, now_ms), OVERDUE_NOT);
    }
    for (int beat = 0; beat < 5; beat++) /* heartbeats come, and say the same */
        patience_step(s->t, 20, 30, now_ms + 1000 * beat);
    assert_int_equal(patience_over(s->t, now_ms + 500000), OVERDUE_NOT);
    assert_int_equal(patience_over(s->t, now_ms + 500001), OVERDUE_STALLED);
    patience_step(s->t, 30, 30, now_ms + 1000);
    assert_int_equal(patience_over(s->t, now_ms + 10000000), OVERDUE_NOT); /* its results travel */
}

/* Each time-out doubles the patience and sends the task elsewhere first; after three it fails with its reason. */
static void time_outs_are_bounded(void **state)
{
    struct scene *s = *state;
    struct worker *other = join(s, 2);
    struct assignment made[4];

    measure(s, 100000);
    for (uint32_t i = 0; i <= TASK_MAX_TIMEOUTS; i++) {
        int64_t limit_ms = INT64_C(400000) << i;

        assert_int_equal(s->t->state, TASK_RUNNING);
        patience_begin(s->t, s->w);
        s->t->dispatched_ms = 0;
        assert_int_equal(patience_over(s->t, limit_ms), OVERDUE_NOT);
        assert_int_equal(patience_over(s->t, limit_ms + 1), OVERDUE_LATE);
        struct attempt a = s->t->attempt;
        task_timed_out(&s->l, s->t, "not done after 400 s", WALL_MS);
        assert_false(task_readopt(&s->l, s->t, s->w->id, a, 0, LEASE_MS)); /* given up is given up */
        if (i == TASK_MAX_TIMEOUTS)
            break;
        s->w->credit = other->credit = 1;
        assert_int_equal(schedule_assign(&s->f, &s->l, &s->t, 1, 0, made), 1);
        assert_ptr_equal(made[0].worker, other);
        other->credit = 0;
        assert_int_equal(schedule_assign(&s->f, &s->l, &s->t, 1, 0, made), 1);
        assert_ptr_equal(made[0].worker, s->w); /* better than nobody */
        task_lease(&s->l, s->t, s->w->id, 0, LEASE_MS);
    }
    assert_int_equal(s->t->reason, REASON_TIMED_OUT);
    assert_int_equal(s->c->videos[0].state, WORK_FAILED);
    assert_non_null(strstr(s->c->videos[0].reason, "not done after"));
}

/* Only the attempt that runs saves states, between its first and last step, and each drops the one before; the next
 * attempt begins there and is measured by what is left. */
static void states_of_the_current_attempt_are_kept(void **state)
{
    struct scene *s = *state;
    const struct blob_ref one = { { { 1 } }, 10 }, two = { { { 2 } }, 10 };
    const struct worker_id other = { 77 };
    struct attempt a = s->t->attempt;

    s->t->denoise.step_to = s->t->denoise.steps = 8;
    assert_false(task_checkpoint(&s->l, s->t, other, a, 2, &one));
    assert_false(task_checkpoint(&s->l, s->t, s->w->id, (struct attempt){ a.v + 1 }, 2, &one));
    assert_false(task_checkpoint(&s->l, s->t, s->w->id, a, 0, &one));
    assert_false(task_checkpoint(&s->l, s->t, s->w->id, a, 8, &one));
    assert_true(task_checkpoint(&s->l, s->t, s->w->id, a, 4, &one));
    assert_false(task_checkpoint(&s->l, s->t, s->w->id, a, 4, &two)); /* no progress */
    assert_int_equal(s->l.garbage_count, 0);
    assert_true(task_checkpoint(&s->l, s->t, s->w->id, a, 6, &two));
    assert_int_equal(s->l.garbage_count, 1);
    assert_true(digest_equal(&s->l.garbage[0], &one.digest));
    assert_true(task_attempt_work(s->t) == s->t->work);

    task_lost(&s->l, s->t, WALL_MS);
    assert_false(task_checkpoint(&s->l, s->t, s->w->id, a, 7, &one));
    assert_ptr_equal(graph_lease(&s->l, s->c, s->w->id.v, 0), s->t);
    assert_int_equal(s->t->resumed_step, 6);
    assert_true(task_attempt_work(s->t) == s->t->work / 4);
    struct digest key = s->t->key;
    graph_finish(&s->l, s->t, 5);
    assert_int_equal(s->l.garbage_count, 2); /* done: nobody needs it */
    assert_int_equal(s->t->checkpoint_step, 0);
    assert_true(digest_equal(&key, &s->t->key));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)
    const struct CMUnitTest tests[] = {
        T(lateness_comes_from_measured_speed),     T(a_restarted_worker_may_load_its_models),
        T(a_counter_that_stands_still_is_a_stall), T(time_outs_are_bounded),
        T(states_of_the_current_attempt_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

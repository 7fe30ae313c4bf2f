/* links: shotline_coordinator */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "coordinator/core/figures.h"
#include "tests/unit/farm_graph.h"
#include "tests/unit/farm_sim.h"

/* ---- decisions ---- */

static const struct gate_verdict passed;

static struct gate_verdict flash(double tint)
{
    return (struct gate_verdict){ .count = 1, .faults = { { CHECK_FLASH_TINT, tint, 12 } } };
}

/* Works on everything that is ready, up to the next verdict. */
static struct task *work(struct ledger *l, struct campaign *c)
{
    struct task *t;

    while ((t = graph_lease(l, c, 1, 0)))
        graph_finish_unjudged(l, t, 10);
    return ledger_next_unjudged(l);
}

/* A take that fails is made again with other noise; its prompt and the stitch are not, and the stitch waits. */
static void a_failed_take_is_made_again(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct video *v = &c->videos[0];
    struct task *decode = work(&l, c);
    struct gate_verdict bad = flash(30);

    assert_ptr_equal(decode, &v->tasks[G_DECODE]);
    assert_int_equal(v->tasks[G_STITCH].state, TASK_WAITING);
    takes_judged(&l, decode, &bad, 0);
    assert_int_equal(v->task_count, G_TASKS + 4);
    assert_int_equal(v->shots[0].takes, 2);
    const struct task *anchor = &v->tasks[G_TASKS], *range = anchor + 2, *again = anchor + 3;
    assert_int_equal(anchor->state, TASK_READY);
    assert_int_equal(anchor->denoise.take, 1);
    assert_int_equal(range->role, ROLE_RANGE);
    assert_int_equal(range->inputs[2].from, anchor->position);
    assert_int_equal(again->inputs[1].from, range->position);
    assert_false(digest_equal(&anchor->key, &v->tasks[G_ANCHOR].key));
    assert_int_equal(v->tasks[G_STITCH].state, TASK_WAITING);

    decode = work(&l, c);
    assert_ptr_equal(decode, again);
    takes_judged(&l, decode, &passed, 0);
    assert_int_equal(v->tasks[G_STITCH].state, TASK_READY);
    assert_true(
        digest_equal(&v->tasks[G_STITCH].inputs[0].blob.digest, &task_find_output(decode, OUTPUT_MEZZANINE)->digest));
    graph_finish(&l, graph_lease(&l, c, 1, 0), 10);
    assert_true(video_is_complete(v));

    struct campaign_figures n = { 0 };
    figures_add(&n, v);
    assert_int_equal(n.shots_judged, 1);
    assert_int_equal(n.shots_first_try, 0);
    assert_int_equal(n.shots_passed, 1);
    assert_int_equal(n.retry_ms, 40);
    ledger_free(&l);
}

/* After the last take the best one is shown: the one nearest to its limits. */
static void the_best_take_is_kept(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct video *v = &c->videos[0];
    const double tints[] = { 30, 14, 20 };

    for (int i = 0; i < 3; i++) {
        struct gate_verdict bad = flash(tints[i]);

        takes_judged(&l, work(&l, c), &bad, 0);
    }
    assert_int_equal(v->shots[0].takes, 3);
    assert_int_equal(v->tasks[v->shots[0].settled - 1].take, 1);
    assert_int_equal(v->tasks[G_STITCH].state, TASK_READY);
    struct campaign_figures n = { 0 };
    figures_add(&n, v);
    assert_int_equal(n.shots_settled, 1);
    assert_int_equal(n.shots_passed, 0);
    assert_int_equal(n.retry_ms, 80);
    ledger_free(&l);
}

/* Or the video fails, and says what was measured. */
static void a_campaign_may_rather_fail(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct video *v = &c->videos[0];

    c->takes = 2;
    c->on_gate_failure = GATE_FAIL;
    for (int i = 0; i < 2; i++) {
        struct gate_verdict bad = flash(30 - i);

        assert_false(work_ended(v->state));
        takes_judged(&l, work(&l, c), &bad, 0);
    }
    assert_int_equal(v->state, WORK_FAILED);
    assert_string_equal(v->reason,
                        "shot 1: none of 2 takes passed; the best, take 2: flash: flash_tint is 29, expected at "
                        "most 12");
    ledger_free(&l);
}

/* A mezzanine that is lost after its take was accepted is made again and not judged again. */
static void an_accepted_take_is_not_judged_twice(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct video *v = &c->videos[0];

    takes_judged(&l, work(&l, c), &passed, 0);
    struct task *stitch = queue_pop(c);
    assert_ptr_equal(stitch, &v->tasks[G_STITCH]);
    task_input_gone(&l, stitch, 0, 0);
    assert_int_equal(v->tasks[G_DECODE].state, TASK_READY);
    assert_null(work(&l, c));
    assert_true(video_is_complete(v));
    ledger_free(&l);
}

/* ---- the farm ---- */

#define PROMPT "a monster walks"

/* Shot 1 comes out black so many times. Returns the manifest; the coordinator dies after every `crash_every` results.
 */
static char *film(uint32_t black_takes, int workers, int crash_every)
{
    struct sim *s = sim_new();
    struct sim_lease lease;
    char name[16];

    s->black_shot = 1;
    s->black_takes = black_takes;
    uint64_t id = sim_submit(s, 1, PROMPT, NULL, 9000, NULL);
    for (int i = 1; crash_every && i < 200; i++) {
        snprintf(name, sizeof name, "w%d", i % workers);
        sim_hello(s, name, (uint8_t)(i % 200), &sim_proof);
        sim_ready(s, name);
        if (!sim_lease(s, &lease))
            break;
        sim_done(s, lease.worker, lease.task, lease.attempt, true, 0);
        sim_turn(s);
        if (i % crash_every == 0) {
            sim_crash(s);
            sim_open(s);
        }
    }
    sim_work(s, workers, 3);
    char *manifest = sim_manifest(s, id);
    sim_free(&s);
    return manifest;
}

/* The takes follow from results alone: neither the workers nor restarts between any two results change the manifest. */
static void takes_do_not_depend_on_who_worked(void **state)
{
    (void)state;
    char *first = film(2, 1, 0);

    assert_non_null(strstr(first, "\"take\": 3"));
    assert_non_null(strstr(first, "\"check\": \"black_bright\""));
    for (int crash_every = 0; crash_every <= 3; crash_every++) {
        char *manifest = film(2, 3, crash_every);

        assert_string_equal(manifest, first);
        free(manifest);
    }
    char *good = film(0, 2, 0);
    assert_null(strstr(good, "\"take\": 2"));
    free(good);
    free(first);
}

/* A shot that never passes is shown all the same, is marked as such, with a picture to look at. */
static void the_status_tells_what_failed(void **state)
{
    struct sim *s = *state;

    s->black_shot = 2;
    s->black_takes = 9;
    uint64_t id = sim_submit(s, 1, PROMPT, NULL, 9000, NULL);
    sim_work(s, 2, 1);
    const Shotline__CampaignStatus *c = sim_status(s, id);
    assert_int_equal(c->state, SHOTLINE__WORK_STATE__WORK_DONE);
    assert_int_equal(c->shots_judged, c->videos[0]->n_shots);
    assert_int_equal(c->shots_first_try, c->shots_judged - 1);
    assert_int_equal(c->shots_settled, c->shots_judged);
    assert_int_equal(c->shots_passed, c->shots_judged - 1);
    assert_true(c->retry_ms > 0 && c->retry_ms < c->busy_ms);
    const Shotline__ShotStatus *shot = c->videos[0]->shots[1];
    assert_true(shot->has_passed && !shot->passed);
    assert_int_equal(shot->take, 1);
    assert_int_equal(shot->takes, 3);
    assert_non_null(strstr(shot->fault, "black: black_bright is 2"));
    assert_true(c->videos[0]->shots[0]->passed);

    sim_crash(s); /* it is remembered */
    sim_open(s);
    c = sim_status(s, id);
    assert_int_equal(c->shots_passed, c->shots_judged - 1);
    assert_true(c->retry_ms > 0);
    assert_int_equal(c->videos[0]->shots[1]->takes, 3);
}

/* A campaign that was rendered before takes its takes, too, from the cache. */
static void failed_takes_are_cached_as_well(void **state)
{
    struct sim *s = *state;

    s->black_shot = 1;
    s->black_takes = 1;
    sim_submit(s, 1, PROMPT, NULL, 9000, NULL);
    assert_true(sim_work(s, 2, 1) > 5);
    char *first = sim_manifest(s, 1);
    assert_int_equal(sim_submit(s, 2, PROMPT, NULL, 9000, NULL), 2);
    assert_int_equal(sim_work(s, 2, 1), 0);
    char *again = sim_manifest(s, 2);
    assert_string_equal(again, first);
    free(again);
    free(first);
}

/* Scores that cannot be read are the worker's failure, and no pass. */
static void garbled_scores_are_refused(void **state)
{
    struct sim *s = *state;
    struct sim_lease lease;
    const struct task *t;

    sim_submit(s, 1, PROMPT, NULL, 2000, NULL);
    sim_hello(s, "w", 1, &sim_proof);
    for (;;) {
        sim_ready(s, "w");
        assert_true(sim_lease(s, &lease));
        t = ledger_task(&s->farm.ledger, (struct task_id){ lease.task });
        if (t->kind == TASK_DECODE)
            break;
        sim_done(s, "w", lease.task, lease.attempt, true, 0);
    }
    s->garbled = true;
    sim_done(s, "w", lease.task, lease.attempt, true, 0);
    sim_turn(s);
    assert_int_not_equal(t->state, TASK_DONE);
    assert_null(t->verdict);
    assert_non_null(strstr(t->trouble, "scores"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, sim_setup, sim_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_take_is_made_again),
        cmocka_unit_test(the_best_take_is_kept),
        cmocka_unit_test(a_campaign_may_rather_fail),
        cmocka_unit_test(an_accepted_take_is_not_judged_twice),
        cmocka_unit_test(takes_do_not_depend_on_who_worked),
        T(the_status_tells_what_failed),
        T(failed_takes_are_cached_as_well),
        T(garbled_scores_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

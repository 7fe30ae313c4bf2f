/* links: shotline_coordinator_core */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "coordinator/core/schedule.h"
#include "coordinator/core/standing.h"
#include "tests/unit/farm_graph.h"

static const struct worker_id W1 = { 1 }, W2 = { 2 };

/* Three failures without a success in between, and the worker gets nothing more of that campaign - for a time. */
static void three_failures_set_a_worker_aside(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false), *other = graph_campaign(&l, 1, false);

    assert_false(standing_failed(c, W1, 1000));
    assert_false(standing_failed(c, W1, 1000));
    assert_int_equal(standing_aside_until_ms(c, W1, 1000), 0);
    assert_true(standing_failed(c, W1, 1000));
    assert_int_equal(standing_aside_until_ms(c, W1, 1001), 1000 + STANDING_ASIDE_MS);
    assert_int_equal(standing_aside_until_ms(c, W2, 1001), 0);
    assert_int_equal(standing_aside_until_ms(other, W1, 1001), 0);
    assert_int_equal(standing_campaigns(&l, W1, 1001), 1);

    assert_int_equal(standing_aside_until_ms(c, W1, 1000 + STANDING_ASIDE_MS), 0); /* forgiven... */
    assert_true(standing_failed(c, W1, 1000 + STANDING_ASIDE_MS));                 /* ...on probation */
    ledger_free(&l);
}

static void a_success_wipes_failures_out(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);

    for (int i = 0; i < 5; i++) { /* one in three fails: no reason to set it aside */
        assert_false(standing_failed(c, W1, i));
        assert_false(standing_failed(c, W1, i));
        standing_done(c, W1);
    }
    assert_int_equal(c->standing_count, 0);
    standing_done(c, W1); /* nothing to wipe out */
    ledger_free(&l);
}

static void a_success_elsewhere_forgives_on_probation(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);

    graph_campaign(&l, 1, false);
    for (int i = 0; i < 3; i++)
        standing_failed(c, W1, 0);
    standing_failed(c, W2, 0);
    standing_forgive(&l, W1);
    assert_int_equal(standing_aside_until_ms(c, W1, 1), 0);
    assert_true(standing_failed(c, W1, 1));
    assert_false(standing_failed(c, W2, 1));
    ledger_free(&l);
}

/* A set-aside worker gets other campaigns' tasks, and the task waits for somebody better rather than fail. */
static void a_set_aside_worker_is_passed_over(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct fleet f = { .heartbeat_ms = 2000, .lease_ms = 15000 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct assignment made[8];
    bool restarted;
    const struct worker_hello h = { .name = "w", .boot_id = (uint8_t[16]){ 1 }, .device = "d" };
    struct worker *w = fleet_hello(&f, &h, 0, &restarted);
    struct task *t = queue_pop(c);

    w->credit = 1;
    for (int i = 0; i < 3; i++)
        standing_failed(c, w->id, 0);
    assert_int_equal(schedule_assign(&f, &l, &t, 1, 1, made), 0);
    t->failed_on[t->failed_count++] = (struct worker_id){ 99 }; /* failed elsewhere as well: still it waits */
    assert_int_equal(schedule_assign(&f, &l, &t, 1, 1, made), 0);
    assert_int_equal(schedule_assign(&f, &l, &t, 1, STANDING_ASIDE_MS, made), 1);
    assert_ptr_equal(made[0].worker, w);
    fleet_free(&f);
    ledger_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_failures_set_a_worker_aside),
        cmocka_unit_test(a_success_wipes_failures_out),
        cmocka_unit_test(a_success_elsewhere_forgives_on_probation),
        cmocka_unit_test(a_set_aside_worker_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

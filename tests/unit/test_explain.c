/* links: shotline_coordinator_core shotline_proto */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "coordinator/core/explain.h"
#include "coordinator/core/schedule.h"
#include "coordinator/core/standing.h"
#include "proto/client.pb-c.h"
#include "tests/unit/farm_graph.h"

#define LEASE_MS 15000

struct scene {
    struct ledger l;
    struct fleet f;
    struct campaign *c;
    struct task *t; /* of its first video */
};

static int open_scene(void **state)
{
    struct scene *s = calloc(1, sizeof *s);

    s->f = (struct fleet){ .heartbeat_ms = 2000, .lease_ms = LEASE_MS };
    s->c = graph_campaign(&s->l, 1, true);
    s->t = s->c->videos[0].tasks;
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

static struct worker *join(struct scene *s, uint8_t boot, int64_t bytes)
{
    bool restarted;
    char name[] = { (char)('a' + boot), 0 };
    struct worker *w = fleet_hello(
        &s->f,
        &(struct worker_hello){ .name = name, .boot_id = (uint8_t[16]){ boot }, .device = "d", .device_bytes = bytes },
        0, &restarted);

    w->credit = 1;
    return w;
}

static struct explanation explain(struct scene *s, const struct task *t, enum task_reason expected)
{
    struct explanation e = task_explain(&s->f, &s->l, t, 1);
    char next[256] = "";

    assert_string_equal(task_reason_name(e.reason), task_reason_name(expected));
    explanation_next(&e, t, 1, next, sizeof next);
    assert_true(strlen(next) > 10 && next[strlen(next) - 1] == '.');
    return e;
}

static void what_a_waiting_task_waits_for(void **state)
{
    struct scene *s = *state;

    assert_int_equal(explain(s, &s->t[G_ANCHOR], REASON_INPUTS).other.v, s->t[G_TEXT].id.v);
    explain(s, &s->t[G_TEXT], REASON_NO_WORKER);
    struct campaign *again = graph_campaign(&s->l, 1, true); /* the same work */
    assert_int_equal(explain(s, &again->videos[0].tasks[G_TEXT], REASON_TWIN).other.v, s->t[G_TEXT].id.v);

    struct worker *a = join(s, 1, 100), *b = join(s, 2, 100);
    explain(s, &s->t[G_TEXT], REASON_ALL_BUSY); /* idle, and other tasks go first */
    a->credit = b->credit = 0;
    assert_int_equal(explain(s, &s->t[G_TEXT], REASON_NOT_ASKING).not_asking, 2);
    worker_start(a, s->t[G_NEGATIVE].id);
    b->credit = 1;
    assert_int_equal(explain(s, &s->t[G_TEXT], REASON_FASTER_SOON).worker.v, a->id.v);
    worker_start(b, s->t[G_NEGATIVE].id);
    assert_int_equal(explain(s, &s->t[G_TEXT], REASON_ALL_BUSY).busy, 2);
}

/* Who goes first: the own campaign's queue, then campaigns of a higher priority or with less under way. What is told is
 * what schedule_candidates does. */
static void fair_share_counts_who_goes_first(void **state)
{
    struct scene *s = *state;
    struct worker *a = join(s, 1, 100);
    struct campaign *other = graph_campaign(&s->l, 3, false), *third = graph_campaign(&s->l, 2, false);
    struct task *tasks[64], *last = NULL;

    worker_start(a, (struct task_id){ 999 });
    for (int priority = -1; priority <= 1; priority++)
        for (uint32_t running = 0; running < 4; running++) {
            other->priority = priority;
            s->c->running = running;
            third->running = 2;
            size_t count = schedule_candidates(s->l.campaigns, s->l.campaign_count, tasks, 64);
            for (size_t i = 0; i < count; i++)
                queue_push(tasks[i]);
            for (size_t i = 0; i < count; i++) {
                struct explanation e = task_explain(&s->f, &s->l, tasks[i], 1);

                assert_int_equal(e.ahead + e.ahead_of_others, i);
                assert_int_equal(e.reason, e.ahead_of_others ? REASON_FAIR_SHARE : REASON_ALL_BUSY);
                last = tasks[i];
            }
            assert_true(count > 6 && last);
        }
    explain(s, last, REASON_FAIR_SHARE);
}

static void what_keeps_workers_from_a_task(void **state)
{
    struct scene *s = *state;
    struct task *t = &s->t[G_TEXT];
    struct worker *a = join(s, 1, 100), *b = join(s, 2, 200);

    t->failed_on[t->failed_count++] = a->id;
    t->failed_on[t->failed_count++] = b->id;
    assert_int_equal(explain(s, t, REASON_FAILED_ON_THEM).failed_on, 2);
    t->failed_count = 1;
    t->too_small_bytes = 200;
    assert_int_equal(explain(s, t, REASON_TOO_SMALL).too_small, 1);
    t->too_small_bytes = 0;
    for (int i = 0; i < STANDING_LIMIT; i++)
        standing_failed(s->c, b->id, 0);
    struct explanation e = explain(s, t, REASON_SET_ASIDE);
    assert_int_equal(e.set_aside, 1);
    assert_int_equal(e.until_ms, STANDING_ASIDE_MS);
    a->alive = b->alive = false;
    explain(s, t, REASON_NO_WORKER);
}

static void what_becomes_of_a_running_task(void **state)
{
    struct scene *s = *state;
    struct worker *a = join(s, 1, 100);
    struct task *t = queue_pop(s->c);

    task_lease(&s->l, t, a->id, 0, LEASE_MS);
    struct explanation e = explain(s, t, REASON_RUNNING);
    assert_int_equal(e.worker.v, a->id.v);
    assert_int_equal(e.until_ms, LEASE_MS);
    e = task_explain(&s->f, &s->l, t, 2001);
    assert_int_equal(e.reason, REASON_UNHEARD);
}

static void how_tasks_ended(void **state)
{
    struct scene *s = *state;
    struct campaign *twin = graph_campaign(&s->l, 1, true);

    struct task *t = graph_lease(&s->l, s->c, 1, 0);
    graph_finish(&s->l, t, 5);
    explain(s, t, REASON_DONE);
    explain(s, &twin->videos[0].tasks[t->position], REASON_CACHED);
    t = graph_lease(&s->l, s->c, 1, 0);
    task_failed(&s->l, t,
                &(struct task_failure){
                    .worker = { 1 }, .failure = FAILURE_INPUT, .reason = "a state of no form", .able_workers = 1 },
                0);
    explain(s, t, REASON_BAD_INPUT);
    explain(s, &s->t[G_STITCH], REASON_VIDEO_FAILED);
    campaign_cancel(&s->l, twin, 0);
    explain(s, &twin->videos[0].tasks[G_STITCH], REASON_CANCELLED);
}

/* The numbers are those of the wire, and every one has words. */
static void reasons_are_those_of_the_wire(void **state)
{
    (void)state;
    const ProtobufCEnumDescriptor *d = &shotline__task_reason__descriptor;

    assert_int_equal(REASON_FAILED_ON_THEM, SHOTLINE__TASK_REASON__REASON_FAILED_ON_THEM);
    assert_int_equal(REASON_FAIR_SHARE, SHOTLINE__TASK_REASON__REASON_FAIR_SHARE);
    assert_int_equal(REASON_UNHEARD, SHOTLINE__TASK_REASON__REASON_UNHEARD);
    assert_int_equal(REASON_CACHED, SHOTLINE__TASK_REASON__REASON_CACHED);
    assert_int_equal(REASON_INPUT_GONE, SHOTLINE__TASK_REASON__REASON_INPUT_GONE);
    assert_int_equal(REASON_VIDEO_FAILED, SHOTLINE__TASK_REASON__REASON_VIDEO_FAILED);
    for (unsigned i = 0; i < d->n_values; i++)
        assert_string_not_equal(task_reason_name((enum task_reason)d->values[i].value), "unknown");
    assert_string_equal(task_reason_name((enum task_reason)49), "unknown");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)
    const struct CMUnitTest tests[] = {
        T(fair_share_counts_who_goes_first),
        T(what_a_waiting_task_waits_for),
        T(what_keeps_workers_from_a_task),
        T(what_becomes_of_a_running_task),
        T(how_tasks_ended),
        T(reasons_are_those_of_the_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

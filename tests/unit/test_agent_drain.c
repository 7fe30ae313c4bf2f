/* links: shotline_agent shotline_nn shotline_wire */
/* How a worker leaves, and how the states of long tasks reach the farm. */
#include "tests/unit/agent_world.h"

static void leaving_hands_the_work_back(void **state)
{
    (void)state;
    join();
    lease(7, 1);
    forget_said();
    agent_leave(w.agent, w.now_ms);
    assert_int_equal(w.hand_overs, 1);
    assert_int_equal(agent_state(w.agent), AGENT_LEAVING);
    lease(8, 1);
    assert_int_equal(expect(FAILED)->task, 8); /* no new work */
    agent_failed(w.agent, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED, "cancelled", w.now_ms);
    assert_int_equal(expect(FAILED)->task, 7);
    assert_int_equal(count_since_look(READY), 0);
    ack(7, 1, SHOTLINE__REPORT_VERDICT__REPORT_OK, NULL);
    ack(8, 1, SHOTLINE__REPORT_VERDICT__REPORT_OK, NULL);
    pass(1);
    expect(BYE);
    assert_int_equal(agent_state(w.agent), AGENT_LEFT);
}

static void leaving_does_not_wait_for_ever(void **state)
{
    (void)state;
    join();
    lease(7, 1);
    forget_said();
    agent_leave(w.agent, w.now_ms);
    live(2900);
    assert_int_equal(agent_state(w.agent), AGENT_LEAVING);
    live(200); /* the task did not stop */
    assert_int_equal(expect(FAILED)->task, 7);
    expect(BYE);
    assert_int_equal(count_since_look(BYE), 0);
    assert_int_equal(agent_state(w.agent), AGENT_LEFT);
}

static void an_idle_worker_leaves_at_once(void **state)
{
    (void)state;
    join();
    agent_leave(w.agent, w.now_ms);
    expect(BYE);
    assert_int_equal(agent_state(w.agent), AGENT_LEFT);
}

static void one_that_never_joined_just_goes(void **state)
{
    (void)state;
    pass(0);
    forget_said();
    agent_leave(w.agent, w.now_ms);
    assert_int_equal(w.said_count, 0);
    assert_int_equal(agent_state(w.agent), AGENT_LEFT);
}

/* A task that its steps show to be nearly done is finished first. */
static void a_nearly_finished_task_is_finished(void **state)
{
    struct result r = result_of(7, 1);

    (void)state;
    join();
    lease(7, 1);
    w.now_ms += 9000;
    welcome();
    agent_progress(w.agent, 9, 10); /* a second more */
    agent_leave(w.agent, w.now_ms);
    assert_int_equal(w.hand_overs, 0);
    live(900);
    forget_said();
    agent_done(w.agent, &r, w.now_ms);
    assert_int_equal(expect(DONE)->task, 7);
    assert_int_equal(count_since_look(READY), 0);
    ack(7, 1, SHOTLINE__REPORT_VERDICT__REPORT_OK, NULL);
    pass(1);
    expect(BYE);
    assert_int_equal(agent_state(w.agent), AGENT_LEFT);
}

/* ...but it is handed over when that takes longer than it looked. */
static void a_task_that_drags_on_is_handed_over(void **state)
{
    (void)state;
    join();
    lease(7, 1);
    w.now_ms += 9000;
    welcome();
    agent_progress(w.agent, 9, 10);
    agent_leave(w.agent, w.now_ms);
    live(1400);
    assert_int_equal(w.hand_overs, 0);
    live(200);
    assert_int_equal(w.hand_overs, 1);
}

/* The state of a task that is handed over reaches the farm before the task is given back. */
static void the_last_state_goes_first(void **state)
{
    const struct digest one = digest_of("1", 1), two = digest_of("2", 1);

    (void)state;
    join();
    lease(7, 3);
    agent_checkpoint(w.agent, 4, &one, 100);
    assert_int_equal(w.saves, 1);
    agent_leave(w.agent, w.now_ms);
    forget_said();
    agent_checkpoint(w.agent, 5, &two, 100); /* made on leaving, while the one before is under way */
    assert_int_equal(w.saves, 1);
    agent_failed(w.agent, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED, "cancelled", w.now_ms);
    assert_int_equal(count_since_look(FAILED), 0);
    live(500);
    agent_saved(w.agent, true, w.now_ms);
    assert_int_equal(expect(CHECKPOINT)->step, 4);
    assert_int_equal(w.saves, 2);
    assert_true(digest_equal(&w.saved, &two));
    agent_saved(w.agent, true, w.now_ms);
    const struct said *s = expect(CHECKPOINT);
    assert_int_equal(s->task, 7);
    assert_int_equal(s->attempt, 3);
    assert_int_equal(s->step, 5);
    assert_int_equal(expect(FAILED)->failure, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED);
    ack(7, 3, SHOTLINE__REPORT_VERDICT__REPORT_OK, NULL);
    pass(1);
    expect(BYE);
}

/* A farm that takes no state does not keep the worker for ever. */
static void a_state_that_does_not_arrive_is_left_behind(void **state)
{
    const struct digest one = digest_of("1", 1);

    (void)state;
    join();
    lease(7, 3);
    agent_leave(w.agent, w.now_ms);
    agent_checkpoint(w.agent, 4, &one, 100);
    agent_failed(w.agent, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED, "cancelled", w.now_ms);
    forget_said();
    live(2900);
    assert_int_equal(count_since_look(FAILED), 0);
    live(200);
    assert_int_equal(expect(FAILED)->task, 7);
    expect(BYE);
    assert_int_equal(agent_state(w.agent), AGENT_LEFT);
}

/* States are told one at a time, the newest of those that waited; of an attempt that is over, none. */
static void states_are_told_one_at_a_time(void **state)
{
    const struct digest d[] = { digest_of("1", 1), digest_of("2", 1), digest_of("3", 1) };
    struct result r = result_of(7, 1);

    (void)state;
    join();
    agent_checkpoint(w.agent, 1, &d[0], 100); /* nothing runs */
    assert_int_equal(w.saves, 0);
    lease(7, 1);
    for (uint32_t i = 0; i < 3; i++)
        agent_checkpoint(w.agent, 1 + i, &d[i], 100);
    assert_int_equal(w.saves, 1);
    agent_saved(w.agent, true, w.now_ms);
    assert_int_equal(expect(CHECKPOINT)->step, 1);
    assert_true(digest_equal(&w.saved, &d[2]));
    agent_saved(w.agent, false, w.now_ms); /* could not be sent */
    assert_int_equal(count_since_look(CHECKPOINT), 0);
    agent_checkpoint(w.agent, 4, &d[0], 100);
    agent_done(w.agent, &r, w.now_ms);
    forget_said();
    agent_saved(w.agent, true, w.now_ms);
    assert_int_equal(count_since_look(CHECKPOINT), 0);
    assert_int_equal(w.saves, 3);
}

/* An operator's word is as good as a signal. */
static void a_worker_is_drained_from_afar(void **state)
{
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__Drain drain = SHOTLINE__DRAIN__INIT;

    (void)state;
    join();
    lease(7, 1);
    m.drain = &drain;
    tell(&m);
    tell(&m); /* repeated until it says bye */
    assert_int_equal(w.hand_overs, 1);
    assert_int_equal(agent_state(w.agent), AGENT_LEAVING);
    agent_failed(w.agent, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED, "cancelled", w.now_ms);
    assert_int_equal(expect(FAILED)->task, 7);
    ack(7, 1, SHOTLINE__REPORT_VERDICT__REPORT_OK, NULL);
    pass(1);
    expect(BYE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TALK(leaving_hands_the_work_back),        TALK(leaving_does_not_wait_for_ever),
        TALK(an_idle_worker_leaves_at_once),      TALK(one_that_never_joined_just_goes),
        TALK(a_nearly_finished_task_is_finished), TALK(a_task_that_drags_on_is_handed_over),
        TALK(the_last_state_goes_first),          TALK(a_state_that_does_not_arrive_is_left_behind),
        TALK(states_are_told_one_at_a_time),      TALK(a_worker_is_drained_from_afar),
    };

    log_set_level(LOG_LEVEL_ERROR); /* what goes wrong here is meant to */
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* links: shotline_agent shotline_nn shotline_wire */
/* The worker's side of the conversation, without sockets: what it says, when it says it again, and what it lets go. */
#include "tests/unit/agent_world.h"

/* ---- the promises ---- */

static void hello_is_said_until_it_is_answered(void **state)
{
    (void)state;
    pass(0);
    expect(HELLO);
    live(2500);
    expect(HELLO);
    expect(HELLO);
    assert_int_equal(count_since_look(HEARTBEAT), 0);
    welcome();
    assert_int_equal(agent_state(w.agent), AGENT_JOINED);
    expect(HEARTBEAT);
}

static void work_is_asked_for_only_with_the_pack(void **state)
{
    (void)state;
    pass(0);
    welcome();
    assert_int_equal(w.fetches, 1);
    assert_int_equal(count_since_look(READY), 0);
    live(1500);
    assert_int_equal(w.fetches, 1); /* one at a time */
    assert_int_equal(count_since_look(READY), 0);
    agent_pack_failed(w.agent, &w.pack, w.now_ms);
    live(1000);
    assert_int_equal(w.fetches, 1);
    for (int i = 0; i < 6; i++) {
        live(1000);
        welcome(); /* the coordinator lives on */
    }
    assert_int_equal(w.fetches, 2); /* tried again after a while */
    forget_said();
    agent_pack_held(w.agent, &w.pack, w.now_ms);
    assert_int_equal(expect(HELLO)->count, 1); /* advertises it */
    assert_int_equal(expect(READY)->count, 1);
}

static void ready_is_repeated_until_there_is_work(void **state)
{
    (void)state;
    join();
    live(1000);
    expect(READY);
    lease(7, 1);
    forget_said();
    live(1500);
    assert_int_equal(count_since_look(READY), 0);
    assert_int_equal(expect(HEARTBEAT)->task, 7);
}

static void a_lease_is_begun_once(void **state)
{
    (void)state;
    join();
    lease(7, 2);
    lease(7, 2); /* repeated by the wire */
    assert_int_equal(w.starts, 1);
    assert_int_equal(w.started_task, 7);
    assert_int_equal(w.started_attempt, 2);
    agent_progress(w.agent, 3, 8);
    live(1000);
    assert_int_equal(expect(HEARTBEAT)->step, 3);
}

static void a_second_lease_is_handed_back(void **state)
{
    const struct said *s;

    (void)state;
    join();
    lease(7, 1);
    lease(8, 1);
    assert_int_equal(w.starts, 1);
    s = expect(FAILED);
    assert_int_equal(s->task, 8);
    assert_int_equal(s->failure, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED);
}

static void a_bad_spec_is_refused_and_never_begun(void **state)
{
    Shotline__TaskSpec spec;
    Shotline__StitchTask stitch = SHOTLINE__STITCH_TASK__INIT;
    uint64_t task = 10;

    (void)state;
    join();
    spec = good_spec();
    spec.kind = 99;
    lease_of(task++, 1, &spec);
    assert_int_equal(expect(FAILED)->failure, SHOTLINE__FAILURE_CLASS__FAILURE_INPUT);
    spec = good_spec();
    spec.kind = SHOTLINE__TASK_KIND__TASK_DECODE; /* but carries a text task */
    lease_of(task++, 1, &spec);
    assert_int_equal(expect(FAILED)->failure, SHOTLINE__FAILURE_CLASS__FAILURE_INPUT);
    spec = good_spec();
    spec.stitch = &stitch; /* two at once */
    lease_of(task++, 1, &spec);
    assert_int_equal(expect(FAILED)->failure, SHOTLINE__FAILURE_CLASS__FAILURE_INPUT);
    spec = good_spec();
    spec.text = NULL;
    lease_of(task++, 1, &spec);
    assert_int_equal(expect(FAILED)->failure, SHOTLINE__FAILURE_CLASS__FAILURE_INPUT);
    spec = good_spec();
    spec.key.len = 31;
    lease_of(task++, 1, &spec);
    assert_int_equal(expect(FAILED)->failure, SHOTLINE__FAILURE_CLASS__FAILURE_INPUT);
    spec = good_spec();
    spec.pack = codec_bytes(&w.listing); /* a pack that we do not hold */
    lease_of(task++, 1, &spec);
    assert_int_equal(expect(FAILED)->failure, SHOTLINE__FAILURE_CLASS__FAILURE_WORKER);
    assert_int_equal(w.starts, 0);
}

static void a_lost_ack_makes_the_report_come_again(void **state)
{
    struct result r = result_of(7, 1);

    (void)state;
    join();
    lease(7, 1);
    const uint64_t said = w.last_sequence;
    agent_done(w.agent, &r, w.now_ms);
    expect(DONE);
    expect(READY);                               /* the runner is free meanwhile */
    assert_int_equal(w.last_sequence, said + 1); /* both in one message */
    forget_said();
    live(1000);
    assert_int_equal(expect(DONE)->task, 7);
    live(1000);
    welcome();
    live(1500);
    expect(DONE);
    assert_int_equal(w.settled, 0);
    ack(7, 1, SHOTLINE__REPORT_VERDICT__REPORT_OK, NULL);
    assert_int_equal(w.settled, 1);
    ack(7, 1, SHOTLINE__REPORT_VERDICT__REPORT_OK, NULL); /* repeated by the wire */
    assert_int_equal(w.settled, 1);
    forget_said();
    live(1900);
    assert_int_equal(count_since_look(DONE), 0);
}

static void an_unacknowledged_result_keeps_its_lease(void **state)
{
    struct result r = result_of(7, 1);

    (void)state;
    join();
    lease(7, 1);
    agent_done(w.agent, &r, w.now_ms);
    forget_said();
    live(1000);
    assert_int_equal(expect(HEARTBEAT)->task, 7);
}

static void a_superseded_result_is_dropped(void **state)
{
    struct result r = result_of(7, 1);

    (void)state;
    join();
    lease(7, 1);
    agent_done(w.agent, &r, w.now_ms);
    ack(7, 2, SHOTLINE__REPORT_VERDICT__REPORT_SUPERSEDED, NULL); /* about another attempt: not ours */
    assert_int_equal(w.settled, 0);
    ack(7, 1, SHOTLINE__REPORT_VERDICT__REPORT_SUPERSEDED, NULL);
    assert_int_equal(w.settled, 1);
    forget_said();
    live(1900);
    assert_int_equal(count_since_look(DONE), 0);
}

static void a_missing_blob_is_sent_before_the_next_report(void **state)
{
    struct result r = result_of(7, 1);
    struct digest out = digest_of("out", 3);

    (void)state;
    join();
    lease(7, 1);
    agent_done(w.agent, &r, w.now_ms);
    ack(7, 1, SHOTLINE__REPORT_VERDICT__REPORT_MISSING_BLOB, &out);
    ack(7, 1, SHOTLINE__REPORT_VERDICT__REPORT_MISSING_BLOB, &out); /* repeated by the wire */
    assert_int_equal(w.uploads, 1);
    assert_int_equal(w.uploading_count, 1);
    assert_true(digest_equal(&w.uploading[0], &out));
    forget_said();
    live(1900);
    assert_int_equal(count_since_look(DONE), 0);
    agent_uploaded(w.agent, 7, 1, true, "", w.now_ms);
    expect(DONE);
    assert_int_equal(w.settled, 0);
}

static void a_result_that_cannot_be_sent_becomes_a_failure(void **state)
{
    struct result r = result_of(7, 1);
    struct digest out = digest_of("out", 3);
    const struct said *s;

    (void)state;
    join();
    lease(7, 1);
    agent_done(w.agent, &r, w.now_ms);
    ack(7, 1, SHOTLINE__REPORT_VERDICT__REPORT_MISSING_BLOB, &out);
    forget_said();
    agent_uploaded(w.agent, 7, 1, false, "not in the local store", w.now_ms);
    s = expect(FAILED);
    assert_int_equal(s->failure, SHOTLINE__FAILURE_CLASS__FAILURE_WORKER);
    assert_string_equal(s->reason, "not in the local store");
    assert_int_equal(w.settled, 1); /* out of the outbox */
    ack(7, 1, SHOTLINE__REPORT_VERDICT__REPORT_OK, NULL);
    assert_int_equal(w.settled, 1);
}

static void a_failure_is_said_until_it_is_acknowledged(void **state)
{
    (void)state;
    join();
    lease(7, 1);
    agent_failed(w.agent, SHOTLINE__FAILURE_CLASS__FAILURE_MEMORY, "out of device memory", w.now_ms);
    assert_int_equal(expect(FAILED)->failure, SHOTLINE__FAILURE_CLASS__FAILURE_MEMORY);
    expect(READY);
    live(1000);
    assert_string_equal(expect(FAILED)->reason, "out of device memory");
    ack(7, 1, SHOTLINE__REPORT_VERDICT__REPORT_OK, NULL);
    assert_int_equal(w.settled, 0); /* it never was in the outbox */
    forget_said();
    live(1900);
    assert_int_equal(count_since_look(FAILED), 0);
}

/* What the farm has given up is stopped, and nothing of it is told: not that it stopped, nor a result that came about
 * in the same moment. */
static void what_was_given_up_is_stopped_in_silence(void **state)
{
    struct result r = result_of(8, 1);

    (void)state;
    join();
    lease(7, 2);
    cancel(7, 1);
    cancel(6, 2);
    assert_int_equal(w.cancels, 0);
    cancel(7, 2);
    cancel(7, 2); /* named again by the next heartbeat */
    assert_int_equal(w.cancels, 1);
    forget_said();
    agent_failed(w.agent, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED, "cancelled", w.now_ms);
    assert_int_equal(count_since_look(FAILED), 0);
    expect(READY);

    lease(8, 1);
    cancel(8, 1);
    forget_said();
    agent_done(w.agent, &r, w.now_ms);
    assert_int_equal(count_since_look(DONE), 0);
    assert_int_equal(w.settled, 1); /* out of the outbox */
    expect(READY);
    live(1900);
    assert_int_equal(count_since_look(DONE) + count_since_look(FAILED), 0);
}

static void a_restarted_coordinator_hears_of_running_work_first(void **state)
{
    struct result r = result_of(7, 1);

    (void)state;
    join();
    lease(7, 1);
    agent_done(w.agent, &r, w.now_ms); /* unacknowledged */
    lease(8, 4);
    agent_progress(w.agent, 5, 9);
    forget_said();
    hello_again();
    assert_int_equal(agent_state(w.agent), AGENT_GREETING);
    assert_int_equal(expect(HELLO)->count, 1);
    hello_again(); /* the answer to something said earlier: no second hello now */
    assert_int_equal(count_since_look(HELLO), 0);
    welcome();
    {
        const struct said *s = expect(HEARTBEAT); /* adopted before anything else is said */

        assert_int_equal(s->count, 2);
        assert_int_equal(s->task, 8);
        assert_int_equal(s->attempt, 4);
        assert_int_equal(s->step, 5);
    }
    assert_int_equal(expect(DONE)->task, 7); /* reported again */
    assert_int_equal(w.starts, 2);
    assert_int_equal(w.cancels, 0); /* kept, not thrown away */
}

static void a_silent_coordinator_is_looked_for_ever_more_slowly(void **state)
{
    (void)state;
    join();
    lease(7, 1);
    forget_said();
    live(2100);
    assert_int_equal(w.reconnects, 0);
    expect(HELLO); /* a ping first */
    live(1000);
    assert_int_equal(w.reconnects, 1);
    assert_int_equal(agent_state(w.agent), AGENT_GREETING);
    live(3100);
    assert_int_equal(w.reconnects, 2);
    live(6100);
    assert_int_equal(w.reconnects, 3);
    forget_said();
    for (int i = 0; i < 20; i++) {
        live(30000);
        forget_said();
    }
    assert_in_range(w.reconnects, 20, 25); /* about every 30 s */
    assert_int_equal(w.cancels, 0);        /* what runs goes on */
    welcome();
    assert_int_equal(expect(HEARTBEAT)->task, 7);
    w.reconnects = 0;
    live(3100);
    assert_int_equal(w.reconnects, 1); /* quick again */
}

static void a_ping_that_is_answered_changes_nothing(void **state)
{
    (void)state;
    join();
    lease(7, 1);
    for (int i = 0; i < 10; i++) {
        live(2100);
        expect(HELLO);
        welcome();
        assert_int_equal(count_since_look(DONE) + count_since_look(READY), 0);
    }
    assert_int_equal(w.reconnects, 0);
    assert_int_equal(agent_state(w.agent), AGENT_JOINED);
}

static void a_refusal_ends_the_conversation(void **state)
{
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__Refused refused = SHOTLINE__REFUSED__INIT;

    (void)state;
    pass(0);
    refused.reason = (char *)"version 9 is not spoken here";
    m.refused = &refused;
    tell(&m);
    assert_int_equal(agent_state(w.agent), AGENT_REFUSED);
    assert_string_equal(agent_refusal(w.agent), "version 9 is not spoken here");
    assert_true(agent_deadline_ms(w.agent) == INT64_MAX);
    forget_said();
    pass(100000);
    assert_int_equal(w.said_count, 0);
}

static void a_result_from_before_the_restart_is_reported_again(void **state)
{
    struct result r = result_of(7, 1);

    (void)state;
    agent_restore(w.agent, &r, w.now_ms);
    join();
    lease(8, 1);
    live(1000);
    assert_int_equal(expect(HEARTBEAT)->count, 1); /* no claim on a lease of the earlier process */
    assert_int_equal(expect(DONE)->task, 7);
    ack(7, 1, SHOTLINE__REPORT_VERDICT__REPORT_SUPERSEDED, NULL);
    assert_int_equal(w.settled, 1);
}

static void another_pack_is_fetched_when_the_farm_changes(void **state)
{
    (void)state;
    join();
    w.pack = digest_of("new pack", 8);
    welcome();
    assert_int_equal(w.fetches, 1);
    forget_said();
    live(1500);
    assert_int_equal(count_since_look(READY), 0);
    agent_pack_held(w.agent, &w.pack, w.now_ms);
    assert_int_equal(expect(HELLO)->count, 2);
    expect(READY);
}

/* Each field that a result message may have wrong. */
static void a_result_message_is_checked(void **state)
{
    struct result r = result_of(7, 1), back;
    Shotline__WorkerDone done;
    struct done_parts parts;
    struct error err = { 0 };
    char long_name[64];

    (void)state;
    result_to_done(&r, &done, &parts);
    assert_true(result_from_done(&back, &done, &err));
    assert_memory_equal(&back, &r, sizeof r);
    done.has_key = false;
    assert_false(result_from_done(&back, &done, &err));
    result_to_done(&r, &done, &parts);
    done.key.len = 5;
    assert_false(result_from_done(&back, &done, &err));
    result_to_done(&r, &done, &parts);
    parts.blobs[0].digest.len = 0;
    assert_false(result_from_done(&back, &done, &err));
    result_to_done(&r, &done, &parts);
    memset(long_name, 'n', sizeof long_name);
    long_name[63] = '\0';
    parts.named[0].name = long_name;
    assert_false(result_from_done(&back, &done, &err));
    result_to_done(&r, &done, &parts);
    done.n_outputs = RESULT_MAX_OUTPUTS + 1;
    assert_false(result_from_done(&back, &done, &err));
    assert_int_equal(err.kind, ERROR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TALK(hello_is_said_until_it_is_answered),
        TALK(work_is_asked_for_only_with_the_pack),
        TALK(ready_is_repeated_until_there_is_work),
        TALK(a_lease_is_begun_once),
        TALK(a_second_lease_is_handed_back),
        TALK(a_bad_spec_is_refused_and_never_begun),
        TALK(a_lost_ack_makes_the_report_come_again),
        TALK(an_unacknowledged_result_keeps_its_lease),
        TALK(a_superseded_result_is_dropped),
        TALK(a_missing_blob_is_sent_before_the_next_report),
        TALK(a_result_that_cannot_be_sent_becomes_a_failure),
        TALK(a_failure_is_said_until_it_is_acknowledged),
        TALK(what_was_given_up_is_stopped_in_silence),
        TALK(a_restarted_coordinator_hears_of_running_work_first),
        TALK(a_silent_coordinator_is_looked_for_ever_more_slowly),
        TALK(a_ping_that_is_answered_changes_nothing),
        TALK(a_refusal_ends_the_conversation),
        TALK(a_result_from_before_the_restart_is_reported_again),
        TALK(another_pack_is_fetched_when_the_farm_changes),
        TALK(a_result_message_is_checked),
    };

    log_set_level(LOG_LEVEL_ERROR); /* what goes wrong here is meant to */
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* links: shotline_agent shotline_nn shotline_wire */
/* The worker's side of the conversation, without sockets: what it says, when it says it again, and what it lets go. */
#include "common/base/log.h"
#include "common/wire/codec.h"
#include "worker/agent.h"
#include "worker/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One message that the agent said, reduced to what the tests look at. */
struct said {
    enum { HELLO, HEARTBEAT, READY, DONE, FAILED, BYE } kind;
    uint64_t task;
    uint32_t attempt, step;
    size_t count; /* of packs or running attempts */
    Shotline__FailureClass failure;
    char reason[128];
};

struct world {
    struct agent *agent;
    int64_t now_ms;
    struct said said[64];
    size_t said_count, looked;
    int reconnects, starts, cancels, fetches, uploads, settled;
    uint64_t started_task;
    uint32_t started_attempt;
    struct digest uploading[RESULT_MAX_OUTPUTS];
    size_t uploading_count;
    struct digest pack, listing, key;
    uint64_t last_sequence;
};

static struct world w;

static void hook_send(void *context, const Shotline__ToCoordinator *m)
{
    struct said s = { 0 };

    (void)context;
    assert_true(m->sequence > w.last_sequence);
    w.last_sequence = m->sequence;
    if (m->hello) {
        s = (struct said){ .kind = HELLO, .count = m->hello->n_packs };
        assert_int_equal(m->hello->boot_id.len, 16);
        assert_int_equal(m->hello->kernel_proof.len, 32);
    } else if (m->heartbeat) {
        s = (struct said){ .kind = HEARTBEAT, .count = m->heartbeat->n_running };
        if (s.count > 0) {
            s.task = m->heartbeat->running[0]->task;
            s.attempt = m->heartbeat->running[0]->attempt;
            s.step = m->heartbeat->running[0]->step;
        }
    } else if (m->ready) {
        s = (struct said){ .kind = READY, .count = m->ready->slots };
    } else if (m->done) {
        s = (struct said){ .kind = DONE, .task = m->done->task, .attempt = m->done->attempt };
        assert_true(m->done->has_key);
    } else if (m->failed) {
        s = (struct said){
            .kind = FAILED, .task = m->failed->task, .attempt = m->failed->attempt, .failure = m->failed->failure
        };
        strncpy(s.reason, m->failed->reason, sizeof s.reason - 1);
    } else {
        assert_non_null(m->bye);
        s.kind = BYE;
    }
    assert_true(w.said_count < sizeof w.said / sizeof *w.said);
    w.said[w.said_count++] = s;
}

static void hook_reconnect(void *context)
{
    (void)context;
    w.reconnects++;
}

static void hook_start(void *context, uint64_t task, uint32_t attempt, const Shotline__TaskSpec *spec)
{
    (void)context;
    assert_non_null(spec->text);
    w.starts++;
    w.started_task = task;
    w.started_attempt = attempt;
}

static void hook_cancel(void *context)
{
    (void)context;
    w.cancels++;
}

static void hook_fetch_pack(void *context, const struct digest *pack, const struct digest *listing)
{
    (void)context;
    assert_true(digest_equal(pack, &w.pack));
    assert_true(digest_equal(listing, &w.listing));
    w.fetches++;
}

static void hook_upload(void *context, const struct result *r, const struct digest *missing, size_t count)
{
    (void)context;
    (void)r;
    w.uploads++;
    w.uploading_count = count;
    memcpy(w.uploading, missing, count * sizeof *missing);
}

static void hook_settled(void *context, const struct result *r)
{
    (void)context;
    (void)r;
    w.settled++;
}

static int open_world(void **state)
{
    static const struct agent_identity who = { .name = "w1", .device = "plain C" };
    static const struct agent_hooks hooks = { .send = hook_send,
                                              .reconnect = hook_reconnect,
                                              .start = hook_start,
                                              .cancel = hook_cancel,
                                              .fetch_pack = hook_fetch_pack,
                                              .upload = hook_upload,
                                              .settled = hook_settled };

    (void)state;
    w = (struct world){ .now_ms = 1000000 };
    w.pack = digest_of("pack", 4);
    w.listing = digest_of("listing", 7);
    w.key = digest_of("key", 3);
    w.agent = agent_new(&who, &hooks, w.now_ms);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    agent_free(&w.agent);
    return 0;
}

/* ---- the coordinator's lines ---- */

static void tell(Shotline__ToWorker *m)
{
    agent_message(w.agent, m, w.now_ms);
}

static void welcome(void)
{
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__Welcome welcome = SHOTLINE__WELCOME__INIT;
    Shotline__Blob listing = SHOTLINE__BLOB__INIT;

    listing.digest = codec_bytes(&w.listing);
    welcome.worker = 5;
    welcome.heartbeat_ms = 1000;
    welcome.lease_ms = 10000;
    welcome.pack = codec_bytes(&w.pack);
    welcome.pack_listing = &listing;
    m.welcome = &welcome;
    tell(&m);
}

static void hello_again(void)
{
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__HelloAgain again = SHOTLINE__HELLO_AGAIN__INIT;

    m.hello_again = &again;
    tell(&m);
}

static Shotline__TextTask text; /* of good_spec */

static Shotline__TaskSpec good_spec(void)
{
    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;

    shotline__text_task__init(&text);
    text.prompt = (char *)"a red monster";
    spec.kind = SHOTLINE__TASK_KIND__TASK_TEXT;
    spec.key = codec_bytes(&w.key);
    spec.pack = codec_bytes(&w.pack);
    spec.numerics = SHOTLINE__NUMERICS__NUMERICS_EXACT;
    spec.text = &text;
    return spec;
}

static void lease_of(uint64_t task, uint32_t attempt, Shotline__TaskSpec *spec)
{
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__Lease lease = SHOTLINE__LEASE__INIT;

    lease.task = task;
    lease.attempt = attempt;
    lease.lease_ms = 10000;
    lease.spec = spec;
    m.lease = &lease;
    tell(&m);
}

static void lease(uint64_t task, uint32_t attempt)
{
    Shotline__TaskSpec spec = good_spec();

    lease_of(task, attempt, &spec);
}

static void cancel(uint64_t task, uint32_t attempt)
{
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__CancelAttempt cancel_attempt = SHOTLINE__CANCEL_ATTEMPT__INIT;

    cancel_attempt.task = task;
    cancel_attempt.attempt = attempt;
    m.cancel = &cancel_attempt;
    tell(&m);
}

static void ack(uint64_t task, uint32_t attempt, Shotline__ReportVerdict verdict, const struct digest *missing)
{
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__ReportAck report_ack = SHOTLINE__REPORT_ACK__INIT;
    ProtobufCBinaryData bytes[2];

    report_ack.task = task;
    report_ack.attempt = attempt;
    report_ack.verdict = verdict;
    if (missing) {
        bytes[0] = codec_bytes(&w.listing); /* nothing of ours */
        bytes[1] = codec_bytes(missing);
        report_ack.n_missing = 2;
        report_ack.missing = bytes;
    }
    m.ack = &report_ack;
    tell(&m);
}

/* ---- looking at what was said ---- */

/* The next message of this kind since the last look; fails when there is none. */
static const struct said *expect(int kind)
{
    for (; w.looked < w.said_count; w.looked++)
        if ((int)w.said[w.looked].kind == kind)
            return &w.said[w.looked++];
    fail_msg("nothing of kind %d was said", kind);
    return NULL;
}

static int count_since_look(int kind)
{
    int n = 0;

    for (size_t i = w.looked; i < w.said_count; i++)
        n += (int)w.said[i].kind == kind;
    return n;
}

static void forget_said(void)
{
    w.said_count = w.looked = 0;
}

static void pass(int64_t ms)
{
    w.now_ms += ms;
    agent_tick(w.agent, w.now_ms);
}

/* Time goes by in single deadlines, as in the real loop. */
static void live(int64_t ms)
{
    int64_t end_ms = w.now_ms + ms;

    for (int turns = 0; turns < 10000; turns++) {
        int64_t next_ms = agent_deadline_ms(w.agent);

        if (next_ms > end_ms) {
            w.now_ms = end_ms;
            return;
        }
        if (next_ms > w.now_ms)
            w.now_ms = next_ms;
        agent_tick(w.agent, w.now_ms);
    }
    fail_msg("the deadline does not move on");
}

static void join(void)
{
    agent_pack_held(w.agent, &w.pack, w.now_ms);
    pass(0);
    welcome();
    assert_int_equal(agent_state(w.agent), AGENT_JOINED);
    forget_said();
}

static struct result result_of(uint64_t task, uint32_t attempt)
{
    struct result r = { .task = task, .attempt = attempt, .key = w.key, .busy_ms = 77, .count = 1 };

    strcpy(r.outputs[0].name, "embedding");
    r.outputs[0].digest = digest_of("out", 3);
    r.outputs[0].bytes = 3;
    return r;
}

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
    agent_done(w.agent, &r, w.now_ms);
    expect(DONE);
    expect(READY); /* the runner is free meanwhile */
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

static void cancel_reaches_only_the_attempt_that_runs(void **state)
{
    (void)state;
    join();
    lease(7, 2);
    cancel(7, 1);
    cancel(6, 2);
    assert_int_equal(w.cancels, 0);
    cancel(7, 2);
    assert_int_equal(w.cancels, 1);
    agent_failed(w.agent, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED, "cancelled", w.now_ms);
    assert_int_equal(expect(FAILED)->failure, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED);
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

static void leaving_hands_the_work_back(void **state)
{
    (void)state;
    join();
    lease(7, 1);
    forget_said();
    agent_leave(w.agent, 3000, w.now_ms);
    assert_int_equal(w.cancels, 1);
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
    agent_leave(w.agent, 3000, w.now_ms);
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
    agent_leave(w.agent, 3000, w.now_ms);
    expect(BYE);
    assert_int_equal(agent_state(w.agent), AGENT_LEFT);
}

static void one_that_never_joined_just_goes(void **state)
{
    (void)state;
    pass(0);
    forget_said();
    agent_leave(w.agent, 3000, w.now_ms);
    assert_int_equal(w.said_count, 0);
    assert_int_equal(agent_state(w.agent), AGENT_LEFT);
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

#define TALK(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

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
        TALK(cancel_reaches_only_the_attempt_that_runs),
        TALK(a_restarted_coordinator_hears_of_running_work_first),
        TALK(a_silent_coordinator_is_looked_for_ever_more_slowly),
        TALK(a_ping_that_is_answered_changes_nothing),
        TALK(a_refusal_ends_the_conversation),
        TALK(a_result_from_before_the_restart_is_reported_again),
        TALK(leaving_hands_the_work_back),
        TALK(leaving_does_not_wait_for_ever),
        TALK(an_idle_worker_leaves_at_once),
        TALK(one_that_never_joined_just_goes),
        TALK(another_pack_is_fetched_when_the_farm_changes),
        TALK(a_result_message_is_checked),
    };

    log_set_level(LOG_LEVEL_ERROR); /* what goes wrong here is meant to */
    return cmocka_run_group_tests(tests, NULL, NULL);
}

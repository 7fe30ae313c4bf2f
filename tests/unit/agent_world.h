/* agent_world - a worker's agent with everything around it played by the test: what it says is noted, what it wants
 * done is counted, and the clock is the test's. */
#ifndef SHOTLINE_TESTS_AGENT_WORLD_H
#define SHOTLINE_TESTS_AGENT_WORLD_H

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
    enum { HELLO, HEARTBEAT, READY, DONE, FAILED, BYE, CHECKPOINT } kind;
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
    int reconnects, starts, cancels, hand_overs, fetches, uploads, settled, saves;
    struct digest saved;
    uint64_t started_task;
    uint32_t started_attempt;
    struct digest uploading[RESULT_MAX_OUTPUTS];
    size_t uploading_count;
    struct digest pack, listing, key;
    uint64_t last_sequence;
};

static struct world w;

static inline void note(struct said s)
{
    assert_true(w.said_count < sizeof w.said / sizeof *w.said);
    w.said[w.said_count++] = s;
}

/* A message says one thing or several: each is noted, in the order in which a farm takes them. */
static inline void hook_send(void *context, const Shotline__ToCoordinator *m)
{
    const size_t before = w.said_count;

    (void)context;
    assert_true(m->sequence > w.last_sequence);
    w.last_sequence = m->sequence;
    if (m->hello) {
        note((struct said){ .kind = HELLO, .count = m->hello->n_packs });
        assert_int_equal(m->hello->boot_id.len, 16);
        assert_int_equal(m->hello->kernel_proof.len, 32);
    }
    if (m->heartbeat) {
        struct said s = { .kind = HEARTBEAT, .count = m->heartbeat->n_running };

        if (s.count > 0) {
            s.task = m->heartbeat->running[0]->task;
            s.attempt = m->heartbeat->running[0]->attempt;
            s.step = m->heartbeat->running[0]->step;
        }
        note(s);
    }
    if (m->checkpoint)
        note((struct said){ .kind = CHECKPOINT,
                            .task = m->checkpoint->task,
                            .attempt = m->checkpoint->attempt,
                            .step = m->checkpoint->step });
    if (m->failed) {
        struct said s = {
            .kind = FAILED, .task = m->failed->task, .attempt = m->failed->attempt, .failure = m->failed->failure
        };

        strncpy(s.reason, m->failed->reason, sizeof s.reason - 1);
        note(s);
    }
    if (m->done) {
        note((struct said){ .kind = DONE, .task = m->done->task, .attempt = m->done->attempt });
        assert_true(m->done->has_key);
    }
    if (m->ready)
        note((struct said){ .kind = READY, .count = m->ready->slots });
    if (m->bye)
        note((struct said){ .kind = BYE });
    assert_true(w.said_count > before);
}

static inline void hook_reconnect(void *context)
{
    (void)context;
    w.reconnects++;
}

static inline void hook_start(void *context, const Shotline__Lease *lease)
{
    (void)context;
    assert_non_null(lease->spec->text);
    w.starts++;
    w.started_task = lease->task;
    w.started_attempt = lease->attempt;
}

static inline void hook_cancel(void *context)
{
    (void)context;
    w.cancels++;
}

static inline void hook_hand_over(void *context)
{
    (void)context;
    w.hand_overs++;
}

static inline void hook_save(void *context, const struct digest *state)
{
    (void)context;
    w.saves++;
    w.saved = *state;
}

static inline void hook_fetch_pack(void *context, const struct digest *pack, const struct digest *listing)
{
    (void)context;
    assert_true(digest_equal(pack, &w.pack));
    assert_true(digest_equal(listing, &w.listing));
    w.fetches++;
}

static inline void hook_upload(void *context, const struct result *r, const struct digest *missing, size_t count)
{
    (void)context;
    (void)r;
    w.uploads++;
    w.uploading_count = count;
    memcpy(w.uploading, missing, count * sizeof *missing);
}

static inline void hook_settled(void *context, const struct result *r)
{
    (void)context;
    (void)r;
    w.settled++;
}

static inline int open_world(void **state)
{
    static const struct agent_identity who = { .name = "w1", .device = "plain C", .patience_ms = 3000 };
    static const struct agent_hooks hooks = { .send = hook_send,
                                              .reconnect = hook_reconnect,
                                              .start = hook_start,
                                              .cancel = hook_cancel,
                                              .hand_over = hook_hand_over,
                                              .save = hook_save,
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

static inline int close_world(void **state)
{
    (void)state;
    agent_free(&w.agent);
    return 0;
}

/* ---- the coordinator's lines ---- */

static inline void tell(Shotline__ToWorker *m)
{
    agent_message(w.agent, m, w.now_ms);
}

static inline void welcome(void)
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

static inline void hello_again(void)
{
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__HelloAgain again = SHOTLINE__HELLO_AGAIN__INIT;

    m.hello_again = &again;
    tell(&m);
}

static Shotline__TextTask text; /* of good_spec */

static inline Shotline__TaskSpec good_spec(void)
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

static inline void lease_of(uint64_t task, uint32_t attempt, Shotline__TaskSpec *spec)
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

static inline void lease(uint64_t task, uint32_t attempt)
{
    Shotline__TaskSpec spec = good_spec();

    lease_of(task, attempt, &spec);
}

static inline void cancel(uint64_t task, uint32_t attempt)
{
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__CancelAttempt cancel_attempt = SHOTLINE__CANCEL_ATTEMPT__INIT;

    cancel_attempt.task = task;
    cancel_attempt.attempt = attempt;
    m.cancel = &cancel_attempt;
    tell(&m);
}

static inline void ack(uint64_t task, uint32_t attempt, Shotline__ReportVerdict verdict, const struct digest *missing)
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
static inline const struct said *expect(int kind)
{
    for (; w.looked < w.said_count; w.looked++)
        if ((int)w.said[w.looked].kind == kind)
            return &w.said[w.looked++];
    fail_msg("nothing of kind %d was said", kind);
    return NULL;
}

static inline int count_since_look(int kind)
{
    int n = 0;

    for (size_t i = w.looked; i < w.said_count; i++)
        n += (int)w.said[i].kind == kind;
    return n;
}

static inline void forget_said(void)
{
    w.said_count = w.looked = 0;
}

static inline void pass(int64_t ms)
{
    w.now_ms += ms;
    agent_tick(w.agent, w.now_ms);
}

/* Time goes by in single deadlines, as in the real loop. */
static inline void live(int64_t ms)
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

static inline void join(void)
{
    agent_pack_held(w.agent, &w.pack, w.now_ms);
    pass(0);
    welcome();
    assert_int_equal(agent_state(w.agent), AGENT_JOINED);
    forget_said();
}

static inline struct result result_of(uint64_t task, uint32_t attempt)
{
    struct result r = { .task = task, .attempt = attempt, .key = w.key, .busy_ms = 77, .count = 1 };

    strcpy(r.outputs[0].name, "embedding");
    r.outputs[0].digest = digest_of("out", 3);
    r.outputs[0].bytes = 3;
    return r;
}

#define TALK(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

#endif

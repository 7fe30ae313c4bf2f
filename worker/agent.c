/* agent - see agent.h. */
#include "worker/agent.h"

#include "common/base/arena.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/wire/codec.h"
#include "common/wire/endpoint.h"
#include "worker/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_HEARTBEAT_MS 1000 /* until a Welcome tells the farm's own */
#define LONGEST_LOOK_MS    30000
#define PACK_RETRY_MS      5000
#define MAX_HELD           16

/* A finished or failed attempt that the farm has not acknowledged yet. */
struct report {
    struct result result;
    bool failed; /* then the result has only task, attempt and key */
    Shotline__FailureClass failure;
    char reason[AGENT_REASON_ROOM];
    bool ours;      /* of this process: its lease is kept alive until the answer */
    bool uploading; /* waits for blobs to arrive first */
    int64_t next_ms, every_ms;
};

struct running {
    uint64_t task;
    uint32_t attempt;
    struct digest key;
    uint32_t step, steps;
    int64_t begin_ms;
    bool given_up; /* by the farm: what becomes of it is not told */
};

/* A saved state on its way to the farm. */
struct saving {
    uint64_t task; /* 0: none */
    uint32_t attempt, step;
    struct digest state;
    int64_t bytes;
};

struct agent {
    struct agent_identity who;
    struct agent_hooks hooks;
    uint64_t sequence;

    bool joined, leaving, left, refused;
    char refusal[AGENT_REASON_ROOM];
    int64_t leave_by_ms;
    int64_t hand_over_ms; /* when a running task that was to be finished is handed over after all */
    bool handing;         /* it stopped; its last state is on its way, and then the task is given back */
    struct result handed;
    struct saving saving, next_saving;

    int64_t heartbeat_ms;
    int64_t heard_ms; /* when the coordinator last said anything */
    int64_t hello_ms; /* when to say hello (again) */
    int64_t heartbeat_at_ms;
    int64_t look_ms;       /* when to open the connection anew */
    int64_t look_every_ms; /* grows while nobody answers */

    bool pack_known, fetching;
    struct digest pack, listing; /* that the farm works with */
    struct digest fetching_pack;
    int64_t fetch_ms;
    struct digest held[MAX_HELD];
    size_t held_count;

    bool busy;
    struct running running;
    struct report *reports;
    size_t report_count, report_room;
};

struct agent *agent_new(const struct agent_identity *who, const struct agent_hooks *hooks, int64_t now_ms)
{
    struct agent *a = xcalloc(1, sizeof *a);

    a->who = *who;
    a->hooks = *hooks;
    a->heartbeat_ms = FIRST_HEARTBEAT_MS;
    a->heard_ms = a->hello_ms = a->heartbeat_at_ms = now_ms;
    a->look_every_ms = AGENT_SILENT_HEARTBEATS * FIRST_HEARTBEAT_MS;
    a->look_ms = now_ms + a->look_every_ms;
    return a;
}

void agent_free(struct agent **a)
{
    if (!*a)
        return;
    free((*a)->reports);
    free(*a);
    *a = NULL;
}

enum agent_state agent_state(const struct agent *a)
{
    if (a->refused)
        return AGENT_REFUSED;
    if (a->left)
        return AGENT_LEFT;
    if (a->leaving)
        return AGENT_LEAVING;
    return a->joined ? AGENT_JOINED : AGENT_GREETING;
}

const char *agent_refusal(const struct agent *a)
{
    return a->refusal;
}

static bool over(const struct agent *a)
{
    return a->left || a->refused;
}

/* ---- saying things ---- */

static void send(struct agent *a, Shotline__ToCoordinator *m)
{
    m->sequence = ++a->sequence;
    a->hooks.send(a->hooks.context, m);
}

static void say_hello(struct agent *a, int64_t now_ms)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerHello hello = SHOTLINE__WORKER_HELLO__INIT;
    ProtobufCBinaryData packs[MAX_HELD];

    for (size_t i = 0; i < a->held_count; i++)
        packs[i] = codec_bytes(&a->held[i]);
    hello.version = WIRE_VERSION;
    hello.name = (char *)a->who.name;
    hello.boot_id = (ProtobufCBinaryData){ .len = sizeof a->who.boot_id, .data = (uint8_t *)a->who.boot_id };
    hello.device = (char *)a->who.device;
    hello.device_bytes = (uint64_t)a->who.device_bytes;
    hello.kernel_proof = codec_bytes(&a->who.kernel_proof);
    hello.n_packs = a->held_count;
    hello.packs = packs;
    m.hello = &hello;
    send(a, &m);
    a->hello_ms = now_ms + a->heartbeat_ms;
}

static void say_heartbeat(struct agent *a, int64_t now_ms)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerHeartbeat heartbeat = SHOTLINE__WORKER_HEARTBEAT__INIT;
    Shotline__RunningAttempt *attempts = xcalloc(a->report_count + 2, sizeof *attempts);
    Shotline__RunningAttempt **list = xcalloc(a->report_count + 2, sizeof *list);
    size_t n = 0;

    if (a->busy) {
        shotline__running_attempt__init(&attempts[n]);
        attempts[n].task = a->running.task;
        attempts[n].attempt = a->running.attempt;
        attempts[n].has_step = attempts[n].has_steps = a->running.steps > 0;
        attempts[n].step = a->running.step;
        attempts[n].steps = a->running.steps;
        list[n] = &attempts[n];
        n++;
    }
    if (a->handing) {
        shotline__running_attempt__init(&attempts[n]);
        attempts[n].task = a->handed.task;
        attempts[n].attempt = a->handed.attempt;
        list[n] = &attempts[n];
        n++;
    }
    for (size_t i = 0; i < a->report_count; i++) {
        const struct report *r = &a->reports[i];

        if (!r->ours || r->failed)
            continue;
        shotline__running_attempt__init(&attempts[n]);
        attempts[n].task = r->result.task;
        attempts[n].attempt = r->result.attempt;
        list[n] = &attempts[n];
        n++;
    }
    heartbeat.n_running = n;
    heartbeat.running = list;
    m.heartbeat = &heartbeat;
    send(a, &m);
    free(list);
    free(attempts);
    a->heartbeat_at_ms = now_ms + a->heartbeat_ms;
}

static bool holds(const struct agent *a, const struct digest *pack)
{
    for (size_t i = 0; i < a->held_count; i++)
        if (digest_equal(&a->held[i], pack))
            return true;
    return false;
}

/* Asks for work, when there is nothing that keeps us from doing it. */
static void say_ready(struct agent *a)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerReady ready = SHOTLINE__WORKER_READY__INIT;

    if (!a->joined || a->leaving || a->busy || !a->pack_known || !holds(a, &a->pack))
        return;
    ready.slots = 1;
    m.ready = &ready;
    send(a, &m);
}

static void say_report(struct agent *a, struct report *r, int64_t now_ms)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerFailed failed = SHOTLINE__WORKER_FAILED__INIT;
    Shotline__WorkerDone done;
    struct done_parts parts;

    if (r->failed) {
        failed.task = r->result.task;
        failed.attempt = r->result.attempt;
        failed.failure = r->failure;
        failed.reason = r->reason;
        m.failed = &failed;
    } else {
        result_to_done(&r->result, &done, &parts);
        m.done = &done;
    }
    send(a, &m);
    r->next_ms = now_ms + r->every_ms;
    if (r->every_ms < 8 * a->heartbeat_ms)
        r->every_ms *= 2;
}

/* ---- reports ---- */

static struct report *find_report(struct agent *a, uint64_t task, uint32_t attempt)
{
    for (size_t i = 0; i < a->report_count; i++)
        if (a->reports[i].result.task == task && a->reports[i].result.attempt == attempt)
            return &a->reports[i];
    return NULL;
}

static struct report *add_report(struct agent *a, const struct result *r, bool ours, int64_t now_ms)
{
    struct report *to = find_report(a, r->task, r->attempt);

    if (!to) {
        if (a->report_count == a->report_room) {
            a->report_room = a->report_room ? 2 * a->report_room : 8;
            a->reports = xrealloc(a->reports, a->report_room * sizeof *a->reports);
        }
        to = &a->reports[a->report_count++];
    }
    *to = (struct report){ .result = *r, .ours = ours, .next_ms = now_ms, .every_ms = a->heartbeat_ms };
    return to;
}

static void settle(struct agent *a, struct report *r)
{
    if (!r->failed)
        a->hooks.settled(a->hooks.context, &r->result);
    *r = a->reports[--a->report_count];
}

/* Turns a report into a failure, or makes one for an attempt that never began. */
static void fail(struct agent *a, const struct result *of, Shotline__FailureClass failure, const char *reason,
                 int64_t now_ms)
{
    struct report *r = add_report(a, of, true, now_ms);

    r->failed = true;
    r->failure = failure;
    str_copy(r->reason, sizeof r->reason, reason);
    if (a->joined)
        say_report(a, r, now_ms);
}

/* ---- leases ---- */

/* The spec has the part that its kind says, no other, and digests where digests belong. */
static const char *spec_fault(const Shotline__TaskSpec *s)
{
    struct digest d;
    const void *parts[] = { s->text, s->cast, s->denoise, s->decode, s->stitch };
    int kinds = 0;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        kinds += parts[i] != NULL;
    if (s->kind < SHOTLINE__TASK_KIND__TASK_TEXT || s->kind > SHOTLINE__TASK_KIND__TASK_STITCH)
        return "unknown task kind";
    if (kinds != 1 || !parts[s->kind - SHOTLINE__TASK_KIND__TASK_TEXT])
        return "the task's parameters do not belong to its kind";
    if (!codec_digest(&d, &s->key) || !codec_digest(&d, &s->pack))
        return "the task's key or pack is no digest of 32 bytes";
    return NULL;
}

static void on_lease(struct agent *a, const Shotline__Lease *lease, int64_t now_ms)
{
    const struct result none = { .task = lease->task, .attempt = lease->attempt };
    struct report *known = find_report(a, lease->task, lease->attempt);
    const char *fault = spec_fault(lease->spec);
    struct digest pack;
    char reason[AGENT_REASON_ROOM];

    if (known) { /* done already: the report did not get through yet */
        if (!known->uploading)
            say_report(a, known, now_ms);
        return;
    }
    if (a->busy && a->running.task == lease->task && a->running.attempt == lease->attempt)
        return;
    if (fault) {
        fail(a, &none, SHOTLINE__FAILURE_CLASS__FAILURE_INPUT, fault, now_ms);
        return;
    }
    if (a->busy || a->leaving) {
        if (a->leaving)
            str_copy(reason, sizeof reason, "the worker is leaving");
        else
            snprintf(reason, sizeof reason, "busy with task %" PRIu64, a->running.task);
        fail(a, &none, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED, reason, now_ms);
        return;
    }
    codec_digest(&pack, &lease->spec->pack);
    if (!holds(a, &pack)) {
        char hex[DIGEST_HEX_ROOM];

        digest_hex(&pack, hex);
        snprintf(reason, sizeof reason, "pack %.16s... is not here", hex);
        fail(a, &none, SHOTLINE__FAILURE_CLASS__FAILURE_WORKER, reason, now_ms);
        return;
    }
    a->busy = true;
    a->running = (struct running){ .task = lease->task, .attempt = lease->attempt, .begin_ms = now_ms };
    codec_digest(&a->running.key, &lease->spec->key);
    a->hooks.start(a->hooks.context, lease);
}

static void on_cancel(struct agent *a, const Shotline__CancelAttempt *cancel)
{
    if (!a->busy || a->running.task != cancel->task || a->running.attempt != cancel->attempt || a->running.given_up)
        return;
    a->running.given_up = true;
    a->hooks.cancel(a->hooks.context);
}

static void on_missing(struct agent *a, struct report *r, const Shotline__ReportAck *ack)
{
    struct digest missing[RESULT_MAX_OUTPUTS];
    size_t n = 0;

    if (r->failed || r->uploading)
        return;
    for (size_t i = 0; i < r->result.count; i++)
        for (size_t k = 0; k < ack->n_missing; k++) {
            struct digest d;

            if (codec_digest(&d, &ack->missing[k]) && digest_equal(&d, &r->result.outputs[i].digest)) {
                missing[n++] = d;
                break;
            }
        }
    if (n == 0)
        return; /* names nothing of ours: said again later */
    r->uploading = true;
    a->hooks.upload(a->hooks.context, &r->result, missing, n);
}

static void on_ack(struct agent *a, const Shotline__ReportAck *ack)
{
    struct report *r = find_report(a, ack->task, ack->attempt);

    if (!r)
        return; /* a repeat */
    switch (ack->verdict) {
    case SHOTLINE__REPORT_VERDICT__REPORT_SUPERSEDED:
        log_info("report.superseded", "task=%" PRIu64 " attempt=%" PRIu32, ack->task, ack->attempt);
        settle(a, r);
        break;
    case SHOTLINE__REPORT_VERDICT__REPORT_OK:
        settle(a, r);
        break;
    case SHOTLINE__REPORT_VERDICT__REPORT_MISSING_BLOB:
        on_missing(a, r, ack);
        break;
    default:
        log_warn("agent.bad_verdict", "verdict=%d", (int)ack->verdict);
    }
}

/* ---- joining ---- */

static void want_pack(struct agent *a, int64_t now_ms)
{
    if (!a->pack_known || a->leaving || a->fetching || holds(a, &a->pack) || now_ms < a->fetch_ms)
        return;
    a->fetching = true;
    a->fetching_pack = a->pack;
    a->hooks.fetch_pack(a->hooks.context, &a->pack, &a->listing);
}

static void on_welcome(struct agent *a, const Shotline__Welcome *w, int64_t now_ms)
{
    bool anew = !a->joined;
    struct digest pack, listing;

    if (!codec_digest(&pack, &w->pack) || !codec_digest(&listing, &w->pack_listing->digest)) {
        log_warn("agent.bad_welcome", "reason=\"pack or listing is no digest of 32 bytes\"");
        return;
    }
    a->heartbeat_ms = w->heartbeat_ms < 50 ? 50 : w->heartbeat_ms > 60000 ? 60000 : w->heartbeat_ms;
    a->pack = pack;
    a->listing = listing;
    a->pack_known = true;
    a->joined = true;
    if (anew) {
        log_info("agent.joined", "worker=%" PRIu64 " heartbeat_ms=%" PRId64, w->worker, a->heartbeat_ms);
        say_heartbeat(a, now_ms); /* first what runs, so that it is adopted */
        for (size_t i = 0; i < a->report_count; i++) {
            a->reports[i].every_ms = a->heartbeat_ms;
            if (!a->reports[i].uploading)
                say_report(a, &a->reports[i], now_ms);
        }
        say_ready(a);
    }
    want_pack(a, now_ms);
}

static void on_hello_again(struct agent *a, int64_t now_ms)
{
    if (!a->joined)
        return; /* a hello is under way, and is repeated by the clock */
    log_info("agent.hello_again", "running=%d reports=%zu", a->busy, a->report_count);
    a->joined = false;
    say_hello(a, now_ms);
}

void agent_message(struct agent *a, const Shotline__ToWorker *m, int64_t now_ms)
{
    if (over(a))
        return;
    a->heard_ms = now_ms;
    a->look_every_ms = AGENT_SILENT_HEARTBEATS * a->heartbeat_ms;
    if (m->refused) {
        a->refused = true;
        str_copy(a->refusal, sizeof a->refusal, m->refused->reason);
    } else if (m->hello_again) {
        on_hello_again(a, now_ms);
    } else if (m->welcome) {
        on_welcome(a, m->welcome, now_ms);
    } else if (m->lease) {
        on_lease(a, m->lease, now_ms);
    } else if (m->cancel) {
        on_cancel(a, m->cancel);
    } else if (m->ack) {
        on_ack(a, m->ack);
    } else if (m->drain) {
        agent_leave(a, now_ms);
    }
    if (over(a))
        return;
    a->look_ms = now_ms + AGENT_SILENT_HEARTBEATS * a->heartbeat_ms;
    if (a->joined)
        a->hello_ms = now_ms + (AGENT_SILENT_HEARTBEATS - 1) * a->heartbeat_ms;
}

/* ---- time ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t agent_deadline_ms(const struct agent *a)
{
    int64_t at = earlier(a->hello_ms, a->look_ms);

    if (over(a))
        return INT64_MAX;
    if (a->leaving)
        at = earlier(at, a->busy ? earlier(a->hand_over_ms, a->leave_by_ms) : a->leave_by_ms);
    if (a->joined) {
        at = earlier(at, a->heartbeat_at_ms);
        for (size_t i = 0; i < a->report_count; i++)
            if (!a->reports[i].uploading)
                at = earlier(at, a->reports[i].next_ms);
    }
    return at;
}

/* A task that was handed over is somebody else's now. */
static void give_back(struct agent *a, int64_t now_ms)
{
    a->handing = false;
    fail(a, &a->handed, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED, "the worker is leaving", now_ms);
}

/* Says goodbye as soon as nothing is left to hand back, or patience is at its end. */
static void leave_if_possible(struct agent *a, int64_t now_ms)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerBye bye = SHOTLINE__WORKER_BYE__INIT;

    if (now_ms < a->leave_by_ms && (a->busy || a->handing || (a->joined && a->report_count > 0)))
        return;
    if (a->handing)
        give_back(a, now_ms);
    if (a->busy) { /* it does not stop: hand it back all the same */
        const struct result of = { .task = a->running.task, .attempt = a->running.attempt, .key = a->running.key };

        a->busy = false;
        fail(a, &of, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED, "the worker is leaving", now_ms);
    }
    if (a->joined) {
        m.bye = &bye;
        send(a, &m);
    }
    a->left = true;
}

void agent_tick(struct agent *a, int64_t now_ms)
{
    if (over(a))
        return;
    if (a->leaving) {
        if (a->busy && now_ms >= a->hand_over_ms) {
            a->hand_over_ms = INT64_MAX;
            a->hooks.hand_over(a->hooks.context);
        }
        leave_if_possible(a, now_ms);
        if (a->left)
            return;
    }
    if (now_ms >= a->look_ms) {
        log_warn("agent.silent", "silent_ms=%" PRId64 " next_try_ms=%" PRId64, now_ms - a->heard_ms, a->look_every_ms);
        a->joined = false;
        a->hooks.reconnect(a->hooks.context);
        say_hello(a, now_ms);
        a->look_ms = now_ms + a->look_every_ms;
        a->look_every_ms = earlier(2 * a->look_every_ms, LONGEST_LOOK_MS);
    } else if (now_ms >= a->hello_ms) {
        say_hello(a, now_ms);
    }
    if (!a->joined)
        return;
    if (now_ms >= a->heartbeat_at_ms) {
        say_heartbeat(a, now_ms);
        say_ready(a);
        want_pack(a, now_ms);
    }
    for (size_t i = 0; i < a->report_count; i++)
        if (!a->reports[i].uploading && now_ms >= a->reports[i].next_ms)
            say_report(a, &a->reports[i], now_ms);
}

/* Whether the running task should be done in half the time that there is, by the steps it told. */
static bool nearly_done(const struct agent *a, int64_t now_ms)
{
    const struct running *r = &a->running;

    return r->step && (now_ms - r->begin_ms) * (r->steps - r->step) / r->step <= a->who.patience_ms / 2;
}

void agent_leave(struct agent *a, int64_t now_ms)
{
    if (over(a) || a->leaving)
        return;
    log_info("agent.leaving", "busy=%d reports=%zu patience_ms=%" PRId64, a->busy, a->report_count, a->who.patience_ms);
    a->leaving = true;
    a->leave_by_ms = now_ms + a->who.patience_ms;
    a->hand_over_ms = now_ms + (a->busy && nearly_done(a, now_ms) ? a->who.patience_ms / 2 : 0);
    agent_tick(a, now_ms);
}

/* ---- the runner's news ---- */

void agent_progress(struct agent *a, uint32_t step, uint32_t steps)
{
    if (!a->busy)
        return;
    a->running.step = step;
    a->running.steps = steps;
}

/* ---- states of long tasks ---- */

static void start_saving(struct agent *a, const struct saving *s)
{
    a->saving = *s;
    a->next_saving.task = 0;
    a->hooks.save(a->hooks.context, &a->saving.state);
}

void agent_checkpoint(struct agent *a, uint32_t step, const struct digest *state, int64_t bytes)
{
    const struct saving s = {
        .task = a->running.task, .attempt = a->running.attempt, .step = step, .state = *state, .bytes = bytes
    };

    if (!a->busy || a->running.given_up)
        return;
    if (a->saving.task) /* the farm is slow: the newest is worth most */
        a->next_saving = s;
    else
        start_saving(a, &s);
}

/* The farm should know of this state: its attempt runs, or is about to be given back. */
static bool still_wanted(const struct agent *a, const struct saving *s)
{
    return (a->busy && !a->running.given_up && a->running.task == s->task && a->running.attempt == s->attempt) ||
           (a->handing && a->handed.task == s->task && a->handed.attempt == s->attempt);
}

void agent_saved(struct agent *a, bool ok, int64_t now_ms)
{
    const struct saving s = a->saving;

    a->saving.task = 0;
    if (ok && s.task && a->joined && still_wanted(a, &s)) {
        Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
        Shotline__WorkerCheckpoint checkpoint = SHOTLINE__WORKER_CHECKPOINT__INIT;
        Shotline__Blob blob = SHOTLINE__BLOB__INIT;

        blob.digest = codec_bytes(&s.state);
        blob.bytes = (uint64_t)s.bytes;
        checkpoint.task = s.task;
        checkpoint.attempt = s.attempt;
        checkpoint.step = s.step;
        checkpoint.state = &blob;
        m.checkpoint = &checkpoint;
        send(a, &m);
    }
    if (a->next_saving.task && still_wanted(a, &a->next_saving))
        start_saving(a, &a->next_saving);
    else if (a->handing) {
        give_back(a, now_ms);
        leave_if_possible(a, now_ms);
    }
}

/* The runner is free again. */
static void rest(struct agent *a, int64_t now_ms)
{
    a->busy = false;
    if (a->leaving && !a->left)
        leave_if_possible(a, now_ms);
    else
        say_ready(a);
}

void agent_done(struct agent *a, const struct result *r, int64_t now_ms)
{
    struct report *report;

    if (!a->busy || a->running.task != r->task || a->running.attempt != r->attempt)
        return;
    if (a->running.given_up) { /* it was done in the same moment: nobody waits for it */
        a->hooks.settled(a->hooks.context, r);
        rest(a, now_ms);
        return;
    }
    report = add_report(a, r, true, now_ms);
    if (a->joined)
        say_report(a, report, now_ms);
    rest(a, now_ms);
}

void agent_failed(struct agent *a, Shotline__FailureClass failure, const char *reason, int64_t now_ms)
{
    const struct result of = { .task = a->running.task, .attempt = a->running.attempt, .key = a->running.key };

    if (!a->busy)
        return;
    a->busy = false;
    if (a->leaving && failure == SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED &&
        (a->saving.task == of.task || a->next_saving.task == of.task)) {
        a->handing = true;
        a->handed = of;
    } else if (!a->running.given_up) {
        fail(a, &of, failure, reason, now_ms);
    }
    rest(a, now_ms);
}

void agent_uploaded(struct agent *a, uint64_t task, uint32_t attempt, bool ok, const char *reason, int64_t now_ms)
{
    struct report *r = find_report(a, task, attempt);
    struct result lost;

    if (!r || !r->uploading)
        return;
    r->uploading = false;
    r->every_ms = a->heartbeat_ms;
    if (!ok) { /* the farm cannot have this result: better to say so than to go on forever */
        lost = r->result;
        a->hooks.settled(a->hooks.context, &lost);
        fail(a, &lost, SHOTLINE__FAILURE_CLASS__FAILURE_WORKER, reason, now_ms);
    } else if (a->joined) {
        say_report(a, r, now_ms);
    }
}

void agent_pack_held(struct agent *a, const struct digest *pack, int64_t now_ms)
{
    if (a->fetching && digest_equal(pack, &a->fetching_pack))
        a->fetching = false;
    if (holds(a, pack))
        return;
    if (a->held_count == MAX_HELD) /* the oldest is not asked for any more */
        memmove(a->held, a->held + 1, --a->held_count * sizeof *a->held);
    a->held[a->held_count++] = *pack;
    if (a->joined) {
        say_hello(a, now_ms); /* carries the packs */
        say_ready(a);
        want_pack(a, now_ms);
    }
}

void agent_pack_failed(struct agent *a, const struct digest *pack, int64_t now_ms)
{
    if (!a->fetching || !digest_equal(pack, &a->fetching_pack))
        return;
    a->fetching = false;
    a->fetch_ms = now_ms + PACK_RETRY_MS;
}

void agent_restore(struct agent *a, const struct result *r, int64_t now_ms)
{
    add_report(a, r, false, now_ms);
}

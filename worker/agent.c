/* agent - see agent.h. */
#include "worker/agent_internal.h"

#include "common/base/log.h"
#include "common/base/str.h"
#include "common/wire/codec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_HEARTBEAT_MS 1000 /* until a Welcome tells the farm's own */
#define LONGEST_LOOK_MS    30000
#define PACK_RETRY_MS      5000

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

bool agent_holds(const struct agent *a, const struct digest *pack)
{
    for (size_t i = 0; i < a->held_count; i++)
        if (digest_equal(&a->held[i], pack))
            return true;
    return false;
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
    struct report *known = agent_find_report(a, lease->task, lease->attempt);
    const char *fault = spec_fault(lease->spec);
    struct digest pack;
    char reason[AGENT_REASON_ROOM];

    if (known) { /* done already: the report did not get through yet */
        if (!known->uploading)
            agent_say_report(a, known, now_ms);
        return;
    }
    if (a->busy && a->running.task == lease->task && a->running.attempt == lease->attempt)
        return;
    if (fault) {
        agent_fail(a, &none, SHOTLINE__FAILURE_CLASS__FAILURE_INPUT, fault, now_ms);
        return;
    }
    if (a->busy || a->leaving) {
        if (a->leaving)
            str_copy(reason, sizeof reason, "the worker is leaving");
        else
            snprintf(reason, sizeof reason, "busy with task %" PRIu64, a->running.task);
        agent_fail(a, &none, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED, reason, now_ms);
        return;
    }
    codec_digest(&pack, &lease->spec->pack);
    if (!agent_holds(a, &pack)) {
        char hex[DIGEST_HEX_ROOM];

        digest_hex(&pack, hex);
        snprintf(reason, sizeof reason, "pack %.16s... is not here", hex);
        agent_fail(a, &none, SHOTLINE__FAILURE_CLASS__FAILURE_WORKER, reason, now_ms);
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

/* ---- joining ---- */

static void want_pack(struct agent *a, int64_t now_ms)
{
    if (!a->pack_known || a->leaving || a->fetching || agent_holds(a, &a->pack) || now_ms < a->fetch_ms)
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
        agent_say_heartbeat(a, now_ms); /* first what runs, so that it is adopted */
        for (size_t i = 0; i < a->report_count; i++) {
            a->reports[i].every_ms = a->heartbeat_ms;
            if (!a->reports[i].uploading)
                agent_say_report(a, &a->reports[i], now_ms);
        }
    }
    want_pack(a, now_ms);
}

static void on_hello_again(struct agent *a, int64_t now_ms)
{
    if (!a->joined)
        return; /* a hello is under way, and is repeated by the clock */
    log_info("agent.hello_again", "running=%d reports=%zu", a->busy, a->report_count);
    a->joined = false;
    agent_say_hello(a, now_ms);
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
    } else {
        if (m->welcome)
            on_welcome(a, m->welcome, now_ms);
        if (m->cancel)
            on_cancel(a, m->cancel);
        if (m->ack)
            agent_on_ack(a, m->ack);
        if (m->lease)
            on_lease(a, m->lease, now_ms);
        if (m->drain)
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
    agent_fail(a, &a->handed, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED, "the worker is leaving", now_ms);
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
        agent_fail(a, &of, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED, "the worker is leaving", now_ms);
    }
    if (a->joined) {
        m.bye = &bye;
        agent_send(a, &m);
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
        agent_say_hello(a, now_ms);
        a->look_ms = now_ms + a->look_every_ms;
        a->look_every_ms = earlier(2 * a->look_every_ms, LONGEST_LOOK_MS);
    } else if (now_ms >= a->hello_ms) {
        agent_say_hello(a, now_ms);
    }
    if (!a->joined)
        return;
    if (now_ms >= a->heartbeat_at_ms) {
        agent_say_heartbeat(a, now_ms);
        want_pack(a, now_ms);
    }
    for (size_t i = 0; i < a->report_count; i++)
        if (!a->reports[i].uploading && now_ms >= a->reports[i].next_ms)
            agent_say_report(a, &a->reports[i], now_ms);
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
    const struct saving s = { .task = a->running.task,
                              .attempt = a->running.attempt,
                              .step = step,
                              .key = a->running.key,
                              .state = *state,
                              .bytes = bytes };

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
        checkpoint.has_key = true;
        checkpoint.key = codec_bytes(&s.key);
        m.checkpoint = &checkpoint;
        agent_send(a, &m);
    }
    if (a->next_saving.task && still_wanted(a, &a->next_saving))
        start_saving(a, &a->next_saving);
    else if (a->handing) {
        give_back(a, now_ms);
        leave_if_possible(a, now_ms);
    }
}

/* The runner is free again. Asks for work, unless a report has done so. */
static void rest(struct agent *a, bool reported, int64_t now_ms)
{
    if (a->leaving && !a->left)
        leave_if_possible(a, now_ms);
    else if (!reported)
        agent_say_ready(a);
}

void agent_done(struct agent *a, const struct result *r, int64_t now_ms)
{
    struct report *report;

    if (!a->busy || a->running.task != r->task || a->running.attempt != r->attempt)
        return;
    a->busy = false;
    if (a->running.given_up) { /* it was done in the same moment: nobody waits for it */
        a->hooks.settled(a->hooks.context, r);
        rest(a, false, now_ms);
        return;
    }
    report = agent_add_report(a, r, true, now_ms);
    if (a->joined)
        agent_say_report(a, report, now_ms);
    rest(a, true, now_ms);
}

void agent_failed(struct agent *a, Shotline__FailureClass failure, const char *reason, int64_t now_ms)
{
    const struct result of = { .task = a->running.task, .attempt = a->running.attempt, .key = a->running.key };
    bool reported = false;

    if (!a->busy)
        return;
    a->busy = false;
    if (a->leaving && failure == SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED &&
        (a->saving.task == of.task || a->next_saving.task == of.task)) {
        a->handing = true;
        a->handed = of;
    } else if (!a->running.given_up) {
        agent_fail(a, &of, failure, reason, now_ms);
        reported = true;
    }
    rest(a, reported, now_ms);
}

void agent_pack_held(struct agent *a, const struct digest *pack, int64_t now_ms)
{
    if (a->fetching && digest_equal(pack, &a->fetching_pack))
        a->fetching = false;
    if (agent_holds(a, pack))
        return;
    if (a->held_count == AGENT_MAX_PACKS) /* the oldest is not asked for any more */
        memmove(a->held, a->held + 1, --a->held_count * sizeof *a->held);
    a->held[a->held_count++] = *pack;
    if (a->joined) {
        agent_say_hello(a, now_ms); /* carries the packs */
        agent_say_ready(a);
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

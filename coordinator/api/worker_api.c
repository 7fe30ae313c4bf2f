#include "coordinator/api/worker_api.h"

#include "common/base/log.h"
#include "common/wire/codec.h"
#include "coordinator/api/guard.h"
#include "coordinator/core/attempts.h"
#include "coordinator/core/patience.h"
#include "coordinator/core/standing.h"
#include "coordinator/farm/judging.h"
#include "coordinator/farm/leases.h"
#include "coordinator/farm/text.h"
#include "coordinator/farm/worker_tell.h"
#include "proto/worker.pb-c.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAMED_ATTEMPTS 256 /* in one heartbeat */
#define MAX_BUSY_MS        (INT64_C(30) * 24 * 3600 * 1000)

static struct worker_address address_of(const struct peer *p)
{
    struct worker_address a = { .size = p->size };

    memcpy(a.bytes, p->id, p->size);
    return a;
}

static void refuse(struct farm *f, const struct peer *peer, const char *name, const char *reason)
{
    log_warn("worker.refused", "name=\"%s\" reason=\"%s\"", name, reason);
    tell_refused(f, peer, reason);
}

static void on_hello(struct farm *f, const struct message *message, const Shotline__WorkerHello *h, int64_t now_ms)
{
    const struct peer *peer = &message->peer;
    struct digest proof;
    char name[64], device[128], reason[256];
    bool restarted;

    text_clean(name, sizeof name, h->name);
    text_clean(device, sizeof device, h->device);
    if (h->version != WIRE_VERSION) {
        snprintf(reason, sizeof reason, "it speaks version %" PRIu32 " of the protocol, this farm speaks %u",
                 h->version, WIRE_VERSION);
        refuse(f, peer, name, reason);
        return;
    }
    if (!*name || h->boot_id.len != 16 || !codec_digest(&proof, &h->kernel_proof) || h->device_bytes > INT64_MAX) {
        refuse(f, peer, name,
               "its hello is malformed: expected a name, a boot id of 16 bytes and a kernel proof of 32");
        return;
    }
    if (!digest_equal(&proof, &f->kernel_proof)) {
        char theirs[DIGEST_HEX_ROOM], ours[DIGEST_HEX_ROOM];

        digest_hex(&proof, theirs);
        digest_hex(&f->kernel_proof, ours);
        snprintf(reason, sizeof reason,
                 "kernel proof %.16s... differs from the reference %.16s...: \"%.60s\" computes other bytes, so it "
                 "gets no exact work",
                 theirs, ours, device);
        refuse(f, peer, name, reason);
        return;
    }
    struct worker_address address = address_of(peer);
    bool ping = fleet_at_address(&f->fleet, &address) != NULL; /* it only asks whether we are still there */
    struct worker *w = fleet_hello(&f->fleet,
                                   &(struct worker_hello){ .name = name,
                                                           .boot_id = h->boot_id.data,
                                                           .device = device,
                                                           .device_bytes = (int64_t)h->device_bytes,
                                                           .address = address,
                                                           .key = message->key },
                                   now_ms, &restarted);
    if (!w) {
        refuse(f, peer, name, "the farm is full");
        return;
    }
    if (restarted)
        leases_lose(f, w);
    if (restarted || !ping)
        log_info("worker.hello", "worker=%" PRIu64 " name=\"%s\" device=\"%s\" restarted=%d", w->id.v, name, device,
                 restarted);

    tell_welcome(f, w);
}

/* A worker that fails again and again in a campaign gets nothing more of it for a while. */
static void note_failure(struct worker *w, struct campaign *c, int64_t now_ms)
{
    w->failures++;
    if (!standing_failed(c, w->id, now_ms))
        return;
    w->set_aside = true;
    log_warn("worker.set_aside", "worker=%" PRIu64 " name=\"%s\" campaign=%" PRIu64 " for_ms=%" PRId64, w->id.v,
             w->name, c->id.v, STANDING_ASIDE_MS);
}

/* The attempt takes too long: its worker is to stop, and it counts against it. */
static void give_up(struct farm *f, struct worker *w, struct task *t, enum overdue why, int64_t now_ms)
{
    char reason[160];

    if (why == OVERDUE_STALLED)
        snprintf(reason, sizeof reason, "no step for %" PRId64 " s after %" PRIu32 " of %" PRIu32,
                 (now_ms - t->stepped_ms) / 1000, t->step, t->step_count);
    else
        snprintf(reason, sizeof reason, "not done after %" PRId64 " s, where %" PRId64 " were expected",
                 (now_ms - t->dispatched_ms) / 1000, t->expected_ms / 1000);
    log_warn("task.overdue", "task=%" PRIu64 " attempt=%" PRIu32 " worker=%" PRIu64 " reason=\"%s\"", t->id.v,
             t->attempt.v, w->id.v, reason);
    worker_stop(w, t->id);
    tell_cancel(f, w, t->id.v, t->attempt.v);
    note_failure(w, t->video->campaign, now_ms);
    task_timed_out(&f->ledger, t, reason, f->wall_ms);
}

static void on_heartbeat(struct farm *f, struct worker *w, const Shotline__WorkerHeartbeat *h, int64_t now_ms)
{
    for (size_t i = 0; i < h->n_running && i < MAX_NAMED_ATTEMPTS; i++) {
        const Shotline__RunningAttempt *r = h->running[i];
        struct task *t = ledger_task(&f->ledger, (struct task_id){ r->task });

        if (t && task_renew(t, w->id, (struct attempt){ r->attempt }, now_ms, f->fleet.lease_ms)) {
            if (r->has_step && r->has_steps && r->step <= r->steps)
                patience_step(t, r->step, r->steps, now_ms);
            enum overdue why = patience_over(t, now_ms);
            if (why)
                give_up(f, w, t, why, now_ms);
            continue;
        }
        /* Its lease is over and nobody has begun anew: its work is as good as ever. Else it works for nothing. */
        if (t && task_readopt(&f->ledger, t, w->id, (struct attempt){ r->attempt }, now_ms, f->fleet.lease_ms)) {
            worker_start(w, t->id);
            continue;
        }
        if (!t || task_judge(t, w->id, (struct attempt){ r->attempt }, CLAIM_NONE) == REPORT_SUPERSEDED ||
            t->attempt_over)
            tell_cancel(f, w, r->task, r->attempt);
    }
    if (w->draining)
        tell_drain(f, w);
}

static void on_checkpoint(struct farm *f, struct worker *w, const Shotline__WorkerCheckpoint *c, int64_t now_ms)
{
    struct task *t = ledger_task(&f->ledger, (struct task_id){ c->task });
    struct blob_ref state = { .bytes = (int64_t)c->state->bytes };
    const struct attempt attempt = { c->attempt };
    struct digest key;

    if (!codec_digest(&state.digest, &c->state->digest) || state.bytes <= 0)
        return;
    /* A state of other work would spoil every attempt after this one. */
    bool ours = t && c->has_key && codec_digest(&key, &c->key) && digest_equal(&key, &t->key) &&
                task_renew(t, w->id, attempt, now_ms, f->fleet.lease_ms);
    if (store_dir_bytes(f->blobs, &state.digest) == state.bytes && ours &&
        task_checkpoint(&f->ledger, t, w->id, attempt, c->step, &state))
        log_info("task.checkpoint",
                 "task=%" PRIu64 " attempt=%" PRIu32 " worker=%" PRIu64 " step=%" PRIu32 " bytes=%" PRId64, t->id.v,
                 t->attempt.v, w->id.v, c->step, state.bytes);
}

static void on_ready(struct farm *f, struct worker *w, const Shotline__WorkerReady *r)
{
    /* It asks although we gave it something that it never named: either the lease was lost on its way, or both messages
     * crossed. The same lease again is right in both cases, unless something else that it says now ends it. */
    if (leases_unheard(f, w)) {
        w->lease_again = true;
        return;
    }
    uint32_t room = w->draining ? 0 : WORKER_MAX_RUNNING - w->running_count;
    w->credit = r->slots < room ? r->slots : room;
}

/* Checks the outputs of a report. Fills outputs; false with the fault in *err. Missing blobs are listed, which is no
 * fault. */
static bool read_outputs(struct farm *f, const struct task *t, const Shotline__WorkerDone *d,
                         struct task_output *outputs, struct digest *missing, size_t *missing_count, struct error *err)
{
    *missing_count = 0;
    if (d->n_outputs > TASK_MAX_OUTPUTS)
        return error_set(err, ERROR_INPUT, "%zu outputs, expected at most %d", d->n_outputs, TASK_MAX_OUTPUTS);
    for (size_t i = 0; i < d->n_outputs; i++) {
        const Shotline__NamedBlob *o = d->outputs[i];
        struct task_output *to = &outputs[i];

        if (!output_from_text(&to->name, o->name) || !output_allowed(t->kind, t->role, to->name))
            return error_set(err, ERROR_INPUT, "output \"%.40s\" does not belong to a %s task", o->name,
                             task_kind_name(t->kind));
        for (size_t k = 0; k < i; k++)
            if (outputs[k].name == to->name)
                return error_set(err, ERROR_INPUT, "output \"%.40s\" is given twice", o->name);
        if (!codec_digest(&to->blob.digest, &o->blob->digest))
            return error_set(err, ERROR_INPUT, "output \"%.40s\": its digest is not of 32 bytes", o->name);
        int64_t bytes = store_dir_bytes(f->blobs, &to->blob.digest);
        if (bytes < 0)
            missing[(*missing_count)++] = to->blob.digest;
        else if ((uint64_t)bytes != o->blob->bytes)
            return error_set(err, ERROR_INPUT, "output \"%.40s\": %" PRIu64 " bytes, and the blob has %" PRId64,
                             o->name, o->blob->bytes, bytes);
        to->blob.bytes = bytes;
    }
    for (enum output_name n = OUTPUT_EMBEDDING; n <= OUTPUT_VIDEO; n++) {
        bool there = !output_required(t->kind, t->role, n);

        for (size_t i = 0; i < d->n_outputs; i++)
            there = there || outputs[i].name == n;
        if (!there)
            return error_set(err, ERROR_INPUT, "output \"%s\" is missing", output_text(n));
    }
    return true;
}

static void fail_task(struct farm *f, struct worker *w, struct task *t, enum failure failure, const char *reason,
                      int64_t now_ms)
{
    const struct task_failure failed = { .worker = w->id,
                                         .failure = failure,
                                         .reason = reason,
                                         .device_bytes = w->device_bytes,
                                         .able_workers = fleet_counted_on(&f->fleet, now_ms) };

    log_warn("task.failed", "task=%" PRIu64 " attempt=%" PRIu32 " worker=%" PRIu64 " failure=%s reason=\"%s\"", t->id.v,
             t->attempt.v, w->id.v, failure_name(failure), reason);
    worker_stop(w, t->id);
    if (failure == FAILURE_WORKER || failure == FAILURE_INPUT)
        note_failure(w, t->video->campaign, now_ms);
    else if (failure == FAILURE_MEMORY) /* too small for it, which is no fault */
        w->failures++;
    if (failure == FAILURE_MEMORY && t->profile == PROFILE_USUAL)
        worker_ran_short(w, t, now_ms);
    task_failed(&f->ledger, t, &failed, f->wall_ms);
}

static void count_superseded(struct farm *f, struct worker *w, struct task *t, uint64_t task, uint32_t attempt)
{
    log_info("task.superseded", "task=%" PRIu64 " attempt=%" PRIu32 " worker=%" PRIu64, task, attempt, w->id.v);
    w->superseded++;
    if (!t)
        return;
    t->video->campaign->superseded++;
    ledger_touch_campaign(&f->ledger, t->video->campaign);
}

/* What the worker told by its work: speed, what it holds, that it can. */
static void note_work(struct farm *f, struct worker *w, const struct task *t, const struct task_output *outputs,
                      size_t count, int64_t busy_ms)
{
    if (!t->expected && t->profile == PROFILE_USUAL) /* a verification's sizes are estimates of its own */
        worker_measure(w, t->kind, task_attempt_work(t), busy_ms);
    worker_stop(w, t->id);
    w->tasks_done++;
    w->busy_ms += busy_ms;
    for (uint32_t i = 0; i < t->input_count; i++)
        worker_hold(w, &t->inputs[i].blob.digest);
    for (size_t i = 0; i < count; i++)
        worker_hold(w, &outputs[i].blob.digest);
    standing_done(t->video->campaign, w->id);
    if (w->set_aside)
        standing_forgive(&f->ledger, w->id);
    w->set_aside = false;
}

/* The next process of a worker: its name, and its key where there are keys. */
static bool is_heir(const struct worker *w, const struct worker *of)
{
    return !strcmp(w->name, of->name) && !memcmp(&w->key, &of->key, sizeof w->key);
}

static bool on_done(struct farm *f, struct worker *w, const Shotline__WorkerDone *d, int64_t now_ms, struct error *err)
{
    const struct attempt attempt = { d->attempt };
    struct task_output outputs[TASK_MAX_OUTPUTS];
    struct digest missing[TASK_MAX_OUTPUTS], key;
    struct gate_verdict verdict;
    size_t missing_count;
    struct error fault;
    struct task *t = ledger_task(&f->ledger, (struct task_id){ d->task });
    bool has_key = d->has_key && codec_digest(&key, &d->key), same_key = t && has_key && digest_equal(&key, &t->key);
    struct worker *owner = t ? fleet_worker(&f->fleet, t->worker) : NULL;
    enum claim claim = !same_key ? CLAIM_NONE : owner && is_heir(w, owner) ? CLAIM_HEIR : CLAIM_KEY;
    /* A result that a worker kept from another farm may carry the numbers of a task of ours, but never its key. */
    enum report report = t && (same_key || !d->has_key) ? task_judge(t, w->id, attempt, claim) : REPORT_SUPERSEDED;

    /* Said again after its campaign was put on the shelf: answered from its record, for which nothing is loaded. */
    if (!t && (has_key || !d->has_key)) {
        bool done;

        if (!store_find_done(f->store, (struct task_id){ d->task }, has_key ? &key : NULL, attempt, &done, err))
            return false;
        report = done ? REPORT_REPEATED : report;
    }
    if (report == REPORT_SUPERSEDED) {
        count_superseded(f, w, t, d->task, d->attempt);
        tell_ack(f, w, d->task, d->attempt, SHOTLINE__REPORT_VERDICT__REPORT_SUPERSEDED, NULL, 0);
        return true;
    }
    if (report == REPORT_REPEATED) {
        tell_ack(f, w, d->task, d->attempt, SHOTLINE__REPORT_VERDICT__REPORT_OK, NULL, 0);
        return true;
    }
    bool sound = read_outputs(f, t, d, outputs, missing, &missing_count, &fault);
    const bool judged = t->kind == TASK_DECODE && !t->expected;
    if (sound && !missing_count && judged)
        sound = judging_verdict(f, t, outputs, (uint32_t)d->n_outputs, &verdict, &fault);
    if (!sound) {
        if (report == REPORT_CURRENT && owner == w && !t->attempt_over)
            fail_task(f, w, t, FAILURE_WORKER, fault.text, now_ms);
        tell_ack(f, w, d->task, d->attempt, SHOTLINE__REPORT_VERDICT__REPORT_OK, NULL, 0);
        return true;
    }
    if (missing_count) {
        ProtobufCBinaryData list[TASK_MAX_OUTPUTS];

        for (size_t i = 0; i < missing_count; i++)
            list[i] = codec_bytes(&missing[i]);
        task_renew(t, w->id, attempt, now_ms, f->fleet.lease_ms);
        tell_ack(f, w, d->task, d->attempt, SHOTLINE__REPORT_VERDICT__REPORT_MISSING_BLOB, list, missing_count);
        return true;
    }
    int64_t busy_ms = d->busy_ms > (uint64_t)MAX_BUSY_MS ? MAX_BUSY_MS : (int64_t)d->busy_ms;

    log_info("task.done",
             "campaign=%" PRIu64 " task=%" PRIu64 " attempt=%" PRIu32 " kind=%s role=%s shot=%" PRIu32
             " worker=%" PRIu64 " ms=%" PRId64 "%s",
             t->video->campaign->id.v, t->id.v, d->attempt, task_kind_name(t->kind), task_role_name(t->role), t->shot,
             w->id.v, busy_ms, report == REPORT_BY_KEY ? " by=key" : "");
    if (owner) /* the former self of `w`, or it was given up */
        worker_stop(owner, t->id);
    note_work(f, w, t, outputs, d->n_outputs, busy_ms);
    if (!t->expected && !store_put_result(f->store, &t->key, outputs, (uint32_t)d->n_outputs, err))
        return false;
    task_done(&f->ledger, t, w->id, attempt, outputs, (uint32_t)d->n_outputs, busy_ms);
    if (judged)
        judging_pronounce(f, t, &verdict);
    tell_ack(f, w, d->task, d->attempt, SHOTLINE__REPORT_VERDICT__REPORT_OK, NULL, 0);
    return true;
}

static void on_failed(struct farm *f, struct worker *w, const Shotline__WorkerFailed *d, int64_t now_ms)
{
    struct task *t = ledger_task(&f->ledger, (struct task_id){ d->task });
    enum report report = t ? task_judge_failure(t, w->id, (struct attempt){ d->attempt }) : REPORT_SUPERSEDED;
    char reason[400];

    if (d->failure < SHOTLINE__FAILURE_CLASS__FAILURE_MEMORY || d->failure > SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED)
        report = REPORT_SUPERSEDED;
    if (report == REPORT_SUPERSEDED) {
        count_superseded(f, w, t, d->task, d->attempt);
    } else if (report == REPORT_CURRENT) {
        text_clean(reason, sizeof reason, d->reason);
        fail_task(f, w, t, (enum failure)d->failure, reason, now_ms);
    }
    tell_ack(f, w, d->task, d->attempt,
             report == REPORT_SUPERSEDED ? SHOTLINE__REPORT_VERDICT__REPORT_SUPERSEDED
                                         : SHOTLINE__REPORT_VERDICT__REPORT_OK,
             NULL, 0);
}

static void on_bye(struct farm *f, struct worker *w)
{
    log_info("worker.bye", "worker=%" PRIu64 " name=\"%s\"", w->id.v, w->name);
    leases_lose(f, w);
    worker_gone(w);
    w->left = true;
}

/* Whether the guard lets it pass; if not, the worker is told. */
static bool may_speak(struct farm *f, const struct message *message, int64_t now_ms)
{
    const char *why;

    if (guard_hears(f->guard, CONVERSATION_WORKERS, message, now_ms, &why) &&
        guard_allows(f->guard, CONVERSATION_WORKERS, message, ACCESS_WORK, now_ms, &why))
        return true;
    if (why)
        tell_refused(f, &message->peer, why);
    return false;
}

/* What a worker that has joined says. What it did comes before what it could do now. */
static bool on_words(struct farm *f, struct worker *w, const Shotline__ToCoordinator *m, int64_t now_ms,
                     struct error *err)
{
    worker_heard(w, now_ms);
    if (m->heartbeat)
        on_heartbeat(f, w, m->heartbeat, now_ms);
    if (m->checkpoint)
        on_checkpoint(f, w, m->checkpoint, now_ms);
    if (m->failed)
        on_failed(f, w, m->failed, now_ms);
    if (m->done && !on_done(f, w, m->done, now_ms, err))
        return false;
    if (m->ready)
        on_ready(f, w, m->ready);
    if (m->bye)
        on_bye(f, w);
    return true;
}

static bool on_message(struct farm *f, const struct message *message, int64_t now_ms, struct error *err)
{
    if (!may_speak(f, message, now_ms))
        return true;

    struct arena arena = { 0 };
    struct error fault;
    bool ok = true;
    const Shotline__ToCoordinator *m =
        codec_unpack(&shotline__to_coordinator__descriptor, message->data, message->size, &arena, &fault);

    if (!m) {
        guard_refused(f->guard, CONVERSATION_WORKERS, message, REFUSAL_MALFORMED, fault.text, now_ms);
    } else if (m->hello) {
        on_hello(f, message, m->hello, now_ms);
    } else {
        struct worker_address address = address_of(&message->peer);
        struct worker *w = fleet_at_address(&f->fleet, &address);

        if (w && memcmp(w->key.bytes, message->key.bytes, CURVE_BYTES)) /* a connection's name may be taken again */
            w = NULL;
        if (!w) {
            if (!m->bye)
                tell_hello_again(f, &message->peer);
        } else {
            ok = on_words(f, w, m, now_ms, err);
        }
    }
    arena_free(&arena);
    return ok;
}

bool worker_api_drain(struct farm *f, int most, int64_t now_ms, bool *ok, struct error *err)
{
    struct message message;

    *ok = true;
    for (int i = 0; i < most; i++) {
        if (!endpoint_receive(f->workers, &message))
            return false;
        *ok = on_message(f, &message, now_ms, err);
        if (!*ok)
            return false;
    }
    return true;
}

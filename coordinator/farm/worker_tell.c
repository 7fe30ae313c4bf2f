#include "coordinator/farm/worker_tell.h"

#include "common/wire/codec.h"
#include "coordinator/farm/spec.h"
#include "proto/worker.pb-c.h"

#include <string.h>

static struct peer peer_of(const struct worker_address *a)
{
    struct peer p = { .size = a->size };

    memcpy(p.id, a->bytes, a->size);
    return p;
}

static uint64_t send(struct farm *f, const struct peer *peer, Shotline__ToWorker *m)
{
    m->sequence = ++f->sequence;
    return farm_send(f, f->workers, peer, &m->base);
}

void tell_welcome(struct farm *f, const struct worker *w)
{
    const struct peer peer = peer_of(&w->address);
    struct arena arena = { 0 };
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__Welcome welcome = SHOTLINE__WELCOME__INIT;
    welcome.worker = w->id.v;
    welcome.heartbeat_ms = (uint32_t)f->fleet.heartbeat_ms;
    welcome.lease_ms = (uint32_t)f->fleet.lease_ms;
    welcome.pack = codec_bytes(&f->ledger.keys.pack);
    welcome.pack_listing = blob_message(&f->listing_blob, &arena);
    m.welcome = &welcome;
    send(f, &peer, &m);
    arena_free(&arena);
}

void tell_ack(struct farm *f, struct worker *w, uint64_t task, uint32_t attempt, Shotline__ReportVerdict verdict,
              ProtobufCBinaryData *missing, size_t missing_count)
{
    const struct peer peer = peer_of(&w->address);
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__ReportAck ack = SHOTLINE__REPORT_ACK__INIT;

    ack.task = task;
    ack.attempt = attempt;
    ack.verdict = verdict;
    ack.missing = missing;
    ack.n_missing = missing_count;
    m.ack = &ack;
    w->answer = send(f, &peer, &m);
}

void tell_refused(struct farm *f, const struct peer *peer, const char *reason)
{
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__Refused refused = SHOTLINE__REFUSED__INIT;

    refused.reason = (char *)reason;
    m.refused = &refused;
    send(f, peer, &m);
}

void tell_gone(struct farm *f, const struct worker *w, const char *reason)
{
    const struct peer peer = peer_of(&w->address);

    tell_refused(f, &peer, reason);
}

void tell_lease(struct farm *f, struct worker *w, const struct task *t)
{
    struct arena arena = { 0 };
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__Lease lease = SHOTLINE__LEASE__INIT;
    struct peer peer = peer_of(&w->address);

    lease.task = t->id.v;
    lease.attempt = t->attempt.v;
    lease.lease_ms = (uint32_t)f->fleet.lease_ms;
    lease.spec = task_spec(t, &f->ledger.keys.pack, &arena);
    lease.has_checkpoint_ms = t->kind == TASK_DENOISE && f->checkpoint_ms;
    lease.checkpoint_ms = f->checkpoint_ms;
    m.lease = &lease;
    m.sequence = ++f->sequence;
    if (!farm_send_with(f, w->answer, &m.base))
        farm_send(f, f->workers, &peer, &m.base);
    w->answer = 0; /* a message has room for one lease */
    arena_free(&arena);
}

void tell_hello_again(struct farm *f, const struct peer *peer)
{
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__HelloAgain again = SHOTLINE__HELLO_AGAIN__INIT;

    m.hello_again = &again;
    send(f, peer, &m);
}

void tell_cancel(struct farm *f, const struct worker *w, uint64_t task, uint32_t attempt)
{
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__CancelAttempt cancel = SHOTLINE__CANCEL_ATTEMPT__INIT;
    struct peer peer = peer_of(&w->address);

    cancel.task = task;
    cancel.attempt = attempt;
    m.cancel = &cancel;
    send(f, &peer, &m);
}

void tell_drain(struct farm *f, const struct worker *w)
{
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__Drain drain = SHOTLINE__DRAIN__INIT;
    struct peer peer = peer_of(&w->address);

    m.drain = &drain;
    send(f, &peer, &m);
}

/* agent_say - what an agent tells the coordinator. */
#include "worker/agent_internal.h"

#include "common/base/str.h"
#include "common/wire/codec.h"
#include "common/wire/endpoint.h"
#include "worker/report.h"

#include <stdlib.h>

void agent_send(struct agent *a, Shotline__ToCoordinator *m)
{
    m->sequence = ++a->sequence;
    a->hooks.send(a->hooks.context, m);
}

void agent_say_hello(struct agent *a, int64_t now_ms)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerHello hello = SHOTLINE__WORKER_HELLO__INIT;
    ProtobufCBinaryData packs[AGENT_MAX_PACKS];

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
    agent_send(a, &m);
    a->hello_ms = now_ms + a->heartbeat_ms;
}

/* Adds to a message that it could work now, if it could. */
static bool ask_for_work(const struct agent *a, Shotline__ToCoordinator *m, Shotline__WorkerReady *ready)
{
    if (!a->joined || a->leaving || a->busy || !a->pack_known || !agent_holds(a, &a->pack))
        return false;
    shotline__worker_ready__init(ready);
    ready->slots = 1;
    m->ready = ready;
    return true;
}

void agent_say_heartbeat(struct agent *a, int64_t now_ms)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerHeartbeat heartbeat = SHOTLINE__WORKER_HEARTBEAT__INIT;
    Shotline__WorkerReady ready;
    size_t n = 0, room = a->report_count + 2;
    Shotline__RunningAttempt *attempts = xcalloc(room, sizeof *attempts);
    Shotline__RunningAttempt **list = xcalloc(room, sizeof *list);

    for (size_t i = 0; i < room; i++) {
        shotline__running_attempt__init(&attempts[i]);
        list[i] = &attempts[i];
    }
    if (a->busy) {
        attempts[n].task = a->running.task;
        attempts[n].attempt = a->running.attempt;
        attempts[n].has_step = attempts[n].has_steps = a->running.steps > 0;
        attempts[n].step = a->running.step;
        attempts[n++].steps = a->running.steps;
    }
    if (a->handing) {
        attempts[n].task = a->handed.task;
        attempts[n++].attempt = a->handed.attempt;
    }
    for (size_t i = 0; i < a->report_count; i++) {
        const struct report *r = &a->reports[i];

        if (!r->ours || r->failed)
            continue;
        attempts[n].task = r->result.task;
        attempts[n++].attempt = r->result.attempt;
    }
    heartbeat.n_running = n;
    heartbeat.running = list;
    m.heartbeat = &heartbeat;
    ask_for_work(a, &m, &ready);
    agent_send(a, &m);
    free(list);
    free(attempts);
    a->heartbeat_at_ms = now_ms + a->heartbeat_ms;
}

void agent_say_ready(struct agent *a)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerReady ready;

    if (ask_for_work(a, &m, &ready))
        agent_send(a, &m);
}

void agent_say_report(struct agent *a, struct report *r, int64_t now_ms)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerFailed failed = SHOTLINE__WORKER_FAILED__INIT;
    Shotline__WorkerDone done;
    Shotline__WorkerReady ready;
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
    ask_for_work(a, &m, &ready);
    agent_send(a, &m);
    r->next_ms = now_ms + r->every_ms;
    if (r->every_ms < 8 * a->heartbeat_ms)
        r->every_ms *= 2;
}

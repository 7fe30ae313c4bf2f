/* loop - see loop.h. One thread owns the socket and the agent; computing and carrying happen elsewhere and come back as
 * news. */
#include "worker/loop.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/wire/codec.h"
#include "common/wire/endpoint.h"
#include "worker/courier.h"

#include <czmq.h>
#include <inttypes.h>
#include <string.h>

#define CLOSE_MS 500 /* for a task that stopped, and its device: the agent was patient before */

struct loop {
    const struct loop_options *o;
    char address[256];
    struct endpoint *endpoint; /* NULL while it could not be opened again */
    struct newsroom *news;
    struct runner *runner;
    struct courier *courier;
    struct agent *agent;
    struct str packed;
};

/* ---- what the agent wants done ---- */

static void hook_send(void *context, const Shotline__ToCoordinator *m)
{
    struct loop *l = context;

    codec_pack(&m->base, &l->packed);
    if (l->endpoint)
        endpoint_send(l->endpoint, NULL, l->packed.data, l->packed.size); /* lost: it is said again */
}

static void hook_reconnect(void *context)
{
    struct loop *l = context;
    struct error why = { 0 };

    endpoint_close(&l->endpoint);
    l->endpoint = endpoint_connect(l->address, l->o->keys, &why);
    if (!l->endpoint)
        log_warn("worker.connect", "reason=\"%s\"", why.text);
}

static void hook_start(void *context, const Shotline__Lease *lease)
{
    runner_start(((struct loop *)context)->runner, lease);
}

static void hook_hand_over(void *context)
{
    runner_hand_over(((struct loop *)context)->runner);
}

static void hook_save(void *context, const struct digest *state)
{
    courier_save(((struct loop *)context)->courier, state);
}

static void hook_cancel(void *context)
{
    runner_cancel(((struct loop *)context)->runner);
}

static void hook_fetch_pack(void *context, const struct digest *pack, const struct digest *listing)
{
    courier_fetch_pack(((struct loop *)context)->courier, pack, listing);
}

static void hook_upload(void *context, const struct result *r, const struct digest *missing, size_t count)
{
    courier_upload(((struct loop *)context)->courier, r, missing, count);
}

static void hook_settled(void *context, const struct result *r)
{
    outbox_drop(((struct loop *)context)->o->outbox, r);
}

/* ---- what the agent is told ---- */

static void restore_result(void *context, const struct result *r)
{
    struct loop *l = context;

    log_info("outbox.restored", "task=%" PRIu64 " attempt=%" PRIu32, r->task, r->attempt);
    agent_restore(l->agent, r, clock_now_ms());
}

static Shotline__FailureClass failure_class(enum error_kind kind)
{
    switch (kind) {
    case ERROR_MEMORY:
        return SHOTLINE__FAILURE_CLASS__FAILURE_MEMORY;
    case ERROR_INPUT:
    case ERROR_USAGE:
        return SHOTLINE__FAILURE_CLASS__FAILURE_INPUT;
    case ERROR_CANCELLED:
        return SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED;
    default:
        return SHOTLINE__FAILURE_CLASS__FAILURE_WORKER;
    }
}

static void tell_news(struct loop *l, int64_t now_ms)
{
    struct news n;

    while (newsroom_take(l->news, &n)) {
        switch (n.kind) {
        case NEWS_PROGRESS:
            agent_progress(l->agent, n.step, n.steps);
            break;
        case NEWS_CHECKPOINT:
            agent_checkpoint(l->agent, n.step, &n.state, n.state_bytes);
            break;
        case NEWS_SAVED:
        case NEWS_SAVE_FAILED:
            agent_saved(l->agent, n.kind == NEWS_SAVED, now_ms);
            break;
        case NEWS_DONE:
            agent_done(l->agent, &n.result, now_ms);
            break;
        case NEWS_FAILED:
            agent_failed(l->agent, failure_class(n.why.kind), n.why.text, now_ms);
            break;
        case NEWS_UPLOADED:
        case NEWS_UPLOAD_FAILED:
            agent_uploaded(l->agent, n.result.task, n.result.attempt, n.kind == NEWS_UPLOADED, n.why.text, now_ms);
            break;
        case NEWS_PACK_HELD:
            agent_pack_held(l->agent, &n.pack, now_ms);
            break;
        case NEWS_PACK_FAILED:
            log_error("pack.fetch", "reason=\"%s\"", n.why.text);
            agent_pack_failed(l->agent, &n.pack, now_ms);
            break;
        }
    }
}

static void tell_messages(struct loop *l, int64_t now_ms)
{
    struct message in;

    while (l->endpoint && endpoint_receive(l->endpoint, &in)) {
        struct arena arena = { 0 };
        struct error why = { 0 };
        const Shotline__ToWorker *m = codec_unpack(&shotline__to_worker__descriptor, in.data, in.size, &arena, &why);

        if (m)
            agent_message(l->agent, m, now_ms);
        else
            log_warn("worker.bad_message", "reason=\"%s\"", why.text);
        arena_free(&arena);
    }
}

/* ---- turning ---- */

static bool turn(struct loop *l, struct error *err)
{
    enum { NEWS, STOP, FARM, COUNT };
    zmq_pollitem_t items[COUNT] = {
        [NEWS] = { .fd = newsroom_fd(l->news), .events = ZMQ_POLLIN },
        [STOP] = { .fd = l->o->stop_fd, .events = ZMQ_POLLIN },
        [FARM] = { .socket = l->endpoint ? endpoint_socket(l->endpoint) : NULL, .events = ZMQ_POLLIN },
    };
    bool leaving = agent_state(l->agent) == AGENT_LEAVING;
    int64_t wait_ms = agent_deadline_ms(l->agent) - clock_now_ms();
    int64_t now_ms;

    if (leaving)
        items[STOP].events = 0; /* told already */
    if (zmq_poll(items, l->endpoint ? COUNT : FARM, wait_ms > 0 ? (long)wait_ms : 0) < 0)
        return zmq_errno() == EINTR || error_set(err, ERROR_IO, "zmq_poll: %s", zmq_strerror(zmq_errno()));
    if (l->endpoint && endpoint_refused(l->endpoint))
        return error_set(err, ERROR_INPUT,
                         "the farm at %s does not accept this worker's key: it is not known there, or revoked",
                         l->o->farm);
    now_ms = clock_now_ms();
    if (items[STOP].revents) {
        agent_leave(l->agent, now_ms);
    }
    tell_messages(l, now_ms);
    tell_news(l, now_ms);
    agent_tick(l->agent, now_ms);
    return true;
}

static bool loop_open(struct loop *l, struct error *err)
{
    const struct loop_options *o = l->o;
    const struct agent_hooks hooks = { .context = l,
                                       .send = hook_send,
                                       .reconnect = hook_reconnect,
                                       .start = hook_start,
                                       .cancel = hook_cancel,
                                       .hand_over = hook_hand_over,
                                       .save = hook_save,
                                       .fetch_pack = hook_fetch_pack,
                                       .upload = hook_upload,
                                       .settled = hook_settled };
    char blob_address[256];
    struct digest local;

    if (!endpoint_address(o->farm, CONVERSATION_WORKERS, l->address, sizeof l->address, err) ||
        !endpoint_address(o->farm, CONVERSATION_BLOBS, blob_address, sizeof blob_address, err))
        return false;
    l->news = newsroom_open(err);
    if (!l->news)
        return false;
    l->courier = courier_open(blob_address, o->keys, o->blobs, o->packs, l->news, err);
    if (!l->courier)
        return false;
    l->runner = runner_open(&(struct runner_options){ .blob_address = blob_address,
                                                      .keys = o->keys,
                                                      .blobs = o->blobs,
                                                      .packs = o->packs,
                                                      .outbox = o->outbox,
                                                      .news = l->news,
                                                      .scratch_dir = o->scratch_dir,
                                                      .open_exec = o->open_exec,
                                                      .context = o->context },
                            err);
    if (!l->runner)
        return false;
    l->endpoint = endpoint_connect(l->address, o->keys, err);
    if (!l->endpoint)
        return false;
    l->agent = agent_new(&o->who, &hooks, clock_now_ms());
    if (packs_local(o->packs, &local))
        agent_pack_held(l->agent, &local, clock_now_ms());
    return outbox_load(o->outbox, restore_result, l, err);
}

bool loop_run(const struct loop_options *o, bool *stuck, struct error *err)
{
    struct loop l = { .o = o };
    bool ok = loop_open(&l, err);

    while (ok && agent_state(l.agent) != AGENT_LEFT && agent_state(l.agent) != AGENT_REFUSED)
        ok = turn(&l, err);
    if (ok && agent_state(l.agent) == AGENT_REFUSED)
        ok = error_set(err, ERROR_INPUT, "the coordinator at %s refused this worker: %s", o->farm,
                       agent_refusal(l.agent));
    endpoint_close(&l.endpoint);
    *stuck = !runner_close(&l.runner, CLOSE_MS);
    courier_close(&l.courier);
    if (!*stuck)
        newsroom_close(&l.news);
    agent_free(&l.agent);
    str_free(&l.packed);
    return ok;
}

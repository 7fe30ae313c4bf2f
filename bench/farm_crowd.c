#include "bench/farm_crowd.h"

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/wire/codec.h"
#include "common/wire/endpoint.h"
#include "coordinator/core/gate_scores.h"
#include "proto/worker.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define HEARTBEAT_MS 2000
#define TEND_MS      50  /* how often it is looked whose heartbeat is due */
#define NAME_MARK    'w' /* a connection is named by this and its number: names that begin with 0 are ZeroMQ's */

struct light {
    uint8_t boot_id[16];
    char name[32];
    uint64_t sequence;
    bool joined;
    int64_t heartbeat_at_ms;
};

struct light_name {
    uint8_t mark, number[4];
};

static void die(const char *what)
{
    fprintf(stderr, "farm: %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

/* Any of them can stand for the scores of a shot, which the coordinator reads: of no frames. */
void crowd_blob_text(int i, char *text, size_t room)
{
    snprintf(text, room,
             "{\"format\":%d,\"frames\":0,\"columns\":%d,\"fps\":8,\"unusable\":0,\"borders\":[],\"dark\":[],"
             "\"bright\":[],\"sharpness\":[],\"change\":[],\"tint\":[],\"residual\":[],\"colours\":[],"
             "\"lasting\":[],\"move\":[],\"camera\":[],\"drift\":[],\"figures\":[]}",
             GATE_SCORES_FORMAT, i + 1);
}

static struct light_name name_of(const struct crowd *c, const struct light *l)
{
    struct light_name name = { .mark = NAME_MARK };
    uint32_t number = (uint32_t)(l - c->list);

    memcpy(name.number, &number, sizeof number);
    return name;
}

/* ---- what they say ---- */

/* Lost when the connection's queue is full, as the protocol allows. */
static void send_bytes(struct crowd *c, const struct light *l, const void *data, size_t size)
{
    const struct light_name name = name_of(c, l);

    if (zmq_send(c->socket, &name, sizeof name, ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0)
        zmq_send(c->socket, data, size, ZMQ_DONTWAIT);
}

static void say(struct crowd *c, struct light *l, Shotline__ToCoordinator *m)
{
    m->sequence = ++l->sequence;
    codec_pack(&m->base, &c->packed);
    send_bytes(c, l, c->packed.data, c->packed.size);
}

static void say_hello(struct crowd *c, struct light *l)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerHello h = SHOTLINE__WORKER_HELLO__INIT;

    h.version = WIRE_VERSION;
    h.name = l->name;
    h.boot_id = (ProtobufCBinaryData){ sizeof l->boot_id, l->boot_id };
    h.device = "light";
    h.device_bytes = 1 << 30;
    h.kernel_proof = codec_bytes(&c->proof);
    m.hello = &h;
    say(c, l, &m);
}

static void say_ready(struct crowd *c, struct light *l)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerReady r = SHOTLINE__WORKER_READY__INIT;

    r.slots = 1;
    m.ready = &r;
    say(c, l, &m);
}

static void say_heartbeat(struct crowd *c, struct light *l)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerHeartbeat h = SHOTLINE__WORKER_HEARTBEAT__INIT;
    Shotline__WorkerReady r = SHOTLINE__WORKER_READY__INIT;

    r.slots = 1;
    m.heartbeat = &h;
    m.ready = &r;
    say(c, l, &m);
}

static void say_done(struct crowd *c, struct light *l, const Shotline__Lease *lease)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerDone d = SHOTLINE__WORKER_DONE__INIT;
    Shotline__WorkerReady r = SHOTLINE__WORKER_READY__INIT;
    Shotline__NamedBlob named[TASK_MAX_OUTPUTS], *list[TASK_MAX_OUTPUTS];
    Shotline__Blob blobs[TASK_MAX_OUTPUTS];
    const Shotline__TaskSpec *s = lease->spec;
    enum task_role role = s->denoise && s->denoise->step_to < s->denoise->steps ? ROLE_ANCHOR : ROLE_NONE;
    struct digest key;

    codec_digest(&key, &s->key);
    for (enum output_name n = OUTPUT_EMBEDDING; n <= OUTPUT_VIDEO; n++) {
        const struct blob_ref *b = &c->blobs[(key.bytes[0] + 256 * key.bytes[1] + n) % CROWD_BLOBS];
        size_t i = d.n_outputs;

        if (!output_required((enum task_kind)s->kind, role, n))
            continue;
        shotline__blob__init(&blobs[i]);
        blobs[i].digest = codec_bytes(&b->digest);
        blobs[i].bytes = (uint64_t)b->bytes;
        shotline__named_blob__init(&named[i]);
        named[i].name = (char *)output_text(n);
        named[i].blob = &blobs[i];
        list[d.n_outputs++] = &named[i];
    }
    d.task = lease->task;
    d.attempt = lease->attempt;
    d.outputs = list;
    d.busy_ms = 20;
    d.has_key = 1;
    d.key = s->key;
    r.slots = 1;
    m.done = &d;
    m.ready = &r;
    say(c, l, &m);
}

static void hear(struct crowd *c, struct light *l, const void *data, size_t size)
{
    struct arena arena = { 0 };
    struct error err;
    const Shotline__ToWorker *m = codec_unpack(&shotline__to_worker__descriptor, data, size, &arena, &err);

    if (m && m->welcome) {
        if (!l->joined)
            say_ready(c, l);
        c->joined += !l->joined;
        l->joined = true;
    }
    if (m && m->hello_again)
        say_hello(c, l);
    if (m && m->ack) {
        c->done += m->ack->verdict == SHOTLINE__REPORT_VERDICT__REPORT_OK;
        c->superseded += m->ack->verdict != SHOTLINE__REPORT_VERDICT__REPORT_OK;
    }
    if (m && m->lease)
        say_done(c, l, m->lease);
    c->refused += m && m->refused;
    arena_free(&arena);
}

/* ---- their connections ---- */

static void set(struct crowd *c, int option, int value)
{
    if (zmq_setsockopt(c->socket, option, &value, sizeof value))
        die("an option of the crowd's socket");
}

static void set_key(struct crowd *c, int option, const struct curve_key *key)
{
    if (zmq_setsockopt(c->socket, option, key->bytes, CURVE_BYTES))
        die("a worker's key");
}

void crowd_open(struct crowd *c, const char *address, const struct curve_pair *pairs, size_t count,
                const struct curve_key *farm)
{
    char text[320];

    for (int i = 0; i < CROWD_BLOBS; i++) {
        crowd_blob_text(i, text, sizeof text);
        c->blobs[i] = (struct blob_ref){ digest_of(text, strlen(text)), (int64_t)strlen(text) };
    }
    c->context = zmq_ctx_new();
    c->socket = c->context ? zmq_socket(c->context, ZMQ_ROUTER) : NULL;
    if (!c->socket)
        die("the crowd's socket");
    set(c, ZMQ_LINGER, 0);
    set_key(c, ZMQ_CURVE_SERVERKEY, farm);
    c->list = xcalloc(count, sizeof *c->list);
    c->count = count;
    for (size_t i = 0; i < count; i++) { /* a connection keeps the options that its socket had when it was opened */
        struct light *l = &c->list[i];
        const struct light_name name = name_of(c, l);

        snprintf(l->name, sizeof l->name, "light-%zu", i);
        memcpy(l->boot_id, pairs[i].public.bytes, sizeof l->boot_id);
        set_key(c, ZMQ_CURVE_PUBLICKEY, &pairs[i].public);
        set_key(c, ZMQ_CURVE_SECRETKEY, &pairs[i].secret);
        if (zmq_setsockopt(c->socket, ZMQ_CONNECT_ROUTING_ID, &name, sizeof name) || zmq_connect(c->socket, address))
            die("a worker");
    }
}

static bool receive_frame(struct crowd *c, zmq_msg_t *frame)
{
    while (zmq_msg_recv(frame, c->socket, ZMQ_DONTWAIT) < 0)
        if (zmq_errno() != EINTR)
            return false;
    return true;
}

/* Takes one message; false when there is none. */
static bool take(struct crowd *c, zmq_msg_t *frame)
{
    struct light_name name = { 0 };
    uint32_t number;

    if (!receive_frame(c, frame))
        return false;
    if (zmq_msg_size(frame) == sizeof name)
        memcpy(&name, zmq_msg_data(frame), sizeof name);
    memcpy(&number, name.number, sizeof number);
    if (name.mark != NAME_MARK || number >= c->count || !receive_frame(c, frame))
        die("a message of nobody");
    struct light *l = &c->list[number];
    if (!c->echo) {
        hear(c, l, zmq_msg_data(frame), zmq_msg_size(frame));
        return true;
    }
    c->done++;
    c->joined += !l->joined;
    l->joined = true;
    l->heartbeat_at_ms = c->tended_ms + HEARTBEAT_MS;
    send_bytes(c, l, zmq_msg_data(frame), zmq_msg_size(frame));
    return true;
}

/* What is said without being asked. */
static void tend(struct crowd *c, struct light *l)
{
    static const char lease_sized[120] = "what a lease weighs, more or less";

    if (c->echo) { /* not connected yet, or lost */
        send_bytes(c, l, lease_sized, sizeof lease_sized);
    } else if (l->joined) {
        say_heartbeat(c, l);
    } else {
        say_hello(c, l);
    }
    l->heartbeat_at_ms = c->tended_ms + HEARTBEAT_MS;
}

void crowd_turn(struct crowd *c)
{
    enum { AT_ONCE = 1024 }; /* whose heartbeats are due does not wait for a flood to end */
    zmq_pollitem_t item = { .socket = c->socket, .events = ZMQ_POLLIN };
    zmq_msg_t frame;

    zmq_poll(&item, 1, TEND_MS);
    zmq_msg_init(&frame);
    for (int i = 0; i < AT_ONCE && take(c, &frame); i++)
        ;
    zmq_msg_close(&frame);
    int64_t now_ms = clock_now_ms();
    if (now_ms - c->tended_ms < TEND_MS)
        return;
    c->tended_ms = now_ms;
    for (size_t i = 0; i < c->count; i++)
        if (now_ms >= c->list[i].heartbeat_at_ms)
            tend(c, &c->list[i]);
}

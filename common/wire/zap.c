#include "common/wire/zap.h"

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"

#include <czmq.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ZAP_ADDRESS  "inproc://zeromq.zap.01"
#define MAX_WATCHED  4
#define LOG_EVERY_MS 60000

/* Frames of a request: version, request id, domain, address, routing id, mechanism, and for CURVE the key. */
enum { VERSION, REQUEST_ID, DOMAIN, ADDRESS, ROUTING_ID, MECHANISM, KEY, FRAMES };

enum failure { NO_KEYS, WRONG_KEYS, NO_HANDSHAKE, TOO_FAST, TOO_MANY_OF_ADDRESS, TOO_MANY, FAILURES };

static const char *const failure_texts[FAILURES] = {
    [NO_KEYS] = "it has no keys",
    [WRONG_KEYS] = "it does not speak with this farm's key",
    [NO_HANDSHAKE] = "it left, or was silent, before it had proved a key",
    [TOO_FAST] = "its address opens connections too fast",
    [TOO_MANY_OF_ADDRESS] = "its address has too many connections open",
    [TOO_MANY] = "too many connections are open",
};

struct watched {
    const char *name;
    zsock_t *monitor;
    int64_t logged_ms[FAILURES]; /* 0: never */
    uint64_t since[FAILURES];    /* not logged yet */
};

struct zap {
    zap_judge *judge;
    void *context;
    zsock_t *asked;
    int wake_fd;
    pthread_t thread;
    bool limited;
    struct callers callers; /* the thread's, once something is watched */
    pthread_mutex_t lock;   /* of what follows */
    bool stop;
    struct watched watched[MAX_WATCHED];
    size_t count;
};

/* ---- handshakes ---- */

struct request {
    zmq_msg_t frames[FRAMES];
    int count;
    bool whole;
};

static bool receive_request(void *socket, struct request *r)
{
    zmq_msg_t rest;

    r->count = 0;
    r->whole = true;
    do {
        zmq_msg_t *frame = r->count < FRAMES ? &r->frames[r->count] : &rest;

        zmq_msg_init(frame);
        if (zmq_msg_recv(frame, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(frame);
            r->whole = false;
            break;
        }
        if (frame == &rest) {
            r->whole = false;
            zmq_msg_close(&rest);
        } else {
            r->count++;
        }
    } while (zsock_rcvmore(socket));
    return r->count > 0;
}

static bool frame_is(zmq_msg_t *frame, const char *text)
{
    return zmq_msg_size(frame) == strlen(text) && memcmp(zmq_msg_data(frame), text, strlen(text)) == 0;
}

static void answer(void *socket, zmq_msg_t *id, const char *status, const char *text, const char *user)
{
    zmq_send(socket, "1.0", 3, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, zmq_msg_data(id), zmq_msg_size(id), ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, status, strlen(status), ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, text, strlen(text), ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, user, strlen(user), ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, "", 0, ZMQ_DONTWAIT);
}

/* One handshake; false when none waits. */
static bool judge_one(struct zap *z)
{
    void *socket = zsock_resolve(z->asked);
    char user[CURVE_TEXT_ROOM], address[64];
    struct curve_key key;
    struct request r;

    if (!receive_request(socket, &r))
        return false;
    if (r.whole && r.count == FRAMES && frame_is(&r.frames[MECHANISM], "CURVE") &&
        zmq_msg_size(&r.frames[KEY]) == CURVE_BYTES) {
        size_t size = zmq_msg_size(&r.frames[ADDRESS]);

        size = size < sizeof address ? size : sizeof address - 1;
        memcpy(address, zmq_msg_data(&r.frames[ADDRESS]), size);
        address[size] = '\0';
        memcpy(key.bytes, zmq_msg_data(&r.frames[KEY]), CURVE_BYTES);
        curve_text(&key, user);
        /* Our sockets speak IPv6, which writes IPv4 so. */
        if (z->judge(z->context, &key, str_starts(address, "::ffff:") ? address + strlen("::ffff:") : address))
            answer(socket, &r.frames[REQUEST_ID], "200", "", user);
        else
            answer(socket, &r.frames[REQUEST_ID], "400", "this key is not welcome", "");
    } else if (r.count > REQUEST_ID) {
        answer(socket, &r.frames[REQUEST_ID], "400", "no CURVE key", "");
    } else {
        answer(socket, &r.frames[0], "500", "malformed", "");
    }
    for (int i = 0; i < r.count; i++)
        zmq_msg_close(&r.frames[i]);
    return true;
}

/* ---- connections that fail ---- */

static void note_failure(struct watched *w, enum failure f, const char *address, int64_t now_ms)
{
    w->since[f]++;
    if (w->logged_ms[f] && now_ms - w->logged_ms[f] < LOG_EVERY_MS)
        return;
    log_warn("peer.turned_away", "conversation=%s times=%" PRIu64 " reason=\"%s\"%s%s", w->name, w->since[f],
             failure_texts[f], address ? " address=" : "", address ? address : "");
    w->logged_ms[f] = now_ms;
    w->since[f] = 0;
}

/* The number of a file is free again at once, also for another endpoint, whose news may be read first. */
static int connection_of(const struct zap *z, const struct watched *w, uint32_t file)
{
    return file < INT_MAX / MAX_WATCHED ? (int)file * MAX_WATCHED + (int)(w - z->watched) : -1;
}

/* A connection was accepted, before any word was said. libzmq has no call to end one; a shutdown of its file does. That
 * file may be closed by now, and its number given away: only one that still leads to the same address is shut. */
static void count_caller(struct zap *z, struct watched *w, uint32_t file, int64_t now_ms)
{
    static const enum failure failures[CALLERS_VERDICTS] = {
        [CALLERS_TOO_FAST] = TOO_FAST,
        [CALLERS_TOO_MANY_OF_ADDRESS] = TOO_MANY_OF_ADDRESS,
        [CALLERS_TOO_MANY] = TOO_MANY,
    };
    struct sockaddr_storage from = { 0 };
    struct caller_address address;
    char text[CALLER_ADDRESS_ROOM];
    socklen_t size = sizeof from;
    enum callers_verdict v;

    if (!z->limited || getpeername((int)file, (struct sockaddr *)&from, &size) != 0 ||
        !caller_address_of(&address, &from))
        return;
    v = callers_arrive(&z->callers, connection_of(z, w, file), &address, now_ms);
    if (v == CALLERS_WELCOME)
        return;
    shutdown((int)file, SHUT_RDWR);
    caller_address_text(&address, text);
    note_failure(w, failures[v], text, now_ms);
}

/* One event of a monitor: a frame with number and value, and one with an address. False when none waits. */
static bool note_one(struct zap *z, struct watched *w, int64_t now_ms)
{
    void *socket = zsock_resolve(w->monitor);
    uint8_t bytes[6] = { 0 };
    zmq_msg_t frame;
    uint16_t event;
    uint32_t value;
    bool got;

    zmq_msg_init(&frame);
    got = zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) >= 0;
    if (got && zmq_msg_size(&frame) == sizeof bytes)
        memcpy(bytes, zmq_msg_data(&frame), sizeof bytes);
    while (got && zmq_msg_more(&frame) && zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) >= 0)
        ;
    zmq_msg_close(&frame);
    memcpy(&event, bytes, sizeof event);
    memcpy(&value, bytes + sizeof event, sizeof value);
    if (event == ZMQ_EVENT_ACCEPTED)
        count_caller(z, w, value, now_ms);
    else if (event == ZMQ_EVENT_DISCONNECTED)
        callers_leave(&z->callers, connection_of(z, w, value));
    else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
        note_failure(w, value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH ? NO_KEYS : WRONG_KEYS, NULL, now_ms);
    else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL)
        note_failure(w, NO_HANDSHAKE, NULL, now_ms);
    return got;
}

/* ---- the thread ---- */

static void *stand(void *arg)
{
    struct zap *z = arg;

    for (;;) {
        zmq_pollitem_t items[2 + MAX_WATCHED] = {
            { .socket = zsock_resolve(z->asked), .events = ZMQ_POLLIN },
            { .fd = z->wake_fd, .events = ZMQ_POLLIN },
        };
        int count = 2;

        pthread_mutex_lock(&z->lock);
        bool stop = z->stop;
        for (size_t i = 0; i < z->count; i++)
            items[count++] = (zmq_pollitem_t){ .socket = zsock_resolve(z->watched[i].monitor), .events = ZMQ_POLLIN };
        pthread_mutex_unlock(&z->lock);
        if (stop)
            return NULL;
        if (zmq_poll(items, count, -1) < 0 && zmq_errno() != EINTR) {
            log_error("zap.poll", "reason=\"%s\"", zmq_strerror(zmq_errno()));
            return NULL; /* from here on nobody new comes in */
        }
        if (items[1].revents) {
            uint64_t ignored;

            if (read(z->wake_fd, &ignored, sizeof ignored) < 0)
                continue;
        }
        while (judge_one(z))
            ;
        for (int i = 2; i < count; i++)
            while (note_one(z, &z->watched[i - 2], clock_now_ms()))
                ;
    }
}

static void wake(struct zap *z)
{
    uint64_t one = 1;
    ssize_t n;

    do
        n = write(z->wake_fd, &one, sizeof one);
    while (n < 0 && errno == EINTR);
}

struct zap *zap_open(zap_judge *judge, void *context, struct error *err)
{
    struct zap *z = xcalloc(1, sizeof *z);
    int rc;

    z->judge = judge;
    z->context = context;
    z->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&z->lock, NULL);
    zsys_handler_set(NULL); /* signals belong to the program */
    z->asked = z->wake_fd >= 0 ? zsock_new(ZMQ_REP) : NULL;
    if (!z->asked || zmq_bind(zsock_resolve(z->asked), ZAP_ADDRESS) != 0) {
        error_set(err, ERROR_IO, "the door of the farm (%s): %s", ZAP_ADDRESS,
                  z->wake_fd < 0 ? strerror(errno) : zmq_strerror(zmq_errno()));
    } else {
        rc = pthread_create(&z->thread, NULL, stand, z); /* from here on the sockets are that thread's */
        if (rc == 0)
            return z;
        error_set(err, ERROR_IO, "the thread at the door of the farm: %s", strerror(rc));
    }
    zsock_destroy(&z->asked);
    if (z->wake_fd >= 0)
        close(z->wake_fd);
    pthread_mutex_destroy(&z->lock);
    free(z);
    return NULL;
}

void zap_limit(struct zap *z, const struct callers_limits *l)
{
    callers_init(&z->callers, l);
    z->limited = true;
}

void zap_close(struct zap **z)
{
    if (!*z)
        return;
    pthread_mutex_lock(&(*z)->lock);
    (*z)->stop = true;
    pthread_mutex_unlock(&(*z)->lock);
    wake(*z);
    pthread_join((*z)->thread, NULL);
    for (size_t i = 0; i < (*z)->count; i++)
        zsock_destroy(&(*z)->watched[i].monitor);
    zmq_unbind(zsock_resolve((*z)->asked), ZAP_ADDRESS); /* closing alone frees the name some time later */
    zsock_destroy(&(*z)->asked);
    close((*z)->wake_fd);
    callers_free(&(*z)->callers);
    pthread_mutex_destroy(&(*z)->lock);
    free(*z);
    *z = NULL;
}

bool zap_watch(struct zap *z, struct endpoint *e, const char *name, struct error *err)
{
    static atomic_uint number; /* a name is free again only some time after its socket was closed */
    char address[64];
    zsock_t *monitor;

    snprintf(address, sizeof address, "inproc://door-%u", atomic_fetch_add(&number, 1));
    if (zmq_socket_monitor(endpoint_socket(e), address,
                           ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) != 0)
        return error_set(err, ERROR_IO, "watch %s: %s", name, zmq_strerror(zmq_errno()));
    monitor = zsock_new_pair(address);
    if (!monitor)
        return error_set(err, ERROR_IO, "watch %s: no socket: %s", name, zmq_strerror(zmq_errno()));
    pthread_mutex_lock(&z->lock); /* hands the socket over */
    bool room = z->count < MAX_WATCHED;
    if (room)
        z->watched[z->count++] = (struct watched){ .name = name, .monitor = monitor };
    pthread_mutex_unlock(&z->lock);
    if (!room) {
        zsock_destroy(&monitor);
        return error_set(err, ERROR_INTERNAL, "watch %s: %d endpoints are watched already", name, MAX_WATCHED);
    }
    wake(z);
    return true;
}

/* blob_server - see blob.h. One thread, one ROUTER, a bounded table of transfers. Each turn every transfer that has
 * credit sends one chunk, so a large blob never holds up a small one.
 *
 * Credit is a window: the sender may send up to `offset` + credit * BLOB_CHUNK_BYTES, where the receiver holds
 * everything before `offset`. So a credit that is lost, late or repeated does no harm, and whoever misses something
 * just asks again from where it is. */
#include "common/wire/blob.h"

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/wire/codec.h"
#include "common/wire/endpoint.h"
#include "proto/blob.pb-c.h"

#include <czmq.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_TRANSFERS    256
#define MAX_PER_PEER     16
#define MAX_PER_KEY      64
#define MAX_RECEIVE_TURN 64 /* messages taken before the senders have their turn */
#define IDLE_MS          60000
#define BLOCKED_WAIT_MS  5
#define TIDY_EVERY_MS    3600000

struct transfer {
    bool used;
    struct peer peer;
    struct curve_key key; /* of the peer */
    struct digest digest;
    int64_t last_ms;
    /* sending */
    int fd; /* -1: receiving */
    int64_t bytes, offset, allowed;
    /* receiving */
    struct store_writer *writer;
};

struct blob_server {
    struct blob_server_options o;
    int stop_fd;
    pthread_t thread;
    struct transfer transfers[MAX_TRANSFERS];
    struct str packed;
    uint8_t *chunk;
};

static bool send_message(struct blob_server *s, const struct peer *peer, Shotline__BlobMessage *m)
{
    m->version = WIRE_VERSION;
    codec_pack(&m->base, &s->packed);
    return endpoint_send(s->o.endpoint, peer, s->packed.data, s->packed.size);
}

static void send_result(struct blob_server *s, const struct peer *peer, const struct digest *d,
                        Shotline__BlobVerdict verdict, const char *text)
{
    Shotline__BlobMessage m = SHOTLINE__BLOB_MESSAGE__INIT;
    Shotline__BlobResult r = SHOTLINE__BLOB_RESULT__INIT;

    r.digest = codec_bytes(d);
    r.verdict = verdict;
    r.text = (char *)text;
    m.result = &r;
    send_message(s, peer, &m);
}

static void send_credit(struct blob_server *s, const struct transfer *t)
{
    Shotline__BlobMessage m = SHOTLINE__BLOB_MESSAGE__INIT;
    Shotline__BlobCredit c = SHOTLINE__BLOB_CREDIT__INIT;

    c.digest = codec_bytes(&t->digest);
    c.offset = (uint64_t)store_writer_offset(t->writer);
    c.credit = BLOB_CREDIT;
    m.credit = &c;
    send_message(s, &t->peer, &m);
}

/* ---- the table ---- */

static void transfer_end(struct transfer *t)
{
    if (t->fd >= 0)
        close(t->fd);
    store_writer_abort(&t->writer); /* what came is kept for the next try */
    *t = (struct transfer){ .fd = -1 };
}

static bool is_from(const struct transfer *t, const struct message *m)
{
    return memcmp(&t->peer, &m->peer, sizeof t->peer) == 0 && memcmp(&t->key, &m->key, sizeof t->key) == 0;
}

static struct transfer *transfer_find(struct blob_server *s, const struct message *m, const struct digest *d)
{
    for (size_t i = 0; i < MAX_TRANSFERS; i++) {
        struct transfer *t = &s->transfers[i];

        if (t->used && digest_equal(&t->digest, d) && is_from(t, m))
            return t;
    }
    return NULL;
}

/* A fresh transfer; NULL when the table or this peer's or key's share is full: the peer asks again later. */
static struct transfer *transfer_begin(struct blob_server *s, const struct message *m, const struct digest *d,
                                       int64_t now_ms)
{
    struct transfer *slot = transfer_find(s, m, d);
    const bool has_key = !curve_is_none(&m->key);
    size_t of_peer = 0, of_key = 0;

    if (slot)
        transfer_end(slot);
    for (size_t i = 0; i < MAX_TRANSFERS; i++) {
        struct transfer *t = &s->transfers[i];

        if (!t->used)
            slot = t;
        of_peer += t->used && is_from(t, m);
        of_key += t->used && has_key && memcmp(&t->key, &m->key, sizeof t->key) == 0;
    }
    if (!slot || of_peer >= MAX_PER_PEER || of_key >= MAX_PER_KEY)
        return NULL;
    *slot =
        (struct transfer){ .used = true, .peer = m->peer, .key = m->key, .digest = *d, .last_ms = now_ms, .fd = -1 };
    return slot;
}

/* Whose it is, as if it had just spoken. */
static struct message transfer_peer(const struct transfer *t)
{
    return (struct message){ .peer = t->peer, .key = t->key };
}

static void drop_idle(struct blob_server *s, int64_t now_ms)
{
    for (size_t i = 0; i < MAX_TRANSFERS; i++)
        if (s->transfers[i].used && now_ms - s->transfers[i].last_ms > IDLE_MS)
            transfer_end(&s->transfers[i]);
}

/* ---- get ---- */

static int64_t allowed_until(uint64_t offset, uint32_t credit)
{
    int64_t chunks = credit < BLOB_CREDIT ? credit : BLOB_CREDIT;

    return offset < INT64_MAX / 2 ? (int64_t)offset + chunks * BLOB_CHUNK_BYTES : 0;
}

static int open_blob(struct blob_server *s, const struct digest *d, int64_t *bytes)
{
    char path[PATH_MAX];
    struct stat st;
    int fd;

    if (!store_dir_path(s->o.store, d, path, sizeof path) &&
        !(s->o.lookup && s->o.lookup(s->o.context, d, path, sizeof path)))
        return -1;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return -1;
    }
    *bytes = st.st_size;
    return fd;
}

static void on_get(struct blob_server *s, const struct message *from, const Shotline__BlobGet *get, int64_t now_ms)
{
    struct digest d;
    struct transfer *t;
    int64_t bytes;
    int fd;

    if (!codec_digest(&d, &get->digest))
        return;
    fd = open_blob(s, &d, &bytes);
    if (fd < 0) {
        send_result(s, &from->peer, &d, SHOTLINE__BLOB_VERDICT__BLOB_UNKNOWN, NULL);
        return;
    }
    t = transfer_begin(s, from, &d, now_ms);
    if (!t) {
        close(fd);
        return;
    }
    t->fd = fd;
    t->bytes = bytes;
    /* Beyond the end: one empty chunk tells the size, and the receiver sees that its own beginning is wrong. */
    t->offset = get->offset < (uint64_t)bytes ? (int64_t)get->offset : bytes;
    t->allowed = allowed_until((uint64_t)t->offset, get->credit > 0 ? get->credit : 1);
}

static void on_credit(struct blob_server *s, const struct message *from, const Shotline__BlobCredit *credit,
                      int64_t now_ms)
{
    struct digest d;
    struct transfer *t;
    int64_t allowed;

    if (!codec_digest(&d, &credit->digest))
        return;
    t = transfer_find(s, from, &d);
    if (!t || t->fd < 0)
        return;
    t->last_ms = now_ms;
    allowed = allowed_until(credit->offset, credit->credit);
    if (allowed > t->allowed)
        t->allowed = allowed;
}

static bool can_send(const struct transfer *t)
{
    return t->used && t->fd >= 0 && t->offset < t->allowed;
}

/* Sends the next chunk. False when the peer's queue is full: the chunk is tried again. */
static bool send_chunk(struct blob_server *s, struct transfer *t, int64_t now_ms)
{
    Shotline__BlobMessage m = SHOTLINE__BLOB_MESSAGE__INIT;
    Shotline__BlobChunk c = SHOTLINE__BLOB_CHUNK__INIT;
    int64_t left = t->bytes - t->offset;
    size_t size = left < BLOB_CHUNK_BYTES ? (size_t)left : BLOB_CHUNK_BYTES;
    ssize_t n = size > 0 ? pread(t->fd, s->chunk, size, t->offset) : 0;

    if (n != (ssize_t)size) { /* shrank or unreadable: the blob that was asked for is not here */
        send_result(s, &t->peer, &t->digest, SHOTLINE__BLOB_VERDICT__BLOB_UNKNOWN, "cannot be read");
        transfer_end(t);
        return true;
    }
    c.digest = codec_bytes(&t->digest);
    c.offset = (uint64_t)t->offset;
    c.bytes = (uint64_t)t->bytes;
    c.data = (ProtobufCBinaryData){ .len = size, .data = s->chunk };
    m.chunk = &c;
    if (!send_message(s, &t->peer, &m)) {
        if (zmq_errno() == EAGAIN)
            return false;
        transfer_end(t); /* the peer is gone */
        return true;
    }
    t->last_ms = now_ms;
    t->offset += (int64_t)size;
    if (t->offset == t->bytes)
        transfer_end(t); /* a receiver that missed something asks anew */
    return true;
}

/* ---- put ---- */

static void put_failed(struct blob_server *s, struct transfer *t, const struct error *why, int64_t now_ms)
{
    const struct message from = transfer_peer(t);
    Shotline__BlobVerdict verdict =
        why->kind == ERROR_IO ? SHOTLINE__BLOB_VERDICT__BLOB_NO_ROOM : SHOTLINE__BLOB_VERDICT__BLOB_BAD_DIGEST;

    if (why->kind != ERROR_IO && s->o.guard)
        s->o.guard->bad_digest(s->o.guard->context, &from, why->text, now_ms);
    else
        log_warn("blob.put_failed", "reason=\"%s\"", why->text);
    send_result(s, &t->peer, &t->digest, verdict, why->text);
    transfer_end(t);
}

static void put_advance(struct blob_server *s, struct transfer *t, int64_t now_ms)
{
    struct error why = { 0 };

    if (store_writer_offset(t->writer) < t->bytes) {
        send_credit(s, t);
        return;
    }
    if (!store_writer_commit(&t->writer, &why)) {
        put_failed(s, t, &why, now_ms);
        return;
    }
    send_result(s, &t->peer, &t->digest, SHOTLINE__BLOB_VERDICT__BLOB_STORED, NULL);
    transfer_end(t);
}

static void on_put(struct blob_server *s, const struct message *from, const Shotline__BlobPut *put, int64_t now_ms)
{
    struct error why = { 0 };
    struct digest d;
    struct transfer *t;

    if (!codec_digest(&d, &put->digest))
        return;
    if (put->bytes > (uint64_t)s->o.max_blob_bytes) {
        char text[128];

        snprintf(text, sizeof text, "%" PRIu64 " bytes; at most %" PRId64 " are taken", put->bytes,
                 s->o.max_blob_bytes);
        send_result(s, &from->peer, &d, SHOTLINE__BLOB_VERDICT__BLOB_TOO_LARGE, text);
        return;
    }
    if (store_dir_has(s->o.store, &d)) {
        send_result(s, &from->peer, &d, SHOTLINE__BLOB_VERDICT__BLOB_STORED, NULL);
        return;
    }
    t = transfer_find(s, from, &d);
    if (t && t->writer &&
        (uint64_t)t->bytes == put->bytes) { /* it missed our answer; beginning anew hashes all again */
        t->last_ms = now_ms;
        send_credit(s, t);
        return;
    }
    t = transfer_begin(s, from, &d, now_ms);
    if (!t)
        return;
    t->bytes = (int64_t)put->bytes;
    t->writer = store_writer_open(s->o.store, &d, t->bytes, &why);
    if (!t->writer)
        put_failed(s, t, &why, now_ms);
    else
        put_advance(s, t, now_ms);
}

static void on_chunk(struct blob_server *s, const struct message *from, const Shotline__BlobChunk *chunk,
                     int64_t now_ms)
{
    struct error why = { 0 };
    struct digest d;
    struct transfer *t;

    if (!codec_digest(&d, &chunk->digest))
        return;
    t = transfer_find(s, from, &d);
    if (!t || !t->writer)
        return; /* ended meanwhile: the sender will ask again */
    t->last_ms = now_ms;
    if (chunk->data.len == 0 || chunk->offset != (uint64_t)store_writer_offset(t->writer))
        return; /* a repeat, or behind a gap: the sender goes back when it sees no progress */
    if (!store_writer_append(t->writer, chunk->data.data, chunk->data.len, &why))
        put_failed(s, t, &why, now_ms);
    else
        put_advance(s, t, now_ms);
}

/* ---- the thread ---- */

/* Whether what it asks for may be done; else its answer has been sent, if it gets one. */
static bool allowed(struct blob_server *s, const struct message *m, const Shotline__BlobMessage *b, bool heard,
                    const char *why, int64_t now_ms)
{
    const struct blob_guard *g = s->o.guard;
    const ProtobufCBinaryData *digest = b->get     ? &b->get->digest
                                        : b->put   ? &b->put->digest
                                        : b->chunk ? &b->chunk->digest
                                                   : NULL;
    struct digest d;

    if (heard && (!g || g->allows(g->context, m, b->put || b->chunk, now_ms, &why)))
        return true;
    if (why && digest && codec_digest(&d, digest))
        send_result(s, &m->peer, &d, SHOTLINE__BLOB_VERDICT__BLOB_FORBIDDEN, why);
    return false;
}

static void malformed(struct blob_server *s, const struct message *m, const char *what, int64_t now_ms)
{
    if (s->o.guard)
        s->o.guard->malformed(s->o.guard->context, m, what, now_ms);
    else
        log_warn("blob.bad_message", "reason=\"%s\"", what);
}

static void handle(struct blob_server *s, const struct message *m, int64_t now_ms)
{
    const char *refusal = NULL;
    bool heard = !s->o.guard || s->o.guard->hears(s->o.guard->context, m, now_ms, &refusal);
    struct arena arena = { 0 };
    struct error why = { 0 };
    Shotline__BlobMessage *b;

    if (!heard && !refusal)
        return;
    b = codec_unpack(&shotline__blob_message__descriptor, m->data, m->size, &arena, &why);
    if (!b) {
        malformed(s, m, m->fault ? m->fault : why.text, now_ms);
    } else if (b->version != WIRE_VERSION) {
        snprintf(why.text, sizeof why.text, "version %" PRIu32 " of the protocol, expected %u", b->version,
                 WIRE_VERSION);
        malformed(s, m, why.text, now_ms);
    } else if (allowed(s, m, b, heard, refusal, now_ms)) {
        if (b->get)
            on_get(s, m, b->get, now_ms);
        else if (b->put)
            on_put(s, m, b->put, now_ms);
        else if (b->chunk)
            on_chunk(s, m, b->chunk, now_ms);
        else if (b->credit)
            on_credit(s, m, b->credit, now_ms);
    }
    arena_free(&arena);
}

/* A key that is revoked while it fetches gets not one chunk more. */
static bool may_have(struct blob_server *s, const struct transfer *t, int64_t now_ms)
{
    const struct message from = transfer_peer(t);
    const char *why;

    return !s->o.guard || s->o.guard->allows(s->o.guard->context, &from, false, now_ms, &why);
}

/* One chunk for everyone who has credit. Says how long the poll may sleep. */
static long send_turn(struct blob_server *s, int64_t now_ms)
{
    bool more = false, blocked = false;

    for (size_t i = 0; i < MAX_TRANSFERS; i++) {
        struct transfer *t = &s->transfers[i];

        if (!can_send(t))
            continue;
        if (!may_have(s, t, now_ms))
            transfer_end(t);
        else if (!send_chunk(s, t, now_ms))
            blocked = true;
        else if (can_send(t))
            more = true;
    }
    return more ? 0 : blocked ? BLOCKED_WAIT_MS : 1000;
}

static void *serve(void *arg)
{
    struct blob_server *s = arg;
    int64_t tidy_ms = clock_now_ms() + TIDY_EVERY_MS;
    long wait_ms = 1000;

    for (;;) {
        zmq_pollitem_t items[] = {
            { .socket = endpoint_socket(s->o.endpoint), .events = ZMQ_POLLIN },
            { .fd = s->stop_fd, .events = ZMQ_POLLIN },
        };
        struct message m;
        int64_t now_ms;

        if (zmq_poll(items, 2, wait_ms) < 0 && zmq_errno() != EINTR) {
            log_error("blob.poll", "reason=\"%s\"", zmq_strerror(zmq_errno()));
            return NULL;
        }
        if (items[1].revents)
            return NULL;
        now_ms = clock_now_ms();
        for (int i = 0; i < MAX_RECEIVE_TURN && endpoint_receive(s->o.endpoint, &m); i++)
            handle(s, &m, now_ms);
        drop_idle(s, now_ms);
        if (now_ms >= tidy_ms) {
            store_dir_drop_old_parts(s->o.store);
            tidy_ms = now_ms + TIDY_EVERY_MS;
        }
        wait_ms = send_turn(s, now_ms);
    }
}

struct blob_server *blob_server_open(const struct blob_server_options *o, struct error *err)
{
    struct blob_server *s = xcalloc(1, sizeof *s);
    int rc;

    s->o = *o;
    s->chunk = xmalloc(BLOB_CHUNK_BYTES);
    for (size_t i = 0; i < MAX_TRANSFERS; i++)
        s->transfers[i].fd = -1;
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (s->stop_fd < 0) {
        error_set(err, ERROR_IO, "eventfd: %s", strerror(errno));
    } else {
        rc = pthread_create(&s->thread, NULL, serve, s); /* from here on the socket is that thread's */
        if (rc == 0)
            return s;
        error_set(err, ERROR_IO, "blob thread: %s", strerror(rc));
    }
    endpoint_close(&s->o.endpoint);
    if (s->stop_fd >= 0)
        close(s->stop_fd);
    free(s->chunk);
    free(s);
    return NULL;
}

void blob_server_close(struct blob_server **s)
{
    uint64_t one = 1;
    ssize_t n;

    if (!*s)
        return;
    do
        n = write((*s)->stop_fd, &one, sizeof one);
    while (n < 0 && errno == EINTR);
    pthread_join((*s)->thread, NULL);
    for (size_t i = 0; i < MAX_TRANSFERS; i++)
        transfer_end(&(*s)->transfers[i]);
    endpoint_close(&(*s)->o.endpoint);
    close((*s)->stop_fd);
    str_free(&(*s)->packed);
    free((*s)->chunk);
    free(*s);
    *s = NULL;
}

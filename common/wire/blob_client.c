/* blob_client - see blob.h: the blocking side. Whatever goes missing, it asks again from where it is after RETRY_MS
 * without news. */
#include "common/wire/blob.h"

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/wire/codec.h"
#include "common/wire/endpoint.h"
#include "proto/blob.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY_MS   1000
#define NO_ROOM_MS 1000
#define SLICE_MS   50 /* how late a stop may be noticed */

struct blob_client {
    struct endpoint *endpoint;
    char address[256];
    const atomic_bool *stop;
    struct str packed;
    uint8_t *chunk;
    struct arena arena; /* of the message at hand */
};

/* One transfer's patience. */
struct patience {
    int64_t timeout_ms;
    int64_t progress_ms; /* when something last moved */
    int64_t asked_ms;    /* when we last asked for more */
};

struct blob_client *blob_client_open(const char *address, const struct endpoint_keys *keys, const atomic_bool *stop,
                                     struct error *err)
{
    struct blob_client *c = xcalloc(1, sizeof *c);

    c->stop = stop;
    c->chunk = xmalloc(BLOB_CHUNK_BYTES);
    str_copy(c->address, sizeof c->address, address);
    c->endpoint = endpoint_connect(address, keys, err);
    if (!c->endpoint)
        blob_client_close(&c);
    return c;
}

void blob_client_close(struct blob_client **c)
{
    if (!*c)
        return;
    endpoint_close(&(*c)->endpoint);
    arena_free(&(*c)->arena);
    str_free(&(*c)->packed);
    free((*c)->chunk);
    free(*c);
    *c = NULL;
}

static bool send_message(struct blob_client *c, Shotline__BlobMessage *m)
{
    m->version = WIRE_VERSION;
    codec_pack(&m->base, &c->packed);
    return endpoint_send(c->endpoint, NULL, c->packed.data, c->packed.size);
}

/* The next message about blob `d`; NULL when RETRY_MS passed without one (*err untouched), or on stop and time-out
 * (*err filled). */
static Shotline__BlobMessage *receive(struct blob_client *c, const struct digest *d, struct patience *p,
                                      struct error *err)
{
    for (;;) {
        int64_t now_ms = clock_now_ms();
        Shotline__BlobMessage *b;
        struct digest about;
        struct message m;

        if (c->stop && atomic_load(c->stop)) {
            error_set(err, ERROR_CANCELLED, "blob transfer stopped");
            return NULL;
        }
        if (endpoint_refused(c->endpoint)) {
            error_set(err, ERROR_INPUT, "%s: the farm does not accept our key: it is not known there, or revoked",
                      c->address);
            return NULL;
        }
        if (now_ms - p->progress_ms >= p->timeout_ms) {
            error_set(err, ERROR_UNREACHABLE, "%s: no answer for %" PRId64 " ms", c->address, p->timeout_ms);
            return NULL;
        }
        if (now_ms - p->asked_ms >= RETRY_MS)
            return NULL;
        if (!endpoint_receive(c->endpoint, &m)) {
            endpoint_wait(c->endpoint, SLICE_MS);
            continue;
        }
        arena_free(&c->arena);
        b = codec_unpack(&shotline__blob_message__descriptor, m.data, m.size, &c->arena, NULL);
        if (!b || b->version != WIRE_VERSION)
            continue;
        if ((b->chunk && codec_digest(&about, &b->chunk->digest) && digest_equal(&about, d)) ||
            (b->credit && codec_digest(&about, &b->credit->digest) && digest_equal(&about, d)) ||
            (b->result && codec_digest(&about, &b->result->digest) && digest_equal(&about, d)))
            return b; /* anything else belongs to an earlier transfer */
    }
}

/* The server's verdict as an error. */
static bool refuse(const struct digest *d, const Shotline__BlobResult *r, struct error *err)
{
    char hex[DIGEST_HEX_ROOM];
    const char *text = r->text ? r->text : "";

    digest_hex(d, hex);
    switch (r->verdict) {
    case SHOTLINE__BLOB_VERDICT__BLOB_UNKNOWN:
        return error_set(err, ERROR_INPUT, "blob %.16s...: the farm does not have it %s", hex, text);
    case SHOTLINE__BLOB_VERDICT__BLOB_BAD_DIGEST:
        return error_set(err, ERROR_INPUT, "blob %.16s...: refused: %s", hex, text);
    case SHOTLINE__BLOB_VERDICT__BLOB_TOO_LARGE:
        return error_set(err, ERROR_INPUT, "blob %.16s...: too large: %s", hex, text);
    case SHOTLINE__BLOB_VERDICT__BLOB_FORBIDDEN:
        return error_set(err, ERROR_INPUT, "blob %.16s...: the farm refuses: %s", hex, text);
    case SHOTLINE__BLOB_VERDICT__BLOB_NO_ROOM:
        /* As a farm that is away: it passes, and is nobody's failure here. */
        return error_set(err, ERROR_UNREACHABLE, "blob %.16s...: the farm cannot store it: %s", hex, text);
    default:
        return error_set(err, ERROR_INPUT, "blob %.16s...: verdict %d was not expected", hex, (int)r->verdict);
    }
}

/* A full disk answers at once; whoever tries again should not do so at once. */
static void wait_a_moment(const struct blob_client *c)
{
    for (int i = 0; i < NO_ROOM_MS / SLICE_MS && !(c->stop && atomic_load(c->stop)); i++)
        nanosleep(&(struct timespec){ .tv_nsec = SLICE_MS * 1000000L }, NULL);
}

/* ---- get ---- */

static bool ask_get(struct blob_client *c, const struct digest *d, int64_t offset)
{
    Shotline__BlobMessage m = SHOTLINE__BLOB_MESSAGE__INIT;
    Shotline__BlobGet get = SHOTLINE__BLOB_GET__INIT;

    get.digest = codec_bytes(d);
    get.offset = (uint64_t)offset;
    get.credit = BLOB_CREDIT;
    m.get = &get;
    return send_message(c, &m);
}

static void give_credit(struct blob_client *c, const struct digest *d, int64_t offset)
{
    Shotline__BlobMessage m = SHOTLINE__BLOB_MESSAGE__INIT;
    Shotline__BlobCredit credit = SHOTLINE__BLOB_CREDIT__INIT;

    credit.digest = codec_bytes(d);
    credit.offset = (uint64_t)offset;
    credit.credit = BLOB_CREDIT;
    m.credit = &credit;
    send_message(c, &m);
}

/* Fills the writer. A beginning that an earlier transfer left and that is longer than the blob is dropped. */
static bool fetch(struct blob_client *c, struct store_writer *w, const struct digest *d, int64_t timeout_ms,
                  struct error *err)
{
    struct patience p = { .timeout_ms = timeout_ms, .progress_ms = clock_now_ms(), .asked_ms = INT64_MIN / 2 };
    struct error why = { 0 };

    for (;;) {
        const Shotline__BlobMessage *b = receive(c, d, &p, &why);

        if (!b && why.kind != ERROR_NONE) {
            *err = why;
            return false;
        }
        if (!b) {
            ask_get(c, d, store_writer_offset(w));
            p.asked_ms = clock_now_ms();
            continue;
        }
        if (b->result)
            return refuse(d, b->result, err);
        if (!b->chunk)
            continue;
        if ((uint64_t)store_writer_offset(w) > b->chunk->bytes) {
            if (!store_writer_restart(w, err))
                return false;
            p.asked_ms = INT64_MIN / 2;
            continue;
        }
        if (b->chunk->offset != (uint64_t)store_writer_offset(w))
            continue; /* a repeat, or behind a gap */
        if (b->chunk->data.len > b->chunk->bytes - b->chunk->offset)
            return error_set(err, ERROR_INPUT, "%s: sent a chunk beyond the end of its blob", c->address);
        if (!store_writer_append(w, b->chunk->data.data, b->chunk->data.len, err))
            return false;
        if ((uint64_t)store_writer_offset(w) == b->chunk->bytes)
            return true;
        if (b->chunk->data.len == 0)
            continue; /* says nothing new */
        p.progress_ms = p.asked_ms = clock_now_ms();
        give_credit(c, d, store_writer_offset(w));
    }
}

/* Where the bytes go: a store, or a file. */
static struct store_writer *open_target(struct store_dir *store, const char *path, const struct digest *d,
                                        struct error *err)
{
    return store ? store_writer_open(store, d, -1, err) : store_writer_open_file(path, d, -1, err);
}

static bool get_to(struct blob_client *c, struct store_dir *store, const char *path, const struct digest *d,
                   int64_t timeout_ms, struct error *err)
{
    for (int attempt = 0;; attempt++) {
        struct store_writer *w = open_target(store, path, d, err);
        struct error why = { 0 };
        bool resumed;

        if (!w)
            return false;
        resumed = store_writer_offset(w) > 0;
        if (!fetch(c, w, d, timeout_ms, err)) {
            store_writer_abort(&w);
            return false;
        }
        if (store_writer_commit(&w, &why))
            return true;
        /* A damaged beginning from an earlier try is no reason to give up: once more, from nothing. */
        if (attempt > 0 || !resumed || why.kind != ERROR_INPUT) {
            *err = why;
            return false;
        }
    }
}

bool blob_client_get(struct blob_client *c, struct store_dir *store, const struct digest *d, int64_t timeout_ms,
                     struct error *err)
{
    return store_dir_has(store, d) || get_to(c, store, NULL, d, timeout_ms, err);
}

bool blob_client_get_file(struct blob_client *c, const struct digest *d, const char *path, int64_t timeout_ms,
                          struct error *err)
{
    return get_to(c, NULL, path, d, timeout_ms, err);
}

/* ---- put ---- */

static bool ask_put(struct blob_client *c, const struct digest *d, int64_t bytes)
{
    Shotline__BlobMessage m = SHOTLINE__BLOB_MESSAGE__INIT;
    Shotline__BlobPut put = SHOTLINE__BLOB_PUT__INIT;

    put.digest = codec_bytes(d);
    put.bytes = (uint64_t)bytes;
    m.put = &put;
    return send_message(c, &m);
}

/* Sends what the window allows; *offset moves. False when the file cannot be read. */
static bool send_chunks(struct blob_client *c, int fd, const char *path, const struct digest *d, int64_t bytes,
                        int64_t allowed, int64_t *offset, struct error *err)
{
    while (*offset < bytes && *offset < allowed) {
        Shotline__BlobMessage m = SHOTLINE__BLOB_MESSAGE__INIT;
        Shotline__BlobChunk chunk = SHOTLINE__BLOB_CHUNK__INIT;
        int64_t left = bytes - *offset;
        size_t size = left < BLOB_CHUNK_BYTES ? (size_t)left : BLOB_CHUNK_BYTES;
        ssize_t n = pread(fd, c->chunk, size, *offset);

        if (n != (ssize_t)size)
            return error_set(err, ERROR_IO, "%s: %s", path,
                             n < 0 ? strerror(errno) : "became shorter while it was sent");
        chunk.digest = codec_bytes(d);
        chunk.offset = (uint64_t)*offset;
        chunk.bytes = (uint64_t)bytes;
        chunk.data = (ProtobufCBinaryData){ .len = size, .data = c->chunk };
        m.chunk = &chunk;
        if (!send_message(c, &m))
            return true; /* the queue is full: asking again finds out where to go on */
        *offset += (int64_t)size;
    }
    return true;
}

static bool put_fd(struct blob_client *c, int fd, const char *path, const struct digest *d, int64_t bytes,
                   int64_t timeout_ms, struct error *err)
{
    struct patience p = { .timeout_ms = timeout_ms, .progress_ms = clock_now_ms(), .asked_ms = INT64_MIN / 2 };
    struct error why = { 0 };
    int64_t sent = 0, held = -1; /* held: what the server has told us that it holds */
    bool asked = false;          /* the next credit says where to go on */

    for (;;) {
        const Shotline__BlobMessage *b = receive(c, d, &p, &why);
        int64_t offset;

        if (!b && why.kind != ERROR_NONE) {
            *err = why;
            return false;
        }
        if (!b) {
            ask_put(c, d, bytes);
            asked = true;
            p.asked_ms = clock_now_ms();
            continue;
        }
        if (b->result) {
            bool ok = b->result->verdict == SHOTLINE__BLOB_VERDICT__BLOB_STORED || refuse(d, b->result, err);

            if (!ok && b->result->verdict == SHOTLINE__BLOB_VERDICT__BLOB_NO_ROOM)
                wait_a_moment(c);
            return ok;
        }
        if (!b->credit || b->credit->offset > (uint64_t)bytes)
            continue;
        offset = (int64_t)b->credit->offset;
        if (asked)
            sent = offset;
        asked = false;
        if (offset > held)
            p.progress_ms = clock_now_ms();
        held = offset;
        p.asked_ms = clock_now_ms();
        if (!send_chunks(c, fd, path, d, bytes, offset + (int64_t)(b->credit->credit % 1024) * BLOB_CHUNK_BYTES, &sent,
                         err))
            return false;
    }
}

static bool put_path(struct blob_client *c, const char *path, const struct digest *d, int64_t *bytes,
                     int64_t timeout_ms, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    bool ok;

    if (fd < 0)
        return error_set(err, ERROR_IO, "%s: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        ok = error_set(err, ERROR_INPUT, "%s: expected a regular file", path);
    } else {
        *bytes = st.st_size;
        ok = put_fd(c, fd, path, d, st.st_size, timeout_ms, err);
    }
    close(fd);
    return ok;
}

bool blob_client_put(struct blob_client *c, struct store_dir *store, const struct digest *d, int64_t timeout_ms,
                     struct error *err)
{
    char path[PATH_MAX], hex[DIGEST_HEX_ROOM];
    int64_t bytes;

    if (!store_dir_path(store, d, path, sizeof path)) {
        digest_hex(d, hex);
        return error_set(err, ERROR_IO, "blob %.16s...: not in the local store", hex);
    }
    return put_path(c, path, d, &bytes, timeout_ms, err);
}

bool blob_client_put_file(struct blob_client *c, const char *path, struct digest *d, int64_t *bytes, int64_t timeout_ms,
                          struct error *err)
{
    return digest_of_file(d, path, err) && put_path(c, path, d, bytes, timeout_ms, err);
}

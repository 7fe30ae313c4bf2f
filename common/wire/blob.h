/* blob - moving blobs: credit-controlled chunks, resumable, digest-verified. The coordinator runs a blob_server in a
 * thread of its own; workers and clients use a blob_client, which blocks. */
#ifndef SHOTLINE_WIRE_BLOB_H
#define SHOTLINE_WIRE_BLOB_H

#include "common/base/error.h"
#include "common/wire/endpoint.h"
#include "common/wire/store_dir.h"

#include <stdatomic.h>

#define BLOB_CHUNK_BYTES (256u << 10)
#define BLOB_CREDIT      8u

/* Blobs that live outside the store (the files of a pack): asked when the store does not have a digest. May be NULL.
 * Called on the server's thread. */
typedef bool blob_lookup(void *context, const struct digest *d, char *path, size_t room);

struct blob_server;
/* Who may ask for what. Called on the server's thread. */
struct blob_guard {
    /* Before a message is looked at. False: refused; *why is the reason for the peer, or NULL: it gets no answer. */
    bool (*hears)(void *context, const struct message *m, int64_t now_ms, const char **why);
    bool (*allows)(void *context, const struct message *m, bool write, int64_t now_ms, const char **why);
    /* It has sent what is no message, or a blob that is not what its digest says. */
    void (*malformed)(void *context, const struct message *m, const char *what, int64_t now_ms);
    void (*bad_digest)(void *context, const struct message *m, const char *what, int64_t now_ms);
    void *context;
};

struct blob_server_options {
    struct endpoint *endpoint; /* bound; the server's from now on, and closed also on failure */
    struct store_dir *store;   /* borrowed */
    int64_t max_blob_bytes;
    blob_lookup *lookup; /* may be NULL */
    void *context;
    const struct blob_guard *guard; /* NULL: everybody may everything */
};
/* Serves on its own thread until closed. */
struct blob_server *blob_server_open(const struct blob_server_options *o, struct error *err);
void blob_server_close(struct blob_server **s);

struct blob_client;
/* keys: see endpoint_connect. stop: checked while waiting (may be NULL); when it becomes true calls end with
 * ERROR_CANCELLED. */
struct blob_client *blob_client_open(const char *address, const struct endpoint_keys *keys, const atomic_bool *stop,
                                     struct error *err);
void blob_client_close(struct blob_client **c);
/* Makes the blob present in `store` (no traffic when it is there). Gives up after timeout_ms without progress:
 * ERROR_UNREACHABLE. */
bool blob_client_get(struct blob_client *c, struct store_dir *store, const struct digest *d, int64_t timeout_ms,
                     struct error *err);
/* As get, but straight to a file (write-then-rename), for artifacts and pack files. */
bool blob_client_get_file(struct blob_client *c, const struct digest *d, const char *path, int64_t timeout_ms,
                          struct error *err);
bool blob_client_put(struct blob_client *c, struct store_dir *store, const struct digest *d, int64_t timeout_ms,
                     struct error *err);
bool blob_client_put_file(struct blob_client *c, const char *path, struct digest *d, int64_t *bytes, int64_t timeout_ms,
                          struct error *err);

#endif

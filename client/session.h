/* session - a conversation with a farm: one request, one reply, with time-out and retry.
 *
 * Every request may be sent again: a submit carries its token, and the others change nothing twice. */
#ifndef SHOTLINE_CLIENT_SESSION_H
#define SHOTLINE_CLIENT_SESSION_H

#include "client/campaign.h"
#include "common/base/arena.h"
#include "common/base/error.h"
#include "proto/client.pb-c.h"

#include <stdatomic.h>
#include <stdint.h>

struct session;

struct session_options {
    const char *farm;                 /* base address: ipc:///DIR or tcp://HOST:PORT */
    const struct endpoint_keys *keys; /* of a tcp:// farm; copied */
    int64_t timeout_ms;               /* how long a silent coordinator is waited for */
    const atomic_bool *stop;          /* calls end with ERROR_CANCELLED when it becomes true */
    /* Optional: called while waiting; false (with *err) gives up at once. */
    bool (*alive)(void *context, struct error *err);
    void *context;
};

/* Connects and makes sure that a coordinator answers. */
struct session *session_open(const struct session_options *o, struct error *err);
void session_close(struct session **s);

/* The reply lives in `arena`. A farm's own error becomes *err. */
const Shotline__FromFarm *session_ask(struct session *s, Shotline__ToFarm *request, int64_t timeout_ms,
                                      struct arena *arena, struct error *err);

/* Uploads the cast's images and submits; *id is the farm's number of the campaign. */
bool session_submit(struct session *s, struct campaign *c, uint64_t *id, struct error *err);
/* Uploads the cast's images, so that `message.cast` names them. */
bool session_upload(struct session *s, struct campaign *c, struct error *err);

/* Uploads a file; the blob that names it lives in `arena`. NULL on failure. */
Shotline__Blob *session_put(struct session *s, const char *path, struct arena *arena, struct error *err);

/* The status of one campaign with its videos. */
const Shotline__CampaignStatus *session_status(struct session *s, uint64_t id, struct arena *arena, struct error *err);
bool session_cancel(struct session *s, uint64_t id, struct error *err);

/* Fetches a blob straight to PATH: either the whole file is there, or nothing. */
bool session_fetch(struct session *s, const Shotline__Blob *blob, const char *path, struct error *err);

#endif

/* endpoint - one socket of a conversation: framed messages to and from peers, never blocking. Two implementations:
 * ZeroMQ here, simulated in tests.
 *
 * A farm has one base address; its three conversations derive from it: "ipc:///run/x" -> ipc:///run/x/workers,
 * /clients, /blobs; "tcp://HOST:PORT" -> ports PORT, PORT+1, PORT+2.
 *
 * tcp:// always has CURVE keys, loopback too: every message is encrypted and comes with the key of who sent it. ipc://
 * has none: there the folder's permissions say who may enter. A program that brings its own keys (a test, a light
 * worker of a benchmark) makes them with curve_pair_new, has the farm know the public one, and connects with
 *     &(struct endpoint_keys){ .own = pair, .farm = the farm's public key } */
#ifndef SHOTLINE_WIRE_ENDPOINT_H
#define SHOTLINE_WIRE_ENDPOINT_H

#include "common/base/curve.h"
#include "common/base/error.h"

#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION     2u
#define WIRE_MAX_MESSAGE (4u << 20) /* larger messages are refused by the socket itself */

enum conversation { CONVERSATION_WORKERS, CONVERSATION_CLIENTS, CONVERSATION_BLOBS };

/* Fills `to` with the address of one conversation. ERROR_USAGE for an address that is neither ipc:// nor
 * tcp://HOST:PORT. */
bool endpoint_address(const char *base, enum conversation c, char *to, size_t room, struct error *err);

/* Where a farm of this user listens when nobody says otherwise: ipc:// in the runtime folder, else in /tmp. */
void endpoint_default_address(char *to, size_t room);

/* A peer of a bound endpoint; opaque bytes, compared whole. */
struct peer {
    uint8_t size;
    uint8_t id[31];
};

struct message {
    struct peer peer;     /* meaningless on a connected endpoint */
    struct curve_key key; /* of the peer, as its connection proved it; none over ipc:// and inproc:// */
    uint8_t *data;        /* owned by the endpoint until the next receive */
    size_t size;
    const char *fault; /* bound endpoints: NULL, or what is wrong with its shape; then it has no data */
};

struct endpoint_keys {
    struct curve_pair own;
    struct curve_key farm; /* whom we expect at the other end */
};

struct endpoint;

/* ROUTER, mandatory, non-blocking. `own`: the farm's pair, which tcp:// must have and ipc:// may not; who may connect
 * is then for zap.h to say. */
struct endpoint *endpoint_bind(const char *address, const struct curve_pair *own, struct error *err);
/* DEALER. `keys`: as above. */
struct endpoint *endpoint_connect(const char *address, const struct endpoint_keys *keys, struct error *err);
void endpoint_close(struct endpoint **e);

/* Whether an address has keys. */
bool endpoint_has_keys(const char *address);

/* For zmq_poll: the zmq socket. NULL for a simulated endpoint. */
void *endpoint_socket(struct endpoint *e);

/* false when the peer is gone or its queue is full: the message is dropped, which the protocols allow. `peer` NULL on a
 * connected endpoint. */
bool endpoint_send(struct endpoint *e, const struct peer *peer, const void *data, size_t size);

/* false when nothing is waiting. */
bool endpoint_receive(struct endpoint *e, struct message *m);

/* Waits up to timeout_ms for something to receive (connected side, clients). */
bool endpoint_wait(struct endpoint *e, int64_t timeout_ms);

/* Connected with keys: whether the farm has turned us away since the first call. It goes on trying, in vain. */
bool endpoint_refused(struct endpoint *e);

#endif

/* endpoint - one socket of a conversation: framed messages to and from peers, never blocking. Two implementations:
 * ZeroMQ here, simulated in tests.
 *
 * A farm has one base address; its three conversations derive from it: "ipc:///run/x" -> ipc:///run/x/workers,
 * /clients, /blobs; "tcp://HOST:PORT" -> ports PORT, PORT+1, PORT+2. Without keys only ipc:// and loopback addresses
 * are bound. */
#ifndef SHOTLINE_WIRE_ENDPOINT_H
#define SHOTLINE_WIRE_ENDPOINT_H

#include "common/base/error.h"

#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION     1u
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
    struct peer peer; /* meaningless on a connected endpoint */
    uint8_t *data;    /* owned by the endpoint until the next receive */
    size_t size;
};

struct endpoint;

struct endpoint *endpoint_bind(const char *address, struct error *err);    /* ROUTER, mandatory, non-blocking */
struct endpoint *endpoint_connect(const char *address, struct error *err); /* DEALER */
void endpoint_close(struct endpoint **e);

/* For zmq_poll: the zmq socket. NULL for a simulated endpoint. */
void *endpoint_socket(struct endpoint *e);

/* false when the peer is gone or its queue is full: the message is dropped, which the protocols allow. `peer` NULL on a
 * connected endpoint. */
bool endpoint_send(struct endpoint *e, const struct peer *peer, const void *data, size_t size);

/* false when nothing is waiting. */
bool endpoint_receive(struct endpoint *e, struct message *m);

/* Waits up to timeout_ms for something to receive (connected side, clients). */
bool endpoint_wait(struct endpoint *e, int64_t timeout_ms);

#endif

/* callers - the connections that are open at a farm's door, by where they come from, and how fast new ones arrive
 * there. Pure: a connection is a small number (its file), the time is an argument.
 *
 * Whoever may not come in still counts until callers_leave: its file is open that long. An address without an open
 * connection is forgotten as soon as it might call at the full rate again. */
#ifndef SHOTLINE_WIRE_CALLERS_H
#define SHOTLINE_WIRE_CALLERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Of IPv6 the first 64 bits: who has one address of a network has all of it. */
struct caller_address {
    uint8_t bytes[16];
};
/* False when the address is neither IPv4 nor IPv6. */
bool caller_address_of(struct caller_address *a, const struct sockaddr_storage *from);
#define CALLER_ADDRESS_ROOM 64
void caller_address_text(const struct caller_address *a, char text[CALLER_ADDRESS_ROOM]);

struct callers_limits {
    uint32_t total, per_address; /* open connections */
    double per_s;                /* new ones of an address; so many ... */
    double burst;                /* ... may come at once after a silence */
};

enum callers_verdict {
    CALLERS_WELCOME,
    CALLERS_TOO_FAST,
    CALLERS_TOO_MANY_OF_ADDRESS,
    CALLERS_TOO_MANY,
    CALLERS_VERDICTS,
};

struct caller;
struct callers {
    struct callers_limits limits;
    struct caller *list; /* an address each */
    size_t count, room;
    struct caller_address *of; /* of each connection */
    bool *open;
    size_t connections; /* room of both */
    uint32_t total;
};

void callers_init(struct callers *c, const struct callers_limits *l);
void callers_free(struct callers *c);

/* A connection arrives; one of the same number that has not left yet has done so unseen. */
enum callers_verdict callers_arrive(struct callers *c, int connection, const struct caller_address *from,
                                    int64_t now_ms);
void callers_leave(struct callers *c, int connection);

#endif

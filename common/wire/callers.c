#include "common/wire/callers.h"

#include "common/base/arena.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct caller {
    struct caller_address address;
    uint32_t open;
    double tokens;
    int64_t filled_ms;
};

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }; /* IPv4 in IPv6 */

bool caller_address_of(struct caller_address *a, const struct sockaddr_storage *from)
{
    *a = (struct caller_address){ { 0 } };
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;

        memcpy(a->bytes, mapped, sizeof mapped);
        memcpy(a->bytes + sizeof mapped, &v4->sin_addr, 4);
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
        bool v4 = memcmp(&v6->sin6_addr, mapped, sizeof mapped) == 0;

        memcpy(a->bytes, &v6->sin6_addr, v4 ? sizeof a->bytes : sizeof a->bytes / 2);
    } else {
        return false;
    }
    return true;
}

void caller_address_text(const struct caller_address *a, char text[CALLER_ADDRESS_ROOM])
{
    char digits[INET6_ADDRSTRLEN] = "";

    if (memcmp(a->bytes, mapped, sizeof mapped) == 0) {
        inet_ntop(AF_INET, a->bytes + sizeof mapped, text, CALLER_ADDRESS_ROOM);
        return;
    }
    inet_ntop(AF_INET6, a->bytes, digits, sizeof digits);
    snprintf(text, CALLER_ADDRESS_ROOM, "%s/64", digits);
}

void callers_init(struct callers *c, const struct callers_limits *l)
{
    *c = (struct callers){ .limits = *l };
}

void callers_free(struct callers *c)
{
    free(c->list);
    free(c->of);
    free(c->open);
    *c = (struct callers){ 0 };
}

static void fill(const struct callers *c, struct caller *k, int64_t now_ms)
{
    k->tokens += (double)(now_ms - k->filled_ms) * c->limits.per_s / 1000;
    k->tokens = k->tokens < c->limits.burst ? k->tokens : c->limits.burst;
    k->filled_ms = now_ms;
}

/* Drops on its way what is not worth remembering. */
static struct caller *find_or_make(struct callers *c, const struct caller_address *from, int64_t now_ms)
{
    for (size_t i = 0; i < c->count;) {
        struct caller *k = &c->list[i];

        fill(c, k, now_ms);
        if (memcmp(&k->address, from, sizeof *from) == 0)
            return k;
        if (!k->open && k->tokens >= c->limits.burst)
            *k = c->list[--c->count];
        else
            i++;
    }
    if (c->count == c->room) {
        c->room = c->room ? 2 * c->room : 16;
        c->list = xrealloc(c->list, c->room * sizeof *c->list);
    }
    c->list[c->count] = (struct caller){ .address = *from, .tokens = c->limits.burst, .filled_ms = now_ms };
    return &c->list[c->count++];
}

static void make_room(struct callers *c, size_t connection)
{
    size_t room = c->connections ? c->connections : 64;

    if (connection < c->connections)
        return;
    while (room <= connection)
        room *= 2;
    c->of = xrealloc(c->of, room * sizeof *c->of);
    c->open = xrealloc(c->open, room * sizeof *c->open);
    memset(c->open + c->connections, 0, (room - c->connections) * sizeof *c->open);
    c->connections = room;
}

enum callers_verdict callers_arrive(struct callers *c, int connection, const struct caller_address *from,
                                    int64_t now_ms)
{
    if (connection < 0)
        return CALLERS_WELCOME;
    callers_leave(c, connection);
    make_room(c, (size_t)connection);
    struct caller *k = find_or_make(c, from, now_ms);

    c->of[connection] = *from;
    c->open[connection] = true;
    c->total++;
    k->open++;
    if (c->total > c->limits.total)
        return CALLERS_TOO_MANY;
    if (k->open > c->limits.per_address)
        return CALLERS_TOO_MANY_OF_ADDRESS;
    if (k->tokens < 1)
        return CALLERS_TOO_FAST;
    k->tokens -= 1;
    return CALLERS_WELCOME;
}

void callers_leave(struct callers *c, int connection)
{
    if (connection < 0 || (size_t)connection >= c->connections || !c->open[connection])
        return;
    c->open[connection] = false;
    c->total--;
    for (size_t i = 0; i < c->count; i++)
        if (memcmp(&c->list[i].address, &c->of[connection], sizeof c->of[connection]) == 0) {
            c->list[i].open--;
            return;
        }
}

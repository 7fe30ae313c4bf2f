/* network - the simulated `endpoint`, and the wires between it and the agents: what is sent arrives in order after a
 * moment, unless the dice say otherwise. A connection has a number; who opens a new one is a new peer to the farm, and
 * what was sent to the old one is lost. */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parcel {
    uint32_t from, connection; /* of the peer at the other end */
    struct curve_key key;
    uint32_t boot; /* of that worker, and of the farm, when it was written */
    uint64_t restarts;
    size_t size;
    uint8_t data[];
};

struct endpoint {
    struct world *w;
    bool clients;
    struct parcel **waiting; /* ring */
    size_t first, count, room;
    struct parcel *taken;
};

struct network {
    struct endpoint workers, clients;
    int64_t *cut_until_ms;
};

void network_open(struct world *w)
{
    w->network = xcalloc(1, sizeof *w->network);
    w->network->workers = (struct endpoint){ .w = w };
    w->network->clients = (struct endpoint){ .w = w, .clients = true };
    w->network->cut_until_ms = xcalloc(w->set.workers, sizeof(int64_t));
}

static void forget(struct endpoint *e)
{
    while (e->count) {
        free(e->waiting[e->first]);
        e->first = (e->first + 1) % e->room;
        e->count--;
    }
    free(e->taken);
    e->taken = NULL;
}

void network_coordinator_gone(struct world *w)
{
    forget(&w->network->workers);
    forget(&w->network->clients);
}

void network_close(struct world *w)
{
    network_coordinator_gone(w);
    free(w->network->workers.waiting);
    free(w->network->clients.waiting);
    free(w->network->cut_until_ms);
    free(w->network);
    w->network = NULL;
}

struct endpoint *network_endpoint(struct world *w, bool clients)
{
    return clients ? &w->network->clients : &w->network->workers;
}

/* ---- the farm's side ---- */

static struct peer peer_of(const struct parcel *p)
{
    struct peer peer = { .size = 8 };

    memcpy(peer.id, &p->from, 4);
    memcpy(peer.id + 4, &p->connection, 4);
    return peer;
}

bool endpoint_receive(struct endpoint *e, struct message *m)
{
    free(e->taken);
    e->taken = NULL;
    if (!e->count)
        return false;
    e->taken = e->waiting[e->first];
    e->first = (e->first + 1) % e->room;
    e->count--;
    *m = (struct message){
        .peer = peer_of(e->taken), .key = e->taken->key, .data = e->taken->data, .size = e->taken->size
    };
    if (!e->clients)
        oracle_read(e->w, e->taken->from, &e->taken->key, e->taken->data, e->taken->size);
    return true;
}

static void arrive_at_farm(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct parcel *p = data;
    struct endpoint *e = who ? &w->network->clients : &w->network->workers;

    (void)token;
    if (!w->coordinator.up) {
        /* The socket of a peer keeps what it could not send: some of it arrives when the farm is back. */
        if (dice_u64(&w->luck) & 1) {
            world_at(w, w->now_ms + 1000, arrive_at_farm, who, token, p);
            return;
        }
        free(p);
        return;
    }
    if (!who && p->restarts != w->coordinator.restarts && p->from < w->set.workers) {
        if (p->boot != worker_boots(w, p->from)) { /* it died in the socket of its process */
            free(p);
            return;
        }
        p->connection = worker_connection(w, p->from);
    }
    if (e->count == e->room) {
        size_t room = e->room ? 2 * e->room : 256;
        struct parcel **waiting = xcalloc(room, sizeof *waiting);

        for (size_t i = 0; i < e->count; i++)
            waiting[i] = e->waiting[(e->first + i) % e->room];
        free(e->waiting);
        e->waiting = waiting;
        e->first = 0;
        e->room = room;
    }
    e->waiting[(e->first + e->count++) % e->room] = p;
    coordinator_wake(w);
}

/* ---- the wires ---- */

static struct parcel *parcel_new(struct world *w, uint32_t from, uint32_t connection, const struct curve_key *key,
                                 const void *data, size_t size)
{
    struct parcel *p = xmalloc(sizeof *p + size);

    *p = (struct parcel){ .from = from,
                          .connection = connection,
                          .key = *key,
                          .boot = from < w->set.workers ? worker_boots(w, from) : 0,
                          .restarts = w->coordinator.restarts,
                          .size = size };
    memcpy(p->data, data, size);
    return p;
}

static void garble(struct world *w, struct parcel *p)
{
    if (!p->size)
        return;
    if (dice_u64(&w->luck) & 1)
        p->size = (size_t)dice_between(&w->luck, 0, (int64_t)p->size - 1);
    else
        for (int64_t n = dice_between(&w->luck, 1, 3); n > 0; n--)
            p->data[dice_between(&w->luck, 0, (int64_t)p->size - 1)] ^= (uint8_t)(1u << (dice_u64(&w->luck) % 8));
}

/* Sends a message on its way. `mayhem`: bytes may change (what a client asks for is its own affair). */
static void carry(struct world *w, event_handler *arrive, uint32_t who, struct parcel *p, bool mayhem)
{
    int64_t at_ms = w->now_ms + 2;

    w->messages++;
    world_trace(w, p->size, p->from);
    if (p->from < w->set.workers && w->now_ms < w->network->cut_until_ms[p->from]) {
        fault_count(w, FAULT_CUT);
        free(p);
        return;
    }
    if (fault_strikes(w, FAULT_DROP, 40000)) {
        free(p);
        return;
    }
    if (fault_strikes(w, FAULT_REORDER, 60000))
        at_ms += dice_between(&w->luck, 1, 300);
    if (fault_strikes(w, FAULT_DELAY, 20000))
        at_ms += dice_between(&w->luck, 1000, 25000);
    if (fault_strikes(w, FAULT_REPEAT, 60000))
        world_at(w, at_ms + dice_between(&w->luck, 1, (dice_u64(&w->luck) & 7) ? 500 : 40000), arrive, who, 0,
                 parcel_new(w, p->from, p->connection, &p->key, p->data, p->size));
    if (mayhem && fault_strikes(w, FAULT_GARBLE, 5000))
        garble(w, p);
    world_at(w, at_ms, arrive, who, 0, p);
}

void network_from_peer(struct world *w, bool client, uint32_t peer, uint32_t connection, const struct curve_key *key,
                       const void *data, size_t size)
{
    carry(w, arrive_at_farm, client, parcel_new(w, peer, connection, key, data, size), !client);
}

void network_from_worker(struct world *w, uint32_t worker, uint32_t connection, const void *data, size_t size)
{
    const struct curve_key key = keys_worker(w, worker);

    network_from_peer(w, false, worker, connection, &key, data, size);
}

void network_from_client(struct world *w, uint32_t client, const void *data, size_t size)
{
    uint32_t connection;
    const struct curve_key key = keys_client(w, client, &connection);

    network_from_peer(w, true, PEER_CLIENTS + client, connection, &key, data, size);
}

void network_cut(struct world *w, uint32_t worker, int64_t until_ms)
{
    w->network->cut_until_ms[worker] = until_ms;
}

static void arrive_at_worker(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct parcel *p = data;

    (void)who, (void)token;
    worker_receive(w, p->from, p->connection, p->data, p->size);
    free(p);
}

static void arrive_at_client(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct parcel *p = data;
    uint32_t connection;

    (void)who, (void)token;
    if (p->from >= PEER_OPERATOR) {
        keys_receive(w, p->from, p->connection, p->data, p->size);
    } else {
        keys_client(w, p->from - PEER_CLIENTS, &connection);
        if (connection == p->connection)
            client_receive(w, p->from - PEER_CLIENTS, p->data, p->size);
    }
    free(p);
}

/* Whether a connection is the one that its peer has now, and the key that it was made with. */
static bool is_connected(struct world *w, bool client, uint32_t from, uint32_t connection, struct curve_key *key)
{
    uint32_t newest;

    *key = (struct curve_key){ { 0 } };
    if (client && from >= PEER_OPERATOR)
        return true;
    if (client) {
        *key = keys_client(w, from - PEER_CLIENTS, &newest);
        return connection == newest;
    }
    if (!worker_connected(w, from, connection))
        return false;
    *key = keys_worker(w, from);
    return true;
}

bool endpoint_send(struct endpoint *e, const struct peer *peer, const void *data, size_t size)
{
    struct world *w = e->w;
    uint32_t from, connection;
    struct curve_key key;

    if (coordinator_step(w) != STEP_LIVES)
        return false;
    memcpy(&from, peer->id, 4);
    memcpy(&connection, peer->id + 4, 4);
    if (from >= PEER_TRESPASSERS) {
        keys_trespasser_told(w, e->clients, data, size);
        return true;
    }
    const bool connected = is_connected(w, e->clients, from, connection, &key);
    oracle_sent(w, e->clients, from, connection, connected ? &key : NULL, data, size);
    if (!connected)
        return false;
    carry(w, e->clients ? arrive_at_client : arrive_at_worker, 0, parcel_new(w, from, connection, &key, data, size),
          !e->clients);
    return true;
}

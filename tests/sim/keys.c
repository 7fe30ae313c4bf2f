/* keys - whose keys the farm knows: an operator who invites everybody, workers and clients who join with their invites,
 * are revoked while they work, and are invited again under another key. Keys are names here: the encryption is not
 * simulated, and nobody is kept out at the door, so that the farm must refuse message by message. */
#include "tests/sim/keys.h"

#include "common/base/log.h"
#include "common/wire/codec.h"
#include "common/wire/endpoint.h"
#include "coordinator/api/admission.h"
#include "coordinator/api/guard.h"
#include "proto/client.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_AGAIN_MS 2000
/* One after the other at most, however many they are: the farm knows 20,000 keys, old ones included. */
#define REVOKE_MS 1000
#define SEQUENCES 100000 /* the rest of a sequence names the bearer */

/* ---- names and keys ---- */

static bool has_keys(const struct world *w)
{
    return w->set.seed % 4 != 0;
}

struct curve_key keys_make(const char *what, uint32_t bearer, uint32_t generation)
{
    char text[64];
    struct curve_key key;

    snprintf(text, sizeof text, "%s of %" PRIu32 ", number %" PRIu32, what, bearer, generation);
    const struct digest d = digest_of(text, strlen(text));
    memcpy(key.bytes, d.bytes, sizeof key.bytes);
    return key;
}

struct curve_key keys_own(const struct world *w, uint32_t bearer)
{
    return keys_make("key", bearer, w->keys->bearers[bearer].generation);
}

static struct curve_key operator_key(void)
{
    return keys_make("operator", 0, 0);
}

static void name_of(const struct world *w, uint32_t bearer, char name[32])
{
    snprintf(name, 32, "b%" PRIu32 ".%" PRIu32, bearer, w->keys->bearers[bearer].generation);
}

struct curve_key keys_worker(const struct world *w, uint32_t worker)
{
    const struct curve_key none = { { 0 } };

    if (!has_keys(w))
        return none;
    return worker < w->set.workers ? w->keys->bearers[worker].key : keys_make("stranger", worker, 0);
}

struct curve_key keys_client(const struct world *w, uint32_t client, uint32_t *connection)
{
    const struct curve_key none = { { 0 } };

    *connection = 0;
    if (!has_keys(w))
        return none;
    *connection = w->keys->bearers[w->set.workers + client].used;
    return w->keys->bearers[w->set.workers + client].key;
}

bool keys_worker_joined(const struct world *w, uint32_t worker)
{
    return !has_keys(w) || w->keys->bearers[worker].used;
}

bool keys_client_joined(const struct world *w, uint32_t client)
{
    return !has_keys(w) || w->keys->bearers[w->set.workers + client].used;
}

bool keys_client_good(const struct world *w, uint32_t client, bool *renewed)
{
    const struct bearer *b = &w->keys->bearers[w->set.workers + client];

    *renewed = b->used > 1;
    return !has_keys(w) || (b->stage == STAGE_MEMBER && !b->revoking);
}

/* ---- what bearers and the operator ask for ---- */

static void walk(struct world *w, uint32_t who, uint64_t token, void *data);

static void walk_at(struct world *w, uint32_t bearer, int64_t at_ms)
{
    world_at(w, at_ms, walk, bearer, ++w->keys->bearers[bearer].walk, NULL);
}

void keys_speak(struct world *w, uint32_t peer, uint32_t connection, const struct curve_key *key, uint32_t bearer,
                Shotline__ToFarm *m)
{
    struct str packed = { 0 };

    m->version = WIRE_VERSION;
    m->sequence = ++w->keys->sequence * SEQUENCES + bearer;
    codec_pack(&m->base, &packed);
    network_from_peer(w, true, peer, connection, key, packed.data, packed.size);
    str_free(&packed);
}

static void operator_asks(struct world *w, uint32_t bearer, Shotline__ToFarm *m)
{
    const struct curve_key key = operator_key();

    keys_speak(w, PEER_OPERATOR, 0, &key, bearer, m);
}

static void ask_invite(struct world *w, uint32_t bearer)
{
    struct bearer *b = &w->keys->bearers[bearer];
    Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
    Shotline__InviteRequest q = SHOTLINE__INVITE_REQUEST__INIT;
    struct curve_key invite = keys_make("invite", bearer, b->generation);
    char name[32];

    name_of(w, bearer, name);
    q.key = (ProtobufCBinaryData){ sizeof invite.bytes, invite.bytes };
    q.role = (Shotline__Role)b->role;
    q.name = name;
    q.expires_ms = b->short_lived ? 2000 : INVITE_MS;
    m.invite = &q;
    operator_asks(w, bearer, &m);
}

static void ask_join(struct world *w, uint32_t bearer)
{
    const struct bearer *b = &w->keys->bearers[bearer];
    const struct curve_key invite = keys_make("invite", bearer, b->generation);
    struct curve_key own = keys_own(w, bearer);
    Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
    Shotline__JoinRequest q = SHOTLINE__JOIN_REQUEST__INIT;

    q.key = (ProtobufCBinaryData){ sizeof own.bytes, own.bytes };
    m.join = &q;
    keys_speak(w, PEER_JOINERS + bearer, b->generation, &invite, bearer, &m);
}

static void ask_revoke(struct world *w, uint32_t bearer)
{
    Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
    Shotline__RevokeRequest q = SHOTLINE__REVOKE_REQUEST__INIT;
    char name[32];

    name_of(w, bearer, name);
    q.name = name;
    m.revoke = &q;
    operator_asks(w, bearer, &m);
}

/* The next step of somebody's way in, or out; again until it is answered. */
static void walk(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct bearer *b = &w->keys->bearers[who];

    (void)data;
    if (token != b->walk)
        return;
    switch (b->stage) {
    case STAGE_REVOKED: /* is invited once more */
        b->stage = STAGE_OUTSIDE;
        b->revoking = false;
        b->generation++;
        b->short_lived = dice_u64(&w->luck) % 8 == 0;
        ask_invite(w, who);
        break;
    case STAGE_OUTSIDE:
        ask_invite(w, who);
        break;
    case STAGE_INVITED:
        ask_join(w, who);
        break;
    case STAGE_MEMBER:
        if (!b->revoking)
            return;
        ask_revoke(w, who);
        break;
    }
    walk_at(w, who, w->now_ms + ASK_AGAIN_MS);
}

/* ---- what they are told ---- */

static void revoked(struct world *w, uint32_t bearer)
{
    struct bearer *b = &w->keys->bearers[bearer];
    const struct curve_key key = keys_own(w, bearer);

    oracle_revoked(w, &key);
    b->stage = STAGE_REVOKED;
    walk_at(w, bearer, w->now_ms + dice_between(&w->luck, 2000, 20000));
}

/* The answer to a revocation was lost: was it done? */
static void ask_list(struct world *w, uint32_t bearer)
{
    Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
    Shotline__KeysRequest q = SHOTLINE__KEYS_REQUEST__INIT;

    m.keys = &q;
    operator_asks(w, bearer, &m);
}

static void read_list(struct world *w, uint32_t bearer, const Shotline__KeysReply *list)
{
    char name[32];

    name_of(w, bearer, name);
    for (size_t i = 0; i < list->n_keys; i++) {
        if (list->keys[i]->state == SHOTLINE__KEY_STATE__KEY_USED || strcmp(list->keys[i]->name, name))
            continue;
        if (list->keys[i]->state == SHOTLINE__KEY_STATE__KEY_REVOKED)
            revoked(w, bearer);
        return; /* else it was the answer to a late invite, and the revocation is asked for again */
    }
    world_break(w, "\"%s\" was a member, and is not in the list of keys", name);
}

static void operator_told(struct world *w, uint32_t bearer, const Shotline__FromFarm *m)
{
    struct bearer *b = &w->keys->bearers[bearer];
    char name[32];

    name_of(w, bearer, name);
    if (m->invited) {
        if (b->stage != STAGE_OUTSIDE || strcmp(m->invited->name, name))
            return;
        b->stage = STAGE_INVITED; /* the line reaches whom it is for by other ways */
        walk_at(w, bearer, w->now_ms + 1);
    } else if (m->revoked) {
        if (b->stage == STAGE_MEMBER && b->revoking && !strcmp(m->revoked->name, name))
            revoked(w, bearer);
    } else if (m->keys) {
        if (b->stage == STAGE_MEMBER && b->revoking)
            read_list(w, bearer, m->keys);
    } else if (m->error && m->error->kind == SHOTLINE__FARM_ERROR_KIND__FARM_BAD_REQUEST) {
        if (b->stage == STAGE_MEMBER && b->revoking)
            ask_list(w, bearer);
        /* Else a request that came late, or twice: its name or key is known by now. */
    } else {
        world_break(w, "the operator was told: %s", m->error ? m->error->text : "something that was not asked");
    }
}

static void joiner_told(struct world *w, uint32_t bearer, uint32_t connection, const Shotline__FromFarm *m)
{
    struct bearer *b = &w->keys->bearers[bearer];

    if (b->stage != STAGE_INVITED || b->generation != connection)
        return;
    if (m->joined) {
        b->stage = STAGE_MEMBER;
        b->used = b->generation;
        b->key = keys_own(w, bearer);
        if (bearer < w->set.workers)
            worker_rekeyed(w, bearer);
    } else if (b->short_lived) { /* too late */
        b->stage = STAGE_OUTSIDE;
        b->generation++;
        b->short_lived = false;
    } else {
        world_break(w, "b%" PRIu32 " came with its invite and was told: %s", bearer,
                    m->error ? m->error->text : "something that was not asked");
    }
}

void keys_receive(struct world *w, uint32_t peer, uint32_t connection, const void *data, size_t size)
{
    struct arena arena = { 0 };
    struct error err;
    const Shotline__FromFarm *m = codec_unpack(&shotline__from_farm__descriptor, data, size, &arena, &err);
    const uint32_t bearer = m ? (uint32_t)(m->sequence % SEQUENCES) : 0;

    if (!m || bearer >= w->keys->count)
        world_break(w, "peer %" PRIu32 " got a message that is none", peer);
    else if (peer == PEER_OPERATOR)
        operator_told(w, bearer, m);
    else
        joiner_told(w, bearer, connection, m);
    arena_free(&arena);
}

/* The key of a joiner is the one that it asks for. */
void keys_joined_sent(struct world *w, uint32_t peer, uint32_t connection)
{
    const struct curve_key key = keys_make("key", peer - PEER_JOINERS, connection);

    oracle_joined(w, &key, w->keys->bearers[peer - PEER_JOINERS].role);
}

/* ---- revocations ---- */

static int64_t next_revocation_ms(struct world *w)
{
    const int64_t mean_ms = 200000 / w->keys->count;

    return fault_next_ms(w, mean_ms > REVOKE_MS ? mean_ms : REVOKE_MS);
}

static void revoke_one(struct world *w, uint32_t who, uint64_t token, void *data)
{
    const uint32_t bearer = (uint32_t)dice_between(&w->luck, 0, w->keys->count - 1);
    struct bearer *b = &w->keys->bearers[bearer];

    (void)who, (void)token, (void)data;
    if (w->calm)
        return;
    world_at(w, next_revocation_ms(w), revoke_one, 0, 0, NULL);
    if (b->stage != STAGE_MEMBER || b->revoking)
        return;
    const struct curve_key key = keys_own(w, bearer);
    fault_count(w, FAULT_REVOKE);
    oracle_revoking(w, &key);
    b->revoking = true;
    walk_at(w, bearer, w->now_ms);
}

/* ---- the guard of a farm that starts ---- */

bool keys_guard(struct world *w, struct guard **g, struct store *s, int64_t wall_ms, struct error *err)
{
    struct credential owner = { .name = "operator", .role = ROLE_OPERATOR };

    *g = NULL;
    if (!has_keys(w) && w->set.seed % 8) /* a farm without limits, too */
        return true;
    *g = guard_open(&(struct guard_options){ .keys = has_keys(w), .farm_address = "tcp://farm:1" });
    if (!has_keys(w))
        return true;
    owner.own.public = operator_key();
    return admission_load(*g, s, &owner, wall_ms, err);
}

void keys_open(struct world *w)
{
    struct keys *k = w->keys = xcalloc(1, sizeof *k);

    k->count = w->set.workers + CLIENTS + 1;
    k->bearers = xcalloc(k->count, sizeof *k->bearers);
    for (uint32_t i = 0; has_keys(w) && i < k->count; i++) {
        k->bearers[i] = (struct bearer){ .role = i < w->set.workers ? ROLE_WORKER
                                                 : i + 1 < k->count ? ROLE_SUBMITTER
                                                                    : ROLE_VIEWER,
                                         .generation = 1 };
        walk_at(w, i, w->now_ms + dice_between(&w->luck, 1, 3000));
    }
    if (w->calm || !has_keys(w))
        return;
    world_at(w, next_revocation_ms(w), revoke_one, 0, 0, NULL);
    trespass_open(w);
}

void keys_close(struct world *w)
{
    free(w->keys->bearers);
    free(w->keys);
    w->keys = NULL;
}

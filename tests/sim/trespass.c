/* trespass - people who ask for what their keys do not allow: strangers, bearers of a key of the past or of somebody
 * else's invite, and members beyond their role. */
#include "tests/sim/keys.h"

#include "common/base/str.h"
#include "common/wire/codec.h"
#include "common/wire/endpoint.h"
#include "proto/worker.pb-c.h"

#include <string.h>

static void trespass_at_workers(struct world *w, const struct curve_key *key)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerHello hello = SHOTLINE__WORKER_HELLO__INIT;
    Shotline__WorkerReady ready = SHOTLINE__WORKER_READY__INIT;
    struct digest proof = { { 42 } };
    struct str packed = { 0 };
    uint8_t boot[16] = { 77 };

    hello.version = WIRE_VERSION;
    hello.name = "trespasser";
    hello.boot_id = (ProtobufCBinaryData){ sizeof boot, boot };
    hello.device = "dice";
    hello.device_bytes = UINT64_C(1) << 33;
    hello.kernel_proof = codec_bytes(&proof);
    ready.slots = 1;
    if (dice_u64(&w->luck) & 1)
        m.hello = &hello;
    else
        m.ready = &ready;
    codec_pack(&m.base, &packed);
    fault_count(w, FAULT_TRESPASS);
    network_from_peer(w, false, PEER_TRESPASSERS, (uint32_t)++w->keys->trespasses, key, packed.data, packed.size);
    str_free(&packed);
}

/* How much a trespasser at the clients' socket dares: from whatever its role forbids. */
enum daring { DARES_STATUS, DARES_SUBMIT, DARES_INVITE };

static void trespass_at_clients(struct world *w, const struct curve_key *key, enum daring daring)
{
    Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
    Shotline__StatusRequest status = SHOTLINE__STATUS_REQUEST__INIT;
    Shotline__CancelRequest cancel = SHOTLINE__CANCEL_REQUEST__INIT;
    Shotline__InviteRequest invite = SHOTLINE__INVITE_REQUEST__INIT;
    Shotline__RevokeRequest revoke = SHOTLINE__REVOKE_REQUEST__INIT;
    Shotline__JoinRequest join = SHOTLINE__JOIN_REQUEST__INIT;
    struct curve_key mine = keys_make("thief", (uint32_t)++w->keys->trespasses, 0);

    cancel.campaign = (uint64_t)dice_between(&w->luck, 1, 10);
    invite.key = join.key = (ProtobufCBinaryData){ sizeof mine.bytes, mine.bytes };
    invite.role = SHOTLINE__ROLE__ROLE_OPERATOR;
    invite.expires_ms = INVITE_MS;
    revoke.name = "operator";
    switch (dice_between(&w->luck, daring, 4)) {
    case DARES_STATUS:
        m.status = &status;
        break;
    case DARES_SUBMIT:
        m.cancel = &cancel;
        break;
    case DARES_INVITE:
        m.invite = &invite;
        break;
    case 3:
        m.revoke = &revoke;
        break;
    default:
        m.join = &join; /* an invite that was used, or a key that is no invite */
        break;
    }
    fault_count(w, FAULT_TRESPASS);
    keys_speak(w, PEER_TRESPASSERS, (uint32_t)w->keys->trespasses, key, 0, &m);
}

static void trespass(struct world *w, uint32_t who, uint64_t token, void *data)
{
    const uint32_t bearer = (uint32_t)dice_between(&w->luck, 0, w->keys->count - 1);
    const struct bearer *b = &w->keys->bearers[bearer];
    struct curve_key key;

    (void)who, (void)token, (void)data;
    if (w->calm)
        return;
    world_at(w, fault_next_ms(w, 1000), trespass, 0, 0, NULL);
    switch (dice_between(&w->luck, 0, 4)) {
    case 0: /* nobody has invited this one */
        key = keys_make("unknown", (uint32_t)(dice_u64(&w->luck) % 1000), 0);
        break;
    case 1: /* this one has somebody else's invite */
        if (b->stage < STAGE_MEMBER)
            return;
        key = keys_make("invite", bearer, b->generation);
        break;
    case 2: /* a key of the past */
        key = keys_make("key", bearer, b->generation - 1);
        if (!oracle_key_revoked(w, &key))
            return;
        break;
    default:
        if (b->stage != STAGE_MEMBER)
            return;
        key = keys_own(w, bearer);
        if (b->role == ROLE_WORKER)
            trespass_at_clients(w, &key, DARES_STATUS);
        else if (dice_u64(&w->luck) & 1)
            trespass_at_workers(w, &key);
        else
            trespass_at_clients(w, &key, b->role == ROLE_VIEWER ? DARES_SUBMIT : DARES_INVITE);
        return;
    }
    if (dice_u64(&w->luck) & 1)
        trespass_at_workers(w, &key);
    else
        trespass_at_clients(w, &key, DARES_STATUS);
}

void keys_trespasser_told(struct world *w, bool client, const void *data, size_t size)
{
    struct arena arena = { 0 };
    struct error err;

    if (client) {
        const Shotline__FromFarm *m = codec_unpack(&shotline__from_farm__descriptor, data, size, &arena, &err);

        if (!m || !m->error)
            world_break(w, "somebody asked for what its key does not allow, and it was done");
    } else {
        const Shotline__ToWorker *m = codec_unpack(&shotline__to_worker__descriptor, data, size, &arena, &err);

        if (!m || !m->refused)
            world_break(w, "somebody without a worker's key was taken for a worker");
    }
    arena_free(&arena);
}

void trespass_open(struct world *w)
{
    world_at(w, fault_next_ms(w, 1000), trespass, 0, 0, NULL);
}

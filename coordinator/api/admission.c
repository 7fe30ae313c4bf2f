#include "coordinator/api/admission.h"

#include "common/base/log.h"
#include "coordinator/api/guard.h"
#include "coordinator/farm/leases.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_INVITE_MS (INT64_C(90) * 24 * 3600 * 1000)
#define KEPT_MS           (INT64_C(30) * 24 * 3600 * 1000) /* after its time: told why, and no stranger yet */

static void changed(struct farm *f, const struct access_entry *e)
{
    f->keys_changed = xrealloc(f->keys_changed, (f->keys_changed_count + 1) * sizeof *e);
    f->keys_changed[f->keys_changed_count++] = *e;
}

/* ---- keys that are over ---- */

struct dropping {
    struct store *store;
    size_t count;
    bool failed;
    struct error err;
};

static void drop_one(void *context, const struct access_entry *e)
{
    struct dropping *d = context;

    d->count++;
    d->failed = d->failed || !store_drop_key(d->store, &e->key, &d->err);
}

/* The list is bounded, and grows with invites: whoever makes one makes room. */
static bool drop_old(struct guard *g, struct store *s, int64_t wall_ms, struct error *err)
{
    struct dropping d = { .store = s };

    guard_drop_old(g, wall_ms - KEPT_MS, drop_one, &d);
    if (d.count)
        log_info("key.forgotten", "keys=%zu reason=\"over for more than 30 days\"", d.count);
    if (d.failed)
        *err = d.err;
    return !d.failed;
}

/* ---- what is asked ---- */

static bool has_keys(const struct farm *f, struct error *err)
{
    return guard_has_keys(f->guard) ||
           error_set(err, ERROR_INPUT,
                     "this farm listens on ipc:// and has no keys: whoever can open its sockets may do "
                     "everything");
}

static bool read_key(struct curve_key *k, const ProtobufCBinaryData *bytes, struct error *err)
{
    if (bytes->len != CURVE_BYTES)
        return error_set(err, ERROR_INPUT, "a key of %zu bytes, expected %d", bytes->len, CURVE_BYTES);
    memcpy(k->bytes, bytes->data, CURVE_BYTES);
    return !curve_is_none(k) || error_set(err, ERROR_INPUT, "a key of zeros");
}

static ProtobufCBinaryData key_bytes(const struct curve_key *k, struct arena *arena)
{
    return (ProtobufCBinaryData){ .len = CURVE_BYTES, .data = arena_copy(arena, k->bytes, CURVE_BYTES) };
}

Shotline__Invited *admission_invite(struct farm *f, const Shotline__InviteRequest *q, struct arena *arena,
                                    struct error *err)
{
    struct access_entry e = { .role = (enum role)q->role, .state = ACCESS_INVITED, .created_ms = f->wall_ms };

    if (!has_keys(f, err) || !read_key(&e.key, &q->key, err))
        return NULL;
    if (e.role < ROLE_VIEWER || e.role > ROLE_WORKER) {
        error_set(err, ERROR_INPUT, "role %d is not one that this farm knows", (int)q->role);
        return NULL;
    }
    if (q->expires_ms < 1 || q->expires_ms > (uint64_t)LONGEST_INVITE_MS) {
        error_set(err, ERROR_INPUT, "an invite lasts from 1 ms to 90 days");
        return NULL;
    }
    if (q->name && strlen(q->name) >= sizeof e.name) {
        error_set(err, ERROR_INPUT, "a name is 1 to 63 of A-Z a-z 0-9 . _ -");
        return NULL;
    }
    snprintf(e.name, sizeof e.name, "%s", q->name ? q->name : "");
    e.expires_ms = f->wall_ms + (int64_t)q->expires_ms;
    if (!drop_old(f->guard, f->store, f->wall_ms, err) || !guard_invite(f->guard, &e, f->wall_ms, err))
        return NULL;
    changed(f, &e);
    log_info("key.invited", "name=\"%s\" role=%s hours=%.1f", e.name, role_name(e.role),
             (double)(e.expires_ms - f->wall_ms) / 3600000);

    Shotline__Invited *m = arena_new(arena, Shotline__Invited);
    shotline__invited__init(m);
    m->name = arena_strdup(arena, e.name);
    m->farm = (char *)guard_farm_address(f->guard);
    m->farm_key = key_bytes(guard_farm_key(f->guard), arena);
    return m;
}

Shotline__Joined *admission_join(struct farm *f, const Shotline__JoinRequest *q, const struct message *message,
                                 int64_t now_ms, struct arena *arena, struct error *err)
{
    struct access_entry member, used;
    struct curve_key key;
    enum refusal why;

    if (!has_keys(f, err) || !read_key(&key, &q->key, err))
        return NULL;
    if (!guard_join(f->guard, &message->key, &key, f->wall_ms, &member, &used, &why)) {
        guard_refused(f->guard, CONVERSATION_CLIENTS, message, why, "join", now_ms);
        error_set(err, ERROR_INPUT, "%s", refusal_text(why));
        return NULL;
    }
    changed(f, &used);
    changed(f, &member);
    char text[CURVE_TEXT_ROOM];
    curve_text(&key, text);
    log_info("key.joined", "name=\"%s\" role=%s key=%.12s", member.name, role_name(member.role), text);

    Shotline__Joined *m = arena_new(arena, Shotline__Joined);
    shotline__joined__init(m);
    m->name = arena_strdup(arena, member.name);
    m->role = (Shotline__Role)member.role;
    return m;
}

Shotline__Revoked *admission_revoke(struct farm *f, const Shotline__RevokeRequest *q, struct arena *arena,
                                    struct error *err)
{
    struct access_entry e;

    if (!has_keys(f, err) || !guard_revoke(f->guard, q->name, f->wall_ms, &e, err))
        return NULL;
    changed(f, &e);
    uint32_t leases = leases_revoke(f, &e.key, refusal_text(REFUSAL_REVOKED));
    log_warn("key.revoked", "name=\"%s\" role=%s leases=%" PRIu32, e.name, role_name(e.role), leases);

    Shotline__Revoked *m = arena_new(arena, Shotline__Revoked);
    shotline__revoked__init(m);
    m->name = arena_strdup(arena, e.name);
    m->leases = leases;
    return m;
}

struct list {
    Shotline__KeysReply *to;
    size_t room;
    struct arena *arena;
};

static void list_one(void *context, const struct access_entry *e, uint64_t refused)
{
    struct list *l = context;

    if (l->to->n_keys == l->room) {
        size_t room = l->room ? 2 * l->room : 64;
        Shotline__KeyStatus **more = arena_array(l->arena, Shotline__KeyStatus *, room);

        if (l->room)
            memcpy(more, l->to->keys, l->room * sizeof *more);
        l->to->keys = more;
        l->room = room;
    }
    Shotline__KeyStatus *k = l->to->keys[l->to->n_keys++] = arena_new(l->arena, Shotline__KeyStatus);
    shotline__key_status__init(k);
    k->name = arena_strdup(l->arena, e->name);
    k->role = (Shotline__Role)e->role;
    k->state = (Shotline__KeyState)e->state;
    k->key = key_bytes(&e->key, l->arena);
    k->created_ms = e->created_ms;
    k->expires_ms = e->expires_ms;
    k->refused = refused;
}

Shotline__KeysReply *admission_keys(struct farm *f, struct arena *arena, struct error *err)
{
    struct list l = { .arena = arena };

    if (!has_keys(f, err))
        return NULL;
    l.to = arena_new(arena, Shotline__KeysReply);
    shotline__keys_reply__init(l.to);
    guard_each(f->guard, list_one, &l);
    return l.to;
}

/* ---- the store ---- */

static bool restore(void *context, const struct access_entry *e)
{
    guard_restore(context, e);
    return true;
}

bool admission_load(struct guard *g, struct store *s, const struct credential *owner, int64_t wall_ms,
                    struct error *err)
{
    struct access_entry e;

    if (!store_each_key(s, restore, g, err) || !drop_old(g, s, wall_ms, err))
        return false;
    if (guard_first_operator(g, &owner->own.public, wall_ms, &e))
        return store_put_key(s, &e, err);
    if (guard_role(g, &owner->own.public) != ROLE_OPERATOR)
        log_warn("key.operator", "reason=\"the operator key of this machine is revoked\" name=\"%s\"", owner->name);
    return true;
}

bool admission_save(struct farm *f, struct error *err)
{
    for (size_t i = 0; i < f->keys_changed_count; i++)
        if (!store_put_key(f->store, &f->keys_changed[i], err))
            return false;
    f->keys_changed_count = 0;
    return true;
}

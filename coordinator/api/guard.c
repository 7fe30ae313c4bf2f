#include "coordinator/api/guard.h"

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "coordinator/core/limits.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct guard {
    struct guard_options o;
    pthread_mutex_t lock; /* of what follows */
    struct access access;
    struct limits limits;
};

static const char *const conversation_names[] = { "workers", "clients", "blobs" };
static const size_t largest[] = { GUARD_WORKER_BYTES, GUARD_CLIENT_BYTES, GUARD_BLOB_BYTES };

struct guard *guard_open(const struct guard_options *o)
{
    struct guard *g = xcalloc(1, sizeof *g);

    g->o = *o;
    pthread_mutex_init(&g->lock, NULL);
    limits_init(&g->limits, o->messages_per_s > 0 ? o->messages_per_s : GUARD_MESSAGES_PER_S);
    return g;
}

void guard_close(struct guard **g)
{
    if (!*g)
        return;
    access_free(&(*g)->access);
    limits_free(&(*g)->limits);
    pthread_mutex_destroy(&(*g)->lock);
    free(*g);
    *g = NULL;
}

bool guard_has_keys(const struct guard *g)
{
    return g && g->o.keys;
}

const struct curve_key *guard_farm_key(const struct guard *g)
{
    return &g->o.farm;
}

const char *guard_farm_address(const struct guard *g)
{
    return g->o.farm_address;
}

/* ---- judging ---- */

static struct limits_who who_says(const struct message *m)
{
    struct limits_who who = { { 0 } };

    _Static_assert(sizeof who.bytes == CURVE_BYTES && sizeof who.bytes == sizeof m->peer, "one name for both");
    if (curve_is_none(&m->key))
        memcpy(who.bytes, &m->peer, sizeof who.bytes);
    else
        memcpy(who.bytes, m->key.bytes, sizeof who.bytes);
    return who;
}

/* Under the lock. */
static void note(struct guard *g, const char *where, const struct limits_who *who, const struct curve_key *key,
                 enum refusal r, const char *what, int64_t now_ms)
{
    const struct access_entry *e = access_find(&g->access, key);
    char text[CURVE_TEXT_ROOM];

    if (!limits_refused(&g->limits, who, r, now_ms))
        return;
    curve_text(key, text);
    log_warn("peer.refused", "conversation=%s key=%.12s name=\"%s\" reason=\"%s\"%s%s%s", where, text, e ? e->name : "",
             refusal_text(r), what ? " what=\"" : "", what ? what : "", what ? "\"" : "");
}

bool guard_connects(void *guard, const struct curve_key *key, const char *address)
{
    struct guard *g = guard;

    pthread_mutex_lock(&g->lock);
    enum refusal r = access_connect(&g->access, key, clock_wall_ms());
    if (r != REFUSAL_NONE) {
        /* Anybody can make a thousand keys: who is not known is called by where it comes from. */
        struct limits_who who = { { 0 } };

        snprintf((char *)who.bytes, sizeof who.bytes, "at %.28s", address);
        note(g, "door", &who, key, r, address, clock_now_ms());
    }
    pthread_mutex_unlock(&g->lock);
    return r == REFUSAL_NONE;
}

bool guard_hears(struct guard *g, enum conversation c, const struct message *m, int64_t now_ms, const char **why)
{
    enum refusal r = REFUSAL_NONE;

    *why = NULL;
    if (!g)
        return true;
    const struct limits_who who = who_says(m);

    pthread_mutex_lock(&g->lock);
    if (g->o.keys)
        r = access_connect(&g->access, &m->key, clock_wall_ms());
    if (r == REFUSAL_NONE) {
        r = limits_message(&g->limits, &who, c, now_ms);
        if (r == REFUSAL_NONE && m->fault)
            r = REFUSAL_MALFORMED;
        else if (r == REFUSAL_NONE && m->size > largest[c])
            r = REFUSAL_TOO_LARGE;
    }
    if (r != REFUSAL_NONE)
        note(g, conversation_names[c], &who, &m->key, r, m->fault, now_ms);
    pthread_mutex_unlock(&g->lock);
    if (r != REFUSAL_RATE && r != REFUSAL_IGNORED && r != REFUSAL_MALFORMED)
        *why = refusal_text(r);
    return r == REFUSAL_NONE;
}

bool guard_allows(struct guard *g, enum conversation c, const struct message *m, enum access_verb verb, int64_t now_ms,
                  const char **why)
{
    if (!guard_has_keys(g))
        return true;
    const struct limits_who who = who_says(m);

    pthread_mutex_lock(&g->lock);
    enum refusal r = access_check(&g->access, &m->key, verb, clock_wall_ms());
    if (r != REFUSAL_NONE)
        note(g, conversation_names[c], &who, &m->key, r, NULL, now_ms);
    pthread_mutex_unlock(&g->lock);
    *why = refusal_text(r);
    return r == REFUSAL_NONE;
}

void guard_refused(struct guard *g, enum conversation c, const struct message *m, enum refusal r, const char *what,
                   int64_t now_ms)
{
    if (!g) {
        log_warn("peer.refused", "conversation=%s reason=\"%s\" what=\"%s\"", conversation_names[c], refusal_text(r),
                 what ? what : "");
        return;
    }
    const struct limits_who who = who_says(m);

    pthread_mutex_lock(&g->lock);
    note(g, conversation_names[c], &who, &m->key, r, what, now_ms);
    pthread_mutex_unlock(&g->lock);
}

enum role guard_role(struct guard *g, const struct curve_key *key)
{
    if (!guard_has_keys(g))
        return ROLE_OPERATOR;
    pthread_mutex_lock(&g->lock);
    const struct access_entry *e = access_find(&g->access, key);
    enum role role = e && e->state == ACCESS_MEMBER ? e->role : ROLE_NOBODY;
    pthread_mutex_unlock(&g->lock);
    return role;
}

/* ---- changes ---- */

void guard_restore(struct guard *g, const struct access_entry *e)
{
    struct error why;

    pthread_mutex_lock(&g->lock);
    if (!access_add(&g->access, e, &why))
        log_error("access.restore", "reason=\"%s\"", why.text);
    pthread_mutex_unlock(&g->lock);
}

bool guard_invite(struct guard *g, struct access_entry *e, int64_t wall_ms, struct error *err)
{
    bool ok = false;

    pthread_mutex_lock(&g->lock);
    const struct access_entry *before = access_find(&g->access, &e->key);
    if (before && before->state == ACCESS_INVITED && before->role == e->role) { /* the answer was lost */
        *e = *before;
        ok = true;
    } else {
        if (!*e->name)
            access_free_name(&g->access, e->role, e->name);
        if (!access_name_is_good(e->name))
            error_set(err, ERROR_INPUT, "a name is 1 to 63 of A-Z a-z 0-9 . _ -");
        else if (access_find_name(&g->access, e->name, wall_ms))
            error_set(err, ERROR_INPUT, "the name \"%s\" is taken", e->name);
        else
            ok = access_add(&g->access, e, err) != NULL;
    }
    pthread_mutex_unlock(&g->lock);
    return ok;
}

bool guard_join(struct guard *g, const struct curve_key *invite, const struct curve_key *key, int64_t wall_ms,
                struct access_entry *member, struct access_entry *used, enum refusal *why)
{
    struct access_entry *i;

    pthread_mutex_lock(&g->lock);
    const struct access_entry *m = access_join(&g->access, invite, key, wall_ms, &i, why);
    if (m) {
        *member = *m;
        *used = *i;
    }
    pthread_mutex_unlock(&g->lock);
    return m != NULL;
}

bool guard_revoke(struct guard *g, const char *name, int64_t wall_ms, struct access_entry *e, struct error *err)
{
    bool ok = false;

    pthread_mutex_lock(&g->lock);
    struct access_entry *found = access_find_name(&g->access, name, wall_ms);
    if (!found)
        error_set(err, ERROR_INPUT, "no member or invite is called \"%.63s\"", name);
    else if (access_revoke(&g->access, found, wall_ms, err)) {
        *e = *found;
        ok = true;
    }
    pthread_mutex_unlock(&g->lock);
    return ok;
}

void guard_drop_old(struct guard *g, int64_t before_ms, access_dropped *dropped, void *context)
{
    pthread_mutex_lock(&g->lock);
    access_drop_old(&g->access, before_ms, dropped, context);
    pthread_mutex_unlock(&g->lock);
}

bool guard_first_operator(struct guard *g, const struct curve_key *key, int64_t wall_ms, struct access_entry *e)
{
    *e = (struct access_entry){
        .key = *key, .role = ROLE_OPERATOR, .state = ACCESS_MEMBER, .created_ms = wall_ms, .name = "operator"
    };
    pthread_mutex_lock(&g->lock);
    if (access_find_name(&g->access, e->name, wall_ms))
        access_free_name(&g->access, e->role, e->name);
    bool added = access_add(&g->access, e, NULL) != NULL;
    pthread_mutex_unlock(&g->lock);
    return added;
}

void guard_each(struct guard *g, void (*each)(void *context, const struct access_entry *e, uint64_t refused),
                void *context)
{
    pthread_mutex_lock(&g->lock);
    for (size_t i = 0; i < g->access.count; i++) {
        const struct access_entry *e = g->access.entries[i];
        struct limits_who who;

        memcpy(who.bytes, e->key.bytes, sizeof who.bytes);
        each(context, e, limits_count(&g->limits, &who));
    }
    pthread_mutex_unlock(&g->lock);
}

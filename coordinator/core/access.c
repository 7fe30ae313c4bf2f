#include "coordinator/core/access.h"

#include "common/base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const refusal_texts[REFUSALS] = {
    [REFUSAL_NONE] = "nothing is wrong",
    [REFUSAL_UNKNOWN] = "the key is not known here",
    [REFUSAL_REVOKED] = "the key is revoked",
    [REFUSAL_USED] = "the invite was used already",
    [REFUSAL_EXPIRED] = "the invite has expired",
    [REFUSAL_UNJOINED] = "an invite may only join",
    [REFUSAL_ROLE] = "this role does not allow it",
    [REFUSAL_MALFORMED] = "malformed",
    [REFUSAL_TOO_LARGE] = "the message is too large",
    [REFUSAL_DIGEST] = "the blob is not what its digest says",
    [REFUSAL_RATE] = "too many messages",
    [REFUSAL_IGNORED] = "too much that was malformed",
};

const char *refusal_text(enum refusal r)
{
    return refusal_texts[r];
}

static uint64_t first_bytes(const struct curve_key *key)
{
    uint64_t v;

    memcpy(&v, key->bytes, sizeof v);
    return v;
}

void access_free(struct access *a)
{
    for (size_t i = 0; i < a->count; i++)
        free(a->entries[i]);
    free(a->entries);
    index_free(&a->by_key);
    *a = (struct access){ 0 };
}

struct access_entry *access_find(const struct access *a, const struct curve_key *key)
{
    struct access_entry *e = index_get(&a->by_key, first_bytes(key));

    return e && memcmp(e->key.bytes, key->bytes, CURVE_BYTES) == 0 ? e : NULL;
}

static bool is_open(const struct access_entry *e, int64_t wall_ms)
{
    return e->state == ACCESS_MEMBER || (e->state == ACCESS_INVITED && wall_ms < e->expires_ms);
}

struct access_entry *access_find_name(const struct access *a, const char *name, int64_t wall_ms)
{
    struct curve_key key;

    for (size_t i = 0; i < a->count; i++)
        if (is_open(a->entries[i], wall_ms) && strcmp(a->entries[i]->name, name) == 0)
            return a->entries[i];
    if (!curve_from_text(&key, name))
        return NULL;
    struct access_entry *e = access_find(a, &key);
    return e && is_open(e, wall_ms) ? e : NULL;
}

bool access_name_is_good(const char *name)
{
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    return size > 0 && name[size] == '\0' && size < sizeof((struct access_entry *)NULL)->name;
}

/* The 3 of "worker-3"; 0: it has no such name, or an operator chose one that is out of reach. */
static unsigned number_of(const struct access_entry *e, enum role role)
{
    const char *name = role_name(role);
    size_t size = strlen(name);

    if (strncmp(e->name, name, size) != 0 || e->name[size] != '-')
        return 0;
    const char *digits = e->name + size + 1;
    size_t count = strspn(digits, "0123456789");
    return count > 0 && count <= 9 && !digits[count] ? (unsigned)strtoul(digits, NULL, 10) : 0;
}

/* The entry whose name has the highest number; NULL: none has one. */
static const struct access_entry *last_named(const struct access *a, enum role role)
{
    const struct access_entry *last = NULL;

    for (size_t i = 0; i < a->count; i++)
        if (number_of(a->entries[i], role) > (last ? number_of(last, role) : 0))
            last = a->entries[i];
    return last;
}

void access_free_name(const struct access *a, enum role role, char name[64])
{
    /* Beyond names of the past: a log that says worker-3 means one worker. */
    const struct access_entry *last = last_named(a, role);

    snprintf(name, 64, "%s-%u", role_name(role), (last ? number_of(last, role) : 0) + 1);
}

struct access_entry *access_add(struct access *a, const struct access_entry *e, struct error *err)
{
    if (a->count >= ACCESS_MAX) {
        error_set(err, ERROR_INPUT, "%zu keys are known, which is as many as there can be", a->count);
        return NULL;
    }
    if (index_get(&a->by_key, first_bytes(&e->key))) {
        error_set(err, ERROR_INPUT, "the key of \"%s\" is known already", e->name);
        return NULL;
    }
    if (a->count == a->room) {
        a->room = a->room ? 2 * a->room : 64;
        a->entries = xrealloc(a->entries, a->room * sizeof *a->entries);
    }
    struct access_entry *added = xmalloc(sizeof *added);
    *added = *e;
    a->entries[a->count++] = added;
    index_put(&a->by_key, first_bytes(&e->key), added);
    return added;
}

/* ---- judging ---- */

/* What is wrong with an entry as such. */
static enum refusal standing(const struct access_entry *e, int64_t wall_ms)
{
    if (!e)
        return REFUSAL_UNKNOWN;
    if (e->state == ACCESS_REVOKED)
        return REFUSAL_REVOKED;
    if (e->state == ACCESS_INVITED && wall_ms >= e->expires_ms)
        return REFUSAL_EXPIRED;
    return REFUSAL_NONE;
}

enum refusal access_connect(const struct access *a, const struct curve_key *key, int64_t wall_ms)
{
    return standing(access_find(a, key), wall_ms);
}

static bool role_allows(enum role role, enum access_verb verb)
{
    switch (verb) {
    case ACCESS_LOOK:
        return role == ROLE_VIEWER || role == ROLE_SUBMITTER || role == ROLE_OPERATOR;
    case ACCESS_SUBMIT:
        return role == ROLE_SUBMITTER || role == ROLE_OPERATOR;
    case ACCESS_ADMINISTER:
        return role == ROLE_OPERATOR;
    case ACCESS_WORK:
        return role == ROLE_WORKER;
    case ACCESS_READ_BLOB:
        return role != ROLE_NOBODY;
    case ACCESS_WRITE_BLOB:
        return role == ROLE_SUBMITTER || role == ROLE_OPERATOR || role == ROLE_WORKER;
    case ACCESS_JOIN: /* for invites */
        break;
    }
    return false;
}

enum refusal access_check(const struct access *a, const struct curve_key *key, enum access_verb verb, int64_t wall_ms)
{
    const struct access_entry *e = access_find(a, key);
    enum refusal r = standing(e, wall_ms);

    if (r != REFUSAL_NONE)
        return r;
    if (e->state != ACCESS_MEMBER) /* that an invite was used is for access_join to say: it knows by whom */
        return verb == ACCESS_JOIN ? REFUSAL_NONE : e->state == ACCESS_USED ? REFUSAL_USED : REFUSAL_UNJOINED;
    return role_allows(e->role, verb) ? REFUSAL_NONE : REFUSAL_ROLE;
}

/* ---- changes ---- */

struct access_entry *access_join(struct access *a, const struct curve_key *invite, const struct curve_key *key,
                                 int64_t wall_ms, struct access_entry **used, enum refusal *why)
{
    struct access_entry *i = access_find(a, invite), *member;

    *why = access_check(a, invite, ACCESS_JOIN, wall_ms);
    if (*why != REFUSAL_NONE)
        return NULL;
    member = access_find(a, key);
    if (i->state == ACCESS_USED) {
        bool same = member && member->state == ACCESS_MEMBER && curve_equal(&i->heir, key);

        *used = i;
        *why = same ? REFUSAL_NONE : REFUSAL_USED;
        return same ? member : NULL;
    }
    struct access_entry made = { .key = *key, .role = i->role, .state = ACCESS_MEMBER, .created_ms = wall_ms };
    memcpy(made.name, i->name, sizeof made.name);
    member = curve_is_none(key) ? NULL : access_add(a, &made, NULL);
    if (!member) {
        *why = REFUSAL_MALFORMED; /* no key, or somebody else's */
        return NULL;
    }
    i->state = ACCESS_USED;
    i->heir = *key;
    *used = i;
    return member;
}

bool access_revoke(struct access *a, struct access_entry *e, int64_t wall_ms, struct error *err)
{
    size_t others = 0;

    for (size_t i = 0; i < a->count; i++)
        others += a->entries[i] != e && a->entries[i]->state == ACCESS_MEMBER && a->entries[i]->role == ROLE_OPERATOR;
    if (e->state == ACCESS_MEMBER && e->role == ROLE_OPERATOR && !others)
        return error_set(err, ERROR_INPUT, "\"%s\" is the last operator: invite another one first", e->name);
    e->state = ACCESS_REVOKED;
    e->expires_ms = wall_ms;
    return true;
}

static bool is_old(const struct access_entry *e, int64_t before_ms)
{
    if (e->state == ACCESS_MEMBER || (e->state == ACCESS_REVOKED && e->role == ROLE_OPERATOR))
        return false;
    return e->expires_ms < before_ms;
}

void access_drop_old(struct access *a, int64_t before_ms, access_dropped *dropped, void *context)
{
    const struct access_entry *last[ROLE_WORKER + 1] = { NULL };
    size_t kept = 0;

    for (enum role r = ROLE_VIEWER; r <= ROLE_WORKER; r++)
        last[r] = last_named(a, r);
    for (size_t i = 0; i < a->count; i++) {
        struct access_entry *e = a->entries[i];
        bool stays = !is_old(e, before_ms);

        for (enum role r = ROLE_VIEWER; r <= ROLE_WORKER; r++)
            stays = stays || e == last[r];
        if (stays) {
            a->entries[kept++] = e;
            continue;
        }
        dropped(context, e);
        index_remove(&a->by_key, first_bytes(&e->key));
        free(e);
    }
    a->count = kept;
}

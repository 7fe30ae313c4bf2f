/* rights - what the farm has said of keys, and whether it does what it said. */
#include "tests/sim/oracle.h"

#include "coordinator/api/guard.h"

#include <stdlib.h>
#include <string.h>

static struct right *right_of(const struct oracle *o, const struct curve_key *key)
{
    uint64_t v;

    memcpy(&v, key->bytes, sizeof v);
    return index_get(&o->rights, v);
}

void oracle_joined(struct world *w, const struct curve_key *key, enum role role)
{
    struct oracle *o = w->oracle;
    uint64_t v;

    if (right_of(o, key)) /* told again */
        return;
    if (o->right_count == o->right_room) {
        o->right_room = o->right_room ? 2 * o->right_room : 64;
        o->right_list = xrealloc(o->right_list, o->right_room * sizeof(struct right *));
    }
    struct right *r = o->right_list[o->right_count++] = xcalloc(1, sizeof *r);
    *r = (struct right){ .key = *key, .role = role };
    memcpy(&v, key->bytes, sizeof v);
    index_put(&o->rights, v, r);
}

void oracle_revoking(struct world *w, const struct curve_key *key)
{
    right_of(w->oracle, key)->asked = true;
}

void oracle_revoked(struct world *w, const struct curve_key *key)
{
    right_of(w->oracle, key)->revoked = true;
}

bool oracle_key_revoked(const struct world *w, const struct curve_key *key)
{
    const struct right *r = right_of(w->oracle, key);

    return r && r->revoked;
}

void rights_check(struct world *w, const struct curve_key *key, enum role role, const char *what)
{
    const struct right *r = right_of(w->oracle, key);

    if (curve_is_none(key))
        return;
    if (!r)
        world_break(w, "%s: by a key that never joined", what);
    else if (r->revoked)
        world_break(w, "%s: by a key that was revoked", what);
    else if (r->role != role)
        world_break(w, "%s: by a key for a %s", what, role_name(r->role));
}

/* Nobody is turned away who may come in. */
void rights_check_refused(struct world *w, const struct curve_key *key, const char *reason)
{
    const struct right *r = right_of(w->oracle, key);

    for (enum refusal why = REFUSAL_UNKNOWN; r && !r->asked && why <= REFUSAL_ROLE; why++)
        if (!strcmp(reason, refusal_text(why)))
            world_break(w, "a %s in good standing was refused: %s", role_name(r->role), reason);
}

void rights_check_guard(struct world *w)
{
    const struct oracle *o = w->oracle;

    for (size_t i = 0; i < o->right_count; i++) {
        const struct right *r = o->right_list[i];
        const enum role now = guard_role(w->coordinator.guard, &r->key);

        if (r->revoked ? now != ROLE_NOBODY : now != r->role && !(r->asked && now == ROLE_NOBODY))
            world_break(w, "a key of a %s was %s, and after a restart it is one of %s", role_name(r->role),
                        r->revoked ? "revoked" : "accepted", now == ROLE_NOBODY ? "nobody" : role_name(now));
    }
}

void rights_close(struct oracle *o)
{
    for (size_t i = 0; i < o->right_count; i++)
        free(o->right_list[i]);
    free(o->right_list);
    index_free(&o->rights);
}

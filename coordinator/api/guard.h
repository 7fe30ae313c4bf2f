/* guard - the farm's access list and limits at work: asked at the door (zap.h), at every message of the coordinator's
 * thread, and at every message of the blob thread. Safe to use from all of them; never waits for anything but a short
 * lock. What it refuses is counted, and logged once per peer and reason.
 *
 * A farm on ipc:// has no keys: who can open its sockets may do everything, but the limits hold there too. Where a
 * guard is expected, NULL means such a farm without limits: a simulation, or a test of something else. */
#ifndef SHOTLINE_COORDINATOR_API_GUARD_H
#define SHOTLINE_COORDINATOR_API_GUARD_H

#include "common/wire/endpoint.h"
#include "coordinator/core/access.h"

#define GUARD_MESSAGES_PER_S 5000.0 /* of one peer in one conversation; a blob chunk is a message of 256 KiB */

/* The largest message of each conversation; the socket itself cuts whoever goes beyond WIRE_MAX_MESSAGE. */
#define GUARD_WORKER_BYTES (256u << 10)
#define GUARD_CLIENT_BYTES WIRE_MAX_MESSAGE
#define GUARD_BLOB_BYTES   (512u << 10)

struct guard;
struct guard_options {
    bool keys;                /* false: a farm on ipc:// */
    double messages_per_s;    /* 0: GUARD_MESSAGES_PER_S */
    struct curve_key farm;    /* its public key and address, for those who are invited */
    const char *farm_address; /* borrowed */
};
struct guard *guard_open(const struct guard_options *o);
void guard_close(struct guard **g);

bool guard_has_keys(const struct guard *g);
const struct curve_key *guard_farm_key(const struct guard *g);
const char *guard_farm_address(const struct guard *g);

/* ---- judging; false: refused, counted and logged, and *why is a sentence for the peer or NULL where it gets no
 * answer (a flood is not answered) ---- */

/* A zap_judge. */
bool guard_connects(void *guard, const struct curve_key *key, const char *address);
/* Before a message is looked at. */
bool guard_hears(struct guard *g, enum conversation c, const struct message *m, int64_t now_ms, const char **why);
/* When it is clear what it asks for. */
bool guard_allows(struct guard *g, enum conversation c, const struct message *m, enum access_verb verb, int64_t now_ms,
                  const char **why);
/* Notes what the caller has found wrong itself: REFUSAL_MALFORMED, REFUSAL_DIGEST or REFUSAL_ROLE. */
void guard_refused(struct guard *g, enum conversation c, const struct message *m, enum refusal r, const char *what,
                   int64_t now_ms);
/* What the bearer of a key is; on a farm without keys everybody is its operator. */
enum role guard_role(struct guard *g, const struct curve_key *key);

/* ---- changes: the caller saves the entries that they give back ---- */

void guard_restore(struct guard *g, const struct access_entry *e); /* from the store */
/* Invites `key`; an empty name is filled. Asked again with the same key, the same answer. */
bool guard_invite(struct guard *g, struct access_entry *e, int64_t wall_ms, struct error *err);
bool guard_join(struct guard *g, const struct curve_key *invite, const struct curve_key *key, int64_t wall_ms,
                struct access_entry *member, struct access_entry *used, enum refusal *why);
/* By name, or key as text. From now on its messages are refused. */
bool guard_revoke(struct guard *g, const char *name, int64_t wall_ms, struct access_entry *e, struct error *err);
/* See access_drop_old; `dropped` must not call the guard. */
void guard_drop_old(struct guard *g, int64_t before_ms, access_dropped *dropped, void *context);
/* Makes the bearer of `key` an operator, if the key is not known at all: false when it was, or cannot be. */
bool guard_first_operator(struct guard *g, const struct curve_key *key, int64_t wall_ms, struct access_entry *e);

/* Calls `each` for every entry, with the number of its refused messages. `each` must not call the guard. */
void guard_each(struct guard *g, void (*each)(void *context, const struct access_entry *e, uint64_t refused),
                void *context);

#endif

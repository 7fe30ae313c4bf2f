/* access - whose keys the farm knows and what their bearers may do. Pure: no socket, file or lock; wall_ms is an
 * argument. guard.h puts it to work. */
#ifndef SHOTLINE_COORDINATOR_CORE_ACCESS_H
#define SHOTLINE_COORDINATOR_CORE_ACCESS_H

#include "common/base/credential.h"
#include "coordinator/core/index.h"

#define ACCESS_MAX 20000 /* entries, those that are over included */

/* The numbers are stored. */
enum access_state {
    ACCESS_INVITED = 1, /* an invite: its bearer may join once, until expires_ms */
    ACCESS_USED = 2,    /* an invite that somebody has joined with */
    ACCESS_MEMBER = 3,
    ACCESS_REVOKED = 4,
};

struct access_entry {
    struct curve_key key;
    char name[64]; /* unique among invites and members */
    enum role role;
    enum access_state state;
    int64_t created_ms;    /* wall clock, as all of these */
    int64_t expires_ms;    /* of invites; of what is revoked, when that was */
    struct curve_key heir; /* of a used invite: the key that joined */
};

struct access { /* zero-initialised means empty and ready */
    struct access_entry **entries;
    size_t count, room;
    struct index by_key; /* by the first bytes: no two entries have the same ones */
};
void access_free(struct access *a);

/* What a message may ask for. */
enum access_verb {
    ACCESS_JOIN,
    ACCESS_LOOK,       /* status, workers, what has happened */
    ACCESS_SUBMIT,     /* submit, plan, cancel what is one's own */
    ACCESS_ADMINISTER, /* all the rest that clients ask for */
    ACCESS_WORK,       /* the workers' conversation */
    ACCESS_READ_BLOB,
    ACCESS_WRITE_BLOB,
};

/* Why somebody is refused; also what limits.h finds. */
enum refusal {
    REFUSAL_NONE,
    REFUSAL_UNKNOWN,   /* a key that nobody has invited, or none */
    REFUSAL_REVOKED,   /* no longer */
    REFUSAL_USED,      /* an invite for the second time */
    REFUSAL_EXPIRED,   /* an invite too late */
    REFUSAL_UNJOINED,  /* an invite that is used for more than to join */
    REFUSAL_ROLE,      /* not in this role */
    REFUSAL_MALFORMED, /* no message at all */
    REFUSAL_TOO_LARGE,
    REFUSAL_DIGEST,  /* a blob that is not what its name says */
    REFUSAL_RATE,    /* too many messages */
    REFUSAL_IGNORED, /* it has sent too much of what is malformed */
    REFUSALS
};
const char *refusal_text(enum refusal r); /* "the key is revoked" */

/* Adds what the store or an operator says. NULL with *err when the name or key is taken, or the list is full. */
struct access_entry *access_add(struct access *a, const struct access_entry *e, struct error *err);
struct access_entry *access_find(const struct access *a, const struct curve_key *key);
/* The member or open invite of this name, or of the key that is written so. */
struct access_entry *access_find_name(const struct access *a, const char *name, int64_t wall_ms);

/* [A-Za-z0-9._-], 1 to 63 of them. */
bool access_name_is_good(const char *name);
/* Makes a name that was never made before: "worker-3". */
void access_free_name(const struct access *a, enum role role, char name[64]);

/* Whether this key may connect at all. Invites may, used ones too: they are told that they come too late. */
enum refusal access_connect(const struct access *a, const struct curve_key *key, int64_t wall_ms);
/* Whether it may ask for that. */
enum refusal access_check(const struct access *a, const struct curve_key *key, enum access_verb verb, int64_t wall_ms);

/* An invite becomes a member with a key of its own; the member's entry, and *used is the invite's. Asked again with the
 * same key, the same answer. NULL: *why tells. */
struct access_entry *access_join(struct access *a, const struct curve_key *invite, const struct curve_key *key,
                                 int64_t wall_ms, struct access_entry **used, enum refusal *why);

/* A member or invite may no longer do anything. False with *err when it is the last operator. */
bool access_revoke(struct access *a, struct access_entry *e, int64_t wall_ms, struct error *err);

/* Forgets what has been over since before this time: invites that expired, used or not, and keys that were revoked. Who
 * comes with one is refused all the same, as a stranger, and needs a new invite like any other. Two sorts stay:
 * operators that were revoked, since the key of the coordinator's machine is made an operator where it is not known at
 * all; and of the names that access_free_name made for a role the last one, so that none is made twice. Calls `dropped`
 * for each. */
typedef void access_dropped(void *context, const struct access_entry *e);
void access_drop_old(struct access *a, int64_t before_ms, access_dropped *dropped, void *context);

#endif

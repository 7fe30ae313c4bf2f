/* credential - what lets somebody into a farm: where it is, its public key, and a pair of keys that it knows.
 *
 * Kept in a file that only its owner can read. As text it is a join line, whose pair may be used once, to have a pair
 * of one's own accepted. */
#ifndef SHOTLINE_BASE_CREDENTIAL_H
#define SHOTLINE_BASE_CREDENTIAL_H

#include "common/base/curve.h"
#include "common/base/error.h"

#define CREDENTIAL_LINE_ROOM 400

/* What the bearer of a key may do. The numbers are stored and sent. */
enum role {
    ROLE_NOBODY,
    ROLE_VIEWER = 1,    /* look: status, plans, videos */
    ROLE_SUBMITTER = 2, /* and submit campaigns, and cancel those */
    ROLE_OPERATOR = 3,  /* everything that a client can ask for */
    ROLE_WORKER = 4,    /* work, and nothing else */
};
const char *role_name(enum role r);
enum role role_from_name(const char *name); /* ROLE_NOBODY: there is none of this name */

struct credential {
    char farm[256]; /* base address */
    char name[64];  /* by which the farm knows the bearer; a join line has none */
    enum role role;
    struct curve_key farm_key;
    struct curve_pair own;
    struct curve_key invite; /* public key of the line that it came from; none where there was no line */
};

bool credential_save(const struct credential *c, const char *path, struct error *err);
bool credential_load(struct credential *c, const char *path, struct error *err);

/* tcp://HOST:PORT/ROLE/KEYS: nothing that needs quotes in a shell, IPv6 brackets aside. False when it does not fit. */
bool credential_line(const struct credential *c, char line[CREDENTIAL_LINE_ROOM]);
/* A line that was cut off or mistyped is ERROR_USAGE. The line itself is never in the error: it is a secret. */
bool credential_from_line(struct credential *c, const char *line, struct error *err);

#endif

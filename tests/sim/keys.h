/* keys - who bears which key, for those who use them and those who misuse them. */
#ifndef SHOTLINE_TESTS_SIM_KEYS_H
#define SHOTLINE_TESTS_SIM_KEYS_H

#include "proto/client.pb-c.h"
#include "tests/sim/world.h"

#define INVITE_MS (INT64_C(80) * 24 * 3600 * 1000) /* whatever the farm's wall clock does */

enum stage { STAGE_OUTSIDE, STAGE_INVITED, STAGE_MEMBER, STAGE_REVOKED };

/* Somebody who needs a key. */
struct bearer {
    enum role role;
    enum stage stage;
    uint32_t generation;  /* of the key that it has, or is about to get */
    uint32_t used;        /* of the one that it speaks with: the last that was accepted */
    struct curve_key key; /* that one */
    bool revoking;        /* an operator has asked for its revocation, and may not have heard yet */
    bool short_lived;     /* its invite: may be too late */
    uint64_t walk;        /* of its next step: one that was scheduled earlier means nothing */
};

struct keys {
    struct bearer *bearers; /* the workers, then the clients */
    uint32_t count;
    uint64_t sequence, trespasses;
};

/* The key that is called so: the same whenever it is made. */
struct curve_key keys_make(const char *what, uint32_t bearer, uint32_t generation);
struct curve_key keys_own(const struct world *w, uint32_t bearer);
/* A client's message, from the peer's connection under this key. */
void keys_speak(struct world *w, uint32_t peer, uint32_t connection, const struct curve_key *key, uint32_t bearer,
                Shotline__ToFarm *m);

void trespass_open(struct world *w);

#endif

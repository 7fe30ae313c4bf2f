/* keyring - the farm's own secrets, in STATE/keys, which only its user can enter: farm.key, by which everybody knows
 * this farm, and operator.json, the credential of whoever may read it. Both are made at the first start. */
#ifndef SHOTLINE_COORDINATOR_API_KEYRING_H
#define SHOTLINE_COORDINATOR_API_KEYRING_H

#include "common/base/credential.h"

struct keyring {
    struct curve_pair farm;
    struct credential local_operator;
};

/* address: by which others reach the farm. Refused when anybody else can read a key. */
bool keyring_open(struct keyring *k, const char *state, const char *address, struct error *err);

/* What others reach a listening address by: itself, or this machine's name where it listens on all interfaces. */
bool keyring_address(const char *listen, char *to, size_t room, struct error *err);

#endif

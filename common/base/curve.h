/* curve - the keys of peers: X25519 pairs, as ZeroMQ's CURVE uses them, and their text. */
#ifndef SHOTLINE_BASE_CURVE_H
#define SHOTLINE_BASE_CURVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CURVE_BYTES     32
#define CURVE_TEXT_ROOM 44 /* base64url, which needs no quotes in a shell: 43 characters */

struct curve_key { /* public or secret; all zero: none */
    uint8_t bytes[CURVE_BYTES];
};
struct curve_pair {
    struct curve_key public, secret;
};

struct curve_pair curve_pair_new(void);
struct curve_pair curve_pair_of(const struct curve_key *secret);

bool curve_equal(const struct curve_key *a, const struct curve_key *b); /* in constant time */
bool curve_is_none(const struct curve_key *k);

void curve_text(const struct curve_key *k, char text[CURVE_TEXT_ROOM]);
bool curve_from_text(struct curve_key *k, const char *text); /* exactly what curve_text writes */

/* Overwrites a secret that is no longer needed. */
void curve_forget(struct curve_pair *p);

#endif

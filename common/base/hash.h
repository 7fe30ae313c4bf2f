/* hash - BLAKE2b-256 digests: the names of blobs, tasks and packs (libsodium). */
#ifndef SHOTLINE_BASE_HASH_H
#define SHOTLINE_BASE_HASH_H

#include "common/base/error.h"

#include <sodium.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_BYTES    32
#define DIGEST_HEX_ROOM 65

struct digest {
    uint8_t bytes[DIGEST_BYTES];
};

struct hash {
    crypto_generichash_state state;
};

void hash_begin(struct hash *h);
void hash_bytes(struct hash *h, const void *data, size_t size);
/* Fields of a key: each carries its length, so that no two field lists give the same bytes. */
void hash_text(struct hash *h, const char *text);
void hash_u64(struct hash *h, uint64_t v); /* little-endian */
void hash_digest(struct hash *h, const struct digest *d);
struct digest hash_end(struct hash *h);

struct digest digest_of(const void *data, size_t size);
bool digest_of_file(struct digest *d, const char *path, struct error *err);
bool digest_equal(const struct digest *a, const struct digest *b);
int digest_compare(const struct digest *a, const struct digest *b);
void digest_hex(const struct digest *d, char hex[DIGEST_HEX_ROOM]);
bool digest_from_hex(struct digest *d, const char *hex); /* exactly 64 lower-case hex digits */

#endif

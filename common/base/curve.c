#include "common/base/curve.h"

#include "common/base/hash.h" /* libsodium */

#include <stdlib.h>
#include <string.h>

static void prepare(void)
{
    if (sodium_init() < 0)
        abort(); /* no source of randomness: nothing may be encrypted on such a machine */
}

struct curve_pair curve_pair_new(void)
{
    struct curve_pair p;

    prepare();
    crypto_box_keypair(p.public.bytes, p.secret.bytes);
    return p;
}

struct curve_pair curve_pair_of(const struct curve_key *secret)
{
    struct curve_pair p = { .secret = *secret };

    prepare();
    crypto_scalarmult_base(p.public.bytes, secret->bytes);
    return p;
}

bool curve_equal(const struct curve_key *a, const struct curve_key *b)
{
    return sodium_memcmp(a->bytes, b->bytes, CURVE_BYTES) == 0;
}

bool curve_is_none(const struct curve_key *k)
{
    return sodium_is_zero(k->bytes, CURVE_BYTES);
}

void curve_text(const struct curve_key *k, char text[CURVE_TEXT_ROOM])
{
    sodium_bin2base64(text, CURVE_TEXT_ROOM, k->bytes, CURVE_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

bool curve_from_text(struct curve_key *k, const char *text)
{
    struct curve_key read;
    size_t size;

    if (strnlen(text, CURVE_TEXT_ROOM) != CURVE_TEXT_ROOM - 1 ||
        sodium_base642bin(read.bytes, CURVE_BYTES, text, CURVE_TEXT_ROOM - 1, NULL, &size, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        size != CURVE_BYTES)
        return false;
    *k = read;
    return true;
}

void curve_forget(struct curve_pair *p)
{
    sodium_memzero(p, sizeof *p);
}

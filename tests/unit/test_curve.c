/* Keys and their text. */
#include "common/base/curve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void pairs_differ_and_belong_together(void **state)
{
    const struct curve_pair a = curve_pair_new(), b = curve_pair_new();
    const struct curve_pair again = curve_pair_of(&a.secret);

    (void)state;
    assert_false(curve_equal(&a.public, &b.public));
    assert_false(curve_equal(&a.secret, &b.secret));
    assert_false(curve_is_none(&a.public));
    assert_true(curve_equal(&again.public, &a.public));
    assert_true(curve_is_none(&(struct curve_key){ { 0 } }));
}

/* RFC 7748, section 6.1: Alice's pair. */
static void a_public_key_follows_from_its_secret(void **state)
{
    const struct curve_key secret = { { 0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1,
                                        0x72, 0x51, 0xb2, 0x66, 0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0,
                                        0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a } };
    const struct curve_key public = { { 0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54, 0x74, 0x8b, 0x7d,
                                        0xdc, 0xb4, 0x3e, 0xf7, 0x5a, 0x0d, 0xbf, 0x3a, 0x0d, 0x26, 0x38,
                                        0x1a, 0xf4, 0xeb, 0xa4, 0xa9, 0x8e, 0xaa, 0x9b, 0x4e, 0x6a } };
    const struct curve_pair p = curve_pair_of(&secret);

    (void)state;
    assert_true(curve_equal(&p.public, &public));
}

static void text_goes_both_ways(void **state)
{
    const struct curve_pair p = curve_pair_new();
    char text[CURVE_TEXT_ROOM];
    struct curve_key k;

    (void)state;
    curve_text(&p.public, text);
    assert_int_equal(strlen(text), 43);
    assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 43);
    assert_true(curve_from_text(&k, text));
    assert_true(curve_equal(&k, &p.public));
}

static void other_texts_are_no_keys(void **state)
{
    struct curve_key k = { { 7 } };
    char text[CURVE_TEXT_ROOM + 1];

    (void)state;
    curve_text(&k, text);
    memset(k.bytes, 9, sizeof k.bytes);
    text[20] = '+'; /* of the other alphabet */
    assert_false(curve_from_text(&k, text));
    text[20] = '\0';
    assert_false(curve_from_text(&k, text));
    assert_false(curve_from_text(&k, ""));
    memset(text, 'A', CURVE_TEXT_ROOM); /* one too many */
    text[CURVE_TEXT_ROOM] = '\0';
    assert_false(curve_from_text(&k, text));
    text[CURVE_TEXT_ROOM - 1] = '\0';
    text[CURVE_TEXT_ROOM - 2] = 'B'; /* bits beyond the last byte */
    assert_false(curve_from_text(&k, text));
    assert_int_equal(k.bytes[0], 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_differ_and_belong_together),
        cmocka_unit_test(a_public_key_follows_from_its_secret),
        cmocka_unit_test(text_goes_both_ways),
        cmocka_unit_test(other_texts_are_no_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

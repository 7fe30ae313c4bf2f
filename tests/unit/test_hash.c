#include "common/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* BLAKE2b-256 of "" and "abc", from another implementation (Python's hashlib). */
static void known_answers(void **state)
{
    (void)state;
    char hex[DIGEST_HEX_ROOM];
    struct digest d = digest_of("", 0);
    digest_hex(&d, hex);
    assert_string_equal(hex, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    d = digest_of("abc", 3);
    digest_hex(&d, hex);
    assert_string_equal(hex, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");

    struct hash h;
    hash_begin(&h);
    hash_bytes(&h, "a", 1);
    hash_bytes(&h, "", 0);
    hash_bytes(&h, "bc", 2);
    struct digest parts = hash_end(&h);
    assert_true(digest_equal(&d, &parts));
}

static struct digest fields(const char *a, const char *b)
{
    struct hash h;
    hash_begin(&h);
    hash_text(&h, a);
    hash_text(&h, b);
    return hash_end(&h);
}

/* Moving a character from one field to the next changes the digest; so does a number in the place of its text. */
static void fields_do_not_run_together(void **state)
{
    (void)state;
    struct digest one = fields("ab", "c"), two = fields("a", "bc");
    assert_false(digest_equal(&one, &two));
    struct hash h;
    hash_begin(&h);
    hash_u64(&h, 0x6162636465666768u);
    struct digest number = hash_end(&h);
    hash_begin(&h);
    hash_text(&h, "hgfedcba");
    struct digest text = hash_end(&h);
    assert_false(digest_equal(&number, &text));
}

static void hex_goes_both_ways(void **state)
{
    (void)state;
    struct digest d = digest_of("abc", 3), back;
    char hex[DIGEST_HEX_ROOM];
    digest_hex(&d, hex);
    assert_true(digest_from_hex(&back, hex));
    assert_int_equal(digest_compare(&d, &back), 0);
    hex[5] = 'G';
    assert_false(digest_from_hex(&back, hex));
    digest_hex(&d, hex);
    hex[0] = 'A';
    assert_false(digest_from_hex(&back, hex)); /* lower case only: one digest has one name */
    hex[63] = '\0';
    assert_false(digest_from_hex(&back, hex));
    assert_false(digest_from_hex(&back, ""));
}

static void file_digest_is_the_digest_of_its_bytes(void **state)
{
    (void)state;
    struct digest file, bytes;
    struct error err = { 0 };
    char name[] = "/tmp/shotline-test-hash-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    struct hash h;
    hash_begin(&h);
    for (int i = 0; i < 300000; i++) {
        fprintf(f, "%07d\n", i);
        char line[16];
        snprintf(line, sizeof line, "%07d\n", i);
        hash_bytes(&h, line, 8);
    }
    fclose(f);
    bytes = hash_end(&h);
    assert_true(digest_of_file(&file, name, &err));
    remove(name);
    assert_true(digest_equal(&file, &bytes));
    assert_false(digest_of_file(&file, name, &err));
    assert_non_null(strstr(err.text, name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(fields_do_not_run_together),
        cmocka_unit_test(hex_goes_both_ways),
        cmocka_unit_test(file_digest_is_the_digest_of_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

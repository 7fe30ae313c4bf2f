#include "common/base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void grows_and_stays_terminated(void **state)
{
    (void)state;
    struct str s = { 0 };
    assert_string_equal(str_text(&s), "");
    for (int i = 0; i < 1000; i++)
        str_printf(&s, "%d,", i % 10);
    assert_int_equal(s.size, 2000);
    assert_int_equal(strlen(s.data), 2000);
    str_clear(&s);
    str_append(&s, "ab");
    str_append_char(&s, 'c');
    str_append_bytes(&s, "d\0e", 3);
    assert_int_equal(s.size, 6);
    assert_memory_equal(s.data, "abcd\0e", 7);
    str_free(&s);
    assert_null(s.data);
}

static void prefixes_and_suffixes(void **state)
{
    (void)state;
    assert_true(str_starts("shotline", "shot"));
    assert_false(str_starts("sho", "shot"));
    assert_true(str_ends("a.mp4", ".mp4"));
    assert_false(str_ends("mp4", ".mp4"));
    assert_true(str_ends("", ""));
}

static void copy_tells_when_it_cuts(void **state)
{
    (void)state;
    char to[4];
    assert_true(str_copy(to, sizeof to, "abc"));
    assert_string_equal(to, "abc");
    assert_false(str_copy(to, sizeof to, "wxyz"));
    assert_string_equal(to, "wxy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_stays_terminated),
        cmocka_unit_test(prefixes_and_suffixes),
        cmocka_unit_test(copy_tells_when_it_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

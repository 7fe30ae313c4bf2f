/* links: shotline_client */
#include "client/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct target read_ok(const char *text)
{
    struct target t;
    struct error err;

    if (!target_read(&t, text, true, &err))
        fail_msg("%s", err.text);
    return t;
}

static void each_kind_has_its_form(void **state)
{
    (void)state;
    assert_int_equal(read_ok("3").kind, TARGET_CAMPAIGN);
    assert_int_equal(read_ok("3").campaign, 3);
    assert_int_equal(read_ok("3/beach/x").kind, TARGET_VIDEO);
    assert_string_equal(read_ok("3/beach/x").name, "beach/x");
    assert_int_equal(read_ok("t17").kind, TARGET_TASK);
    assert_int_equal(read_ok("t17").task, 17);
    assert_int_equal(read_ok("w2").kind, TARGET_WORKER);
    assert_string_equal(read_ok("w2").name, "2");
    assert_string_equal(read_ok("here-0").name, "here-0");
    assert_string_equal(read_ok("tina").name, "tina");
}

static void other_texts_are_misuse(void **state)
{
    static const char *const bad[] = { "", "here-0", "3/", "t", "17x", "-3", "99999999999999999999" };
    struct target t;
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(target_read(&t, bad[i], false, &err));
        assert_int_equal(err.kind, ERROR_USAGE);
    }
    assert_false(target_read(&t, "", true, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_has_its_form),
        cmocka_unit_test(other_texts_are_misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

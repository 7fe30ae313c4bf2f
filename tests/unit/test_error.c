#include "common/base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

/* The context comes first and the kind stays. */
static void wrap_puts_context_in_front(void **state)
{
    (void)state;
    struct error err = { 0 };
    assert_false(error_set(&err, ERROR_INPUT, "blocks.%d is %s", 3, "f32"));
    assert_false(error_wrap(&err, "weights %s", "dit.safetensors"));
    assert_string_equal(err.text, "weights dit.safetensors: blocks.3 is f32");
    assert_int_equal(err.kind, ERROR_INPUT);
}

/* An argument may be the old text itself. */
static void set_may_quote_its_own_text(void **state)
{
    (void)state;
    struct error err = { 0 };
    error_set(&err, ERROR_IO, "inner");
    error_set(&err, ERROR_INTERNAL, "outer (%s)", err.text);
    assert_string_equal(err.text, "outer (inner)");
}

/* Too much context is cut at the end, whatever the lengths, and stays a string. */
static void long_texts_are_cut(void **state)
{
    (void)state;
    char context[sizeof((struct error *)0)->text + 8];
    for (size_t n = 0; n < sizeof context; n++) {
        memset(context, 'c', sizeof context);
        context[n < sizeof context ? n : 0] = '\0';
        struct error err = { 0 };
        error_set(&err, ERROR_IO, "%s", "a text of some length that is to be wrapped");
        error_wrap(&err, "%s", context);
        assert_true(strnlen(err.text, sizeof err.text) < sizeof err.text);
        assert_true(strncmp(err.text, context, n < 511 ? n : 511) == 0);
    }
}

static void null_error_is_allowed(void **state)
{
    (void)state;
    assert_false(error_set(NULL, ERROR_IO, "x"));
    assert_false(error_wrap(NULL, "x"));
}

static void misuse_exits_with_2(void **state)
{
    (void)state;
    assert_int_equal(error_exit_code(&(struct error){ .kind = ERROR_NONE }), 0);
    assert_int_equal(error_exit_code(&(struct error){ .kind = ERROR_USAGE }), 2);
    assert_int_equal(error_exit_code(&(struct error){ .kind = ERROR_IO }), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrap_puts_context_in_front), cmocka_unit_test(set_may_quote_its_own_text),
        cmocka_unit_test(long_texts_are_cut),         cmocka_unit_test(null_error_is_allowed),
        cmocka_unit_test(misuse_exits_with_2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

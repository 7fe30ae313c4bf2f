#include "common/base/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static struct config *parse(const char *text)
{
    struct error err = { 0 };
    struct config *c = config_parse(text, "t.cfg", &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

static void values_are_read_by_type(void **state)
{
    (void)state;
    struct config *c = parse("# comment 99999999999999999999\n"
                             "t = \"99999999999999999999 \\\" @include\"; i = 5; n = 2.5e0;\n"
                             "b = true; g = { x-2 = 1; }; // 77777777777777777777\n"
                             "l = ( { a = 1; }, 2, \"three\" ); /* 88888888888888888888 */ a = [ 1, 2 ];\n");
    struct error err = { 0 };
    const struct config_node *root = config_root(c);
    const char *text;
    int64_t i;
    double n;
    assert_true(config_text(config_get(root, "t"), &text, &err));
    assert_string_equal(text, "99999999999999999999 \" @include");
    assert_true(config_int(config_get(root, "i"), 0, 10, &i, &err));
    assert_int_equal(i, 5);
    assert_true(config_number(config_get(root, "n"), 0, 10, &n, &err));
    assert_true(n == 2.5);
    assert_true(config_number(config_get(root, "i"), 0, 10, &n, &err));
    assert_true(n == 5);
    assert_true(config_is_group(config_get(root, "g")));
    assert_true(config_is_list(config_get(root, "l")));
    assert_true(config_is_list(config_get(root, "a")));
    assert_int_equal(config_count(config_get(root, "l")), 3);
    assert_int_equal(config_count(config_get(root, "i")), 0);
    assert_null(config_get(root, "none"));
    assert_null(config_get(config_get(root, "i"), "x"));
    assert_null(config_at(config_get(root, "l"), 3));
    assert_string_equal(config_name(config_at(config_get(root, "g"), 0)), "x-2");
    assert_null(config_name(config_at(config_get(root, "l"), 0)));
    assert_int_equal(config_line(config_get(root, "b")), 3);
    config_close(&c);
    assert_null(c);
}

/* libconfig would wrap them: what needs 64 bits is kept whole. */
static void large_integers_do_not_wrap(void **state)
{
    (void)state;
    struct config *c =
        parse("a = 5000000000; b = -2147483649; c = 2147483647; d = 0xffffffff; e = 9223372036854775807;\n"
              "f = 7L; g = 0x7fffffffffffffff; h = 5000000000L; s = \"18446744073709551615\";\n"
              "x = \"0xFFFFFFFFFFFFFFFF\"; neg = -1;");
    static const struct {
        const char *key;
        int64_t value;
    } cases[] = { { "a", 5000000000 }, { "b", -2147483649 }, { "c", 2147483647 }, { "d", 0xffffffff },
                  { "e", INT64_MAX },  { "f", 7 },           { "g", INT64_MAX },  { "h", 5000000000 } };
    struct error err = { 0 };
    const struct config_node *root = config_root(c);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t v = 0;
        if (!config_int(config_get(root, cases[i].key), INT64_MIN, INT64_MAX, &v, &err))
            fail_msg("%s", err.text);
        assert_true(v == cases[i].value);
    }
    uint64_t u = 0;
    assert_true(config_uint64(config_get(root, "s"), &u, &err));
    assert_true(u == UINT64_MAX);
    assert_true(config_uint64(config_get(root, "x"), &u, &err));
    assert_true(u == UINT64_MAX);
    assert_true(config_uint64(config_get(root, "a"), &u, &err));
    assert_true(u == 5000000000);
    assert_false(config_uint64(config_get(root, "neg"), &u, &err));
    config_close(&c);
}

/* Every refusal names file, line, key, what was expected and what was found. */
static void bad_text_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        { "a = 1;\nb = 9223372036854775808;", "t.cfg:2: 9223372036854775808: expected an integer of at most 64 bits" },
        { "a = -99999999999999999999;", "t.cfg:1: -99999999999999999999: expected" },
        { "a = 0x1ffffffffffffffff;", "t.cfg:1: 0x1ffffffffffffffff: expected" },
        { "a = 99999999999999999999L;", "t.cfg:1: 99999999999999999999: expected" },
        { "a = 1;\n  @include \"/etc/passwd\"\n", "t.cfg:2: @include is not allowed" },
        { "@include \"x\"", "t.cfg:1: @include is not allowed" },
        { "/* c\n c */ a = 1;\n\nb = ;", "t.cfg:4: syntax error" },
        { "a = \"two\nlines\";\nb = {", "t.cfg:3: syntax error" },
        { "a = 1;\na = 2;", "t.cfg:2: duplicate setting name" },
        { "b = 1;\na = \"open", "t.cfg:2: a text begins here whose closing quote is missing" },
        { "a = \"open\\\"", "t.cfg:1: a text begins here whose closing quote is missing" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = { 0 };
        assert_null(config_parse(cases[i].text, "t.cfg", &err));
        assert_int_equal(err.kind, ERROR_INPUT);
        if (strncmp(err.text, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("\"%s\" does not start with \"%s\"", err.text, cases[i].message);
    }
}

static void wrong_values_are_refused_with_their_place(void **state)
{
    (void)state;
    struct config *c =
        parse("i = 5;\nt = \"x\";\nl = ( { p = 1.5; },\n { q = true; } );\ns = \"12x\"; e = \"\"; m = \"-1\";");
    const struct config_node *root = config_root(c);
    struct error err = { 0 };
    const char *text;
    int64_t i;
    uint64_t u;
    double n;
    assert_false(config_text(config_get(root, "i"), &text, &err));
    assert_string_equal(err.text, "t.cfg:1: i: expected text in quotes, found an integer");
    assert_false(config_int(config_get(root, "i"), 6, 9, &i, &err));
    assert_string_equal(err.text, "t.cfg:1: i: expected an integer from 6 to 9, found 5");
    assert_false(config_int(config_get(root, "t"), 6, 9, &i, &err));
    assert_string_equal(err.text, "t.cfg:2: t: expected an integer, found text");
    const struct config_node *p = config_get(config_at(config_get(root, "l"), 0), "p");
    assert_false(config_int(p, 0, 9, &i, &err));
    assert_string_equal(err.text, "t.cfg:3: l[0].p: expected an integer, found a number with a point");
    assert_false(config_number(p, 2, 3, &n, &err));
    assert_string_equal(err.text, "t.cfg:3: l[0].p: expected a number from 2 to 3, found 1.5");
    const struct config_node *q = config_get(config_at(config_get(root, "l"), 1), "q");
    assert_false(config_number(q, 2, 3, &n, &err));
    assert_string_equal(err.text, "t.cfg:4: l[1].q: expected a number, found true or false");
    assert_false(config_uint64(config_get(root, "s"), &u, &err));
    assert_non_null(strstr(err.text, "found \"12x\""));
    assert_false(config_uint64(config_get(root, "e"), &u, &err));
    assert_false(config_uint64(config_get(root, "m"), &u, &err));
    assert_false(config_only_keys(config_at(config_get(root, "l"), 1), (const char *const[]){ "a", "b", NULL }, &err));
    assert_string_equal(err.text, "t.cfg:4: l[1].q: unknown key; expected one of: a, b");
    assert_false(config_only_keys(config_get(root, "i"), (const char *const[]){ "a", NULL }, &err));
    assert_true(config_only_keys(config_at(config_get(root, "l"), 1), (const char *const[]){ "a", "q", NULL }, &err));
    assert_false(config_fail(root, &err, "nothing to do"));
    assert_non_null(strstr(err.text, "nothing to do"));
    config_close(&c);
}

static void missing_file_is_named(void **state)
{
    (void)state;
    struct error err = { 0 };
    assert_null(config_open("/no/such.cfg", &err));
    assert_non_null(strstr(err.text, "/no/such.cfg: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read_by_type),
        cmocka_unit_test(large_integers_do_not_wrap),
        cmocka_unit_test(bad_text_is_refused_with_its_line),
        cmocka_unit_test(wrong_values_are_refused_with_their_place),
        cmocka_unit_test(missing_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

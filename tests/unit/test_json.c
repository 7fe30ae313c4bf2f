#include "common/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static json_t *parse(const char *text)
{
    struct error err = { 0 };
    json_t *v = json_parse(text, strlen(text), "test.json", &err);
    assert_non_null(v);
    return v;
}

static void fields_are_read_by_type(void **state)
{
    (void)state;
    json_t *v = parse("{\"i\": 7, \"n\": 2.5, \"b\": true, \"t\": \"text\", \"o\": {}, \"a\": [1], \"z\": null}");
    struct error err = { 0 };
    struct json_reader r = { .where = "test.json", .err = &err };
    assert_int_equal(json_int(&r, v, "i", 0, 10), 7);
    assert_true(json_number(&r, v, "n") == 2.5);
    assert_true(json_number(&r, v, "i") == 7);
    assert_true(json_bool_or(&r, v, "b", false));
    assert_string_equal(json_text(&r, v, "t"), "text");
    assert_non_null(json_group(&r, v, "o"));
    assert_int_equal(json_array_size(json_list(&r, v, "a")), 1);
    assert_int_equal(json_int_or(&r, v, "z", 0, 10, 4), 4);
    assert_int_equal(json_int_or(&r, v, "absent", 0, 10, 5), 5);
    assert_string_equal(json_text_or(&r, v, "absent", "d"), "d");
    assert_true(json_bool_or(&r, v, "absent", true));
    assert_true(json_number_or(&r, v, "absent", 1.5) == 1.5);
    assert_false(r.failed);
    json_decref(v);
}

/* Each bad field gives its own message, and only the first one is kept. */
static void bad_fields_are_named(void **state)
{
    (void)state;
    json_t *v = parse("{\"i\": 70, \"t\": 3, \"z\": null}");
    struct error err = { 0 };
    struct json_reader r = { .where = "test.json", .err = &err };
    json_int(&r, v, "i", 0, 10);
    assert_string_equal(err.text, "test.json: i: expected an integer from 0 to 10, found 70");
    assert_string_equal(json_text(&r, v, "t"), "");
    assert_non_null(strstr(err.text, "found 70"));
    assert_null(json_group(&r, v, "i"));

    r = (struct json_reader){ .where = "test.json", .err = &err };
    json_text_or(&r, v, "t", "x");
    assert_string_equal(err.text, "test.json: t: expected text, found an integer");
    r = (struct json_reader){ .where = "test.json", .err = &err };
    json_int(&r, v, "missing", 0, 1);
    assert_string_equal(err.text, "test.json: missing: is missing");
    r = (struct json_reader){ .where = "test.json", .err = &err };
    json_bool_or(&r, v, "t", false);
    assert_string_equal(err.text, "test.json: t: expected true or false, found an integer");
    r = (struct json_reader){ .where = "test.json", .err = &err };
    assert_false(json_only_keys(&r, v, (const char *const[]){ "i", "t", NULL }));
    assert_string_equal(err.text, "test.json: z: unknown key");
    json_decref(v);
}

/* Text that is no JSON is refused with its place, duplicates included. */
static void bad_text_is_placed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "{", "{\"a\": 1,\n \"a\": 2}", "{\"a\": 1} x", "[1, 99999999999999999999]", "\xff"
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error err = { 0 };
        assert_null(json_parse(bad[i], strlen(bad[i]), "bad.json", &err));
        assert_true(strncmp(err.text, "bad.json:", 9) == 0);
        assert_int_equal(err.kind, ERROR_INPUT);
    }
    struct error err = { 0 };
    assert_null(json_load("/no/such/file.json", &err));
    assert_non_null(strstr(err.text, "/no/such/file.json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_read_by_type),
        cmocka_unit_test(bad_fields_are_named),
        cmocka_unit_test(bad_text_is_placed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

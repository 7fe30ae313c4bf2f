/* Jansson is the oracle: the same random values, built as its tree and written piece by piece, give the same bytes. */
#include "common/base/arena.h"
#include "common/base/json.h"
#include "common/base/json_out.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define INDENTED  (JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY)
#define CANONICAL (JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY)

static uint64_t dice, thrown;

static uint32_t throw(uint32_t sides)
{
    return (uint32_t)(rng_uniform(dice, 1, thrown++) * sides);
}

static double any_real(void)
{
    static const double special[] = { 0.0,  -0.0,   1,       -1,      0.1,  1e20,
                                      1e-5, 1e-300, DBL_MAX, DBL_MIN, 3e15, 123456789012345680 };

    if (throw(2))
        return special[throw(sizeof special / sizeof *special)];
    return ldexp(rng_uniform(dice, 2, thrown++) - 0.5, (int) throw(400) - 200);
}

static const char *any_text(void)
{
    static const char *const texts[] = { "", "plain", "a \"quoted\" \\ word", "\b\f\n\r\t\x01\x1f\x7f", "größer 東京 🎬",
                                         "/" };

    return texts[throw(sizeof texts / sizeof *texts)];
}

/* The same value at both places. */
static json_t *value(struct json_out *o, const char *key, int depth)
{
    static const char *const keys[] = { "b", "a", "ab", "A", "z", "0", "\"", "aa" };
    const uint32_t kind = throw(depth ? 6 : 4), count = throw(5);
    json_t *v;

    if (kind == 0) {
        const int64_t i = throw(2) ? (int64_t) throw(100) - 50 : throw(2) ? INT64_MIN : INT64_MAX;

        json_out_int(o, key, i);
        return json_integer(i);
    }
    if (kind == 1) {
        const double d = any_real();

        json_out_real(o, key, d);
        return json_real(d);
    }
    if (kind == 2) {
        const char *t = any_text();

        json_out_text(o, key, t);
        return json_string(t);
    }
    if (kind == 3) {
        const bool b = throw(2);

        json_out_bool(o, key, b);
        return json_boolean(b);
    }
    if (kind == 4) {
        v = json_array();
        json_out_list(o, key);
        for (uint32_t i = 0; i < count; i++)
            json_array_append_new(v, value(o, NULL, depth - 1));
    } else {
        const uint32_t first = throw(8);

        v = json_object();
        json_out_object(o, key);
        for (uint32_t i = 0; i < count; i++)
            json_object_set_new(v, keys[(first + 3 * i) % 8], value(o, keys[(first + 3 * i) % 8], depth - 1));
    }
    json_out_end(o);
    return v;
}

static void the_bytes_are_those_of_jansson(void **state)
{
    (void)state;
    for (dice = 1; dice <= 3000; dice++) {
        const bool canonical = dice % 2;
        struct str text = { 0 }, again = { 0 };
        struct json_out o = { .to = &text, .canonical = canonical }, p = { .to = &again };

        thrown = 0;
        json_t *v = value(&o, NULL, 4);
        char *expected = json_dumps(v, canonical ? CANONICAL : INDENTED);
        assert_string_equal(text.data, expected);
        free(expected);

        /* From a text, which reads back to the same value. */
        json_t *read = json_loads(text.data, JSON_DECODE_ANY, NULL);
        assert_non_null(read);
        expected = json_dumps(read, INDENTED);
        json_out_json(&p, NULL, text.data);
        assert_string_equal(again.data, expected);
        free(expected);
        json_decref(read);
        json_decref(v);
        str_free(&text);
        str_free(&again);
    }
}

/* A text inside stands as deep as its place, and its numbers have one form. */
static void a_text_is_laid_out_anew(void **state)
{
    struct str text = { 0 };
    struct json_out o = { .to = &text };

    (void)state;
    json_out_object(&o, NULL);
    json_out_json(&o, "plan", "{\"a\":[2.10,3, -1e+07],\"b\":{ },\"c\":\"}, \\\"[\",\"d\":[null]}");
    json_out_int(&o, "after", 1);
    json_out_end(&o);
    assert_string_equal(text.data, "{\n  \"plan\": {\n    \"a\": [\n      2.1000000000000001,\n      3,\n"
                                   "      -10000000.0\n    ],\n    \"b\": {},\n    \"c\": \"}, \\\"[\",\n"
                                   "    \"d\": [\n      null\n    ]\n  },\n  \"after\": 1\n}");
    str_free(&text);
}

static void what_is_infinite_is_the_largest(void **state)
{
    struct str text = { 0 };
    struct json_out o = { .to = &text };

    (void)state;
    json_out_real(&o, NULL, -INFINITY);
    assert_true(strtod(text.data, NULL) == -DBL_MAX);
    str_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_those_of_jansson),
        cmocka_unit_test(a_text_is_laid_out_anew),
        cmocka_unit_test(what_is_infinite_is_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common/base/json.h"

#include "common/base/file.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_FILE = 256 << 20 };

json_t *json_parse(const char *text, size_t size, const char *where, struct error *err)
{
    json_error_t why;
    json_t *value = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (!value)
        error_set(err, ERROR_INPUT, "%s:%d:%d: not valid JSON: %s", where, why.line, why.column, why.text);
    return value;
}

json_t *json_load(const char *path, struct error *err)
{
    size_t size = 0;
    char *text = file_read(path, LARGEST_FILE, &size, err);
    if (!text)
        return NULL;
    json_t *value = json_parse(text, size, path, err);
    free(text);
    return value;
}

bool json_fail(struct json_reader *r, const char *key, const char *fmt, ...)
{
    if (r->failed)
        return false;
    r->failed = true;
    char text[384];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return error_set(r->err, ERROR_INPUT, "%s: %s: %s", r->where, key, text);
}

static const char *type_name(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "text";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_NULL:
        break;
    }
    return "null";
}

/* The field, or NULL: after an earlier failure, or with a failure noted when it is required. */
static const json_t *field(struct json_reader *r, const json_t *object, const char *key, bool required)
{
    if (r->failed || !object)
        return NULL;
    if (!json_is_object(object)) {
        json_fail(r, key, "expected inside an object, found inside %s", type_name(object));
        return NULL;
    }
    const json_t *v = json_object_get(object, key);
    if (required && !v)
        json_fail(r, key, "is missing");
    return !required && json_is_null(v) ? NULL : v;
}

static int64_t read_int(struct json_reader *r, const json_t *v, const char *key, int64_t min, int64_t max,
                        int64_t fallback)
{
    if (!v)
        return fallback;
    if (!json_is_integer(v)) {
        json_fail(r, key, "expected an integer, found %s", type_name(v));
        return fallback;
    }
    int64_t n = json_integer_value(v);
    if (n < min || n > max) {
        json_fail(r, key, "expected an integer from %" PRId64 " to %" PRId64 ", found %" PRId64, min, max, n);
        return fallback;
    }
    return n;
}

static double read_number(struct json_reader *r, const json_t *v, const char *key, double fallback)
{
    if (!v)
        return fallback;
    if (!json_is_number(v)) {
        json_fail(r, key, "expected a number, found %s", type_name(v));
        return fallback;
    }
    return json_number_value(v);
}

static bool read_bool(struct json_reader *r, const json_t *v, const char *key, bool fallback)
{
    if (!v)
        return fallback;
    if (!json_is_boolean(v)) {
        json_fail(r, key, "expected true or false, found %s", type_name(v));
        return fallback;
    }
    return json_is_true(v);
}

static const char *read_text(struct json_reader *r, const json_t *v, const char *key, const char *fallback)
{
    if (!v)
        return fallback;
    if (!json_is_string(v)) {
        json_fail(r, key, "expected text, found %s", type_name(v));
        return fallback;
    }
    return json_string_value(v);
}

int64_t json_int(struct json_reader *r, const json_t *object, const char *key, int64_t min, int64_t max)
{
    return read_int(r, field(r, object, key, true), key, min, max, min);
}

double json_number(struct json_reader *r, const json_t *object, const char *key)
{
    return read_number(r, field(r, object, key, true), key, 0);
}

const char *json_text(struct json_reader *r, const json_t *object, const char *key)
{
    return read_text(r, field(r, object, key, true), key, "");
}

const json_t *json_group(struct json_reader *r, const json_t *object, const char *key)
{
    const json_t *v = field(r, object, key, true);
    if (v && !json_is_object(v)) {
        json_fail(r, key, "expected an object, found %s", type_name(v));
        return NULL;
    }
    return v;
}

const json_t *json_list(struct json_reader *r, const json_t *object, const char *key)
{
    const json_t *v = field(r, object, key, true);
    if (v && !json_is_array(v)) {
        json_fail(r, key, "expected an array, found %s", type_name(v));
        return NULL;
    }
    return v;
}

int64_t json_int_or(struct json_reader *r, const json_t *object, const char *key, int64_t min, int64_t max,
                    int64_t fallback)
{
    return read_int(r, field(r, object, key, false), key, min, max, fallback);
}

double json_number_or(struct json_reader *r, const json_t *object, const char *key, double fallback)
{
    return read_number(r, field(r, object, key, false), key, fallback);
}

bool json_bool_or(struct json_reader *r, const json_t *object, const char *key, bool fallback)
{
    return read_bool(r, field(r, object, key, false), key, fallback);
}

const char *json_text_or(struct json_reader *r, const json_t *object, const char *key, const char *fallback)
{
    return read_text(r, field(r, object, key, false), key, fallback);
}

bool json_only_keys(struct json_reader *r, const json_t *object, const char *const *keys)
{
    if (r->failed || !json_is_object(object))
        return !r->failed;
    for (void *i = json_object_iter((json_t *)(uintptr_t)object); i;
         i = json_object_iter_next((json_t *)(uintptr_t)object, i)) {
        const char *key = json_object_iter_key(i);
        bool known = false;
        for (const char *const *k = keys; *k && !known; k++)
            known = strcmp(*k, key) == 0;
        if (!known)
            return json_fail(r, key, "unknown key");
    }
    return true;
}

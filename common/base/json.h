/* json - fields with types and errors with paths, over Jansson.
 *
 * A reader walks a json_t with a path for messages ("config.json: vae.z_dim"). The first failure is kept in *err;
 * later calls return their default, so that a struct is read in one go and checked once. (Jansson owns the names
 * json_string, json_object and json_array: its constructors.) */
#ifndef SHOTLINE_BASE_JSON_H
#define SHOTLINE_BASE_JSON_H

#include "common/base/error.h"

#include <jansson.h>
#include <stdint.h>

struct json_reader {
    const char *where; /* file name for messages */
    struct error *err;
    bool failed;
};

/* Parses a file (at most 256 MiB). NULL on failure; release with json_decref. */
json_t *json_load(const char *path, struct error *err);
json_t *json_parse(const char *text, size_t size, const char *where, struct error *err);

/* Required fields: int, number, bool, text, group (an object), list (an array). `object` may be NULL after an earlier
 * failure. */
int64_t json_int(struct json_reader *r, const json_t *object, const char *key, int64_t min, int64_t max);
double json_number(struct json_reader *r, const json_t *object, const char *key);
const char *json_text(struct json_reader *r, const json_t *object, const char *key); /* "" on failure */
const json_t *json_group(struct json_reader *r, const json_t *object, const char *key);
const json_t *json_list(struct json_reader *r, const json_t *object, const char *key);

/* Optional fields: `fallback` when the key is absent or null; a wrong type is still an error. */
int64_t json_int_or(struct json_reader *r, const json_t *object, const char *key, int64_t min, int64_t max,
                    int64_t fallback);
double json_number_or(struct json_reader *r, const json_t *object, const char *key, double fallback);
bool json_bool_or(struct json_reader *r, const json_t *object, const char *key, bool fallback);
const char *json_text_or(struct json_reader *r, const json_t *object, const char *key, const char *fallback);

/* Fails when `object` has a key that is not in the NULL-terminated list. */
bool json_only_keys(struct json_reader *r, const json_t *object, const char *const *keys);

/* Records a failure of the caller's own checks at `key`. Returns false. */
bool json_fail(struct json_reader *r, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif

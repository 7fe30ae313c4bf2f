#include "common/base/credential.h"

#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/json.h"
#include "common/base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_FILE 4096

/* A line ends with the farm's key, the one-time secret, and the beginning of a digest of all that stands before. */
#define CHECK_BYTES 4
#define KEYS_BYTES  (2 * CURVE_BYTES + CHECK_BYTES)
#define KEYS_TEXT   91 /* base64url */

static const char *const role_names[] = {
    [ROLE_VIEWER] = "viewer",
    [ROLE_SUBMITTER] = "submitter",
    [ROLE_OPERATOR] = "operator",
    [ROLE_WORKER] = "worker",
};

const char *role_name(enum role r)
{
    return r >= ROLE_VIEWER && r <= ROLE_WORKER ? role_names[r] : "nobody";
}

enum role role_from_name(const char *name)
{
    for (int r = ROLE_VIEWER; r <= ROLE_WORKER; r++)
        if (strcmp(role_names[r], name) == 0)
            return (enum role)r;
    return ROLE_NOBODY;
}

/* ---- the file ---- */

bool credential_save(const struct credential *c, const char *path, struct error *err)
{
    char farm_key[CURVE_TEXT_ROOM], secret[CURVE_TEXT_ROOM], invite[CURVE_TEXT_ROOM];

    curve_text(&c->farm_key, farm_key);
    curve_text(&c->own.secret, secret);
    curve_text(&c->invite, invite);
    json_t *j = json_pack("{ss ss ss ss ss ss}", "farm", c->farm, "farm_key", farm_key, "name", c->name, "role",
                          role_name(c->role), "secret", secret, "invite", invite);
    char *text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
    bool ok = text ? file_write_secret(path, text, strlen(text), err)
                   : error_set(err, ERROR_INTERNAL, "%s: a name that is no UTF-8", path);

    if (text)
        sodium_memzero(text, strlen(text));
    free(text);
    json_decref(j);
    sodium_memzero(secret, sizeof secret);
    return ok;
}

bool credential_load(struct credential *c, const char *path, struct error *err)
{
    static const char *const keys[] = { "farm", "farm_key", "name", "role", "secret", "invite", NULL };
    size_t size;
    char *text = file_read_secret(path, LARGEST_FILE, &size, err);
    json_t *j = text ? json_parse(text, size, path, err) : NULL;
    struct json_reader r = { .where = path, .err = err, .failed = !j };
    struct curve_key secret = { { 0 } };

    *c = (struct credential){ 0 };
    if (!str_copy(c->farm, sizeof c->farm, json_text(&r, j, "farm")))
        json_fail(&r, "farm", "too long");
    if (!curve_from_text(&c->farm_key, json_text(&r, j, "farm_key")) && !r.failed)
        json_fail(&r, "farm_key", "expected a key of 43 characters");
    if (!str_copy(c->name, sizeof c->name, json_text(&r, j, "name")))
        json_fail(&r, "name", "too long");
    c->role = role_from_name(json_text(&r, j, "role"));
    if (c->role == ROLE_NOBODY && !r.failed)
        json_fail(&r, "role", "expected viewer, submitter, operator or worker");
    if (!curve_from_text(&secret, json_text(&r, j, "secret")) && !r.failed)
        json_fail(&r, "secret", "expected a key of 43 characters");
    if (!curve_from_text(&c->invite, json_text(&r, j, "invite")) && !r.failed)
        json_fail(&r, "invite", "expected a key of 43 characters");
    json_only_keys(&r, j, keys);
    if (!r.failed)
        c->own = curve_pair_of(&secret);
    if (text)
        sodium_memzero(text, size);
    free(text);
    json_decref(j);
    sodium_memzero(&secret, sizeof secret);
    return !r.failed;
}

/* ---- the line ---- */

static void check_of(const struct credential *c, uint8_t check[CHECK_BYTES])
{
    struct hash h;

    hash_begin(&h);
    hash_text(&h, "shotline join");
    hash_text(&h, c->farm);
    hash_text(&h, role_name(c->role));
    hash_bytes(&h, c->farm_key.bytes, CURVE_BYTES);
    hash_bytes(&h, c->own.secret.bytes, CURVE_BYTES);
    struct digest d = hash_end(&h);
    memcpy(check, d.bytes, CHECK_BYTES);
}

bool credential_line(const struct credential *c, char line[CREDENTIAL_LINE_ROOM])
{
    uint8_t keys[KEYS_BYTES];
    char text[KEYS_TEXT + 1];

    memcpy(keys, c->farm_key.bytes, CURVE_BYTES);
    memcpy(keys + CURVE_BYTES, c->own.secret.bytes, CURVE_BYTES);
    check_of(c, keys + 2 * CURVE_BYTES);
    sodium_bin2base64(text, sizeof text, keys, sizeof keys, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    int n = snprintf(line, CREDENTIAL_LINE_ROOM, "%s/%s/%s", c->farm, role_name(c->role), text);
    sodium_memzero(keys, sizeof keys);
    sodium_memzero(text, sizeof text);
    return n > 0 && n < CREDENTIAL_LINE_ROOM;
}

static bool bad_line(const char *what, struct error *err)
{
    return error_set(err, ERROR_USAGE,
                     "the join line %s: expected tcp://HOST:PORT/ROLE/KEYS, as `shotline invite` "
                     "printed it",
                     what);
}

/* Copies what stands before the next slash; moves *at behind it. */
static bool take_part(const char **at, char *to, size_t room)
{
    size_t size = strcspn(*at, "/");

    if ((*at)[size] != '/' || size == 0 || size >= room)
        return false;
    memcpy(to, *at, size);
    to[size] = '\0';
    *at += size + 1;
    return true;
}

bool credential_from_line(struct credential *c, const char *line, struct error *err)
{
    uint8_t keys[KEYS_BYTES], check[CHECK_BYTES];
    char host[200], role[16];
    const char *at = line;
    struct curve_key secret;
    size_t size = 0;

    *c = (struct credential){ 0 };
    if (!str_starts(line, "tcp://"))
        return bad_line("does not begin with tcp://", err);
    at += strlen("tcp://");
    if (!take_part(&at, host, sizeof host) || !strrchr(host, ':') ||
        host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_[]")])
        return bad_line("names no HOST:PORT", err);
    if (!take_part(&at, role, sizeof role) || (c->role = role_from_name(role)) == ROLE_NOBODY)
        return bad_line("names no role", err);
    if (strlen(at) != KEYS_TEXT ||
        sodium_base642bin(keys, sizeof keys, at, KEYS_TEXT, NULL, &size, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        size != sizeof keys)
        return bad_line("is cut off, or something stands behind it", err);
    snprintf(c->farm, sizeof c->farm, "tcp://%s", host);
    memcpy(c->farm_key.bytes, keys, CURVE_BYTES);
    memcpy(secret.bytes, keys + CURVE_BYTES, CURVE_BYTES);
    c->own = curve_pair_of(&secret);
    check_of(c, check);
    bool same = memcmp(check, keys + 2 * CURVE_BYTES, CHECK_BYTES) == 0;
    sodium_memzero(keys, sizeof keys);
    sodium_memzero(&secret, sizeof secret);
    return same || bad_line("is not as it was printed", err);
}

#include "coordinator/api/keyring.h"

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/str.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool open_folder(const char *state, char *dir, size_t room, struct error *err)
{
    struct stat st;

    if (!file_join(dir, room, state, "keys"))
        return error_set(err, ERROR_USAGE, "--state: the path is too long");
    if (!file_make_dirs(dir, 0700, err))
        return false;
    if (lstat(dir, &st) != 0)
        return error_set(err, ERROR_IO, "%s: %s", dir, strerror(errno));
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
        return error_set(err, ERROR_INPUT,
                         "%s: it holds keys and others can enter it (mode %04o, expected 0700): chmod 700 it, and make "
                         "new keys if others may have read them",
                         dir, (unsigned)st.st_mode & 07777);
    return true;
}

static bool open_farm_key(struct curve_pair *pair, const char *path, struct error *err)
{
    char text[CURVE_TEXT_ROOM + 1];
    struct curve_key secret;
    size_t size;
    char *read;
    bool ok;

    if (!file_exists(path)) {
        *pair = curve_pair_new();
        curve_text(&pair->secret, text);
        log_info("key.made", "file=\"%s\"", path);
        return file_write_secret(path, text, CURVE_TEXT_ROOM - 1, err);
    }
    read = file_read_secret(path, sizeof text, &size, err);
    if (!read)
        return false;
    ok = curve_from_text(&secret, read);
    if (ok)
        *pair = curve_pair_of(&secret);
    else
        error_set(err, ERROR_INPUT, "%s: expected a key of %d characters", path, CURVE_TEXT_ROOM - 1);
    free(read);
    return ok;
}

static bool open_operator(struct keyring *k, const char *path, const char *address, struct error *err)
{
    struct credential before;

    if (!file_exists(path)) {
        k->local_operator = (struct credential){ .name = "operator", .role = ROLE_OPERATOR, .own = curve_pair_new() };
        log_info("key.made", "file=\"%s\"", path);
    } else if (!credential_load(&k->local_operator, path, err)) {
        return false;
    }
    before = k->local_operator;
    str_copy(k->local_operator.farm, sizeof k->local_operator.farm, address);
    k->local_operator.farm_key = k->farm.public;
    /* The farm may have moved, or been given a new key. */
    return (strcmp(before.farm, address) == 0 && curve_equal(&before.farm_key, &k->farm.public)) ||
           credential_save(&k->local_operator, path, err);
}

bool keyring_open(struct keyring *k, const char *state, const char *address, struct error *err)
{
    char dir[PATH_MAX], farm[PATH_MAX], credential[PATH_MAX];

    if (!open_folder(state, dir, sizeof dir, err))
        return false;
    if (!file_join(farm, sizeof farm, dir, "farm.key") ||
        !file_join(credential, sizeof credential, dir, "operator.json"))
        return error_set(err, ERROR_USAGE, "--state: the path is too long");
    return open_farm_key(&k->farm, farm, err) && open_operator(k, credential, address, err);
}

bool keyring_address(const char *listen, char *to, size_t room, struct error *err)
{
    static const char *const everywhere[] = { "tcp://*:", "tcp://0.0.0.0:", "tcp://[::]:" };
    char host[128] = "";
    int n = -1;

    for (size_t i = 0; i < sizeof everywhere / sizeof *everywhere; i++)
        if (str_starts(listen, everywhere[i])) {
            if (gethostname(host, sizeof host - 1) != 0 || !*host)
                return error_set(err, ERROR_IO, "this machine has no name: --advertise tcp://HOST:PORT");
            n = snprintf(to, room, "tcp://%s:%s", host, listen + strlen(everywhere[i]));
        }
    if (!*host)
        n = snprintf(to, room, "%s", listen);
    return (n > 0 && (size_t)n < room) || error_set(err, ERROR_USAGE, "--listen %s: too long", listen);
}

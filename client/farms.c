#include "client/farms.h"

#include "common/base/file.h"
#include "common/base/str.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool state_folder(char *to, size_t room, const char *name, struct error *err)
{
    const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n = -1;

    if (xdg && *xdg == '/')
        n = snprintf(to, room, "%s/shotline/%s", xdg, name);
    else if (home && *home == '/')
        n = snprintf(to, room, "%s/.local/state/shotline/%s", home, name);
    else
        return error_set(err, ERROR_USAGE, "neither XDG_STATE_HOME nor HOME names a folder");
    return (n > 0 && (size_t)n < room) || error_set(err, ERROR_USAGE, "the path of the state folder is too long");
}

bool farms_path(const char *farm, char *path, size_t room, struct error *err)
{
    char dir[PATH_MAX], name[300];

    if (!state_folder(dir, sizeof dir, "farms", err) || !file_make_dirs(dir, 0700, err))
        return false;
    snprintf(name, sizeof name, "%s.json", farm + strlen("tcp://"));
    return file_join(path, room, dir, name) || error_set(err, ERROR_USAGE, "%s: the path is too long", dir);
}

/* Whether a credential is for this address. A coordinator of this machine is also known by its loopback names. */
static bool is_for(const struct credential *c, const char *address, bool local)
{
    static const char *const loopback[] = { "tcp://127.0.0.1:", "tcp://localhost:", "tcp://[::1]:" };
    const char *port = strrchr(c->farm, ':');

    if (strcmp(c->farm, address) == 0)
        return true;
    for (size_t i = 0; local && i < sizeof loopback / sizeof *loopback; i++)
        if (str_starts(address, loopback[i]) && port && strcmp(address + strlen(loopback[i]), port + 1) == 0)
            return true;
    return false;
}

struct search {
    const char *address; /* NULL: any */
    struct credential *to;
    size_t found;
    char names[2][256];
};

static bool look_at(struct search *s, const char *path, bool local, struct error *err)
{
    struct credential c;

    if (!credential_load(&c, path, err))
        return false;
    if (s->address && !is_for(&c, s->address, local))
        return true;
    if (s->found < 2)
        str_copy(s->names[s->found], sizeof s->names[0], c.farm);
    if (s->found++ == 0)
        *s->to = c;
    return true;
}

static bool look_everywhere(struct search *s, struct error *err)
{
    char path[PATH_MAX], dir[PATH_MAX];
    struct dirent *item;
    bool ok = true;

    if (!state_folder(dir, sizeof dir, "farms", err) || !state_folder(path, sizeof path, "keys/operator.json", err))
        return false;
    DIR *d = opendir(dir);
    while (ok && d && (item = readdir(d))) {
        char file[PATH_MAX];

        if (str_ends(item->d_name, ".json") && file_join(file, sizeof file, dir, item->d_name))
            ok = look_at(s, file, false, err);
    }
    if (d)
        closedir(d);
    return ok && (s->found || !file_exists(path) || look_at(s, path, true, err));
}

bool farms_find(const char *address, const char *key_file, struct credential *c, bool *found, struct error *err)
{
    struct search s = { .address = address, .to = c };

    *found = false;
    if (key_file) {
        *found = credential_load(c, key_file, err);
        return *found;
    }
    if (!look_everywhere(&s, err))
        return false;
    if (!address && s.found > 1)
        return error_set(err, ERROR_USAGE, "several farms are known here (%s, %s ...): choose with --farm", s.names[0],
                         s.names[1]);
    *found = s.found > 0;
    return true;
}

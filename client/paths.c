#include "client/paths.h"

#include "common/base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Both are real paths. */
static bool is_inside(const char *path, const char *folder)
{
    size_t size = strlen(folder);

    return strcmp(folder, "/") == 0 || (strncmp(path, folder, size) == 0 && (path[size] == '/' || path[size] == '\0'));
}

static bool is_in_one_of(const char *path, const char *folders)
{
    char folder[PATH_MAX], real[PATH_MAX];

    while (folders && *folders) {
        size_t size = strcspn(folders, ":");

        if (size > 0 && size < sizeof folder) {
            memcpy(folder, folders, size);
            folder[size] = '\0';
            if (realpath(folder, real) && is_inside(path, real))
                return true;
        }
        folders += size + (folders[size] == ':');
    }
    return false;
}

bool paths_resolve(const char *path, const char *home, const char *allowed, char real[PATH_MAX], struct error *err)
{
    char folder[PATH_MAX];

    if (!realpath(path, real)) {
        if (errno == ENOENT || errno == ENOTDIR)
            return str_copy(real, PATH_MAX, path) || error_set(err, ERROR_INPUT, "the path is too long");
        return error_set(err, ERROR_IO, "%s: %s", path, strerror(errno));
    }
    if ((realpath(*home ? home : "/", folder) && is_inside(real, folder)) || is_in_one_of(real, allowed))
        return true;
    return error_set(err, ERROR_INPUT, "%s is outside the campaign's folder: --allow-path DIR allows it", real);
}

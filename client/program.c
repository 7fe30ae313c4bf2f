#include "client/program.h"

#include "common/base/file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool program_dir(char *to, size_t room)
{
    ssize_t n = readlink("/proc/self/exe", to, room - 1);
    if (n <= 0)
        return false;
    to[n] = '\0';
    *strrchr(to, '/') = '\0';
    return true;
}

bool program_pack(char *to)
{
    static const char *const places[] = { "share/shotline/packs/tiny", "packs/tiny" };
    char dir[PATH_MAX], file[PATH_MAX];

    if (!program_dir(dir, sizeof dir))
        return false;
    for (char *slash = dir + strlen(dir); slash && slash > dir; slash = strrchr(dir, '/')) {
        *slash = '\0';
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
            if (file_join(to, PATH_MAX, dir, places[i]) && file_join(file, sizeof file, to, "shotline.json") &&
                file_exists(file))
                return true;
    }
    return false;
}

bool program_find(const char *program, const char *build_dir, char *to, struct error *err)
{
    char dir[PATH_MAX];
    if (program_dir(dir, sizeof dir)) {
        if (snprintf(to, PATH_MAX, "%s/%s", dir, program) < PATH_MAX && access(to, X_OK) == 0)
            return true;
        if (snprintf(to, PATH_MAX, "%s/../%s/%s", dir, build_dir, program) < PATH_MAX && access(to, X_OK) == 0)
            return true;
    }
    const char *path = getenv("PATH");
    while (path && *path) {
        size_t size = strcspn(path, ":");
        if (size && snprintf(to, PATH_MAX, "%.*s/%s", (int)size, path, program) < PATH_MAX && access(to, X_OK) == 0)
            return true;
        path += size + (path[size] == ':');
    }
    return error_set(err, ERROR_IO, "%s: found neither beside this program nor in PATH", program);
}

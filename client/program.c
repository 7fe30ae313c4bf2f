#include "client/program.h"

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

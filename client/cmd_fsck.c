/* fsck: checks a stopped farm's folder. The coordinator's side knows the store, so its program does it. */
#include "client/commands.h"
#include "client/program.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

int cmd_fsck(int argc, char **argv)
{
    char path[PATH_MAX];
    struct error err = { 0 };
    char *arguments[argc + 1];

    memcpy(arguments, argv, (size_t)argc * sizeof *argv);
    arguments[0] = "shotline-fsck";
    arguments[argc] = NULL;
    if (program_find("shotline-fsck", "coordinator", path, &err)) {
        execv(path, arguments);
        error_set(&err, ERROR_IO, "%s: %s", path, strerror(errno));
    }
    return command_fail(&err);
}

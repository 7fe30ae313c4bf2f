#include "coordinator/store/state_lock.h"

#include "common/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

int state_lock(const char *state, int64_t patience_ms, struct error *err)
{
    char path[PATH_MAX];

    if (!file_join(path, sizeof path, state, "coordinator.lock")) {
        error_set(err, ERROR_USAGE, "--state: the path is too long");
        return -1;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        error_set(err, ERROR_IO, "%s: %s", path, strerror(errno));
        return -1;
    }
    if (!file_lock(fd, patience_ms)) {
        error_set(err, ERROR_IO, "%s: another coordinator works with this state folder", state);
        close(fd);
        return -1;
    }
    return fd;
}

#include "common/base/file.h"

#include "common/base/arena.h"
#include "common/base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_CHUNK = 1 << 20 };

/* Opens a regular file for reading and tells its size; -1 on failure. */
static int open_regular(const char *path, size_t *size, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        error_set(err, ERROR_IO, "%s: %s", path, strerror(errno));
        return -1;
    }
    struct stat st;
    if (fstat(fd, &st) != 0) {
        error_set(err, ERROR_IO, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        error_set(err, ERROR_INPUT, "%s: expected a regular file", path);
    } else {
        *size = (size_t)st.st_size;
        return fd;
    }
    close(fd);
    return -1;
}

bool file_map(struct file_map *m, const char *path, struct error *err)
{
    *m = (struct file_map){ 0 };
    size_t size = 0;
    int fd = open_regular(path, &size, err);
    if (fd < 0)
        return false;
    bool ok = true;
    if (size > 0) {
        void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            ok = error_set(err, ERROR_IO, "%s: mmap of %zu bytes: %s", path, size, strerror(errno));
        else
            *m = (struct file_map){ .data = p, .size = size };
    }
    close(fd); /* the mapping keeps the file */
    return ok;
}

void file_unmap(struct file_map *m)
{
    if (m->data)
        munmap((void *)(uintptr_t)m->data, m->size);
    *m = (struct file_map){ 0 };
}

/* Reads `room` bytes and closes the file. */
static char *read_open(int fd, size_t room, const char *path, size_t max_bytes, size_t *size, struct error *err)
{
    size_t have = 0;
    if (room > max_bytes) {
        error_set(err, ERROR_INPUT, "%s: %zu bytes, expected at most %zu", path, room, max_bytes);
        close(fd);
        return NULL;
    }
    char *data = xmalloc(room + 1);
    while (have < room) {
        ssize_t n = read(fd, data + have, room - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            error_set(err, ERROR_IO, "%s: %s", path, strerror(errno));
            free(data);
            close(fd);
            return NULL;
        }
        if (n == 0)
            break; /* shrank meanwhile: what is there is what we have */
        have += (size_t)n;
    }
    close(fd);
    data[have] = '\0';
    if (size)
        *size = have;
    return data;
}

char *file_read(const char *path, size_t max_bytes, size_t *size, struct error *err)
{
    size_t room = 0;
    int fd = open_regular(path, &room, err);
    return fd < 0 ? NULL : read_open(fd, room, path, max_bytes, size, err);
}

static void folder_of(const char *path, char dir[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(dir, PATH_MAX, ".");
    else
        snprintf(dir, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static bool is_private(int fd, const char *path, struct error *err)
{
    char dir[PATH_MAX];
    struct stat st;
    if (fstat(fd, &st) != 0)
        return error_set(err, ERROR_IO, "%s: %s", path, strerror(errno));
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return error_set(err, ERROR_INPUT, "%s: it holds a secret and belongs to another user (%u)", path,
                         (unsigned)st.st_uid);
    if (st.st_mode & 077)
        return error_set(err, ERROR_INPUT,
                         "%s: it holds a secret and others can use it (mode %04o, expected 0600): chmod 600 it, and "
                         "make a new one if others may have read it",
                         path, (unsigned)st.st_mode & 07777);
    folder_of(path, dir);
    if (stat(dir, &st) != 0)
        return error_set(err, ERROR_IO, "%s: %s", dir, strerror(errno));
    if ((st.st_uid != geteuid() && st.st_uid != 0) || ((st.st_mode & 022) && !(st.st_mode & S_ISVTX)))
        return error_set(err, ERROR_INPUT, "%s: others can change what is in the folder of this secret (mode %04o)",
                         path, (unsigned)st.st_mode & 07777);
    return true;
}

char *file_read_secret(const char *path, size_t max_bytes, size_t *size, struct error *err)
{
    size_t room = 0;
    int fd = open_regular(path, &room, err);
    if (fd < 0)
        return NULL;
    if (is_private(fd, path, err))
        return read_open(fd, room, path, max_bytes, size, err);
    close(fd);
    return NULL;
}

static bool write_all(int fd, const void *data, size_t size)
{
    const char *p = data;
    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

/* A file in the making: PATH.tmp.PID.N, which becomes PATH at the end or disappears. */
struct draft {
    const char *path;
    char temp[PATH_MAX];
    int fd;
};

static bool draft_open(struct draft *d, const char *path, mode_t mode, struct error *err)
{
    static atomic_uint counter; /* two threads may write the same path */
    unsigned number = atomic_fetch_add(&counter, 1);
    d->path = path;
    d->fd = -1;
    int n = snprintf(d->temp, sizeof d->temp, "%s.tmp.%d.%u", path, (int)getpid(), number);
    if (n < 0 || (size_t)n >= sizeof d->temp)
        return error_set(err, ERROR_IO, "%s: %s", path, strerror(ENAMETOOLONG));
    d->fd = open(d->temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (d->fd < 0)
        return error_set(err, ERROR_IO, "%s: cannot be written: %s", path, strerror(errno));
    return true;
}

static bool draft_fail(struct draft *d, struct error *err)
{
    int why = errno;
    if (d->fd >= 0)
        close(d->fd);
    unlink(d->temp);
    return error_set(err, ERROR_IO, "%s: cannot be written: %s", d->path, strerror(why));
}

/* Makes the rename itself durable. A file system that cannot sync folders has no better promise to give. */
static void sync_folder_of(const char *path)
{
    char dir[PATH_MAX];
    folder_of(path, dir);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

static bool draft_finish(struct draft *d, struct error *err)
{
    if (fsync(d->fd) != 0)
        return draft_fail(d, err);
    int rc = close(d->fd);
    d->fd = -1;
    if (rc != 0 || rename(d->temp, d->path) != 0)
        return draft_fail(d, err);
    sync_folder_of(d->path);
    return true;
}

static bool write_file(const char *path, mode_t mode, const void *data, size_t size, struct error *err)
{
    struct draft d;
    if (!draft_open(&d, path, mode, err))
        return false;
    if (!write_all(d.fd, data, size))
        return draft_fail(&d, err);
    return draft_finish(&d, err);
}

bool file_write(const char *path, const void *data, size_t size, struct error *err)
{
    return write_file(path, 0666, data, size, err);
}

bool file_write_secret(const char *path, const void *data, size_t size, struct error *err)
{
    return write_file(path, 0600, data, size, err);
}

bool file_copy(const char *from, const char *to, struct error *err)
{
    size_t size = 0;
    int in = open_regular(from, &size, err);
    if (in < 0)
        return false;
    struct draft d;
    char *chunk = xmalloc(COPY_CHUNK);
    bool ok = draft_open(&d, to, 0666, err);
    while (ok) {
        ssize_t n = read(in, chunk, COPY_CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int why = errno;
            draft_fail(&d, err);
            ok = error_set(err, ERROR_IO, "%s: %s", from, strerror(why));
        } else if (n == 0) {
            ok = draft_finish(&d, err);
            break;
        } else if (!write_all(d.fd, chunk, (size_t)n)) {
            ok = draft_fail(&d, err);
        }
    }
    free(chunk);
    close(in);
    return ok;
}

bool file_make_dirs(const char *path, unsigned mode, struct error *err)
{
    char part[PATH_MAX];
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof part)
        return error_set(err, ERROR_IO, "%s: %s", path, strerror(size ? ENAMETOOLONG : ENOENT));
    memcpy(part, path, size + 1);
    for (size_t i = 1; i <= size; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        char kept = part[i];
        part[i] = '\0';
        if (mkdir(part, (mode_t)mode) != 0 && errno != EEXIST)
            return error_set(err, ERROR_IO, "%s: cannot make the folder: %s", part, strerror(errno));
        part[i] = kept;
    }
    if (!file_is_dir(path))
        return error_set(err, ERROR_IO, "%s: expected a folder, found a file", path);
    return true;
}

bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool file_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Symbolic links are removed and never followed. */
bool file_remove_tree(const char *path, struct error *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? true : error_set(err, ERROR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISDIR(st.st_mode)) {
        if (unlink(path) != 0 && errno != ENOENT)
            return error_set(err, ERROR_IO, "%s: %s", path, strerror(errno));
        return true;
    }
    DIR *dir = opendir(path);
    if (!dir)
        return error_set(err, ERROR_IO, "%s: %s", path, strerror(errno));
    bool ok = true;
    const struct dirent *entry;
    while (ok && (entry = readdir(dir))) {
        char inner[PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!file_join(inner, sizeof inner, path, entry->d_name))
            ok = error_set(err, ERROR_IO, "%s/%s: %s", path, entry->d_name, strerror(ENAMETOOLONG));
        else
            ok = file_remove_tree(inner, err);
    }
    closedir(dir);
    if (ok && rmdir(path) != 0)
        return error_set(err, ERROR_IO, "%s: %s", path, strerror(errno));
    return ok;
}

bool file_join(char *to, size_t room, const char *dir, const char *name)
{
    int n = snprintf(to, room, "%s/%s", dir, name);
    return n >= 0 && (size_t)n < room;
}

bool file_lock(int fd, int64_t patience_ms)
{
    const int64_t until_ms = clock_now_ms() + patience_ms;

    while (flock(fd, LOCK_EX | LOCK_NB)) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || clock_now_ms() >= until_ms)
            return false;
        usleep(20000);
    }
    return true;
}

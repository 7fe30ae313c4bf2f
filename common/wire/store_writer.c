/* store_writer - a file of known digest that arrives in pieces: collected in PART under a lock, hashed on the way,
 * renamed when it is right. */
#include "common/wire/store_internal.h"

#include "common/base/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct store_writer {
    struct store_dir *store; /* NULL: goes to `target` */
    struct digest digest;
    int64_t bytes; /* -1: not known */
    int64_t offset;
    struct hash hash; /* of everything before offset */
    int fd;
    bool shared; /* the part has its common name, so that another writer may go on with it */
    bool gone;   /* the part was renamed or removed */
    char part[PATH_MAX];
    char target[PATH_MAX];
};

/* Opens a part that nobody else goes on with. */
static bool open_own_part(struct store_writer *w, const char *common, struct error *err)
{
    static atomic_uint counter;

    if (snprintf(w->part, sizeof w->part, "%s.%d.%u", common, (int)getpid(), atomic_fetch_add(&counter, 1)) >=
        (int)sizeof w->part)
        return error_set(err, ERROR_IO, "%s: %s", common, strerror(ENAMETOOLONG));
    w->fd = open(w->part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (w->fd < 0)
        return error_set(err, ERROR_IO, "%s: cannot be written: %s", w->part, strerror(errno));
    return true;
}

/* Opens and locks the part; another writer that holds it makes us use a name of our own. */
static bool open_part(struct store_writer *w, const char *common, struct error *err)
{
    struct stat by_fd, by_name;

    snprintf(w->part, sizeof w->part, "%s", common);
    w->fd = open(w->part, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (w->fd < 0)
        return error_set(err, ERROR_IO, "%s: cannot be written: %s", w->part, strerror(errno));
    /* The holder of the lock may have renamed or removed the file between our open and our lock: then it is not the
     * part any more. */
    w->shared = flock(w->fd, LOCK_EX | LOCK_NB) == 0 && fstat(w->fd, &by_fd) == 0 && stat(w->part, &by_name) == 0 &&
                by_fd.st_ino == by_name.st_ino && by_fd.st_dev == by_name.st_dev;
    if (w->shared)
        return true;
    close(w->fd);
    return open_own_part(w, common, err);
}

/* Hashes what an earlier writer left behind. */
static bool take_up(struct store_writer *w, struct error *err)
{
    enum { STEP = 1 << 18 };
    uint8_t *buffer = xmalloc(STEP);
    ssize_t n;

    hash_begin(&w->hash);
    w->offset = 0;
    while ((n = pread(w->fd, buffer, STEP, w->offset)) > 0) {
        hash_bytes(&w->hash, buffer, (size_t)n);
        w->offset += n;
    }
    free(buffer);
    if (n < 0)
        return error_set(err, ERROR_IO, "%s: %s", w->part, strerror(errno));
    if (w->bytes >= 0 && w->offset > w->bytes)
        return store_writer_restart(w, err);
    return true;
}

static struct store_writer *writer_begin(struct store_writer *w, const char *part, struct error *err)
{
    w->fd = -1;
    if (open_part(w, part, err) && take_up(w, err))
        return w;
    store_writer_abort(&w);
    return NULL;
}

struct store_writer *store_writer_open(struct store_dir *s, const struct digest *d, int64_t bytes, struct error *err)
{
    struct store_writer *w;
    char part[PATH_MAX];

    if (!store_dir_part_path(s, d, part, sizeof part)) {
        error_set(err, ERROR_IO, "store folder: %s", strerror(ENAMETOOLONG));
        return NULL;
    }
    if (bytes >= 0 && !store_dir_fits(s, bytes, err))
        return NULL;
    w = xcalloc(1, sizeof *w);
    w->store = s;
    w->digest = *d;
    w->bytes = bytes;
    return writer_begin(w, part, err);
}

struct store_writer *store_writer_open_file(const char *path, const struct digest *d, int64_t bytes, struct error *err)
{
    struct store_writer *w;
    char part[PATH_MAX];

    if (snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part) {
        error_set(err, ERROR_IO, "%s: %s", path, strerror(ENAMETOOLONG));
        return NULL;
    }
    w = xcalloc(1, sizeof *w);
    w->digest = *d;
    w->bytes = bytes;
    snprintf(w->target, sizeof w->target, "%s", path);
    return writer_begin(w, part, err);
}

int64_t store_writer_offset(const struct store_writer *w)
{
    return w->offset;
}

bool store_writer_restart(struct store_writer *w, struct error *err)
{
    if (ftruncate(w->fd, 0) != 0)
        return error_set(err, ERROR_IO, "%s: %s", w->part, strerror(errno));
    hash_begin(&w->hash);
    w->offset = 0;
    return true;
}

static bool write_bytes(struct store_writer *w, const uint8_t *p, size_t size, struct error *err)
{
    while (size > 0) {
        ssize_t n = pwrite(w->fd, p, size, w->offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, ERROR_IO, "%s: cannot be written: %s", w->part, strerror(errno));
        w->offset += n;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

bool store_writer_append(struct store_writer *w, const void *data, size_t size, struct error *err)
{
    if (w->bytes >= 0 && (int64_t)size > w->bytes - w->offset)
        return error_set(err, ERROR_INPUT, "%s: more than the %" PRId64 " bytes that were announced", w->part,
                         w->bytes);
    const int64_t before = w->offset;
    const bool ok = write_bytes(w, data, size, err);
    hash_bytes(&w->hash, data, (size_t)(w->offset - before));
    return ok;
}

static bool commit(struct store_writer *w, struct error *err)
{
    struct digest found = hash_end(&w->hash);
    char expected_hex[DIGEST_HEX_ROOM], found_hex[DIGEST_HEX_ROOM];

    if (!digest_equal(&found, &w->digest)) {
        w->gone = unlink(w->part) == 0;
        digest_hex(&w->digest, expected_hex);
        digest_hex(&found, found_hex);
        return error_set(err, ERROR_INPUT, "blob %.16s...: the %" PRId64 " bytes that came have digest %.16s...",
                         expected_hex, w->offset, found_hex);
    }
    if (fsync(w->fd) != 0)
        return error_set(err, ERROR_IO, "%s: %s", w->part, strerror(errno));
    if (w->store)
        return store_dir_adopt(w->store, w->part, &w->digest, w->offset, err);
    if (rename(w->part, w->target) != 0)
        return error_set(err, ERROR_IO, "%s: %s", w->target, strerror(errno));
    return true;
}

bool store_writer_put(struct store_dir *s, const struct digest *d, const void *data, size_t size, struct error *err)
{
    struct store_writer *w;
    char part[PATH_MAX];

    if (!store_dir_part_path(s, d, part, sizeof part))
        return error_set(err, ERROR_IO, "store folder: %s", strerror(ENAMETOOLONG));
    if (!store_dir_fits(s, (int64_t)size, err))
        return false;
    w = xcalloc(1, sizeof *w);
    w->fd = -1;
    bool ok = open_own_part(w, part, err) && write_bytes(w, data, size, err);
    if (ok && fsync(w->fd) != 0)
        ok = error_set(err, ERROR_IO, "%s: %s", w->part, strerror(errno));
    w->gone = ok && store_dir_adopt(s, w->part, d, w->offset, err);
    ok = w->gone;
    store_writer_abort(&w);
    return ok;
}

bool store_writer_commit(struct store_writer **w, struct error *err)
{
    bool ok;

    if ((*w)->bytes >= 0 && (*w)->offset != (*w)->bytes) {
        ok = error_set(err, ERROR_INPUT, "%s: %" PRId64 " bytes, expected %" PRId64, (*w)->part, (*w)->offset,
                       (*w)->bytes);
    } else {
        ok = commit(*w, err);
        (*w)->gone |= ok;
    }
    store_writer_abort(w);
    return ok;
}

void store_writer_abort(struct store_writer **w)
{
    if (!*w)
        return;
    if ((*w)->fd >= 0) {
        if (!(*w)->gone && (!(*w)->shared || (*w)->offset == 0))
            unlink((*w)->part); /* nothing that another writer could go on with */
        close((*w)->fd);
    }
    free(*w);
    *w = NULL;
}

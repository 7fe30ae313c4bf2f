/* store_dir - see store_dir.h. DIR/ab/HEX are blobs, DIR/parts/ what is still arriving. Only a bounded store keeps an
 * index in memory. */
#include "common/wire/store_internal.h"

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/wire/store_index.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A part that nobody went on with for so long is given up. */
#define PART_KEPT_MS (24 * 3600 * INT64_C(1000))

/* A use is written to the file's time, for the next start, unless that is as new as this. */
#define USE_NOTED_MS (600 * INT64_C(1000))

struct store_dir {
    char dir[PATH_MAX - 128]; /* leaves room for "/ab/HEX" */
    int64_t max_bytes;
    pthread_mutex_t lock;
    struct store_index index; /* under the lock; of a bounded store only */
};

static void blob_path(const struct store_dir *s, const struct digest *d, char *path, size_t room)
{
    char hex[DIGEST_HEX_ROOM];

    digest_hex(d, hex);
    snprintf(path, room, "%s/%.2s/%s", s->dir, hex, hex);
}

bool store_dir_part_path(const struct store_dir *s, const struct digest *d, char *path, size_t room)
{
    char hex[DIGEST_HEX_ROOM];
    int n;

    digest_hex(d, hex);
    n = snprintf(path, room, "%s/parts/%s", s->dir, hex);
    return n > 0 && (size_t)n < room;
}

/* Removes least recently used blobs until `bytes` more fit. The caller holds the lock. */
static bool make_room(struct store_dir *s, int64_t bytes, struct error *err)
{
    struct store_entry *e = s->index.oldest;
    char path[PATH_MAX];

    while (bytes > s->max_bytes - s->index.total_bytes) {
        while (e && (e->bytes < 0 || e->pins))
            e = e->newer;
        if (!e)
            return error_set(err, ERROR_IO,
                             "store %s: no room for %" PRId64 " bytes: %" PRId64 " of %" PRId64 " are in use", s->dir,
                             bytes, s->index.total_bytes, s->max_bytes);
        struct store_entry *newer = e->newer;
        blob_path(s, &e->digest, path, sizeof path);
        unlink(path);
        store_index_gone(&s->index, e);
        e = newer;
    }
    return true;
}

/* ---- opening ---- */

/* What is found at the start, to be put in the order of use. */
struct found {
    struct digest digest;
    int64_t bytes, used_ns;
};
struct shelves {
    struct found *list;
    size_t count, room;
};

static int by_use(const void *a, const void *b)
{
    const struct found *x = a, *y = b;

    return x->used_ns < y->used_ns ? -1 : x->used_ns > y->used_ns;
}

static void scan_shelf(const struct store_dir *s, const char *name, struct shelves *to)
{
    char path[PATH_MAX];
    struct dirent *item;
    DIR *dir;

    snprintf(path, sizeof path, "%s/%s", s->dir, name);
    dir = opendir(path);
    while (dir && (item = readdir(dir))) {
        struct found f;
        struct stat st;

        if (!digest_from_hex(&f.digest, item->d_name) || fstatat(dirfd(dir), item->d_name, &st, 0) != 0)
            continue;
        f.bytes = st.st_size;
        f.used_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
        if (to->count == to->room) {
            to->room = to->room ? 2 * to->room : 256;
            to->list = xrealloc(to->list, to->room * sizeof *to->list);
        }
        to->list[to->count++] = f;
    }
    if (dir)
        closedir(dir);
}

static void scan(struct store_dir *s)
{
    struct shelves all = { 0 };

    for (int i = 0; i < 256; i++) {
        char name[3];

        snprintf(name, sizeof name, "%02x", i);
        scan_shelf(s, name, &all);
    }
    if (all.count > 0)
        qsort(all.list, all.count, sizeof *all.list, by_use);
    for (size_t i = 0; i < all.count; i++)
        store_index_use(&s->index, store_index_find_or_add(&s->index, &all.list[i].digest), all.list[i].bytes,
                        all.list[i].used_ns / 1000000);
    free(all.list);
}

void store_dir_drop_old_parts(const struct store_dir *s)
{
    char path[PATH_MAX];
    int64_t now_ms = clock_wall_ms();
    struct dirent *item;
    DIR *dir;

    snprintf(path, sizeof path, "%s/parts", s->dir);
    dir = opendir(path);
    while (dir && (item = readdir(dir))) {
        struct stat st;

        if (item->d_name[0] != '.' && fstatat(dirfd(dir), item->d_name, &st, 0) == 0 && S_ISREG(st.st_mode) &&
            now_ms - st.st_mtim.tv_sec * 1000 > PART_KEPT_MS)
            unlinkat(dirfd(dir), item->d_name, 0);
    }
    if (dir)
        closedir(dir);
}

struct store_dir *store_dir_open(const char *dir, int64_t max_bytes, struct error *err)
{
    struct store_dir *s = xcalloc(1, sizeof *s);
    char parts[PATH_MAX];

    pthread_mutex_init(&s->lock, NULL);
    s->max_bytes = max_bytes;
    if (snprintf(s->dir, sizeof s->dir, "%s", dir) >= (int)sizeof s->dir) {
        error_set(err, ERROR_IO, "store %s: %s", dir, strerror(ENAMETOOLONG));
        store_dir_close(&s);
        return NULL;
    }
    snprintf(parts, sizeof parts, "%s/parts", s->dir);
    if (!file_make_dirs(parts, 0777, err)) {
        error_wrap(err, "store %s", dir);
        store_dir_close(&s);
        return NULL;
    }
    store_dir_drop_old_parts(s);
    if (max_bytes > 0) {
        struct error too_full;

        scan(s);
        make_room(s, 0, &too_full); /* the bound may have been lowered; nothing is pinned yet, so this succeeds */
    }
    return s;
}

void store_dir_close(struct store_dir **s)
{
    if (!*s)
        return;
    pthread_mutex_destroy(&(*s)->lock);
    store_index_free(&(*s)->index);
    free(*s);
    *s = NULL;
}

/* ---- reading ---- */

static void use(struct store_dir *s, const struct digest *d, int64_t bytes)
{
    store_index_use(&s->index, store_index_find_or_add(&s->index, d), bytes, clock_wall_ms());
}

/* Marks a blob as used now, also for the next start. */
static void touch(struct store_dir *s, const struct digest *d, const char *path, const struct stat *st)
{
    if (s->max_bytes <= 0)
        return;
    pthread_mutex_lock(&s->lock);
    use(s, d, st->st_size);
    pthread_mutex_unlock(&s->lock);
    if (clock_wall_ms() - st->st_mtim.tv_sec * 1000 >= USE_NOTED_MS)
        utimensat(AT_FDCWD, path, NULL, 0);
}

int64_t store_dir_bytes(struct store_dir *s, const struct digest *d)
{
    char path[PATH_MAX];
    struct stat st;

    blob_path(s, d, path, sizeof path);
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return -1;
    touch(s, d, path, &st);
    return st.st_size;
}

bool store_dir_has(struct store_dir *s, const struct digest *d)
{
    return store_dir_bytes(s, d) >= 0;
}

bool store_dir_path(struct store_dir *s, const struct digest *d, char *path, size_t room)
{
    char full[PATH_MAX];

    if (!store_dir_has(s, d))
        return false;
    blob_path(s, d, full, sizeof full);
    return snprintf(path, room, "%s", full) < (int)room;
}

char *store_dir_read(struct store_dir *s, const struct digest *d, size_t max_bytes, size_t *size, struct error *err)
{
    char path[PATH_MAX], hex[DIGEST_HEX_ROOM];
    struct digest found;
    char *data;
    size_t read_bytes;

    digest_hex(d, hex);
    if (!store_dir_path(s, d, path, sizeof path)) {
        error_set(err, ERROR_IO, "blob %.16s...: not in store %s", hex, s->dir);
        return NULL;
    }
    data = file_read(path, max_bytes, &read_bytes, err);
    if (!data)
        return NULL;
    found = digest_of(data, read_bytes);
    if (!digest_equal(&found, d)) {
        store_dir_remove(s, d); /* a damaged blob is an absent one: whoever needs it gets it again */
        free(data);
        error_set(err, ERROR_INPUT, "blob %.16s...: the bytes on disk are damaged; removed from store %s", hex, s->dir);
        return NULL;
    }
    if (size)
        *size = read_bytes;
    return data;
}

/* ---- writing ---- */

bool store_dir_fits(const struct store_dir *s, int64_t bytes, struct error *err)
{
    if (s->max_bytes > 0 && bytes > s->max_bytes)
        return error_set(err, ERROR_IO, "store %s: a blob of %" PRId64 " bytes, but the store may hold only %" PRId64,
                         s->dir, bytes, s->max_bytes);
    return true;
}

static void sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

bool store_dir_adopt(struct store_dir *s, const char *part, const struct digest *d, int64_t bytes, struct error *err)
{
    char path[PATH_MAX], shelf[PATH_MAX];
    bool ok;

    blob_path(s, d, path, sizeof path);
    snprintf(shelf, sizeof shelf, "%.*s", (int)(strrchr(path, '/') - path), path);
    if (!store_dir_fits(s, bytes, err))
        return false;
    pthread_mutex_lock(&s->lock);
    const struct store_entry *there = store_index_find(&s->index, d);
    ok = s->max_bytes <= 0 || (there && there->bytes >= 0) || make_room(s, bytes, err);
    if (ok && rename(part, path) != 0) {
        if (errno == ENOENT && mkdir(shelf, 0777) == 0) /* the first on its shelf */
            sync_folder(s->dir);
        if (rename(part, path) != 0)
            ok = error_set(err, ERROR_IO, "%s: %s", path, strerror(errno));
    }
    if (ok && s->max_bytes > 0)
        use(s, d, bytes);
    pthread_mutex_unlock(&s->lock);
    if (ok)
        sync_folder(shelf);
    return ok;
}

bool store_dir_add_bytes(struct store_dir *s, const void *data, size_t size, struct digest *d, struct error *err)
{
    *d = digest_of(data, size);
    return store_dir_has(s, d) || store_writer_put(s, d, data, size, err);
}

/* Copies a whole file into a writer. */
static bool pour(struct store_writer *w, int fd, const char *path, struct error *err)
{
    enum { STEP = 1 << 18 };
    uint8_t *buffer = xmalloc(STEP);
    bool ok = store_writer_restart(w, err);
    ssize_t n = 0;

    while (ok && (n = read(fd, buffer, STEP)) > 0)
        ok = store_writer_append(w, buffer, (size_t)n, err);
    if (ok && n < 0)
        ok = error_set(err, ERROR_IO, "%s: %s", path, strerror(errno));
    free(buffer);
    return ok;
}

bool store_dir_add_file(struct store_dir *s, const char *path, struct digest *d, int64_t *bytes, struct error *err)
{
    struct store_writer *w;
    int64_t there;
    bool ok;
    int fd;

    if (!digest_of_file(d, path, err))
        return false;
    there = store_dir_bytes(s, d);
    if (there >= 0) {
        *bytes = there;
        return true;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, ERROR_IO, "%s: %s", path, strerror(errno));
    w = store_writer_open(s, d, -1, err);
    ok = w && pour(w, fd, path, err);
    close(fd);
    if (!ok) {
        store_writer_abort(&w);
        return false;
    }
    *bytes = store_writer_offset(w);
    return store_writer_commit(&w, err) || error_wrap(err, "%s", path);
}

/* The caller holds the lock. */
static bool remove_blob(struct store_dir *s, const struct digest *d)
{
    struct store_entry *e = store_index_find(&s->index, d);
    char path[PATH_MAX];

    blob_path(s, d, path, sizeof path);
    if (e)
        store_index_gone(&s->index, e);
    return unlink(path) == 0;
}

bool store_dir_remove(struct store_dir *s, const struct digest *d)
{
    pthread_mutex_lock(&s->lock);
    bool removed = remove_blob(s, d);
    pthread_mutex_unlock(&s->lock);
    return removed;
}

void store_dir_pin(struct store_dir *s, const struct digest *d)
{
    pthread_mutex_lock(&s->lock);
    store_index_find_or_add(&s->index, d)->pins++;
    pthread_mutex_unlock(&s->lock);
}

void store_dir_unpin(struct store_dir *s, const struct digest *d)
{
    struct store_entry *e;

    pthread_mutex_lock(&s->lock);
    e = store_index_find(&s->index, d);
    if (e && e->pins > 0 && --e->pins == 0 && e->bytes < 0)
        store_index_gone(&s->index, e);
    pthread_mutex_unlock(&s->lock);
}

/* ---- an owner that makes room itself ---- */

int64_t store_dir_total(struct store_dir *s)
{
    pthread_mutex_lock(&s->lock);
    int64_t bytes = s->index.total_bytes;
    pthread_mutex_unlock(&s->lock);
    return bytes;
}

int64_t store_dir_peek(struct store_dir *s, const struct digest *d)
{
    pthread_mutex_lock(&s->lock);
    const struct store_entry *e = store_index_find(&s->index, d);
    int64_t bytes = e ? e->bytes : -1;
    pthread_mutex_unlock(&s->lock);
    return bytes;
}

size_t store_dir_oldest(struct store_dir *s, int64_t bytes, store_dir_keeps *keeps, void *context,
                        struct store_blob *list, size_t room)
{
    size_t count = 0;

    pthread_mutex_lock(&s->lock);
    for (const struct store_entry *e = s->index.oldest; e && bytes > 0 && count < room; e = e->newer) {
        const struct store_blob b = { .digest = e->digest, .bytes = e->bytes, .used_ms = e->used_ms };

        if (e->bytes < 0 || e->pins || keeps(context, &b))
            continue;
        list[count++] = b;
        bytes -= e->bytes;
    }
    pthread_mutex_unlock(&s->lock);
    return count;
}

bool store_dir_evict(struct store_dir *s, const struct store_blob *b)
{
    pthread_mutex_lock(&s->lock);
    const struct store_entry *e = store_index_find(&s->index, &b->digest);
    bool removed = e && !e->pins && e->used_ms == b->used_ms && remove_blob(s, &b->digest);
    pthread_mutex_unlock(&s->lock);
    return removed;
}

/* packs - see packs.h. DIR/DIGEST is a complete pack, DIR/DIGEST.part one that is being fetched. */
#include "worker/packs.h"

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/nn/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LISTING_BYTES (4u << 20)
#define MAX_FILES         10000
#define MAX_SOUND         16
#define READ_STEP         (1u << 20)

struct packs {
    char dir[PATH_MAX - 512]; /* leaves room for "/DIGEST.part/PATH" */
    char local[PATH_MAX];
    bool has_local;
    struct digest local_digest;
    struct digest sound[MAX_SOUND]; /* complete and checked by this process; the oldest is checked anew */
    size_t sound_count;
};

struct packs *packs_open(const char *dir, const char *local, struct error *err)
{
    struct packs *p = xcalloc(1, sizeof *p);
    struct pack_listing listing = { 0 };

    if (!str_copy(p->dir, sizeof p->dir, dir) || (local && !str_copy(p->local, sizeof p->local, local))) {
        error_set(err, ERROR_IO, "packs: %s", strerror(ENAMETOOLONG));
        goto failed;
    }
    if (!file_make_dirs(dir, 0777, err))
        goto failed;
    if (local) {
        if (!pack_check_files(local, false, err) || !pack_list(&listing, local, err)) {
            error_wrap(err, "--pack");
            goto failed;
        }
        p->has_local = true;
        p->local_digest = listing.digest;
        pack_listing_free(&listing);
    }
    return p;

failed:
    packs_close(&p);
    return NULL;
}

void packs_close(struct packs **p)
{
    free(*p);
    *p = NULL;
}

bool packs_local(const struct packs *p, struct digest *pack)
{
    *pack = p->local_digest;
    return p->has_local;
}

static void pack_path(const struct packs *p, const struct digest *pack, const char *suffix, char *path, size_t room)
{
    char hex[DIGEST_HEX_ROOM];

    digest_hex(pack, hex);
    snprintf(path, room, "%s/%s%s", p->dir, hex, suffix);
}

bool packs_path(struct packs *p, const struct digest *pack, char *path, size_t room)
{
    char full[PATH_MAX];

    if (p->has_local && digest_equal(pack, &p->local_digest))
        return str_copy(path, room, p->local);
    pack_path(p, pack, "", full, sizeof full);
    return file_is_dir(full) && str_copy(path, room, full);
}

/* ---- fetching ---- */

/* A path from the farm must stay below the pack's folder: plain names between single slashes. */
static bool path_is_safe(const char *path)
{
    bool start = true;

    for (const char *c = path; *c; c++) {
        if ((start && (*c == '.' || *c == '/')) || *c < ' ' || *c == '\\' || *c == 0x7f)
            return false;
        start = *c == '/';
    }
    return !start;
}

/* Reads the listing [{path, bytes, digest}]; what is wrong with it is named. */
static bool parse_listing(struct pack_listing *l, const char *text, size_t size, const struct digest *pack,
                          struct error *err)
{
    struct json_reader r = { .where = "pack listing", .err = err };
    json_t *root = json_parse(text, size, r.where, err);
    struct digest found;
    bool ok = false;

    if (!root)
        return false;
    if (!json_is_array(root) || json_array_size(root) == 0 || json_array_size(root) > MAX_FILES) {
        error_set(err, ERROR_INPUT, "pack listing: expected a list of 1 to %d files", MAX_FILES);
        goto out;
    }
    l->files = xcalloc(json_array_size(root), sizeof *l->files);
    for (size_t i = 0; i < json_array_size(root); i++) {
        const json_t *item = json_array_get(root, i);
        struct pack_file *f = &l->files[l->count];
        const char *path = json_text(&r, item, "path"), *hex = json_text(&r, item, "digest");

        f->bytes = json_int(&r, item, "bytes", 0, INT64_C(1) << 48);
        if (r.failed)
            goto out;
        if (!str_copy(f->path, sizeof f->path, path) || !path_is_safe(path)) {
            error_set(err, ERROR_INPUT, "pack listing: file %zu: the path is not a plain relative one", i + 1);
            goto out;
        }
        if (i > 0 && strcmp(l->files[i - 1].path, f->path) >= 0) {
            error_set(err, ERROR_INPUT, "pack listing: %s: expected paths in ascending order", f->path);
            goto out;
        }
        if (!digest_from_hex(&f->digest, hex)) {
            error_set(err, ERROR_INPUT, "pack listing: %s: digest: expected 64 hex digits", f->path);
            goto out;
        }
        l->count++;
    }
    found = pack_listing_digest(l);
    ok = digest_equal(&found, pack) ||
         error_set(err, ERROR_INPUT, "pack listing: its files do not make up the pack's digest");
out:
    json_decref(root);
    return ok;
}

static bool get_listing(struct pack_listing *l, struct blob_client *from, struct store_dir *blobs,
                        const struct digest *pack, const struct digest *listing, int64_t timeout_ms, struct error *err)
{
    size_t size;
    char *text;
    bool ok;

    if (!blob_client_get(from, blobs, listing, timeout_ms, err))
        return error_wrap(err, "pack listing");
    text = store_dir_read(blobs, listing, MAX_LISTING_BYTES, &size, err);
    ok = text && parse_listing(l, text, size, pack, err);
    free(text);
    return ok;
}

/* Whether the file's bytes are here, all of them as they were meant to be; not, when it is stopped in between. */
static bool has_file(const char *path, const struct pack_file *f, const atomic_bool *stop)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    struct hash h;
    ssize_t n = -1;

    if (fd < 0)
        return false;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == f->bytes) {
        uint8_t *step = xmalloc(READ_STEP);

        hash_begin(&h);
        while (!atomic_load(stop) && (n = read(fd, step, READ_STEP)) > 0)
            hash_bytes(&h, step, (size_t)n);
        free(step);
    }
    close(fd);
    if (n != 0)
        return false;
    const struct digest d = hash_end(&h);
    return digest_equal(&d, &f->digest);
}

static bool stopped(const atomic_bool *stop, struct error *err)
{
    return atomic_load(stop) && !error_set(err, ERROR_CANCELLED, "stopped");
}

static bool get_file(struct blob_client *from, const char *folder, const struct pack_file *f, int64_t timeout_ms,
                     const atomic_bool *stop, struct error *err)
{
    char path[PATH_MAX], parent[PATH_MAX];

    if (!file_join(path, sizeof path, folder, f->path))
        return error_set(err, ERROR_IO, "%s: %s", f->path, strerror(ENAMETOOLONG));
    if (has_file(path, f, stop))
        return true;
    if (stopped(stop, err))
        return false;
    snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(path, '/') - path), path);
    return (file_make_dirs(parent, 0777, err) && blob_client_get_file(from, &f->digest, path, timeout_ms, err)) ||
           error_wrap(err, "%s", f->path);
}

/* A pack that was complete at some time is that only if its bytes still are what they were: disks forget, and a flipped
 * bit would spoil every task. What is wrong is fetched again, with the folder under its name of an unfinished one. */
static bool check(const char *full, const char *part, const struct pack_listing *l, bool *sound,
                  const atomic_bool *stop, struct error *err)
{
    const int64_t begin_ms = clock_now_ms();
    char path[PATH_MAX];

    *sound = true;
    for (size_t i = 0; i < l->count; i++) {
        if (file_join(path, sizeof path, full, l->files[i].path) && has_file(path, &l->files[i], stop))
            continue;
        if (stopped(stop, err))
            return false;
        log_warn("pack.damaged", "pack=%s file=\"%s\" reason=\"its bytes are not those of its digest: fetched again\"",
                 full, l->files[i].path);
        *sound = false;
    }
    if (*sound)
        log_info("pack.checked", "pack=%s files=%zu ms=%" PRId64, full, l->count, clock_now_ms() - begin_ms);
    return *sound || ((!file_is_dir(part) || file_remove_tree(part, err)) &&
                      (rename(full, part) == 0 || error_set(err, ERROR_IO, "%s: %s", part, strerror(errno))));
}

static bool get_all(struct blob_client *from, const struct pack_listing *l, const char *part, const char *full,
                    int64_t timeout_ms, const atomic_bool *stop, struct error *err)
{
    int64_t bytes = 0;

    for (size_t i = 0; i < l->count; i++) {
        if (!get_file(from, part, &l->files[i], timeout_ms, stop, err))
            return false;
        bytes += l->files[i].bytes;
    }
    if (!pack_check_files(part, false, err))
        return false;
    if (rename(part, full) != 0)
        return error_set(err, ERROR_IO, "%s: %s", full, strerror(errno));
    log_info("pack.fetched", "pack=%s files=%zu bytes=%" PRId64, full, l->count, bytes);
    return true;
}

static bool is_sound(const struct packs *p, const struct digest *pack)
{
    for (size_t i = 0; i < p->sound_count; i++)
        if (digest_equal(&p->sound[i], pack))
            return true;
    return p->has_local && digest_equal(pack, &p->local_digest); /* hashed when it was opened */
}

static void note_sound(struct packs *p, const struct digest *pack)
{
    if (p->sound_count == MAX_SOUND)
        memmove(p->sound, p->sound + 1, --p->sound_count * sizeof *p->sound);
    p->sound[p->sound_count++] = *pack;
}

bool packs_fetch(struct packs *p, struct blob_client *from, struct store_dir *blobs, const struct digest *pack,
                 const struct digest *listing, int64_t timeout_ms, const atomic_bool *stop, struct error *err)
{
    struct pack_listing l = { 0 };
    char part[PATH_MAX], full[PATH_MAX];
    bool sound = false;

    if (is_sound(p, pack))
        return true;
    pack_path(p, pack, ".part", part, sizeof part);
    pack_path(p, pack, "", full, sizeof full);
    bool ok = get_listing(&l, from, blobs, pack, listing, timeout_ms, err) &&
              (!file_is_dir(full) || check(full, part, &l, &sound, stop, err)) &&
              (sound || get_all(from, &l, part, full, timeout_ms, stop, err));
    if (ok)
        note_sound(p, pack);
    pack_listing_free(&l);
    return ok || error_wrap(err, "pack from the farm");
}

/* outbox - see outbox.h. A file is a packed WorkerDone, named by task, attempt and the beginning of the key. */
#include "worker/outbox.h"

#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/wire/codec.h"
#include "proto/worker.pb-c.h"
#include "worker/report.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILE_BYTES 65536u

struct outbox {
    char dir[PATH_MAX - 160];
    struct store_dir *blobs;
};

static void result_path(const struct outbox *o, const struct result *r, char path[PATH_MAX])
{
    char hex[DIGEST_HEX_ROOM];

    digest_hex(&r->key, hex);
    snprintf(path, PATH_MAX, "%s/%" PRIu64 "-%" PRIu32 "-%.16s.done", o->dir, r->task, r->attempt, hex);
}

struct outbox *outbox_open(const char *dir, struct store_dir *blobs, struct error *err)
{
    struct outbox *o;

    if (strlen(dir) >= sizeof o->dir) {
        error_set(err, ERROR_IO, "outbox %s: %s", dir, strerror(ENAMETOOLONG));
        return NULL;
    }
    if (!file_make_dirs(dir, 0777, err)) {
        error_wrap(err, "outbox");
        return NULL;
    }
    o = xcalloc(1, sizeof *o);
    str_copy(o->dir, sizeof o->dir, dir);
    o->blobs = blobs;
    return o;
}

void outbox_close(struct outbox **o)
{
    free(*o);
    *o = NULL;
}

static bool read_result(const char *path, struct result *r, struct error *err)
{
    struct arena arena = { 0 };
    const Shotline__WorkerDone *done = NULL;
    size_t size;
    char *data = file_read(path, MAX_FILE_BYTES, &size, err);
    bool ok = false;

    if (data)
        done = codec_unpack(&shotline__worker_done__descriptor, data, size, &arena, err);
    if (done)
        ok = result_from_done(r, done, err);
    free(data);
    arena_free(&arena);
    return ok;
}

static void pin(struct outbox *o, const struct result *r)
{
    for (size_t i = 0; i < r->count; i++)
        store_dir_pin(o->blobs, &r->outputs[i].digest);
}

bool outbox_load(struct outbox *o, void (*each)(void *context, const struct result *r), void *context,
                 struct error *err)
{
    DIR *dir = opendir(o->dir);
    struct dirent *item;

    if (!dir)
        return error_set(err, ERROR_IO, "outbox %s: %s", o->dir, strerror(errno));
    while ((item = readdir(dir))) {
        char path[PATH_MAX];
        struct error why = { 0 };
        struct result r;

        if (item->d_name[0] == '.' || !file_join(path, sizeof path, o->dir, item->d_name))
            continue;
        const bool named = str_ends(item->d_name, ".done"), ok = named && read_result(path, &r, &why);
        if (named && !ok && why.kind == ERROR_IO) { /* it may be whole: the next start tries again */
            log_error("outbox.unread", "file=%s reason=\"%s\"", path, why.text);
            continue;
        }
        if (!ok) {
            log_warn("outbox.removed", "file=%s reason=\"%s\"", path, why.kind ? why.text : "not a finished result");
            unlink(path);
            continue;
        }
        pin(o, &r);
        each(context, &r);
    }
    closedir(dir);
    return true;
}

bool outbox_put(struct outbox *o, const struct result *r, struct error *err)
{
    Shotline__WorkerDone done;
    struct done_parts parts;
    struct str packed = { 0 };
    char path[PATH_MAX];
    bool ok;

    result_to_done(r, &done, &parts);
    codec_pack(&done.base, &packed);
    result_path(o, r, path);
    ok = file_write(path, packed.data, packed.size, err);
    str_free(&packed);
    if (!ok)
        return error_wrap(err, "outbox");
    pin(o, r);
    return true;
}

void outbox_drop(struct outbox *o, const struct result *r)
{
    char path[PATH_MAX];

    result_path(o, r, path);
    if (unlink(path) != 0 && errno != ENOENT)
        log_warn("outbox.drop", "file=%s reason=\"%s\"", path, strerror(errno));
    for (size_t i = 0; i < r->count; i++)
        store_dir_unpin(o->blobs, &r->outputs[i].digest);
}

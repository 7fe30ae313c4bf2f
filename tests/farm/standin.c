/* standin - tasks and packs that need no model, for tests of the worker around them. A text task's prompt says what
 * happens: "copy HEX": the output is the blob HEX; "say TEXT": it is TEXT; "wait": until cancelled; "until FILE":
 * steps until that file is there; "fail KIND": ends with that error. A pack is a folder with a shotline.json. */
#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/str.h"
#include "common/nn/pack.h"
#include "worker/tasks/task.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* ---- tasks ---- */

struct studio {
    struct exec *exec;
};

struct studio *studio_open(const char *pack_dir, struct exec *exec, struct error *err)
{
    struct studio *s = xcalloc(1, sizeof *s);

    s->exec = exec;
    if (pack_check_files(pack_dir, false, err))
        return s;
    free(s);
    return NULL;
}

void studio_close(struct studio **s)
{
    free(*s);
    *s = NULL;
}

/* `file` NULL: for ever. */
static bool step_until(const struct task_run *run, const char *file, struct error *err)
{
    for (uint32_t i = 0; !file || !file_exists(file); i++) {
        if (atomic_load(run->cancel))
            return error_set(err, ERROR_CANCELLED, "cancelled at step %u", i);
        run->progress(run->context, i, UINT32_MAX);
        nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    }
    return true;
}

static bool copy_blob(const struct task_run *run, const char *hex, struct task_output *to, struct error *err)
{
    struct digest d;
    size_t size;
    char *data;
    bool ok;

    if (!digest_from_hex(&d, hex))
        return error_set(err, ERROR_INPUT, "copy: expected 64 hex digits");
    data = store_dir_read(run->blobs, &d, 64 << 20, &size, err);
    ok = data && store_dir_add_bytes(run->blobs, data, size, &to->digest, err);
    to->bytes = (int64_t)size;
    free(data);
    return ok;
}

static enum error_kind kind_named(const char *name)
{
    for (int k = ERROR_USAGE; k <= ERROR_INTERNAL; k++)
        if (strcmp(error_kind_name(k), name) == 0)
            return k;
    return ERROR_INTERNAL;
}

bool task_execute(const struct task_run *run, const Shotline__TaskSpec *spec, struct task_outputs *out,
                  struct error *err)
{
    const char *prompt = spec->text->prompt;
    struct task_output *to = &out->output[0];

    to->name = "embedding";
    out->count = 1;
    if (str_starts(prompt, "copy "))
        return copy_blob(run, prompt + 5, to, err);
    if (str_starts(prompt, "fail "))
        return error_set(err, kind_named(prompt + 5), "as was asked for");
    if (strcmp(prompt, "wait") == 0 && !step_until(run, NULL, err))
        return false;
    if (str_starts(prompt, "until ") && !step_until(run, prompt + 6, err))
        return false;
    to->bytes = (int64_t)strlen(prompt);
    return store_dir_add_bytes(run->blobs, prompt, strlen(prompt), &to->digest, err);
}

size_t task_inputs(const Shotline__TaskSpec *spec, struct digest *inputs, size_t room)
{
    return room > 0 && str_starts(spec->text->prompt, "copy ") && digest_from_hex(inputs, spec->text->prompt + 5);
}

/* ---- packs ---- */

bool pack_check_files(const char *dir, bool with_planner, struct error *err)
{
    char path[PATH_MAX];

    (void)with_planner;
    return (file_join(path, sizeof path, dir, "shotline.json") && file_exists(path)) ||
           error_set(err, ERROR_INPUT, "%s: expected a shotline.json", dir);
}

struct digest pack_listing_digest(const struct pack_listing *l)
{
    struct hash h;

    hash_begin(&h);
    for (size_t i = 0; i < l->count; i++) {
        hash_text(&h, l->files[i].path);
        hash_digest(&h, &l->files[i].digest);
    }
    return hash_end(&h);
}

bool pack_list(struct pack_listing *l, const char *dir, struct error *err)
{
    return error_set(err, ERROR_INTERNAL, "%s: not listed here, %zu files", dir, l->count);
}

void pack_listing_free(struct pack_listing *l)
{
    free(l->files);
    *l = (struct pack_listing){ 0 };
}

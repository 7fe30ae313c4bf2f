#include "coordinator/store/fsck.h"

#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/wire/codec.h"
#include "coordinator/core/manifest.h"
#include "coordinator/store/state_lock.h"
#include "coordinator/store/store_check.h"
#include "proto/types.pb-c.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGEST_MANIFEST (256u << 20)

/* A set of blobs: filled, then sorted, then asked. */
struct set {
    struct blob_ref *list;
    size_t count, room;
};

struct fsck {
    const char *state;
    bool repair;
    fsck_say *say;
    void *context;
    struct fsck_report *report;
    struct store_check *store;
    struct set present; /* blobs whose bytes are what their name says */
    struct set named;   /* by anything: the others are orphans */
    struct set evicted; /* blobs that the farm removed to make room */
    struct set broken;  /* keys whose results are to be forgotten */
};

const char *finding_name(enum finding f)
{
    static const char *const names[FINDINGS] = {
        [FINDING_STORE] = "store",
        [FINDING_BLOB_DAMAGED] = "blob.damaged",
        [FINDING_BLOB_FOREIGN] = "blob.foreign",
        [FINDING_RESULT_GONE] = "result.gone",
        [FINDING_RESULT_WRONG] = "result.wrong",
        [FINDING_MANIFEST_GONE] = "manifest.gone",
        [FINDING_MANIFEST_BAD] = "manifest.bad",
        [FINDING_KEY_WRONG] = "key.wrong",
        [FINDING_CAMPAIGN_BAD] = "campaign.bad",
        [FINDING_ORPHANS] = "orphans",
    };
    return f > 0 && f < FINDINGS ? names[f] : "unknown";
}

static void found(struct fsck *k, enum finding f, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void found(struct fsck *k, enum finding f, const char *fmt, ...)
{
    char text[PATH_MAX + 512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    k->report->found[f]++;
    k->say(k->context, f, text);
}

/* ---- sets ---- */

static void set_add(struct set *s, const struct digest *d, int64_t bytes)
{
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 256;
        s->list = xrealloc(s->list, s->room * sizeof *s->list);
    }
    s->list[s->count++] = (struct blob_ref){ .digest = *d, .bytes = bytes };
}

static int by_digest(const void *a, const void *b)
{
    return digest_compare(&((const struct blob_ref *)a)->digest, &((const struct blob_ref *)b)->digest);
}

static void set_sort(struct set *s)
{
    if (s->count)
        qsort(s->list, s->count, sizeof *s->list, by_digest);
}

static const struct blob_ref *set_find(const struct set *s, const struct digest *d)
{
    const struct blob_ref wanted = { .digest = *d };

    return s->count ? bsearch(&wanted, s->list, s->count, sizeof *s->list, by_digest) : NULL;
}

static bool is_present(const struct fsck *k, const struct blob_ref *b)
{
    const struct blob_ref *there = set_find(&k->present, &b->digest);

    return there && there->bytes == b->bytes;
}

/* ---- blobs ---- */

static void take_away(struct fsck *k, const char *path, const char *name)
{
    char folder[PATH_MAX], to[PATH_MAX];
    struct error err;

    if (!k->repair || !file_join(folder, sizeof folder, k->state, "damaged") ||
        !file_join(to, sizeof to, folder, name) || !file_make_dirs(folder, 0700, &err) || rename(path, to))
        return;
    k->report->repaired[FINDING_BLOB_DAMAGED]++;
}

static void check_blob(struct fsck *k, const char *shelf, const char *path, const char *name)
{
    struct digest named, real;
    struct error err;
    struct stat st;

    if (lstat(path, &st) || !S_ISREG(st.st_mode) || !digest_from_hex(&named, name) || strncmp(shelf, name, 2)) {
        found(k, FINDING_BLOB_FOREIGN, "blobs/%.10s/%.100s is no blob; left as it is", shelf, name);
        return;
    }
    k->report->blobs++;
    k->report->blob_bytes += st.st_size;
    if (!digest_of_file(&real, path, &err)) {
        found(k, FINDING_BLOB_DAMAGED, "%s", err.text);
    } else if (!digest_equal(&real, &named)) {
        char hex[DIGEST_HEX_ROOM];

        digest_hex(&real, hex);
        found(k, FINDING_BLOB_DAMAGED, "%s has the digest %s: %s to damaged/", name, hex,
              k->repair ? "moved" : "would be moved");
        take_away(k, path, name);
    } else {
        set_add(&k->present, &named, st.st_size);
    }
}

static void check_shelf(struct fsck *k, const char *blobs, const char *shelf)
{
    char dir[PATH_MAX], path[PATH_MAX];
    struct dirent *item;

    if (!file_join(dir, sizeof dir, blobs, shelf))
        return;
    DIR *d = opendir(dir);
    if (!d) {
        found(k, FINDING_BLOB_FOREIGN, "blobs/%.100s: %s", shelf, strerror(errno));
        return;
    }
    while ((item = readdir(d)))
        if (item->d_name[0] != '.' && file_join(path, sizeof path, dir, item->d_name))
            check_blob(k, shelf, path, item->d_name);
    closedir(d);
}

static void check_blobs(struct fsck *k)
{
    char blobs[PATH_MAX];
    struct dirent *item;

    if (!file_join(blobs, sizeof blobs, k->state, "blobs"))
        return;
    DIR *d = opendir(blobs);
    while (d && (item = readdir(d)))
        if (item->d_name[0] != '.' && strcmp(item->d_name, "parts")) /* what was still arriving is nobody's yet */
            check_shelf(k, blobs, item->d_name);
    if (d)
        closedir(d);
    set_sort(&k->present);
}

/* ---- results ---- */

static void check_result(void *context, const struct checked_result *r)
{
    struct fsck *k = context;
    const struct blob_ref blob = { .digest = r->digest, .bytes = r->bytes };
    char key[DIGEST_HEX_ROOM], hex[DIGEST_HEX_ROOM];

    k->report->results++;
    if (!r->valid) {
        found(k, FINDING_STORE, "a result has a key or a digest that is not of %d bytes", DIGEST_BYTES);
        return;
    }
    set_add(&k->named, &r->digest, r->bytes);
    if (is_present(k, &blob))
        return;
    if (!set_find(&k->present, &r->digest) && set_find(&k->evicted, &r->digest)) {
        k->report->evicted++;
        return;
    }
    digest_hex(&r->key, key);
    digest_hex(&r->digest, hex);
    found(k, FINDING_RESULT_GONE,
          "%s of task %.16s...: blob %s %s; the result %s, and the task is made again when it "
          "is needed",
          output_text((enum output_name)r->output), key, hex,
          set_find(&k->present, &r->digest) ? "has another size" : "is not here",
          k->repair ? "is forgotten" : "would be forgotten");
    set_add(&k->broken, &r->key, 0);
}

static void forget_broken(struct fsck *k)
{
    struct error err;

    for (size_t i = 0; k->repair && i < k->broken.count; i++) /* a key stands here once per output that is gone */
        if (store_check_forget(k->store, &k->broken.list[i].digest, &err))
            k->report->repaired[FINDING_RESULT_GONE]++;
        else
            found(k, FINDING_STORE, "%s", err.text);
}

/* ---- manifests ---- */

/* Whether a task before this one made it, or it was given from outside. */
static bool is_made_before(const struct manifest *m, size_t task, const struct manifest_ref *in)
{
    if (in->slot == INPUT_IMAGE)
        return true;
    for (size_t i = 0; i < task; i++)
        for (uint32_t o = 0; o < m->tasks[i].output_count; o++)
            if (digest_equal(&m->tasks[i].outputs[o].blob.digest, &in->digest))
                return true;
    return false;
}

static void compare_result(struct fsck *k, int64_t video, const struct manifest_task *t)
{
    struct task_output outputs[TASK_MAX_OUTPUTS];
    uint32_t count = store_check_find(k->store, &t->key, outputs);

    for (uint32_t i = 0; i < count; i++)
        for (uint32_t o = 0; o < t->output_count; o++) {
            char ours[DIGEST_HEX_ROOM], theirs[DIGEST_HEX_ROOM];

            if (t->outputs[o].name != outputs[i].name ||
                digest_equal(&t->outputs[o].blob.digest, &outputs[i].blob.digest))
                continue;
            digest_hex(&outputs[i].blob.digest, ours);
            digest_hex(&t->outputs[o].blob.digest, theirs);
            found(k, FINDING_RESULT_WRONG, "%s of a %s task: the manifest of video %" PRId64 " has %s, the store %s",
                  output_text(outputs[i].name), task_kind_name(t->kind), video, theirs, ours);
        }
}

static void check_manifest(struct fsck *k, int64_t video, const struct manifest *m)
{
    for (size_t i = 0; i < m->task_count; i++) {
        const struct manifest_task *t = &m->tasks[i];
        char says[DIGEST_HEX_ROOM], real[DIGEST_HEX_ROOM];

        k->report->tasks++;
        digest_hex(&t->key, says);
        digest_hex(&t->real_key, real);
        if (strcmp(says, real))
            found(k, FINDING_KEY_WRONG,
                  "manifest of video %" PRId64 ": tasks[%zu]: key %s, its parameters and inputs "
                  "make %s",
                  video, i, says, real);
        for (size_t n = 0; n < t->input_count; n++) {
            set_add(&k->named, &t->inputs[n].digest, 0);
            if (!is_made_before(m, i, &t->inputs[n]))
                found(k, FINDING_MANIFEST_BAD,
                      "manifest of video %" PRId64 ": tasks[%zu].inputs[%zu]: no task before "
                      "it made this %s",
                      video, i, n, input_slot_name(t->inputs[n].slot));
        }
        for (uint32_t o = 0; o < t->output_count; o++)
            set_add(&k->named, &t->outputs[o].blob.digest, 0);
        compare_result(k, video, t);
    }
}

static void check_video(void *context, const struct checked_video *v)
{
    struct fsck *k = context;
    char hex[DIGEST_HEX_ROOM], path[PATH_MAX];
    struct manifest m;
    struct error err;
    size_t size;

    if (v->has_manifest)
        set_add(&k->named, &v->manifest.digest, 0);
    if (v->has_file)
        set_add(&k->named, &v->file.digest, 0);
    if (v->state != WORK_DONE)
        return;
    k->report->videos++;
    digest_hex(&v->manifest.digest, hex);
    if (!v->has_manifest || !is_present(k, &v->manifest) || !v->has_file || !is_present(k, &v->file)) {
        found(k, FINDING_MANIFEST_GONE,
              "video %" PRId64 " of campaign %" PRId64 " is done, but its %s is not here; submit its plan again", v->id,
              v->campaign, v->has_manifest && is_present(k, &v->manifest) ? "file" : "manifest");
        return;
    }
    snprintf(path, sizeof path, "%.*s/blobs/%.2s/%s", (int)(sizeof path - 100), k->state, hex, hex);
    char *text = file_read(path, LARGEST_MANIFEST, &size, &err);
    if (text && manifest_read(&m, text, size, "manifest", &err)) {
        if (!digest_equal(&m.video_digest, &v->file.digest))
            found(k, FINDING_MANIFEST_BAD, "manifest of video %" PRId64 " is of another file", v->id);
        check_manifest(k, v->id, &m);
        manifest_free(&m);
    } else {
        found(k, FINDING_MANIFEST_BAD, "video %" PRId64 ": %s", v->id, err.text);
    }
    free(text);
}

/* ---- campaigns, orphans ---- */

static void check_campaign(void *context, const struct checked_campaign *c)
{
    struct fsck *k = context;
    struct arena arena = { 0 };
    struct digest d;
    struct error err;
    const Shotline__Campaign *m =
        codec_unpack(&shotline__campaign__descriptor, c->request, c->request_bytes, &arena, &err);

    if (!m)
        found(k, FINDING_CAMPAIGN_BAD, "campaign %" PRId64 ": %s", c->id, err.text);
    for (size_t i = 0; m && i < m->n_cast; i++)
        if (m->cast[i]->image && codec_digest(&d, &m->cast[i]->image->digest))
            set_add(&k->named, &d, 0);
    if (m && m->verify && codec_digest(&d, &m->verify->manifest->digest))
        set_add(&k->named, &d, 0);
    arena_free(&arena);
}

static void take_evicted(void *context, const struct digest *d)
{
    set_add(&((struct fsck *)context)->evicted, d, 0);
}

/* A checkpoint that is gone only costs steps: it is named, and not looked for. */
static void take_checkpoint(void *context, const struct digest *d)
{
    set_add(&((struct fsck *)context)->named, d, 0);
}

static void count_orphans(struct fsck *k)
{
    uint64_t count = 0;

    set_sort(&k->named);
    for (size_t i = 0; i < k->present.count; i++)
        if (!set_find(&k->named, &k->present.list[i].digest)) {
            count++;
            k->report->orphan_bytes += k->present.list[i].bytes;
        }
    if (!count)
        return;
    found(k, FINDING_ORPHANS, "%" PRIu64 " blobs of %" PRId64 " bytes are named by nothing: left as they are", count,
          k->report->orphan_bytes);
    k->report->found[FINDING_ORPHANS] = count;
}

/* ---- all of it ---- */

static void complain(void *context, const char *line)
{
    found(context, FINDING_STORE, "%s", line);
}

static void check_all(struct fsck *k)
{
    struct error err;

    /* A store that cannot be read on is a finding like others: what else there is, is still looked at. */
    if (!store_check_integrity(k->store, complain, k, &err))
        complain(k, err.text);
    check_blobs(k);
    if (!store_check_evicted(k->store, take_evicted, k, &err))
        complain(k, err.text);
    set_sort(&k->evicted);
    if (!store_check_results(k->store, check_result, k, &err))
        complain(k, err.text);
    if (!store_check_videos(k->store, check_video, k, &err))
        complain(k, err.text);
    if (!store_check_campaigns(k->store, check_campaign, k, &err))
        complain(k, err.text);
    if (!store_check_checkpoints(k->store, take_checkpoint, k, &err))
        complain(k, err.text);
    forget_broken(k);
    count_orphans(k);
}

bool fsck_run(const char *state, bool repair, fsck_say *say, void *context, struct fsck_report *report,
              struct error *err)
{
    struct fsck k = { .state = state, .repair = repair, .say = say, .context = context, .report = report };
    char path[PATH_MAX];

    *report = (struct fsck_report){ 0 };
    if (!file_join(path, sizeof path, state, "farm.db"))
        return error_set(err, ERROR_USAGE, "%s: %s", state, strerror(ENAMETOOLONG));
    if (!file_exists(path))
        return error_set(err, ERROR_INPUT, "%s: no farm.db here: expected the state folder of a coordinator", state);
    int lock = state_lock(state, 0, err);
    if (lock < 0)
        return error_wrap(err, "stop the farm first");
    k.store = store_check_open(path, err);
    if (k.store)
        check_all(&k);
    bool ok = k.store != NULL;
    store_check_close(&k.store);
    close(lock);
    free(k.present.list);
    free(k.named.list);
    free(k.evicted.list);
    free(k.broken.list);
    return ok;
}

bool fsck_clean(const struct fsck_report *r)
{
    for (enum finding f = FINDING_STORE; f < FINDING_ORPHANS; f++)
        if (r->found[f] > r->repaired[f])
            return false;
    return true;
}

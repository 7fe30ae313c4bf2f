/* runner - see runner.h. */
#include "worker/runner.h"

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/wire/blob.h"
#include "common/wire/codec.h"
#include "worker/tasks/task.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIMEOUT_MS 10000
#define MAX_INPUTS 1024

struct runner {
    struct runner_options o; /* without blob_address, which is only for the opening */
    struct blob_client *client;
    struct exec *exec;
    struct studio *studio;
    struct digest studio_pack;

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool waiting; /* a task is there to be taken */
    bool closing, ended;
    atomic_bool cancel, hand_over;
    uint64_t task;
    uint32_t attempt;
    int64_t save_every_ms, saved_ms; /* states of a long task; 0: never */
    struct str spec;                 /* packed */
};

static void tell_progress(void *context, uint32_t step, uint32_t steps)
{
    const struct runner *r = context;
    const struct news n = { .kind = NEWS_PROGRESS, .step = step, .steps = steps };

    newsroom_post(r->o.news, &n);
}

static bool save_now(void *context)
{
    struct runner *r = context;

    return atomic_load(&r->hand_over) || (r->save_every_ms && clock_now_ms() - r->saved_ms >= r->save_every_ms);
}

static void tell_saved(void *context, uint32_t step, const struct task_output *state)
{
    struct runner *r = context;
    const struct news n = {
        .kind = NEWS_CHECKPOINT, .step = step, .state = state->digest, .state_bytes = state->bytes
    };

    r->saved_ms = clock_now_ms();
    newsroom_post(r->o.news, &n);
}

/* ---- the device ---- */

static void close_device(struct runner *r)
{
    studio_close(&r->studio);
    exec_close(&r->exec);
}

/* The studio of this pack, the device opened for it. */
static bool enter_studio(struct runner *r, const struct digest *pack, struct error *err)
{
    char path[PATH_MAX], hex[DIGEST_HEX_ROOM];

    if (r->studio && digest_equal(&r->studio_pack, pack))
        return true;
    studio_close(&r->studio);
    if (!packs_path(r->o.packs, pack, path, sizeof path)) {
        digest_hex(pack, hex);
        return error_set(err, ERROR_IO, "pack %.16s... is not here", hex);
    }
    if (!r->exec)
        r->exec = r->o.open_exec(r->o.context, err);
    if (r->exec)
        r->studio = studio_open(path, r->exec, err);
    r->studio_pack = *pack;
    return r->studio != NULL;
}

/* ---- one task ---- */

/* Moves one blob. A farm that does not answer is waited for: it may be starting anew, and the task's lease then begins
 * anew too. */
static bool move(struct runner *r, const struct digest *d, bool up, struct error *err)
{
    for (;;) {
        *err = (struct error){ 0 };
        if (up ? blob_client_put(r->client, r->o.blobs, d, TIMEOUT_MS, err)
               : blob_client_get(r->client, r->o.blobs, d, TIMEOUT_MS, err))
            return true;
        if (err->kind != ERROR_UNREACHABLE)
            return false;
        log_warn("task.waiting", "task=%" PRIu64 " reason=\"%s\"", r->task, err->text);
    }
}

static bool fetch_inputs(struct runner *r, const struct digest *inputs, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!move(r, &inputs[i], false, err))
            return error_wrap(err, "input %zu of %zu", i + 1, count);
    return true;
}

/* Computes; the outputs are in the local store and in *result then. */
static bool compute(struct runner *r, const Shotline__TaskSpec *spec, struct result *result, struct error *err)
{
    const struct task_run run = { .studio = r->studio,
                                  .blobs = r->o.blobs,
                                  .scratch_dir = r->o.scratch_dir,
                                  .cancel = &r->cancel,
                                  .progress = tell_progress,
                                  .save_now = save_now,
                                  .saved = tell_saved,
                                  .context = r };
    struct task_outputs out = { 0 };

    r->saved_ms = clock_now_ms();
    if (!task_execute(&run, spec, &out, err))
        return false;
    _Static_assert(TASK_MAX_OUTPUTS <= RESULT_MAX_OUTPUTS, "a result holds all outputs of a task");
    for (size_t i = 0; i < out.count; i++) {
        str_copy(result->outputs[i].name, sizeof result->outputs[i].name, out.output[i].name);
        result->outputs[i].digest = out.output[i].digest;
        result->outputs[i].bytes = out.output[i].bytes;
    }
    result->count = out.count;
    return true;
}

/* To the outbox first, then to the farm. */
static bool deliver(struct runner *r, const struct result *result, struct error *err)
{
    if (!outbox_put(r->o.outbox, result, err))
        return false;
    for (size_t i = 0; i < result->count; i++)
        if (!move(r, &result->outputs[i].digest, true, err)) {
            outbox_drop(r->o.outbox, result);
            return error_wrap(err, "output %s", result->outputs[i].name);
        }
    return true;
}

static bool run_spec(struct runner *r, const Shotline__TaskSpec *spec, struct result *result, struct error *err)
{
    struct digest *inputs = xcalloc(MAX_INPUTS, sizeof *inputs);
    size_t count = task_inputs(spec, inputs, MAX_INPUTS);
    int64_t begin_ms = clock_now_ms();
    struct digest pack;
    bool ok;

    for (size_t i = 0; i < count; i++)
        store_dir_pin(r->o.blobs, &inputs[i]);
    ok = codec_digest(&pack, &spec->pack) && codec_digest(&result->key, &spec->key);
    if (!ok)
        error_set(err, ERROR_INPUT, "the task's key or pack is no digest of 32 bytes");
    ok = ok && fetch_inputs(r, inputs, count, err) && enter_studio(r, &pack, err) && compute(r, spec, result, err);
    result->busy_ms = clock_now_ms() - begin_ms;
    ok = ok && deliver(r, result, err);
    for (size_t i = 0; i < count; i++)
        store_dir_unpin(r->o.blobs, &inputs[i]);
    free(inputs);
    return ok;
}

static void clear_scratch(struct runner *r)
{
    struct error why = { 0 };

    if ((file_is_dir(r->o.scratch_dir) && !file_remove_tree(r->o.scratch_dir, &why)) ||
        !file_make_dirs(r->o.scratch_dir, 0777, &why))
        log_warn("runner.scratch", "reason=\"%s\"", why.text);
}

static const char *kind_name(const Shotline__TaskSpec *spec)
{
    const ProtobufCEnumValue *v =
        spec ? protobuf_c_enum_descriptor_get_value(&shotline__task_kind__descriptor, (int)spec->kind) : NULL;

    return v ? v->name : "unknown";
}

static void run_task(struct runner *r)
{
    struct news n = { .kind = NEWS_DONE, .result = { .task = r->task, .attempt = r->attempt } };
    struct arena arena = { 0 };
    const Shotline__TaskSpec *spec =
        codec_unpack(&shotline__task_spec__descriptor, r->spec.data, r->spec.size, &arena, &n.why);

    log_info("task.start", "task=%" PRIu64 " attempt=%" PRIu32 " kind=%s", r->task, r->attempt, kind_name(spec));
    if (spec && run_spec(r, spec, &n.result, &n.why)) {
        log_info("task.done", "task=%" PRIu64 " attempt=%" PRIu32 " ms=%" PRId64, r->task, r->attempt,
                 n.result.busy_ms);
    } else {
        n.kind = NEWS_FAILED;
        log_warn("task.failed", "task=%" PRIu64 " attempt=%" PRIu32 " class=%s reason=\"%s\"", r->task, r->attempt,
                 error_kind_name(n.why.kind), n.why.text);
        if (n.why.kind == ERROR_DEVICE)
            close_device(r); /* whatever state it is in: the next task opens it anew */
    }
    arena_free(&arena);
    clear_scratch(r);
    newsroom_post(r->o.news, &n);
}

/* ---- the thread ---- */

static void *work(void *arg)
{
    struct runner *r = arg;

    pthread_mutex_lock(&r->lock);
    while (!r->closing) {
        if (!r->waiting) {
            pthread_cond_wait(&r->changed, &r->lock);
            continue;
        }
        r->waiting = false;
        pthread_mutex_unlock(&r->lock);
        run_task(r);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    close_device(r); /* on the thread that used it */
    pthread_mutex_lock(&r->lock);
    r->ended = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

struct runner *runner_open(const struct runner_options *o, struct error *err)
{
    struct runner *r = xcalloc(1, sizeof *r);
    pthread_condattr_t attr;
    int rc;

    r->o = *o;
    r->o.blob_address = NULL;
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->changed, &attr);
    pthread_condattr_destroy(&attr);
    clear_scratch(r);
    r->client = blob_client_open(o->blob_address, o->keys, &r->cancel, err);
    if (r->client) {
        rc = pthread_create(&r->thread, NULL, work, r);
        if (rc == 0)
            return r;
        error_set(err, ERROR_IO, "runner thread: %s", strerror(rc));
        blob_client_close(&r->client);
    }
    free(r);
    return NULL;
}

bool runner_close(struct runner **to_close, int64_t patience_ms)
{
    struct runner *r = *to_close;
    struct timespec until;
    bool ended;

    *to_close = NULL;
    if (!r)
        return true;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += patience_ms / 1000;
    until.tv_nsec += patience_ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&r->lock);
    r->closing = true;
    atomic_store(&r->cancel, true);
    pthread_cond_broadcast(&r->changed);
    while (!r->ended && pthread_cond_timedwait(&r->changed, &r->lock, &until) != ETIMEDOUT)
        ;
    ended = r->ended;
    pthread_mutex_unlock(&r->lock);
    if (!ended)
        return false; /* it still uses *r */
    pthread_join(r->thread, NULL);
    blob_client_close(&r->client);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    str_free(&r->spec);
    free(r);
    return true;
}

void runner_start(struct runner *r, const Shotline__Lease *lease)
{
    pthread_mutex_lock(&r->lock);
    assert(!r->waiting);
    r->task = lease->task;
    r->attempt = lease->attempt;
    r->save_every_ms = lease->checkpoint_ms;
    codec_pack(&lease->spec->base, &r->spec);
    atomic_store(&r->cancel, r->closing);
    atomic_store(&r->hand_over, false);
    r->waiting = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

void runner_hand_over(struct runner *r)
{
    atomic_store(&r->hand_over, true);
    runner_cancel(r);
}

void runner_cancel(struct runner *r)
{
    atomic_store(&r->cancel, true);
}

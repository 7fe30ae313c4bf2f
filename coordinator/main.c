/* shotline-coordinator - plans campaigns, compiles them to tasks, and has workers make them. */
#include "common/base/args.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/nn/kernel_proof.h"
#include "common/wire/blob.h"
#include "common/wire/zap.h"
#include "coordinator/api/admission.h"
#include "coordinator/api/guard.h"
#include "coordinator/api/keyring.h"
#include "coordinator/farm/planner_thread.h"
#include "coordinator/farm/recover.h"
#include "coordinator/farm/scribe.h"
#include "coordinator/loop.h"
#include "coordinator/plan/planner.h"
#include "coordinator/store/journal.h"
#include "coordinator/store/state_lock.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define MAX_BLOB_BYTES (INT64_C(8) << 30)

#define CALLS_PER_S      200 /* new connections of one address on tcp:// */
#define CALLS_AT_ONCE    2000
#define MOST_CONNECTIONS 65536 /* of all */
#define SPARE_FILES      256

struct settings {
    const char *listen, *advertise, *state, *pack, *device;
    int64_t messages_per_s, connections, max_blob_bytes, cache_bytes;
    int64_t checkpoint_ms;
    bool version;
    char own_listen[PATH_MAX], own_state[PATH_MAX], own_advertise[256];
};

/* All that the process opens, closed in reverse. */
struct process {
    int lock, signals;
    struct exec *exec; /* of the planner */
    struct store *store;
    struct store_dir *blobs;
    struct journal *journal;
    struct keyring keyring; /* of a farm on tcp:// */
    struct guard *guard;
    struct blob_guard blob_guard;
    struct zap *zap;
    struct endpoint *workers, *clients;
    struct blob_server *blob_server;
    struct scribe *scribe;
    struct planner_thread *planner;
    struct farm farm;
    bool farm_open;
};

/* ---- options ---- */

static bool default_places(struct settings *s, struct error *err)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char address[PATH_MAX];

    if (!s->listen) {
        endpoint_default_address(s->own_listen, sizeof s->own_listen);
        s->listen = s->own_listen;
    }
    if (!s->state) {
        if (state && *state == '/')
            snprintf(s->own_state, sizeof s->own_state, "%s/shotline", state);
        else if (home && *home == '/')
            snprintf(s->own_state, sizeof s->own_state, "%s/.local/state/shotline", home);
        else
            return error_set(err, ERROR_USAGE, "--state: neither XDG_STATE_HOME nor HOME names a folder");
        s->state = s->own_state;
    }
    if (s->advertise && !endpoint_has_keys(s->listen))
        return error_set(err, ERROR_USAGE, "--advertise: only a farm that listens on tcp:// can be reached by others");
    if (endpoint_has_keys(s->listen) && !s->advertise) {
        if (!keyring_address(s->listen, s->own_advertise, sizeof s->own_advertise, err))
            return false;
        s->advertise = s->own_advertise;
    }
    if (s->advertise && !endpoint_address(s->advertise, CONVERSATION_BLOBS, address, sizeof address, err))
        return error_wrap(err, "--advertise");
    return s->pack || error_set(err, ERROR_USAGE, "--pack: expected the folder of a pack");
}

static enum args_result read_settings(struct settings *s, int argc, char **argv, struct error *err)
{
    const struct arg_option options[] = {
        { .letter = 'l',
          .name = "listen",
          .kind = ARG_TEXT,
          .to = &s->listen,
          .value = "ADDRESS",
          .help = "ipc:///FOLDER or tcp://HOST:PORT [ipc://, the user's runtime folder]" },
        { .letter = 'a',
          .name = "advertise",
          .kind = ARG_TEXT,
          .to = &s->advertise,
          .value = "ADDRESS",
          .help = "by which other machines reach a farm on tcp:// [where it listens, or this machine's name]" },
        { .letter = 's',
          .name = "state",
          .kind = ARG_TEXT,
          .to = &s->state,
          .value = "DIR",
          .help = "store, blobs and task cache [the user's state folder/shotline]" },
        { .letter = 'p',
          .name = "pack",
          .kind = ARG_TEXT,
          .to = &s->pack,
          .value = "DIR",
          .help = "the pack that this farm works with" },
        { .letter = 'd',
          .name = "device",
          .kind = ARG_TEXT,
          .to = &s->device,
          .value = "DEVICE",
          .help = "a Vulkan device for the planner [plain C]" },
        { .name = "message-rate",
          .kind = ARG_INT,
          .to = &s->messages_per_s,
          .min = 1,
          .max = 1e6,
          .value = "N",
          .help = "messages a second that one peer may send in a conversation [5000]" },
        { .name = "connections",
          .kind = ARG_INT,
          .to = &s->connections,
          .min = 3,
          .max = 1e6,
          .value = "N",
          .help = "that one address may have open on tcp:// [4096]" },
        { .name = "max-blob-bytes",
          .kind = ARG_INT,
          .to = &s->max_blob_bytes,
          .min = 1 << 20,
          .max = 9e15,
          .value = "N",
          .help = "take no blob that is larger [8 GiB]" },
        { .name = "cache-bytes",
          .kind = ARG_INT,
          .to = &s->cache_bytes,
          .max = 9e15,
          .value = "N",
          .help = "keep so much of what could be made again, 0: all of it [half of what the disk has room for]" },
        { .name = "checkpoint-ms",
          .kind = ARG_INT,
          .to = &s->checkpoint_ms,
          .max = 86400000,
          .value = "N",
          .help = "long denoising saves its state about so often, 0: never [20000]" },
        { .name = "version", .kind = ARG_FLAG, .to = &s->version, .help = "print the version and end" },
    };
    const struct arg_command command = { .program = "shotline-coordinator",
                                         .operands = "",
                                         .summary =
                                             "Plans campaigns, compiles them to tasks, and has workers make them.",
                                         .options = options,
                                         .option_count = sizeof options / sizeof *options };
    const char *operands[64];
    int operand_count;

    if (argc >= (int)(sizeof operands / sizeof *operands)) {
        error_set(err, ERROR_USAGE, "too many arguments");
        return ARGS_BAD;
    }
    enum args_result result = args_parse(&command, argc, argv, operands, &operand_count, err);
    if (result == ARGS_OK && !s->version && !default_places(s, err))
        return ARGS_BAD;
    return result;
}

/* ---- opening ---- */

/* Stopping is a message like any other: signals are read from a file. Threads that are made later inherit the mask. */
static int open_signals(struct error *err)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    int fd = sigprocmask(SIG_BLOCK, &set, NULL) ? -1 : signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        error_set(err, ERROR_IO, "signals: %s", strerror(errno));
    return fd;
}

static struct endpoint *bind_conversation(struct process *p, const char *base, enum conversation c, struct error *err)
{
    static const char *const names[] = { "workers", "clients", "blobs" };
    char address[PATH_MAX];
    struct endpoint *e;

    if (!endpoint_address(base, c, address, sizeof address, err))
        return NULL;
    e = endpoint_bind(address, p->zap ? &p->keyring.farm : NULL, err);
    if (e && p->zap && !zap_watch(p->zap, e, names[c], err))
        endpoint_close(&e);
    return e;
}

/* Every worker has several connections, and each is a file here. Says how many files there may be. */
static rlim_t allow_many_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    return getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur : 1024;
}

/* All workers of a site may come from one address, and at once after a restart. The store, blobs and pack need files
 * whoever calls. */
static struct callers_limits limits_of_callers(const struct settings *s, rlim_t files)
{
    struct callers_limits l = { .per_address = (uint32_t)s->connections, .per_s = CALLS_PER_S, .burst = CALLS_AT_ONCE };

    l.total = files > MOST_CONNECTIONS + SPARE_FILES ? MOST_CONNECTIONS
              : files > 2 * SPARE_FILES              ? (uint32_t)files - SPARE_FILES
                                                     : (uint32_t)files / 2;
    return l;
}

/* ---- who may come in, and ask for what ---- */

static bool open_guard(struct process *p, const struct settings *s, rlim_t files, struct error *err)
{
    const struct callers_limits callers = limits_of_callers(s, files);
    const bool keys = endpoint_has_keys(s->listen);

    if (keys && !keyring_open(&p->keyring, s->state, s->advertise, err))
        return error_wrap(err, "keys");
    p->guard = guard_open(&(struct guard_options){ .keys = keys,
                                                   .messages_per_s = (double)s->messages_per_s,
                                                   .farm = p->keyring.farm.public,
                                                   .farm_address = s->advertise });
    if (!keys)
        return true;
    if (!admission_load(p->guard, p->store, &p->keyring.local_operator, clock_wall_ms(), err))
        return false;
    p->zap = zap_open(guard_connects, p->guard, err);
    if (!p->zap)
        return false;
    zap_limit(p->zap, &callers);
    return true;
}

static bool hears_blob(void *guard, const struct message *m, int64_t now_ms, const char **why)
{
    return guard_hears(guard, CONVERSATION_BLOBS, m, now_ms, why);
}

static bool allows_blob(void *guard, const struct message *m, bool write, int64_t now_ms, const char **why)
{
    return guard_allows(guard, CONVERSATION_BLOBS, m, write ? ACCESS_WRITE_BLOB : ACCESS_READ_BLOB, now_ms, why);
}

static void malformed_blob(void *guard, const struct message *m, const char *what, int64_t now_ms)
{
    guard_refused(guard, CONVERSATION_BLOBS, m, REFUSAL_MALFORMED, what, now_ms);
}

static void bad_digest(void *guard, const struct message *m, const char *what, int64_t now_ms)
{
    guard_refused(guard, CONVERSATION_BLOBS, m, REFUSAL_DIGEST, what, now_ms);
}

/* The files of the pack travel like blobs. Called on the blob server's thread: the listing never changes. */
static bool find_pack_file(void *context, const struct digest *d, char *path, size_t room)
{
    const struct farm *f = context;

    for (size_t i = 0; i < f->listing.count; i++)
        if (digest_equal(&f->listing.files[i].digest, d))
            return file_join(path, room, f->pack_dir, f->listing.files[i].path);
    return false;
}

static bool open_planner(struct process *p, const struct settings *s, struct error *err)
{
    struct planner *planner;
    char dir[PATH_MAX];

    p->exec = s->device ? exec_open_vk(&(struct exec_options){ .device = s->device }, err) : exec_open_ref();
    if (!p->exec)
        return error_wrap(err, "planner");
    if (!file_join(dir, sizeof dir, s->pack, "planner"))
        return error_set(err, ERROR_USAGE, "--pack: the path is too long");
    planner = planner_open(dir, p->exec, farm_longest_ms(&p->farm), err);
    if (!planner)
        return error_wrap(err, "planner");
    p->planner = planner_thread_open(planner, err);
    p->farm.planner = p->planner;
    return p->planner != NULL;
}

static bool open_all(struct process *p, const struct settings *s, struct error *err)
{
    char path[PATH_MAX];
    struct endpoint *blobs;
    const rlim_t files = allow_many_files();

    if (!pack_check_files(s->pack, true, err))
        return false;
    p->lock = file_make_dirs(s->state, 0700, err) ? state_lock(s->state, FILE_LOCK_PATIENCE_MS, err) : -1;
    if (p->lock < 0)
        return false;
    p->signals = open_signals(err);
    if (p->signals < 0)
        return false;
    if (!file_join(path, sizeof path, s->state, "farm.db"))
        return error_set(err, ERROR_USAGE, "--state: the path is too long");
    p->store = store_open(path, err);
    if (!p->store)
        return false;
    file_join(path, sizeof path, s->state, "blobs");
    p->blobs = store_dir_open(path, STORE_DIR_COUNTS, err);
    if (!p->blobs)
        return false;
    file_join(path, sizeof path, s->state, "events.log");
    p->journal = journal_open(path, err);
    if (!p->journal)
        return false;
    log_set_sink(journal_take, p->journal);
    if (!open_guard(p, s, files, err))
        return false;
    p->workers = bind_conversation(p, s->listen, CONVERSATION_WORKERS, err);
    p->clients = p->workers ? bind_conversation(p, s->listen, CONVERSATION_CLIENTS, err) : NULL;
    p->scribe = p->clients ? scribe_open(p->blobs, err) : NULL;
    if (!p->scribe)
        return false;
    p->farm_open =
        farm_open(&p->farm,
                  &(struct farm_parts){ .pack_dir = s->pack,
                                        .store = p->store,
                                        .blobs = p->blobs,
                                        .workers = p->workers,
                                        .clients = p->clients,
                                        .scribe = p->scribe,
                                        .journal = p->journal,
                                        .guard = p->guard,
                                        .checkpoint_ms = (uint32_t)s->checkpoint_ms,
                                        .cache_bytes = s->cache_bytes >= 0 ? s->cache_bytes
                                                                           : eviction_default_quota(s->state, p->blobs),
                                        .kernel_proof = kernel_proof_reference() },
                  err);
    if (!p->farm_open || !recover(&p->farm, clock_now_ms(), clock_wall_ms(), err) || !open_planner(p, s, err))
        return false;
    p->blob_guard = (struct blob_guard){ .hears = hears_blob,
                                         .allows = allows_blob,
                                         .malformed = malformed_blob,
                                         .bad_digest = bad_digest,
                                         .context = p->guard };
    blobs = bind_conversation(p, s->listen, CONVERSATION_BLOBS, err);
    if (!blobs)
        return false;
    p->blob_server = blob_server_open(&(struct blob_server_options){ .endpoint = blobs,
                                                                     .store = p->blobs,
                                                                     .max_blob_bytes = s->max_blob_bytes,
                                                                     .lookup = find_pack_file,
                                                                     .context = &p->farm,
                                                                     .guard = &p->blob_guard },
                                      err);
    return p->blob_server != NULL;
}

static void close_all(struct process *p)
{
    planner_thread_close(&p->planner);
    exec_close(&p->exec);
    blob_server_close(&p->blob_server);
    scribe_close(&p->scribe);
    if (p->farm_open)
        farm_close(&p->farm);
    endpoint_close(&p->clients);
    endpoint_close(&p->workers);
    zap_close(&p->zap);
    guard_close(&p->guard);
    curve_forget(&p->keyring.farm);
    curve_forget(&p->keyring.local_operator.own);
    log_set_sink(NULL, NULL);
    journal_close(&p->journal);
    store_dir_close(&p->blobs);
    store_close(&p->store);
    if (p->signals >= 0)
        close(p->signals);
    if (p->lock >= 0)
        close(p->lock);
}

int main(int argc, char **argv)
{
    struct settings s = {
        .connections = 4096, .max_blob_bytes = MAX_BLOB_BYTES, .checkpoint_ms = 20000, .cache_bytes = -1
    };
    struct process p = { .lock = -1, .signals = -1 };
    struct error err = { 0 };

    switch (read_settings(&s, argc, argv, &err)) {
    case ARGS_HELP:
        return 0;
    case ARGS_BAD:
        fprintf(stderr, "shotline-coordinator: %s\n", err.text);
        return error_exit_code(&err);
    case ARGS_OK:
        break;
    }
    if (s.version) {
        puts("shotline-coordinator " SHOTLINE_VERSION);
        return 0;
    }
    log_set_name("coordinator");
    bool ok = open_all(&p, &s, &err);
    if (ok) {
        log_info("coordinator.ready", "listen=%s state=%s pack=%s campaigns=%zu", s.listen, s.state, p.farm.pack.name,
                 p.farm.ledger.campaign_count);
        ok = loop_run(&p.farm, p.signals, &err);
    }
    close_all(&p);
    if (!ok)
        fprintf(stderr, "shotline-coordinator: %s\n", err.text);
    return ok ? 0 : error_exit_code(&err);
}

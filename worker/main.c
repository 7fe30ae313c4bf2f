/* shotline-worker - computes what a farm asks for, on one device. */
#include "common/base/args.h"
#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/gpu/device.h"
#include "common/nn/exec.h"
#include "common/nn/kernel_proof.h"
#include "common/wire/endpoint.h"
#include "common/wire/join.h"
#include "worker/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PATIENCE_S  20
#define JOIN_MS     30000
#define MAX_DEVICES 64

struct settings {
    const char *farm, *join, *key, *state, *device, *name, *pack;
    int64_t cache_bytes, device_bytes;
    double patience_s;
    bool join_only, list_devices, validate, version;
};

/* The folders of one worker; a lock keeps a second process out. */
struct places {
    char state[PATH_MAX], key[PATH_MAX], blobs[PATH_MAX], packs[PATH_MAX], outbox[PATH_MAX], scratch[PATH_MAX],
        pipelines[PATH_MAX];
    int lock_fd;
};

/* The device of this process: opened and proved at the start, opened again when it was lost. */
struct device {
    struct exec_options options;
    struct exec *ready; /* until the runner takes it */
    char name[256];
    int64_t bytes;
    struct digest proof;
};

/* ---- options ---- */

static enum args_result read_settings(struct settings *s, int argc, char **argv, struct error *err)
{
    const struct arg_option options[] = {
        { .letter = 'f',
          .name = "farm",
          .kind = ARG_TEXT,
          .to = &s->farm,
          .value = "ADDRESS",
          .help = "the farm: ipc:///FOLDER or tcp://HOST:PORT [the one that was joined]" },
        { .letter = 'j',
          .name = "join",
          .kind = ARG_TEXT,
          .to = &s->join,
          .value = "LINE",
          .help = "enter a farm with what `shotline invite worker` has printed there; - reads standard input" },
        { .name = "join-only", .kind = ARG_FLAG, .to = &s->join_only, .help = "join and end: a service does the work" },
        { .letter = 'k',
          .name = "key",
          .kind = ARG_TEXT,
          .to = &s->key,
          .value = "FILE",
          .help = "the credential of a tcp:// farm [STATE/farm.json, which --join makes]" },
        { .letter = 's',
          .name = "state",
          .kind = ARG_TEXT,
          .to = &s->state,
          .value = "DIR",
          .help = "blobs, packs and unsent results [the user's state folder/shotline/worker]" },
        { .letter = 'd',
          .name = "device",
          .kind = ARG_TEXT,
          .to = &s->device,
          .value = "DEVICE",
          .help = "a number of --list-devices, or a part of a name [the best one]" },
        { .letter = 'l',
          .name = "list-devices",
          .kind = ARG_FLAG,
          .to = &s->list_devices,
          .help = "print the devices and end" },
        { .letter = 'n',
          .name = "name",
          .kind = ARG_TEXT,
          .to = &s->name,
          .value = "NAME",
          .help = "unique in the farm [the one of the key, else HOST-PID]" },
        { .letter = 'p',
          .name = "pack",
          .kind = ARG_TEXT,
          .to = &s->pack,
          .value = "DIR",
          .help = "a pack that is here already [packs come from the farm]" },
        { .name = "cache-bytes",
          .kind = ARG_INT,
          .to = &s->cache_bytes,
          .min = 1 << 20,
          .max = 9e15,
          .value = "N",
          .help = "keep at most so many bytes of blobs [20 GiB]" },
        { .name = "device-bytes",
          .kind = ARG_INT,
          .to = &s->device_bytes,
          .min = 1 << 20,
          .max = 9e15,
          .value = "N",
          .help = "use at most so many bytes of device memory [all]" },
        { .name = "patience",
          .kind = ARG_NUMBER,
          .to = &s->patience_s,
          .max = 3600,
          .value = "SECONDS",
          .help = "when told to stop: for ending or handing over what runs [20]" },
        { .name = "validate",
          .kind = ARG_FLAG,
          .to = &s->validate,
          .help = "run under the Vulkan validation layer; a message fails its task (for development)" },
        { .name = "version", .kind = ARG_FLAG, .to = &s->version, .help = "print the version and end" },
    };
    const struct arg_command command = { .program = "shotline-worker",
                                         .operands = "",
                                         .summary =
                                             "Computes what a farm asks for, on one device. One process per device.",
                                         .options = options,
                                         .option_count = sizeof options / sizeof *options };
    const char **operands = xcalloc((size_t)argc + 1, sizeof *operands);
    int operand_count;
    enum args_result result = args_parse(&command, argc, argv, operands, &operand_count, err);

    free(operands);
    if (result == ARGS_OK && s->join_only && !s->join) {
        error_set(err, ERROR_USAGE, "--join-only: expected --join LINE too");
        return ARGS_BAD;
    }
    return result;
}

static bool list_devices(struct error *err)
{
    struct gpu_info *found = xcalloc(MAX_DEVICES, sizeof *found);
    int count = gpu_list(found, MAX_DEVICES, err);

    for (int i = 0; i < count && i < MAX_DEVICES; i++)
        printf("%d  %s (%s), %s, %" PRId64 " MiB\n", found[i].index, found[i].name, found[i].driver,
               gpu_kind_name(found[i].kind), found[i].memory_bytes >> 20);
    free(found);
    if (count == 0)
        return error_set(err, ERROR_DEVICE,
                         "no Vulkan device: install a driver (mesa-vulkan-drivers has one in software)");
    return count > 0;
}

/* ---- places ---- */

static bool default_state(char *to, size_t room, struct error *err)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n = -1;

    if (state && *state == '/')
        n = snprintf(to, room, "%s/shotline/worker", state);
    else if (home && *home)
        n = snprintf(to, room, "%s/.local/state/shotline/worker", home);
    return (n > 0 && (size_t)n < room) ||
           error_set(err, ERROR_USAGE, "--state: neither XDG_STATE_HOME nor HOME names a folder");
}

static bool name_places(struct places *p, const char *state, struct error *err)
{
    if (!state && !default_state(p->state, sizeof p->state, err))
        return false;
    if ((state && !str_copy(p->state, sizeof p->state, state)) ||
        !file_join(p->key, sizeof p->key, p->state, "farm.json") ||
        !file_join(p->blobs, sizeof p->blobs, p->state, "blobs") ||
        !file_join(p->packs, sizeof p->packs, p->state, "packs") ||
        !file_join(p->outbox, sizeof p->outbox, p->state, "outbox") ||
        !file_join(p->scratch, sizeof p->scratch, p->state, "scratch") ||
        !file_join(p->pipelines, sizeof p->pipelines, p->state, "pipelines"))
        return error_set(err, ERROR_USAGE, "--state: the path is too long");
    return true;
}

static bool open_places(struct places *p, struct error *err)
{
    char lock[PATH_MAX];

    if (!file_join(lock, sizeof lock, p->state, "lock"))
        return error_set(err, ERROR_USAGE, "--state: the path is too long");
    if (!file_make_dirs(p->state, 0700, err) || !file_make_dirs(p->pipelines, 0700, err))
        return error_wrap(err, "--state");
    p->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (p->lock_fd < 0)
        return error_set(err, ERROR_IO, "%s: %s", lock, strerror(errno));
    if (!file_lock(p->lock_fd, FILE_LOCK_PATIENCE_MS))
        return error_set(err, ERROR_USAGE, "%s: another worker uses this folder; give each its own --state", p->state);
    return true;
}

/* ---- the farm ---- */

/* With a line a key is made, once: it may stand in a unit file that is started again. A new line makes a new key. */
static bool join(const struct settings *s, const struct places *p, const char *path, struct credential *c,
                 struct error *err)
{
    char text[CREDENTIAL_LINE_ROOM];
    struct credential line = { 0 };
    bool ok = join_read_line(s->join, text, err) && credential_from_line(&line, text, err);

    if (ok && line.role != ROLE_WORKER)
        ok = error_set(err, ERROR_USAGE, "this line is for a %s: shotline join LINE", role_name(line.role));
    if (ok && file_exists(path) && credential_load(c, path, err) && curve_equal(&c->invite, &line.own.public)) {
        log_info("worker.joined", "farm=%s name=\"%s\" already=1", c->farm, c->name);
    } else if (ok) {
        ok = file_make_dirs(p->state, 0700, err) && join_farm(&line, path, c, JOIN_MS, NULL, err);
        if (ok)
            log_info("worker.joined", "farm=%s name=\"%s\" key=\"%s\"", c->farm, c->name, path);
    }
    curve_forget(&line.own);
    return ok || error_wrap(err, "--join");
}

/* Which farm, and with what keys; *keys is NULL for one on ipc://. */
static bool find_farm(struct settings *s, const struct places *p, struct credential *c, struct endpoint_keys *room,
                      const struct endpoint_keys **keys, struct error *err)
{
    const char *path = s->key ? s->key : p->key;
    char address[PATH_MAX];

    *keys = NULL;
    if (s->farm && !endpoint_address(s->farm, CONVERSATION_WORKERS, address, sizeof address, err))
        return false;
    if (s->farm && !endpoint_has_keys(s->farm))
        return (!s->join && !s->key) ||
               error_set(err, ERROR_USAGE, "--farm %s: only a farm on tcp:// has keys", s->farm);
    if (s->join ? !join(s, p, path, c, err) : file_exists(path) && !credential_load(c, path, err))
        return false;
    if (!*c->farm && s->key)
        return error_set(err, ERROR_USAGE, "--key %s: there is no such file", s->key);
    if (!*c->farm && s->farm)
        return error_set(err, ERROR_USAGE,
                         "--farm %s: there is no key for it in %s: --join with a line of `shotline "
                         "invite worker`",
                         s->farm, path);
    if (!*c->farm)
        return error_set(err, ERROR_USAGE,
                         "--farm: expected the address of a farm, ipc:///FOLDER or tcp://HOST:PORT, "
                         "or --join with a line of `shotline invite worker`");
    if (c->role != ROLE_WORKER)
        return error_set(err, ERROR_USAGE, "%s: the key of a %s, expected a worker's", path, role_name(c->role));
    s->farm = s->farm ? s->farm : c->farm;
    s->name = s->name ? s->name : c->name;
    *room = (struct endpoint_keys){ .own = c->own, .farm = c->farm_key };
    *keys = room;
    return true;
}

/* ---- the device ---- */

static struct exec *open_exec(void *context, struct error *err)
{
    struct device *d = context;
    struct exec *x = d->ready;

    d->ready = NULL;
    return x ? x : exec_open_vk(&d->options, err);
}

static int64_t device_bytes(const char *name)
{
    struct gpu_info *found = xcalloc(MAX_DEVICES, sizeof *found);
    int count = gpu_list(found, MAX_DEVICES, NULL);
    int64_t bytes = 0;

    for (int i = 0; i < count && i < MAX_DEVICES && bytes == 0; i++)
        if (str_starts(name, found[i].name)) /* devices of one name have one size */
            bytes = found[i].memory_bytes;
    free(found);
    return bytes;
}

/* Opens the device and has it show that it computes the bytes that plain C computes. */
static bool prove_device(struct device *d, struct error *err)
{
    const struct digest expected = kernel_proof_reference();
    char found_hex[DIGEST_HEX_ROOM], expected_hex[DIGEST_HEX_ROOM];

    d->ready = exec_open_vk(&d->options, err);
    if (!d->ready)
        return false;
    str_copy(d->name, sizeof d->name, exec_device_name(d->ready));
    d->bytes = device_bytes(d->name);
    if (d->options.max_bytes && d->options.max_bytes < d->bytes)
        d->bytes = d->options.max_bytes;
    if (!kernel_proof(d->ready, &d->proof, err))
        return error_wrap(err, "device \"%s\": kernel proof", d->name);
    if (digest_equal(&d->proof, &expected))
        return true;
    digest_hex(&d->proof, found_hex);
    digest_hex(&expected, expected_hex);
    return error_set(err, ERROR_DEVICE,
                     "device \"%s\": its kernel proof is %.16s..., the reference's %.16s...: it computes other bytes, "
                     "so it can do no exact work",
                     d->name, found_hex, expected_hex);
}

/* ---- work ---- */

/* Any thread may be the one that a signal finds (drivers start threads of their own), so it only leaves a mark. */
static volatile sig_atomic_t starting = 1;
static volatile sig_atomic_t stops; /* a bit per signal: the terminal and a parent may each send one of their own */
static int stop_event = -1;

static void on_stop(int number)
{
    int saved = errno;
    uint64_t one = 1;

    if (starting)
        _exit(0); /* nothing is begun, and a device may take long to open */
    if (stops & 1 << number)
        _exit(1);         /* asked twice: at once. The outbox keeps what is done */
    stops |= 1 << number; /* TERM, INT or HUP: below 31 */
    if (write(stop_event, &one, sizeof one) < 0) {
        /* it is readable already */
    }
    errno = saved;
}

static bool catch_signals(struct error *err)
{
    struct sigaction action = { .sa_handler = on_stop, .sa_flags = SA_RESTART };

    stop_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop_event < 0)
        return error_set(err, ERROR_IO, "eventfd: %s", strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file limit is an error of write like any other */
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    return true;
}

static bool work(const struct settings *s, const struct places *p, const struct endpoint_keys *keys, struct device *d,
                 bool *stuck, struct error *err)
{
    struct store_dir *blobs = store_dir_open(p->blobs, s->cache_bytes, err);
    struct packs *packs = blobs ? packs_open(p->packs, s->pack, err) : NULL;
    struct outbox *outbox = packs ? outbox_open(p->outbox, blobs, err) : NULL;
    bool ok = outbox && prove_device(d, err);

    if (ok) {
        struct loop_options o = {
            .farm = s->farm,
            .keys = keys,
            .who = { .name = s->name,
                     .device = d->name,
                     .device_bytes = d->bytes,
                     .kernel_proof = d->proof,
                     .patience_ms = (int64_t)(s->patience_s * 1000) },
            .blobs = blobs,
            .packs = packs,
            .outbox = outbox,
            .scratch_dir = p->scratch,
            .open_exec = open_exec,
            .context = d,
            .stop_fd = stop_event,
        };

        log_info("worker.start", "device=\"%s\" device_bytes=%" PRId64 " farm=%s", d->name, d->bytes, s->farm);
        randombytes_buf(o.who.boot_id, sizeof o.who.boot_id);
        starting = 0;
        ok = loop_run(&o, stuck, err);
    }
    if (*stuck)
        return ok; /* a thread still uses all this */
    outbox_close(&outbox);
    packs_close(&packs);
    store_dir_close(&blobs);
    return ok;
}

static bool choose_name(struct settings *s, char *name, size_t room, struct error *err)
{
    char host[80] = "worker";

    if (s->name) {
        if (!str_copy(name, room, s->name) || !*name)
            return error_set(err, ERROR_USAGE, "--name: expected 1 to %zu bytes", room - 1);
    } else {
        gethostname(host, sizeof host - 1);
        snprintf(name, room, "%s-%d", host, (int)getpid());
    }
    s->name = name;
    log_set_name(name);
    return true;
}

static bool run(struct settings *s, struct error *err)
{
    static char name[128]; /* the log borrows it for ever */
    struct places places = { .lock_fd = -1 };
    struct device device = { .options = { .device = s->device,
                                          .cache_dir = places.pipelines,
                                          .max_bytes = s->device_bytes,
                                          .validate = s->validate } };
    struct credential credential = { 0 };
    struct endpoint_keys keys = { 0 };
    const struct endpoint_keys *with_keys = NULL;
    bool stuck = false, ok;

    ok = catch_signals(err) && name_places(&places, s->state, err) &&
         find_farm(s, &places, &credential, &keys, &with_keys, err) && choose_name(s, name, sizeof name, err) &&
         (s->join_only || (open_places(&places, err) && work(s, &places, with_keys, &device, &stuck, err)));
    if (stuck) { /* its thread is inside the driver: nothing can be taken down under it */
        log_warn("worker.stuck", "reason=\"the task did not stop; the process ends without cleaning up\"");
        _exit(ok ? 0 : error_exit_code(err));
    }
    exec_close(&device.ready);
    curve_forget(&keys.own);
    curve_forget(&credential.own);
    if (places.lock_fd >= 0)
        close(places.lock_fd);
    if (ok && !s->join_only)
        log_info("worker.end", "farm=%s", s->farm);
    return ok;
}

int main(int argc, char **argv)
{
    struct settings s = { .cache_bytes = INT64_C(20) << 30, .patience_s = PATIENCE_S };
    struct error err = { 0 };
    bool ok;

    switch (read_settings(&s, argc, argv, &err)) {
    case ARGS_HELP:
        return 0;
    case ARGS_BAD:
        fprintf(stderr, "shotline-worker: %s\n", err.text);
        return 2;
    case ARGS_OK:
        break;
    }
    if (s.version) {
        printf("shotline-worker %s\n", SHOTLINE_VERSION);
        return 0;
    }
    ok = s.list_devices ? list_devices(&err) : run(&s, &err);
    if (!ok)
        fprintf(stderr, "shotline-worker: %s\n", err.text);
    return ok ? 0 : error_exit_code(&err);
}

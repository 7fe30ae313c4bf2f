/* links: shotline_coordinator_loop shotline_nn shotline_wire */
/* farm - durable task round trips per second: lease out, result in, commit, acknowledged.
 *
 * The real loop (coordinator/loop, store on the real disk, CURVE over tcp) against a crowd of light workers in a second
 * process, who compute nothing: their outputs are blobs that the farm has already. Beside it, in the same run and with
 * the same crowd, what its parts can do by themselves: a bare echo over the same sockets, SQLite commits of the same
 * size, and the disk's sync. Both processes may share one core, so the farm's own processor time per round trip is
 * told as well. */
#include "bench/farm_crowd.h"
#include "bench/farm_machine.h"
#include "common/base/args.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/wire/codec.h"
#include "common/wire/zap.h"
#include "coordinator/api/guard.h"
#include "coordinator/farm/recover.h"
#include "coordinator/farm/scribe.h"
#include "coordinator/loop.h"
#include "proto/client.pb-c.h"
#include "proto/worker.pb-c.h"

#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define fail_msg(...) (fprintf(stderr, __VA_ARGS__), abort())
#include "tests/unit/farm_plan.h"

#define VIDEOS 250 /* of a campaign */
#define MARKS  10

struct options {
    int64_t workers, tasks, seconds, port;
    const char *pack, *state;
};

static struct options options = {
    .workers = 1000, .tasks = 60000, .seconds = 10, .port = 17900, .pack = "packs/tiny", .state = "."
};
static const struct digest proof = { { 42 } };
static struct curve_pair *pairs; /* of the workers, and one more of the client */

static void die(const char *what, const struct error *err)
{
    fprintf(stderr, "farm: %s: %s\n", what, err->text);
    exit(1);
}

/* ---- a bare echo over the same sockets ---- */

static void echo_crowd(const char *address, const struct curve_key *farm)
{
    const pid_t parent = getppid();
    struct crowd c = { .echo = true };

    crowd_open(&c, address, pairs, (size_t)options.workers, farm);
    while (c.joined < c.count)
        crowd_turn(&c);
    uint64_t from = c.done;
    int64_t began_us = clock_now_us();
    double cpu = machine_cpu_seconds(parent);
    while (clock_now_us() - began_us < options.seconds * 1000000)
        crowd_turn(&c);
    double seconds = (double)(clock_now_us() - began_us) / 1e6, count = (double)(c.done - from);
    cpu = machine_cpu_seconds(parent) - cpu;
    printf("echo, CURVE, %4" PRId64 " connections      %8.0f /s, %6.1f us of processor each\n", options.workers,
           count / seconds, cpu * 1e6 / count);
    fflush(stdout);
    kill(parent, SIGUSR1);
    _exit(0);
}

static volatile sig_atomic_t echo_over;

static void on_usr1(int number)
{
    (void)number;
    echo_over = 1;
}

static bool let_in(void *context, const struct curve_key *key, const char *address)
{
    (void)context, (void)key, (void)address;
    return true;
}

static void measure_echo(const char *address)
{
    const struct curve_pair own = curve_pair_new();
    struct error err = { 0 };
    struct message in;

    fflush(stdout);
    pid_t child = fork();
    if (!child)
        echo_crowd(address, &own.public);
    signal(SIGUSR1, on_usr1);
    struct zap *zap = zap_open(let_in, NULL, &err);
    struct endpoint *e = zap ? endpoint_bind(address, &own, &err) : NULL;
    if (!e)
        die("echo", &err);
    while (!echo_over) {
        endpoint_wait(e, 100);
        while (endpoint_receive(e, &in)) {
            struct peer peer = in.peer;

            endpoint_send(e, &peer, in.data, in.size);
        }
    }
    waitpid(child, NULL, 0);
    endpoint_close(&e);
    zap_close(&zap);
}

/* ---- the farm ---- */

/* Submits campaigns until enough tasks are there. */
static void submit_all(pid_t coordinator, const char *address, const struct curve_key *farm)
{
    const struct endpoint_keys keys = { .own = pairs[options.workers], .farm = *farm };
    struct pack_defaults pack;
    struct error err = { 0 };
    struct endpoint *e = endpoint_connect(address, &keys, &err);
    struct str packed = { 0 };
    char path[PATH_MAX];
    int64_t tasks = 0;

    if (!e || !pack_defaults_load(&pack, options.pack, &err))
        die("a client", &err);
    file_join(path, sizeof path, options.pack, "planner");
    struct grammar *g =
        grammar_open(path, (pack.strides.time * (int64_t)(pack.longest_shot - 1) + 1) * 1000 / pack.fps, &err);
    if (!g)
        die("a client", &err);
    for (uint8_t number = 1; tasks < options.tasks; number++) {
        Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
        Shotline__SubmitRequest s = SHOTLINE__SUBMIT_REQUEST__INIT;
        Shotline__Campaign campaign = SHOTLINE__CAMPAIGN__INIT;
        Shotline__VideoRequest videos[VIDEOS], *list[VIDEOS];
        uint8_t token[16] = { number };
        struct arena arena = { 0 };
        struct message in;

        for (int i = 0; i < VIDEOS; i++) {
            struct str plan = { 0 };

            shotline__video_request__init(&videos[i]);
            list[i] = &videos[i];
            farm_roll_plan(g, NULL, 0, g->shortest_ms * 4 / g->unit_ms * g->unit_ms,
                           (uint64_t)number * 1000 + (uint64_t)i, &plan);
            videos[i].name = arena_printf(&arena, "v%d", i);
            videos[i].plan = arena_strdup(&arena, plan.data);
            videos[i].duration_ms = (uint32_t)(g->shortest_ms * 4 / g->unit_ms * g->unit_ms);
            videos[i].seed = (uint64_t)number << 32 | (uint64_t)i;
            videos[i].crf = 20;
            str_free(&plan);
        }
        campaign.name = "bench";
        campaign.token = (ProtobufCBinaryData){ sizeof token, token };
        campaign.videos = list;
        campaign.n_videos = VIDEOS;
        s.campaign = &campaign;
        m.submit = &s;
        m.version = WIRE_VERSION;
        m.sequence = number;
        codec_pack(&m.base, &packed);
        endpoint_send(e, NULL, packed.data, packed.size);
        while (!endpoint_wait(e, 10000) || !endpoint_receive(e, &in))
            ;
        const Shotline__FromFarm *r = codec_unpack(&shotline__from_farm__descriptor, in.data, in.size, &arena, &err);
        if (!r || !r->submitted) {
            fprintf(stderr, "farm: a campaign was not accepted: %s\n", r && r->error ? r->error->text : "no answer");
            kill(coordinator, SIGTERM);
            _exit(1);
        }
        tasks += VIDEOS * 8; /* at least */
        arena_free(&arena);
    }
    str_free(&packed);
    grammar_close(&g);
    endpoint_close(&e);
}

static void farm_crowd(const char *base, const struct curve_key *farm)
{
    const pid_t parent = getppid();
    struct crowd c = { .proof = proof };
    char workers[128], clients[128];
    struct error err;
    double memory[MARKS + 1], cpu = 0, seconds = 0;
    int64_t began_us = 0;
    uint64_t from = 0;

    if (!endpoint_address(base, CONVERSATION_WORKERS, workers, sizeof workers, &err) ||
        !endpoint_address(base, CONVERSATION_CLIENTS, clients, sizeof clients, &err))
        die("address", &err);
    crowd_open(&c, workers, pairs, (size_t)options.workers, farm);
    submit_all(parent, clients, farm);
    uint64_t warm = (uint64_t)options.tasks / 10, all = warm + (uint64_t)options.tasks * 8 / 10;
    int mark = 0;
    int64_t moved_ms = clock_now_ms();
    for (uint64_t before = 0; c.done < all; before = c.done) {
        crowd_turn(&c);
        moved_ms = c.done > before ? clock_now_ms() : moved_ms;
        if (clock_now_ms() - moved_ms > 60000) {
            fprintf(stderr, "farm: nothing is done any more after %" PRIu64 " of %" PRIu64 " tasks\n", c.done, all);
            kill(parent, SIGTERM);
            _exit(1);
        }
        if (c.done >= warm && !began_us) {
            began_us = clock_now_us();
            from = c.done;
            cpu = machine_cpu_seconds(parent);
        }
        while (mark <= MARKS && c.done >= all * (uint64_t)mark / MARKS)
            memory[mark++] = machine_resident_mib(parent);
    }
    seconds = (double)(clock_now_us() - began_us) / 1e6;
    cpu = machine_cpu_seconds(parent) - cpu;
    double count = (double)(c.done - from);
    printf("farm, CURVE, %4" PRId64
           " workers          %8.0f /s, %6.1f us of processor each: one core's worth %.0f /s\n",
           options.workers, count / seconds, cpu * 1e6 / count, count / cpu);
    printf("resident MiB while %" PRIu64 " tasks were done:", all);
    for (int i = 0; i < mark; i++)
        printf(" %.0f", memory[i]);
    printf("\n%" PRIu64 " reports superseded, %" PRIu64 " workers refused\n", c.superseded, c.refused);
    fflush(stdout);
    kill(parent, SIGTERM);
    _exit(0);
}

static bool measure_farm(const char *base, const char *state)
{
    const struct curve_pair own = curve_pair_new();
    struct farm farm;
    char path[PATH_MAX], address[128], text[320];
    struct error err = { 0 };
    sigset_t set;

    fflush(stdout);
    pid_t child = fork();
    if (!child)
        farm_crowd(base, &own.public);
    struct guard *guard = guard_open(&(struct guard_options){ .keys = true, .farm = own.public, .farm_address = base });
    for (int64_t i = 0; i <= options.workers; i++) {
        struct access_entry e = { .key = pairs[i].public,
                                  .role = i < options.workers ? ROLE_WORKER : ROLE_OPERATOR,
                                  .state = ACCESS_MEMBER };

        snprintf(e.name, sizeof e.name, "member-%" PRId64, i);
        guard_restore(guard, &e);
    }
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    struct zap *zap = zap_open(guard_connects, guard, &err);
    file_join(path, sizeof path, state, "farm.db");
    struct store *store = zap ? store_open(path, &err) : NULL;
    file_join(path, sizeof path, state, "blobs");
    struct store_dir *blobs = store ? store_dir_open(path, 0, &err) : NULL;
    for (int i = 0; blobs && i < CROWD_BLOBS; i++) {
        struct digest d;

        crowd_blob_text(i, text, sizeof text);
        if (!store_dir_add_bytes(blobs, text, strlen(text), &d, &err))
            die("blobs", &err);
    }
    struct farm_parts parts = {
        .pack_dir = options.pack, .store = store, .blobs = blobs, .kernel_proof = proof, .guard = guard
    };
    if (blobs && endpoint_address(base, CONVERSATION_WORKERS, address, sizeof address, &err))
        parts.workers = endpoint_bind(address, &own, &err);
    if (parts.workers && endpoint_address(base, CONVERSATION_CLIENTS, address, sizeof address, &err))
        parts.clients = endpoint_bind(address, &own, &err);
    parts.scribe = parts.clients ? scribe_open(blobs, &err) : NULL;
    bool ok = parts.scribe && farm_open(&farm, &parts, &err) && recover(&farm, clock_now_ms(), clock_wall_ms(), &err);
    farm.gates.limit[CHECK_FRAMES] = GATE_MOST_FRAMES; /* stand-ins have no frames */
    if (!ok || !loop_run(&farm, signals, &err)) {
        kill(child, SIGKILL);
        die("the farm", &err);
    }
    int status;
    ok = waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    uint64_t failures = 0;
    for (size_t i = 0; i < farm.fleet.count; i++)
        failures += farm.fleet.workers[i]->failures;
    if (failures) { /* a report that is taken as a failure is acknowledged, too */
        fprintf(stderr, "farm: %" PRIu64 " reports were failures: what was measured is no work\n", failures);
        ok = false;
    }
    struct store_work work = store_work(store);
    printf("%.1f records a commit, %.2f ms a commit\n",
           (double)work.records / (double)(work.commits ? work.commits : 1),
           (double)work.commit_us / 1e3 / (double)(work.commits ? work.commits : 1));
    farm_close(&farm);
    scribe_close(&parts.scribe);
    endpoint_close(&parts.clients);
    endpoint_close(&parts.workers);
    zap_close(&zap);
    store_dir_close(&blobs);
    store_close(&store);
    guard_close(&guard);
    close(signals);
    return ok;
}

int main(int argc, char **argv)
{
    const struct arg_option table[] = {
        { .letter = 'w',
          .name = "workers",
          .kind = ARG_INT,
          .to = &options.workers,
          .value = "N",
          .min = 1,
          .max = 4000,
          .help = "light workers [1000]" },
        { .letter = 't',
          .name = "tasks",
          .kind = ARG_INT,
          .to = &options.tasks,
          .value = "N",
          .min = 1000,
          .max = 600000,
          .help = "round trips [60000]" },
        { .letter = 's',
          .name = "seconds",
          .kind = ARG_INT,
          .to = &options.seconds,
          .value = "S",
          .min = 1,
          .max = 600,
          .help = "of each comparison [10]" },
        { .letter = 'p',
          .name = "port",
          .kind = ARG_INT,
          .to = &options.port,
          .value = "PORT",
          .min = 1024,
          .max = 65000,
          .help = "the first of three, on 127.0.0.1 [17900]" },
        { .name = "pack", .kind = ARG_TEXT, .to = &options.pack, .value = "DIR", .help = "[packs/tiny]" },
        { .name = "state",
          .kind = ARG_TEXT,
          .to = &options.state,
          .value = "DIR",
          .help = "where the farm's files are made, and removed at the end [.]" },
    };
    const struct arg_command command = { .program = "farm",
                                         .operands = "",
                                         .summary =
                                             "Durable task round trips per second, beside what they are made of.",
                                         .options = table,
                                         .option_count = sizeof table / sizeof *table };
    const char *operands[64];
    int operand_count;
    char state[PATH_MAX], base[64];
    struct error err = { 0 };
    struct rlimit files = { 16384, 16384 };
    enum args_result parsed = args_parse(&command, argc < 64 ? argc : 64, argv, operands, &operand_count, &err);

    if (parsed != ARGS_OK) {
        if (parsed == ARGS_BAD)
            fprintf(stderr, "farm: %s\n", err.text);
        return parsed == ARGS_BAD ? 2 : 0;
    }
    if (setrlimit(RLIMIT_NOFILE, &files))
        perror("farm: open files");
    log_set_level(LOG_LEVEL_WARN);
    snprintf(state, sizeof state, "%s/farm-bench-XXXXXX", options.state);
    if (!mkdtemp(state)) {
        perror(state);
        return 1;
    }
    snprintf(base, sizeof base, "tcp://127.0.0.1:%" PRId64, options.port);
    pairs = xcalloc((size_t)options.workers + 1, sizeof *pairs);
    for (int64_t i = 0; i <= options.workers; i++)
        pairs[i] = curve_pair_new();
    machine_measure_sync(state);
    machine_measure_sqlite(state, 1, 0.3 * (double)options.seconds);
    machine_measure_sqlite(state, 64, 0.3 * (double)options.seconds);
    char echo_address[64];
    fflush(stdout);
    snprintf(echo_address, sizeof echo_address, "tcp://127.0.0.1:%" PRId64, options.port + 10);
    pid_t apart = fork(); /* a process that has used ZeroMQ cannot be divided any more */
    if (!apart) {
        measure_echo(echo_address);
        _exit(0);
    }
    waitpid(apart, NULL, 0);
    bool ok = measure_farm(base, state);
    free(pairs);
    return file_remove_tree(state, &err) && ok ? 0 : 1;
}

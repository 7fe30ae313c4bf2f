/* links: shotline_coordinator_farm shotline_planner shotline_nn shotline_wire */
/* farm - durable task round trips per second: lease out, result in, commit, acknowledged.
 *
 * The real loop (coordinator/loop, store on the real disk, CURVE over tcp) against a crowd of light workers in a second
 * process, who compute nothing: their outputs are blobs that the farm has already. Beside it, in the same run and with
 * the same crowd, what its parts can do by themselves: a bare echo over the same sockets, SQLite commits of the same
 * size, and the disk's sync. Both processes may share one core, so the farm's own processor time per round trip is
 * told as well. */
#include "common/base/args.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/wire/codec.h"
#include "common/wire/zap.h"
#include "coordinator/api/guard.h"
#include "coordinator/loop.h"
#include "proto/client.pb-c.h"
#include "proto/worker.pb-c.h"

#include <czmq.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define fail_msg(...) (fprintf(stderr, __VA_ARGS__), abort())
#include "tests/unit/farm_plan.h"

#define HEARTBEAT_MS 2000
#define BLOBS        64  /* outputs are chosen among so many */
#define VIDEOS       250 /* of a campaign */
#define MARKS        10

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

/* ---- the machine by itself ---- */

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static void measure_sync(const char *dir)
{
    enum { TIMES = 400 };
    int64_t us[TIMES];
    char path[PATH_MAX], page[4096] = { 1 };

    file_join(path, sizeof path, dir, "sync");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    for (int i = 0; i < TIMES; i++) {
        int64_t began = clock_now_us();

        if (pwrite(fd, page, sizeof page, (off_t)i * (off_t)sizeof page) != (ssize_t)sizeof page || fdatasync(fd))
            perror("sync");
        us[i] = clock_now_us() - began;
    }
    close(fd);
    unlink(path);
    qsort(us, TIMES, sizeof *us, by_value);
    printf("sync of 4 KiB                       median %6.2f ms, worst of 100 %6.2f ms\n", (double)us[TIMES / 2] / 1e3,
           (double)us[TIMES * 99 / 100] / 1e3);
}

/* What a round trip writes: its task twice (leased, done) and its result, `batch` round trips in a transaction. */
static void measure_sqlite(const char *dir, int batch)
{
    char path[PATH_MAX];
    sqlite3 *db;
    sqlite3_stmt *task, *result;
    const uint8_t bytes[32] = { 1 };
    int64_t done = 0, began_us, cpu_us;
    struct rusage before, after;

    file_join(path, sizeof path, dir, "raw.db");
    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(db,
                     "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                     "CREATE TABLE tasks (id INTEGER PRIMARY KEY, video INTEGER, position INTEGER, key BLOB, state "
                     "INTEGER, attempt INTEGER, worker INTEGER, UNIQUE (video, position));"
                     "CREATE TABLE results (key BLOB, output INTEGER, digest BLOB, bytes INTEGER, PRIMARY KEY (key, "
                     "output)) WITHOUT ROWID",
                     NULL, NULL, NULL) != SQLITE_OK) {
        fprintf(stderr, "farm: %s: %s\n", path, sqlite3_errmsg(db));
        exit(1);
    }
    sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?)", -1, &task, NULL);
    sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)", -1, &result, NULL);
    getrusage(RUSAGE_SELF, &before);
    began_us = clock_now_us();
    while (clock_now_us() - began_us < options.seconds * 300000) {
        sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        for (int i = 0; i < batch; i++, done++) {
            const struct digest key = digest_of(&done, sizeof done);

            for (int twice = 0; twice < 2; twice++) {
                sqlite3_bind_int64(task, 1, done / 2);
                sqlite3_bind_int64(task, 2, done / 40);
                sqlite3_bind_int64(task, 3, done / 2 % 20);
                sqlite3_bind_blob(task, 4, key.bytes, 32, SQLITE_STATIC);
                for (int column = 5; column <= 7; column++)
                    sqlite3_bind_int64(task, column, column);
                sqlite3_step(task);
                sqlite3_reset(task);
            }
            sqlite3_bind_blob(result, 1, key.bytes, 32, SQLITE_STATIC);
            sqlite3_bind_int64(result, 2, 1);
            sqlite3_bind_blob(result, 3, bytes, 32, SQLITE_STATIC);
            sqlite3_bind_int64(result, 4, 1000);
            sqlite3_step(result);
            sqlite3_reset(result);
        }
        sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    }
    double seconds = (double)(clock_now_us() - began_us) / 1e6;
    getrusage(RUSAGE_SELF, &after);
    cpu_us =
        (after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 +
        after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_stime.tv_usec;
    printf("SQLite, %3d round trips a commit     %8.0f /s, %6.1f us of processor each\n", batch, (double)done / seconds,
           (double)cpu_us / (double)done);
    sqlite3_finalize(task);
    sqlite3_finalize(result);
    sqlite3_close(db);
    unlink(path);
}

/* ---- the crowd ---- */

struct light {
    struct endpoint *e;
    uint8_t boot_id[16];
    char name[32];
    uint64_t sequence;
    bool joined, busy;
    int64_t heartbeat_at_ms;
};

struct crowd {
    struct light *list;
    int ready; /* epoll: a thousand sockets are not asked one by one */
    int64_t tended_ms;
    struct str packed;
    struct blob_ref blobs[BLOBS];
    uint64_t done, superseded, refused;
    pid_t farm;
};

/* Any of them can stand for the scores of a shot, which the coordinator reads: of no frames. */
static void blob_number(int i, char *text, size_t room)
{
    snprintf(text, room,
             "{\"format\":2,\"frames\":0,\"columns\":%d,\"fps\":8,\"unusable\":0,\"borders\":[],\"dark\":[],"
             "\"bright\":[],\"sharpness\":[],\"change\":[],\"tint\":[],\"residual\":[],\"colours\":[],"
             "\"lasting\":[],\"move\":[],\"camera\":[],\"figures\":[]}",
             i + 1);
}

static void say(struct crowd *c, struct light *l, Shotline__ToCoordinator *m)
{
    m->sequence = ++l->sequence;
    codec_pack(&m->base, &c->packed);
    endpoint_send(l->e, NULL, c->packed.data, c->packed.size);
}

static void say_hello(struct crowd *c, struct light *l)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerHello h = SHOTLINE__WORKER_HELLO__INIT;

    h.version = WIRE_VERSION;
    h.name = l->name;
    h.boot_id = (ProtobufCBinaryData){ sizeof l->boot_id, l->boot_id };
    h.device = "light";
    h.device_bytes = 1 << 30;
    h.kernel_proof = codec_bytes(&proof);
    m.hello = &h;
    say(c, l, &m);
}

static void say_ready(struct crowd *c, struct light *l)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerReady r = SHOTLINE__WORKER_READY__INIT;

    r.slots = 1;
    m.ready = &r;
    say(c, l, &m);
}

static void say_heartbeat(struct crowd *c, struct light *l)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerHeartbeat h = SHOTLINE__WORKER_HEARTBEAT__INIT;

    m.heartbeat = &h;
    say(c, l, &m);
}

static void say_done(struct crowd *c, struct light *l, const Shotline__Lease *lease)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerDone d = SHOTLINE__WORKER_DONE__INIT;
    Shotline__NamedBlob named[TASK_MAX_OUTPUTS], *list[TASK_MAX_OUTPUTS];
    Shotline__Blob blobs[TASK_MAX_OUTPUTS];
    const Shotline__TaskSpec *s = lease->spec;
    enum task_role role = s->denoise && s->denoise->step_to < s->denoise->steps ? ROLE_ANCHOR : ROLE_NONE;
    struct digest key;

    codec_digest(&key, &s->key);
    for (enum output_name n = OUTPUT_EMBEDDING; n <= OUTPUT_VIDEO; n++) {
        const struct blob_ref *b = &c->blobs[(key.bytes[0] + 256 * key.bytes[1] + n) % BLOBS];
        size_t i = d.n_outputs;

        if (!output_required((enum task_kind)s->kind, role, n))
            continue;
        shotline__blob__init(&blobs[i]);
        blobs[i].digest = codec_bytes(&b->digest);
        blobs[i].bytes = (uint64_t)b->bytes;
        shotline__named_blob__init(&named[i]);
        named[i].name = (char *)output_text(n);
        named[i].blob = &blobs[i];
        list[d.n_outputs++] = &named[i];
    }
    d.task = lease->task;
    d.attempt = lease->attempt;
    d.outputs = list;
    d.busy_ms = 20;
    d.has_key = 1;
    d.key = s->key;
    m.done = &d;
    say(c, l, &m);
}

static void hear(struct crowd *c, struct light *l, const struct message *in)
{
    struct arena arena = { 0 };
    struct error err;
    const Shotline__ToWorker *m = codec_unpack(&shotline__to_worker__descriptor, in->data, in->size, &arena, &err);

    if (m && m->welcome) {
        if (!l->joined)
            say_ready(c, l);
        l->joined = true;
    } else if (m && m->hello_again) {
        say_hello(c, l);
    } else if (m && m->lease) {
        say_done(c, l, m->lease);
        say_ready(c, l);
    } else if (m && m->ack) {
        c->done += m->ack->verdict == SHOTLINE__REPORT_VERDICT__REPORT_OK;
        c->superseded += m->ack->verdict != SHOTLINE__REPORT_VERDICT__REPORT_OK;
    } else if (m && m->refused) {
        c->refused++;
    }
    arena_free(&arena);
}

static void crowd_open(struct crowd *c, const char *address, const struct curve_key *farm)
{
    struct error err;

    zsys_set_max_sockets(0);
    c->list = xcalloc((size_t)options.workers, sizeof *c->list);
    c->ready = epoll_create1(EPOLL_CLOEXEC);
    for (int64_t i = 0; i < options.workers; i++) {
        struct light *l = &c->list[i];
        const struct endpoint_keys keys = { .own = pairs[i], .farm = *farm };
        struct epoll_event event = { .events = EPOLLIN, .data.u64 = (uint64_t)i };
        size_t size = sizeof(int);
        int fd;

        snprintf(l->name, sizeof l->name, "light-%" PRId64, i);
        memcpy(l->boot_id, keys.own.public.bytes, sizeof l->boot_id);
        l->e = endpoint_connect(address, &keys, &err);
        if (!l->e)
            die("a worker", &err);
        if (zmq_getsockopt(endpoint_socket(l->e), ZMQ_FD, &fd, &size) || epoll_ctl(c->ready, EPOLL_CTL_ADD, fd, &event))
            perror("a worker");
    }
}

/* Hears one out, which also clears what made its socket's file ready. */
static void drain(struct crowd *c, struct light *l, bool echo)
{
    struct message in;

    while (endpoint_receive(l->e, &in)) {
        if (echo) {
            c->done++;
            l->joined = true;
            l->heartbeat_at_ms = c->tended_ms + HEARTBEAT_MS;
            endpoint_send(l->e, NULL, in.data, in.size);
        } else {
            hear(c, l, &in);
        }
    }
}

static uint64_t crowd_joined(const struct crowd *c)
{
    uint64_t joined = 0;

    for (int64_t i = 0; i < options.workers; i++)
        joined += c->list[i].joined;
    return joined;
}

static void crowd_turn(struct crowd *c, bool echo)
{
    static const char lease_sized[120] = "what a lease weighs, more or less";
    struct epoll_event events[256];
    int count = epoll_wait(c->ready, events, 256, 100);
    int64_t now_ms = clock_now_ms();

    for (int i = 0; i < count; i++)
        drain(c, &c->list[events[i].data.u64], echo);
    if (now_ms - c->tended_ms < 50)
        return;
    c->tended_ms = now_ms;
    for (int64_t i = 0; i < options.workers; i++) {
        struct light *l = &c->list[i];

        if (now_ms < l->heartbeat_at_ms)
            continue;
        if (echo) { /* not connected yet, or lost */
            endpoint_send(l->e, NULL, lease_sized, sizeof lease_sized);
        } else if (l->joined) {
            say_heartbeat(c, l);
            say_ready(c, l);
        } else {
            say_hello(c, l);
        }
        l->heartbeat_at_ms = now_ms + HEARTBEAT_MS;
        drain(c, l, echo);
    }
}

/* ---- the farm seen from outside ---- */

static double cpu_seconds(pid_t pid)
{
    char path[64], text[1024] = "";
    long user = 0, system = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f || !fgets(text, sizeof text, f) || !strrchr(text, ')') ||
        sscanf(strrchr(text, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &system) != 2)
        fprintf(stderr, "farm: %s is not as expected\n", path);
    if (f)
        fclose(f);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double resident_mib(pid_t pid)
{
    char path[64];
    long pages = 0;

    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

/* ---- a bare echo over the same sockets ---- */

static void echo_crowd(const char *address, const struct curve_key *farm)
{
    struct crowd c = { .farm = getppid() };

    crowd_open(&c, address, farm);
    while (crowd_joined(&c) < (uint64_t)options.workers)
        crowd_turn(&c, true);
    uint64_t from = c.done;
    int64_t began_us = clock_now_us();
    double cpu = cpu_seconds(c.farm);
    while (clock_now_us() - began_us < options.seconds * 1000000)
        crowd_turn(&c, true);
    double seconds = (double)(clock_now_us() - began_us) / 1e6, count = (double)(c.done - from);
    cpu = cpu_seconds(c.farm) - cpu;
    printf("echo, CURVE, %4" PRId64 " connections      %8.0f /s, %6.1f us of processor each\n", options.workers,
           count / seconds, cpu * 1e6 / count);
    fflush(stdout);
    kill(c.farm, SIGUSR1);
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
static void submit_all(struct crowd *c, const char *address, const struct curve_key *farm)
{
    const struct endpoint_keys keys = { .own = pairs[options.workers], .farm = *farm };
    struct pack_defaults pack;
    struct error err = { 0 };
    struct endpoint *e = endpoint_connect(address, &keys, &err);
    char path[PATH_MAX];
    int64_t tasks = 0;

    if (!e || !pack_defaults_load(&pack, options.pack, &err))
        die("a client", &err);
    file_join(path, sizeof path, options.pack, "planner");
    struct grammar *g = grammar_open(path, (4 * (int64_t)(pack.longest_shot - 1) + 1) * 1000 / pack.fps, &err);
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
        codec_pack(&m.base, &c->packed);
        endpoint_send(e, NULL, c->packed.data, c->packed.size);
        while (!endpoint_wait(e, 10000) || !endpoint_receive(e, &in))
            ;
        const Shotline__FromFarm *r = codec_unpack(&shotline__from_farm__descriptor, in.data, in.size, &arena, &err);
        if (!r || !r->submitted) {
            fprintf(stderr, "farm: a campaign was not accepted: %s\n", r && r->error ? r->error->text : "no answer");
            kill(c->farm, SIGTERM);
            _exit(1);
        }
        tasks += VIDEOS * 8; /* at least */
        arena_free(&arena);
    }
    grammar_close(&g);
    endpoint_close(&e);
}

static void farm_crowd(const char *base, const struct curve_key *farm)
{
    struct crowd c = { .farm = getppid() };
    char workers[128], clients[128], text[320];
    struct error err;
    double memory[MARKS + 1], cpu = 0, seconds = 0;
    int64_t began_us = 0;
    uint64_t from = 0;

    for (int i = 0; i < BLOBS; i++) {
        blob_number(i, text, sizeof text);
        c.blobs[i] = (struct blob_ref){ digest_of(text, strlen(text)), (int64_t)strlen(text) };
    }
    if (!endpoint_address(base, CONVERSATION_WORKERS, workers, sizeof workers, &err) ||
        !endpoint_address(base, CONVERSATION_CLIENTS, clients, sizeof clients, &err))
        die("address", &err);
    crowd_open(&c, workers, farm);
    submit_all(&c, clients, farm);
    uint64_t warm = (uint64_t)options.tasks / 10, all = warm + (uint64_t)options.tasks * 8 / 10;
    int mark = 0;
    int64_t moved_ms = clock_now_ms();
    for (uint64_t before = 0; c.done < all; before = c.done) {
        crowd_turn(&c, false);
        moved_ms = c.done > before ? clock_now_ms() : moved_ms;
        if (clock_now_ms() - moved_ms > 60000) {
            fprintf(stderr, "farm: nothing is done any more after %" PRIu64 " of %" PRIu64 " tasks\n", c.done, all);
            kill(c.farm, SIGTERM);
            _exit(1);
        }
        if (c.done >= warm && !began_us) {
            began_us = clock_now_us();
            from = c.done;
            cpu = cpu_seconds(c.farm);
        }
        while (mark <= MARKS && c.done >= all * (uint64_t)mark / MARKS)
            memory[mark++] = resident_mib(c.farm);
    }
    seconds = (double)(clock_now_us() - began_us) / 1e6;
    cpu = cpu_seconds(c.farm) - cpu;
    double count = (double)(c.done - from);
    printf("farm, CURVE, %4" PRId64
           " workers          %8.0f /s, %6.1f us of processor each: one core's worth %.0f /s\n",
           options.workers, count / seconds, cpu * 1e6 / count, count / cpu);
    printf("resident MiB while %" PRIu64 " tasks were done:", all);
    for (int i = 0; i < mark; i++)
        printf(" %.0f", memory[i]);
    printf("\n%" PRIu64 " reports superseded, %" PRIu64 " workers refused\n", c.superseded, c.refused);
    fflush(stdout);
    kill(c.farm, SIGTERM);
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
    for (int i = 0; blobs && i < BLOBS; i++) {
        struct digest d;

        blob_number(i, text, sizeof text);
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
    bool ok = parts.clients && farm_open(&farm, &parts, clock_now_ms(), clock_wall_ms(), &err);
    farm.gates.limit[CHECK_FRAMES] = GATE_MOST_FRAMES; /* stand-ins have no frames */
    if (!ok || !loop_run(&farm, signals, &err)) {
        kill(child, SIGKILL);
        die("the farm", &err);
    }
    int status;
    ok = waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    struct store_work work = store_work(store);
    printf("%.1f records a commit, %.2f ms a commit\n",
           (double)work.records / (double)(work.commits ? work.commits : 1),
           (double)work.commit_us / 1e3 / (double)(work.commits ? work.commits : 1));
    farm_close(&farm);
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
    measure_sync(state);
    measure_sqlite(state, 1);
    measure_sqlite(state, 64);
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

#include "tests/farm/stage.h"

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/nn/pack.h"
#include "common/wire/codec.h"

#include <dirent.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct stage stage;

void open_endpoint(void)
{
    struct error err = { 0 };

    stage.endpoint = endpoint_bind(stage.workers, NULL, &err);
    if (!stage.endpoint)
        fail_msg("%s", err.text);
}

void open_blobs(void)
{
    struct error err = { 0 };

    struct blob_server_options o = { .endpoint = endpoint_bind(stage.blobs_address, NULL, &err),
                                     .store = stage.store,
                                     .max_blob_bytes = 64 << 20 };

    stage.blobs = o.endpoint ? blob_server_open(&o, &err) : NULL;
    if (!stage.blobs)
        fail_msg("%s", err.text);
}

void make_pack(const char *listing_text)
{
    static const struct {
        const char *path, *content;
    } files[] = { { "shotline.json", "{}" }, { "vae/config.json", "{\"z_dim\":4}" } };
    struct pack_file list[2];
    struct pack_listing l = { .files = list, .count = 2 };
    struct error err = { 0 };
    struct str text = { 0 };

    str_append(&text, "[");
    for (size_t i = 0; i < 2; i++) {
        char hex[DIGEST_HEX_ROOM];

        snprintf(list[i].path, sizeof list[i].path, "%s", files[i].path);
        list[i].bytes = (int64_t)strlen(files[i].content);
        assert_true(
            store_dir_add_bytes(stage.store, files[i].content, strlen(files[i].content), &list[i].digest, &err));
        digest_hex(&list[i].digest, hex);
        str_printf(&text, "%s{\"path\":\"%s\",\"bytes\":%d,\"digest\":\"%s\"}", i ? "," : "", list[i].path,
                   (int)list[i].bytes, hex);
    }
    str_append(&text, "]");
    stage.pack = pack_listing_digest(&l);
    if (listing_text) {
        str_clear(&text);
        str_append(&text, listing_text);
    }
    assert_true(store_dir_add_bytes(stage.store, text.data, text.size, &stage.listing, &err));
    str_free(&text);
}

void start_worker(void)
{
    stage.worker = fork();
    assert_true(stage.worker >= 0);
    if (stage.worker == 0) {
        FILE *to = freopen(stage.errors, "a", stderr);

        if (to)
            execl("/proc/self/exe", "test_worker", "worker", stage.farm, stage.state, (char *)NULL);
        _exit(99);
    }
}

int end_of_worker(void)
{
    int64_t until_ms = clock_now_ms() + PATIENCE_MS;
    int status;

    while (waitpid(stage.worker, &status, WNOHANG) == 0) {
        if (clock_now_ms() > until_ms)
            fail_msg("the worker does not end");
        endpoint_wait(stage.endpoint, 10);
    }
    stage.worker = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int raise_curtain(void **state)
{
    struct error err = { 0 };
    char store[128];

    (void)state;
    stage = (struct stage){ .worker = 0 };
    snprintf(stage.root, sizeof stage.root, "/tmp/shotline-farm-XXXXXX");
    if (!mkdtemp(stage.root))
        return -1;
    snprintf(stage.farm, sizeof stage.farm, "ipc://%s/run", stage.root);
    snprintf(stage.state, sizeof stage.state, "%s/worker", stage.root);
    snprintf(stage.errors, sizeof stage.errors, "%s/errors", stage.root);
    snprintf(store, sizeof store, "%s/store", stage.root);
    if (!endpoint_address(stage.farm, CONVERSATION_WORKERS, stage.workers, sizeof stage.workers, &err) ||
        !endpoint_address(stage.farm, CONVERSATION_BLOBS, stage.blobs_address, sizeof stage.blobs_address, &err))
        return -1;
    stage.store = store_dir_open(store, 0, &err);
    stage.key = digest_of("key", 3);
    make_pack(NULL);
    open_endpoint();
    open_blobs();
    start_worker();
    return 0;
}

int drop_curtain(void **state)
{
    (void)state;
    if (stage.worker > 0) {
        kill(stage.worker, SIGKILL);
        waitpid(stage.worker, NULL, 0);
    }
    endpoint_close(&stage.endpoint);
    blob_server_close(&stage.blobs);
    store_dir_close(&stage.store);
    arena_free(&stage.arena);
    return file_remove_tree(stage.root, NULL) ? 0 : -1;
}

const Shotline__ToCoordinator *hear(int64_t timeout_ms)
{
    struct error err = { 0 };
    struct message m;
    const Shotline__ToCoordinator *said;

    if (!endpoint_wait(stage.endpoint, timeout_ms) || !endpoint_receive(stage.endpoint, &m))
        return NULL;
    stage.peer = m.peer;
    said = codec_unpack(&shotline__to_coordinator__descriptor, m.data, m.size, &stage.arena, &err);
    if (!said)
        fail_msg("%s", err.text);
    return said;
}

void say(Shotline__ToWorker *m)
{
    struct str packed = { 0 };

    codec_pack(&m->base, &packed);
    endpoint_send(stage.endpoint, &stage.peer, packed.data, packed.size);
    str_free(&packed);
}

void say_welcome(void)
{
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__Welcome welcome = SHOTLINE__WELCOME__INIT;
    Shotline__Blob listing = SHOTLINE__BLOB__INIT;

    listing.digest = codec_bytes(&stage.listing);
    welcome.worker = 1;
    welcome.heartbeat_ms = HEARTBEAT_MS;
    welcome.lease_ms = 10 * HEARTBEAT_MS;
    welcome.pack = codec_bytes(&stage.pack);
    welcome.pack_listing = &listing;
    m.welcome = &welcome;
    say(&m);
}

static bool is(const Shotline__ToCoordinator *m, enum wanted want)
{
    switch (want) {
    case ANY_HELLO:
        return m->hello;
    case A_HEARTBEAT_OF_WORK:
        return m->heartbeat && m->heartbeat->n_running > 0;
    case ANY_READY:
        return m->ready;
    case ANY_DONE:
        return m->done;
    case ANY_FAILED:
        return m->failed;
    case ANY_BYE:
        return m->bye;
    }
    return false;
}

const Shotline__ToCoordinator *await(enum wanted want)
{
    int64_t until_ms = clock_now_ms() + PATIENCE_MS;

    while (clock_now_ms() < until_ms) {
        const Shotline__ToCoordinator *m = hear(100);

        if (m && m->hello)
            say_welcome();
        if (m && is(m, want))
            return m;
    }
    fail_msg("nothing of kind %d was said", want);
    return NULL;
}

void give_lease(uint64_t task, uint32_t attempt, const char *prompt)
{
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__Lease lease = SHOTLINE__LEASE__INIT;
    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
    Shotline__TextTask text = SHOTLINE__TEXT_TASK__INIT;

    text.prompt = (char *)prompt;
    spec.kind = SHOTLINE__TASK_KIND__TASK_TEXT;
    spec.key = codec_bytes(&stage.key);
    spec.pack = codec_bytes(&stage.pack);
    spec.numerics = SHOTLINE__NUMERICS__NUMERICS_EXACT;
    spec.text = &text;
    lease.task = task;
    lease.attempt = attempt;
    lease.lease_ms = 10 * HEARTBEAT_MS;
    lease.spec = &spec;
    m.lease = &lease;
    say(&m);
}

void acknowledge(uint64_t task, uint32_t attempt, Shotline__ReportVerdict verdict, const struct digest *missing)
{
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__ReportAck ack = SHOTLINE__REPORT_ACK__INIT;
    ProtobufCBinaryData bytes = missing ? codec_bytes(missing) : (ProtobufCBinaryData){ 0 };

    ack.task = task;
    ack.attempt = attempt;
    ack.verdict = verdict;
    ack.missing = &bytes;
    ack.n_missing = missing != NULL;
    m.ack = &ack;
    say(&m);
}

int outbox_files(void)
{
    char path[PATH_MAX];
    struct dirent *item;
    int n = 0;
    DIR *dir;

    snprintf(path, sizeof path, "%s/outbox", stage.state);
    dir = opendir(path);
    assert_non_null(dir);
    while ((item = readdir(dir)))
        n += item->d_name[0] != '.';
    closedir(dir);
    return n;
}

void wait_for_empty_outbox(void)
{
    int64_t until_ms = clock_now_ms() + PATIENCE_MS;

    while (outbox_files() > 0) {
        if (clock_now_ms() > until_ms)
            fail_msg("the outbox keeps what was acknowledged");
        hear(10);
    }
}

void expect_result(const Shotline__ToCoordinator *m, uint64_t task, uint32_t attempt, const char *bytes)
{
    struct digest d, expected = digest_of(bytes, strlen(bytes)), key;

    assert_int_equal(m->done->task, task);
    assert_int_equal(m->done->attempt, attempt);
    assert_int_equal(m->done->n_outputs, 1);
    assert_string_equal(m->done->outputs[0]->name, "embedding");
    assert_true(codec_digest(&d, &m->done->outputs[0]->blob->digest));
    assert_true(digest_equal(&d, &expected));
    assert_int_equal(store_dir_bytes(stage.store, &d), strlen(bytes));
    assert_true(codec_digest(&key, &m->done->key));
    assert_true(digest_equal(&key, &stage.key));
}

void read_errors(char *text, size_t room)
{
    struct error err = { 0 };
    char *data = file_read(stage.errors, room - 1, NULL, &err);

    snprintf(text, room, "%s", data ? data : "");
    free(data);
}

void expect_words(const char *about, bool may_be_ready)
{
    int64_t until_ms = clock_now_ms() + PATIENCE_MS;
    char text[1 << 16] = "";

    while (!strstr(text, about)) {
        const Shotline__ToCoordinator *m = hear(50);

        if (m && m->hello)
            say_welcome();
        assert_false(m && m->ready && !may_be_ready);
        if (clock_now_ms() > until_ms)
            fail_msg("no word of \"%s\" in: %s", about, text);
        read_errors(text, sizeof text);
    }
}

void start_anew(void)
{
    kill(stage.worker, SIGKILL);
    waitpid(stage.worker, NULL, 0);
    start_worker();
}

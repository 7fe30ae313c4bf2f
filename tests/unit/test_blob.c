/* links: shotline_wire */
/* Blobs travel whole or not at all: over inproc and ipc, after a break, against wrong bytes, many at once, and until
 * told to stop. */
#include "common/base/file.h"
#include "common/wire/blob.h"
#include "common/wire/codec.h"
#include "common/wire/endpoint.h"
#include "proto/blob.pb-c.h"

#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 20000
#define LARGE       (5 * BLOB_CHUNK_BYTES + 123)

static char root[64];
static char here_dir[128], farm_dir[128], address[128];
static struct store_dir *here, *farm;
static struct blob_server *server;
static const struct blob_guard *guard; /* of the next server */
static struct blob_client *client;

static void start_server(blob_lookup *lookup, void *context)
{
    struct error err = { 0 };

    struct blob_server_options o = {
        .endpoint = endpoint_bind(address, NULL, &err),
        .store = farm,
        .max_blob_bytes = 64 << 20,
        .lookup = lookup,
        .context = context,
        .guard = guard,
    };

    server = o.endpoint ? blob_server_open(&o, &err) : NULL;
    if (!server)
        fail_msg("%s", err.text);
}

static int open_all(void **state)
{
    struct error err = { 0 };

    snprintf(root, sizeof root, "/tmp/shotline-blob-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(here_dir, sizeof here_dir, "%s/here", root);
    snprintf(farm_dir, sizeof farm_dir, "%s/farm", root);
    if (*state) /* inproc, named as the test says */
        snprintf(address, sizeof address, "inproc://blob-%s", (const char *)*state);
    else
        snprintf(address, sizeof address, "ipc://%s/blobs", root);
    here = store_dir_open(here_dir, 0, &err);
    farm = store_dir_open(farm_dir, 0, &err);
    if (!here || !farm)
        return -1;
    start_server(NULL, NULL);
    client = blob_client_open(address, NULL, NULL, &err);
    return client ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    blob_client_close(&client);
    blob_server_close(&server);
    store_dir_close(&here);
    store_dir_close(&farm);
    return file_remove_tree(root, NULL) ? 0 : -1;
}

/* `size` bytes that differ everywhere, into a store. */
static struct digest add(struct store_dir *s, uint32_t seed, size_t size)
{
    uint8_t *data = malloc(size > 0 ? size : 1);
    struct error err = { 0 };
    struct digest d;

    assert_non_null(data);
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (uint8_t)(seed >> 24);
    }
    if (!store_dir_add_bytes(s, data, size, &d, &err))
        fail_msg("%s", err.text);
    free(data);
    return d;
}

static void expect_get(const struct digest *d, size_t bytes)
{
    struct error err = { 0 };
    size_t size;
    char *data;

    if (!blob_client_get(client, here, d, PATIENCE_MS, &err))
        fail_msg("%s", err.text);
    data = store_dir_read(here, d, bytes, &size, &err); /* checks the digest */
    assert_non_null(data);
    assert_int_equal(size, bytes);
    free(data);
}

static void expect_put(const struct digest *d, size_t bytes)
{
    struct error err = { 0 };

    if (!blob_client_put(client, here, d, PATIENCE_MS, &err))
        fail_msg("%s", err.text);
    assert_int_equal(store_dir_bytes(farm, d), bytes);
}

static const size_t sizes[] = {
    0, 1, BLOB_CHUNK_BYTES - 1, BLOB_CHUNK_BYTES, BLOB_CHUNK_BYTES + 1, LARGE, (2 * BLOB_CREDIT + 3) * BLOB_CHUNK_BYTES
};

static void blobs_of_all_sizes_come(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct digest d = add(farm, (uint32_t)i, sizes[i]);

        expect_get(&d, sizes[i]);
    }
}

static void blobs_of_all_sizes_go(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct digest d = add(here, (uint32_t)i, sizes[i]);

        expect_put(&d, sizes[i]);
        expect_put(&d, sizes[i]); /* the second time it is there */
    }
}

/* Lets so many messages and chunks pass. */
static atomic_int passes;

static bool hears(void *context, const struct message *m, int64_t now_ms, const char **why)
{
    (void)context, (void)m, (void)now_ms;
    *why = NULL;
    return true;
}

static bool allows(void *context, const struct message *m, bool write, int64_t now_ms, const char **why)
{
    (void)context, (void)m, (void)write, (void)now_ms;
    *why = "the key is revoked";
    return atomic_fetch_sub(&passes, 1) > 0;
}

static void noted(void *context, const struct message *m, const char *what, int64_t now_ms)
{
    (void)context, (void)m, (void)what, (void)now_ms;
}

/* Whoever is shut out in the middle of a blob gets, and gives, not one chunk more, and hears why. */
static void a_guard_ends_what_is_under_way(void **state)
{
    static const struct blob_guard counting = { hears, allows, noted, noted, NULL };
    struct digest get = add(farm, 1, (2 * BLOB_CREDIT + 3) * BLOB_CHUNK_BYTES);
    struct digest put = add(here, 2, (2 * BLOB_CREDIT + 3) * BLOB_CHUNK_BYTES);

    (void)state;
    blob_client_close(&client);
    blob_server_close(&server);
    guard = &counting;
    start_server(NULL, NULL);
    guard = NULL;
    for (int before = 0; before < 8; before += 3) {
        struct error err = { 0 };

        client = blob_client_open(address, NULL, NULL, &err);
        assert_non_null(client);
        atomic_store(&passes, before);
        assert_false(blob_client_get(client, here, &get, PATIENCE_MS, &err));
        assert_int_equal(err.kind, ERROR_INPUT);
        assert_non_null(strstr(err.text, "the key is revoked"));
        atomic_store(&passes, before);
        assert_false(blob_client_put(client, here, &put, PATIENCE_MS, &err));
        assert_non_null(strstr(err.text, "the key is revoked"));
        assert_false(store_dir_has(here, &get));
        assert_false(store_dir_has(farm, &put));
        blob_client_close(&client);
    }
}

static void an_unknown_blob_is_said_to_be_unknown(void **state)
{
    struct digest d = digest_of("nobody has this", 15);
    struct error err = { 0 };

    (void)state;
    assert_false(blob_client_get(client, here, &d, PATIENCE_MS, &err));
    assert_int_equal(err.kind, ERROR_INPUT);
    assert_non_null(strstr(err.text, "does not have"));
    assert_false(store_dir_has(here, &d));
}

static void files_go_and_come_too(void **state)
{
    char from[PATH_MAX], to[PATH_MAX], part[PATH_MAX];
    struct error err = { 0 };
    struct digest d, local = add(here, 5, LARGE), back;
    int64_t bytes;

    (void)state;
    assert_true(store_dir_path(here, &local, from, sizeof from));
    assert_true(blob_client_put_file(client, from, &d, &bytes, PATIENCE_MS, &err));
    assert_true(digest_equal(&d, &local));
    assert_int_equal(bytes, LARGE);
    assert_true(file_join(to, sizeof to, root, "copy"));
    assert_true(blob_client_get_file(client, &d, to, PATIENCE_MS, &err));
    assert_true(digest_of_file(&back, to, &err));
    assert_true(digest_equal(&back, &d));
    assert_true(file_join(part, sizeof part, root, "copy.part"));
    assert_false(file_exists(part));
    assert_false(blob_client_put_file(client, "/nonexistent", &d, &bytes, PATIENCE_MS, &err));
    assert_int_equal(err.kind, ERROR_IO);
}

static char lookup_path[PATH_MAX];

static bool look_up(void *context, const struct digest *d, char *path, size_t room)
{
    if (!digest_equal(d, context))
        return false;
    snprintf(path, room, "%s", lookup_path);
    return true;
}

static void files_outside_the_store_are_served(void **state)
{
    struct digest d = digest_of("pack file", 9), other = digest_of("other", 5);
    struct error err = { 0 };

    (void)state;
    assert_true(file_join(lookup_path, sizeof lookup_path, root, "pack.bin"));
    assert_true(file_write(lookup_path, "pack file", 9, &err));
    blob_server_close(&server);
    start_server(look_up, &d);
    expect_get(&d, 9);
    assert_false(blob_client_get(client, here, &other, PATIENCE_MS, &err));
    assert_int_equal(err.kind, ERROR_INPUT);

    assert_true(store_dir_remove(here, &d));
    assert_true(file_write(lookup_path, "changed!!", 9, &err)); /* a file that is not what its digest says */
    assert_false(blob_client_get(client, here, &d, PATIENCE_MS, &err));
    assert_int_equal(err.kind, ERROR_INPUT);
    assert_non_null(strstr(err.text, "digest"));
    assert_false(store_dir_has(here, &d));
}

/* Both ways a beginning is left behind as a broken transfer leaves it; the damaged one is found out and fetched anew.
 */
static void a_broken_transfer_goes_on(void **state)
{
    struct digest d = add(farm, 11, LARGE), bad = add(farm, 12, LARGE), up = add(here, 13, LARGE),
                  long_one = add(farm, 14, 1000);
    struct error err = { 0 };
    struct store_writer *w;
    char *data;
    size_t size;

    (void)state;
    data = store_dir_read(farm, &d, LARGE, &size, &err);
    w = store_writer_open(here, &d, LARGE, &err);
    assert_true(store_writer_append(w, data, 300000, &err));
    store_writer_abort(&w);
    w = store_writer_open(here, &bad, LARGE, &err); /* another blob's beginning */
    assert_true(store_writer_append(w, data, 300000, &err));
    store_writer_abort(&w);
    w = store_writer_open(here, &long_one, -1, &err); /* longer than the whole blob */
    assert_true(store_writer_append(w, data, 300000, &err));
    store_writer_abort(&w);
    free(data);
    data = store_dir_read(here, &up, LARGE, &size, &err);
    w = store_writer_open(farm, &up, LARGE, &err);
    assert_true(store_writer_append(w, data, 300000, &err));
    store_writer_abort(&w);
    free(data);

    expect_get(&d, LARGE);
    expect_get(&bad, LARGE);
    expect_get(&long_one, 1000);
    expect_put(&up, LARGE);
}

static void a_server_restart_in_between_is_survived(void **state)
{
    struct digest d = add(farm, 21, LARGE), e = add(here, 22, LARGE);

    (void)state;
    expect_get(&d, LARGE);
    blob_server_close(&server);
    start_server(NULL, NULL);
    expect_put(&e, LARGE);
}

/* ---- a raw peer, for what the client never does ---- */

static void send_raw(struct endpoint *e, Shotline__BlobMessage *m)
{
    struct str packed = { 0 };

    m->version = WIRE_VERSION;
    codec_pack(&m->base, &packed);
    assert_true(endpoint_send(e, NULL, packed.data, packed.size));
    str_free(&packed);
}

static const Shotline__BlobMessage *receive_raw(struct endpoint *e, struct arena *arena)
{
    struct message m;

    assert_true(endpoint_wait(e, PATIENCE_MS));
    assert_true(endpoint_receive(e, &m));
    return codec_unpack(&shotline__blob_message__descriptor, m.data, m.size, arena, NULL);
}

static void raw_put(struct endpoint *e, const struct digest *d, uint64_t bytes)
{
    Shotline__BlobMessage m = SHOTLINE__BLOB_MESSAGE__INIT;
    Shotline__BlobPut put = SHOTLINE__BLOB_PUT__INIT;

    put.digest = codec_bytes(d);
    put.bytes = bytes;
    m.put = &put;
    send_raw(e, &m);
}

static void raw_chunk(struct endpoint *e, const struct digest *d, uint64_t offset, const char *data)
{
    Shotline__BlobMessage m = SHOTLINE__BLOB_MESSAGE__INIT;
    Shotline__BlobChunk chunk = SHOTLINE__BLOB_CHUNK__INIT;

    chunk.digest = codec_bytes(d);
    chunk.offset = offset;
    chunk.bytes = 10;
    chunk.data = (ProtobufCBinaryData){ .len = strlen(data), .data = (uint8_t *)data };
    m.chunk = &chunk;
    send_raw(e, &m);
}

static void a_put_of_wrong_bytes_is_refused_and_leaves_nothing(void **state)
{
    struct digest d = digest_of("0123456789", 10);
    struct error err = { 0 };
    struct endpoint *e = endpoint_connect(address, NULL, &err);
    struct arena arena = { 0 };
    const Shotline__BlobMessage *m;

    (void)state;
    raw_put(e, &d, 10);
    m = receive_raw(e, &arena);
    assert_non_null(m->credit);
    assert_int_equal(m->credit->offset, 0);
    raw_chunk(e, &d, 5, "56789"); /* behind a gap: ignored */
    raw_chunk(e, &d, 0, "01234");
    m = receive_raw(e, &arena);
    assert_non_null(m->credit);
    assert_int_equal(m->credit->offset, 5);
    raw_chunk(e, &d, 0, "01234"); /* a repeat: ignored */
    raw_chunk(e, &d, 5, "5678x");
    m = receive_raw(e, &arena);
    assert_non_null(m->result);
    assert_int_equal(m->result->verdict, SHOTLINE__BLOB_VERDICT__BLOB_BAD_DIGEST);
    assert_false(store_dir_has(farm, &d));
    raw_put(e, &d, UINT64_MAX);
    m = receive_raw(e, &arena);
    assert_non_null(m->result);
    assert_int_equal(m->result->verdict, SHOTLINE__BLOB_VERDICT__BLOB_TOO_LARGE);
    arena_free(&arena);
    endpoint_close(&e);
}

/* Asking again is answered from what is known: the beginning, which may be gigabytes, is not read and hashed again. */
static void a_repeated_put_goes_on_where_it_is(void **state)
{
    struct digest d = digest_of("0123456789", 10);
    struct error err = { 0 };
    struct endpoint *e = endpoint_connect(address, NULL, &err);
    struct arena arena = { 0 };
    char path[PATH_MAX], hex[DIGEST_HEX_ROOM];
    const Shotline__BlobMessage *m;

    (void)state;
    raw_put(e, &d, 10);
    receive_raw(e, &arena);
    raw_chunk(e, &d, 0, "01234");
    receive_raw(e, &arena);
    digest_hex(&d, hex);
    snprintf(path, sizeof path, "%s/parts/%s", farm_dir, hex);
    assert_true(file_write(path, "01", 2, &err)); /* who looked there again would see this */
    raw_put(e, &d, 10);
    m = receive_raw(e, &arena);
    assert_non_null(m->credit);
    assert_int_equal(m->credit->offset, 5);
    arena_free(&arena);
    endpoint_close(&e);
}

static void rubbish_does_not_disturb_the_server(void **state)
{
    struct digest d = add(farm, 31, LARGE), short_digest = d;
    struct error err = { 0 };
    struct endpoint *e = endpoint_connect(address, NULL, &err);
    Shotline__BlobMessage m = SHOTLINE__BLOB_MESSAGE__INIT;
    Shotline__BlobGet get = SHOTLINE__BLOB_GET__INIT;

    (void)state;
    assert_true(endpoint_send(e, NULL, "rubbish", 7));
    assert_true(endpoint_send(e, NULL, "", 0));
    send_raw(e, &m); /* nothing in it */
    get.digest = codec_bytes(&short_digest);
    get.digest.len = 7;
    m.get = &get;
    send_raw(e, &m);
    get.digest = codec_bytes(&d);
    get.offset = UINT64_MAX; /* far beyond the end: tells the size and no more */
    get.credit = UINT32_MAX;
    send_raw(e, &m);
    {
        struct arena arena = { 0 };
        const Shotline__BlobMessage *answer = receive_raw(e, &arena);

        assert_non_null(answer->chunk);
        assert_int_equal(answer->chunk->data.len, 0);
        assert_int_equal(answer->chunk->bytes, LARGE);
        arena_free(&arena);
    }
    expect_get(&d, LARGE);
    endpoint_close(&e);
}

static void credit_holds_a_large_blob_back(void **state)
{
    size_t bytes = 3 * BLOB_CREDIT * BLOB_CHUNK_BYTES;
    struct digest large = add(farm, 41, bytes), small = add(farm, 42, 10);
    struct error err = { 0 };
    struct endpoint *e = endpoint_connect(address, NULL, &err);
    Shotline__BlobMessage m = SHOTLINE__BLOB_MESSAGE__INIT;
    Shotline__BlobGet get = SHOTLINE__BLOB_GET__INIT;
    struct message in;

    (void)state;
    get.digest = codec_bytes(&large);
    get.credit = UINT32_MAX; /* greedy */
    m.get = &get;
    send_raw(e, &m);
    for (unsigned i = 0; i < BLOB_CREDIT; i++) {
        assert_true(endpoint_wait(e, PATIENCE_MS));
        assert_true(endpoint_receive(e, &in));
    }
    get.digest = codec_bytes(&small); /* answered next: of the large one nothing more comes without credit */
    send_raw(e, &m);
    {
        struct arena arena = { 0 };
        const Shotline__BlobMessage *answer = receive_raw(e, &arena);

        assert_non_null(answer->chunk);
        assert_int_equal(answer->chunk->bytes, 10);
        arena_free(&arena);
    }
    endpoint_close(&e);
}

static void *get_many(void *arg)
{
    const struct digest *blobs = arg;
    struct error err = { 0 };
    struct blob_client *c = blob_client_open(address, NULL, NULL, &err);
    char path[PATH_MAX];
    intptr_t done = 0;

    for (int i = 0; c && i < 4; i++) {
        snprintf(path, sizeof path, "%s/got-%p-%d", root, (void *)c, i);
        done += blob_client_get_file(c, &blobs[i], path, PATIENCE_MS, &err);
        done += blob_client_get(c, here, &blobs[i], PATIENCE_MS, &err); /* all into the same store */
    }
    blob_client_close(&c);
    return (void *)done;
}

static void several_clients_at_once_are_served(void **state)
{
    struct digest blobs[4];
    pthread_t threads[6];

    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        blobs[i] = add(farm, 50 + i, i * LARGE + 1);
    for (int i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_many, blobs), 0);
    for (int i = 0; i < 6; i++) {
        void *done;

        assert_int_equal(pthread_join(threads[i], &done), 0);
        assert_int_equal((intptr_t)done, 8);
    }
}

static void the_stop_flag_ends_a_transfer(void **state)
{
    static atomic_bool stop;
    struct digest d = add(farm, 61, 10);
    struct error err = { 0 };
    struct blob_client *c;

    (void)state;
    atomic_store(&stop, true);
    c = blob_client_open(address, NULL, &stop, &err);
    assert_non_null(c);
    assert_false(blob_client_get(c, here, &d, PATIENCE_MS, &err));
    assert_int_equal(err.kind, ERROR_CANCELLED);
    blob_client_close(&c);
}

static void nobody_there_is_unreachable(void **state)
{
    struct digest d = digest_of("x", 1);
    struct error err = { 0 };

    (void)state;
    blob_server_close(&server);
    assert_false(blob_client_get(client, here, &d, 20, &err));
    assert_int_equal(err.kind, ERROR_UNREACHABLE);
    assert_non_null(strstr(err.text, address));
}

static void a_full_disk_of_the_farm_is_reported(void **state)
{
    struct digest d = add(here, 71, LARGE);
    struct rlimit old, tight;
    struct error err = { 0 };
    bool ok;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = (struct rlimit){ .rlim_cur = 100000, .rlim_max = old.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    ok = blob_client_put(client, here, &d, PATIENCE_MS, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_false(ok);
    assert_int_equal(err.kind, ERROR_UNREACHABLE); /* waited for, like a farm that is away */
    assert_non_null(strstr(err.text, "cannot store"));
    assert_false(store_dir_has(farm, &d));
    expect_put(&d, LARGE); /* room again */
}

#define OVER_IPC(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)
#define INPROC(test)   cmocka_unit_test_prestate_setup_teardown(test, open_all, close_all, (void *)#test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER_IPC(blobs_of_all_sizes_come),
        INPROC(blobs_of_all_sizes_come),
        OVER_IPC(blobs_of_all_sizes_go),
        INPROC(blobs_of_all_sizes_go),
        OVER_IPC(a_guard_ends_what_is_under_way),
        INPROC(an_unknown_blob_is_said_to_be_unknown),
        INPROC(files_go_and_come_too),
        OVER_IPC(files_outside_the_store_are_served),
        INPROC(a_broken_transfer_goes_on),
        OVER_IPC(a_server_restart_in_between_is_survived),
        INPROC(a_put_of_wrong_bytes_is_refused_and_leaves_nothing),
        INPROC(a_repeated_put_goes_on_where_it_is),
        INPROC(rubbish_does_not_disturb_the_server),
        INPROC(credit_holds_a_large_blob_back),
        OVER_IPC(several_clients_at_once_are_served),
        INPROC(the_stop_flag_ends_a_transfer),
        OVER_IPC(nobody_there_is_unreachable),
        INPROC(a_full_disk_of_the_farm_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

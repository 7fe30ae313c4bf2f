/* links: shotline_wire */
/* Bytes to messages: what was packed comes back; anything else is refused, without a crash and within bounds. */
#include "common/wire/codec.h"
#include "common/wire/endpoint.h"
#include "proto/blob.pb-c.h"
#include "proto/client.pb-c.h"
#include "proto/worker.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void pack_done(struct str *to)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerDone done = SHOTLINE__WORKER_DONE__INIT;
    Shotline__NamedBlob output = SHOTLINE__NAMED_BLOB__INIT, *outputs[] = { &output };
    Shotline__Blob blob = SHOTLINE__BLOB__INIT;
    struct digest d = digest_of("frames", 6);

    blob.digest = codec_bytes(&d);
    blob.bytes = 6;
    output.name = (char *)"video";
    output.blob = &blob;
    done.task = 7;
    done.attempt = 2;
    done.busy_ms = 1234;
    done.n_outputs = 1;
    done.outputs = outputs;
    m.sequence = 9;
    m.done = &done;
    codec_pack(&m.base, to);
}

static void a_message_comes_back(void **state)
{
    struct digest d, expected = digest_of("frames", 6);
    struct arena arena = { 0 };
    struct error err = { 0 };
    struct str packed = { 0 };
    const Shotline__ToCoordinator *m;

    (void)state;
    str_append(&packed, "leftover");
    pack_done(&packed);
    m = codec_unpack(&shotline__to_coordinator__descriptor, packed.data, packed.size, &arena, &err);
    assert_non_null(m);
    assert_int_equal(m->sequence, 9);
    assert_null(m->hello);
    assert_non_null(m->done);
    assert_int_equal(m->done->task, 7);
    assert_int_equal(m->done->n_outputs, 1);
    assert_string_equal(m->done->outputs[0]->name, "video");
    assert_true(codec_digest(&d, &m->done->outputs[0]->blob->digest));
    assert_true(digest_equal(&d, &expected));
    arena_free(&arena);
    str_free(&packed);
}

/* Every prefix is refused, or is a shorter message that is valid by itself (an optional part missing); none crashes. */
static void a_cut_message_is_refused(void **state)
{
    struct str packed = { 0 };

    (void)state;
    pack_done(&packed);
    for (size_t size = 0; size < packed.size; size++) {
        struct arena arena = { 0 };
        struct error err = { 0 };
        uint8_t *exact = malloc(size > 0 ? size : 1); /* so that a sanitizer sees a read beyond the end */
        const Shotline__ToCoordinator *m;

        assert_non_null(exact);
        memcpy(exact, packed.data, size);
        m = codec_unpack(&shotline__to_coordinator__descriptor, exact, size, &arena, &err);
        assert_true(!m || !m->done); /* `done` is the last field: a cut one must not be seen */
        if (!m)
            assert_int_equal(err.kind, ERROR_INPUT);
        arena_free(&arena);
        free(exact);
    }
    str_free(&packed);
}

static void random_bytes_do_not_crash(void **state)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        &shotline__to_coordinator__descriptor, &shotline__to_worker__descriptor, &shotline__to_farm__descriptor,
        &shotline__from_farm__descriptor, &shotline__blob_message__descriptor
    };
    uint64_t seed = 88172645463325252u;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct arena arena = { 0 };
        uint8_t bytes[64];
        size_t size;

        for (size_t i = 0; i < sizeof bytes; i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            bytes[i] = (uint8_t)(i % 3 ? seed & 0x2f : seed); /* small values: tags and lengths that fit */
        }
        size = seed % sizeof bytes;
        codec_unpack(types[round % 5], bytes, size, &arena, NULL);
        arena_free(&arena);
    }
}

/* Records in memory are an order of magnitude larger than on the wire: there is a ceiling for the unfolded message too.
 */
static void a_message_that_unfolds_too_far_is_refused(void **state)
{
    static const uint8_t running[] = {
        0x0a, 4, 0x08, 1, 0x10, 1
    }; /* WorkerHeartbeat.running { task: 1, attempt: 1 } */
    struct arena arena = { 0 };
    struct error err = { 0 };
    size_t count = WIRE_MAX_MESSAGE / sizeof running;
    uint8_t *bytes = malloc(count * sizeof running);
    const Shotline__WorkerHeartbeat *m;

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < count; i++)
        memcpy(bytes + i * sizeof running, running, sizeof running);
    m = codec_unpack(&shotline__worker_heartbeat__descriptor, bytes, 1000 * sizeof running, &arena, &err);
    assert_non_null(m);
    assert_int_equal(m->n_running, 1000);
    arena_free(&arena);
    assert_null(codec_unpack(&shotline__worker_heartbeat__descriptor, bytes, count * sizeof running, &arena, &err));
    assert_int_equal(err.kind, ERROR_INPUT);
    arena_free(&arena);
    free(bytes);
}

static void a_message_over_the_limit_is_refused(void **state)
{
    struct arena arena = { 0 };
    struct error err = { 0 };
    uint8_t *bytes = calloc(1, WIRE_MAX_MESSAGE + 1);

    (void)state;
    assert_non_null(bytes);
    assert_null(codec_unpack(&shotline__to_farm__descriptor, bytes, WIRE_MAX_MESSAGE + 1, &arena, &err));
    assert_int_equal(err.kind, ERROR_INPUT);
    free(bytes);
}

static void a_digest_has_32_bytes(void **state)
{
    struct digest d = { { 1, 2, 3 } }, back;
    ProtobufCBinaryData bytes = codec_bytes(&d), nothing = { 0 };

    (void)state;
    assert_true(codec_digest(&back, &bytes));
    assert_true(digest_equal(&back, &d));
    bytes.len = 31;
    assert_false(codec_digest(&back, &bytes));
    bytes.len = 33;
    assert_false(codec_digest(&back, &bytes));
    assert_false(codec_digest(&back, &nothing));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_comes_back),
        cmocka_unit_test(a_cut_message_is_refused),
        cmocka_unit_test(random_bytes_do_not_crash),
        cmocka_unit_test(a_message_that_unfolds_too_far_is_refused),
        cmocka_unit_test(a_message_over_the_limit_is_refused),
        cmocka_unit_test(a_digest_has_32_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* links: shotline_wire */
/* Addresses of a farm, what may be bound, and messages that arrive whole or not at all. */
#include "common/base/file.h"
#include "common/wire/endpoint.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void expect_address(const char *base, enum conversation c, const char *expected)
{
    struct error err = { 0 };
    char to[256];

    if (!endpoint_address(base, c, to, sizeof to, &err))
        fail_msg("%s", err.text);
    assert_string_equal(to, expected);
}

static void conversations_derive_from_one_address(void **state)
{
    (void)state;
    expect_address("ipc:///run/x", CONVERSATION_WORKERS, "ipc:///run/x/workers");
    expect_address("ipc:///run/x", CONVERSATION_CLIENTS, "ipc:///run/x/clients");
    expect_address("ipc:///run/x", CONVERSATION_BLOBS, "ipc:///run/x/blobs");
    expect_address("tcp://127.0.0.1:7000", CONVERSATION_WORKERS, "tcp://127.0.0.1:7000");
    expect_address("tcp://127.0.0.1:7000", CONVERSATION_BLOBS, "tcp://127.0.0.1:7002");
    expect_address("tcp://[::1]:7000", CONVERSATION_CLIENTS, "tcp://[::1]:7001");
}

static void other_addresses_are_misuse(void **state)
{
    static const char *const bad[] = { "",
                                       "nonsense",
                                       "ipc://",
                                       "ipc:///",
                                       "ipc://relative",
                                       "tcp://host",
                                       "tcp://host:",
                                       "tcp://:7000",
                                       "tcp://host:0",
                                       "tcp://host:70000",
                                       "tcp://host:65534",
                                       "tcp://host:7x",
                                       "tcp://host:-7",
                                       "udp://host:7000" };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = { 0 };
        char to[256];

        if (endpoint_address(bad[i], CONVERSATION_BLOBS, to, sizeof to, &err))
            fail_msg("%s became %s", bad[i], to);
        assert_int_equal(err.kind, ERROR_USAGE);
    }
}

static void a_path_too_long_for_a_socket_is_misuse(void **state)
{
    struct error err = { 0 };
    char base[200] = "ipc:///", to[256];

    (void)state;
    memset(base + 7, 'd', 110);
    assert_false(endpoint_address(base, CONVERSATION_WORKERS, to, sizeof to, &err));
    assert_int_equal(err.kind, ERROR_USAGE);
    assert_non_null(strstr(err.text, "too long"));
}

static void tcp_needs_keys_and_the_others_have_none(void **state)
{
    static const char *const open_to_all[] = {
        "tcp://0.0.0.0:17000",     "tcp://*:17000",         "tcp://[::]:17000",
        "tcp://192.168.1.5:17000", "tcp://127.0.0.1:17000", "tcp://[::1]:17000"
    };
    const struct curve_pair own = curve_pair_new();
    const struct endpoint_keys keys = { .own = own };

    (void)state;
    for (size_t i = 0; i < sizeof open_to_all / sizeof *open_to_all; i++) {
        struct error err = { 0 };

        assert_null(endpoint_bind(open_to_all[i], NULL, &err));
        assert_int_equal(err.kind, ERROR_USAGE);
        assert_non_null(strstr(err.text, open_to_all[i]));
        assert_non_null(strstr(err.text, "needs keys"));
        assert_null(endpoint_connect(open_to_all[i], NULL, &err));
        assert_int_equal(err.kind, ERROR_USAGE);
        assert_non_null(strstr(err.text, "needs keys"));
    }
    struct error err = { 0 };

    assert_null(endpoint_bind("inproc://keys", &own, &err));
    assert_int_equal(err.kind, ERROR_USAGE);
    assert_null(endpoint_connect("ipc:///tmp/keys", &keys, &err));
    assert_int_equal(err.kind, ERROR_USAGE);
}

static struct message receive(struct endpoint *e)
{
    struct message m;

    assert_true(endpoint_wait(e, 5000));
    assert_true(endpoint_receive(e, &m));
    return m;
}

static void messages_go_both_ways_over_ipc(void **state)
{
    char folder[] = "/tmp/shotline-wire-XXXXXX", address[64];
    struct error err = { 0 };
    struct endpoint *farm, *worker;
    struct message m;
    struct peer peer;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(address, sizeof address, "ipc://%s/run/workers", folder); /* the folder is made */
    farm = endpoint_bind(address, NULL, &err);
    if (!farm)
        fail_msg("%s", err.text);
    worker = endpoint_connect(address, NULL, &err);
    assert_non_null(worker);
    assert_false(endpoint_receive(farm, &m));

    assert_true(endpoint_send(worker, NULL, "hello", 5));
    m = receive(farm);
    assert_int_equal(m.size, 5);
    assert_memory_equal(m.data, "hello", 5);
    peer = m.peer;
    assert_true(endpoint_send(farm, &peer, "", 0));
    m = receive(worker);
    assert_int_equal(m.size, 0);

    peer.id[0] ^= 0x55; /* nobody */
    assert_false(endpoint_send(farm, &peer, "x", 1));
    endpoint_close(&worker);
    endpoint_close(&farm);
    assert_null(farm);
    assert_true(file_remove_tree(folder, NULL));
}

/* A folder in which others could put a socket in the place of ours. */
static void a_folder_of_others_is_no_place_for_a_socket(void **state)
{
    char folder[] = "/tmp/shotline-wire-XXXXXX", address[64];
    struct error err = { 0 };

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(address, sizeof address, "ipc://%s/workers", folder);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_null(endpoint_bind(address, NULL, &err));
    assert_non_null(strstr(err.text, "everybody may write"));
    assert_int_equal(chmod(folder, 01777), 0); /* as /tmp */
    struct endpoint *e = endpoint_bind(address, NULL, &err);
    if (!e)
        fail_msg("%s", err.text);
    endpoint_close(&e);
    if (geteuid() == 0) {
        assert_int_equal(chown(folder, 65534, 65534), 0);
        assert_null(endpoint_bind(address, NULL, &err));
        assert_non_null(strstr(err.text, "belongs to another user"));
    }
    assert_true(file_remove_tree(folder, NULL));
}

static void an_address_is_taken_once(void **state)
{
    struct error err = { 0 };
    struct endpoint *farm = endpoint_bind("inproc://once", NULL, &err);

    (void)state;
    assert_non_null(farm);
    assert_null(endpoint_bind("inproc://once", NULL, &err));
    assert_int_equal(err.kind, ERROR_IO);
    assert_non_null(strstr(err.text, "inproc://once"));
    endpoint_close(&farm);
}

static void a_message_over_the_limit_arrives_as_a_fault_without_bytes(void **state)
{
    struct error err = { 0 };
    struct endpoint *farm = endpoint_bind("inproc://limit", NULL, &err);
    struct endpoint *worker = endpoint_connect("inproc://limit", NULL, &err);
    uint8_t *large = calloc(1, WIRE_MAX_MESSAGE + 1);
    struct message m;

    (void)state;
    assert_non_null(farm);
    assert_non_null(worker);
    assert_non_null(large);
    endpoint_send(worker, NULL, large, WIRE_MAX_MESSAGE + 1);
    assert_true(endpoint_send(worker, NULL, large, WIRE_MAX_MESSAGE));
    m = receive(farm);
    assert_non_null(m.fault);
    assert_non_null(strstr(m.fault, "too large"));
    assert_null(m.data);
    assert_true(m.peer.size > 0);
    m = receive(farm);
    assert_null(m.fault);
    assert_int_equal(m.size, WIRE_MAX_MESSAGE);
    assert_false(endpoint_receive(farm, &m));
    free(large);
    endpoint_close(&worker);
    endpoint_close(&farm);
}

/* CZMQ likes to take SIGINT and SIGTERM for itself. */
static void signals_stay_with_the_program(void **state)
{
    struct error err = { 0 };
    struct endpoint *e = endpoint_bind("inproc://signals", NULL, &err);
    struct sigaction term, interrupt;

    (void)state;
    assert_non_null(e);
    assert_int_equal(sigaction(SIGTERM, NULL, &term), 0);
    assert_int_equal(sigaction(SIGINT, NULL, &interrupt), 0);
    assert_true(term.sa_handler == SIG_DFL);
    assert_true(interrupt.sa_handler == SIG_DFL);
    endpoint_close(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_stay_with_the_program),
        cmocka_unit_test(conversations_derive_from_one_address),
        cmocka_unit_test(other_addresses_are_misuse),
        cmocka_unit_test(a_path_too_long_for_a_socket_is_misuse),
        cmocka_unit_test(tcp_needs_keys_and_the_others_have_none),
        cmocka_unit_test(messages_go_both_ways_over_ipc),
        cmocka_unit_test(a_folder_of_others_is_no_place_for_a_socket),
        cmocka_unit_test(an_address_is_taken_once),
        cmocka_unit_test(a_message_over_the_limit_arrives_as_a_fault_without_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

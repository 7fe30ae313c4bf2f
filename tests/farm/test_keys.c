/* Keys on the wire, over loopback tcp: who is let in, who is not, and that messages carry the key of their sender. */
#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/wire/zap.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 10000

/* The farm's side. */
static struct {
    struct curve_pair own;
    pthread_mutex_t lock;
    struct curve_key welcome[4];
    size_t welcome_count, asked;
    struct zap *zap;
    struct endpoint *endpoint;
    char address[64];
} farm = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool judge(void *context, const struct curve_key *key, const char *address)
{
    bool known = false;

    (void)context;
    pthread_mutex_lock(&farm.lock);
    farm.asked++;
    for (size_t i = 0; i < farm.welcome_count; i++)
        known = known || curve_equal(&farm.welcome[i], key);
    pthread_mutex_unlock(&farm.lock);
    return known && strcmp(address, "127.0.0.1") == 0;
}

static size_t asked(void)
{
    pthread_mutex_lock(&farm.lock);
    size_t n = farm.asked;
    pthread_mutex_unlock(&farm.lock);
    return n;
}

/* A loopback port that nobody listens on now. */
static int free_port(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    close(fd);
    return ntohs(a.sin_port);
}

/* *state: NULL, or how many connections it takes. */
static int open_farm(void **state)
{
    struct error err = { 0 };

    farm.own = curve_pair_new();
    farm.welcome_count = farm.asked = 0;
    snprintf(farm.address, sizeof farm.address, "tcp://127.0.0.1:%d", free_port());
    farm.zap = zap_open(judge, NULL, &err);
    if (farm.zap && *state)
        zap_limit(farm.zap, *state);
    farm.endpoint = farm.zap ? endpoint_bind(farm.address, &farm.own, &err) : NULL;
    if (!farm.endpoint || !zap_watch(farm.zap, farm.endpoint, "workers", &err)) {
        print_error("%s\n", err.text);
        return -1;
    }
    return 0;
}

static int close_farm(void **state)
{
    (void)state;
    endpoint_close(&farm.endpoint);
    zap_close(&farm.zap);
    return 0;
}

static void welcome(const struct curve_key *key)
{
    pthread_mutex_lock(&farm.lock);
    farm.welcome[farm.welcome_count++] = *key;
    pthread_mutex_unlock(&farm.lock);
}

static struct endpoint *connect_with(const struct curve_pair *own, const struct curve_key *expected)
{
    const struct endpoint_keys keys = { .own = *own, .farm = *expected };
    struct error err = { 0 };
    struct endpoint *e = endpoint_connect(farm.address, &keys, &err);

    if (!e)
        fail_msg("%s", err.text);
    return e;
}

static struct message receive(struct endpoint *e)
{
    struct message m;

    assert_true(endpoint_wait(e, PATIENCE_MS));
    assert_true(endpoint_receive(e, &m));
    return m;
}

static void messages_carry_the_key_of_their_sender(void **state)
{
    struct curve_pair pairs[2] = { curve_pair_new(), curve_pair_new() };
    struct endpoint *peers[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        welcome(&pairs[i].public);
        peers[i] = connect_with(&pairs[i], &farm.own.public);
        assert_true(endpoint_send(peers[i], NULL, i ? "one" : "zero", 4));
    }
    for (int i = 0; i < 2; i++) {
        struct message m = receive(farm.endpoint);
        int from = m.data[0] == 'o';

        assert_null(m.fault);
        assert_true(curve_equal(&m.key, &pairs[from].public));
        assert_true(endpoint_send(farm.endpoint, &m.peer, "welcome", 7));
        m = receive(peers[from]);
        assert_int_equal(m.size, 7);
        assert_false(endpoint_refused(peers[from]));
    }
    for (int i = 0; i < 2; i++)
        endpoint_close(&peers[i]);
}

static void a_key_that_is_not_known_is_turned_away_and_hears_it(void **state)
{
    const struct curve_pair stranger = curve_pair_new(), known = curve_pair_new();
    struct endpoint *e = connect_with(&stranger, &farm.own.public), *other;
    const int64_t until_ms = clock_now_ms() + PATIENCE_MS;
    struct message m;

    (void)state;
    endpoint_send(e, NULL, "hello", 5);
    while (!endpoint_refused(e) && clock_now_ms() < until_ms)
        endpoint_wait(e, 20);
    assert_true(endpoint_refused(e));
    assert_true(asked() > 0);
    welcome(&known.public);
    other = connect_with(&known, &farm.own.public);
    assert_true(endpoint_send(other, NULL, "hi", 2));
    m = receive(farm.endpoint); /* the farm goes on, and the stranger's word never came */
    assert_int_equal(m.size, 2);
    assert_false(endpoint_receive(farm.endpoint, &m));
    endpoint_close(&other);
    endpoint_close(&e);
}

/* Whoever takes another farm's key for this one's, or has no keys at all, never comes as far as the question. */
static void others_do_not_get_to_the_question(void **state)
{
    const struct curve_pair known = curve_pair_new(), wrong = curve_pair_new();
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    /* ZMTP 3.0 with the mechanism NULL */
    static const uint8_t greeting[64] = { 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'N', 'U', 'L', 'L' };
    struct endpoint *e;
    struct message m;
    uint8_t answer[256];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ssize_t n;

    (void)state;
    welcome(&known.public);
    e = connect_with(&known, &wrong.public);
    endpoint_send(e, NULL, "hello", 5);
    assert_false(endpoint_wait(e, 300));

    to.sin_port = htons((uint16_t)atoi(strrchr(farm.address, ':') + 1));
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(fd, greeting, sizeof greeting, MSG_NOSIGNAL), sizeof greeting);
    do /* its greeting, and then the end */
        n = recv(fd, answer, sizeof answer, 0);
    while (n > 0);
    close(fd);
    assert_int_equal(asked(), 0);
    assert_false(endpoint_receive(farm.endpoint, &m));
    endpoint_close(&e);
}

/* As many as the door has room for come and say nothing: who has a key is let in none the less. */
static void silent_connections_do_not_close_the_door(void **state)
{
    enum { SILENT = 200 };
    const struct curve_pair known = curve_pair_new();
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fds[SILENT];
    struct endpoint *e;
    struct message m;

    (void)state;
    to.sin_port = htons((uint16_t)atoi(strrchr(farm.address, ':') + 1));
    for (int i = 0; i < SILENT; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&to, sizeof to), 0);
    }
    welcome(&known.public);
    e = connect_with(&known, &farm.own.public);
    assert_true(endpoint_send(e, NULL, "hello", 5));
    m = receive(farm.endpoint);
    assert_int_equal(m.size, 5);
    for (int i = 0; i < SILENT; i++)
        close(fds[i]);
    endpoint_close(&e);
}

enum { MOST = 5 };
static struct callers_limits few = { .total = 100, .per_address = MOST, .per_s = 1000, .burst = 1000 };

/* An address that has as many connections as it may is hung up on, until one of them closes. */
static void an_address_has_so_many_connections(void **state)
{
    const struct curve_pair known = curve_pair_new();
    const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct endpoint *e;
    struct message m;
    int fds[MOST];
    uint8_t answer[64];

    (void)state;
    to.sin_port = htons((uint16_t)atoi(strrchr(farm.address, ':') + 1));
    for (int i = 0; i < MOST; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&to, sizeof to), 0);
        assert_true(recv(fds[i], answer, sizeof answer, 0) > 0); /* the farm's greeting */
    }
    welcome(&known.public);
    e = connect_with(&known, &farm.own.public);
    assert_true(endpoint_send(e, NULL, "hello", 5));
    assert_false(endpoint_wait(farm.endpoint, 500)); /* it is full, and a key does not help */
    assert_false(endpoint_refused(e));               /* nor was it told that it may not come: it tries again */
    close(fds[0]);
    m = receive(farm.endpoint);
    assert_int_equal(m.size, 5);
    for (int i = 1; i < MOST; i++) /* whoever was there first has not been disturbed */
        assert_int_equal(recv(fds[i], answer, sizeof answer, MSG_PEEK | MSG_DONTWAIT) == 0, 0);
    for (int i = 1; i < MOST; i++)
        close(fds[i]);
    endpoint_close(&e);
}

static void there_is_one_door(void **state)
{
    struct error err = { 0 };

    (void)state;
    assert_null(zap_open(judge, NULL, &err));
    assert_int_equal(err.kind, ERROR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_carry_the_key_of_their_sender, open_farm, close_farm),
        cmocka_unit_test_setup_teardown(a_key_that_is_not_known_is_turned_away_and_hears_it, open_farm, close_farm),
        cmocka_unit_test_setup_teardown(others_do_not_get_to_the_question, open_farm, close_farm),
        cmocka_unit_test_setup_teardown(silent_connections_do_not_close_the_door, open_farm, close_farm),
        cmocka_unit_test_prestate_setup_teardown(an_address_has_so_many_connections, open_farm, close_farm, &few),
        cmocka_unit_test_setup_teardown(there_is_one_door, open_farm, close_farm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

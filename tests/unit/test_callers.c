/* links: shotline_wire */
/* Open connections are counted by where they come from, exactly, whatever order they come and go in. */
#include "common/wire/callers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct caller_address at(const char *text)
{
    struct sockaddr_storage s = { 0 };
    struct caller_address a;

    if (inet_pton(AF_INET, text, &((struct sockaddr_in *)&s)->sin_addr) == 1)
        s.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&s)->sin6_addr) == 1)
        s.ss_family = AF_INET6;
    assert_true(caller_address_of(&a, &s));
    return a;
}

static void an_address_is_a_host_or_a_network_of_ipv6(void **state)
{
    struct caller_address a = at("192.0.2.7"), b = at("::ffff:192.0.2.7"), c = at("2001:db8:1:2:3::4"),
                          d = at("2001:db8:1:2:ffff::1"), e = at("2001:db8:1:3::4");
    struct sockaddr_storage local = { .ss_family = AF_UNIX };
    char text[CALLER_ADDRESS_ROOM];

    (void)state;
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_equal(&c, &d, sizeof c);
    assert_memory_not_equal(&c, &e, sizeof c);
    caller_address_text(&b, text);
    assert_string_equal(text, "192.0.2.7");
    caller_address_text(&d, text);
    assert_string_equal(text, "2001:db8:1:2::/64");
    assert_false(caller_address_of(&a, &local));
}

static void open_connections_are_counted_by_address_and_in_all(void **state)
{
    const struct callers_limits limits = { .total = 5, .per_address = 3, .per_s = 1000, .burst = 1000 };
    const struct caller_address a = at("192.0.2.1"), b = at("192.0.2.2"), c = at("192.0.2.3");
    struct callers door;

    (void)state;
    callers_init(&door, &limits);
    for (int i = 0; i < 3; i++)
        assert_int_equal(callers_arrive(&door, i, &a, 0), CALLERS_WELCOME);
    assert_int_equal(callers_arrive(&door, 3, &a, 0), CALLERS_TOO_MANY_OF_ADDRESS);
    assert_int_equal(callers_arrive(&door, 4, &b, 0), CALLERS_WELCOME); /* others are not disturbed */
    assert_int_equal(callers_arrive(&door, 500, &c, 0), CALLERS_TOO_MANY);
    callers_leave(&door, 500);
    callers_leave(&door, 3);
    callers_leave(&door, 3); /* once is enough */
    assert_int_equal(callers_arrive(&door, 3, &a, 0), CALLERS_TOO_MANY_OF_ADDRESS);
    callers_leave(&door, 3);
    callers_leave(&door, 0);
    assert_int_equal(callers_arrive(&door, 3, &a, 0), CALLERS_WELCOME);
    /* A number that comes back without having left: its end was not seen. */
    assert_int_equal(callers_arrive(&door, 3, &b, 0), CALLERS_WELCOME);
    assert_int_equal(callers_arrive(&door, 0, &a, 0), CALLERS_WELCOME);
    callers_leave(&door, 1000000); /* never was here */
    callers_leave(&door, -1);
    callers_free(&door);
}

static void new_connections_come_at_a_rate(void **state)
{
    const struct callers_limits limits = { .total = 100, .per_address = 100, .per_s = 2, .burst = 4 };
    const struct caller_address a = at("192.0.2.1"), b = at("192.0.2.2");
    struct callers door;

    (void)state;
    callers_init(&door, &limits);
    for (int i = 0; i < 4; i++) { /* all gone at once: that does not give the right to more */
        assert_int_equal(callers_arrive(&door, 0, &a, 1000), CALLERS_WELCOME);
        callers_leave(&door, 0);
    }
    assert_int_equal(callers_arrive(&door, 0, &a, 1100), CALLERS_TOO_FAST);
    assert_int_equal(callers_arrive(&door, 1, &b, 1100), CALLERS_WELCOME);
    callers_leave(&door, 0);
    assert_int_equal(callers_arrive(&door, 0, &a, 1500), CALLERS_WELCOME);
    assert_int_equal(callers_arrive(&door, 2, &a, 1500), CALLERS_TOO_FAST);
    callers_free(&door);
}

/* A scan from ten thousand addresses, each with one short call, leaves nothing behind. */
static void who_has_gone_is_forgotten(void **state)
{
    const struct callers_limits limits = { .total = 100, .per_address = 100, .per_s = 200, .burst = 2000 };
    struct caller_address a = at("192.0.2.1");
    struct callers door;

    (void)state;
    callers_init(&door, &limits);
    for (int i = 0; i < 10000; i++) {
        memcpy(a.bytes + 12, &i, sizeof i);
        assert_int_equal(callers_arrive(&door, i % 7, &a, i), CALLERS_WELCOME);
    }
    assert_true(door.count <= 16);
    for (int i = 0; i < 7; i++)
        callers_leave(&door, i);
    assert_int_equal(door.total, 0);
    callers_free(&door);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_a_host_or_a_network_of_ipv6),
        cmocka_unit_test(open_connections_are_counted_by_address_and_in_all),
        cmocka_unit_test(new_connections_come_at_a_rate),
        cmocka_unit_test(who_has_gone_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

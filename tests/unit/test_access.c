/* links: shotline_coordinator_core */
/* Who may do what, and how much: the access list and the limits, on a clock of the test's. */
#include "coordinator/core/access.h"
#include "coordinator/core/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DAY_MS (INT64_C(24) * 3600 * 1000)

static struct curve_key key(unsigned number)
{
    struct curve_key k = { { 0 } };

    memcpy(k.bytes, &number, sizeof number);
    k.bytes[31] = 1;
    return k;
}

static struct access_entry *add(struct access *a, unsigned number, const char *name, enum role role,
                                enum access_state state, int64_t expires_ms)
{
    struct access_entry e = { .key = key(number), .role = role, .state = state, .expires_ms = expires_ms };
    struct error err = { 0 };

    snprintf(e.name, sizeof e.name, "%s", name);
    struct access_entry *added = access_add(a, &e, &err);
    if (!added)
        fail_msg("%s", err.text);
    return added;
}

static enum refusal check(const struct access *a, unsigned number, enum access_verb verb)
{
    const struct curve_key k = key(number);

    return access_check(a, &k, verb, 0);
}

static void roles_allow_what_they_say(void **state)
{
    static const char *const may[] = {
        /* join, look, submit, administer, work, read, write */
        [ROLE_VIEWER] = "-l---r-",
        [ROLE_SUBMITTER] = "-ls--rw",
        [ROLE_OPERATOR] = "-lsa-rw",
        [ROLE_WORKER] = "----wrw",
    };
    struct access a = { 0 };

    (void)state;
    for (int role = ROLE_VIEWER; role <= ROLE_WORKER; role++) {
        add(&a, (unsigned)role, role_name((enum role)role), (enum role)role, ACCESS_MEMBER, 0);
        for (int verb = ACCESS_JOIN; verb <= ACCESS_WRITE_BLOB; verb++) {
            enum refusal expected = may[role][verb] == '-' ? REFUSAL_ROLE : REFUSAL_NONE;

            if (check(&a, (unsigned)role, (enum access_verb)verb) != expected)
                fail_msg("role %s, verb %d", role_name((enum role)role), verb);
        }
    }
    for (int verb = ACCESS_JOIN; verb <= ACCESS_WRITE_BLOB; verb++)
        assert_int_equal(check(&a, 99, (enum access_verb)verb), REFUSAL_UNKNOWN);
    access_free(&a);
}

static void an_invite_joins_once_and_may_do_nothing_else(void **state)
{
    struct access a = { 0 };
    struct access_entry *invite = add(&a, 1, "gpu", ROLE_WORKER, ACCESS_INVITED, DAY_MS), *used, *member;
    const struct curve_key one = key(1), mine = key(2), other = key(3), none = { { 0 } };
    enum refusal why;

    (void)state;
    assert_int_equal(access_connect(&a, &one, 0), REFUSAL_NONE);
    for (int verb = ACCESS_LOOK; verb <= ACCESS_WRITE_BLOB; verb++)
        assert_int_equal(check(&a, 1, (enum access_verb)verb), REFUSAL_UNJOINED);
    assert_null(access_join(&a, &one, &none, 0, &used, &why));
    assert_int_equal(why, REFUSAL_MALFORMED);
    assert_null(access_join(&a, &other, &mine, 0, &used, &why));
    assert_int_equal(why, REFUSAL_UNKNOWN);

    member = access_join(&a, &one, &mine, 7, &used, &why);
    assert_non_null(member);
    assert_ptr_equal(used, invite);
    assert_int_equal(member->state, ACCESS_MEMBER);
    assert_int_equal(member->role, ROLE_WORKER);
    assert_string_equal(member->name, "gpu");
    assert_int_equal(check(&a, 2, ACCESS_WORK), REFUSAL_NONE);
    assert_int_equal(check(&a, 1, ACCESS_WORK), REFUSAL_USED);

    assert_ptr_equal(access_join(&a, &one, &mine, 9, &used, &why), member); /* the answer was lost: said again */
    assert_null(access_join(&a, &one, &other, 9, &used, &why));             /* a replay */
    assert_int_equal(why, REFUSAL_USED);
    assert_int_equal(access_connect(&a, &one, 9), REFUSAL_NONE); /* so that it can be told */
    assert_int_equal(check(&a, 3, ACCESS_WORK), REFUSAL_UNKNOWN);

    struct error err = { 0 };
    assert_true(access_revoke(&a, member, 9, &err));
    assert_null(access_join(&a, &one, &mine, 9, &used, &why)); /* a line does not bring a revoked key back */
    access_free(&a);
}

static void an_invite_cannot_take_a_key_that_is_known(void **state)
{
    struct access a = { 0 };
    struct access_entry *boss = add(&a, 5, "boss", ROLE_OPERATOR, ACCESS_MEMBER, 0), *used;
    struct curve_key one = key(1), near = boss->key;
    enum refusal why;

    (void)state;
    add(&a, 1, "gpu", ROLE_WORKER, ACCESS_INVITED, DAY_MS);
    assert_null(access_join(&a, &one, &boss->key, 0, &used, &why));
    assert_int_equal(why, REFUSAL_MALFORMED);
    near.bytes[20] = 9; /* of the same first bytes: it would stand in the other's way */
    assert_null(access_join(&a, &one, &near, 0, &used, &why));
    assert_int_equal(boss->role, ROLE_OPERATOR);
    assert_ptr_equal(access_find(&a, &boss->key), boss);
    assert_null(access_find(&a, &near));
    access_free(&a);
}

static void an_invite_expires(void **state)
{
    struct access a = { 0 };
    struct access_entry *used;
    const struct curve_key one = key(1), mine = key(2);
    enum refusal why;

    (void)state;
    add(&a, 1, "gpu", ROLE_WORKER, ACCESS_INVITED, DAY_MS);
    assert_int_equal(access_connect(&a, &one, DAY_MS - 1), REFUSAL_NONE);
    assert_int_equal(access_connect(&a, &one, DAY_MS), REFUSAL_EXPIRED);
    assert_null(access_join(&a, &one, &mine, DAY_MS, &used, &why));
    assert_int_equal(why, REFUSAL_EXPIRED);
    assert_null(access_find_name(&a, "gpu", DAY_MS)); /* the name is free again */
    access_free(&a);
}

static void a_revoked_key_may_nothing_and_frees_its_name(void **state)
{
    struct access a = { 0 };
    struct access_entry *gpu = add(&a, 1, "gpu", ROLE_WORKER, ACCESS_MEMBER, 0);
    const struct curve_key one = key(1);
    struct error err = { 0 };
    char text[CURVE_TEXT_ROOM];

    (void)state;
    curve_text(&one, text);
    assert_ptr_equal(access_find_name(&a, "gpu", 0), gpu);
    assert_ptr_equal(access_find_name(&a, text, 0), gpu);
    assert_true(access_revoke(&a, gpu, 0, &err));
    assert_int_equal(access_connect(&a, &one, 0), REFUSAL_REVOKED);
    for (int verb = ACCESS_JOIN; verb <= ACCESS_WRITE_BLOB; verb++)
        assert_int_equal(check(&a, 1, (enum access_verb)verb), REFUSAL_REVOKED);
    assert_null(access_find_name(&a, "gpu", 0));
    assert_null(access_find_name(&a, text, 0));
    access_free(&a);
}

static void the_last_operator_stays(void **state)
{
    struct access a = { 0 };
    struct access_entry *first = add(&a, 1, "operator", ROLE_OPERATOR, ACCESS_MEMBER, 0), *second;
    struct error err = { 0 };

    (void)state;
    add(&a, 2, "next", ROLE_OPERATOR, ACCESS_INVITED, DAY_MS); /* who has not joined yet is no operator */
    assert_false(access_revoke(&a, first, 0, &err));
    assert_non_null(strstr(err.text, "last operator"));
    second = add(&a, 3, "second", ROLE_OPERATOR, ACCESS_MEMBER, 0);
    assert_true(access_revoke(&a, first, 0, &err));
    assert_false(access_revoke(&a, second, 0, &err));
    assert_int_equal(second->state, ACCESS_MEMBER);
    access_free(&a);
}

static void names_are_chosen_and_checked(void **state)
{
    struct access a = { 0 };
    char name[64], longest[70];

    (void)state;
    access_free_name(&a, ROLE_WORKER, name);
    assert_string_equal(name, "worker-1");
    add(&a, 1, "worker-1", ROLE_WORKER, ACCESS_REVOKED, 0); /* a log that names it means one worker */
    access_free_name(&a, ROLE_WORKER, name);
    assert_string_equal(name, "worker-2");
    assert_true(access_name_is_good("Gpu_1.studio-b"));
    memset(longest, 'x', sizeof longest);
    longest[63] = '\0';
    assert_true(access_name_is_good(longest));
    longest[63] = 'x';
    longest[64] = '\0';
    assert_false(access_name_is_good(longest));
    assert_false(access_name_is_good(""));
    assert_false(access_name_is_good("a b"));
    assert_false(access_name_is_good("a\nb"));
    assert_false(access_name_is_good("\"quoted\""));
    access_free(&a);
}

static void the_list_finds_each_of_many_and_is_bounded(void **state)
{
    struct access a = { 0 };
    struct access_entry e = { .name = "one too many" };
    struct error err = { 0 };

    (void)state;
    for (unsigned i = 1; i <= ACCESS_MAX; i++) {
        char name[32];

        snprintf(name, sizeof name, "w%u", i);
        add(&a, i, name, ROLE_WORKER, ACCESS_MEMBER, 0);
    }
    for (unsigned i = 1; i <= ACCESS_MAX; i++)
        assert_int_equal(check(&a, i, ACCESS_WORK), REFUSAL_NONE);
    e.key = key(ACCESS_MAX + 1);
    assert_null(access_add(&a, &e, &err));
    assert_non_null(strstr(err.text, "as many as there can be"));
    access_free(&a);
}

static void note_dropped(void *context, const struct access_entry *e)
{
    char *list = context;

    strcat(strcat(list, " "), e->name);
}

static const char *dropped_before(struct access *a, int64_t before_ms)
{
    static char list[256];

    *list = '\0';
    access_drop_old(a, before_ms, note_dropped, list);
    return list;
}

/* What is long over is forgotten, and gains nothing by that. */
static void what_is_over_is_forgotten_and_stays_out(void **state)
{
    struct access a = { 0 };
    struct access_entry *used;
    const struct curve_key one = key(1), mine = key(10), again = key(11);
    struct error err = { 0 };
    enum refusal why;

    (void)state;
    add(&a, 1, "gpu", ROLE_WORKER, ACCESS_INVITED, 100);
    struct access_entry *member = access_join(&a, &one, &mine, 50, &used, &why);
    add(&a, 2, "late", ROLE_VIEWER, ACCESS_INVITED, 200);
    add(&a, 3, "ana", ROLE_SUBMITTER, ACCESS_MEMBER, 0);
    assert_true(access_revoke(&a, member, 300, &err));

    assert_string_equal(dropped_before(&a, 100), "");
    assert_string_equal(dropped_before(&a, 101), " gpu"); /* the invite that was used */
    assert_int_equal(access_check(&a, &mine, ACCESS_WORK, 400), REFUSAL_REVOKED);
    assert_string_equal(dropped_before(&a, 300), " late");
    assert_string_equal(dropped_before(&a, 301), " gpu");
    assert_int_equal(a.count, 1);
    for (int verb = ACCESS_JOIN; verb <= ACCESS_WRITE_BLOB; verb++) {
        assert_int_equal(check(&a, 1, (enum access_verb)verb), REFUSAL_UNKNOWN);
        assert_int_equal(check(&a, 2, (enum access_verb)verb), REFUSAL_UNKNOWN);
        assert_int_equal(check(&a, 10, (enum access_verb)verb), REFUSAL_UNKNOWN);
    }
    assert_int_equal(access_connect(&a, &mine, 400), REFUSAL_UNKNOWN);
    assert_null(access_join(&a, &one, &mine, 400, &used, &why)); /* nor does its line bring it back */
    assert_null(access_join(&a, &one, &again, 400, &used, &why));
    assert_int_equal(check(&a, 3, ACCESS_SUBMIT), REFUSAL_NONE);
    access_free(&a);
}

/* The key of the coordinator's machine becomes an operator where it is not known: revoked, it stays known. A made name
 * is made once, whoever bore it. */
static void operators_and_the_last_made_name_are_remembered(void **state)
{
    struct access a = { 0 };
    struct error err = { 0 };
    char name[64];

    (void)state;
    struct access_entry *first = add(&a, 1, "operator", ROLE_OPERATOR, ACCESS_MEMBER, 0);
    add(&a, 2, "boss", ROLE_OPERATOR, ACCESS_MEMBER, 0);
    assert_true(access_revoke(&a, first, 5, &err));
    for (unsigned i = 3; i < 6; i++) {
        access_free_name(&a, ROLE_WORKER, name);
        assert_true(access_revoke(&a, add(&a, i, name, ROLE_WORKER, ACCESS_MEMBER, 0), 5, &err));
    }
    assert_string_equal(dropped_before(&a, 1000), " worker-1 worker-2");
    assert_int_equal(check(&a, 1, ACCESS_ADMINISTER), REFUSAL_REVOKED);
    assert_int_equal(check(&a, 5, ACCESS_WORK), REFUSAL_REVOKED);
    access_free_name(&a, ROLE_WORKER, name);
    assert_string_equal(name, "worker-4");
    add(&a, 6, name, ROLE_WORKER, ACCESS_MEMBER, 0);
    assert_string_equal(dropped_before(&a, 1000), " worker-3");
    add(&a, 7, "worker-99999999999999999999", ROLE_WORKER, ACCESS_MEMBER, 0); /* chosen: no number */
    access_free_name(&a, ROLE_WORKER, name);
    assert_string_equal(name, "worker-5");
    access_free(&a);
}

/* ---- limits ---- */

static const struct limits_who W1 = { "one" }, W2 = { "two" };

static void a_flood_is_stopped_and_its_neighbours_are_not(void **state)
{
    struct limits l;
    int passed = 0;

    (void)state;
    limits_init(&l, 100);
    for (int i = 0; i < 10000; i++)
        passed += limits_message(&l, &W1, 0, 1000) == REFUSAL_NONE;
    assert_int_equal(passed, 100 * LIMITS_BURST_S);
    assert_int_equal(limits_message(&l, &W2, 0, 1000), REFUSAL_NONE);
    assert_int_equal(limits_message(&l, &W1, 1, 1000), REFUSAL_NONE); /* another conversation */
    passed = 0;
    for (int ms = 1000; ms < 11000; ms++)
        passed += limits_message(&l, &W1, 0, ms) == REFUSAL_NONE;
    assert_in_range(passed, 990, 1010); /* 100 a second from then on */
    limits_free(&l);
}

static void who_sends_much_that_is_malformed_is_ignored_for_a_while(void **state)
{
    struct limits l;
    int64_t now_ms = 5000;

    (void)state;
    limits_init(&l, 1e6);
    for (int i = 0; i < LIMITS_MALFORMED; i++) {
        assert_int_equal(limits_message(&l, &W1, 0, now_ms), REFUSAL_NONE);
        limits_refused(&l, &W1, REFUSAL_MALFORMED, now_ms);
    }
    assert_int_equal(limits_message(&l, &W1, 0, now_ms), REFUSAL_NONE);
    limits_refused(&l, &W1, REFUSAL_DIGEST, now_ms);
    assert_int_equal(limits_message(&l, &W1, 0, now_ms), REFUSAL_IGNORED);
    assert_int_equal(limits_message(&l, &W1, 2, now_ms + LIMITS_IGNORE_MS - 1), REFUSAL_IGNORED);
    assert_int_equal(limits_message(&l, &W2, 0, now_ms), REFUSAL_NONE);
    now_ms += LIMITS_IGNORE_MS;
    assert_int_equal(limits_message(&l, &W1, 0, now_ms), REFUSAL_NONE);
    /* One now and then is forgiven. */
    for (int i = 0; i < 10 * LIMITS_MALFORMED; i++) {
        now_ms += LIMITS_FORGIVE_MS;
        assert_int_equal(limits_message(&l, &W1, 0, now_ms), REFUSAL_NONE);
        limits_refused(&l, &W1, REFUSAL_MALFORMED, now_ms);
    }
    limits_free(&l);
}

static void a_refusal_is_logged_once_and_counted_always(void **state)
{
    struct limits l;

    (void)state;
    limits_init(&l, 100);
    assert_true(limits_refused(&l, &W1, REFUSAL_ROLE, 5000));
    for (int i = 1; i < 1000; i++)
        assert_false(limits_refused(&l, &W1, REFUSAL_ROLE, 5000 + i));
    assert_true(limits_refused(&l, &W1, REFUSAL_REVOKED, 5000)); /* another reason */
    assert_true(limits_refused(&l, &W2, REFUSAL_ROLE, 5000));    /* another peer */
    assert_int_equal(limits_count(&l, &W1), 1001);
    assert_int_equal(limits_count(&l, &(struct limits_who){ "three" }), 0);
    assert_true(limits_refused(&l, &W1, REFUSAL_ROLE, 5000 + LIMITS_LOG_EVERY_MS));
    limits_free(&l);
}

/* However many there are, the memory stays, and who is busy is not forgotten. */
static void many_peers_do_not_push_out_who_is_busy(void **state)
{
    struct limits l;

    (void)state;
    limits_init(&l, 1);
    for (int i = 0; i < 4 * LIMITS_BURST_S; i++)
        limits_message(&l, &W1, 0, 1000);
    for (unsigned i = 0; i < 100000; i++) {
        struct limits_who who = { { 0 } };

        memcpy(who.bytes, &i, sizeof i);
        limits_message(&l, &who, 0, 1001 + i / 1000);
        assert_int_equal(limits_message(&l, &W1, 0, 1001 + i / 1000), REFUSAL_RATE);
    }
    limits_free(&l);
}

static void every_refusal_has_a_text(void **state)
{
    (void)state;
    for (int i = 0; i < REFUSALS; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(refusal_text((enum refusal)i), refusal_text((enum refusal)k));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_allow_what_they_say),
        cmocka_unit_test(an_invite_joins_once_and_may_do_nothing_else),
        cmocka_unit_test(an_invite_cannot_take_a_key_that_is_known),
        cmocka_unit_test(an_invite_expires),
        cmocka_unit_test(a_revoked_key_may_nothing_and_frees_its_name),
        cmocka_unit_test(the_last_operator_stays),
        cmocka_unit_test(names_are_chosen_and_checked),
        cmocka_unit_test(what_is_over_is_forgotten_and_stays_out),
        cmocka_unit_test(operators_and_the_last_made_name_are_remembered),
        cmocka_unit_test(the_list_finds_each_of_many_and_is_bounded),
        cmocka_unit_test(a_flood_is_stopped_and_its_neighbours_are_not),
        cmocka_unit_test(who_sends_much_that_is_malformed_is_ignored_for_a_while),
        cmocka_unit_test(a_refusal_is_logged_once_and_counted_always),
        cmocka_unit_test(many_peers_do_not_push_out_who_is_busy),
        cmocka_unit_test(every_refusal_has_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

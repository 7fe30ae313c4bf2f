/* links: shotline_coordinator */
/* Keys that were long over at a start of the coordinator: forgotten, also by the store, and as shut out as before. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "coordinator/api/admission.h"
#include "coordinator/api/guard.h"
#include "tests/unit/farm_sim.h" /* the planner that the farm's library wants */
#include "tests/unit/temp_dir.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

static struct curve_key key(unsigned number)
{
    struct curve_key k = { { 0 } };

    memcpy(k.bytes, &number, sizeof number);
    k.bytes[31] = 1;
    return k;
}

static void put(struct store *s, unsigned number, enum role role, enum access_state state, int64_t expires_ms)
{
    struct access_entry e = { .key = key(number), .role = role, .state = state, .expires_ms = expires_ms };
    struct error err;

    snprintf(e.name, sizeof e.name, "key %u", number);
    assert_true(store_put_key(s, &e, &err));
}

static bool count_key(void *context, const struct access_entry *e)
{
    (void)e;
    ++*(int *)context;
    return true;
}

/* A start of the coordinator with what is in the store. How many keys are there once its first turn is saved? */
static int start(const char *path, struct guard **g, const struct credential *owner, int64_t wall_ms)
{
    struct error err = { 0 };
    struct ledger l = { 0 };
    struct fleet f = { 0 };
    struct store *s = store_open(path, &err);
    int count = 0;

    *g = guard_open(&(struct guard_options){ .keys = true, .messages_per_s = 1e6, .farm_address = "tcp://here:1" });
    if (!s || !admission_load(*g, s, owner, wall_ms, &err) || !store_save(s, &l, &f, &err))
        fail_msg("%s", err.text);
    store_close(&s);
    s = store_open(path, &err);
    assert_non_null(s);
    assert_true(store_each_key(s, count_key, &count, &err));
    store_close(&s);
    return count;
}

static enum role role_of(struct guard *g, unsigned number)
{
    const struct curve_key k = key(number);

    return guard_role(g, &k);
}

static bool connects(struct guard *g, unsigned number)
{
    const struct curve_key k = key(number);

    return guard_connects(g, &k, "10.0.0.1");
}

static void a_start_forgets_what_is_long_over(void **state)
{
    const int64_t now_ms = clock_wall_ms(), old_ms = now_ms - 31 * DAY_MS, late_ms = now_ms - 29 * DAY_MS;
    const struct credential owner = { .own.public = key(1), .name = "operator" };
    const char *path = in_dir("farm.db");
    struct error err = { 0 };
    struct ledger l = { 0 };
    struct fleet f = { 0 };
    struct guard *g;

    (void)state;
    struct store *s = store_open(path, &err);
    assert_non_null(s);
    put(s, 1, ROLE_OPERATOR, ACCESS_REVOKED, old_ms); /* of this machine: if it were forgotten, it would be made anew */
    put(s, 2, ROLE_OPERATOR, ACCESS_MEMBER, 0);
    put(s, 3, ROLE_WORKER, ACCESS_REVOKED, old_ms);
    put(s, 4, ROLE_WORKER, ACCESS_REVOKED, late_ms);
    put(s, 5, ROLE_WORKER, ACCESS_USED, old_ms);
    put(s, 6, ROLE_WORKER, ACCESS_INVITED, old_ms);
    put(s, 7, ROLE_WORKER, ACCESS_MEMBER, 0);
    assert_true(store_save(s, &l, &f, &err));
    store_close(&s);

    for (int restart = 0; restart < 2; restart++) {
        assert_int_equal(start(path, &g, &owner, now_ms), 4);
        for (unsigned i = 1; i <= 7; i++) {
            assert_int_equal(role_of(g, i), i == 2 ? ROLE_OPERATOR : i == 7 ? ROLE_WORKER : ROLE_NOBODY);
            assert_int_equal(connects(g, i), i == 2 || i == 7);
        }
        guard_close(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_start_forgets_what_is_long_over, make_dir, remove_dir),
    };

    setenv("SHOTLINE_LOG", "error", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

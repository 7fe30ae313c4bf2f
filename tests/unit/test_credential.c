/* Credentials: files that only their owner can read, and join lines that come whole or not at all. */
#include "common/base/credential.h"
#include "common/base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/shotline-credential-XXXXXX", path[64];

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/operator.json", dir);
    return 0;
}

static int teardown(void **state)
{
    struct error err;

    (void)state;
    return file_remove_tree(dir, &err) ? 0 : -1;
}

static struct credential example(void)
{
    return (struct credential){ .farm = "tcp://render-1.example:7000",
                                .name = "gpu-1",
                                .role = ROLE_WORKER,
                                .farm_key = curve_pair_new().public,
                                .own = curve_pair_new(),
                                .invite = curve_pair_new().public };
}

static void assert_same(const struct credential *a, const struct credential *b)
{
    assert_string_equal(a->farm, b->farm);
    assert_int_equal(a->role, b->role);
    assert_true(curve_equal(&a->farm_key, &b->farm_key));
    assert_true(curve_equal(&a->own.public, &b->own.public));
    assert_true(curve_equal(&a->own.secret, &b->own.secret));
}

static void a_file_reads_back_and_is_for_its_owner_alone(void **state)
{
    const struct credential c = example();
    struct credential read;
    struct error err = { 0 };
    struct stat st;

    (void)state;
    umask(0); /* the mode does not hang on it */
    assert_true(credential_save(&c, path, &err));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    if (!credential_load(&read, path, &err))
        fail_msg("%s", err.text);
    assert_same(&c, &read);
    assert_string_equal(read.name, "gpu-1");
    assert_true(curve_equal(&read.invite, &c.invite));
}

static void a_file_that_others_can_read_is_refused(void **state)
{
    static const mode_t open_modes[] = { 0640, 0604, 0660, 0644, 0610 };
    const struct credential c = example();
    struct credential read;
    struct error err = { 0 };

    (void)state;
    assert_true(credential_save(&c, path, &err));
    for (size_t i = 0; i < sizeof open_modes / sizeof *open_modes; i++) {
        assert_int_equal(chmod(path, open_modes[i]), 0);
        assert_false(credential_load(&read, path, &err));
        assert_int_equal(err.kind, ERROR_INPUT);
        assert_non_null(strstr(err.text, path));
        assert_non_null(strstr(err.text, "others"));
    }
    assert_int_equal(chmod(path, 0600), 0);
    assert_true(credential_load(&read, path, &err));
    assert_int_equal(chmod(dir, 0770), 0);
    assert_false(credential_load(&read, path, &err));
    assert_non_null(strstr(err.text, "folder"));
    assert_int_equal(chmod(dir, 0700), 0);
}

static void a_damaged_file_is_refused_by_its_field(void **state)
{
    static const struct {
        const char *text, *words;
    } bad[] = {
        { "", "operator.json" },
        { "{}", "farm" },
        { "{\"farm\":\"tcp://h:1\",\"farm_key\":\"x\",\"name\":\"n\",\"role\":\"worker\",\"secret\":\"y\"}",
          "farm_key" },
        { "{\"farm\":\"tcp://h:1\",\"farm_key\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"name\":\"n\","
          "\"role\":\"king\",\"secret\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
          "role" },
        { "{\"farm\":\"tcp://h:1\",\"farm_key\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"name\":\"n\","
          "\"role\":\"worker\",\"secret\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
          "secret" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = { 0 };
        struct credential c;

        assert_true(file_write_secret(path, bad[i].text, strlen(bad[i].text), &err));
        assert_false(credential_load(&c, path, &err));
        assert_int_equal(err.kind, ERROR_INPUT);
        if (!strstr(err.text, bad[i].words))
            fail_msg("\"%s\" does not name %s", err.text, bad[i].words);
    }
}

static void a_line_goes_both_ways(void **state)
{
    static const char *const farms[] = { "tcp://render-1.example:7000", "tcp://10.0.0.5:1",
                                         "tcp://[2001:db8::1]:7000" };

    (void)state;
    for (size_t i = 0; i < sizeof farms / sizeof *farms; i++)
        for (int role = ROLE_VIEWER; role <= ROLE_WORKER; role++) {
            struct credential c = example(), read;
            char line[CREDENTIAL_LINE_ROOM];
            struct error err = { 0 };

            snprintf(c.farm, sizeof c.farm, "%s", farms[i]);
            c.role = (enum role)role;
            assert_true(credential_line(&c, line));
            if (!credential_from_line(&read, line, &err))
                fail_msg("%s", err.text);
            assert_same(&c, &read);
        }
}

/* Whatever a slip of the hand does to a line, it is noticed here and not by a farm that does not answer. */
static void a_line_with_any_one_mistake_is_refused(void **state)
{
    const struct credential c = example();
    char line[CREDENTIAL_LINE_ROOM], spoiled[CREDENTIAL_LINE_ROOM + 1];
    struct credential read;

    (void)state;
    assert_true(credential_line(&c, line));
    for (size_t i = 0; i < strlen(line); i++) {
        struct error err = { 0 };

        strcpy(spoiled, line);
        spoiled[i] = spoiled[i] == 'a' ? 'b' : 'a';
        assert_false(credential_from_line(&read, spoiled, &err));
        assert_int_equal(err.kind, ERROR_USAGE);
        assert_null(strstr(err.text, line + strlen(line) - 50)); /* no secret in a message */
        strcpy(spoiled, line);
        spoiled[i] = '\0'; /* cut off */
        assert_false(credential_from_line(&read, spoiled, &err));
    }
    struct error err = { 0 };

    snprintf(spoiled, sizeof spoiled, "%sx", line);
    assert_false(credential_from_line(&read, spoiled, &err));
    assert_false(credential_from_line(&read, "ipc:///run/shotline/worker/x", &err));
}

static void roles_have_names(void **state)
{
    (void)state;
    for (int role = ROLE_VIEWER; role <= ROLE_WORKER; role++)
        assert_int_equal(role_from_name(role_name((enum role)role)), role);
    assert_int_equal(role_from_name("king"), ROLE_NOBODY);
    assert_int_equal(role_from_name(""), ROLE_NOBODY);
    assert_string_equal(role_name((enum role)99), "nobody");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_reads_back_and_is_for_its_owner_alone),
        cmocka_unit_test(a_file_that_others_can_read_is_refused),
        cmocka_unit_test(a_damaged_file_is_refused_by_its_field),
        cmocka_unit_test(a_line_goes_both_ways),
        cmocka_unit_test(a_line_with_any_one_mistake_is_refused),
        cmocka_unit_test(roles_have_names),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

/* links: shotline_wire */
/* The blob store: names always have their bytes, the bound holds, broken transfers go on, a full disk leaves nothing
 * behind. */
#include "common/base/file.h"
#include "common/wire/store_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utime.h>

#include <cmocka.h>

static char root[PATH_MAX];

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/shotline-store-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int drop_root(void **state)
{
    (void)state;
    return file_remove_tree(root, NULL) ? 0 : -1;
}

static struct store_dir *open_store(int64_t max_bytes)
{
    struct error err = { 0 };
    struct store_dir *s = store_dir_open(root, max_bytes, &err);

    assert_non_null(s);
    return s;
}

/* A blob of `size` bytes, each `fill`. */
static struct digest add(struct store_dir *s, char fill, size_t size)
{
    char data[4096];
    struct error err = { 0 };
    struct digest d;

    assert_true(size <= sizeof data);
    memset(data, fill, size);
    if (!store_dir_add_bytes(s, data, size, &d, &err))
        fail_msg("%s", err.text);
    return d;
}

static void bytes_come_back_under_their_digest(void **state)
{
    struct store_dir *s = open_store(0);
    struct error err = { 0 };
    struct digest d = add(s, 'a', 100), empty = add(s, 0, 0), expected = digest_of("", 0);
    size_t size;
    char *data = store_dir_read(s, &d, 100, &size, &err);

    (void)state;
    assert_non_null(data);
    assert_int_equal(size, 100);
    assert_int_equal(data[99], 'a');
    free(data);
    assert_int_equal(store_dir_bytes(s, &d), 100);
    assert_true(digest_equal(&empty, &expected));
    assert_int_equal(store_dir_bytes(s, &empty), 0);
    assert_null(store_dir_read(s, &d, 99, &size, &err)); /* larger than the caller takes */
    assert_true(store_dir_remove(s, &d));
    assert_false(store_dir_has(s, &d));
    assert_false(store_dir_remove(s, &d));
    assert_null(store_dir_read(s, &d, 100, &size, &err));
    store_dir_close(&s);
}

static void a_file_is_copied_under_its_digest(void **state)
{
    struct store_dir *s = open_store(0);
    struct error err = { 0 };
    char path[PATH_MAX], stored[PATH_MAX];
    struct digest d, expected = digest_of("some file", 9);
    int64_t bytes;

    (void)state;
    assert_true(file_join(path, sizeof path, root, "file"));
    assert_true(file_write(path, "some file", 9, &err));
    for (int again = 0; again < 2; again++) { /* the second time it is there already */
        bytes = -1;
        assert_true(store_dir_add_file(s, path, &d, &bytes, &err));
        assert_int_equal(bytes, 9);
        assert_true(digest_equal(&d, &expected));
    }
    assert_true(file_exists(path));
    assert_true(store_dir_path(s, &d, stored, sizeof stored));
    assert_true(file_exists(stored));
    assert_false(store_dir_add_file(s, "/nonexistent/file", &d, &bytes, &err));
    assert_int_equal(err.kind, ERROR_IO);
    store_dir_close(&s);
}

static void a_damaged_blob_is_an_absent_one(void **state)
{
    struct store_dir *s = open_store(0);
    struct error err = { 0 };
    struct digest d = add(s, 'x', 50);
    char path[PATH_MAX];
    size_t size;

    (void)state;
    assert_true(store_dir_path(s, &d, path, sizeof path));
    assert_true(file_write(path, "wrong", 5, &err));
    assert_null(store_dir_read(s, &d, 100, &size, &err));
    assert_int_equal(err.kind, ERROR_INPUT);
    assert_false(store_dir_has(s, &d));
    store_dir_close(&s);
}

static void the_least_recently_used_blobs_make_room(void **state)
{
    struct store_dir *s = open_store(3000);
    struct digest a = add(s, 'a', 1000), b = add(s, 'b', 1000), c = add(s, 'c', 1000), d;

    (void)state;
    assert_true(store_dir_has(s, &a)); /* used now: b is the oldest */
    d = add(s, 'd', 1000);
    assert_false(store_dir_has(s, &b));
    assert_true(store_dir_has(s, &a));
    assert_true(store_dir_has(s, &c));
    assert_true(store_dir_has(s, &d));
    store_dir_close(&s);
}

static void a_pinned_blob_stays(void **state)
{
    struct store_dir *s = open_store(2000);
    struct error err = { 0 };
    struct digest a = add(s, 'a', 1000), b = add(s, 'b', 1000), c;
    char data[1000] = "c";

    (void)state;
    store_dir_pin(s, &a);
    store_dir_pin(s, &a);
    store_dir_pin(s, &b);
    assert_false(store_dir_add_bytes(s, data, sizeof data, &c, &err)); /* everything is in use */
    assert_int_equal(err.kind, ERROR_IO);
    store_dir_unpin(s, &a);
    assert_false(store_dir_add_bytes(s, data, sizeof data, &c, &err)); /* pins count */
    store_dir_unpin(s, &a);
    assert_true(store_dir_add_bytes(s, data, sizeof data, &c, &err));
    assert_false(store_dir_has(s, &a));
    assert_true(store_dir_has(s, &b));
    store_dir_close(&s);
}

static void a_blob_larger_than_the_store_is_refused_and_evicts_nothing(void **state)
{
    struct store_dir *s = open_store(1500);
    struct error err = { 0 };
    struct digest a = add(s, 'a', 1000), d;
    char data[1501] = "";

    (void)state;
    assert_false(store_dir_add_bytes(s, data, sizeof data, &d, &err));
    assert_int_equal(err.kind, ERROR_IO);
    assert_true(store_dir_has(s, &a));
    store_dir_close(&s);
}

static void the_order_of_use_survives_a_restart(void **state)
{
    struct store_dir *s = open_store(3000);
    struct digest a = add(s, 'a', 1000), b = add(s, 'b', 1000);
    char path[PATH_MAX];

    (void)state;
    assert_true(store_dir_path(s, &a, path, sizeof path));
    assert_int_equal(utime(path, &(struct utimbuf){ .modtime = 2000000 }), 0);
    assert_true(store_dir_path(s, &b, path, sizeof path));
    assert_int_equal(utime(path, &(struct utimbuf){ .modtime = 1000000 }), 0);
    store_dir_close(&s);

    s = open_store(1500); /* and the bound was lowered */
    assert_true(store_dir_has(s, &a));
    assert_false(store_dir_has(s, &b));
    store_dir_close(&s);
}

static void a_broken_transfer_goes_on_where_it_was(void **state)
{
    struct store_dir *s = open_store(0);
    struct error err = { 0 };
    struct digest d = digest_of("hello world", 11);
    struct store_writer *w = store_writer_open(s, &d, 11, &err);

    (void)state;
    assert_non_null(w);
    assert_true(store_writer_append(w, "hello ", 6, &err));
    store_writer_abort(&w);
    assert_null(w);
    assert_false(store_dir_has(s, &d));
    store_dir_close(&s); /* even a restart */

    s = open_store(0);
    w = store_writer_open(s, &d, 11, &err);
    assert_non_null(w);
    assert_int_equal(store_writer_offset(w), 6);
    assert_false(store_writer_append(w, "world!", 6, &err)); /* more than announced */
    assert_int_equal(err.kind, ERROR_INPUT);
    assert_true(store_writer_append(w, "world", 5, &err));
    assert_true(store_writer_commit(&w, &err));
    assert_true(store_dir_has(s, &d));
    store_dir_close(&s);
}

static void wrong_bytes_never_get_a_name(void **state)
{
    struct store_dir *s = open_store(0);
    struct error err = { 0 };
    struct digest d = digest_of("hello", 5);
    struct store_writer *w = store_writer_open(s, &d, 5, &err);

    (void)state;
    assert_non_null(w);
    assert_true(store_writer_append(w, "jello", 5, &err));
    assert_false(store_writer_commit(&w, &err));
    assert_null(w);
    assert_int_equal(err.kind, ERROR_INPUT);
    assert_false(store_dir_has(s, &d));

    w = store_writer_open(s, &d, 5, &err); /* and they are not gone on with */
    assert_int_equal(store_writer_offset(w), 0);
    assert_true(store_writer_append(w, "hel", 3, &err));
    assert_false(store_writer_commit(&w, &err)); /* too short */
    assert_int_equal(err.kind, ERROR_INPUT);
    store_dir_close(&s);
}

static void two_writers_of_one_blob_do_not_mix(void **state)
{
    struct store_dir *s = open_store(0);
    struct error err = { 0 };
    struct digest d = digest_of("hello", 5);
    struct store_writer *first = store_writer_open(s, &d, 5, &err), *second;

    (void)state;
    assert_true(store_writer_append(first, "hel", 3, &err));
    second = store_writer_open(s, &d, 5, &err);
    assert_non_null(second);
    assert_int_equal(store_writer_offset(second), 0);
    assert_true(store_writer_append(second, "hello", 5, &err));
    assert_true(store_writer_commit(&second, &err));
    assert_true(store_writer_append(first, "lo", 2, &err));
    assert_true(store_writer_commit(&first, &err));
    assert_true(store_dir_has(s, &d));
    store_dir_close(&s);
}

static void a_full_disk_is_one_error_and_no_half_blob(void **state)
{
    struct store_dir *s = open_store(0);
    struct error err = { 0 };
    struct rlimit old, tight;
    struct digest d;
    char data[4096];
    bool ok;

    (void)state;
    memset(data, 'f', sizeof data);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = (struct rlimit){ .rlim_cur = 1000, .rlim_max = old.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    ok = store_dir_add_bytes(s, data, sizeof data, &d, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_false(ok);
    assert_int_equal(err.kind, ERROR_IO);
    assert_non_null(strstr(err.text, root));
    assert_false(store_dir_has(s, &d));
    assert_true(store_dir_add_bytes(s, data, sizeof data, &d, &err)); /* room again */
    assert_true(store_dir_has(s, &d));
    store_dir_close(&s);
}

static void a_folder_that_cannot_be_made_is_named(void **state)
{
    struct error err = { 0 };

    (void)state;
    assert_null(store_dir_open("/proc/no/such", 0, &err));
    assert_int_equal(err.kind, ERROR_IO);
    assert_non_null(strstr(err.text, "/proc/no"));
}

#define ROOTED(test) cmocka_unit_test_setup_teardown(test, make_root, drop_root)

static bool keeps_one(void *context, const struct store_blob *b)
{
    return digest_equal(context, &b->digest);
}

/* A store that counts removes nothing by itself, and tells its owner what could go: the least recently used first, also
 * after a start, and nothing that was used since it was listed. */
static void an_owner_may_choose_what_goes(void **state)
{
    struct store_dir *s = open_store(STORE_DIR_COUNTS);
    struct store_blob list[4];
    struct digest d[4];
    char path[PATH_MAX];

    (void)state;
    for (int i = 0; i < 4; i++) {
        d[i] = add(s, (char)('p' + i), 1000);
        assert_true(store_dir_path(s, &d[i], path, sizeof path));
        assert_int_equal(utime(path, &(struct utimbuf){ .modtime = 1000000 + i }), 0);
    }
    store_dir_close(&s);
    s = open_store(STORE_DIR_COUNTS);
    assert_true(store_dir_total(s) >= 4000);
    assert_int_equal(store_dir_peek(s, &d[1]), 1000);
    assert_int_equal(store_dir_oldest(s, 1500, keeps_one, &d[1], list, 4), 2);
    assert_true(digest_equal(&list[0].digest, &d[0]));
    assert_true(digest_equal(&list[1].digest, &d[2]));
    assert_int_equal(list[0].used_ms, 1000000000);
    store_dir_pin(s, &d[3]);
    assert_int_equal(store_dir_oldest(s, 3000, keeps_one, &d[1], list, 2), 2); /* as many as there is room for */
    assert_true(store_dir_has(s, &d[0]));                                      /* in the meantime */
    assert_false(store_dir_evict(s, &list[0]));
    assert_true(store_dir_evict(s, &list[1]));
    assert_int_equal(store_dir_bytes(s, &d[2]), -1);
    assert_int_equal(store_dir_peek(s, &d[2]), -1);
    assert_false(store_dir_evict(s, &list[1]));
    assert_int_equal(store_dir_bytes(s, &d[0]), 1000);
    store_dir_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOTED(bytes_come_back_under_their_digest),
        ROOTED(a_file_is_copied_under_its_digest),
        ROOTED(a_damaged_blob_is_an_absent_one),
        ROOTED(the_least_recently_used_blobs_make_room),
        ROOTED(a_pinned_blob_stays),
        ROOTED(a_blob_larger_than_the_store_is_refused_and_evicts_nothing),
        ROOTED(the_order_of_use_survives_a_restart),
        ROOTED(a_broken_transfer_goes_on_where_it_was),
        ROOTED(wrong_bytes_never_get_a_name),
        ROOTED(two_writers_of_one_blob_do_not_mix),
        ROOTED(a_full_disk_is_one_error_and_no_half_blob),
        cmocka_unit_test(an_owner_may_choose_what_goes),
        cmocka_unit_test(a_folder_that_cannot_be_made_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* links: shotline_agent shotline_nn shotline_wire */
/* Finished results survive the process, and leave only when they are dropped. */
#include "common/base/file.h"
#include "common/base/log.h"
#include "worker/outbox.h"

#include <dirent.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64], out_dir[128];
static struct store_dir *blobs;
static struct outbox *outbox;

static void open_again(void)
{
    struct error err = { 0 };
    char blob_dir[128];

    outbox_close(&outbox);
    store_dir_close(&blobs);
    snprintf(blob_dir, sizeof blob_dir, "%s/blobs", root);
    snprintf(out_dir, sizeof out_dir, "%s/outbox", root);
    blobs = store_dir_open(blob_dir, 2000, &err);
    assert_non_null(blobs);
    outbox = outbox_open(out_dir, blobs, &err);
    assert_non_null(outbox);
}

static int open_all(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/shotline-outbox-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    open_again();
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    outbox_close(&outbox);
    store_dir_close(&blobs);
    return file_remove_tree(root, NULL) ? 0 : -1;
}

static struct digest add_blob(char fill)
{
    char data[900];
    struct error err = { 0 };
    struct digest d;

    memset(data, fill, sizeof data);
    if (!store_dir_add_bytes(blobs, data, sizeof data, &d, &err))
        fail_msg("%s", err.text);
    return d;
}

static struct result put(uint64_t task, char fill)
{
    struct result r = { .task = task, .attempt = 3, .key = digest_of(&fill, 1), .busy_ms = 12, .count = 1 };
    struct error err = { 0 };

    strcpy(r.outputs[0].name, "latents");
    r.outputs[0].digest = add_blob(fill);
    r.outputs[0].bytes = 900;
    if (!outbox_put(outbox, &r, &err))
        fail_msg("%s", err.text);
    return r;
}

static struct result loaded[8];
static size_t loaded_count;

static void note(void *context, const struct result *r)
{
    (void)context;
    assert_true(loaded_count < 8);
    loaded[loaded_count++] = *r;
}

static void load(void)
{
    struct error err = { 0 };

    loaded_count = 0;
    assert_true(outbox_load(outbox, note, NULL, &err));
}

static int files_left(void)
{
    DIR *dir = opendir(out_dir);
    int n = 0;

    assert_non_null(dir);
    for (struct dirent *item; (item = readdir(dir));)
        n += item->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void a_result_survives_the_process(void **state)
{
    struct result r = put(7, 'a');

    (void)state;
    open_again(); /* as after kill -9 */
    load();
    assert_int_equal(loaded_count, 1);
    assert_memory_equal(&loaded[0], &r, sizeof r);
    outbox_drop(outbox, &r);
    assert_int_equal(files_left(), 0);
    outbox_drop(outbox, &r); /* a repeated acknowledgement */
    open_again();
    load();
    assert_int_equal(loaded_count, 0);
}

static void the_same_numbers_on_another_farm_do_not_collide(void **state)
{
    (void)state;
    put(7, 'a');
    put(7, 'b'); /* other key */
    assert_int_equal(files_left(), 2);
}

static void blobs_of_unsent_results_are_never_evicted(void **state)
{
    struct result r;

    (void)state;
    r = put(7, 'a');
    add_blob('x');
    add_blob('y'); /* the store holds two: x went */
    assert_true(store_dir_has(blobs, &r.outputs[0].digest));
    open_again();
    load();
    add_blob('v');
    add_blob('w');
    assert_true(store_dir_has(blobs, &r.outputs[0].digest));
    outbox_drop(outbox, &r);
    add_blob('x');
    add_blob('y');
    assert_false(store_dir_has(blobs, &r.outputs[0].digest));
}

/* A disk or a table of files that fails now is no reason to throw work away. */
static void what_cannot_be_read_now_is_kept(void **state)
{
    struct rlimit before, tight;
    int next = dup(0);

    (void)state;
    put(7, 'a');
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    close(next);
    tight = (struct rlimit){ .rlim_cur = (rlim_t)next + 1, .rlim_max = before.rlim_max }; /* the folder, and no more */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    load();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(loaded_count, 0);
    load();
    assert_int_equal(loaded_count, 1);
}

static void what_is_no_result_is_removed(void **state)
{
    struct error err = { 0 };
    char path[PATH_MAX];

    (void)state;
    put(7, 'a');
    assert_true(file_join(path, sizeof path, out_dir, "8-1-0123.done"));
    assert_true(file_write(path, "rubbish", 7, &err));
    assert_true(file_join(path, sizeof path, out_dir, "9-1-0123.done"));
    assert_true(file_write(path, "", 0, &err));
    assert_true(file_join(path, sizeof path, out_dir, "9-1-0123.done.tmp.77.1")); /* killed in the middle of a write */
    assert_true(file_write(path, "half", 4, &err));
    load();
    assert_int_equal(loaded_count, 1);
    assert_int_equal(files_left(), 1);
}

#define ROOTED(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOTED(a_result_survives_the_process),
        ROOTED(the_same_numbers_on_another_farm_do_not_collide),
        ROOTED(blobs_of_unsent_results_are_never_evicted),
        ROOTED(what_cannot_be_read_now_is_kept),
        ROOTED(what_is_no_result_is_removed),
    };

    log_set_level(LOG_LEVEL_ERROR); /* the warnings are meant to come */
    return cmocka_run_group_tests(tests, NULL, NULL);
}

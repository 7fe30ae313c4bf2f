/* links: shotline_coordinator_loop */
/* The scribe's own thread: manifests come back in order, on the disk, or with the reason why not. */
#include "coordinator/farm/scribe.h"

#include "common/base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define ROOM 100 /* of the small store, in bytes */

static char dir[64];

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/shotline-scribe-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return file_remove_tree(dir, NULL) ? 0 : -1;
}

static void ask(struct scribe *s, uint64_t order, const char *words)
{
    struct str text = { 0 };

    str_printf(&text, "%s", words);
    scribe_ask(s, &(struct scribe_order){ .campaign = { 7 }, .video = 3, .order = order }, &text);
    assert_null(text.data);
}

static struct scribe_answer wait_for(struct scribe *s)
{
    zmq_pollitem_t item = { .socket = scribe_socket(s), .events = ZMQ_POLLIN };
    struct scribe_answer a;

    assert_true(zmq_poll(&item, 1, 60000) == 1);
    assert_true(scribe_take(s, &a));
    return a;
}

static void manifests_come_back_in_order_and_are_there(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct store_dir *blobs = store_dir_open(dir, STORE_DIR_COUNTS, &err);
    struct scribe *s = scribe_open(blobs, &err);
    char words[32];

    assert_non_null(s);
    for (int i = 0; i < SCRIBE_AT_ONCE; i++) {
        snprintf(words, sizeof words, "manifest %d", i % 200); /* some are there already */
        ask(s, (uint64_t)i, words);
    }
    for (int i = 0; i < SCRIBE_AT_ONCE; i++) {
        const struct scribe_answer a = wait_for(s);
        size_t size;

        assert_int_equal(a.order.order, i);
        assert_int_equal(a.order.campaign.v, 7);
        assert_int_equal(a.order.video, 3);
        snprintf(words, sizeof words, "manifest %d", i % 200);
        assert_int_equal(a.manifest.bytes, strlen(words));
        char *there = store_dir_read(blobs, &a.manifest.digest, 1000, &size, &err);
        assert_non_null(there);
        assert_memory_equal(there, words, size);
        free(there);
    }
    scribe_close(&s);
    store_dir_close(&blobs);
}

static void what_has_no_room_is_told(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct store_dir *blobs = store_dir_open(dir, ROOM, &err);
    struct scribe *s = scribe_open(blobs, &err);
    char words[2 * ROOM] = { 0 };

    memset(words, 'x', sizeof words - 1);
    ask(s, 1, words);
    ask(s, 2, "short");
    const struct scribe_answer large = wait_for(s), small = wait_for(s);
    assert_int_equal(large.order.order, 1);
    assert_int_equal(large.manifest.bytes, 0);
    assert_non_null(strstr(large.why.text, "may hold only 100"));
    assert_int_equal(small.manifest.bytes, 5);
    scribe_close(&s);
    store_dir_close(&blobs);
}

static void what_was_ordered_is_written_before_it_ends(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct store_dir *blobs = store_dir_open(dir, STORE_DIR_COUNTS, &err);
    struct scribe *s = scribe_open(blobs, &err);

    for (uint64_t i = 0; i < 3; i++)
        ask(s, i, "nobody takes the answers");
    scribe_close(&s);
    const struct digest d = digest_of("nobody takes the answers", strlen("nobody takes the answers"));
    assert_true(store_dir_has(blobs, &d));
    store_dir_close(&blobs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(manifests_come_back_in_order_and_are_there, setup, teardown),
        cmocka_unit_test_setup_teardown(what_has_no_room_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_ordered_is_written_before_it_ends, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

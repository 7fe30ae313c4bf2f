/* links: shotline_coordinator_store */
#include "coordinator/store/journal.h"

#include "common/base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char dir[64], path[96];

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/shotline-journal-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/events.log", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return file_remove_tree(dir, NULL) ? 0 : -1;
}

static struct journal *reopen(struct journal *j)
{
    struct error err = { 0 };

    journal_close(&j);
    j = journal_open(path, &err);
    if (!j)
        fail_msg("%s", err.text);
    return j;
}

static void say(struct journal *j, const char *event, const char *text)
{
    journal_take(j, &(struct log_line){ .wall_ms = 1234567, .level = LOG_LEVEL_WARN, .event = event, .text = text });
}

/* What was read: the numbers, and the last event. */
struct seen {
    uint64_t worker; /* wanted; 0: any */
    uint64_t numbers[JOURNAL_KEPT + 1];
    size_t count;
    struct journal_event last;
};

static bool of_worker(void *context, const struct journal_event *e)
{
    const struct seen *s = context;

    return !s->worker || e->worker == s->worker;
}

static void see(void *context, const struct journal_event *e)
{
    struct seen *s = context;

    s->numbers[s->count++] = e->number;
    s->last = *e;
}

static uint64_t look(struct journal *j, uint64_t after, size_t most, struct seen *s)
{
    s->count = 0;
    return journal_read(j, after, most, of_worker, see, s);
}

/* Names and quoted texts come from outside: what they say of ids is not believed. */
static void ids_are_read_outside_of_quotes(void **state)
{
    (void)state;
    assert_int_equal(journal_id("task=17 worker=2", "task"), 17);
    assert_int_equal(journal_id("task=17 worker=2", "worker"), 2);
    assert_int_equal(journal_id("name=\"x task=3 y\" task=4", "task"), 4);
    assert_int_equal(journal_id("name=\"x task=3 y\"", "task"), 0);
    assert_int_equal(journal_id("subtask=5 task=x", "task"), 0);
    assert_int_equal(journal_id("", "task"), 0);
}

static void events_are_kept_over_a_restart_and_numbers_go_on(void **state)
{
    struct journal *j = reopen(NULL);
    struct seen s = { 0 };

    (void)state;
    say(j, "worker.hello", "worker=2 name=\"a b\"");
    say(j, "task.lost", "task=7 attempt=1 worker=2");
    journal_flush(j);
    say(j, "coordinator.stop", "");
    j = reopen(j);
    assert_int_equal(look(j, 0, 100, &s), 3);
    assert_int_equal(s.count, 3);
    assert_string_equal(s.last.event, "coordinator.stop");
    assert_string_equal(s.last.text, "");
    say(j, "worker.lost", "worker=2");
    assert_int_equal(look(j, 3, 100, &s), 4);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.last.number, 4);
    look(j, 1, 1, &s);
    assert_string_equal(s.last.event, "task.lost");
    assert_int_equal(s.last.task, 7);
    assert_int_equal(s.last.worker, 2);
    assert_int_equal(s.last.wall_ms, 1234567);
    assert_int_equal(s.last.level, LOG_LEVEL_WARN);
    assert_string_equal(s.last.text, "task=7 attempt=1 worker=2");
    journal_close(&j);
}

/* A killed process may leave half a line: it is dropped, and the next event stands on a line of its own. */
static void half_a_line_at_the_end_is_dropped(void **state)
{
    struct journal *j = reopen(NULL);
    struct seen s = { 0 };

    (void)state;
    say(j, "one", "task=1");
    journal_close(&j);
    FILE *f = fopen(path, "a");
    fputs("2 1234567 warn two ta", f);
    fclose(f);
    j = reopen(NULL);
    assert_int_equal(look(j, 0, 100, &s), 1);
    say(j, "two", "task=2");
    j = reopen(j);
    assert_int_equal(look(j, 0, 100, &s), 2);
    assert_string_equal(s.last.text, "task=2");
    journal_close(&j);
}

/* After a loss of power the end of a file may be zeros. */
static void zeros_at_the_end_are_dropped(void **state)
{
    struct journal *j = reopen(NULL);
    struct seen s = { 0 };
    char zeros[700] = { 0 };

    (void)state;
    say(j, "one", "task=1");
    journal_close(&j);
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    assert_int_equal(fwrite(zeros, 1, sizeof zeros, f), sizeof zeros);
    fclose(f);
    j = reopen(NULL);
    say(j, "two", "task=1");
    j = reopen(j);
    assert_int_equal(look(j, 0, 100, &s), 2);
    assert_int_equal(s.count, 2);
    journal_close(&j);
}

/* What a full disk refuses is missing in the file; what comes later is in it again. */
static void a_full_disk_passes(void **state)
{
    struct rlimit before, tight;
    struct journal *j = reopen(NULL);
    struct seen s = { 0 };
    struct stat st;

    (void)state;
    say(j, "one", "task=1");
    journal_flush(j);
    assert_int_equal(stat(path, &st), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = (struct rlimit){ .rlim_cur = (rlim_t)st.st_size + 5, .rlim_max = before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    say(j, "two", "task=1");
    journal_flush(j);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    say(j, "three", "task=1");
    look(j, 0, 100, &s);
    assert_int_equal(s.count, 3); /* the running farm has all of them */
    j = reopen(j);
    look(j, 0, 100, &s);
    assert_string_equal(s.last.event, "three");
    assert_int_equal(s.last.number, 3);
    journal_close(&j);
}

static void a_file_of_anything_is_no_journal_but_no_harm(void **state)
{
    static const char bytes[] = "not a line of ours\n\n18446744073709551615 1 warn x y\n-1\n\377\376\n7 1 info last\n";
    struct seen s = { 0 };
    struct error err;

    (void)state;
    assert_true(file_write(path, bytes, sizeof bytes - 1, &err));
    struct journal *j = reopen(NULL);
    assert_int_equal(look(j, 0, 100, &s), 7);
    assert_int_equal(s.count, 1);
    assert_string_equal(s.last.event, "last");
    journal_close(&j);
}

/* Memory and disk stay bounded however much happens; the latest events stay. */
static void old_events_make_room(void **state)
{
    struct journal *j = reopen(NULL);
    struct seen s = { 0 };
    struct stat st;
    char text[300], older[128];
    int64_t bytes = 0;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int i = 1; i <= 40000; i++) {
        memcpy(text, "worker=1 ", 9);
        text[7] = (char)('1' + i % 3);
        say(j, "load", text);
        if (i % 100 == 0)
            journal_flush(j);
    }
    j = reopen(j);
    assert_int_equal(look(j, 0, SIZE_MAX, &s), 40000);
    assert_int_equal(s.count, JOURNAL_KEPT);
    assert_int_equal(s.numbers[0], 40000 - JOURNAL_KEPT + 1);
    snprintf(older, sizeof older, "%s.1", path);
    assert_int_equal(stat(path, &st), 0);
    bytes += st.st_size;
    assert_int_equal(stat(older, &st), 0);
    bytes += st.st_size;
    assert_in_range(bytes, JOURNAL_FILE_BYTES, 2 * JOURNAL_FILE_BYTES);

    /* of one worker, in pieces, without a gap or a repeat */
    s.worker = 2;
    look(j, 0, SIZE_MAX, &s);
    size_t all = s.count;
    uint64_t after = s.numbers[0] - 1;
    assert_in_range(all, JOURNAL_KEPT / 3, JOURNAL_KEPT / 3 + 1);
    for (size_t got = 0; got < all; got += s.count) {
        after = look(j, after, 100, &s);
        assert_in_range(s.count, 1, 100);
    }
    assert_int_equal(look(j, after, 100, &s), 40000);
    assert_int_equal(s.count, 0);
    journal_close(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_read_outside_of_quotes),
        cmocka_unit_test_setup_teardown(events_are_kept_over_a_restart_and_numbers_go_on, setup, teardown),
        cmocka_unit_test_setup_teardown(half_a_line_at_the_end_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(zeros_at_the_end_are_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_passes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_of_anything_is_no_journal_but_no_harm, setup, teardown),
        cmocka_unit_test_setup_teardown(old_events_make_room, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

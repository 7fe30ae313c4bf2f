#include "common/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What goes to stderr while the lines are logged. */
static void logged(char *to, size_t room, void (*say)(void))
{
    int ends[2], kept = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    say();
    dup2(kept, STDERR_FILENO);
    close(ends[1]);
    ssize_t n = read(ends[0], to, room - 1);
    to[n > 0 ? n : 0] = '\0';
    close(ends[0]);
    close(kept);
}

static void say_two(void)
{
    log_set_level(LOG_LEVEL_INFO);
    log_set_name("worker-2");
    log_debug("hidden", "x=%d", 1);
    log_warn("task.failed", "task=%d reason=\"%s\"", 7, "two\nlines");
}

static void one_event_is_one_line(void **state)
{
    (void)state;
    char text[4096];
    logged(text, sizeof text, say_two);
    assert_null(strstr(text, "hidden"));
    assert_non_null(strstr(text, "Z warn  worker-2 task.failed task=7 reason=\"two lines\"\n"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void say_long(void)
{
    char big[4000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    log_error("long", "%s", big);
}

static void long_line_is_cut_and_ends(void **state)
{
    (void)state;
    char text[8192];
    logged(text, sizeof text, say_long);
    assert_in_range(strlen(text), 1000, 2048);
    assert_int_equal(text[strlen(text) - 1], '\n');
}

struct kept {
    char event[32], text[64];
    int count;
};

static void keep(void *context, const struct log_line *line)
{
    struct kept *k = context;
    snprintf(k->event, sizeof k->event, "%s", line->event);
    snprintf(k->text, sizeof k->text, "%s", line->text);
    assert_true(line->level >= LOG_LEVEL_INFO && line->wall_ms > 0);
    k->count++;
}

static void say_quietly(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    log_debug("never", "x=%d", 1);
    log_info("task.done", "task=%d name=\"%s\"", 7, "a\nb");
    log_set_level(LOG_LEVEL_INFO);
}

/* Whoever keeps the events gets them whatever stderr shows, as one line of plain text. */
static void a_sink_gets_what_stderr_does_not_show(void **state)
{
    (void)state;
    char text[64];
    struct kept k = { .count = 0 };
    log_set_sink(keep, &k);
    logged(text, sizeof text, say_quietly);
    log_set_sink(NULL, NULL);
    assert_string_equal(text, "");
    assert_int_equal(k.count, 1);
    assert_string_equal(k.event, "task.done");
    assert_string_equal(k.text, "task=7 name=\"a b\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_event_is_one_line),
        cmocka_unit_test(long_line_is_cut_and_ends),
        cmocka_unit_test(a_sink_gets_what_stderr_does_not_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

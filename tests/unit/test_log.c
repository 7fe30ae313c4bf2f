#include "common/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_event_is_one_line),
        cmocka_unit_test(long_line_is_cut_and_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common/base/log.h"

#include "common/base/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LEVEL_UNSET = -1, LINE_ROOM = 2048 };

static const char *const level_names[] = { "debug", "info", "warn", "error" };
static atomic_int level_now = LEVEL_UNSET;
static _Atomic(const char *) name_now;

static int level_from_environment(void)
{
    const char *want = getenv("SHOTLINE_LOG");
    for (int i = 0; want && i <= LOG_LEVEL_ERROR; i++)
        if (strcmp(want, level_names[i]) == 0)
            return i;
    return LOG_LEVEL_INFO;
}

void log_set_level(enum log_level level)
{
    atomic_store(&level_now, (int)level);
}

void log_set_name(const char *who)
{
    atomic_store(&name_now, who);
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
    if (atomic_load(&level_now) == LEVEL_UNSET)
        atomic_store(&level_now, level_from_environment());
    if ((int)level < atomic_load(&level_now))
        return;

    int64_t wall_ms = clock_wall_ms();
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    char stamp[32];
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);

    char line[LINE_ROOM];
    const char *who = atomic_load(&name_now);
    int head = snprintf(line, sizeof line, "%s.%03dZ %-5s %s%s%s ", stamp, (int)(wall_ms % 1000), level_names[level],
                        who ? who : "", who ? " " : "", event);
    size_t used = head < 0 ? 0 : (size_t)head < sizeof line - 1 ? (size_t)head : sizeof line - 1;
    va_list ap;
    va_start(ap, fmt);
    int body = vsnprintf(line + used, sizeof line - used, fmt, ap);
    va_end(ap);
    if (body > 0)
        used += (size_t)body < sizeof line - used ? (size_t)body : sizeof line - used - 1;

    /* One event is one line, whatever text from a peer or a file the values carry. */
    for (size_t i = 0; i < used; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = ' ';
    while (used > 0 && line[used - 1] == ' ')
        used--;
    line[used++] = '\n'; /* in the place of the terminator at the latest */

    /* A log line that cannot be written has nowhere else to go. */
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written;
}

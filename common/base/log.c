#include "common/base/log.h"

#include "common/base/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LEVEL_UNSET = -1, LINE_ROOM = 2048 };

static const char *const level_names[] = { "debug", "info", "warn", "error" };
static atomic_int level_now = LEVEL_UNSET;
static _Atomic(const char *) name_now;
static log_sink *sink_now;
static void *sink_context;

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

void log_set_sink(log_sink *sink, void *context)
{
    sink_now = sink;
    sink_context = context;
}

const char *log_level_name(enum log_level level)
{
    return (unsigned)level <= LOG_LEVEL_ERROR ? level_names[level] : "unknown";
}

/* One event is one line, whatever text from a peer or a file the values carry. */
static size_t plain(char *line, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = ' ';
    while (size > 0 && line[size - 1] == ' ')
        size--;
    return size;
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
    if (atomic_load(&level_now) == LEVEL_UNSET)
        atomic_store(&level_now, level_from_environment());
    bool shown = (int)level >= atomic_load(&level_now), kept = sink_now && level >= LOG_LEVEL_INFO;
    if (!shown && !kept)
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
    size_t begin = head < 0 ? 0 : (size_t)head < sizeof line - 1 ? (size_t)head : sizeof line - 1, used = begin;
    va_list ap;
    va_start(ap, fmt);
    int body = vsnprintf(line + used, sizeof line - used, fmt, ap);
    va_end(ap);
    if (body > 0)
        used += (size_t)body < sizeof line - used ? (size_t)body : sizeof line - used - 1;
    used = plain(line, used);
    if (kept) {
        line[used] = '\0';
        sink_now(sink_context,
                 &(struct log_line){
                     .wall_ms = wall_ms, .level = level, .event = event, .text = used > begin ? line + begin : "" });
    }
    if (!shown)
        return;
    line[used++] = '\n'; /* in the place of the terminator at the latest */

    /* A log line that cannot be written has nowhere else to go. */
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written;
}

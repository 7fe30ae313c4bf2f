/* log - one event per line on stderr: `time level event key=value ...`. */
#ifndef SHOTLINE_BASE_LOG_H
#define SHOTLINE_BASE_LOG_H

#include <stdint.h>

/* The long names keep clear of <syslog.h>, which czmq.h brings along: its LOG_INFO is another number. */
enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Events below `level` are dropped (default LOG_LEVEL_INFO; SHOTLINE_LOG=debug|info|warn|error sets the start value).
 */
void log_set_level(enum log_level level);

/* `who` is put on every line: "coordinator", "worker-2". Borrowed for ever: pass a literal or a static buffer. */
void log_set_name(const char *who);

/* warn: a human may act; error: one must. Thread-safe: one write(2) per line. */
void log_event(enum log_level level, const char *event, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* What is logged, for who keeps it: the same words as on stderr, whatever level stderr has. */
struct log_line {
    int64_t wall_ms;
    enum log_level level;
    const char *event, *text; /* valid during the call */
};
typedef void log_sink(void *context, const struct log_line *line);
/* Gets every event from LOG_LEVEL_INFO on, on the thread that logs it; it must not log. NULL: nobody. Set it while no
 * other thread logs. */
void log_set_sink(log_sink *sink, void *context);

/* "info" */
const char *log_level_name(enum log_level level);

#define log_debug(event, ...) log_event(LOG_LEVEL_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...)  log_event(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_warn(event, ...)  log_event(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_event(LOG_LEVEL_ERROR, event, __VA_ARGS__)

#endif

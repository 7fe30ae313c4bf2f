/* journal - what has happened on the farm, for the person on call: the latest events in memory, over a file of bounded
 * size.
 *
 * The events are the program's own log lines (worker.lost, task.failed, ...), kept with the ids that they name. It is
 * no ledger: nothing is ever decided from it, so it costs no transaction and no fsync; a killed process keeps what was
 * flushed, a power cut may lose the last seconds. */
#ifndef SHOTLINE_COORDINATOR_STORE_JOURNAL_H
#define SHOTLINE_COORDINATOR_STORE_JOURNAL_H

#include "common/base/error.h"
#include "common/base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_KEPT       4096               /* events in memory */
#define JOURNAL_FILE_BYTES (INT64_C(4) << 20) /* then the file becomes PATH.1, and that one's predecessor is gone */

struct journal_event {
    uint64_t number; /* from 1, goes on after a restart */
    int64_t wall_ms;
    enum log_level level;
    uint64_t campaign, video, task, worker; /* 0: it names none */
    char event[32], text[320];
};

struct journal; /* safe to use from several threads */

/* Opens or creates PATH and reads the latest events back. What an interrupted write left at its end is dropped. */
struct journal *journal_open(const char *path, struct error *err);
void journal_close(struct journal **j);

/* The sink of the program's log: log_set_sink(journal_take, j). */
void journal_take(void *journal, const struct log_line *line);

/* Writes what was taken to the file: after the commit of the turn, so that the file tells of nothing that is not true.
 * A disk that refuses costs the file and not the farm: the events stay in memory. */
void journal_flush(struct journal *j);

/* Which events are wanted. */
typedef bool journal_filter(void *context, const struct journal_event *e);
/* Calls `each` for the first `most` wanted events beyond the number `after`; for the last `most` of all when that is 0
 * or not known here. The oldest comes first. Returns the number up to which it has looked: `after` of the next call.
 * `filter` and `each` must not log. */
uint64_t journal_read(struct journal *j, uint64_t after, size_t most, journal_filter *filter,
                      void (*each)(void *context, const struct journal_event *e), void *context);

/* The number behind KEY= among the words of a log line; quoted texts, which may come from anybody, are not looked at.
 * 0: it is not there. */
uint64_t journal_id(const char *text, const char *key);

#endif

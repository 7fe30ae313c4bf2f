#include "coordinator/store/journal.h"

#include "common/base/arena.h"
#include "common/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct journal {
    pthread_mutex_t lock;         /* everything below */
    struct journal_event *events; /* [JOURNAL_KEPT], a ring: number n lies at n % JOURNAL_KEPT */
    uint64_t first, last;         /* numbers; none: last < first */
    uint64_t written;             /* up to here it is in the file */
    char path[PATH_MAX - 8];
    int fd; /* -1: the disk refused it */
    int64_t bytes;
};

uint64_t journal_id(const char *text, const char *key)
{
    size_t size = strlen(key);
    bool quoted = false, begins = true;

    for (const char *p = text; *p; p++) {
        if (begins && !quoted && !strncmp(p, key, size) && p[size] == '=' && p[size + 1] >= '0' && p[size + 1] <= '9')
            return strtoull(p + size + 1, NULL, 10);
        quoted ^= *p == '"';
        begins = *p == ' ';
    }
    return 0;
}

/* The caller holds the lock. */
static struct journal_event *add(struct journal *j, uint64_t number)
{
    struct journal_event *e = &j->events[number % JOURNAL_KEPT];

    j->last = number;
    if (j->last - j->first >= JOURNAL_KEPT)
        j->first = j->last - JOURNAL_KEPT + 1;
    *e = (struct journal_event){ .number = number };
    return e;
}

static void fill(struct journal_event *e, const char *event, const char *text)
{
    str_copy(e->event, sizeof e->event, event);
    str_copy(e->text, sizeof e->text, text);
    e->campaign = journal_id(e->text, "campaign");
    e->video = journal_id(e->text, "video");
    e->task = journal_id(e->text, "task");
    e->worker = journal_id(e->text, "worker");
}

void journal_take(void *journal, const struct log_line *line)
{
    struct journal *j = journal;

    pthread_mutex_lock(&j->lock);
    struct journal_event *e = add(j, j->last + 1);
    e->wall_ms = line->wall_ms;
    e->level = line->level;
    fill(e, line->event, line->text);
    pthread_mutex_unlock(&j->lock);
}

/* ---- the file: a line per event, "NUMBER WALL_MS LEVEL EVENT TEXT" ---- */

/* One line of the file; false for one that is none of ours. */
static bool read_line(struct journal *j, char *line)
{
    char level[8], event[32];
    uint64_t number;
    int64_t wall_ms;
    int used = 0;

    if (sscanf(line, "%" SCNu64 " %" SCNd64 " %7s %31s%n", &number, &wall_ms, level, event, &used) != 4 || !used ||
        number == UINT64_MAX)
        return false;
    if (number != j->last + 1) /* a gap, or another file: the newer numbers count */
        j->first = number;
    struct journal_event *e = add(j, number);
    e->wall_ms = wall_ms;
    for (int k = LOG_LEVEL_DEBUG; k <= LOG_LEVEL_ERROR; k++)
        if (!strcmp(level, log_level_name((enum log_level)k)))
            e->level = (enum log_level)k;
    fill(e, event, line[used] == ' ' ? line + used + 1 : "");
    return true;
}

/* Reads the whole lines of a file; returns how many bytes of it they are, -1 when it cannot be read. */
static int64_t read_file(struct journal *j, const char *path)
{
    FILE *f = fopen(path, "re");
    char line[512];
    int64_t whole = 0;

    if (!f)
        return errno == ENOENT ? 0 : -1;
    while (fgets(line, sizeof line, f)) {
        size_t size = strlen(line);

        if (!size || line[size - 1] != '\n')
            break; /* cut off, zeros after a loss of power, or never one of ours */
        whole += (int64_t)size;
        line[size - 1] = '\0';
        read_line(j, line);
    }
    fclose(f);
    return whole;
}

struct journal *journal_open(const char *path, struct error *err)
{
    struct journal *j = xcalloc(1, sizeof *j);
    char older[PATH_MAX];

    j->fd = -1;
    j->first = 1;
    j->events = xcalloc(JOURNAL_KEPT, sizeof *j->events);
    pthread_mutex_init(&j->lock, NULL);
    if (!str_copy(j->path, sizeof j->path, path)) {
        error_set(err, ERROR_USAGE, "%s: %s", path, strerror(ENAMETOOLONG));
        journal_close(&j);
        return NULL;
    }
    snprintf(older, sizeof older, "%s.1", path);
    read_file(j, older);
    j->bytes = read_file(j, path);
    j->fd = j->bytes < 0 ? -1 : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (j->fd < 0 || ftruncate(j->fd, j->bytes)) {
        error_set(err, ERROR_IO, "%s: %s", path, strerror(errno));
        journal_close(&j);
        return NULL;
    }
    j->written = j->last;
    return j;
}

void journal_close(struct journal **pj)
{
    struct journal *j = *pj;

    if (!j)
        return;
    journal_flush(j);
    if (j->fd >= 0)
        close(j->fd);
    pthread_mutex_destroy(&j->lock);
    free(j->events);
    free(j);
    *pj = NULL;
}

/* Too long: it becomes PATH.1, and a new one begins. */
static void turn_over(struct journal *j)
{
    char older[PATH_MAX];

    snprintf(older, sizeof older, "%s.1", j->path);
    close(j->fd);
    j->fd = rename(j->path, older) ? -1 : open(j->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    j->bytes = 0;
}

void journal_flush(struct journal *j)
{
    struct str text = { 0 };

    pthread_mutex_lock(&j->lock);
    uint64_t from = j->written + 1 > j->first ? j->written + 1 : j->first;
    for (uint64_t n = from; n <= j->last; n++) {
        const struct journal_event *e = &j->events[n % JOURNAL_KEPT];

        str_printf(&text, "%" PRIu64 " %" PRId64 " %s %s %s\n", n, e->wall_ms, log_level_name(e->level), e->event,
                   e->text);
    }
    j->written = j->last;
    if (text.size && j->fd >= 0) {
        if (j->bytes + (int64_t)text.size > JOURNAL_FILE_BYTES)
            turn_over(j);
        if (j->fd >= 0 && write(j->fd, text.data, text.size) == (ssize_t)text.size) {
            j->bytes += (int64_t)text.size;
        } else if (j->fd >= 0 && ftruncate(j->fd, j->bytes)) { /* half a line must not stand before the next one */
            close(j->fd);
            j->fd = -1;
        }
    }
    pthread_mutex_unlock(&j->lock);
    str_free(&text);
}

uint64_t journal_read(struct journal *j, uint64_t after, size_t most, journal_filter *filter,
                      void (*each)(void *context, const struct journal_event *e), void *context)
{
    size_t found = 0;

    pthread_mutex_lock(&j->lock);
    uint64_t next = after >= j->first ? after + 1 : j->first;
    if (!after || after > j->last) { /* the latest; numbers begin anew where an older journal was lost */
        for (next = j->last + 1; next > j->first && found < most; next--)
            found += filter(context, &j->events[(next - 1) % JOURNAL_KEPT]);
        found = 0;
    }
    for (; next <= j->last && found < most; next++)
        if (filter(context, &j->events[next % JOURNAL_KEPT])) {
            each(context, &j->events[next % JOURNAL_KEPT]);
            found++;
        }
    pthread_mutex_unlock(&j->lock);
    return next - 1;
}

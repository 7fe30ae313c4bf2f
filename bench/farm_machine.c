#include "bench/farm_machine.h"

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/hash.h"

#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

void machine_measure_sync(const char *dir)
{
    enum { TIMES = 400 };
    int64_t us[TIMES];
    char path[PATH_MAX], page[4096] = { 1 };

    file_join(path, sizeof path, dir, "sync");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    for (int i = 0; i < TIMES; i++) {
        int64_t began = clock_now_us();

        if (pwrite(fd, page, sizeof page, (off_t)i * (off_t)sizeof page) != (ssize_t)sizeof page || fdatasync(fd))
            perror("sync");
        us[i] = clock_now_us() - began;
    }
    close(fd);
    unlink(path);
    qsort(us, TIMES, sizeof *us, by_value);
    printf("sync of 4 KiB                       median %6.2f ms, worst of 100 %6.2f ms\n", (double)us[TIMES / 2] / 1e3,
           (double)us[TIMES * 99 / 100] / 1e3);
}

void machine_measure_sqlite(const char *dir, int batch, double seconds)
{
    char path[PATH_MAX];
    sqlite3 *db;
    sqlite3_stmt *task, *result;
    const uint8_t bytes[32] = { 1 };
    int64_t done = 0, began_us, cpu_us;
    struct rusage before, after;

    file_join(path, sizeof path, dir, "raw.db");
    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(db,
                     "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                     "CREATE TABLE tasks (id INTEGER PRIMARY KEY, video INTEGER, position INTEGER, key BLOB, state "
                     "INTEGER, attempt INTEGER, worker INTEGER, UNIQUE (video, position));"
                     "CREATE TABLE results (key BLOB, output INTEGER, digest BLOB, bytes INTEGER, PRIMARY KEY (key, "
                     "output)) WITHOUT ROWID",
                     NULL, NULL, NULL) != SQLITE_OK) {
        fprintf(stderr, "farm: %s: %s\n", path, sqlite3_errmsg(db));
        exit(1);
    }
    sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?)", -1, &task, NULL);
    sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)", -1, &result, NULL);
    getrusage(RUSAGE_SELF, &before);
    began_us = clock_now_us();
    while ((double)(clock_now_us() - began_us) < seconds * 1e6) {
        sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        for (int i = 0; i < batch; i++, done++) {
            const struct digest key = digest_of(&done, sizeof done);

            for (int twice = 0; twice < 2; twice++) {
                sqlite3_bind_int64(task, 1, done / 2);
                sqlite3_bind_int64(task, 2, done / 40);
                sqlite3_bind_int64(task, 3, done / 2 % 20);
                sqlite3_bind_blob(task, 4, key.bytes, 32, SQLITE_STATIC);
                for (int column = 5; column <= 7; column++)
                    sqlite3_bind_int64(task, column, column);
                sqlite3_step(task);
                sqlite3_reset(task);
            }
            sqlite3_bind_blob(result, 1, key.bytes, 32, SQLITE_STATIC);
            sqlite3_bind_int64(result, 2, 1);
            sqlite3_bind_blob(result, 3, bytes, 32, SQLITE_STATIC);
            sqlite3_bind_int64(result, 4, 1000);
            sqlite3_step(result);
            sqlite3_reset(result);
        }
        sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    }
    seconds = (double)(clock_now_us() - began_us) / 1e6;
    getrusage(RUSAGE_SELF, &after);
    cpu_us =
        (after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 +
        after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_stime.tv_usec;
    printf("SQLite, %3d round trips a commit     %8.0f /s, %6.1f us of processor each\n", batch, (double)done / seconds,
           (double)cpu_us / (double)done);
    sqlite3_finalize(task);
    sqlite3_finalize(result);
    sqlite3_close(db);
    unlink(path);
}

double machine_cpu_seconds(pid_t pid)
{
    char path[64], text[1024] = "";
    long user = 0, system = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f || !fgets(text, sizeof text, f) || !strrchr(text, ')') ||
        sscanf(strrchr(text, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &system) != 2)
        fprintf(stderr, "farm: %s is not as expected\n", path);
    if (f)
        fclose(f);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

double machine_resident_mib(pid_t pid)
{
    char path[64];
    long pages = 0;

    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

/* farm_machine - what the machine under bench/farm can do by itself, and what a process uses of it. */
#ifndef SHOTLINE_BENCH_FARM_MACHINE_H
#define SHOTLINE_BENCH_FARM_MACHINE_H

#include <sys/types.h>

/* Both print a line; their files are made in `dir` and removed. */
void machine_measure_sync(const char *dir);
/* What a round trip writes: its task twice (leased, done) and its result, `batch` round trips in a transaction. */
void machine_measure_sqlite(const char *dir, int batch, double seconds);

/* Processor time of all threads of the process so far. */
double machine_cpu_seconds(pid_t pid);
double machine_resident_mib(pid_t pid);

#endif

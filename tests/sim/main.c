/* farm_sim - the whole farm in one thread under injected faults, one run per seed. Exit 0: every promise was kept in
 * every run (with --plant: the planted bug was found in one of them). */
#include "common/base/args.h"
#include "common/base/clock.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct options {
    int64_t seed, runs, workers, tasks, intensity;
    const char *plant;
    bool verbose, quiet;
};

static enum args_result read_options(struct options *o, int argc, char **argv, struct error *err)
{
    const struct arg_option options[] = {
        { .letter = 's',
          .name = "seed",
          .kind = ARG_INT,
          .to = &o->seed,
          .value = "N",
          .min = 0,
          .max = INT32_MAX,
          .help = "the first run's seed [1]" },
        { .letter = 'n',
          .name = "runs",
          .kind = ARG_INT,
          .to = &o->runs,
          .value = "N",
          .min = 1,
          .max = 1000000,
          .help = "how many runs, each with the next seed [1]" },
        { .letter = 'w',
          .name = "workers",
          .kind = ARG_INT,
          .to = &o->workers,
          .value = "N",
          .min = 1,
          .max = 4000,
          .help = "workers of a run [20]" },
        { .letter = 't',
          .name = "tasks",
          .kind = ARG_INT,
          .to = &o->tasks,
          .value = "N",
          .min = 20,
          .max = 1000000,
          .help = "tasks of a run, about [400]" },
        { .letter = 'i',
          .name = "intensity",
          .kind = ARG_INT,
          .to = &o->intensity,
          .value = "PERCENT",
          .min = 0,
          .max = 1000,
          .help = "how often things go wrong; 0: never [100]" },
        { .letter = 'p',
          .name = "plant",
          .kind = ARG_TEXT,
          .to = &o->plant,
          .value = "BUG",
          .help = "puts a bug in, which must be found: no-fence, early-reply, no-sync, lost-record, forgotten, token, "
                  "same-attempt, lenient, takes, revoked, key-lost, replay, state or circle" },
        { .letter = 'v', .name = "verbose", .kind = ARG_FLAG, .to = &o->verbose, .help = "log all that the farm says" },
        { .letter = 'q', .name = "quiet", .kind = ARG_FLAG, .to = &o->quiet, .help = "print the totals only" },
    };
    const struct arg_command command = { .program = "farm_sim",
                                         .operands = "",
                                         .summary =
                                             "Runs whole farms under injected faults and checks what they promise.",
                                         .options = options,
                                         .option_count = sizeof options / sizeof *options };
    const char *operands[64];
    int operand_count;

    return args_parse(&command, argc < 64 ? argc : 64, argv, operands, &operand_count, err);
}

static void print_faults(const uint64_t *faults)
{
    for (int f = 0; f < FAULT_COUNT; f++)
        if (faults[f])
            printf("  %10" PRIu64 " %s\n", faults[f], fault_names[f]);
}

int main(int argc, char **argv)
{
    struct options o = { .seed = 1, .runs = 1, .workers = 20, .tasks = 400, .intensity = 100, .plant = "none" };
    struct world w;
    struct error err = { 0 };
    uint64_t all[FAULT_COUNT] = { 0 }, faults = 0, tasks = 0, restarts = 0, evicted = 0, broken = 0;
    int plant = 0;

    switch (read_options(&o, argc, argv, &err)) {
    case ARGS_HELP:
        return 0;
    case ARGS_BAD:
        fprintf(stderr, "farm_sim: %s\n", err.text);
        return error_exit_code(&err);
    case ARGS_OK:
        break;
    }
    while (plant < PLANT_COUNT && strcmp(plant_names[plant], o.plant))
        plant++;
    if (plant == PLANT_COUNT) {
        fprintf(stderr, "farm_sim: --plant: no bug is called \"%s\"\n", o.plant);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int64_t run = 0; run < o.runs; run++) {
        const struct settings s = { .seed = (uint64_t)(o.seed + run),
                                    .workers = (uint32_t)o.workers,
                                    .tasks = (uint32_t)o.tasks,
                                    .intensity = (uint32_t)o.intensity,
                                    .plant = (enum plant)plant,
                                    .verbose = o.verbose };
        int64_t began_us = clock_now_us();
        uint64_t sum = 0;
        bool ok = world_run(&w, &s);

        for (int f = 0; f < FAULT_COUNT; f++) {
            all[f] += w.faults[f];
            sum += w.faults[f];
        }
        faults += sum;
        tasks += oracle_tasks(&w);
        evicted += w.evicted;
        restarts += w.coordinator.restarts;
        broken += !ok;
        if (!o.quiet || (!ok && !plant)) {
            printf("seed %" PRIu64 ": %s; %" PRIu64 " tasks, %" PRIu64 " faults, %" PRIu64 " messages, %" PRIu64
                   " turns, %" PRId64 " s of farm time in %.1f s, trace %016" PRIx64 "\n",
                   s.seed, ok ? "kept" : "BROKEN", oracle_tasks(&w), sum, w.messages, w.coordinator.turns,
                   w.now_ms / 1000, (double)(clock_now_us() - began_us) / 1e6, w.trace);
            if (ok)
                oracle_print(&w);
            else
                printf("  at %" PRId64 " ms: %s\n  again: farm_sim -s %" PRIu64 " -w %" PRId64 " -t %" PRId64
                       " -i %" PRId64 " -p %s -v\n",
                       w.now_ms, w.broken, s.seed, o.workers, o.tasks, o.intensity, o.plant);
        }
        world_close(&w);
        if (broken && plant)
            break;
    }
    printf("%" PRId64 " runs of %" PRId64 " workers: %" PRIu64 " tasks, %" PRIu64 " faults, %" PRIu64
           " starts of the coordinator, %" PRIu64 " blobs evicted, %" PRIu64 " broken\n",
           o.runs, o.workers, tasks, faults, restarts, evicted, broken);
    print_faults(all);
    if (plant)
        printf("%s: %s\n", o.plant, broken ? "found" : "NOT FOUND");
    return plant ? !broken : broken > 0;
}

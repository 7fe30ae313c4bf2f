/* workers: who works for a farm. */
#include "client/commands.h"
#include "client/output.h"

#include <inttypes.h>
#include <stdio.h>

static void print_workers(const Shotline__WorkersReply *reply, bool json, struct str *to)
{
    static const char *const head[] = { "WORKER", "NAME",  "ALIVE", "TASKS",   "BUSY",
                                        "FAILED", "STALE", "ASIDE", "RUNNING", "DEVICE" };
    struct table t = { 0 };
    table_row(&t, head, sizeof head / sizeof *head);
    for (size_t i = 0; i < reply->n_workers; i++) {
        const Shotline__WorkerStatus *w = reply->workers[i];
        if (json) {
            output_json(json_pack("{s:s, s:I, s:s, s:s, s:b, s:i, s:I, s:i, s:i, s:i, s:s}", "event", "worker", "id",
                                  (json_int_t)w->id, "name", w->name, "device", w->device, "alive", (int)w->alive,
                                  "tasks_done", (int)w->tasks_done, "busy_ms", (json_int_t)w->busy_ms, "failures",
                                  (int)w->failures, "superseded", (int)w->superseded, "set_aside", (int)w->set_aside,
                                  "running", w->running ? w->running : ""));
            continue;
        }
        char id[24], tasks[16], busy[32], failed[16], stale[16], aside[16];
        snprintf(id, sizeof id, "%" PRIu64, w->id);
        snprintf(tasks, sizeof tasks, "%u", w->tasks_done);
        snprintf(failed, sizeof failed, "%u", w->failures);
        snprintf(stale, sizeof stale, "%u", w->superseded);
        snprintf(aside, sizeof aside, "%u", w->set_aside);
        output_clock((int64_t)w->busy_ms, busy, sizeof busy);
        table_row(&t,
                  (const char *const[]){ id, w->name,
                                         !w->alive     ? "no"
                                         : w->draining ? "leaves"
                                                       : "yes",
                                         tasks, busy, failed, stale, aside, w->running ? w->running : "", w->device },
                  sizeof head / sizeof *head);
    }
    if (!json)
        table_print(&t, to);
    table_free(&t);
}

struct workers {
    struct farm_options farm;
    const char *drain;
};

static bool list_or_drain(void *options, const char *const *operands, int count, struct error *err)
{
    const struct workers *o = options;
    struct arena arena = { 0 };
    struct str text = { 0 };
    Shotline__ToFarm request = SHOTLINE__TO_FARM__INIT;
    Shotline__WorkersRequest ask = SHOTLINE__WORKERS_REQUEST__INIT;
    Shotline__DrainRequest leave = SHOTLINE__DRAIN_REQUEST__INIT;
    (void)operands;
    (void)count;
    leave.name = (char *)o->drain;
    if (o->drain)
        request.drain = &leave;
    else
        request.workers = &ask;
    const Shotline__FromFarm *reply = command_ask(&o->farm, &request, &arena, err);
    bool ok = reply && ((o->drain ? reply->drained != NULL : reply->workers != NULL) ||
                        error_set(err, ERROR_INPUT, "the farm's answer lists no workers"));
    if (ok && o->drain && o->farm.json) {
        output_json(json_pack("{s:s, s:s, s:i}", "event", "drained", "name", o->drain, "workers",
                              (int)reply->drained->workers));
    } else if (ok && o->drain) {
        fprintf(stderr, "%s was told to hand back its work and leave\n", o->drain);
    } else if (ok) {
        print_workers(reply->workers, o->farm.json, &text);
        output_text(&text);
    }
    arena_free(&arena);
    return ok;
}

int cmd_workers(int argc, char **argv)
{
    struct workers o = { .farm = FARM_DEFAULTS };
    const struct arg_option options[] = {
        FARM_OPTIONS(o.farm),
        { .name = "drain",
          .kind = ARG_TEXT,
          .to = &o.drain,
          .value = "NAME",
          .help = "tell this worker to hand back its work and leave" },
    };
    const struct arg_command command = {
        .program = "shotline workers",
        .operands = "",
        .summary = "Lists the workers of a farm, or has one of them leave.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    return command_run(&command, argc, argv, list_or_drain, &o);
}

/* log: what has happened on a farm. */
#include "client/commands.h"
#include "client/output.h"
#include "client/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { POLL_MS = 500 };

static const char *level_name(Shotline__EventLevel level)
{
    switch (level) {
    case SHOTLINE__EVENT_LEVEL__EVENT_INFO:
        return "info";
    case SHOTLINE__EVENT_LEVEL__EVENT_WARN:
        return "warn";
    case SHOTLINE__EVENT_LEVEL__EVENT_ERROR:
        return "error";
    default:
        return "unknown"; /* a newer farm */
    }
}

static void print_event(const Shotline__Event *e, bool json)
{
    time_t seconds = (time_t)(e->wall_ms / 1000);
    struct tm utc;
    char stamp[32], time[48];

    gmtime_r(&seconds, &utc);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(time, sizeof time, "%s.%03dZ", stamp, (int)(e->wall_ms % 1000));
    if (json)
        output_json(json_pack("{s:s, s:I, s:s, s:s, s:s, s:s}", "event", "log", "number", (json_int_t)e->number, "time",
                              time, "level", level_name(e->level), "name", e->name, "text", e->text));
    else
        printf("%s %-5s %-18s %s\n", time, level_name(e->level), e->name, e->text);
}

/* Asks once; *after goes on. */
static bool print_new(struct session *s, const struct farm_options *o, Shotline__LogRequest *ask, struct error *err)
{
    struct arena arena = { 0 };
    Shotline__ToFarm request = SHOTLINE__TO_FARM__INIT;
    request.log = ask;
    const Shotline__FromFarm *reply = session_ask(s, &request, (int64_t)(o->timeout_s * 1000), &arena, err);
    bool ok = reply && (reply->log || error_set(err, ERROR_INPUT, "the farm's answer holds no events"));
    if (ok) {
        for (size_t i = 0; i < reply->log->n_events; i++)
            print_event(reply->log->events[i], o->json);
        fflush(stdout);
        ask->has_after = true;
        ask->after = reply->log->next;
    }
    arena_free(&arena);
    return ok;
}

struct log_options {
    struct farm_options farm;
    int64_t most;
    bool follow;
};

static bool print_log(void *options, const char *const *operands, int count, struct error *err)
{
    const struct log_options *o = options;
    struct target target = { .kind = TARGET_ALL }, *t = &target;
    Shotline__LogRequest ask = SHOTLINE__LOG_REQUEST__INIT;
    if (count && !target_read(t, operands[0], true, err))
        return false;
    ask.has_most = true;
    ask.most = (uint32_t)o->most;
    ask.has_campaign = t->kind == TARGET_CAMPAIGN || t->kind == TARGET_VIDEO;
    ask.campaign = t->campaign;
    ask.video = t->kind == TARGET_VIDEO ? (char *)t->name : NULL;
    ask.has_task = t->kind == TARGET_TASK;
    ask.task = t->task;
    ask.worker = t->kind == TARGET_WORKER ? (char *)t->name : NULL;
    struct session *s = command_connect(&o->farm, err);
    bool ok = s && print_new(s, &o->farm, &ask, err);
    while (ok && o->follow && !atomic_load(&command_stop)) {
        const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
        nanosleep(&pause, NULL);
        ok = print_new(s, &o->farm, &ask, err) || atomic_load(&command_stop);
    }
    session_close(&s);
    return ok;
}

int cmd_log(int argc, char **argv)
{
    struct log_options o = { .farm = FARM_DEFAULTS, .most = 100 };
    const struct arg_option options[] = {
        { 'n', "lines", ARG_INT, &o.most, 1, 2000, "N", "at most so many of the latest events [100]", NULL },
        { 0, "follow", ARG_FLAG, &o.follow, .help = "go on with what happens, until interrupted" },
        FARM_OPTIONS(o.farm),
    };
    const struct arg_command command = {
        .program = "shotline log",
        .operands = "[CAMPAIGN | CAMPAIGN/VIDEO | tTASK | WORKER]",
        .summary = "Prints what has happened on a farm: to a campaign (by its number), a video of it (3/beach), a task "
                   "(t17), or a worker (by its name, or as w2).",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .max_operands = 1,
    };
    return command_run(&command, argc, argv, print_log, &o);
}

/* fetch: brings the finished videos of a campaign here. */
#include "client/commands.h"
#include "client/deliver.h"

#include <inttypes.h>

struct fetch {
    struct farm_options farm;
    const char *output;
};

static bool fetch(void *options, const char *const *operands, int count, struct error *err)
{
    const struct fetch *o = options;
    struct arena arena = { 0 };
    size_t files = 0;
    uint64_t id;
    (void)count;
    if (!command_campaign(operands[0], &id, err) || !deliver_check(o->output, err))
        return false;
    struct session *s = command_connect(&o->farm, err);
    const Shotline__CampaignStatus *c = s ? session_status(s, id, &arena, err) : NULL;
    bool ok = c && deliver(s, c, o->output, o->farm.json, &files, err);
    if (ok && files == 0)
        ok = error_set(err, ERROR_INPUT, "campaign %" PRIu64 " has no finished video yet", id);
    session_close(&s);
    arena_free(&arena);
    return ok;
}

int cmd_fetch(int argc, char **argv)
{
    struct fetch o = { .farm = FARM_DEFAULTS, .output = "out" };
    const struct arg_option options[] = {
        { 'o', "output", ARG_TEXT, &o.output, .value = "DIR", .help = "where the videos go [out]" },
        FARM_OPTIONS(o.farm),
    };
    const struct arg_command command = {
        .program = "shotline fetch",
        .operands = "CAMPAIGN",
        .summary = "Fetches the finished videos of a campaign (by its number) with their manifests.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .min_operands = 1,
        .max_operands = 1,
    };
    return command_run(&command, argc, argv, fetch, &o);
}

/* fetch: brings the finished videos of a campaign here. */
#include "client/commands.h"
#include "client/deliver.h"

#include <inttypes.h>

static bool fetch(const struct farm_options *o, uint64_t id, const char *dir, struct error *err)
{
    struct arena arena = { 0 };
    size_t files = 0;
    struct session *s = deliver_check(dir, err) ? command_connect(o, err) : NULL;
    const Shotline__CampaignStatus *c = s ? session_status(s, id, &arena, err) : NULL;
    bool ok = c && deliver(s, c, dir, o->json, &files, err);
    if (ok && files == 0)
        ok = error_set(err, ERROR_INPUT, "campaign %" PRIu64 " has no finished video yet", id);
    session_close(&s);
    arena_free(&arena);
    return ok;
}

int cmd_fetch(int argc, char **argv)
{
    struct farm_options farm = FARM_DEFAULTS;
    const char *output = "out";
    const struct arg_option options[] = {
        { 'o', "output", ARG_TEXT, &output, .value = "DIR", .help = "where the videos go [out]" },
        FARM_OPTIONS(farm),
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
    struct error err = { 0 };
    const char *operands[argc];
    uint64_t id = 0;
    int count = 0;
    enum args_result parsed = args_parse(&command, argc, argv, operands, &count, &err);
    if (parsed == ARGS_HELP)
        return 0;
    if (parsed == ARGS_BAD || !command_campaign(operands[0], &id, &err) || !fetch(&farm, id, output, &err))
        return command_fail(&err);
    return 0;
}

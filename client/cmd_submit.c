/* submit: gives a campaign to a farm that is already there. */
#include "client/commands.h"
#include "client/output.h"
#include "client/source.h"

#include <inttypes.h>
#include <stdio.h>

static bool submit(const struct farm_options *o, struct campaign *c, uint64_t *id, struct error *err)
{
    struct session *s = command_connect(o, err);
    bool ok = s && session_submit(s, c, id, err);
    session_close(&s);
    return ok;
}

int cmd_submit(int argc, char **argv)
{
    struct source source = SOURCE_DEFAULTS;
    struct farm_options farm = FARM_DEFAULTS;
    const struct arg_option options[] = { SOURCE_OPTIONS(source), FARM_OPTIONS(farm) };
    const struct arg_command command = {
        .program = "shotline submit",
        .operands = "[CAMPAIGN]",
        .summary = "Submits a campaign file, or one --prompt or --plan, and prints the campaign's number.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .max_operands = 1,
    };
    struct error err = { 0 };
    struct campaign campaign;
    const char *operands[argc];
    int count = 0;
    enum args_result parsed = args_parse(&command, argc, argv, operands, &count, &err);
    if (parsed == ARGS_HELP)
        return 0;
    if (parsed == ARGS_BAD || !source_load(&campaign, &source, count ? operands[0] : NULL, &err))
        return command_fail(&err);
    uint64_t id = 0;
    bool ok = submit(&farm, &campaign, &id, &err);
    if (ok && farm.json)
        output_json(json_pack("{s:s, s:I, s:s, s:i}", "event", "submitted", "campaign", (json_int_t)id, "name",
                              campaign.message.name, "videos", (int)campaign.message.n_videos));
    else if (ok)
        printf("%" PRIu64 "\n", id);
    campaign_free(&campaign);
    return ok ? 0 : command_fail(&err);
}

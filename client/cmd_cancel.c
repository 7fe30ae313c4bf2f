/* cancel: stops a campaign; what it finished stays in the cache. */
#include "client/commands.h"
#include "client/output.h"

int cmd_cancel(int argc, char **argv)
{
    struct farm_options farm = FARM_DEFAULTS;
    const struct arg_option options[] = { FARM_OPTIONS(farm) };
    const struct arg_command command = {
        .program = "shotline cancel",
        .operands = "CAMPAIGN",
        .summary = "Stops a campaign (by its number). Finished videos can still be fetched.",
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
    if (parsed == ARGS_BAD || !command_campaign(operands[0], &id, &err))
        return command_fail(&err);
    struct session *s = command_connect(&farm, &err);
    bool ok = s && session_cancel(s, id, &err);
    session_close(&s);
    if (ok && farm.json)
        output_json(json_pack("{s:s, s:I}", "event", "cancelled", "campaign", (json_int_t)id));
    return ok ? 0 : command_fail(&err);
}

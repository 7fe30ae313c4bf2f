/* cancel: stops a campaign; what it finished stays in the cache. */
#include "client/commands.h"
#include "client/output.h"

static bool cancel(void *options, const char *const *operands, int count, struct error *err)
{
    const struct farm_options *o = options;
    uint64_t id;
    (void)count;
    if (!command_campaign(operands[0], &id, err))
        return false;
    struct session *s = command_connect(o, err);
    bool ok = s && session_cancel(s, id, err);
    session_close(&s);
    if (ok && o->json)
        output_json(json_pack("{s:s, s:I}", "event", "cancelled", "campaign", (json_int_t)id));
    return ok;
}

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
    return command_run(&command, argc, argv, cancel, &farm);
}

/* watch: follows a campaign to its end. */
#include "client/commands.h"
#include "client/follow.h"
#include "client/output.h"

static bool watch(void *options, const char *const *operands, int count, struct error *err)
{
    const struct farm_options *o = options;
    struct arena arena = { 0 };
    uint64_t id;
    (void)count;
    if (!command_campaign(operands[0], &id, err))
        return false;
    struct session *s = command_connect(o, err);
    const Shotline__CampaignStatus *c = s ? follow(s, id, progress_style_for(o->json), &arena, err) : NULL;
    if (c)
        output_end(c, o->json);
    bool ok = c && follow_verdict(c, err);
    session_close(&s);
    arena_free(&arena);
    return ok;
}

int cmd_watch(int argc, char **argv)
{
    struct farm_options farm = FARM_DEFAULTS;
    const struct arg_option options[] = { FARM_OPTIONS(farm) };
    const struct arg_command command = {
        .program = "shotline watch",
        .operands = "CAMPAIGN",
        .summary = "Shows the progress of a campaign (by its number) until it ends; fails when a video of it failed.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .min_operands = 1,
        .max_operands = 1,
    };
    return command_run(&command, argc, argv, watch, &farm);
}

/* watch: follows a campaign to its end. */
#include "client/commands.h"
#include "client/follow.h"
#include "client/output.h"

#include <stdio.h>

static bool watch(const struct farm_options *o, uint64_t id, struct error *err)
{
    struct arena arena = { 0 };
    struct session *s = command_connect(o, err);
    const Shotline__CampaignStatus *c = s ? follow(s, id, progress_style_for(o->json), &arena, err) : NULL;
    if (c && o->json) {
        output_json(output_campaign_json(c));
    } else if (c) {
        struct str text = { 0 };
        output_summary(c, &text);
        fputs(str_text(&text), stderr);
        str_free(&text);
    }
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
    struct error err = { 0 };
    const char *operands[argc];
    uint64_t id = 0;
    int count = 0;
    enum args_result parsed = args_parse(&command, argc, argv, operands, &count, &err);
    if (parsed == ARGS_HELP)
        return 0;
    if (parsed == ARGS_BAD || !command_campaign(operands[0], &id, &err) || !watch(&farm, id, &err))
        return command_fail(&err);
    return 0;
}

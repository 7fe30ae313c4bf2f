/* submit: gives a campaign to a farm that is already there. */
#include "client/commands.h"
#include "client/output.h"
#include "client/source.h"

#include <inttypes.h>
#include <stdio.h>

struct submit {
    struct source source;
    struct farm_options farm;
};

static bool submit(void *options, const char *const *operands, int count, struct error *err)
{
    const struct submit *o = options;
    struct campaign c;
    uint64_t id = 0;
    if (!source_load(&c, &o->source, count ? operands[0] : NULL, err))
        return false;
    struct session *s = command_connect(&o->farm, err);
    bool ok = s && session_submit(s, &c, &id, err);
    session_close(&s);
    if (ok && o->farm.json)
        output_json(json_pack("{s:s, s:I, s:s, s:i}", "event", "submitted", "campaign", (json_int_t)id, "name",
                              c.message.name, "videos", (int)c.message.n_videos));
    else if (ok)
        printf("%" PRIu64 "\n", id);
    campaign_free(&c);
    return ok;
}

int cmd_submit(int argc, char **argv)
{
    struct submit o = { .source = SOURCE_DEFAULTS, .farm = FARM_DEFAULTS };
    const struct arg_option options[] = { SOURCE_OPTIONS(o.source), FARM_OPTIONS(o.farm) };
    const struct arg_command command = {
        .program = "shotline submit",
        .operands = "[CAMPAIGN]",
        .summary = "Submits a campaign file, or one --prompt or --plan, and prints the campaign's number.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .max_operands = 1,
    };
    return command_run(&command, argc, argv, submit, &o);
}

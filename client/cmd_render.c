/* render: a farm on this machine, from a campaign or a prompt to finished videos. */
#include "client/commands.h"
#include "client/deliver.h"
#include "client/follow.h"
#include "client/local_farm.h"
#include "client/output.h"
#include "client/source.h"

#include <stdio.h>

enum { START_TIMEOUT_MS = 120000 }; /* a coordinator reads its pack first */

struct render {
    struct source source;
    const char *output, *state, *pack, *device;
    int64_t workers;
    bool json;
};

/* Campaigns that an earlier run left unfinished would take the workers' time; what they finished stays in the cache. */
static bool cancel_leftovers(struct session *s, struct error *err)
{
    struct arena arena = { 0 };
    Shotline__ToFarm request = SHOTLINE__TO_FARM__INIT;
    Shotline__StatusRequest status = SHOTLINE__STATUS_REQUEST__INIT;
    request.status = &status;
    const Shotline__FromFarm *reply = session_ask(s, &request, START_TIMEOUT_MS, &arena, err);
    bool ok = reply != NULL;
    for (size_t i = 0; ok && reply->status && i < reply->status->n_campaigns; i++)
        if (!output_state_ended(reply->status->campaigns[i]->state))
            ok = session_cancel(s, reply->status->campaigns[i]->campaign, err);
    arena_free(&arena);
    return ok;
}

static void print_summary(const Shotline__CampaignStatus *c, bool json)
{
    if (json) {
        output_json(output_campaign_json(c));
        return;
    }
    struct str text = { 0 };
    output_summary(c, &text);
    fputs(str_text(&text), stderr);
    str_free(&text);
}

static bool render_on(struct session *s, const struct render *r, struct campaign *c, struct error *err)
{
    uint64_t id;
    size_t files;
    struct arena arena = { 0 };
    if (!cancel_leftovers(s, err) || !session_submit(s, c, &id, err))
        return false;
    const Shotline__CampaignStatus *last = follow(s, id, progress_style_for(r->json), &arena, err);
    bool ok = last && deliver(s, last, r->output, r->json, &files, err);
    if (ok) /* of a failed campaign too: it tells what the gates found */
        print_summary(last, r->json);
    ok = ok && follow_verdict(last, err);
    arena_free(&arena);
    return ok;
}

static bool render(const struct render *r, struct campaign *c, struct error *err)
{
    if (!deliver_check(r->output, err))
        return false;
    struct local_farm *farm = local_farm_open(
        &(struct local_farm_options){
            .state = r->state,
            .pack = r->pack ? r->pack : c->pack,
            .device = r->device,
            .workers = (int)r->workers,
        },
        err);
    if (!farm)
        return false;
    struct session *s = session_open(
        &(struct session_options){
            .farm = local_farm_address(farm),
            .timeout_ms = START_TIMEOUT_MS,
            .stop = &command_stop,
            .alive = local_farm_alive,
            .context = farm,
        },
        err);
    bool ok = s && render_on(s, r, c, err);
    session_close(&s);
    local_farm_close(&farm);
    return ok;
}

int cmd_render(int argc, char **argv)
{
    struct render r = { .source = SOURCE_DEFAULTS, .output = "out", .workers = 2 };
    const struct arg_option options[] = {
        { 'o', "output", ARG_TEXT, &r.output, .value = "DIR", .help = "where the videos go [out]" },
        { 'w', "workers", ARG_INT, &r.workers, 1, 64, "N", "how many workers [2]", NULL },
        SOURCE_OPTIONS(r.source),
        { 0, "state", ARG_TEXT, &r.state, .value = "DIR", .help = "store, blobs and task cache [XDG state folder]" },
        { 0, "pack", ARG_TEXT, &r.pack, .value = "DIR",
          .help = "the models' folder [the campaign's, else packs/tiny]" },
        { 0, "device", ARG_TEXT, &r.device, .value = "NAME", .help = "the workers' device, by name or number" },
        { 0, "json", ARG_FLAG, &r.json, .help = "one JSON object per line" },
    };
    const struct arg_command command = {
        .program = "shotline render",
        .operands = "[CAMPAIGN]",
        .summary = "Renders a campaign file, or one --prompt or --plan, with a private farm on this machine.",
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
    if (parsed == ARGS_BAD || !source_load(&campaign, &r.source, count ? operands[0] : NULL, &err))
        return command_fail(&err);
    bool ok = render(&r, &campaign, &err);
    campaign_free(&campaign);
    return ok ? 0 : command_fail(&err);
}

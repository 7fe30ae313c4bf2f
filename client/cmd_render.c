/* render: a farm on this machine, from a campaign or a prompt to finished videos. */
#include "client/commands.h"
#include "client/deliver.h"
#include "client/follow.h"
#include "client/local_farm.h"
#include "client/output.h"
#include "client/source.h"

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
    const Shotline__FromFarm *reply = session_ask(s, &request, LOCAL_FARM_START_MS, &arena, err);
    bool ok = reply != NULL;
    for (size_t i = 0; ok && reply->status && i < reply->status->n_campaigns; i++)
        if (!output_state_ended(reply->status->campaigns[i]->state))
            ok = session_cancel(s, reply->status->campaigns[i]->campaign, err);
    arena_free(&arena);
    return ok;
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
        output_end(last, r->json);
    ok = ok && follow_verdict(last, err);
    arena_free(&arena);
    return ok;
}

static bool render_campaign(const struct render *r, struct campaign *c, struct error *err)
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
    struct session *s = command_connect_local(farm, err);
    bool ok = s && render_on(s, r, c, err);
    session_close(&s);
    local_farm_close(&farm);
    return ok;
}

static bool render(void *options, const char *const *operands, int count, struct error *err)
{
    const struct render *r = options;
    struct campaign c;
    if (!source_load(&c, &r->source, count ? operands[0] : NULL, err))
        return false;
    bool ok = render_campaign(r, &c, err);
    campaign_free(&c);
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
    return command_run(&command, argc, argv, render, &r);
}

/* plan: the shot lists of a campaign's videos, as JSON, without rendering. */
#include "client/commands.h"
#include "client/local_farm.h"
#include "client/output.h"
#include "client/source.h"
#include "common/base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLAN_TIMEOUT_MS = 300000 };

struct plan_options {
    struct source source;
    struct farm_options farm;
    const char *state, *pack;
};

/* One video's plan alone, indented, so that it can be edited and submitted; several get their names. */
static bool print_plan(const struct plan_options *o, const char *name, const char *text, bool alone, struct error *err)
{
    json_t *plan = json_parse(text, strlen(text), "the farm's plan", err);
    if (!plan)
        return false;
    if (o->farm.json || !alone) {
        output_json(json_pack("{s:s, s:s, s:o}", "event", "plan", "video", name, "plan", plan));
        return true;
    }
    char *pretty = json_dumps(plan, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    puts(pretty ? pretty : "{}");
    free(pretty);
    json_decref(plan);
    return true;
}

static bool plan_all(struct session *s, const struct plan_options *o, struct campaign *c, struct error *err)
{
    if (!session_upload(s, c, err))
        return false;
    for (size_t i = 0; i < c->message.n_videos; i++) {
        struct arena arena = { 0 };
        Shotline__ToFarm request = SHOTLINE__TO_FARM__INIT;
        Shotline__PlanRequest plan = SHOTLINE__PLAN_REQUEST__INIT;
        plan.video = c->message.videos[i];
        plan.n_cast = c->message.n_cast;
        plan.cast = c->message.cast;
        request.plan = &plan;
        const Shotline__FromFarm *reply = session_ask(s, &request, PLAN_TIMEOUT_MS, &arena, err);
        bool ok = reply && (reply->planned || error_set(err, ERROR_INPUT, "the farm's answer holds no plan")) &&
                  print_plan(o, plan.video->name, reply->planned->plan, c->message.n_videos == 1, err);
        arena_free(&arena);
        if (!ok)
            return error_wrap(err, "%s", c->message.videos[i]->name);
    }
    return true;
}

/* A farm plans with its own pack. Options of a planner here win over a farm that only the environment names. */
static bool on_farm(const struct plan_options *o)
{
    const char *farm = getenv("SHOTLINE_FARM");
    return o->farm.farm || (farm && *farm && !o->state && !o->pack);
}

static bool plan(void *options, const char *const *operands, int count, struct error *err)
{
    const struct plan_options *o = options;
    struct local_farm *farm = NULL;
    struct session *s = NULL;
    struct campaign c;
    if (o->farm.farm && (o->state || o->pack))
        return error_set(err, ERROR_USAGE, "--%s: a farm plans with its own; give either this or --farm",
                         o->state ? "state" : "pack");
    if (!source_load(&c, &o->source, count ? operands[0] : NULL, err))
        return false;
    if (on_farm(o)) {
        s = command_connect(&o->farm, err);
    } else {
        farm = local_farm_open(
            &(struct local_farm_options){ .state = o->state, .pack = o->pack ? o->pack : c.pack, .workers = 0 }, err);
        if (farm)
            s = command_connect_local(farm, err);
    }
    bool ok = s && plan_all(s, o, &c, err);
    session_close(&s);
    local_farm_close(&farm);
    campaign_free(&c);
    return ok;
}

int cmd_plan(int argc, char **argv)
{
    struct plan_options o = { .source = SOURCE_DEFAULTS, .farm = FARM_DEFAULTS };
    const struct arg_option options[] = {
        SOURCE_OPTIONS(o.source),
        { 0, "state", ARG_TEXT, &o.state, .value = "DIR",
          .help = "state folder of the planner here [XDG state folder]" },
        { 0, "pack", ARG_TEXT, &o.pack, .value = "DIR",
          .help = "the models' folder [the campaign's, else packs/tiny]" },
        FARM_OPTIONS(o.farm),
    };
    const struct arg_command command = {
        .program = "shotline plan",
        .operands = "[CAMPAIGN]",
        .summary = "Prints the plan of each video as JSON. Without a farm the planner runs here.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .max_operands = 1,
    };
    return command_run(&command, argc, argv, plan, &o);
}

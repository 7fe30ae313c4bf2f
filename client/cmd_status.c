/* status: all campaigns of a farm, or the videos of one. */
#include "client/commands.h"
#include "client/output.h"

#include <inttypes.h>
#include <stdio.h>

static void print_campaigns(const Shotline__CampaignStatus *const *list, size_t count, bool json, struct str *to)
{
    static const char *const head[] = { "CAMPAIGN", "NAME", "STATE", "TASKS", "CACHED", "TIME", "ETA" };
    struct table t = { 0 };
    table_row(&t, head, 7);
    for (size_t i = 0; i < count; i++) {
        const Shotline__CampaignStatus *c = list[i];
        char id[24], tasks[32], cached[16], elapsed[32], eta[32] = "";
        if (json) {
            output_json(output_campaign_json(c));
            continue;
        }
        snprintf(id, sizeof id, "%" PRIu64, c->campaign);
        snprintf(tasks, sizeof tasks, "%u/%u", c->tasks_done, c->tasks);
        snprintf(cached, sizeof cached, "%u", c->tasks_cached);
        output_clock((int64_t)c->elapsed_ms, elapsed, sizeof elapsed);
        if (c->has_eta_ms && !output_state_ended(c->state))
            output_clock((int64_t)c->eta_ms, eta, sizeof eta);
        table_row(&t, (const char *const[]){ id, c->name, output_state(c->state), tasks, cached, elapsed, eta }, 7);
    }
    if (!json)
        table_print(&t, to);
    table_free(&t);
}

static void print_videos(const Shotline__CampaignStatus *c, bool json, struct str *to)
{
    static const char *const head[] = { "VIDEO", "STATE", "DONE", "SHOTS", "REASON" };
    struct table t = { 0 };
    table_row(&t, head, 5);
    for (size_t i = 0; i < c->n_videos; i++) {
        const Shotline__VideoStatus *v = c->videos[i];
        char done[16], shots[24];
        if (json) {
            output_json(output_video_json(c->campaign, v));
            continue;
        }
        snprintf(done, sizeof done, "%.0f%%", 100 * output_fraction(v));
        snprintf(shots, sizeof shots, "%zu", v->n_shots);
        table_row(&t, (const char *const[]){ v->name, output_state(v->state), done, shots, v->reason ? v->reason : "" },
                  5);
    }
    if (!json)
        table_print(&t, to);
    table_free(&t);
}

static void print_gates(const Shotline__CampaignStatus *c, struct str *to)
{
    output_gates(c, to);
    for (size_t i = 0; i < c->n_videos; i++)
        output_faults(c->videos[i], to);
}

static bool one_campaign(const struct farm_options *o, const char *number, struct arena *arena, struct error *err)
{
    struct str text = { 0 };
    uint64_t id;
    if (!command_campaign(number, &id, err))
        return false;
    struct session *s = command_connect(o, err);
    const Shotline__CampaignStatus *c = s ? session_status(s, id, arena, err) : NULL;
    session_close(&s);
    if (!c)
        return false;
    print_campaigns(&c, 1, o->json, &text);
    print_videos(c, o->json, &text);
    if (!o->json)
        print_gates(c, &text);
    output_text(&text);
    return true;
}

static void print_storage(const Shotline__StorageStatus *s, bool json, struct str *to)
{
    if (json) {
        output_json(json_pack("{s:s, s:I, s:I, s:I, s:I}", "event", "storage", "kept_bytes", (json_int_t)s->kept,
                              "cache_bytes", (json_int_t)s->cache, "cache_quota_bytes", (json_int_t)s->quota,
                              "evicted_bytes", (json_int_t)s->evicted));
        return;
    }
    str_printf(to, "\nstored: %.1f MB of videos and references; cache %.1f MB", (double)s->kept / 1e6,
               (double)s->cache / 1e6);
    if (s->quota)
        str_printf(to, " of %.1f MB", (double)s->quota / 1e6);
    str_append(to, "\n");
}

static bool all_campaigns(const struct farm_options *o, struct arena *arena, struct error *err)
{
    struct str text = { 0 };
    Shotline__ToFarm request = SHOTLINE__TO_FARM__INIT;
    Shotline__StatusRequest ask = SHOTLINE__STATUS_REQUEST__INIT;
    request.status = &ask;
    const Shotline__FromFarm *reply = command_ask(o, &request, arena, err);
    if (!reply)
        return false;
    if (!reply->status)
        return error_set(err, ERROR_INPUT, "the farm's answer holds no status");
    print_campaigns((const Shotline__CampaignStatus *const *)reply->status->campaigns, reply->status->n_campaigns,
                    o->json, &text);
    if (reply->status->storage)
        print_storage(reply->status->storage, o->json, &text);
    output_text(&text);
    return true;
}

static bool status(void *options, const char *const *operands, int count, struct error *err)
{
    const struct farm_options *o = options;
    struct arena arena = { 0 };
    bool ok = count ? one_campaign(o, operands[0], &arena, err) : all_campaigns(o, &arena, err);
    arena_free(&arena);
    return ok;
}

int cmd_status(int argc, char **argv)
{
    struct farm_options farm = FARM_DEFAULTS;
    const struct arg_option options[] = { FARM_OPTIONS(farm) };
    const struct arg_command command = {
        .program = "shotline status",
        .operands = "[CAMPAIGN]",
        .summary = "Prints all campaigns of a farm, or one of them (by its number) with its videos.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .max_operands = 1,
    };
    return command_run(&command, argc, argv, status, &farm);
}

/* explain: why a task waits, runs or failed, and what will happen next. */
#include "client/commands.h"
#include "client/output.h"
#include "client/target.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The enum's own name, for programs: "fair_share". */
static void reason_code(Shotline__TaskReason reason, char *to, size_t room)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(&shotline__task_reason__descriptor, (int)reason);
    snprintf(to, room, "%s", v ? v->name + strlen("REASON_") : "unknown"); /* a newer farm */
    for (; *to; to++)
        *to = (char)tolower((unsigned char)*to);
}

static bool is_over(Shotline__TaskReason r)
{
    return r == SHOTLINE__TASK_REASON__REASON_DONE || r == SHOTLINE__TASK_REASON__REASON_CACHED;
}

/* ---- one task ---- */

static json_t *names_json(Shotline__NamedTask *const *list, size_t count)
{
    json_t *a = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(a, json_integer((json_int_t)list[i]->task));
    return a;
}

static json_t *task_json(const Shotline__ExplainedTask *t)
{
    char code[64];
    reason_code(t->reason, code, sizeof code);
    json_t *failed_on = json_array();
    for (size_t i = 0; i < t->n_failed_on; i++)
        json_array_append_new(failed_on, json_string(t->failed_on[i]));
    json_t *o = json_pack("{s:s, s:I, s:s, s:I, s:s, s:s, s:s, s:s, s:o, s:o, s:i, s:i, s:o}", "event", "task", "task",
                          (json_int_t)t->name->task, "what", t->name->what, "campaign", (json_int_t)t->campaign,
                          "video", t->video, "reason", code, "why", t->why, "next", t->next, "needs",
                          names_json(t->needs, t->n_needs), "feeds", names_json(t->feeds, t->n_feeds), "attempt",
                          (int)t->attempt, "losses", (int)t->losses, "failed_on", failed_on);
    if (t->worker)
        json_object_set_new(o, "worker", json_string(t->worker));
    if (t->trouble)
        json_object_set_new(o, "trouble", json_string(t->trouble));
    if (t->has_profile && t->profile == SHOTLINE__PROFILE__PROFILE_LEAN)
        json_object_set_new(o, "profile", json_string("lean"));
    if (t->has_step)
        json_object_set_new(o, "step", json_integer(t->step));
    if (t->has_steps)
        json_object_set_new(o, "steps", json_integer(t->steps));
    if (t->has_running_ms)
        json_object_set_new(o, "running_ms", json_integer((json_int_t)t->running_ms));
    if (t->has_ahead)
        json_object_set_new(o, "ahead", json_integer(t->ahead));
    if (t->has_ahead_of_others)
        json_object_set_new(o, "ahead_of_others", json_integer(t->ahead_of_others));
    return o;
}

static void put_names(const char *head, Shotline__NamedTask *const *list, size_t count, struct str *to)
{
    enum { SHOWN = 4 };
    if (count == 0)
        return;
    str_printf(to, "  %-6s ", head);
    for (size_t i = 0; i < count && i < SHOWN; i++)
        str_printf(to, "%st%" PRIu64 " (%s)", i ? ", " : "", list[i]->task, list[i]->what);
    str_append(to, count > SHOWN ? " and more\n" : "\n");
}

static void put_tries(const Shotline__ExplainedTask *t, struct str *to)
{
    if (t->attempt < 2 && !t->losses && !t->n_failed_on && !t->trouble)
        return;
    str_printf(to, "  tried  %u time%s", t->attempt, t->attempt == 1 ? "" : "s");
    if (t->losses)
        str_printf(to, "; %u worker%s lost under it%s (at most %u)", t->losses, t->losses == 1 ? " was" : "s were",
                   t->has_saved_step ? " since it saved its state" : "", t->losses_most);
    for (size_t i = 0; i < t->n_failed_on; i++)
        str_printf(to, "%s%s", i ? ", " : "; failed on ", t->failed_on[i]);
    str_printf(to, "%s%s\n", t->trouble ? ": " : "", t->trouble ? t->trouble : "");
}

static void put_task(const Shotline__ExplainedTask *t, struct str *to)
{
    char since[32];
    str_printf(to, "task t%" PRIu64 ": %s of video %s, campaign %" PRIu64 " (%s)\n", t->name->task, t->name->what,
               t->video, t->campaign, t->campaign_name);
    str_printf(to, "  why    %s", t->why);
    if (t->worker)
        str_printf(to, ", worker %s", t->worker);
    if (t->has_step && t->has_steps)
        str_printf(to, ", step %u of %u", t->step, t->steps);
    if (t->has_running_ms) {
        output_clock((int64_t)t->running_ms, since, sizeof since);
        str_printf(to, ", since %s", since);
    }
    if (t->has_ahead && t->ahead + t->ahead_of_others)
        str_printf(to, ": %u of its campaign, %u of others", t->ahead, t->ahead_of_others);
    str_printf(to, "\n  next   %s\n", t->next);
    put_names("needs", t->needs, t->n_needs, to);
    put_names("feeds", t->feeds, t->n_feeds, to);
    put_tries(t, to);
    if (t->has_saved_step)
        str_printf(to, "  saved  its state after %u step%s: the next attempt goes on from there\n", t->saved_step,
                   t->saved_step == 1 ? "" : "s");
    if (t->has_profile && t->profile == SHOTLINE__PROFILE__PROFILE_LEAN)
        str_append(to,
                   "  memory lean: one like it ran out of it, so weights are brought to the device layer by layer\n");
}

/* ---- videos ---- */

static json_t *video_json(const Shotline__ExplainedVideo *v)
{
    json_t *counts = json_object();
    for (size_t i = 0; i < v->n_counts; i++) {
        char code[64];
        reason_code(v->counts[i]->reason, code, sizeof code);
        json_object_set_new(counts, code, json_integer(v->counts[i]->count));
    }
    json_t *o = json_pack("{s:s, s:s, s:i, s:s, s:i, s:o}", "event", "video", "name", v->name, "number", (int)v->number,
                          "state", output_state(v->state), "tasks", (int)v->tasks, "reasons", counts);
    if (v->reason)
        json_object_set_new(o, "reason", json_string(v->reason));
    return o;
}

static void put_video(const Shotline__ExplainedVideo *v, struct str *to)
{
    unsigned over = 0;
    for (size_t i = 0; i < v->n_counts; i++)
        over += is_over(v->counts[i]->reason) ? v->counts[i]->count : 0;
    str_printf(to, "%s: %s", v->name, output_state(v->state));
    if (v->tasks)
        str_printf(to, ", %u of %u tasks done", over, v->tasks);
    str_append_char(to, '\n');
    if (v->reason)
        str_printf(to, "  %s\n", v->reason);
    for (size_t i = 0; i < v->n_counts; i++)
        if (!is_over(v->counts[i]->reason))
            str_printf(to, "  %5u  %s\n", v->counts[i]->count, v->counts[i]->why);
}

/* The tasks that are not done, or all. */
static void put_tasks(const Shotline__ExplainReply *r, bool all, struct str *to)
{
    static const char *const head[] = { "TASK", "WHAT", "WHY", "WORKER", "TRIES" };
    struct table t = { 0 };
    table_row(&t, head, 5);
    for (size_t i = 0; i < r->n_tasks; i++) {
        const Shotline__ExplainedTask *m = r->tasks[i];
        char id[24], tries[16];
        if (!all && is_over(m->reason))
            continue;
        snprintf(id, sizeof id, "t%" PRIu64, m->name->task);
        snprintf(tries, sizeof tries, "%u", m->attempt);
        table_row(&t, (const char *const[]){ id, m->name->what, m->why, m->worker ? m->worker : "", tries }, 5);
    }
    if (t.rows > 1)
        table_print(&t, to);
    table_free(&t);
}

/* ---- the command ---- */

static void print_reply(const Shotline__ExplainReply *r, bool json, bool all)
{
    struct str text = { 0 };
    if (json) {
        for (size_t i = 0; i < r->n_videos; i++)
            output_json(video_json(r->videos[i]));
        for (size_t i = 0; i < r->n_tasks; i++)
            if (!r->n_videos || all || !is_over(r->tasks[i]->reason))
                output_json(task_json(r->tasks[i]));
        return;
    }
    for (size_t i = 0; i < r->n_videos; i++)
        put_video(r->videos[i], &text);
    if (r->n_videos)
        put_tasks(r, all, &text);
    else
        for (size_t i = 0; i < r->n_tasks; i++)
            put_task(r->tasks[i], &text);
    output_text(&text);
}

struct explain {
    struct farm_options farm;
    bool all;
};

static bool explain(void *options, const char *const *operands, int count, struct error *err)
{
    const struct explain *o = options;
    struct target target, *t = &target;
    struct arena arena = { 0 };
    Shotline__ToFarm request = SHOTLINE__TO_FARM__INIT;
    Shotline__ExplainRequest ask = SHOTLINE__EXPLAIN_REQUEST__INIT;
    (void)count;
    if (!target_read(t, operands[0], false, err))
        return false;
    ask.has_task = t->kind == TARGET_TASK;
    ask.task = t->task;
    ask.has_campaign = !ask.has_task;
    ask.campaign = t->campaign;
    ask.video = t->kind == TARGET_VIDEO ? (char *)t->name : NULL;
    request.explain = &ask;
    const Shotline__FromFarm *reply = command_ask(&o->farm, &request, &arena, err);
    bool ok = reply && (reply->explain || error_set(err, ERROR_INPUT, "the farm's answer explains nothing"));
    if (ok)
        print_reply(reply->explain, o->farm.json, o->all);
    arena_free(&arena);
    return ok;
}

int cmd_explain(int argc, char **argv)
{
    struct explain o = { .farm = FARM_DEFAULTS };
    const struct arg_option options[] = {
        { 'a', "all", ARG_FLAG, &o.all, .help = "of a video: also the tasks that are done" },
        FARM_OPTIONS(o.farm),
    };
    const struct arg_command command = {
        .program = "shotline explain",
        .operands = "CAMPAIGN | CAMPAIGN/VIDEO | tTASK",
        .summary = "Tells why a task (t17) waits, runs or failed, and what will happen next; of a video (3/beach) for "
                   "each task, of a campaign (by its number) for each video.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .min_operands = 1,
        .max_operands = 1,
    };
    return command_run(&command, argc, argv, explain, &o);
}

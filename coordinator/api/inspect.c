#include "coordinator/api/inspect.h"

#include "coordinator/core/explain.h"
#include "coordinator/core/verify.h"
#include "coordinator/farm/shelf.h"
#include "coordinator/store/journal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MOST_EVENTS 2000 /* in one reply */
#define MOST_TASKS  4000
#define MOST_FEEDS  16 /* the text of a prompt may feed hundreds */

/* ---- who is meant ---- */

/* A whole decimal number; 0 when the text is none. */
static uint64_t number_of(const char *text)
{
    char *end;
    uint64_t v = *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;

    return v && !*end ? v : 0;
}

static struct video *find_video(const struct campaign *c, const char *name)
{
    uint64_t number = number_of(name);

    for (uint32_t i = 0; i < c->video_count; i++)
        if (!strcmp(c->videos[i].name, name))
            return &c->videos[i];
    return number && number <= c->video_count ? &c->videos[number - 1] : NULL;
}

static struct worker *find_worker(const struct fleet *f, const char *name)
{
    for (size_t i = f->count; i-- > 0;) /* of several with that name the latest */
        if (!strcmp(f->workers[i]->name, name))
            return f->workers[i];
    return number_of(name) ? fleet_worker(f, (struct worker_id){ number_of(name) }) : NULL;
}

/* ---- log ---- */

struct wanted {
    const struct ledger *ledger;
    const struct campaign *campaign; /* NULL: any */
    const struct video *video;       /* NULL: any */
    uint64_t task, worker;           /* 0: any */
    struct arena *arena;
    Shotline__LogReply *reply;
};

/* Events name what they are about; a task stands for its video too, and a video for its campaign. */
static bool is_wanted(void *context, const struct journal_event *e)
{
    const struct wanted *w = context;
    const struct task *t = e->task ? ledger_task(w->ledger, (struct task_id){ e->task }) : NULL;

    if (w->task && e->task != w->task)
        return false;
    if (w->worker && e->worker != w->worker)
        return false;
    if (w->video)
        return e->video == w->video->id.v || (t && t->video == w->video);
    if (!w->campaign || e->campaign == w->campaign->id.v || (t && t->video->campaign == w->campaign))
        return true;
    for (uint32_t i = 0; e->video && i < w->campaign->video_count; i++)
        if (w->campaign->videos[i].id.v == e->video)
            return true;
    return false;
}

static void take_event(void *context, const struct journal_event *e)
{
    struct wanted *w = context;
    Shotline__Event *m = arena_new(w->arena, Shotline__Event);

    shotline__event__init(m);
    m->number = e->number;
    m->wall_ms = e->wall_ms;
    m->level = e->level >= LOG_LEVEL_ERROR  ? SHOTLINE__EVENT_LEVEL__EVENT_ERROR
               : e->level >= LOG_LEVEL_WARN ? SHOTLINE__EVENT_LEVEL__EVENT_WARN
                                            : SHOTLINE__EVENT_LEVEL__EVENT_INFO;
    m->name = arena_strdup(w->arena, e->event);
    m->text = arena_strdup(w->arena, e->text);
    w->reply->events[w->reply->n_events++] = m;
}

static bool wanted_of(struct wanted *w, struct farm *f, const Shotline__LogRequest *q, struct error *err)
{
    if (q->has_campaign && !(w->campaign = shelf_campaign(f, (struct campaign_id){ q->campaign }, err)))
        return false;
    if (q->video && !(w->video = w->campaign ? find_video(w->campaign, q->video) : NULL))
        return error_set(err, ERROR_INPUT, "campaign %" PRIu64 " has no video \"%.100s\"", q->campaign, q->video);
    w->task = q->has_task ? q->task : 0; /* also of a campaign that was forgotten: its events may still be there */
    if (q->worker) {
        const struct worker *worker = find_worker(&f->fleet, q->worker);

        if (!worker)
            return error_set(err, ERROR_INPUT, "no worker is called \"%.60s\"", q->worker);
        w->worker = worker->id.v;
    }
    return true;
}

Shotline__LogReply *inspect_log(struct farm *f, const Shotline__LogRequest *q, struct arena *arena, struct error *err)
{
    Shotline__LogReply *reply = arena_new(arena, Shotline__LogReply);
    struct wanted w = { .ledger = &f->ledger, .arena = arena, .reply = reply };
    size_t most = q->most < MOST_EVENTS ? q->most : MOST_EVENTS;

    shotline__log_reply__init(reply);
    if (!wanted_of(&w, f, q, err))
        return NULL;
    reply->events = arena_array(arena, Shotline__Event *, most + 1);
    if (f->journal)
        reply->next = journal_read(f->journal, q->after, most, is_wanted, take_event, &w);
    return reply;
}

/* ---- explain ---- */

/* "denoise range of shot 2" */
static char *task_words(const struct task *t, struct arena *arena)
{
    const char *role = task_role_name(t->role), *kind = task_kind_name(t->kind);

    return t->shot ? arena_printf(arena, "%s%s%s of shot %" PRIu32, kind, *role ? " " : "", role, t->shot)
                   : arena_printf(arena, "%s%s%s", kind, *role ? " " : "", role);
}

static Shotline__NamedTask *named_task(const struct task *t, struct arena *arena)
{
    Shotline__NamedTask *m = arena_new(arena, Shotline__NamedTask);

    shotline__named_task__init(m);
    m->task = t->id.v;
    m->what = task_words(t, arena);
    return m;
}

static char *worker_name(const struct farm *f, struct worker_id id, struct arena *arena)
{
    const struct worker *w = id.v ? fleet_worker(&f->fleet, id) : NULL;

    return w ? arena_strdup(arena, w->name) : NULL;
}

/* Whom it waits for, and who waits for it. */
static void name_neighbours(const struct task *t, Shotline__ExplainedTask *m, struct arena *arena)
{
    const struct video *v = t->video;

    m->needs = arena_array(arena, Shotline__NamedTask *, t->input_count + 1);
    for (uint32_t i = 0; i < t->input_count; i++) {
        bool named = t->inputs[i].known;

        for (uint32_t k = 0; k < i; k++) /* several inputs may come from the same task */
            named = named || (!t->inputs[k].known && t->inputs[k].from == t->inputs[i].from);
        if (!named)
            m->needs[m->n_needs++] = named_task(&v->tasks[t->inputs[i].from], arena);
    }
    m->feeds = arena_array(arena, Shotline__NamedTask *, MOST_FEEDS);
    for (uint32_t i = 0; i < t->dependent_count && i < MOST_FEEDS; i++)
        m->feeds[m->n_feeds++] = named_task(&v->tasks[t->dependents[i]], arena);
}

static void tell_tries(const struct farm *f, const struct task *t, Shotline__ExplainedTask *m, struct arena *arena)
{
    m->attempt = t->attempt.v;
    m->losses = t->losses;
    m->losses_most = TASK_MAX_LOSSES;
    m->has_saved_step = t->checkpoint_step != 0;
    m->saved_step = t->checkpoint_step;
    m->failed_on = arena_array(arena, char *, t->failed_count + 1);
    for (uint32_t i = 0; i < t->failed_count; i++) {
        char *name = worker_name(f, t->failed_on[i], arena);

        m->failed_on[m->n_failed_on++] = name ? name : arena_printf(arena, "worker %" PRIu64, t->failed_on[i].v);
    }
    m->trouble = t->trouble;
    m->has_profile = t->profile != PROFILE_USUAL;
    m->profile = (Shotline__Profile)t->profile;
}

static Shotline__ExplainedTask *explained_task(const struct farm *f, const struct task *t, int64_t now_ms,
                                               struct arena *arena)
{
    const struct explanation e = task_explain(&f->fleet, &f->ledger, t, now_ms);
    Shotline__ExplainedTask *m = arena_new(arena, Shotline__ExplainedTask);
    char next[256] = "";

    shotline__explained_task__init(m);
    explanation_next(&e, t, now_ms, next, sizeof next);
    m->name = named_task(t, arena);
    m->campaign = t->video->campaign->id.v;
    m->campaign_name = (char *)t->video->campaign->name;
    m->video = (char *)t->video->name;
    m->reason = (Shotline__TaskReason)e.reason;
    m->why = (char *)task_reason_name(e.reason);
    m->next = arena_strdup(arena, next);
    m->worker = worker_name(f, t->state == TASK_DONE && !t->cached ? t->worker : e.worker, arena);
    name_neighbours(t, m, arena);
    tell_tries(f, t, m, arena);
    if (t->state == TASK_RUNNING) {
        m->has_step = m->has_steps = t->step_count > 0;
        m->step = t->step;
        m->steps = t->step_count;
        m->has_running_ms = now_ms >= t->dispatched_ms;
        m->running_ms = (uint64_t)(now_ms - t->dispatched_ms);
    }
    m->has_ahead = m->has_ahead_of_others = t->queue_place > 0;
    m->ahead = e.ahead;
    m->ahead_of_others = e.ahead_of_others;
    return m;
}

static Shotline__ExplainedVideo *explained_video(const struct farm *f, const struct video *v, int64_t now_ms,
                                                 struct arena *arena)
{
    Shotline__ExplainedVideo *m = arena_new(arena, Shotline__ExplainedVideo);
    uint32_t counts[TASK_REASONS] = { 0 };

    shotline__explained_video__init(m);
    m->name = (char *)v->name;
    m->number = v->number;
    m->state = (Shotline__WorkState)v->state;
    m->reason = *v->reason ? (char *)v->reason : NULL;
    m->tasks = v->task_count;
    for (uint32_t i = 0; i < v->task_count; i++)
        counts[task_explain(&f->fleet, &f->ledger, &v->tasks[i], now_ms).reason]++;
    m->counts = arena_array(arena, Shotline__ReasonCount *, TASK_REASONS);
    for (int r = 0; r < TASK_REASONS; r++) {
        if (!counts[r])
            continue;
        Shotline__ReasonCount *count = m->counts[m->n_counts++] = arena_new(arena, Shotline__ReasonCount);
        shotline__reason_count__init(count);
        count->reason = (Shotline__TaskReason)r;
        count->why = (char *)task_reason_name((enum task_reason)r);
        count->count = counts[r];
    }
    return m;
}

static bool explain_videos(struct farm *f, const Shotline__ExplainRequest *q, Shotline__ExplainReply *reply,
                           int64_t now_ms, struct arena *arena, struct error *err)
{
    const struct campaign *c = shelf_campaign(f, (struct campaign_id){ q->campaign }, err);
    const struct video *one = c && q->video ? find_video(c, q->video) : NULL;

    if (!c)
        return false;
    if (q->video && !one)
        return error_set(err, ERROR_INPUT, "campaign %" PRIu64 " has no video \"%.100s\"", q->campaign, q->video);
    reply->videos = arena_array(arena, Shotline__ExplainedVideo *, c->video_count + 1);
    for (uint32_t i = 0; i < c->video_count; i++)
        if (!one || one == &c->videos[i])
            reply->videos[reply->n_videos++] = explained_video(f, &c->videos[i], now_ms, arena);
    if (!one)
        return true;
    reply->tasks = arena_array(arena, Shotline__ExplainedTask *, one->task_count + 1);
    for (uint32_t i = 0; i < one->task_count && i < MOST_TASKS; i++)
        reply->tasks[reply->n_tasks++] = explained_task(f, &one->tasks[i], now_ms, arena);
    return true;
}

Shotline__ExplainReply *inspect_explain(struct farm *f, const Shotline__ExplainRequest *q, int64_t now_ms,
                                        struct arena *arena, struct error *err)
{
    Shotline__ExplainReply *reply = arena_new(arena, Shotline__ExplainReply);

    shotline__explain_reply__init(reply);
    if (!q->has_task)
        return explain_videos(f, q, reply, now_ms, arena, err) ? reply : NULL;
    const struct task *t = shelf_task(f, (struct task_id){ q->task }, err);
    if (!t)
        return NULL;
    reply->tasks = arena_array(arena, Shotline__ExplainedTask *, 1);
    reply->tasks[reply->n_tasks++] = explained_task(f, t, now_ms, arena);
    return reply;
}

/* ---- verify ---- */

static Shotline__VerifiedTask *verified_task(struct farm *f, const struct task *t, struct arena *arena)
{
    Shotline__VerifiedTask *m = arena_new(arena, Shotline__VerifiedTask);
    const struct worker *w = t->attempt.v ? fleet_worker(&f->fleet, t->worker) : NULL;

    shotline__verified_task__init(m);
    m->position = t->position;
    m->task = t->id.v;
    m->what = task_words(t, arena);
    m->verdict = (Shotline__Verdict)verify_verdict(t);
    m->trouble = t->trouble;
    m->worker = w ? (char *)w->name : NULL;
    m->has_elsewhere = w && t->made_by.v;
    m->elsewhere = m->has_elsewhere && t->made_by.v != w->id.v;
    return m;
}

Shotline__VerifyReply *inspect_verification(struct farm *f, const struct campaign *c, struct arena *arena,
                                            struct error *err)
{
    Shotline__VerifyReply *reply = arena_new(arena, Shotline__VerifyReply);

    if (!c->verification) {
        error_set(err, ERROR_INPUT, "campaign %" PRIu64 " is no verification", c->id.v);
        return NULL;
    }
    const struct video *v = &c->videos[0];
    shotline__verify_reply__init(reply);
    reply->state = (Shotline__WorkState)c->state;
    reply->reason = *v->reason ? (char *)v->reason : NULL;
    reply->tasks = arena_array(arena, Shotline__VerifiedTask *, v->task_count + 1);
    for (uint32_t i = 0; i < v->task_count; i++)
        reply->tasks[reply->n_tasks++] = verified_task(f, &v->tasks[i], arena);
    return reply;
}

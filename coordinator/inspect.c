#include "coordinator/inspect.h"

#include "coordinator/journal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MOST_EVENTS 2000 /* in one reply */

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
    if (q->has_campaign && !(w->campaign = ledger_campaign(&f->ledger, (struct campaign_id){ q->campaign })))
        return error_set(err, ERROR_INPUT, "campaign %" PRIu64 " is not known here", q->campaign);
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

#include "coordinator/api/status.h"

#include "coordinator/core/figures.h"
#include "coordinator/core/schedule.h"
#include "coordinator/core/standing.h"
#include "coordinator/core/takes.h"
#include "coordinator/farm/spec.h"

#include <inttypes.h>

/* ---- campaigns ---- */

/* Steps times latent frames that a denoising task stands for, and those done so far. */
static void count_steps(const struct task *t, uint32_t *done, uint32_t *all)
{
    const struct denoise_params *p = &t->denoise;
    uint32_t steps = (uint32_t)(p->step_to - p->step_from);

    *all += steps * (uint32_t)p->window_count;
    if (t->state == TASK_DONE)
        *done += steps * (uint32_t)p->window_count;
    else if (t->state == TASK_RUNNING && t->step_count && t->step_count <= steps) /* fewer: from a checkpoint on */
        *done += (steps - t->step_count + t->step) * (uint32_t)p->window_count;
}

static Shotline__NamedBlob *named_blob(const char *name, const struct blob_ref *blob, struct arena *arena)
{
    Shotline__NamedBlob *m = arena_new(arena, Shotline__NamedBlob);

    shotline__named_blob__init(m);
    m->name = (char *)name;
    m->blob = blob_message(blob, arena);
    return m;
}

/* Which take a shot shows, and what its gates say. */
static void take_status(const struct farm *f, Shotline__ShotStatus *m, const struct video *v, const struct shot *s,
                        struct arena *arena)
{
    const struct task *best = s->settled || work_ended(v->state) ? takes_best(v, s) : NULL;
    char text[400];

    m->has_takes = m->has_take = true;
    m->takes = s->takes;
    m->take = best ? best->take + 1 : s->takes;
    if (!best)
        return;
    m->has_passed = true;
    m->passed = verdict_passed(best->verdict);
    if (m->passed)
        return;
    verdict_text(best->verdict, text, sizeof text);
    m->fault = arena_strdup(arena, text);
    const struct blob_ref *picture = task_find_output(best, OUTPUT_THUMBNAIL);
    if (picture && store_dir_has(f->blobs, &picture->digest))
        m->picture = named_blob("thumbnail", picture, arena);
}

static Shotline__ShotStatus *shot_status(const struct farm *f, const struct video *v, const struct shot *s,
                                         struct arena *arena)
{
    Shotline__ShotStatus *m = arena_new(arena, Shotline__ShotStatus);
    bool any_running = false, any_done = false, all_done = true;

    shotline__shot_status__init(m);
    m->number = s->number;
    m->ranges = s->ranges;
    for (uint32_t i = 0; i < v->task_count; i++) {
        const struct task *t = &v->tasks[i];

        if (t->shot != s->number || t->take + 1 != s->takes) /* earlier takes are over */
            continue;
        if (t->kind == TASK_DENOISE)
            count_steps(t, &m->steps_done, &m->steps);
        any_running = any_running || t->state == TASK_RUNNING;
        any_done = any_done || t->state == TASK_DONE;
        all_done = all_done && t->state == TASK_DONE;
    }
    m->state = (Shotline__WorkState)(all_done && s->settled    ? WORK_DONE
                                     : work_ended(v->state)    ? v->state
                                     : any_running || any_done ? WORK_RUNNING
                                                               : WORK_WAITING);
    take_status(f, m, v, s, arena);
    return m;
}

static Shotline__VideoStatus *video_status(const struct farm *f, const struct video *v, struct arena *arena)
{
    Shotline__VideoStatus *m = arena_new(arena, Shotline__VideoStatus);

    shotline__video_status__init(m);
    m->name = (char *)v->name;
    m->state = (Shotline__WorkState)v->state;
    m->reason = *v->reason ? (char *)v->reason : NULL;
    m->n_shots = v->shot_count;
    m->shots = arena_array(arena, Shotline__ShotStatus *, v->shot_count + 1);
    for (uint32_t i = 0; i < v->shot_count; i++)
        m->shots[i] = shot_status(f, v, &v->shots[i], arena);
    if (v->state == WORK_DONE) {
        m->artifacts = arena_array(arena, Shotline__NamedBlob *, 2);
        m->artifacts[m->n_artifacts++] = named_blob("manifest", &v->manifest, arena);
        m->artifacts[m->n_artifacts++] = named_blob("video", &v->file, arena);
    }
    return m;
}

static void figures_status(Shotline__CampaignStatus *m, const struct campaign *c)
{
    const struct campaign_figures n = figures_of(c);

    m->tasks = n.tasks;
    m->tasks_done = n.tasks_done;
    m->tasks_cached = n.tasks_cached;
    m->has_shots_judged = m->has_shots_first_try = m->has_shots_settled = m->has_shots_passed = m->has_retry_ms = true;
    m->shots_judged = n.shots_judged;
    m->shots_first_try = n.shots_first_try;
    m->shots_settled = n.shots_settled;
    m->shots_passed = n.shots_passed;
    m->retry_ms = (uint64_t)n.retry_ms;
}

static Shotline__CampaignStatus *campaign_status(const struct request *r, const struct campaign *c)
{
    Shotline__CampaignStatus *m = arena_new(r->arena, Shotline__CampaignStatus);

    shotline__campaign_status__init(m);
    m->campaign = c->id.v;
    m->name = (char *)c->name;
    m->state = (Shotline__WorkState)c->state;
    figures_status(m, c);
    int64_t elapsed_ms = (c->ended_ms ? c->ended_ms : r->f->wall_ms) - c->created_ms;
    m->elapsed_ms = elapsed_ms > 0 ? (uint64_t)elapsed_ms : 0;
    m->busy_ms = (uint64_t)c->busy_ms;
    m->overlap_ms = (uint64_t)c->overlap_ms;
    m->ranges_at_once = c->ranges_at_once;
    m->has_superseded = true;
    m->superseded = c->superseded;
    int64_t eta_ms = work_ended(c->state) ? -1 : schedule_eta_ms(&r->f->fleet, c, r->now_ms);
    m->has_eta_ms = eta_ms >= 0;
    m->eta_ms = m->has_eta_ms ? (uint64_t)eta_ms : 0;
    return m;
}

/* Videos from `first` on, as many as an answer has room for, but one at least. */
static void add_videos(const struct request *r, const struct campaign *c, uint32_t first, Shotline__StatusReply *s)
{
    Shotline__CampaignStatus *m = s->campaigns[0];
    size_t bytes = 0;

    m->videos = arena_array(r->arena, Shotline__VideoStatus *, c->video_count + 1);
    for (uint32_t i = first; i < c->video_count; i++) {
        Shotline__VideoStatus *v = video_status(r->f, &c->videos[i], r->arena);

        bytes += shotline__video_status__get_packed_size(v);
        if (m->n_videos && bytes > r->f->status_bytes) {
            s->has_next_video = true;
            s->next_video = i;
            return;
        }
        m->videos[m->n_videos++] = v;
    }
}

static Shotline__StorageStatus *storage_status(const struct request *r)
{
    Shotline__StorageStatus *m = arena_new(r->arena, Shotline__StorageStatus);

    shotline__storage_status__init(m);
    eviction_look(&r->f->eviction);
    m->kept = (uint64_t)r->f->eviction.kept_bytes;
    m->cache = (uint64_t)eviction_cache_bytes(&r->f->eviction);
    m->quota = (uint64_t)r->f->eviction.quota_bytes;
    m->evicted = (uint64_t)r->f->eviction.evicted_bytes;
    return m;
}

static Shotline__StatusReply *status_of(const struct request *r, size_t campaigns)
{
    Shotline__StatusReply *s = arena_new(r->arena, Shotline__StatusReply);

    shotline__status_reply__init(s);
    s->campaigns = arena_array(r->arena, Shotline__CampaignStatus *, campaigns + 1);
    return s;
}

Shotline__StatusReply *status_campaign(const struct request *r, const struct campaign *c, uint32_t first_video)
{
    Shotline__StatusReply *s = status_of(r, 1);

    s->campaigns[s->n_campaigns++] = campaign_status(r, c);
    add_videos(r, c, first_video, s);
    return s;
}

Shotline__StatusReply *status_farm(const struct request *r)
{
    const struct ledger *l = &r->f->ledger;
    Shotline__StatusReply *s = status_of(r, l->campaign_count);

    for (size_t i = 0; i < l->campaign_count; i++)
        s->campaigns[s->n_campaigns++] = campaign_status(r, l->campaigns[i]);
    s->storage = storage_status(r);
    return s;
}

/* ---- workers ---- */

static char *running_text(const struct request *r, const struct worker *w)
{
    struct str text = { 0 };

    for (uint32_t i = 0; i < w->running_count; i++) {
        const struct task *t = ledger_task(&r->f->ledger, w->running[i]);

        if (!t)
            continue;
        str_printf(&text, "%s%s", text.size ? ", " : "", task_kind_name(t->kind));
        if (t->role)
            str_printf(&text, " %s", task_role_name(t->role));
        if (t->step_count)
            str_printf(&text, " %" PRIu32 "/%" PRIu32, t->step, t->step_count);
        if (t->shot)
            str_printf(&text, " of shot %" PRIu32, t->shot);
        str_printf(&text, " (task %" PRIu64 ")", t->id.v);
    }
    char *copy = text.size ? arena_strdup(r->arena, text.data) : NULL;
    str_free(&text);
    return copy;
}

Shotline__WorkersReply *status_workers(const struct request *r)
{
    const struct fleet *fleet = &r->f->fleet;
    Shotline__WorkersReply *s = arena_new(r->arena, Shotline__WorkersReply);

    shotline__workers_reply__init(s);
    s->workers = arena_array(r->arena, Shotline__WorkerStatus *, fleet->count + 1);
    for (size_t i = 0; i < fleet->count; i++) {
        const struct worker *w = fleet->workers[i];
        Shotline__WorkerStatus *to;

        if (!w->alive && !w->heard_ms) /* known from an earlier run only */
            continue;
        to = s->workers[s->n_workers++] = arena_new(r->arena, Shotline__WorkerStatus);
        shotline__worker_status__init(to);
        to->id = w->id.v;
        to->name = (char *)w->name;
        to->device = (char *)w->device;
        to->alive = w->alive;
        to->tasks_done = w->tasks_done;
        to->busy_ms = (uint64_t)w->busy_ms;
        to->running = running_text(r, w);
        to->has_failures = to->has_superseded = to->has_set_aside = true;
        to->failures = w->failures;
        to->superseded = w->superseded;
        to->has_draining = true;
        to->draining = w->draining;
        to->set_aside = standing_campaigns(&r->f->ledger, w->id, r->now_ms);
    }
    return s;
}

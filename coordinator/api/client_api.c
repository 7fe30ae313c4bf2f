#include "coordinator/api/client_api.h"

#include "common/base/log.h"
#include "common/wire/codec.h"
#include "coordinator/api/admission.h"
#include "coordinator/api/guard.h"
#include "coordinator/api/inspect.h"
#include "coordinator/core/lifecycle.h"
#include "coordinator/core/schedule.h"
#include "coordinator/core/standing.h"
#include "coordinator/core/takes.h"
#include "coordinator/farm/intake.h"
#include "coordinator/farm/leases.h"
#include "coordinator/farm/planner_thread.h"
#include "coordinator/farm/planning.h"
#include "coordinator/farm/shelf.h"
#include "coordinator/farm/spec.h"
#include "coordinator/farm/text.h"
#include "proto/client.pb-c.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct request {
    struct farm *f;
    const struct peer *peer;
    const struct message *message; /* NULL for an answer that comes later */
    uint64_t sequence;
    int64_t now_ms;
    struct arena *arena;
};

static void reply(const struct request *r, Shotline__FromFarm *m)
{
    m->sequence = r->sequence;
    farm_send(r->f, r->f->clients, r->peer, &m->base);
}

static void reply_error(const struct request *r, Shotline__FarmErrorKind kind, const char *text)
{
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    Shotline__FarmError e = SHOTLINE__FARM_ERROR__INIT;

    e.kind = kind;
    e.text = (char *)text;
    m.error = &e;
    reply(r, &m);
}

/* ---- submit, plan, cancel ---- */

static void reply_submitted(const struct request *r, struct campaign_id id)
{
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    Shotline__Submitted s = SHOTLINE__SUBMITTED__INIT;

    s.campaign = id.v;
    m.submitted = &s;
    reply(r, &m);
}

static void on_submit(const struct request *r, const Shotline__SubmitRequest *s)
{
    struct farm *f = r->f;
    struct error fault;
    struct campaign_id known = { 0 };
    struct campaign *c;

    if (s->campaign->token.len == sizeof c->token) {
        c = ledger_campaign_by_token(&f->ledger, s->campaign->token.data);
        if (c) {
            known = c->id;
        } else if (!store_find_forgotten(f->store, s->campaign->token.data, &known, &fault)) {
            reply_error(r, SHOTLINE__FARM_ERROR_KIND__FARM_FAILED, fault.text);
            return;
        }
    }
    if (known.v) { /* said before, and the answer was lost; or long ago, and its record is gone: not twice either way */
        reply_submitted(r, known);
        return;
    }
    if (ledger_live(&f->ledger) >= FARM_MAX_LIVE) {
        reply_error(r, SHOTLINE__FARM_ERROR_KIND__FARM_BUSY, "too many campaigns are under way");
        return;
    }
    c = intake_campaign(&(struct intake){ .grammar = f->grammar, .blobs = f->blobs, .manifests = f->blobs },
                        s->campaign, &fault);
    if (!c) {
        reply_error(r, SHOTLINE__FARM_ERROR_KIND__FARM_BAD_REQUEST, fault.text);
        return;
    }
    c->pack = f->ledger.keys.pack;
    c->created_ms = f->wall_ms;
    c->owner = r->message->key;
    ledger_add(&f->ledger, c);
    char name[64];
    text_clean(name, sizeof name, c->name);
    log_info("campaign.submitted", "campaign=%" PRIu64 " name=\"%s\" videos=%" PRIu32, c->id.v, name, c->video_count);
    reply_submitted(r, c->id);
}

static void reply_planned(const struct request *r, const char *plan)
{
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    Shotline__Planned p = SHOTLINE__PLANNED__INIT;

    p.plan = (char *)plan;
    m.planned = &p;
    reply(r, &m);
}

static void on_plan(const struct request *r, const Shotline__PlanRequest *p)
{
    struct farm *f = r->f;
    struct plan_wait *wait = NULL;
    size_t of_peer = 0;
    struct error fault;

    for (size_t i = 0; i < FARM_MAX_WAITING_PLANS; i++) {
        struct plan_wait *w = &f->plan_waits[i];
        bool same_peer = memcmp(&w->peer, r->peer, sizeof w->peer) == 0;

        if (!w->job)
            wait = wait ? wait : w;
        else if (w->sequence == r->sequence && same_peer)
            return; /* asked again while we work on it */
        else
            of_peer += same_peer || (!curve_is_none(&w->key) && curve_equal(&w->key, &r->message->key));
    }
    struct campaign *c = intake_video(&(struct intake){ .grammar = f->grammar, .blobs = f->blobs }, p->video, p->cast,
                                      p->n_cast, &fault);
    if (!c) {
        reply_error(r, SHOTLINE__FARM_ERROR_KIND__FARM_BAD_REQUEST, fault.text);
        return;
    }
    const struct video *v = &c->videos[0];
    char *known = v->given_plan ? xstrdup(v->given_plan) : planning_find(f, v);
    if (known)
        reply_planned(r, known);
    else if (!wait || of_peer >= FARM_MAX_PLANS_OF_PEER)
        reply_error(r, SHOTLINE__FARM_ERROR_KIND__FARM_BUSY, "too many plans are waiting");
    else if (!f->planner)
        reply_error(r, SHOTLINE__FARM_ERROR_KIND__FARM_FAILED, "this farm has no planner");
    else
        *wait = (struct plan_wait){
            .job = planning_ask_for_client(f, v), .peer = *r->peer, .key = r->message->key, .sequence = r->sequence
        };
    free(known);
    campaign_free(&c);
}

void client_api_planned(struct farm *f, const struct plan_answer *a)
{
    for (size_t i = 0; i < FARM_MAX_WAITING_PLANS; i++) {
        struct plan_wait *w = &f->plan_waits[i];
        const struct request r = { .f = f, .peer = &w->peer, .sequence = w->sequence };

        if (w->job != a->job)
            continue;
        if (a->plan)
            reply_planned(&r, a->plan);
        else
            reply_error(&r,
                        a->why.kind == ERROR_INPUT ? SHOTLINE__FARM_ERROR_KIND__FARM_BAD_REQUEST
                                                   : SHOTLINE__FARM_ERROR_KIND__FARM_FAILED,
                        a->why.text);
        w->job = 0;
    }
}

static struct campaign *find_campaign(const struct request *r, uint64_t id, bool graphs)
{
    const struct campaign_id campaign = { id };
    struct error fault;
    struct campaign *c = graphs ? shelf_campaign(r->f, campaign, &fault) : shelf_find(r->f, campaign, &fault);

    if (!c)
        reply_error(r,
                    fault.kind == ERROR_INPUT ? SHOTLINE__FARM_ERROR_KIND__FARM_NOT_FOUND
                                              : SHOTLINE__FARM_ERROR_KIND__FARM_FAILED,
                    fault.text);
    return c;
}

static void on_cancel(const struct request *r, const Shotline__CancelRequest *q)
{
    struct campaign *c = find_campaign(r, q->campaign, false);
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    Shotline__Cancelled done = SHOTLINE__CANCELLED__INIT;

    if (!c)
        return;
    if (guard_role(r->f->guard, &r->message->key) != ROLE_OPERATOR && !curve_equal(&c->owner, &r->message->key)) {
        guard_refused(r->f->guard, CONVERSATION_CLIENTS, r->message, REFUSAL_ROLE, "cancel", r->now_ms);
        reply_error(r, SHOTLINE__FARM_ERROR_KIND__FARM_FORBIDDEN,
                    "somebody else has submitted this campaign: only an operator can cancel it");
        return;
    }
    if (!work_ended(c->state)) { /* else there is nothing to cancel, which is no fault: it may be asked for twice */
        log_info("campaign.cancelled", "campaign=%" PRIu64, c->id.v);
        campaign_cancel(&r->f->ledger, c, r->f->wall_ms);
    }
    m.cancelled = &done;
    reply(r, &m);
}

/* ---- status ---- */

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
    const struct campaign_figures n = campaign_figures(c);

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

static void on_status(const struct request *r, const Shotline__StatusRequest *q)
{
    const struct ledger *l = &r->f->ledger;
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    Shotline__StatusReply s = SHOTLINE__STATUS_REPLY__INIT;

    s.campaigns = arena_array(r->arena, Shotline__CampaignStatus *, l->campaign_count + 1);
    if (q->has_campaign) {
        const struct campaign *c = find_campaign(r, q->campaign, true);

        if (!c)
            return;
        s.campaigns[s.n_campaigns++] = campaign_status(r, c);
        add_videos(r, c, q->first_video, &s);
    } else {
        for (size_t i = 0; i < l->campaign_count; i++)
            s.campaigns[s.n_campaigns++] = campaign_status(r, l->campaigns[i]);
        s.storage = storage_status(r);
    }
    m.status = &s;
    reply(r, &m);
}

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

static void on_workers(const struct request *r)
{
    const struct fleet *fleet = &r->f->fleet;
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    Shotline__WorkersReply s = SHOTLINE__WORKERS_REPLY__INIT;

    s.workers = arena_array(r->arena, Shotline__WorkerStatus *, fleet->count + 1);
    for (size_t i = 0; i < fleet->count; i++) {
        const struct worker *w = fleet->workers[i];
        Shotline__WorkerStatus *to;

        if (!w->alive && !w->heard_ms) /* known from an earlier run only */
            continue;
        to = s.workers[s.n_workers++] = arena_new(r->arena, Shotline__WorkerStatus);
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
    m.workers = &s;
    reply(r, &m);
}

static void on_log(const struct request *r, const Shotline__LogRequest *q)
{
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    struct error fault;

    m.log = inspect_log(r->f, q, r->arena, &fault);
    if (m.log)
        reply(r, &m);
    else
        reply_error(r, SHOTLINE__FARM_ERROR_KIND__FARM_NOT_FOUND, fault.text);
}

static void on_drain(const struct request *r, const Shotline__DrainRequest *q)
{
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    Shotline__Drained d = SHOTLINE__DRAINED__INIT;
    char name[64], text[128];

    text_clean(name, sizeof name, q->name);
    d.workers = leases_drain(r->f, name);
    if (!d.workers) {
        snprintf(text, sizeof text, "no connected worker has the name \"%s\"", name);
        reply_error(r, SHOTLINE__FARM_ERROR_KIND__FARM_NOT_FOUND, text);
        return;
    }
    m.drained = &d;
    reply(r, &m);
}

static void on_explain(const struct request *r, const Shotline__ExplainRequest *q)
{
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    struct error fault;

    m.explain = inspect_explain(r->f, q, r->now_ms, r->arena, &fault);
    if (m.explain)
        reply(r, &m);
    else
        reply_error(r, SHOTLINE__FARM_ERROR_KIND__FARM_NOT_FOUND, fault.text);
}

static void on_verify(const struct request *r, const Shotline__VerifyRequest *q)
{
    const struct campaign *c = find_campaign(r, q->campaign, true);
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    struct error fault;

    if (!c)
        return;
    m.verify = inspect_verification(r->f, c, r->arena, &fault);
    if (m.verify)
        reply(r, &m);
    else
        reply_error(r, SHOTLINE__FARM_ERROR_KIND__FARM_BAD_REQUEST, fault.text);
}

/* ---- keys ---- */

static void on_keys(const struct request *r, const Shotline__ToFarm *q)
{
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    struct error fault;

    if (q->invite)
        m.invited = admission_invite(r->f, q->invite, r->arena, &fault);
    else if (q->join)
        m.joined = admission_join(r->f, q->join, r->message, r->now_ms, r->arena, &fault);
    else if (q->revoke)
        m.revoked = admission_revoke(r->f, q->revoke, r->arena, &fault);
    else
        m.keys = admission_keys(r->f, r->arena, &fault);
    if (m.invited || m.joined || m.revoked || m.keys)
        reply(r, &m);
    else
        reply_error(r, SHOTLINE__FARM_ERROR_KIND__FARM_BAD_REQUEST, fault.text);
}

/* A message asks for one thing: what it may and what is done are then about the same. */
static bool asks_one_thing(const Shotline__ToFarm *m)
{
    const ProtobufCMessageDescriptor *d = m->base.descriptor;
    int count = 0;

    for (unsigned i = 0; i < d->n_fields; i++)
        count += d->fields[i].type == PROTOBUF_C_TYPE_MESSAGE &&
                 *(void *const *)((const char *)m + d->fields[i].offset) != NULL;
    return count <= 1;
}

/* What a request needs; what is not named here is for operators. */
static enum access_verb verb_of(const Shotline__ToFarm *m)
{
    if (m->join)
        return ACCESS_JOIN;
    if (m->status || m->workers || m->log || m->explain || m->verify)
        return ACCESS_LOOK;
    if (m->submit || m->plan || m->cancel)
        return ACCESS_SUBMIT;
    return ACCESS_ADMINISTER;
}

static void on_message(struct farm *f, const struct message *message, int64_t now_ms)
{
    const char *why = NULL;
    const bool heard = guard_hears(f->guard, CONVERSATION_CLIENTS, message, now_ms, &why);

    if (!heard && !why)
        return;

    struct arena arena = { 0 };
    struct error fault;
    const Shotline__ToFarm *m =
        codec_unpack(&shotline__to_farm__descriptor, message->data, message->size, &arena, &fault);
    struct request r = { .f = f, .peer = &message->peer, .message = message, .now_ms = now_ms, .arena = &arena };
    char text[128];

    if (!m) {
        guard_refused(f->guard, CONVERSATION_CLIENTS, message, REFUSAL_MALFORMED, fault.text, now_ms);
    } else {
        r.sequence = m->sequence;
        if (!asks_one_thing(m)) {
            reply_error(&r, SHOTLINE__FARM_ERROR_KIND__FARM_BAD_REQUEST, "several requests in one message");
        } else if (!heard || !guard_allows(f->guard, CONVERSATION_CLIENTS, message, verb_of(m), now_ms, &why)) {
            reply_error(&r, SHOTLINE__FARM_ERROR_KIND__FARM_FORBIDDEN, why);
        } else if (m->version != WIRE_VERSION) {
            snprintf(text, sizeof text, "this farm speaks version %u of the protocol, the client %" PRIu32,
                     WIRE_VERSION, m->version);
            reply_error(&r, SHOTLINE__FARM_ERROR_KIND__FARM_BAD_REQUEST, text);
        } else if (m->submit) {
            on_submit(&r, m->submit);
        } else if (m->plan) {
            on_plan(&r, m->plan);
        } else if (m->status) {
            on_status(&r, m->status);
        } else if (m->cancel) {
            on_cancel(&r, m->cancel);
        } else if (m->workers) {
            on_workers(&r);
        } else if (m->explain) {
            on_explain(&r, m->explain);
        } else if (m->log) {
            on_log(&r, m->log);
        } else if (m->verify) {
            on_verify(&r, m->verify);
        } else if (m->invite || m->join || m->revoke || m->keys) {
            on_keys(&r, m);
        } else if (m->drain) {
            on_drain(&r, m->drain);
        } else {
            reply_error(&r, SHOTLINE__FARM_ERROR_KIND__FARM_BAD_REQUEST, "an empty request");
        }
    }
    arena_free(&arena);
}

bool client_api_drain(struct farm *f, int most, int64_t now_ms)
{
    struct message message;

    for (int i = 0; i < most; i++) {
        if (!endpoint_receive(f->clients, &message))
            return false;
        on_message(f, &message, now_ms);
    }
    return true;
}

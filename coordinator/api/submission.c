#include "coordinator/api/submission.h"

#include "common/base/log.h"
#include "coordinator/api/guard.h"
#include "coordinator/core/lifecycle.h"
#include "coordinator/farm/intake.h"
#include "coordinator/farm/planner_thread.h"
#include "coordinator/farm/planning.h"
#include "coordinator/farm/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void reply_submitted(const struct request *r, struct campaign_id id)
{
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    Shotline__Submitted s = SHOTLINE__SUBMITTED__INIT;

    s.campaign = id.v;
    m.submitted = &s;
    request_reply(r, &m);
}

void submission_campaign(const struct request *r, const Shotline__SubmitRequest *s)
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
            request_fail(r, SHOTLINE__FARM_ERROR_KIND__FARM_FAILED, fault.text);
            return;
        }
    }
    if (known.v) { /* said before, and the answer was lost; or long ago, and its record is gone: not twice either way */
        reply_submitted(r, known);
        return;
    }
    if (ledger_live(&f->ledger) >= FARM_MAX_LIVE) {
        request_fail(r, SHOTLINE__FARM_ERROR_KIND__FARM_BUSY, "too many campaigns are under way");
        return;
    }
    c = intake_campaign(&(struct intake){ .grammar = f->grammar, .blobs = f->blobs, .manifests = f->blobs },
                        s->campaign, &fault);
    if (!c) {
        request_fail(r, SHOTLINE__FARM_ERROR_KIND__FARM_BAD_REQUEST, fault.text);
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
    request_reply(r, &m);
}

void submission_plan(const struct request *r, const Shotline__PlanRequest *p)
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
        request_fail(r, SHOTLINE__FARM_ERROR_KIND__FARM_BAD_REQUEST, fault.text);
        return;
    }
    const struct video *v = &c->videos[0];
    char *known = v->given_plan ? xstrdup(v->given_plan) : planning_find(f, v);
    if (known)
        reply_planned(r, known);
    else if (!wait || of_peer >= FARM_MAX_PLANS_OF_PEER)
        request_fail(r, SHOTLINE__FARM_ERROR_KIND__FARM_BUSY, "too many plans are waiting");
    else if (!f->planner)
        request_fail(r, SHOTLINE__FARM_ERROR_KIND__FARM_FAILED, "this farm has no planner");
    else
        *wait = (struct plan_wait){
            .job = planning_ask_for_client(f, v), .peer = *r->peer, .key = r->message->key, .sequence = r->sequence
        };
    free(known);
    campaign_free(&c);
}

void submission_planned(struct farm *f, const struct plan_answer *a)
{
    for (size_t i = 0; i < FARM_MAX_WAITING_PLANS; i++) {
        struct plan_wait *w = &f->plan_waits[i];
        const struct request r = { .f = f, .peer = &w->peer, .sequence = w->sequence };

        if (w->job != a->job)
            continue;
        if (a->plan)
            reply_planned(&r, a->plan);
        else
            request_fail(&r,
                         a->why.kind == ERROR_INPUT ? SHOTLINE__FARM_ERROR_KIND__FARM_BAD_REQUEST
                                                    : SHOTLINE__FARM_ERROR_KIND__FARM_FAILED,
                         a->why.text);
        w->job = 0;
    }
}

void submission_cancel(const struct request *r, const Shotline__CancelRequest *q)
{
    struct campaign *c = request_campaign(r, q->campaign, false);
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    Shotline__Cancelled done = SHOTLINE__CANCELLED__INIT;

    if (!c)
        return;
    if (guard_role(r->f->guard, &r->message->key) != ROLE_OPERATOR && !curve_equal(&c->owner, &r->message->key)) {
        guard_refused(r->f->guard, CONVERSATION_CLIENTS, r->message, REFUSAL_ROLE, "cancel", r->now_ms);
        request_fail(r, SHOTLINE__FARM_ERROR_KIND__FARM_FORBIDDEN,
                     "somebody else has submitted this campaign: only an operator can cancel it");
        return;
    }
    if (!work_ended(c->state)) { /* else there is nothing to cancel, which is no fault: it may be asked for twice */
        log_info("campaign.cancelled", "campaign=%" PRIu64, c->id.v);
        campaign_cancel(&r->f->ledger, c, r->f->wall_ms);
    }
    m.cancelled = &done;
    request_reply(r, &m);
}

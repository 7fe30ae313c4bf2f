#include "coordinator/farm/planning.h"

#include "common/base/log.h"
#include "common/nn/version.h"
#include "coordinator/core/compile.h"
#include "coordinator/core/lifecycle.h"
#include "coordinator/core/verify.h"
#include "coordinator/farm/intake.h"
#include "coordinator/farm/planner_thread.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ORDERS_AT_ONCE 4            /* of videos: a client that asks for a plan does not wait behind a whole campaign */
#define CLIENT_JOB     (1ull << 63) /* other jobs are ids of videos */

/* Names the question: who asks the same gets the same plan without the planner. */
static struct digest plan_key(const struct farm *f, const struct video *v)
{
    const struct campaign *c = v->campaign;
    struct hash h;

    hash_begin(&h);
    hash_text(&h, "shotline plan 2");
    hash_digest(&h, &f->ledger.keys.pack);
    hash_u64(&h, KERNEL_SET_VERSION);
    hash_text(&h, v->prompt);
    hash_u64(&h, v->duration_ms);
    hash_u64(&h, c->cast_count);
    for (uint32_t i = 0; i < c->cast_count; i++) {
        hash_text(&h, c->cast[i].id);
        hash_text(&h, c->cast[i].kind);
        hash_text(&h, c->cast[i].phrase);
    }
    return hash_end(&h);
}

char *planning_find(struct farm *f, const struct video *v)
{
    struct digest key = plan_key(f, v);

    return store_find_plan(f->store, &key);
}

static void ask(struct farm *f, const struct video *v, uint64_t job)
{
    planner_thread_ask(f->planner, &(struct plan_order){ .job = job,
                                                         .key = plan_key(f, v),
                                                         .prompt = v->prompt,
                                                         .duration_ms = v->duration_ms,
                                                         .given = intake_members(v->campaign),
                                                         .given_count = v->campaign->cast_count });
}

uint64_t planning_ask_for_client(struct farm *f, const struct video *v)
{
    uint64_t job = CLIENT_JOB | ++f->last_plan_job;

    ask(f, v, job);
    return job;
}

bool planning_compile(struct farm *f, struct video *v, struct error *err)
{
    struct plan plan = { 0 };

    if (v->campaign->verification)
        return verify_compile(v, v->plan_text, &f->ledger.keys, err);
    bool ok = plan_parse(&plan, v->plan_text, strlen(v->plan_text), f->grammar, v->duration_ms, err);

    if (ok) {
        v->plan_digest = plan_digest(&plan);
        ok = compile_video(v, &(struct compile_input){ .pack = &f->pack, .grammar = f->grammar, .plan = &plan }, err);
    }
    plan_free(&plan);
    return ok || error_wrap(err, "plan");
}

static void start(struct farm *f, struct video *v, char *plan)
{
    struct error fault;

    v->plan_text = plan;
    if (!planning_compile(f, v, &fault)) {
        log_warn("video.failed", "video=%" PRIu64 " reason=\"%s\"", v->id.v, fault.text);
        video_fail(&f->ledger, v, f->wall_ms, "%s", fault.text);
        return;
    }
    log_info("video.planned", "campaign=%" PRIu64 " video=%" PRIu64 " shots=%" PRIu32 " tasks=%" PRIu32,
             v->campaign->id.v, v->id.v, v->shot_count, v->task_count);
    video_start(&f->ledger, v);
}

/* False: the planner has enough to do for now. */
static bool plan_video(struct farm *f, struct video *v)
{
    if (v->state != WORK_PLANNING) /* planned before a restart, or cancelled */
        return true;
    char *plan = v->given_plan ? xstrdup(v->given_plan) : planning_find(f, v);
    if (plan) {
        start(f, v, plan);
    } else if (!f->planner) {
        video_fail(&f->ledger, v, f->wall_ms, "this farm has no planner");
    } else {
        if (f->plans_ordered >= ORDERS_AT_ONCE)
            return false;
        ask(f, v, v->id.v);
        f->plans_ordered++;
    }
    return true;
}

void planning_tick(struct farm *f)
{
    for (size_t i = 0; i < f->ledger.campaign_count; i++) {
        struct campaign *c = f->ledger.campaigns[i];

        while (!work_ended(c->state) && c->unplanned < c->video_count && plan_video(f, &c->videos[c->unplanned]))
            c->unplanned++;
    }
}

static struct video *video_of_job(struct farm *f, uint64_t job)
{
    for (size_t c = 0; c < f->ledger.campaign_count; c++)
        for (uint32_t i = 0; i < f->ledger.campaigns[c]->video_count; i++)
            if (f->ledger.campaigns[c]->videos[i].id.v == job)
                return &f->ledger.campaigns[c]->videos[i];
    return NULL;
}

static void take_for_video(struct farm *f, struct video *v, struct plan_answer *a)
{
    if (a->plan) {
        start(f, v, a->plan);
        a->plan = NULL;
    } else {
        video_fail(&f->ledger, v, f->wall_ms, "plan: %s", a->why.text);
    }
}

bool planning_drain(struct farm *f, planning_answered *for_client, struct error *err)
{
    struct plan_answer a;
    bool ok = true;

    while (ok && f->planner && planner_thread_take(f->planner, &a)) {
        struct video *v = a.job & CLIENT_JOB ? NULL : video_of_job(f, a.job);

        f->plans_ordered -= !(a.job & CLIENT_JOB);
        ok = !a.plan || store_put_plan(f->store, &a.key, a.plan, err);
        if (ok && a.job & CLIENT_JOB)
            for_client(f, &a);
        else if (ok && v && v->state == WORK_PLANNING) /* else it was cancelled meanwhile */
            take_for_video(f, v, &a);
        free(a.plan);
    }
    return ok;
}

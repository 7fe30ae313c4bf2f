#include "coordinator/core/attempts.h"

#include "coordinator/core/lifecycle.h"
#include "coordinator/core/verify.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void task_turn_lean(struct task *t)
{
    assert(t->state == TASK_READY && t->profile == PROFILE_USUAL);
    t->profile = PROFILE_LEAN;
}

static void note_ranges_at_once(struct ledger *l, const struct task *started)
{
    struct video *v = started->video;
    uint32_t at_once = 0;

    for (uint32_t i = 0; i < v->task_count; i++) {
        const struct task *t = &v->tasks[i];
        bool another = t->role == ROLE_RANGE && t->shot == started->shot && t->state == TASK_RUNNING;

        for (uint32_t k = 0; another && k < i; k++) /* a worker with two ranges counts once */
            another = !(v->tasks[k].role == ROLE_RANGE && v->tasks[k].shot == t->shot &&
                        v->tasks[k].state == TASK_RUNNING && v->tasks[k].worker.v == t->worker.v);
        at_once += another;
    }
    if (at_once > v->campaign->ranges_at_once) {
        v->campaign->ranges_at_once = at_once;
        ledger_touch_campaign(l, v->campaign);
    }
}

void task_lease(struct ledger *l, struct task *t, struct worker_id worker, int64_t now_ms, int64_t lease_ms)
{
    assert(t->state == TASK_READY);
    t->attempt.v++;
    t->worker = worker;
    t->lease_until_ms = now_ms + lease_ms;
    t->dispatched_ms = now_ms;
    t->seen = false;
    t->attempt_over = false;
    t->step = t->step_count = 0;
    t->resumed_step = t->checkpoint_step;
    task_run(l, t);
    if (t->role == ROLE_RANGE)
        note_ranges_at_once(l, t);
}

bool task_renew(struct task *t, struct worker_id worker, struct attempt a, int64_t now_ms, int64_t lease_ms)
{
    if (t->state != TASK_RUNNING || t->attempt.v != a.v || t->worker.v != worker.v)
        return false;
    t->lease_until_ms = now_ms + lease_ms;
    t->seen = true;
    return true;
}

bool task_readopt(struct ledger *l, struct task *t, struct worker_id worker, struct attempt a, int64_t now_ms,
                  int64_t lease_ms)
{
    if (t->state != TASK_READY || t->attempt.v != a.v || t->worker.v != worker.v || !a.v || t->attempt_over ||
        task_failed_on(t, worker))
        return false;
    for (struct task *twin = ledger_twin(l, &t->key, NULL); twin; twin = ledger_twin(l, &t->key, twin))
        if (twin->state == TASK_RUNNING)
            return false;
    t->lease_until_ms = now_ms + lease_ms;
    t->seen = true;
    if (t->losses) /* it was not lost after all */
        t->losses--;
    task_run(l, t);
    return true;
}

bool task_lease_over(const struct task *t, int64_t now_ms)
{
    return t->state == TASK_RUNNING && now_ms >= t->lease_until_ms;
}

enum report task_judge(const struct task *t, struct worker_id worker, struct attempt a, enum claim claim)
{
    bool its_own = t->worker.v == worker.v || claim == CLAIM_HEIR;

    if (!a.v || a.v > t->attempt.v)
        return REPORT_SUPERSEDED; /* never given out */
    if (t->state == TASK_DONE)
        return !t->cached && its_own && t->committed.v == a.v ? REPORT_REPEATED : REPORT_SUPERSEDED;
    if (its_own && t->attempt.v == a.v && (t->state == TASK_RUNNING || t->state == TASK_READY))
        return REPORT_CURRENT;
    return t->state == TASK_READY && claim ? REPORT_BY_KEY : REPORT_SUPERSEDED;
}

enum report task_judge_failure(const struct task *t, struct worker_id worker, struct attempt a)
{
    if (!a.v || t->attempt.v != a.v || t->worker.v != worker.v ||
        (t->state != TASK_RUNNING && t->state != TASK_READY && t->state != TASK_FAILED))
        return REPORT_SUPERSEDED;
    return t->attempt_over || t->state == TASK_FAILED ? REPORT_REPEATED : REPORT_CURRENT;
}

/* Latent frames of a range that its left neighbour denoises as well: what overlap costs. */
static int overlapped_frames(const struct task *t)
{
    const struct video *v = t->video;
    int end = 0;

    for (uint32_t i = 0; i < t->position; i++) {
        const struct task *o = &v->tasks[i];

        if (o->role == ROLE_RANGE && o->shot == t->shot && o->take == t->take &&
            o->denoise.window_first + o->denoise.window_count > end)
            end = o->denoise.window_first + o->denoise.window_count;
    }
    return end > t->denoise.window_first ? end - t->denoise.window_first : 0;
}

void task_done(struct ledger *l, struct task *t, struct worker_id worker, struct attempt a,
               const struct task_output *outputs, uint32_t count, int64_t busy_ms)
{
    struct campaign *c = t->video->campaign;

    assert(count <= TASK_MAX_OUTPUTS && a.v <= t->attempt.v);
    t->cached = false;
    t->worker = worker;
    t->committed = a;
    t->busy_ms = busy_ms;
    c->busy_ms += busy_ms;
    if (t->role == ROLE_RANGE)
        c->overlap_ms += busy_ms * overlapped_frames(t) / t->denoise.window_count;
    ledger_touch_campaign(l, c);
    if (t->expected) { /* whoever needs it goes on with what the manifest says */
        verify_judge(t, outputs, count);
        task_accept(l, t, t->expected, t->expected_count);
        return;
    }
    task_accept(l, t, outputs, count);
    task_answer_twins(l, t);
}

void task_lost(struct ledger *l, struct task *t, int64_t wall_ms)
{
    char why[96];

    assert(t->state == TASK_RUNNING);
    t->losses++;
    if (t->losses <= TASK_MAX_LOSSES) {
        task_again(l, t);
        return;
    }
    if (t->furthest_step)
        snprintf(why, sizeof why, "%" PRIu32 " workers were lost in a row, and none came further than step %" PRIu32,
                 t->losses, t->furthest_step);
    else
        snprintf(why, sizeof why, "%" PRIu32 " workers were lost while they ran it", t->losses);
    task_fail(l, t, wall_ms, REASON_LOST, why);
}

void task_timed_out(struct ledger *l, struct task *t, const char *reason, int64_t wall_ms)
{
    assert(t->state == TASK_RUNNING);
    t->attempt_over = true;
    t->avoid = t->worker;
    t->timeouts++;
    free(t->trouble);
    t->trouble = xstrdup(reason);
    if (t->timeouts <= TASK_MAX_TIMEOUTS)
        task_again(l, t);
    else
        task_fail(l, t, wall_ms, REASON_TIMED_OUT, task_reason_name(REASON_TIMED_OUT));
}

bool task_checkpoint(struct ledger *l, struct task *t, struct worker_id worker, struct attempt a, uint32_t step,
                     const struct blob_ref *state)
{
    const struct denoise_params *p = &t->denoise;

    if (t->state != TASK_RUNNING || t->attempt.v != a.v || t->worker.v != worker.v || t->kind != TASK_DENOISE ||
        step <= t->checkpoint_step || (int64_t)step <= p->step_from || (int64_t)step >= p->step_to)
        return false;
    if (t->checkpoint_step && !digest_equal(&t->checkpoint.digest, &state->digest))
        ledger_drop_blob(l, &t->checkpoint.digest);
    t->checkpoint = *state;
    t->checkpoint_step = step;
    if (step > t->furthest_step) {
        t->furthest_step = step;
        t->losses = 0;
    }
    ledger_touch_task(l, t);
    return true;
}

bool task_failed_on(const struct task *t, struct worker_id worker)
{
    for (uint32_t i = 0; i < t->failed_count; i++)
        if (t->failed_on[i].v == worker.v)
            return true;
    return false;
}

static void note_failed_on(struct task *t, struct worker_id worker)
{
    if (!task_failed_on(t, worker) && t->failed_count < TASK_MAX_FAILED_ON)
        t->failed_on[t->failed_count++] = worker;
}

/* Out of memory. First the lean profile, there or elsewhere; then ever larger devices, which ends when nobody has one
 * (task_unplaceable). A profile is never tried again on a device no larger than one where it failed. */
static void task_short_of_memory(struct task *t, const struct task_failure *f)
{
    char where[64];

    snprintf(where, sizeof where, "%s profile, device of %" PRId64 " MiB: ", profile_name(t->profile),
             f->device_bytes >> 20);
    t->trouble = xmalloc(strlen(where) + strlen(f->reason) + 1);
    strcpy(t->trouble, where);
    strcat(t->trouble, f->reason);
    if (t->profile == PROFILE_USUAL) {
        t->profile = PROFILE_LEAN;
        return;
    }
    if (f->device_bytes > t->too_small_bytes)
        t->too_small_bytes = f->device_bytes;
    note_failed_on(t, f->worker);
}

void task_failed(struct ledger *l, struct task *t, const struct task_failure *f, int64_t wall_ms)
{
    uint32_t able = f->able_workers ? f->able_workers : 1, most = f->failure == FAILURE_INPUT ? 2 : 3;
    uint32_t limit = able < most ? able : most;
    char why[96];

    assert(t->state == TASK_RUNNING || t->state == TASK_READY);
    t->attempt_over = true;
    if (f->failure == FAILURE_CANCELLED) { /* the worker was told to leave: nobody's fault */
        if (t->state == TASK_RUNNING)
            task_again(l, t);
        return;
    }
    free(t->trouble);
    t->trouble = NULL;
    if (f->failure == FAILURE_INPUT && t->checkpoint_step) { /* perhaps only of the saved state: from the beginning */
        task_forget_checkpoint(l, t);
        if (t->resumed_step) {
            t->trouble = xstrdup(f->reason);
            task_again(l, t);
            return;
        }
    }
    if (f->failure == FAILURE_MEMORY) {
        task_short_of_memory(t, f);
    } else {
        t->trouble = xstrdup(f->reason);
        t->errors++;
        note_failed_on(t, f->worker);
    }
    if (t->errors >= limit || t->failed_count == TASK_MAX_FAILED_ON) {
        if (f->failure == FAILURE_INPUT) {
            task_fail(l, t, wall_ms, REASON_BAD_INPUT, task_reason_name(REASON_BAD_INPUT));
            return;
        }
        snprintf(why, sizeof why, "failed on %" PRIu32 " worker%s", t->failed_count, t->failed_count == 1 ? "" : "s");
        task_fail(l, t, wall_ms, f->failure == FAILURE_MEMORY ? REASON_NO_MEMORY : REASON_FAILED_EVERYWHERE, why);
        return;
    }
    task_again(l, t);
}

void task_unplaceable(struct ledger *l, struct task *t, int64_t wall_ms)
{
    assert(t->state == TASK_READY && t->failed_count);
    if (t->too_small_bytes)
        task_fail(l, t, wall_ms, REASON_NO_MEMORY, task_reason_name(REASON_NO_MEMORY));
    else
        task_fail(l, t, wall_ms, REASON_FAILED_EVERYWHERE, "failed on every worker");
}

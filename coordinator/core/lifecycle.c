#include "coordinator/core/lifecycle.h"

#include "coordinator/core/takes.h"
#include "coordinator/core/verify.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- campaigns and videos ---- */

static void campaign_update(struct ledger *l, struct campaign *c, int64_t wall_ms)
{
    bool all_ended = true, any_failed = false, any_cancelled = false, any_running = false, any_waiting = false;

    for (uint32_t i = 0; i < c->video_count; i++) {
        enum work_state s = c->videos[i].state;

        all_ended = all_ended && work_ended(s);
        any_failed = any_failed || s == WORK_FAILED;
        any_cancelled = any_cancelled || s == WORK_CANCELLED;
        any_running = any_running || s == WORK_RUNNING || s == WORK_DONE;
        any_waiting = any_waiting || s == WORK_WAITING;
    }
    enum work_state next = all_ended     ? (any_failed      ? WORK_FAILED
                                            : any_cancelled ? WORK_CANCELLED
                                                            : WORK_DONE)
                           : any_running ? WORK_RUNNING
                           : any_waiting ? WORK_WAITING
                                         : WORK_PLANNING;
    if (next == c->state)
        return;
    c->state = next;
    if (all_ended) {
        c->ended_ms = wall_ms;
        c->figures = campaign_figures(c);
        l->ended_tasks += c->figures.tasks;
        c->used = ++l->uses;
    }
    ledger_touch_campaign(l, c);
}

static void video_set_state(struct ledger *l, struct video *v, enum work_state s, int64_t wall_ms)
{
    if (v->state == s)
        return;
    v->state = s;
    ledger_touch_video(l, v);
    campaign_update(l, v->campaign, wall_ms);
}

static void stop_attempt(struct ledger *l, const struct task *t)
{
    if (l->stopped_count == l->stopped_room) {
        l->stopped_room = l->stopped_room ? l->stopped_room * 2 : 16;
        l->stopped = xrealloc(l->stopped, l->stopped_room * sizeof *l->stopped);
    }
    l->stopped[l->stopped_count++] =
        (struct stopped_attempt){ .task = t->id, .attempt = t->attempt, .worker = t->worker };
}

/* A ready task enters its campaign's queue, unless a twin is queued or running: that one's result will answer it too.
 */
static void enqueue(struct task *t, struct ledger *l)
{
    /* What is verified is made again, whoever else makes it. */
    for (struct task *twin = ledger_twin(l, &t->key, NULL); twin && !t->expected; twin = ledger_twin(l, &t->key, twin))
        if (twin != t && (twin->state == TASK_RUNNING || twin->queue_place))
            return;
    queue_push(t);
}

/* `t` no longer speaks for its key: let a parked twin come forward. */
static void release_twins(struct ledger *l, const struct task *t)
{
    for (struct task *twin = ledger_twin(l, &t->key, NULL); twin; twin = ledger_twin(l, &t->key, twin))
        if (twin != t && twin->state == TASK_READY) {
            enqueue(twin, l);
            return;
        }
}

static void task_set_state(struct ledger *l, struct task *t, enum task_state s)
{
    struct campaign *c = t->video->campaign;

    if (t->state == TASK_RUNNING)
        c->running--;
    if (s == TASK_RUNNING)
        c->running++;
    if (t->state == TASK_DONE && s != TASK_DONE)
        t->video->tasks_open++;
    if (s == TASK_DONE && t->state != TASK_DONE && !--t->video->tasks_open)
        ledger_list_complete(l, t->video);
    if (s != TASK_READY)
        queue_remove(t);
    if (task_ended(s) && t->checkpoint_step)
        task_forget_checkpoint(l, t);
    t->state = s;
    ledger_touch_task(l, t);
}

/* Ends a video with its unfinished tasks. */
static void video_end(struct ledger *l, struct video *v, enum work_state state, int64_t wall_ms)
{
    for (uint32_t i = 0; i < v->task_count; i++) {
        struct task *t = &v->tasks[i];

        if (task_ended(t->state))
            continue;
        bool spoke = t->state == TASK_RUNNING || t->queue_place;
        if (t->state == TASK_RUNNING)
            stop_attempt(l, t);
        task_set_state(l, t, TASK_CANCELLED);
        if (spoke)
            release_twins(l, t);
    }
    video_set_state(l, v, state, wall_ms);
}

void video_fail(struct ledger *l, struct video *v, int64_t wall_ms, const char *fmt, ...)
{
    va_list ap;

    if (work_ended(v->state))
        return;
    va_start(ap, fmt);
    vsnprintf(v->reason, sizeof v->reason, fmt, ap);
    va_end(ap);
    video_end(l, v, WORK_FAILED, wall_ms);
}

bool video_is_complete(const struct video *v)
{
    return v->task_count && !v->tasks_open && !work_ended(v->state);
}

void video_finish(struct ledger *l, struct video *v, const struct blob_ref *manifest, int64_t wall_ms)
{
    assert(video_is_complete(v));
    v->manifest = *manifest;
    v->file = *task_find_output(&v->tasks[v->stitch], OUTPUT_VIDEO);
    video_set_state(l, v, WORK_DONE, wall_ms);
}

void campaign_cancel(struct ledger *l, struct campaign *c, int64_t wall_ms)
{
    for (uint32_t i = 0; i < c->video_count; i++)
        if (!work_ended(c->videos[i].state))
            video_end(l, &c->videos[i], WORK_CANCELLED, wall_ms);
}

/* ---- tasks ---- */

static void task_inputs_known(struct ledger *l, struct task *t);

/* A shot shows one take: the stitch never sees the results of the others, nor any before it was judged. */
static bool is_shown(const struct task *t)
{
    return t->kind != TASK_DECODE || t->expected || t->video->shots[t->shot - 1].settled == t->position + 1;
}

/* Gives the results of a task that is done to those who wait for them. */
static void task_feed(struct ledger *l, struct task *t)
{
    struct video *v = t->video;

    for (uint32_t i = 0; i < t->dependent_count; i++) {
        struct task *d = &v->tasks[t->dependents[i]];

        for (uint32_t k = 0; k < d->input_count; k++) {
            struct task_input *in = &d->inputs[k];

            if (!in->output || in->from != t->position || in->known)
                continue;
            in->blob = *task_find_output(t, in->output);
            in->known = true;
            d->inputs_missing--;
        }
        if (!d->inputs_missing && d->state == TASK_WAITING)
            task_inputs_known(l, d);
    }
}

static void task_accept(struct ledger *l, struct task *t, const struct task_output *outputs, uint32_t count)
{
    struct video *v = t->video;

    memcpy(t->outputs, outputs, count * sizeof *outputs);
    t->output_count = count;
    task_set_state(l, t, TASK_DONE);
    if (v->state == WORK_WAITING)
        video_set_state(l, v, WORK_RUNNING, 0);
    if (is_shown(t))
        task_feed(l, t);
    else if (!t->verdict && !t->expected)
        ledger_await_verdict(l, t);
}

/* Who made it first, as far as this farm remembers. */
static void find_maker(const struct ledger *l, struct task *t)
{
    for (struct task *twin = ledger_twin(l, &t->key, NULL); twin; twin = ledger_twin(l, &t->key, twin))
        if (twin->state == TASK_DONE && !twin->cached)
            t->made_by = t->avoid = twin->worker;
}

/* A task of a verification never speaks for its key: it takes no result from elsewhere and gives none. */
static void name_task(struct ledger *l, struct task *t)
{
    t->key = task_key(t, &l->keys);
    if (t->expected)
        find_maker(l, t);
    else
        ledger_add_key(l, t);
}

static void task_inputs_known(struct ledger *l, struct task *t)
{
    struct task_output outputs[TASK_MAX_OUTPUTS];

    name_task(l, t);
    uint32_t count = l->find_result && !t->expected ? l->find_result(l->context, &t->key, outputs) : 0;
    for (uint32_t n = OUTPUT_EMBEDDING; count && n <= OUTPUT_VIDEO; n++) {
        bool there = false;

        for (uint32_t i = 0; i < count; i++)
            there = there || outputs[i].name == n;
        if (!there && output_required(t->kind, t->role, (enum output_name)n))
            count = 0;
    }
    if (count) {
        t->cached = true;
        task_accept(l, t, outputs, count);
        return;
    }
    task_set_state(l, t, TASK_READY);
    enqueue(t, l);
}

/* `t` runs already: twins that were queued before it was known wait for its result. */
static void park_twins(struct ledger *l, const struct task *t)
{
    for (struct task *twin = ledger_twin(l, &t->key, NULL); twin; twin = ledger_twin(l, &t->key, twin))
        if (twin != t)
            queue_remove(twin);
}

void video_start(struct ledger *l, struct video *v)
{
    ledger_add_tasks(l, v);
    v->graph_dirty = true;
    v->tasks_open = 0;
    for (uint32_t i = 0; i < v->task_count; i++) {
        v->tasks_open += v->tasks[i].state != TASK_DONE; /* a verification may begin with some */
        ledger_touch_task(l, &v->tasks[i]);
    }
    ledger_touch_video(l, v);
    video_set_state(l, v, WORK_WAITING, 0);
    for (uint32_t i = 0; i < v->task_count; i++)
        if (v->tasks[i].state == TASK_WAITING && !v->tasks[i].inputs_missing)
            task_inputs_known(l, &v->tasks[i]);
}

/* Inputs whose makers are done. */
static void take_known_inputs(struct task *t)
{
    for (uint32_t k = 0; k < t->input_count; k++) {
        struct task_input *in = &t->inputs[k];
        const struct task *from = in->output ? &t->video->tasks[in->from] : NULL;

        if (!from || in->known || from->state != TASK_DONE || !is_shown(from))
            continue;
        in->blob = *task_find_output(from, in->output);
        in->known = true;
        t->inputs_missing--;
    }
}

void video_extend(struct ledger *l, struct video *v, uint32_t first)
{
    ledger_add_tasks(l, v);
    v->tasks_open += v->task_count - first;
    ledger_touch_video(l, v); /* with it the counter of task ids */
    for (uint32_t i = first; i < v->task_count; i++) {
        struct task *t = &v->tasks[i];

        ledger_touch_task(l, t);
        take_known_inputs(t);
        if (t->state == TASK_WAITING && !t->inputs_missing)
            task_inputs_known(l, t);
    }
}

void shot_settle(struct ledger *l, struct task *decode)
{
    struct video *v = decode->video;
    struct task *stitch = &v->tasks[v->stitch];

    assert(decode->kind == TASK_DECODE && decode->state == TASK_DONE && !v->shots[decode->shot - 1].settled);
    v->shots[decode->shot - 1].settled = decode->position + 1;
    for (uint32_t k = 0; k < stitch->input_count; k++)
        if (v->tasks[stitch->inputs[k].from].shot == decode->shot)
            stitch->inputs[k].from = decode->position;
    task_feed(l, decode);
}

void video_resume(struct ledger *l, struct video *v, int64_t now_ms, int64_t lease_ms)
{
    ledger_add_tasks(l, v);
    v->tasks_open = 0;
    for (uint32_t i = 0; i < v->task_count; i++) {
        v->tasks_open += v->tasks[i].state != TASK_DONE;
        v->campaign->running += v->tasks[i].state == TASK_RUNNING;
    }
    /* Tasks stand in topological order: what an input needs was seen before. */
    for (uint32_t i = 0; i < v->task_count; i++) {
        struct task *t = &v->tasks[i];

        take_known_inputs(t);
        if (!t->inputs_missing) {
            name_task(l, t);
        } else if (t->state == TASK_DONE) { /* though what it was made of is made again: its key is the stored one */
            if (!t->expected)
                ledger_add_key(l, t);
        } else {
            /* Its maker must run again: blobs were lost while we were away. A running attempt is of no use then. */
            if (t->state == TASK_READY || t->state == TASK_RUNNING)
                task_set_state(l, t, TASK_WAITING);
            continue;
        }
        if (work_ended(v->state))
            continue;
        switch (t->state) {
        case TASK_WAITING:
            task_inputs_known(l, t);
            break;
        case TASK_READY:
            enqueue(t, l);
            break;
        case TASK_RUNNING: /* one fresh lease: its worker may still be at it */
            t->lease_until_ms = now_ms + lease_ms;
            t->dispatched_ms = t->stepped_ms = t->first_step_ms = now_ms;
            park_twins(l, t);
            break;
        case TASK_DONE:
            if (t->kind == TASK_DECODE && !t->verdict && !t->expected)
                ledger_await_verdict(l, t);
            break;
        default:
            break;
        }
    }
    if (video_is_complete(v)) /* all but its manifest was there */
        ledger_list_complete(l, v);
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

void task_turn_lean(struct task *t)
{
    assert(t->state == TASK_READY && t->profile == PROFILE_USUAL);
    t->profile = PROFILE_LEAN;
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
    task_set_state(l, t, TASK_RUNNING);
    if (t->video->state == WORK_WAITING)
        video_set_state(l, t->video, WORK_RUNNING, 0);
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
    task_set_state(l, t, TASK_RUNNING);
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

    /* Same key, same bytes: whoever waited for this work has it now. */
    for (struct task *twin = ledger_twin(l, &t->key, NULL); twin; twin = ledger_twin(l, &t->key, twin)) {
        if (twin == t || (twin->state != TASK_READY && twin->state != TASK_RUNNING))
            continue;
        if (twin->state == TASK_RUNNING) /* begun while this one was given up for lost */
            stop_attempt(l, twin);
        twin->cached = true;
        task_accept(l, twin, outputs, count);
    }
}

static void task_describe(const struct task *t, char *to, size_t room)
{
    int n = snprintf(to, room, "%s", task_kind_name(t->kind));

    if (t->shot)
        n += snprintf(to + n, room - (size_t)n, " of shot %" PRIu32, t->shot);
    if (t->take)
        n += snprintf(to + n, room - (size_t)n, ", take %" PRIu32, t->take + 1);
    if (t->role == ROLE_RANGE)
        snprintf(to + n, room - (size_t)n, ", latent frames %d to %d", t->denoise.window_first,
                 t->denoise.window_first + t->denoise.window_count - 1);
}

static void task_fail_video(struct ledger *l, struct task *t, int64_t wall_ms, enum task_reason reason, const char *why)
{
    char what[96];

    task_describe(t, what, sizeof what);
    bool spoke = t->state == TASK_RUNNING || t->queue_place;
    t->reason = reason;
    task_set_state(l, t, TASK_FAILED);
    if (spoke)
        release_twins(l, t);
    video_fail(l, t->video, wall_ms, "task %" PRIu64 " (%s): %s%s%s", t->id.v, what, why, t->trouble ? ": " : "",
               t->trouble ? t->trouble : "");
}

static void task_again(struct ledger *l, struct task *t)
{
    task_set_state(l, t, TASK_READY);
    enqueue(t, l);
}

void task_lost(struct ledger *l, struct task *t, int64_t wall_ms)
{
    char why[64];

    assert(t->state == TASK_RUNNING);
    t->losses++;
    if (t->losses <= TASK_MAX_LOSSES) {
        task_again(l, t);
        return;
    }
    snprintf(why, sizeof why, "%" PRIu32 " workers were lost while they ran it", t->losses);
    task_fail_video(l, t, wall_ms, REASON_LOST, why);
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
        task_fail_video(l, t, wall_ms, REASON_TIMED_OUT, task_reason_name(REASON_TIMED_OUT));
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
    ledger_touch_task(l, t);
    return true;
}

void task_forget_checkpoint(struct ledger *l, struct task *t)
{
    ledger_drop_blob(l, &t->checkpoint.digest);
    t->checkpoint = (struct blob_ref){ 0 };
    t->checkpoint_step = 0;
    ledger_touch_task(l, t);
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
            task_fail_video(l, t, wall_ms, REASON_BAD_INPUT, task_reason_name(REASON_BAD_INPUT));
            return;
        }
        snprintf(why, sizeof why, "failed on %" PRIu32 " worker%s", t->failed_count, t->failed_count == 1 ? "" : "s");
        task_fail_video(l, t, wall_ms, f->failure == FAILURE_MEMORY ? REASON_NO_MEMORY : REASON_FAILED_EVERYWHERE, why);
        return;
    }
    task_again(l, t);
}

void task_unplaceable(struct ledger *l, struct task *t, int64_t wall_ms)
{
    assert(t->state == TASK_READY && t->failed_count);
    if (t->too_small_bytes)
        task_fail_video(l, t, wall_ms, REASON_NO_MEMORY, task_reason_name(REASON_NO_MEMORY));
    else
        task_fail_video(l, t, wall_ms, REASON_FAILED_EVERYWHERE, "failed on every worker");
}

void task_redo(struct ledger *l, struct task *t)
{
    assert(t->state == TASK_DONE);
    t->output_count = 0;
    t->cached = false;
    if (t->inputs_missing) /* what it is made of is under way again, too */
        task_set_state(l, t, TASK_WAITING);
    else
        task_again(l, t);
}

void task_input_gone(struct ledger *l, struct task *t, uint32_t input, int64_t wall_ms)
{
    struct task_input *in = &t->inputs[input];

    assert(t->state == TASK_READY);
    if (!in->output) {
        task_fail_video(l, t, wall_ms, REASON_INPUT_GONE,
                        in->slot == INPUT_IMAGE ? "the reference image is no longer stored"
                                                : "an input is no longer stored");
        return;
    }
    struct task *from = &t->video->tasks[in->from];
    if (from->expected && from->state == TASK_DONE && from->trouble) {
        task_fail_video(l, t, wall_ms, REASON_INPUT_GONE,
                        "its input was made differently, and what the manifest names is not stored");
        return;
    }
    for (uint32_t k = 0; k < t->input_count; k++) /* several inputs may come from the same task */
        if (t->inputs[k].output && t->inputs[k].from == in->from && t->inputs[k].known) {
            t->inputs[k].known = false;
            t->inputs_missing++;
        }
    bool spoke = t->queue_place;
    task_set_state(l, t, TASK_WAITING);
    if (spoke)
        release_twins(l, t);
    if (from->state == TASK_DONE)
        task_redo(l, from);
}

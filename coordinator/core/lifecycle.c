#include "coordinator/core/lifecycle.h"

#include "coordinator/core/figures.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
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
        c->figures = figures_of(c);
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

void task_forget_checkpoint(struct ledger *l, struct task *t)
{
    ledger_drop_blob(l, &t->checkpoint.digest);
    t->checkpoint = (struct blob_ref){ 0 };
    t->checkpoint_step = 0;
    ledger_touch_task(l, t);
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
    bool shown = true;

    for (uint32_t i = 0; i < v->shot_count; i++)
        shown = shown && v->shots[i].settled;
    return v->task_count && !v->tasks_open && shown && !work_ended(v->state);
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

void task_accept(struct ledger *l, struct task *t, const struct task_output *outputs, uint32_t count)
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

void task_answer_twins(struct ledger *l, const struct task *t)
{
    for (struct task *twin = ledger_twin(l, &t->key, NULL); twin; twin = ledger_twin(l, &t->key, twin)) {
        if (twin == t || (twin->state != TASK_READY && twin->state != TASK_RUNNING))
            continue;
        if (twin->state == TASK_RUNNING) /* begun while this one was given up for lost */
            stop_attempt(l, twin);
        twin->cached = true;
        task_accept(l, twin, t->outputs, t->output_count);
    }
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
    const struct digest key = task_key(t, &l->keys);

    if (!t->expected) {
        ledger_set_key(l, t, &key);
        return;
    }
    t->key = key;
    find_maker(l, t);
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

void task_run(struct ledger *l, struct task *t)
{
    assert(t->state == TASK_READY);
    task_set_state(l, t, TASK_RUNNING);
    if (t->video->state == WORK_WAITING)
        video_set_state(l, t->video, WORK_RUNNING, 0);
}

void task_again(struct ledger *l, struct task *t)
{
    task_set_state(l, t, TASK_READY);
    enqueue(t, l);
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

void task_fail(struct ledger *l, struct task *t, int64_t wall_ms, enum task_reason reason, const char *why)
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
        task_fail(l, t, wall_ms, REASON_INPUT_GONE,
                  in->slot == INPUT_IMAGE ? "the reference image is no longer stored" : "an input is no longer stored");
        return;
    }
    struct task *from = &t->video->tasks[in->from];
    if (from->expected && from->state == TASK_DONE && from->trouble) {
        task_fail(l, t, wall_ms, REASON_INPUT_GONE,
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

/* ---- the graph of a video ---- */

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
                ledger_set_key(l, t, &t->key);
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
    if (v->task_count && !v->tasks_open && !work_ended(v->state)) /* all was there but its manifest, or a verdict */
        ledger_list_complete(l, v);
}

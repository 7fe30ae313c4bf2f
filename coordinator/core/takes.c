#include "coordinator/core/takes.h"

#include "coordinator/core/lifecycle.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_dependent(struct video *v, struct task *maker, uint32_t position)
{
    if (maker->dependent_count && maker->dependents[maker->dependent_count - 1] == position)
        return;
    uint32_t *more = arena_array(&v->arena, uint32_t, maker->dependent_count + 1);
    for (uint32_t i = 0; i < maker->dependent_count; i++)
        more[i] = maker->dependents[i];
    more[maker->dependent_count++] = position;
    maker->dependents = more;
}

/* The task again, `shift` positions later, with its inputs unknown. */
static void copy_task(struct video *v, const struct shot *s, const struct task *from, uint32_t shift)
{
    const uint32_t first = s->decodes[0] + 1 - s->size;
    struct task *t = &v->tasks[v->task_count++];

    *t = (struct task){ .video = v,
                        .position = from->position + shift,
                        .kind = from->kind,
                        .role = from->role,
                        .shot = from->shot,
                        .take = s->takes,
                        .work = from->work,
                        .rank = from->rank,
                        .state = TASK_WAITING,
                        .input_count = from->input_count };
    assert(t == &v->tasks[t->position]);
    if (t->kind == TASK_DENOISE) {
        t->denoise = from->denoise;
        t->denoise.take = s->takes;
    } else {
        t->decode = from->decode;
    }
    t->inputs = arena_copy(&v->arena, from->inputs, from->input_count * sizeof *from->inputs);
    for (uint32_t k = 0; k < t->input_count; k++) {
        struct task_input *in = &t->inputs[k];

        if (!in->output)
            continue;
        if (in->from >= first)
            in->from += shift;
        in->known = false;
        t->inputs_missing++;
        add_dependent(v, &v->tasks[in->from], t->position);
    }
}

uint32_t takes_add(struct video *v, struct shot *s)
{
    const uint32_t start = v->task_count, first = s->decodes[0] + 1 - s->size;

    assert(s->takes < TAKES_MOST && start + s->size <= v->task_room);
    for (uint32_t i = 0; i < s->size; i++)
        copy_task(v, s, &v->tasks[first + i], start - first);
    s->decodes[s->takes++] = v->task_count - 1;
    add_dependent(v, &v->tasks[v->task_count - 1], v->stitch);
    return start;
}

/* The decode of a shot's newest take. */
static struct task *newest_of(const struct video *v, const struct shot *s)
{
    return &v->tasks[s->decodes[s->takes - 1]];
}

const struct task *takes_best(const struct video *v, const struct shot *s)
{
    const struct task *best = NULL;

    if (s->settled)
        return &v->tasks[s->settled - 1];
    for (uint32_t i = 0; i < s->takes; i++) {
        const struct task *t = &v->tasks[s->decodes[i]];

        if (t->verdict && (!best || verdict_better(t->verdict, best->verdict)))
            best = t;
    }
    return best;
}

void takes_describe(const struct task *best, char *to, size_t room)
{
    const struct shot *s = &best->video->shots[best->shot - 1];
    int n = snprintf(to, room, "shot %" PRIu32 ": ", s->number);

    if (s->takes == 1)
        n += snprintf(to + n, room - (size_t)n, "its only take did not pass: ");
    else
        n += snprintf(to + n, room - (size_t)n, "none of %" PRIu32 " takes passed; the best, take %" PRIu32 ": ",
                      s->takes, best->take + 1);
    verdict_text(best->verdict, to + n, room - (size_t)n);
}

void takes_judged(struct ledger *l, struct task *decode, const struct gate_verdict *verdict, int64_t wall_ms)
{
    struct video *v = decode->video;
    struct shot *s = &v->shots[decode->shot - 1];

    assert(decode->kind == TASK_DECODE && decode->state == TASK_DONE && !decode->verdict && !work_ended(v->state));
    decode->verdict = xmalloc(sizeof *verdict);
    *decode->verdict = *verdict;
    ledger_touch_task(l, decode);
    if (verdict_passed(verdict)) {
        shot_settle(l, decode);
    } else if (s->takes < v->campaign->takes) {
        video_extend(l, v, takes_add(v, s));
    } else if (v->campaign->on_gate_failure == GATE_KEEP) {
        shot_settle(l, &v->tasks[takes_best(v, s)->position]);
    } else {
        char why[400];

        takes_describe(takes_best(v, s), why, sizeof why);
        video_fail(l, v, wall_ms, "%s", why);
    }
}

void takes_restore(struct video *v)
{
    struct task *stitch = &v->tasks[v->stitch];

    for (uint32_t i = 0; i < v->shot_count; i++) {
        struct shot *s = &v->shots[i];
        const struct task *newest = newest_of(v, s);

        if (!newest->verdict)
            continue;
        if (!verdict_passed(newest->verdict) &&
            (s->takes < v->campaign->takes || v->campaign->on_gate_failure != GATE_KEEP))
            continue;
        const uint32_t shown = takes_best(v, s)->position;
        for (uint32_t k = 0; k < stitch->input_count; k++)
            if (v->tasks[stitch->inputs[k].from].shot == s->number)
                stitch->inputs[k].from = shown;
        s->settled = shown + 1;
    }
}

const struct shot *takes_unsettled(const struct video *v)
{
    for (uint32_t i = 0; i < v->shot_count; i++)
        if (!v->shots[i].settled && newest_of(v, &v->shots[i])->verdict)
            return &v->shots[i];
    return NULL;
}

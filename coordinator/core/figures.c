#include "coordinator/core/figures.h"

#include "coordinator/core/gates.h"

static void add_shot(struct campaign_figures *to, const struct video *v, const struct shot *s)
{
    const struct task *first = &v->tasks[s->decodes[0]], *newest = &v->tasks[s->decodes[s->takes - 1]];
    const bool over = s->settled || (newest->verdict && work_ended(v->state));

    to->shots_judged += first->verdict != NULL;
    to->shots_first_try += first->verdict && verdict_passed(first->verdict);
    to->shots_settled += over;
    to->shots_passed += over && verdict_passed(newest->verdict);
}

static void add_task(struct campaign_figures *to, const struct video *v, const struct task *t)
{
    to->tasks++;
    to->tasks_done += t->state == TASK_DONE;
    to->tasks_cached += t->state == TASK_DONE && t->cached;
    if (!t->shot || t->shot > v->shot_count) /* a verification has no shots */
        return;
    const struct shot *s = &v->shots[t->shot - 1];
    const uint32_t shown = s->settled ? v->tasks[s->settled - 1].take : s->takes - 1;
    if (t->take != shown)
        to->retry_ms += t->busy_ms;
}

void figures_add(struct campaign_figures *to, const struct video *v)
{
    for (uint32_t i = 0; i < v->shot_count; i++)
        add_shot(to, v, &v->shots[i]);
    for (uint32_t i = 0; i < v->task_count; i++)
        add_task(to, v, &v->tasks[i]);
}

struct campaign_figures figures_of(const struct campaign *c)
{
    struct campaign_figures n = { 0 };

    if (c->shelved)
        return c->figures;
    for (uint32_t i = 0; i < c->video_count; i++)
        figures_add(&n, &c->videos[i]);
    return n;
}

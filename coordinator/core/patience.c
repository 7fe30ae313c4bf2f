#include "coordinator/core/patience.h"

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void patience_begin(struct task *t, const struct worker *w)
{
    /* The first task of a kind since the worker's start also loads models and compiles: nothing tells how long. */
    bool measured = w->measures[t->kind] > 0;

    t->expected_ms = measured ? (int64_t)(task_attempt_work(t) * worker_own_ms_per_unit(w, t->kind)) : 0;
    if (t->profile == PROFILE_LEAN)
        t->expected_ms *= PATIENCE_LEAN;
    t->stepped_ms = t->first_step_ms = t->dispatched_ms;
    t->first_step = 0;
}

void patience_step(struct task *t, uint32_t step, uint32_t steps, int64_t now_ms)
{
    if (step != t->step || steps != t->step_count) {
        if (!t->step || step < t->step) {
            t->first_step = step;
            t->first_step_ms = now_ms;
        }
        t->stepped_ms = now_ms;
    }
    t->step = step;
    t->step_count = steps;
}

/* How long one step should take; 0: not known. */
static int64_t step_ms(const struct task *t)
{
    if (t->step > t->first_step)
        return (t->stepped_ms - t->first_step_ms) / (t->step - t->first_step);
    return t->step_count ? t->expected_ms / t->step_count : 0;
}

enum overdue patience_over(const struct task *t, int64_t now_ms)
{
    int64_t limit_ms = PATIENCE_UNMEASURED_MS;
    bool stepping = t->step && t->step < t->step_count;

    if (t->state != TASK_RUNNING ||
        (t->step && !stepping)) /* after the last step its results travel: a lease matters */
        return OVERDUE_NOT;
    if (stepping && step_ms(t))
        limit_ms = larger(PATIENCE_FLOOR_MS, PATIENCE_STEPS * step_ms(t));
    else if (!stepping && t->expected_ms)
        limit_ms = larger(PATIENCE_FLOOR_MS, PATIENCE_TIMES * t->expected_ms);
    limit_ms <<= t->timeouts < 8 ? t->timeouts : 8;
    if (now_ms - (stepping ? t->stepped_ms : t->dispatched_ms) <= limit_ms)
        return OVERDUE_NOT;
    return stepping ? OVERDUE_STALLED : OVERDUE_LATE;
}

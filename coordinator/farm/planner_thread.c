#include "coordinator/farm/planner_thread.h"

#include "common/base/arena.h"
#include "coordinator/farm/side_thread.h"
#include "coordinator/plan/planner.h"

#include <stdatomic.h>
#include <stdlib.h>

struct order {
    struct arena arena;
    struct plan_order order;
};

struct planner_thread {
    struct planner *planner;
    struct side_thread *thread;
    atomic_bool stop;
};

static void *plan(void *context, void *order)
{
    struct planner_thread *t = context;
    struct order *o = order;
    struct plan_answer *a = NULL;
    struct str text = { 0 };

    if (!atomic_load(&t->stop)) {
        a = xcalloc(1, sizeof *a);
        a->job = o->order.job;
        a->key = o->order.key;
        if (planner_plan(t->planner,
                         &(struct plan_request){ .prompt = o->order.prompt,
                                                 .duration_ms = o->order.duration_ms,
                                                 .cast = o->order.given,
                                                 .cast_count = o->order.given_count,
                                                 .cancel = &t->stop },
                         &text, &a->why))
            a->plan = text.data;
        else
            str_free(&text);
    }
    arena_free(&o->arena);
    free(o);
    return a;
}

struct planner_thread *planner_thread_open(struct planner *planner, struct error *err)
{
    struct planner_thread *t = xcalloc(1, sizeof *t);

    t->planner = planner;
    t->thread = side_thread_open("planner", plan, t, err);
    if (t->thread)
        return t;
    planner_close(&t->planner);
    free(t);
    return NULL;
}

static void drop(void *answer)
{
    struct plan_answer *a = answer;

    free(a->plan);
    free(a);
}

void planner_thread_close(struct planner_thread **pt)
{
    struct planner_thread *t = *pt;

    if (!t)
        return;
    atomic_store(&t->stop, true);
    side_thread_close(&t->thread, drop);
    planner_close(&t->planner);
    free(t);
    *pt = NULL;
}

void *planner_thread_socket(struct planner_thread *t)
{
    return side_thread_socket(t->thread);
}

void planner_thread_ask(struct planner_thread *t, const struct plan_order *o)
{
    struct order *copy = xcalloc(1, sizeof *copy);
    struct given_member *given = arena_array(&copy->arena, struct given_member, o->given_count + 1);

    for (size_t i = 0; i < o->given_count; i++)
        given[i] = (struct given_member){ .id = arena_strdup(&copy->arena, o->given[i].id),
                                          .kind = arena_strdup(&copy->arena, o->given[i].kind),
                                          .phrase = arena_strdup(&copy->arena, o->given[i].phrase) };
    copy->order = *o;
    copy->order.prompt = arena_strdup(&copy->arena, o->prompt);
    copy->order.given = given;
    side_thread_ask(t->thread, copy);
}

bool planner_thread_take(struct planner_thread *t, struct plan_answer *a)
{
    struct plan_answer *taken = side_thread_take(t->thread);

    if (!taken)
        return false;
    *a = *taken;
    free(taken);
    return true;
}

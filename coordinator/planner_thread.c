#include "coordinator/planner_thread.h"

#include "common/base/arena.h"
#include "common/base/log.h"
#include "coordinator/plan/planner.h"

#include <czmq.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS "inproc://planner"

/* What crosses the socket is the address of an order on its way in, and of an answer on its way out: whoever receives
 * it owns it. */
struct order {
    struct arena arena;
    struct plan_order order;
};

struct planner_thread {
    struct planner *planner;
    zsock_t *ours, *theirs;
    pthread_t thread;
    atomic_bool stop;
};

static void send_pointer(zsock_t *socket, void *pointer)
{
    while (zmq_send(zsock_resolve(socket), &pointer, sizeof pointer, 0) < 0 && zmq_errno() == EINTR)
        ;
}

/* False when nothing came, or the context ended. */
static bool receive_pointer(zsock_t *socket, void **pointer, int flags)
{
    int size;

    do
        size = zmq_recv(zsock_resolve(socket), pointer, sizeof *pointer, flags);
    while (size < 0 && zmq_errno() == EINTR);
    return size == (int)sizeof *pointer;
}

static void order_free(struct order *o)
{
    arena_free(&o->arena);
    free(o);
}

static struct plan_answer *answer(struct planner_thread *t, const struct plan_order *o)
{
    struct plan_answer *a = xcalloc(1, sizeof *a);
    struct str text = { 0 };

    a->job = o->job;
    a->key = o->key;
    if (planner_plan(t->planner,
                     &(struct plan_request){ .prompt = o->prompt,
                                             .duration_ms = o->duration_ms,
                                             .cast = o->given,
                                             .cast_count = o->given_count,
                                             .cancel = &t->stop },
                     &text, &a->why))
        a->plan = text.data;
    else
        str_free(&text);
    return a;
}

static void *run(void *context)
{
    struct planner_thread *t = context;
    void *pointer;

    while (receive_pointer(t->theirs, &pointer, 0) && pointer) {
        struct order *o = pointer;

        if (!atomic_load(&t->stop))
            send_pointer(t->theirs, answer(t, &o->order));
        order_free(o);
    }
    return NULL;
}

struct planner_thread *planner_thread_open(struct planner *planner, struct error *err)
{
    struct planner_thread *t = xcalloc(1, sizeof *t);

    t->planner = planner;
    t->ours = zsock_new_pair("@" ADDRESS);
    t->theirs = zsock_new_pair(">" ADDRESS);
    if (!t->ours || !t->theirs || pthread_create(&t->thread, NULL, run, t)) {
        error_set(err, ERROR_IO, "planner thread: %s", strerror(errno));
        zsock_destroy(&t->ours);
        zsock_destroy(&t->theirs);
        planner_close(&t->planner);
        free(t);
        return NULL;
    }
    return t;
}

void planner_thread_close(struct planner_thread **pt)
{
    struct planner_thread *t = *pt;
    struct plan_answer a;

    if (!t)
        return;
    atomic_store(&t->stop, true);
    send_pointer(t->ours, NULL);
    pthread_join(t->thread, NULL);
    while (planner_thread_take(t, &a))
        free(a.plan);
    zsock_destroy(&t->ours);
    zsock_destroy(&t->theirs);
    planner_close(&t->planner);
    free(t);
    *pt = NULL;
}

void *planner_thread_socket(struct planner_thread *t)
{
    return zsock_resolve(t->ours);
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
    send_pointer(t->ours, copy);
}

bool planner_thread_take(struct planner_thread *t, struct plan_answer *a)
{
    void *pointer;

    if (!receive_pointer(t->ours, &pointer, ZMQ_DONTWAIT))
        return false;
    *a = *(struct plan_answer *)pointer;
    free(pointer);
    return true;
}

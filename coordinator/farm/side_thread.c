#include "coordinator/farm/side_thread.h"

#include "common/base/arena.h"

#include <czmq.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What crosses the socket are addresses: whoever receives one owns what is there. NULL: no more orders. */
struct side_thread {
    side_thread_work *work;
    void *context;
    zsock_t *ours, *theirs;
    pthread_t thread;
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

static void *run(void *context)
{
    struct side_thread *t = context;
    void *order;

    while (receive_pointer(t->theirs, &order, 0) && order) {
        void *answer = t->work(t->context, order);

        if (answer)
            send_pointer(t->theirs, answer);
    }
    return NULL;
}

struct side_thread *side_thread_open(const char *name, side_thread_work *work, void *context, struct error *err)
{
    struct side_thread *t = xcalloc(1, sizeof *t);
    char address[64];

    t->work = work;
    t->context = context;
    snprintf(address, sizeof address, "@inproc://%s", name);
    t->ours = zsock_new_pair(address);
    *address = '>';
    t->theirs = t->ours ? zsock_new_pair(address) : NULL;
    int failed = t->theirs ? pthread_create(&t->thread, NULL, run, t) : errno;
    if (!failed)
        return t;
    error_set(err, ERROR_IO, "the %s's thread: %s", name, strerror(failed));
    zsock_destroy(&t->ours);
    zsock_destroy(&t->theirs);
    free(t);
    return NULL;
}

void side_thread_close(struct side_thread **pt, void (*drop)(void *answer))
{
    struct side_thread *t = *pt;
    void *answer;

    if (!t)
        return;
    send_pointer(t->ours, NULL);
    pthread_join(t->thread, NULL);
    while ((answer = side_thread_take(t)))
        drop(answer);
    zsock_destroy(&t->ours);
    zsock_destroy(&t->theirs);
    free(t);
    *pt = NULL;
}

void *side_thread_socket(struct side_thread *t)
{
    return zsock_resolve(t->ours);
}

void side_thread_ask(struct side_thread *t, void *order)
{
    send_pointer(t->ours, order);
}

void *side_thread_take(struct side_thread *t)
{
    void *answer;

    return receive_pointer(t->ours, &answer, ZMQ_DONTWAIT) ? answer : NULL;
}

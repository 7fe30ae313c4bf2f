/* side_thread - work that the loop must not wait for, on a thread of its own behind an inproc socket: orders in,
 * answers out, in order. */
#ifndef SHOTLINE_COORDINATOR_FARM_SIDE_THREAD_H
#define SHOTLINE_COORDINATOR_FARM_SIDE_THREAD_H

#include "common/base/error.h"

struct side_thread;

/* Carries out an order, which it owns, and returns the answer, which the caller of side_thread_take owns; NULL: there
 * is none. */
typedef void *side_thread_work(void *context, void *order);

/* `name` tells it from the others of this process. */
struct side_thread *side_thread_open(const char *name, side_thread_work *work, void *context, struct error *err);
/* Waits until all orders are carried out; answers that nobody took go to `drop`. */
void side_thread_close(struct side_thread **t, void (*drop)(void *answer));

void *side_thread_socket(struct side_thread *t); /* for zmq_poll */
/* Blocks when some 1,000 orders wait: whoever asks counts what is under way. */
void side_thread_ask(struct side_thread *t, void *order);
void *side_thread_take(struct side_thread *t); /* NULL: nothing has come */

#endif

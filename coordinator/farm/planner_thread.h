/* planner_thread - the planner on a thread of its own, behind an inproc socket: orders in, plans out, in order. */
#ifndef SHOTLINE_COORDINATOR_FARM_PLANNER_THREAD_H
#define SHOTLINE_COORDINATOR_FARM_PLANNER_THREAD_H

#include "common/base/error.h"
#include "common/base/hash.h"
#include "coordinator/plan/grammar.h"

struct planner_thread;
struct planner;

/* Owns the planner from now on. */
struct planner_thread *planner_thread_open(struct planner *planner, struct error *err);
void planner_thread_close(struct planner_thread **t); /* waits for the plan under way */

void *planner_thread_socket(struct planner_thread *t); /* for zmq_poll */

struct plan_order {
    uint64_t job;
    struct digest key; /* comes back with the answer */
    const char *prompt;
    int64_t duration_ms;
    const struct given_member *given;
    size_t given_count;
};
void planner_thread_ask(struct planner_thread *t, const struct plan_order *o); /* copies it */

struct plan_answer {
    uint64_t job;
    struct digest key;
    char *plan; /* canonical text, freed by the caller; NULL: there is none, see why */
    struct error why;
};
bool planner_thread_take(struct planner_thread *t, struct plan_answer *a); /* false: nothing has come */

#endif

/* loop - one worker at work: the socket to the coordinator, the runner and the courier, and the agent that decides
 * between them. */
#ifndef SHOTLINE_WORKER_LOOP_H
#define SHOTLINE_WORKER_LOOP_H

#include "worker/agent.h"
#include "worker/packs.h"
#include "worker/runner.h"

struct loop_options {                 /* all borrowed */
    const char *farm;                 /* the farm's base address */
    const struct endpoint_keys *keys; /* see endpoint_connect */
    struct agent_identity who;
    struct store_dir *blobs;
    struct packs *packs;
    struct outbox *outbox;
    const char *scratch_dir;
    struct exec *(*open_exec)(void *context, struct error *err); /* see runner.h */
    void *context;
    int stop_fd; /* readable: drain (who.patience_ms), return */
};

/* Works until told to stop. False with *err when the coordinator refused this worker, or the wire cannot be used at
 * all. *stuck: a task did not stop in time, its thread is still there; the caller ends the process without cleaning up.
 */
bool loop_run(const struct loop_options *o, bool *stuck, struct error *err);

#endif

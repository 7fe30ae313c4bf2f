/* worker_api - the conversation with workers: hello, heartbeat, ready, done, failed, bye. Every message is checked
 * field by field. */
#ifndef SHOTLINE_COORDINATOR_WORKER_API_H
#define SHOTLINE_COORDINATOR_WORKER_API_H

#include "coordinator/farm.h"

/* Takes up to `most` messages; says whether more may be waiting. False in *ok when the store failed. */
bool worker_api_drain(struct farm *f, int most, int64_t now_ms, bool *ok, struct error *err);

/* Gives up silent workers and leases that ran out, and tells workers to stop what nobody wants any more. */
void worker_api_tick(struct farm *f, int64_t now_ms);

/* Takes back all leases of the workers with this key, and tells them to end. Says how many leases that were. */
uint32_t worker_api_give_up(struct farm *f, const struct curve_key *key, const char *why);

/* Tells the living workers of this name to leave; returns their number. */
uint32_t worker_api_drain_worker(struct farm *f, const char *name);

/* Gives ready tasks to workers that asked for work. */
void worker_api_dispatch(struct farm *f, int64_t now_ms);

#endif

/* leases - who works on what: gives ready tasks to workers that ask, and takes back what nobody works on any more. */
#ifndef SHOTLINE_COORDINATOR_FARM_LEASES_H
#define SHOTLINE_COORDINATOR_FARM_LEASES_H

#include "coordinator/farm/farm.h"

/* Gives ready tasks to workers that asked for work, and once more the leases that were lost on their way. */
void leases_dispatch(struct farm *f, int64_t now_ms);

/* The lease of a worker of which it never spoke; NULL: none. */
const struct task *leases_unheard(const struct farm *f, const struct worker *w);

/* Gives up silent workers and leases that ran out, and tells workers to stop what nobody wants any more. */
void leases_tick(struct farm *f, int64_t now_ms);

/* Gives back everything that a worker runs, or ran when it was last heard of. */
void leases_lose(struct farm *f, struct worker *w);

/* Takes back all leases of the workers with this key, and tells them to end. Says how many leases that were. */
uint32_t leases_revoke(struct farm *f, const struct curve_key *key, const char *why);

/* Tells the living workers of this name to leave; returns their number. */
uint32_t leases_drain(struct farm *f, const char *name);

#endif

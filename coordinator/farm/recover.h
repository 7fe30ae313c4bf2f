/* recover - the ledger and the fleet, made again from the store at start. */
#ifndef SHOTLINE_COORDINATOR_FARM_RECOVER_H
#define SHOTLINE_COORDINATOR_FARM_RECOVER_H

#include "coordinator/farm/farm.h"

/* Once, before the first turn of a farm that was opened. False: the store cannot be read, and the farm is good for
 * nothing but farm_close. */
bool recover(struct farm *f, int64_t now_ms, int64_t wall_ms, struct error *err);

/* The graphs of an ended campaign again, with what happened to each task. A video whose plan is compiled differently
 * now stays without. False: the store cannot be read. */
bool recover_graphs(struct farm *f, struct campaign *c, struct error *err);

#endif

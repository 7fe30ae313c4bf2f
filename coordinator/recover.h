/* recover - the ledger and the fleet, made again from the store at start. */
#ifndef SHOTLINE_COORDINATOR_RECOVER_H
#define SHOTLINE_COORDINATOR_RECOVER_H

#include "coordinator/farm.h"

bool recover(struct farm *f, int64_t now_ms, struct error *err);

#endif

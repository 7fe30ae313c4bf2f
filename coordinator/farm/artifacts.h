/* artifacts - what a finished video leaves: its manifest beside its file; and how long campaigns are remembered. */
#ifndef SHOTLINE_COORDINATOR_FARM_ARTIFACTS_H
#define SHOTLINE_COORDINATOR_FARM_ARTIFACTS_H

#include "coordinator/farm/farm.h"

/* Has the manifests written of videos whose last task is done, and finishes those whose manifest is on the disk. */
void artifacts_tick(struct farm *f, int64_t now_ms);
bool artifacts_wait(const struct farm *f); /* for the next tick: a manifest can be ordered */

/* Forgets the oldest ended campaigns beyond FARM_MAX_KEPT; their blobs and the task cache stay. Call when the ledger is
 * clean. False when the store failed. */
bool artifacts_forget(struct farm *f, struct error *err);

#endif

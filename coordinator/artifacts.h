/* artifacts - what a finished video leaves: its manifest beside its file; and how long campaigns are remembered. */
#ifndef SHOTLINE_COORDINATOR_ARTIFACTS_H
#define SHOTLINE_COORDINATOR_ARTIFACTS_H

#include "coordinator/farm.h"

/* Writes the manifests of videos whose last task is done, which finishes them. */
void artifacts_tick(struct farm *f, int64_t now_ms);

/* Forgets the oldest ended campaigns beyond FARM_MAX_KEPT; their blobs and the task cache stay. Call when the ledger is
 * clean. False when the store failed. */
bool artifacts_forget(struct farm *f, struct error *err);

#endif

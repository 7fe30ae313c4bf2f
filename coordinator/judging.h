/* judging - takes the scores of decoded shots from the blobs and lets gates.h and takes.h decide. */
#ifndef SHOTLINE_COORDINATOR_JUDGING_H
#define SHOTLINE_COORDINATOR_JUDGING_H

#include "coordinator/farm.h"

/* Judges every decode that waits for it; those of takes that begin thereby and are answered from the cache, too. */
void judging_drain(struct farm *f);

/* Whether a worker's scores of a decode can be judged at all. */
bool judging_check(struct farm *f, const struct task_output *outputs, uint32_t count, struct error *err);

#endif

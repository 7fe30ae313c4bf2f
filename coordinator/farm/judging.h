/* judging - takes the scores of decoded shots from the blobs and lets gates.h and takes.h decide. */
#ifndef SHOTLINE_COORDINATOR_FARM_JUDGING_H
#define SHOTLINE_COORDINATOR_FARM_JUDGING_H

#include "coordinator/farm/farm.h"

/* The verdict on what a worker reports of a decode, not pronounced yet: whether its scores can be judged at all. */
bool judging_verdict(struct farm *f, const struct task *t, const struct task_output *outputs, uint32_t count,
                     struct gate_verdict *verdict, struct error *err);
/* The decode is done: what becomes of its take. */
void judging_pronounce(struct farm *f, struct task *t, const struct gate_verdict *verdict);

/* Judges every decode that is done and waits for it: twins of others, and those of takes that begin thereby and are
 * answered from the cache. */
void judging_drain(struct farm *f);

#endif

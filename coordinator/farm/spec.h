/* spec - a task as the wire says it. */
#ifndef SHOTLINE_COORDINATOR_FARM_SPEC_H
#define SHOTLINE_COORDINATOR_FARM_SPEC_H

#include "coordinator/core/job.h"
#include "proto/types.pb-c.h"

/* All inputs must be known. The message lives in `arena` and borrows from the task. */
Shotline__TaskSpec *task_spec(const struct task *t, const struct digest *pack, struct arena *arena);

Shotline__Blob *blob_message(const struct blob_ref *b, struct arena *arena);

#endif

/* worker_tell - what the coordinator says to workers. Each message leaves after the turn's commit. */
#ifndef SHOTLINE_COORDINATOR_FARM_WORKER_TELL_H
#define SHOTLINE_COORDINATOR_FARM_WORKER_TELL_H

#include "coordinator/farm/farm.h"
#include "proto/worker.pb-c.h"

void tell_welcome(struct farm *f, const struct worker *w);
void tell_hello_again(struct farm *f, const struct peer *peer);
void tell_refused(struct farm *f, const struct peer *peer, const char *reason);
void tell_gone(struct farm *f, const struct worker *w, const char *reason); /* it is refused from now on */

/* Goes with the acknowledgement of the worker's report, when that has not left yet. */
void tell_lease(struct farm *f, struct worker *w, const struct task *t);
/* `missing`: digests of outputs that must be uploaded first. */
void tell_ack(struct farm *f, struct worker *w, uint64_t task, uint32_t attempt, Shotline__ReportVerdict verdict,
              ProtobufCBinaryData *missing, size_t missing_count);
void tell_cancel(struct farm *f, const struct worker *w, uint64_t task, uint32_t attempt);
void tell_drain(struct farm *f, const struct worker *w);

#endif

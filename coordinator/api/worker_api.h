/* worker_api - the conversation with workers: hello, heartbeat, ready, done, failed, bye. Every message is checked
 * field by field. */
#ifndef SHOTLINE_COORDINATOR_API_WORKER_API_H
#define SHOTLINE_COORDINATOR_API_WORKER_API_H

#include "coordinator/farm/farm.h"

/* Takes up to `most` messages; says whether more may be waiting. False in *ok when the store failed. */
bool worker_api_drain(struct farm *f, int most, int64_t now_ms, bool *ok, struct error *err);

#endif

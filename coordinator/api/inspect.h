/* inspect - the answers for the person on call: why a task is where it is, what has happened, and whether it
 * can be made again. */
#ifndef SHOTLINE_COORDINATOR_API_INSPECT_H
#define SHOTLINE_COORDINATOR_API_INSPECT_H

#include "coordinator/farm/farm.h"
#include "proto/client.pb-c.h"

/* The replies live in `arena`; NULL with *err (ERROR_INPUT) when what was asked for is not known here. */
Shotline__LogReply *inspect_log(struct farm *f, const Shotline__LogRequest *q, struct arena *arena, struct error *err);

/* Why a task is where it is, and what will happen next; of a video: of all its tasks; of a campaign: in numbers. */
Shotline__ExplainReply *inspect_explain(struct farm *f, const Shotline__ExplainRequest *q, int64_t now_ms,
                                        struct arena *arena, struct error *err);

/* How far a verification is: the verdict on each of its tasks. */
Shotline__VerifyReply *inspect_verification(struct farm *f, const struct campaign *c, struct arena *arena,
                                            struct error *err);

#endif

/* inspect - the answers for the person on call: what has happened. */
#ifndef SHOTLINE_COORDINATOR_INSPECT_H
#define SHOTLINE_COORDINATOR_INSPECT_H

#include "coordinator/farm.h"
#include "proto/client.pb-c.h"

/* The replies live in `arena`; NULL with *err (ERROR_INPUT) when what was asked for is not known here. */
Shotline__LogReply *inspect_log(struct farm *f, const Shotline__LogRequest *q, struct arena *arena, struct error *err);

#endif

/* state_lock - one process per state folder; the kernel gives the lock back however the process ends. */
#ifndef SHOTLINE_COORDINATOR_STORE_STATE_LOCK_H
#define SHOTLINE_COORDINATOR_STORE_STATE_LOCK_H

#include "common/base/error.h"

#include <stdint.h>

/* Locks a folder that exists: a file to be closed by the caller; -1 with *err when another process has it. Patience:
 * see file_lock. */
int state_lock(const char *state, int64_t patience_ms, struct error *err);

#endif

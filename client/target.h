/* target - what of a farm a command is about, as people write it: 3 (a campaign), 3/beach or 3/2 (a video of it, by
 * name or number), t17 (a task), w2 or here-0 (a worker). Pure. */
#ifndef SHOTLINE_CLIENT_TARGET_H
#define SHOTLINE_CLIENT_TARGET_H

#include "common/base/error.h"

#include <stdint.h>

enum target_kind { TARGET_ALL, TARGET_CAMPAIGN, TARGET_VIDEO, TARGET_TASK, TARGET_WORKER };

struct target {
    enum target_kind kind;
    uint64_t campaign; /* of TARGET_CAMPAIGN and TARGET_VIDEO */
    uint64_t task;
    const char *name; /* of a video (or its number), of a worker (or its number): borrowed from the text */
};

/* ERROR_USAGE when the text is none of these. `workers`: a worker may be meant. */
bool target_read(struct target *t, const char *text, bool workers, struct error *err);

#endif

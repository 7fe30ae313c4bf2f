/* manifest - the record from which a video can be made again, byte for byte. Pure.
 *
 * It says what was computed and what came out, and nothing of when, where or in how many attempts: two runs of the same
 * campaign give the same text. */
#ifndef SHOTLINE_COORDINATOR_MANIFEST_H
#define SHOTLINE_COORDINATOR_MANIFEST_H

#include "common/base/error.h"
#include "common/nn/pack.h"
#include "coordinator/job.h"
#include "coordinator/key.h"

struct manifest_input {
    const struct video *video; /* all tasks done */
    const struct key_context *keys;
    const struct pack_defaults *pack;
    const struct pack_listing *listing;
};

/* The text, freed by the caller; NULL with *err when the video's own records do not fit each other. */
char *manifest_write(const struct manifest_input *in, struct error *err);

#endif

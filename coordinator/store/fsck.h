/* fsck - whether a stopped farm's folder agrees with itself: the database, the blobs, and the manifests of finished
 * videos.
 *
 * It reads everything and changes nothing, unless it shall repair; and then only what is safe: bytes that are not what
 * their name says are moved aside (STATE/damaged/), and results whose bytes are gone are forgotten, so that their tasks
 * are made again. */
#ifndef SHOTLINE_COORDINATOR_STORE_FSCK_H
#define SHOTLINE_COORDINATOR_STORE_FSCK_H

#include "common/base/error.h"

#include <stdint.h>

enum finding {
    FINDING_STORE = 1,     /* the database contradicts itself */
    FINDING_BLOB_DAMAGED,  /* the bytes do not have the digest that names them */
    FINDING_BLOB_FOREIGN,  /* a file among the blobs that is none */
    FINDING_RESULT_GONE,   /* a task's result names bytes that are not here: mended by making the task again */
    FINDING_RESULT_WRONG,  /* a result contradicts the manifest that came of it: `shotline verify` tells which is right
                            */
    FINDING_MANIFEST_GONE, /* a finished video without its manifest or its file */
    FINDING_MANIFEST_BAD,  /* one that cannot be read, or contradicts itself */
    FINDING_KEY_WRONG,     /* a task's key is not the digest of what the manifest says of it */
    FINDING_CAMPAIGN_BAD,  /* a request that cannot be read */
    FINDING_ORPHANS,       /* blobs that nothing names: no damage, only room */
    FINDINGS,
};
const char *finding_name(enum finding f); /* "blob.damaged" */

struct fsck_report {
    uint64_t found[FINDINGS], repaired[FINDINGS]; /* FINDING_ORPHANS: blobs, and nothing is ever repaired */
    uint64_t blobs, results, videos, tasks;       /* looked at */
    uint64_t evicted;                             /* results whose bytes the farm removed to make room: no damage */
    int64_t blob_bytes, orphan_bytes;
};

/* One line per finding: what is wrong, and what is done or would be done about it. */
typedef void fsck_say(void *context, enum finding f, const char *text);

/* Takes the lock of the folder. False with *err when it cannot look at all: no such folder, a running coordinator, a
 * file that is no store. */
bool fsck_run(const char *state, bool repair, fsck_say *say, void *context, struct fsck_report *report,
              struct error *err);

/* Whether something is wrong that was not mended. Orphans are not. */
bool fsck_clean(const struct fsck_report *r);

#endif

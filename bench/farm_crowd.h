/* farm_crowd - a thousand light workers in one thread: each has a key and a connection of its own and speaks the
 * workers' conversation, but computes nothing: its outputs are blobs that the farm has already.
 *
 * One ROUTER holds all the connections, so that what is measured is the farm and not a thousand sockets on this side.
 */
#ifndef SHOTLINE_BENCH_FARM_CROWD_H
#define SHOTLINE_BENCH_FARM_CROWD_H

#include "common/base/curve.h"
#include "common/base/hash.h"
#include "common/base/str.h"
#include "coordinator/core/job.h"

#include <stdint.h>

#define CROWD_BLOBS 64 /* outputs are chosen among so many */

struct light;

struct crowd {
    void *context, *socket;
    struct light *list;
    size_t count, joined;
    bool echo; /* they only send back what comes */
    struct digest proof;
    int64_t tended_ms;
    struct str packed;
    struct blob_ref blobs[CROWD_BLOBS];
    uint64_t done, superseded, refused;
};

/* The bytes of blob `i`, which the farm must have: `room` of 320 is enough. */
void crowd_blob_text(int i, char *text, size_t room);

/* Connects `count` workers, one for each pair. Ends the program when it cannot. */
void crowd_open(struct crowd *c, const char *address, const struct curve_pair *pairs, size_t count,
                const struct curve_key *farm);
/* Answers what has come, waiting a little when nothing has, and sends what is due. */
void crowd_turn(struct crowd *c);

#endif

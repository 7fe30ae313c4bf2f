/* farm - everything the coordinator's one thread owns: what it serves, the ledger, the fleet, the store, the sockets
 * and the messages of this turn. What it does with all that is elsewhere, and turn.h has the order. */
#ifndef SHOTLINE_COORDINATOR_FARM_FARM_H
#define SHOTLINE_COORDINATOR_FARM_FARM_H

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/base/str.h"
#include "common/nn/pack.h"
#include "common/wire/endpoint.h"
#include "common/wire/store_dir.h"
#include "coordinator/core/fleet.h"
#include "coordinator/core/gates.h"
#include "coordinator/core/ledger.h"
#include "coordinator/farm/eviction.h"
#include "coordinator/plan/grammar.h"
#include "coordinator/store/store.h"

#include <protobuf-c/protobuf-c.h>

#define FARM_HEARTBEAT_MS      2000
#define FARM_LEASE_MS          15000
#define FARM_MAX_LIVE          64         /* campaigns that have not ended */
#define FARM_MAX_KEPT          1000       /* campaigns remembered */
#define FARM_TASKS_KEPT        20000      /* of ended campaigns in memory; others are read from the store when asked */
#define FARM_STATUS_BYTES      (1u << 20) /* of videos in one answer; a message may have four times as much */
#define FARM_MAX_WAITING_PLANS 32
#define FARM_MAX_PLANS_OF_PEER 8

struct guard;
struct journal;
struct planner_thread;
struct scribe;

/* A message that leaves after the commit. */
struct outgoing {
    struct endpoint *to;
    struct peer peer;
    struct str bytes;
};

/* A client that waits for a plan. */
struct plan_wait {
    uint64_t job; /* of the planner; 0: free */
    struct peer peer;
    struct curve_key key;
    uint64_t sequence;
};

struct farm {
    const char *pack_dir;
    struct pack_defaults pack;
    struct gate_limits gates;
    struct grammar *grammar;
    struct pack_listing listing;
    struct blob_ref listing_blob;
    struct digest kernel_proof; /* what an exact device must show */

    struct ledger ledger;
    struct fleet fleet;
    struct store *store;
    struct store_dir *blobs;
    struct endpoint *workers, *clients;
    struct planner_thread *planner; /* NULL: only videos with a plan of their own */
    struct scribe *scribe;
    struct journal *journal; /* NULL: nobody keeps what happens */
    struct guard *guard;     /* see guard.h for NULL */

    struct outgoing *out;
    size_t out_count, out_room;
    uint64_t out_before;               /* messages of earlier turns */
    struct access_entry *keys_changed; /* in this turn */
    size_t keys_changed_count;
    struct plan_wait plan_waits[FARM_MAX_WAITING_PLANS];
    uint64_t last_plan_job, sequence;
    uint32_t plans_ordered;     /* of videos, with the planner now */
    int64_t wall_ms;            /* of this turn, for records */
    uint32_t manifests_ordered; /* with the scribe now */
    uint64_t last_manifest_order;
    int64_t manifests_at_ms; /* not before: there was no room for the last one */
    int64_t look_over_at_ms; /* until then nobody can be found silent and no lease over */
    bool again;              /* messages are left: the next turn should follow at once */
    size_t tasks_kept;       /* FARM_TASKS_KEPT */
    size_t status_bytes;     /* FARM_STATUS_BYTES */
    uint32_t checkpoint_ms;  /* how often a long denoising saves its state; 0: never */
    struct eviction eviction;
};

/* What the caller has opened already; all of it is borrowed. */
struct farm_parts {
    const char *pack_dir;
    struct store *store;
    struct store_dir *blobs;
    struct endpoint *workers, *clients;
    struct digest kernel_proof;
    struct scribe *scribe;
    struct planner_thread *planner;
    uint32_t checkpoint_ms;
    int64_t cache_bytes; /* quota of what can be made again; 0: no bound */
    struct journal *journal;
    struct guard *guard;
};
/* Reads the pack's description. What the store knows is not here yet: recover.h brings it before the first turn. */
bool farm_open(struct farm *f, const struct farm_parts *parts, struct error *err);
void farm_close(struct farm *f);

/* The longest shot that the pack's painter can draw: it bounds the planner. */
int64_t farm_longest_ms(const struct farm *f);

/* Queues a message for after the commit. Returns its number, from 1. */
uint64_t farm_send(struct farm *f, struct endpoint *to, const struct peer *peer, const ProtobufCMessage *m);
/* Has the queued message say this as well (see codec_add); false when there is none of this number any more. */
bool farm_send_with(struct farm *f, uint64_t number, const ProtobufCMessage *m);
/* After the commit. What cannot be delivered is dropped: the peer is gone or asks again. */
void farm_send_all(struct farm *f);

#endif

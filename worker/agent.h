/* agent - the worker's side of its conversation with the coordinator: what to do on which message, and when.
 *
 * Pure: no socket, no thread, no clock. Messages, the runner's news and the time come in; what has to happen goes out
 * through the hooks. Every message may be lost, late or repeated: hello, ready and reports are said again until they
 * are answered. */
#ifndef SHOTLINE_WORKER_AGENT_H
#define SHOTLINE_WORKER_AGENT_H

#include "common/base/error.h"
#include "common/base/hash.h"
#include "proto/worker.pb-c.h"
#include "worker/outbox.h"

#include <stdint.h>

#define AGENT_SILENT_HEARTBEATS 3 /* then the coordinator is looked for anew */
#define AGENT_REASON_ROOM       512

struct agent_hooks {
    void *context;
    void (*send)(void *context, const Shotline__ToCoordinator *m);
    void (*reconnect)(void *context); /* drop the connection and open it again */
    /* Begin this task; the lease is borrowed for the call. Only called while nothing runs. */
    void (*start)(void *context, const Shotline__Lease *lease);
    void (*cancel)(void *context);    /* what runs now; the runner still tells how it ended */
    void (*hand_over)(void *context); /* as cancel, but its state is saved first where it has one */
    /* Send the blob of a saved state, then call agent_saved. One at a time. */
    void (*save)(void *context, const struct digest *state);
    void (*fetch_pack)(void *context, const struct digest *pack, const struct digest *listing);
    /* Send these blobs of a finished result, then call agent_uploaded. */
    void (*upload)(void *context, const struct result *r, const struct digest *missing, size_t count);
    void (*settled)(void *context, const struct result *r); /* the farm has it, or does not want it: forget it */
};

struct agent_identity {
    const char *name;
    uint8_t boot_id[16];
    const char *device;
    int64_t device_bytes;
    struct digest kernel_proof;
    int64_t patience_ms; /* of an agent that leaves: how long it waits for its task and for answers */
};

enum agent_state {
    AGENT_GREETING, /* hello is out, nothing came back yet */
    AGENT_JOINED,
    AGENT_LEAVING, /* told to stop: ends or hands over what runs */
    AGENT_LEFT,    /* said bye, or there was nobody to say it to */
    AGENT_REFUSED, /* see agent_refusal */
};

struct agent;

/* Strings of the identity and the hooks are borrowed for the agent's life. */
struct agent *agent_new(const struct agent_identity *who, const struct agent_hooks *hooks, int64_t now_ms);
void agent_free(struct agent **a);

enum agent_state agent_state(const struct agent *a);
const char *agent_refusal(const struct agent *a);
int64_t agent_deadline_ms(const struct agent *a); /* when agent_tick wants to be called next */

void agent_tick(struct agent *a, int64_t now_ms);
void agent_message(struct agent *a, const Shotline__ToWorker *m, int64_t now_ms);
/* Drains: no new work. What runs is finished when its steps say that it soon will be, else handed over: its state is
 * saved and the task given back, at nobody's cost. Then results are reported, and after at most patience_ms AGENT_LEFT.
 */
void agent_leave(struct agent *a, int64_t now_ms);

/* ---- the runner's news ---- */
void agent_progress(struct agent *a, uint32_t step, uint32_t steps);
/* The running attempt saved its state: here, and then at the farm (or not). */
void agent_checkpoint(struct agent *a, uint32_t step, const struct digest *state, int64_t bytes);
void agent_saved(struct agent *a, bool ok, int64_t now_ms);
void agent_done(struct agent *a, const struct result *r,
                int64_t now_ms); /* the running attempt's result, already in the outbox */
void agent_failed(struct agent *a, Shotline__FailureClass failure, const char *reason, int64_t now_ms);
void agent_uploaded(struct agent *a, uint64_t task, uint32_t attempt, bool ok, const char *reason, int64_t now_ms);
/* A pack is complete here (at any time), or could not be fetched (tried again later). */
void agent_pack_held(struct agent *a, const struct digest *pack, int64_t now_ms);
void agent_pack_failed(struct agent *a, const struct digest *pack, int64_t now_ms);
/* A result that an earlier process left in the outbox. */
void agent_restore(struct agent *a, const struct result *r, int64_t now_ms);

#endif

/* agent_internal - what an agent knows: shared by agent.c (the conversation), agent_say.c (what it says) and
 * agent_report.c (the attempts that the farm has to acknowledge). */
#ifndef SHOTLINE_WORKER_AGENT_INTERNAL_H
#define SHOTLINE_WORKER_AGENT_INTERNAL_H

#include "worker/agent.h"

#define AGENT_MAX_PACKS 16

/* A finished or failed attempt that the farm has not acknowledged yet. */
struct report {
    struct result result;
    bool failed; /* then the result has only task, attempt and key */
    Shotline__FailureClass failure;
    char reason[AGENT_REASON_ROOM];
    bool ours;      /* of this process: its lease is kept alive until the answer */
    bool uploading; /* waits for blobs to arrive first */
    int64_t next_ms, every_ms;
};

struct running {
    uint64_t task;
    uint32_t attempt;
    struct digest key;
    uint32_t step, steps;
    int64_t begin_ms;
    bool given_up; /* by the farm: what becomes of it is not told */
};

/* A saved state on its way to the farm. */
struct saving {
    uint64_t task; /* 0: none */
    uint32_t attempt, step;
    struct digest key, state;
    int64_t bytes;
};

struct agent {
    struct agent_identity who;
    struct agent_hooks hooks;
    uint64_t sequence;

    bool joined, leaving, left, refused;
    char refusal[AGENT_REASON_ROOM];
    int64_t leave_by_ms;
    int64_t hand_over_ms; /* when a running task that was to be finished is handed over after all */
    bool handing;         /* it stopped; its last state is on its way, and then the task is given back */
    struct result handed;
    struct saving saving, next_saving;

    int64_t heartbeat_ms;
    int64_t heard_ms; /* when the coordinator last said anything */
    int64_t hello_ms; /* when to say hello (again) */
    int64_t heartbeat_at_ms;
    int64_t look_ms;       /* when to open the connection anew */
    int64_t look_every_ms; /* grows while nobody answers */

    bool pack_known, fetching;
    struct digest pack, listing; /* that the farm works with */
    struct digest fetching_pack;
    int64_t fetch_ms;
    struct digest held[AGENT_MAX_PACKS];
    size_t held_count;

    bool busy;
    struct running running;
    struct report *reports;
    size_t report_count, report_room;
};

/* Whether the pack is complete here. */
bool agent_holds(const struct agent *a, const struct digest *pack);

/* ---- agent_say.c ---- */

/* Numbers the message and sends it. */
void agent_send(struct agent *a, Shotline__ToCoordinator *m);
void agent_say_hello(struct agent *a, int64_t now_ms);
void agent_say_heartbeat(struct agent *a, int64_t now_ms);
/* Asks for work, when there is nothing that keeps us from doing it. */
void agent_say_ready(struct agent *a);
void agent_say_report(struct agent *a, struct report *r, int64_t now_ms);

/* ---- agent_report.c ---- */

/* NULL: the farm has acknowledged it, or it never was. */
struct report *agent_find_report(struct agent *a, uint64_t task, uint32_t attempt);
struct report *agent_add_report(struct agent *a, const struct result *r, bool ours, int64_t now_ms);
/* Turns a report into a failure, or makes one for an attempt that never began. */
void agent_fail(struct agent *a, const struct result *of, Shotline__FailureClass failure, const char *reason,
                int64_t now_ms);
void agent_on_ack(struct agent *a, const Shotline__ReportAck *ack);

#endif

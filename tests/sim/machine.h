/* machine - what the parts of a simulated worker share: worker.c keeps its processes, standin.c does their tasks. */
#ifndef SHOTLINE_TESTS_SIM_MACHINE_H
#define SHOTLINE_TESTS_SIM_MACHINE_H

#include "tests/sim/world.h"

#include "worker/agent.h"

struct job {
    bool runs, cancelled, lean;
    uint64_t task;
    uint32_t attempt;
    struct digest key;
    enum task_kind kind;
    enum task_role role;                     /* ROLE_ANCHOR, or any other */
    int64_t began_ms, busy_ms, hangs_ms;     /* the latter: half-way, while its worker goes on talking */
    uint32_t step_from, step_to, step_saved; /* of a denoising */
    int64_t save_every_ms;                   /* 0: never */
    bool no_state, wrong_state;              /* what it should have gone on from was gone, or is of another step */
};

/* A state on its way to the farm. */
struct saved {
    struct digest digest, key;
    uint32_t step;
};
#define SAVED 4 /* the agent sends one and keeps the newest */

struct machine {
    struct world *w;
    uint32_t index;
    char name[16];
    int64_t device_bytes, slowness; /* per cent of the usual time */
    struct agent *agent;            /* NULL: no process */
    uint32_t boot, connection;
    int64_t skew_ms, stalled_until_ms;
    int64_t tick_at_ms; /* of the earliest tick that is scheduled */
    uint64_t life;      /* of this process: what was scheduled for another one means nothing */
    bool has_pack;
    struct digest pack;
    struct job job;
    struct saved saved[SAVED];
    uint32_t saved_next;
    struct result *outbox;
    size_t outbox_count, outbox_room;
};

struct workers {
    struct machine *list;
};

/* ---- worker.c ---- */
int64_t machine_ms(const struct machine *m); /* by its own clock */
/* After everything that happened to the agent: when it wants its next tick, or whether its process has ended. */
void machine_look_after(struct machine *m);
/* Whether an event is for the process that lives now; one that stands still gets it later. Else `data` is freed. */
bool machine_awake(struct world *w, uint32_t who, uint64_t token, event_handler *handler, void *data);
void machine_keep(struct machine *m, const struct result *r); /* in its outbox */

/* ---- standin.c: hooks of the agent ---- */
void standin_start(void *context, const Shotline__Lease *lease);
void standin_cancel(void *context);
void standin_hand_over(void *context);
void standin_save(void *context, const struct digest *state);
uint32_t standin_step(const struct machine *m); /* the steps that its denoising has behind it */

#endif

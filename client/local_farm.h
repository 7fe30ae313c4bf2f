/* local_farm - a private farm on this machine: one coordinator and some workers, over ipc:// in a folder that only this
 * user can enter.
 *
 * The processes form one process group and end with the client, however it ends. What they keep (store, blobs, task
 * cache) lies in the state folder, which one farm uses at a time. */
#ifndef SHOTLINE_CLIENT_LOCAL_FARM_H
#define SHOTLINE_CLIENT_LOCAL_FARM_H

#include "common/base/error.h"

#include <stddef.h>
#include <stdint.h>

/* How long the coordinator is waited for: it reads its pack first. */
enum { LOCAL_FARM_START_MS = 120000 };

struct local_farm;

struct local_farm_options {
    const char *state;  /* NULL: $XDG_STATE_HOME/shotline or ~/.local/state/shotline */
    const char *pack;   /* the pack's folder; NULL: the embedded one */
    const char *device; /* NULL: each worker chooses */
    int workers;        /* 0: a coordinator alone, for plans */
};

struct local_farm *local_farm_open(const struct local_farm_options *o, struct error *err);
/* Ends all processes and waits for them. */
void local_farm_close(struct local_farm **f);

const char *local_farm_address(const struct local_farm *f);

/* Looks after the processes: one that was killed is started again a few times. False when the farm cannot go on. */
bool local_farm_alive(void *farm, struct error *err);

/* The address that a private farm with this state folder (NULL: the default) has. */
bool local_farm_address_of(const char *state, char *to, size_t room, struct error *err);

#endif

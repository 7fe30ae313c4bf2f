/* world - everything that one simulated farm consists of: a virtual clock, seeded dice, a faulty network, a disk that
 * loses what was not synced, the real coordinator, real worker agents, and clients.
 *
 * One thread, no real time, no sockets, no files besides the pack's description: the same settings give the same run,
 * event by event. Whatever goes wrong is thrown by the dice and counted. */
#ifndef SHOTLINE_TESTS_SIM_WORLD_H
#define SHOTLINE_TESTS_SIM_WORLD_H

#include "common/base/arena.h"
#include "common/base/credential.h"
#include "common/base/hash.h"
#include "common/base/str.h"
#include "coordinator/farm/farm.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- dice ---- */

struct dice {
    uint64_t state;
};

static inline uint64_t dice_u64(struct dice *d) /* splitmix64 */
{
    uint64_t z = d->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline int64_t dice_between(struct dice *d, int64_t least, int64_t most)
{
    return least + (int64_t)(dice_u64(d) % (uint64_t)(most - least + 1));
}

/* ---- faults ---- */

enum fault {
    FAULT_DROP,        /* a message is lost */
    FAULT_REPEAT,      /* arrives twice */
    FAULT_DELAY,       /* arrives seconds later, perhaps after its lease */
    FAULT_REORDER,     /* is overtaken by later ones */
    FAULT_GARBLE,      /* arrives with other bytes */
    FAULT_FORGE,       /* a stranger, or a worker that lies, reports a task that is not its own */
    FAULT_CUT,         /* lost in a partition */
    FAULT_RECONNECT,   /* a connection breaks: its peer comes back under another address */
    FAULT_WORKER_KILL, /* the process dies; its outbox stays */
    FAULT_WORKER_WIPE, /* and takes its disk with it */
    FAULT_STALL,       /* a worker stands still for longer than its lease, then goes on */
    FAULT_HANG,        /* a task stands still for minutes, and its worker goes on talking */
    FAULT_CLOCK,       /* a clock jumps */
    FAULT_TASK,        /* an attempt fails: the worker's disk, driver or memory */
    FAULT_LOST_OUTPUT, /* a worker lost the bytes of a result that it still has to send */
    FAULT_KILL,        /* the coordinator is killed: what it wrote stays */
    FAULT_POWER,       /* it loses power: of what was not synced some sectors stay */
    FAULT_DISK_FULL,   /* a write of its database fails for want of room */
    FAULT_DISK_ERROR,  /* a read, write or sync of its database fails */
    FAULT_BLOB_FULL,   /* a blob finds no room */
    FAULT_BLOB_LOST,   /* a blob that was stored is gone */
    FAULT_REVOKE,      /* a key is revoked while its bearer works */
    FAULT_TRESPASS,    /* somebody asks for what its key does not allow */
    FAULT_COUNT
};
extern const char *const fault_names[FAULT_COUNT];

/* Bugs that are put in on purpose: the checks must find each. */
enum plant {
    PLANT_NONE,
    PLANT_NO_FENCE,     /* a result is taken whatever attempt it is of */
    PLANT_EARLY_REPLY,  /* answers leave before the commit */
    PLANT_NO_SYNC,      /* the disk says that it synced, and did not */
    PLANT_LOST_RECORD,  /* one record in fifty is not saved */
    PLANT_FORGOTTEN,    /* now and then a task is not given back to its queue */
    PLANT_TOKEN,        /* a repeated submit makes another campaign */
    PLANT_SAME_ATTEMPT, /* a task is tried again under the same number */
    PLANT_LENIENT,      /* now and then a take passes that failed its gates */
    PLANT_TAKES,        /* a restart forgets which takes are shown */
    PLANT_REVOKED,      /* revoked keys go on being heard */
    PLANT_KEY_LOST,     /* a restart forgets some revocations */
    PLANT_REPLAY,       /* an invite can be used twice */
    PLANT_STATE,        /* a task is given another one's saved state */
    PLANT_CIRCLE,       /* it is forgotten for want of how much memory a task failed */
    PLANT_EVICT,        /* now and then something goes that is still needed */
    PLANT_COUNT
};
extern const char *const plant_names[PLANT_COUNT];

struct settings {
    uint64_t seed;
    uint32_t workers, tasks; /* tasks: about so many */
    uint32_t intensity;      /* per cent of the usual rate of faults; 0: none */
    enum plant plant;
    bool verbose;
};

/* ---- events ---- */

struct world;
/* `who`, `token`: what the handler needs to know whether the event still means something. `data`: owned by it. */
typedef void event_handler(struct world *w, uint32_t who, uint64_t token, void *data);

struct event {
    int64_t at_ms;
    uint64_t order; /* of events of one moment */
    event_handler *handler;
    uint32_t who;
    uint64_t token;
    void *data;
};

struct schedule {
    struct event *heap;
    size_t count, room;
    uint64_t order;
};

struct network;
struct disk;
struct workers;
struct clients;
struct keys;
struct oracle;
struct guard;

struct coordinator {
    char dir[64], pack[96];
    struct farm farm;
    bool up;
    bool at_work;       /* inside a turn, or starting */
    bool dead;          /* killed inside a turn: nothing that it still does has an effect */
    bool power;         /* it will be, or was, a loss of power */
    uint32_t doomed;    /* steps until it dies; 0: not under sentence */
    int64_t turn_at_ms; /* of the scheduled turn; INT64_MAX: none */
    int64_t wall_off_ms;
    struct store *store;
    struct endpoint *workers, *clients;
    struct planner_thread *planner;
    struct scribe *scribe;
    struct guard *guard;
    uint64_t turns, restarts;
    size_t most_out;
};

struct world {
    struct settings set;
    struct dice content; /* what is asked for: the same whatever goes wrong */
    struct dice luck;    /* what goes wrong, and when */
    int64_t now_ms;
    bool calm; /* no more faults: what is left must end by itself */
    struct schedule schedule;
    uint64_t faults[FAULT_COUNT], events, messages, evicted;
    uint64_t trace;             /* hash of all that happened */
    struct blob_ref last_state; /* that a worker saved, for whatever task */
    bool bad_input;             /* a task fails for its input at this moment: its saved state may go */
    char broken[512];           /* the first promise that was broken; "": none */
    struct coordinator coordinator;
    struct network *network;
    struct disk *disk;
    struct store_dir *blobs;
    struct workers *workers;
    struct clients *clients;
    struct keys *keys;
    struct oracle *oracle;
};

/* The world under way: for functions of the farm that the simulator stands in for. */
extern struct world *world;

/* Runs one world to its end. False when a promise was broken: see w->broken. */
bool world_run(struct world *w, const struct settings *s);
void world_close(struct world *w);
/* A promise is broken: the run ends. Only the first one is kept. */
void world_break(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void world_trace(struct world *w, uint64_t what, uint64_t value);

void world_at(struct world *w, int64_t at_ms, event_handler *handler, uint32_t who, uint64_t token, void *data);

/* Throws for a fault that comes so often in a million at full intensity; counts it. */
bool fault_strikes(struct world *w, enum fault f, uint32_t per_million);
/* When the next one is due that comes every `mean_ms`. */
int64_t fault_next_ms(struct world *w, int64_t mean_ms);
void fault_count(struct world *w, enum fault f);

/* ---- coordinator ---- */
void coordinator_open(struct world *w);
void coordinator_close(struct world *w);
void coordinator_wake(struct world *w); /* something is there to be read */
/* Kills it at its next write, sync or message, this many from now. */
void coordinator_doom(struct world *w, uint32_t steps, bool power);
/* A write, sync or message is about to take effect. */
enum step { STEP_LIVES, STEP_DIES /* in this moment */, STEP_DEAD /* and nothing that it still does has an effect */ };
enum step coordinator_step(struct world *w);

int64_t coordinator_wall_ms(const struct world *w);

/* ---- network ---- */

/* Who is at the other end; workers are 0 and up. */
#define CLIENTS          8
#define PEER_CLIENTS     1000000
#define PEER_OPERATOR    1100000
#define PEER_JOINERS     1200000
#define PEER_TRESPASSERS 2000000

void network_open(struct world *w);
void network_close(struct world *w);
void network_from_worker(struct world *w, uint32_t worker, uint32_t connection, const void *data, size_t size);
void network_from_client(struct world *w, uint32_t client, const void *data, size_t size);
void network_from_peer(struct world *w, bool client, uint32_t peer, uint32_t connection, const struct curve_key *key,
                       const void *data, size_t size);
void network_cut(struct world *w, uint32_t worker, int64_t until_ms);
void network_coordinator_gone(struct world *w); /* what it had not read is lost */
struct endpoint *network_endpoint(struct world *w, bool clients);

/* ---- disk and blobs of the coordinator ---- */
void disk_open(struct world *w);
void disk_close(struct world *w);
void disk_lose_power(struct world *w);
uint64_t disk_syncs(const struct world *w);
int64_t disk_bytes(const struct world *w);
void blobs_open(struct world *w);
void blobs_close(struct world *w);
bool blobs_upload(struct world *w, const struct digest *d, const char *text); /* false: no room */
const char *blobs_text(struct world *w, const struct digest *d);              /* NULL: it is not there */
bool blobs_removed(struct world *w, const struct digest *d);                  /* by the farm itself */
/* Loses one stored output or state; the key is zero for the latter. Returns the key of its task; false when there is
 * none. */
bool blobs_lose_one(struct world *w, struct digest *key);

/* What a task of this key gives under a name. */
#define OUTPUT_ROOM 320
void output_of(const struct digest *key, const char *name, char *text, size_t room);
/* The state that a denoising of this key has after so many steps. */
void saved_state_of(const struct digest *key, uint32_t step, char *text, size_t room);
/* How bad a decoded shot of this key is: 0 passes its gates. */
int badness_of(const struct digest *key);

/* ---- workers ---- */
void workers_open(struct world *w);
void workers_close(struct world *w);
void worker_receive(struct world *w, uint32_t worker, uint32_t connection, const void *data, size_t size);
bool worker_connected(const struct world *w, uint32_t worker, uint32_t connection);
uint32_t worker_connection(const struct world *w, uint32_t worker);
int64_t worker_device_bytes(const struct world *w, uint32_t worker);
uint32_t worker_boots(const struct world *w, uint32_t worker);
void worker_rekeyed(struct world *w, uint32_t worker); /* it starts anew with another key */
void workers_reconnect(struct world *w);               /* the coordinator is back: every connection is a new one */
uint64_t workers_reports(const struct world *w);       /* not acknowledged yet */
bool task_poisoned(const struct digest *key, enum task_kind kind); /* its inputs cannot be used, wherever it runs */

/* ---- clients ---- */
void clients_open(struct world *w);
void clients_close(struct world *w);
void client_receive(struct world *w, uint32_t client, const void *data, size_t size);
bool clients_satisfied(const struct world *w);

/* ---- keys: three farms in four have them; where there are none, every key is none ---- */
void keys_open(struct world *w);
void keys_close(struct world *w);
bool keys_guard(struct world *w, struct guard **g, struct store *s, int64_t wall_ms, struct error *err);
/* With which it speaks at present. A client with a new key is a new connection. */
struct curve_key keys_worker(const struct world *w, uint32_t worker);
struct curve_key keys_client(const struct world *w, uint32_t client, uint32_t *connection);
bool keys_worker_joined(const struct world *w, uint32_t worker);
bool keys_client_joined(const struct world *w, uint32_t client);
/* Whether nobody has asked for its revocation; renewed: it has had another key before. */
bool keys_client_good(const struct world *w, uint32_t client, bool *renewed);
void keys_receive(struct world *w, uint32_t peer, uint32_t connection, const void *data, size_t size);
void keys_joined_sent(struct world *w, uint32_t peer, uint32_t connection);
void keys_trespasser_told(struct world *w, bool client, const void *data, size_t size);

/* ---- oracle ---- */
void oracle_open(struct world *w);
void oracle_close(struct world *w);
/* key: of the connection that it is for; NULL: nobody is at its other end any more. */
void oracle_sent(struct world *w, bool client, uint32_t peer, uint32_t connection, const struct curve_key *key,
                 const void *data, size_t size);
/* By the farm, just now. */
void oracle_read(struct world *w, uint32_t worker, const struct curve_key *key, const void *data, size_t size);
void oracle_checkpoint(struct world *w, const struct task *t);                      /* taken in this turn */
void oracle_too_small(struct world *w, const struct task *t, int64_t device_bytes); /* the farm was told */
void oracle_saved(struct world *w, bool durable);                                 /* what was committed in this turn */
void oracle_joined(struct world *w, const struct curve_key *key, enum role role); /* the farm says so */
void oracle_revoking(struct world *w, const struct curve_key *key);               /* the farm is asked to */
void oracle_revoked(struct world *w, const struct curve_key *key);                /* and says so */
bool oracle_key_revoked(const struct world *w, const struct curve_key *key);
void oracle_restarted(struct world *w);
void oracle_audit(struct world *w);
void oracle_end(struct world *w);
void oracle_key_lost(struct world *w, const struct digest *key);
void oracle_evicted(struct world *w, const struct digest *blob); /* the farm removed it, to make room */
/* A client submits this campaign (packed) under its token: what must come out of it is worked out. */
void oracle_expect(struct world *w, const void *campaign, size_t size);
void oracle_cancelled(struct world *w, const uint8_t token[16]);
uint64_t oracle_commits(const struct world *w);
uint64_t oracle_tasks(const struct world *w); /* that have ended */
void oracle_print(const struct world *w);

#endif

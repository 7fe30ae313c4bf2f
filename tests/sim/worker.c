/* worker - the real agent (worker/agent) on a simulated machine: a runner whose results are a function of the task's
 * key, an outbox that outlives the process, a clock of its own. Machines are killed, wiped, stalled, cut off and lied
 * about. */
#include "tests/sim/world.h"

#include "common/wire/codec.h"
#include "worker/agent.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GIB (INT64_C(1) << 30)

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

struct upload {
    struct result result;
    struct digest missing[RESULT_MAX_OUTPUTS];
    size_t count;
};

bool task_poisoned(const struct digest *key, enum task_kind kind)
{
    return (kind == TASK_DENOISE || kind == TASK_DECODE) && key->bytes[5] == 77 && key->bytes[6] < 32;
}

/* A tenth of all tasks need more memory than small machines have, half of these even when they are lean. */
static int64_t need_bytes(const struct digest *key, bool lean)
{
    return key->bytes[7] >= 26 ? GIB : lean && key->bytes[7] < 13 ? 3 * GIB : 6 * GIB;
}

static int64_t own_ms(const struct machine *m)
{
    return m->w->now_ms + m->skew_ms;
}

static void tick(struct world *w, uint32_t who, uint64_t token, void *data);
static void boot(struct world *w, uint32_t who, uint64_t token, void *data);

/* After everything that happened to the agent: when it wants its next tick, or whether its process has ended. */
static void look_after(struct machine *m)
{
    struct world *w = m->w;

    if (!m->agent)
        return;
    if (agent_state(m->agent) == AGENT_LEFT || agent_state(m->agent) == AGENT_REFUSED) {
        agent_free(&m->agent);
        m->job.runs = false;
        world_at(w, w->now_ms + dice_between(&w->luck, 500, 5000), boot, m->index, ++m->life, NULL);
        return;
    }
    int64_t at_ms = agent_deadline_ms(m->agent) - m->skew_ms;
    if (at_ms <= w->now_ms)
        at_ms = w->now_ms + 1;
    if (m->tick_at_ms > w->now_ms && m->tick_at_ms <= at_ms)
        return;
    m->tick_at_ms = at_ms;
    world_at(w, at_ms, tick, m->index, m->life, NULL);
}

/* Whether an event is for the process that lives now; one that stands still gets it later. */
static bool awake(struct world *w, uint32_t who, uint64_t token, event_handler *handler, void *data)
{
    struct machine *m = &w->workers->list[who];

    if (!m->agent || token != m->life) {
        free(data);
        return false;
    }
    if (w->now_ms < m->stalled_until_ms) {
        world_at(w, m->stalled_until_ms, handler, who, token, data);
        return false;
    }
    return true;
}

/* The steps that the job has behind it. */
static uint32_t step_now(const struct machine *m)
{
    const struct job *j = &m->job;
    const int64_t past_ms = m->w->now_ms - j->began_ms, half_ms = j->busy_ms / 2, steps = j->step_to - j->step_from;
    const int64_t done_ms = past_ms < half_ms                 ? past_ms
                            : past_ms < half_ms + j->hangs_ms ? half_ms
                                                              : past_ms - j->hangs_ms;

    return j->step_from + (uint32_t)(done_ms >= j->busy_ms ? steps : done_ms * steps / j->busy_ms);
}

static void tick(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct machine *m = &w->workers->list[who];

    if (!awake(w, who, token, tick, data))
        return;
    if (m->tick_at_ms > w->now_ms)
        return; /* an earlier one took its place */
    m->tick_at_ms = 0;
    if (m->job.runs && m->job.kind == TASK_DENOISE)
        agent_progress(m->agent, step_now(m) - m->job.step_from, m->job.step_to - m->job.step_from);
    agent_tick(m->agent, own_ms(m));
    look_after(m);
}

/* ---- the outbox ---- */

static void outbox_keep(struct machine *m, const struct result *r)
{
    if (m->outbox_count == m->outbox_room) {
        m->outbox_room = m->outbox_room ? 2 * m->outbox_room : 4;
        m->outbox = xrealloc(m->outbox, m->outbox_room * sizeof *m->outbox);
    }
    m->outbox[m->outbox_count++] = *r;
}

static void outbox_forget(struct machine *m, const struct result *r)
{
    for (size_t i = 0; i < m->outbox_count; i++)
        if (m->outbox[i].task == r->task && m->outbox[i].attempt == r->attempt &&
            digest_equal(&m->outbox[i].key, &r->key)) {
            m->outbox[i] = m->outbox[--m->outbox_count];
            return;
        }
}

/* ---- the runner ---- */

static void result_of(const struct job *j, bool spoilt, struct result *r)
{
    struct digest made_of = j->key;

    made_of.bytes[0] ^= spoilt;
    *r = (struct result){ .task = j->task, .attempt = j->attempt, .key = j->key, .busy_ms = j->busy_ms };
    for (enum output_name n = OUTPUT_EMBEDDING; n <= OUTPUT_VIDEO; n++) {
        char text[OUTPUT_ROOM];

        if (!output_required(j->kind, j->role, n))
            continue;
        output_of(&made_of, output_text(n), text, sizeof text);
        snprintf(r->outputs[r->count].name, sizeof r->outputs[r->count].name, "%s", output_text(n));
        r->outputs[r->count].digest = digest_of(text, strlen(text));
        r->outputs[r->count].bytes = (int64_t)strlen(text);
        r->count++;
    }
}

static void finish(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct machine *m = &w->workers->list[who];
    struct result *r = data;

    if (!awake(w, who, token, finish, data))
        return;
    if (!m->job.runs || m->job.task != r->task || m->job.attempt != r->attempt) {
        free(r);
        return;
    }
    m->job.runs = false;
    if (m->job.no_state) {
        agent_failed(m->agent, SHOTLINE__FAILURE_CLASS__FAILURE_WORKER, "the state is not there", own_ms(m));
    } else if (m->job.wrong_state) {
        agent_failed(m->agent, SHOTLINE__FAILURE_CLASS__FAILURE_INPUT, "the state is of another step", own_ms(m));
    } else if (m->job.cancelled) {
        agent_failed(m->agent, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED, "cancelled", own_ms(m));
    } else if (task_poisoned(&r->key, m->job.kind)) {
        agent_failed(m->agent, SHOTLINE__FAILURE_CLASS__FAILURE_INPUT, "poisoned", own_ms(m));
    } else if (m->device_bytes < need_bytes(&r->key, m->job.lean)) {
        fault_count(w, FAULT_TASK);
        agent_failed(m->agent, SHOTLINE__FAILURE_CLASS__FAILURE_MEMORY, "out of device memory", own_ms(m));
    } else if (fault_strikes(w, FAULT_TASK, 5000)) {
        agent_failed(m->agent, SHOTLINE__FAILURE_CLASS__FAILURE_WORKER, "the disk is full", own_ms(m));
    } else {
        /* The real runner sends its outputs first; a farm that lost some of them asks for them again. */
        for (size_t i = 0; w->coordinator.up && dice_u64(&w->luck) % 8 && i < r->count; i++) {
            char text[OUTPUT_ROOM];

            output_of(&r->key, r->outputs[i].name, text, sizeof text);
            blobs_upload(w, &r->outputs[i].digest, text);
        }
        outbox_keep(m, r);
        agent_done(m->agent, r, own_ms(m));
    }
    free(r);
    look_after(m);
}

/* ---- states of long tasks ---- */

static void save_now(struct machine *m)
{
    struct job *j = &m->job;
    struct saved *s = &m->saved[m->saved_next++ % SAVED];
    const uint32_t step = step_now(m);
    char text[OUTPUT_ROOM];

    if (j->kind != TASK_DENOISE || step <= j->step_saved || step >= j->step_to)
        return;
    j->step_saved = step;
    saved_state_of(&j->key, step, text, sizeof text);
    *s = (struct saved){ .digest = digest_of(text, strlen(text)), .key = j->key, .step = step };
    agent_checkpoint(m->agent, step, &s->digest, (int64_t)strlen(text));
}

static void save_again(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct machine *m = &w->workers->list[who];
    const struct job *of = data;

    if (!awake(w, who, token, save_again, data))
        return;
    if (!m->job.runs || m->job.cancelled || m->job.task != of->task || m->job.attempt != of->attempt) {
        free(data);
        return;
    }
    save_now(m);
    world_at(w, w->now_ms + m->job.save_every_ms, save_again, who, token, data);
    look_after(m);
}

static void state_sent(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct machine *m = &w->workers->list[who];
    const struct saved *s = data;
    char text[OUTPUT_ROOM];

    if (!awake(w, who, token, state_sent, data))
        return;
    saved_state_of(&s->key, s->step, text, sizeof text);
    agent_saved(m->agent, w->coordinator.up && blobs_upload(w, &s->digest, text), own_ms(m));
    free(data);
    look_after(m);
}

static void hook_save(void *context, const struct digest *state)
{
    struct machine *m = context;

    for (uint32_t i = 0; i < SAVED; i++)
        if (digest_equal(&m->saved[i].digest, state)) {
            struct saved *copy = xmalloc(sizeof *copy);

            *copy = m->saved[i];
            world_at(m->w, m->w->now_ms + dice_between(&m->w->luck, 2, 200), state_sent, m->index, m->life, copy);
            return;
        }
    world_break(m->w, "%s: the agent sends a state that was never saved", m->name);
}

/* A state says how many steps it has behind it, and not of which task: false, when nothing good can come from it. */
static bool take_state(struct machine *m, const Shotline__DenoiseTask *d)
{
    struct job *j = &m->job;
    struct digest state;
    char hex[DIGEST_HEX_ROOM];
    uint32_t step;
    int end = 0;

    j->step_from = j->step_saved = d->step_from;
    j->step_to = d->step_to;
    j->role = d->step_to < d->steps ? ROLE_ANCHOR : ROLE_RANGE;
    j->busy_ms = j->busy_ms * (j->step_to - j->step_from) / 4;
    const char *there = d->state && codec_digest(&state, &d->state->digest) ? blobs_text(m->w, &state) : "";
    j->no_state = !there;
    if (!there || sscanf(there, "saved %" SCNu32 " of %n", &step, &end) != 1)
        return true;
    j->wrong_state = step != d->step_from;
    digest_hex(&j->key, hex);
    return !strcmp(there + end, hex);
}

static void hook_start(void *context, const Shotline__Lease *lease)
{
    const Shotline__TaskSpec *spec = lease->spec;
    static const int64_t usual_ms[TASK_KINDS] = { 0, 400, 900, 3000, 1500, 1200 };
    struct machine *m = context;
    struct result *r = xcalloc(1, sizeof *r);

    m->job = (struct job){ .runs = true,
                           .task = lease->task,
                           .attempt = lease->attempt,
                           .kind = (enum task_kind)spec->kind,
                           .began_ms = m->w->now_ms };
    m->job.lean = spec->profile == SHOTLINE__PROFILE__PROFILE_LEAN;
    codec_digest(&m->job.key, &spec->key);
    m->job.busy_ms = usual_ms[m->job.kind] * m->slowness * dice_between(&m->w->luck, 60, 140) / 10000;
    m->job.save_every_ms = lease->checkpoint_ms;
    if (fault_strikes(m->w, FAULT_HANG, 2000))
        m->job.hangs_ms = dice_between(&m->w->luck, 30000, 500000);
    const bool spoilt = spec->denoise && !take_state(m, spec->denoise);
    result_of(&m->job, spoilt, r);
    world_at(m->w, m->w->now_ms + m->job.busy_ms + m->job.hangs_ms, finish, m->index, m->life, r);
    if (spec->denoise && m->job.save_every_ms) {
        struct job *copy = xmalloc(sizeof *copy);

        *copy = m->job;
        world_at(m->w, m->w->now_ms + m->job.save_every_ms, save_again, m->index, m->life, copy);
    }
}

static void hook_cancel(void *context)
{
    struct machine *m = context;
    struct result *r = xcalloc(1, sizeof *r);

    m->job.cancelled = true;
    r->task = m->job.task;
    r->attempt = m->job.attempt;
    world_at(m->w, m->w->now_ms + 20, finish, m->index, m->life, r);
}

static void hook_hand_over(void *context)
{
    save_now(context);
    hook_cancel(context);
}

/* ---- the other hooks ---- */

static void hook_send(void *context, const Shotline__ToCoordinator *message)
{
    struct machine *m = context;
    struct str packed = { 0 };

    codec_pack(&message->base, &packed);
    network_from_worker(m->w, m->index, m->connection, packed.data, packed.size);
    str_free(&packed);
}

static void hook_reconnect(void *context)
{
    ((struct machine *)context)->connection++;
}

static void pack_here(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct machine *m = &w->workers->list[who];
    const struct digest *pack = data;

    if (!awake(w, who, token, pack_here, data))
        return;
    if (digest_equal(pack, &m->pack)) {
        m->has_pack = true;
        agent_pack_held(m->agent, pack, own_ms(m));
    } else {
        agent_pack_failed(m->agent, pack, own_ms(m)); /* a garbled welcome named it */
    }
    free(data);
    look_after(m);
}

static void hook_fetch_pack(void *context, const struct digest *pack, const struct digest *listing)
{
    struct machine *m = context;
    struct digest *copy = xmalloc(sizeof *copy);

    (void)listing;
    *copy = *pack;
    if (m->w->coordinator.up)
        m->pack = m->w->coordinator.farm.ledger.keys.pack;
    world_at(m->w, m->w->now_ms + 300, pack_here, m->index, m->life, copy);
}

/* Blobs travel on a connection of their own, which is not simulated: they arrive, or find no room and are sent again.
 */
static void upload(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct machine *m = &w->workers->list[who];
    struct upload *u = data;

    if (!awake(w, who, token, upload, data))
        return;
    bool lost = fault_strikes(w, FAULT_LOST_OUTPUT, 1000), stored = w->coordinator.up;

    for (size_t i = 0; !lost && stored && i < u->count; i++)
        for (size_t k = 0; k < u->result.count; k++) {
            char text[OUTPUT_ROOM];

            if (!digest_equal(&u->missing[i], &u->result.outputs[k].digest))
                continue;
            output_of(&u->result.key, u->result.outputs[k].name, text, sizeof text);
            stored = stored && blobs_upload(w, &u->missing[i], text);
        }
    if (!lost && !stored) {
        world_at(w, w->now_ms + 1000, upload, who, token, data);
        return;
    }
    agent_uploaded(m->agent, u->result.task, u->result.attempt, !lost, "the blob is damaged", own_ms(m));
    free(u);
    look_after(m);
}

static void hook_upload(void *context, const struct result *r, const struct digest *missing, size_t count)
{
    struct machine *m = context;
    struct upload *u = xcalloc(1, sizeof *u);

    u->result = *r;
    u->count = count;
    memcpy(u->missing, missing, count * sizeof *missing);
    world_at(m->w, m->w->now_ms + dice_between(&m->w->luck, 2, 40), upload, m->index, m->life, u);
}

static void hook_settled(void *context, const struct result *r)
{
    outbox_forget(context, r);
}

/* ---- processes ---- */

static void boot(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct machine *m = &w->workers->list[who];
    const struct agent_hooks hooks = { .context = m,
                                       .send = hook_send,
                                       .reconnect = hook_reconnect,
                                       .start = hook_start,
                                       .cancel = hook_cancel,
                                       .hand_over = hook_hand_over,
                                       .save = hook_save,
                                       .fetch_pack = hook_fetch_pack,
                                       .upload = hook_upload,
                                       .settled = hook_settled };
    struct agent_identity id = {
        .name = m->name,
        .device = "dice",
        .device_bytes = m->device_bytes,
        .kernel_proof = { { 42 } },
        .patience_ms = 3000,
    };

    (void)data;
    if (m->agent || token != m->life)
        return;
    m->boot++;
    m->connection++;
    m->tick_at_ms = 0;
    memcpy(id.boot_id, &m->boot, sizeof m->boot);
    memcpy(id.boot_id + 4, &m->index, sizeof m->index);
    m->agent = agent_new(&id, &hooks, own_ms(m));
    if (m->has_pack)
        agent_pack_held(m->agent, &m->pack, own_ms(m));
    for (size_t i = 0; i < m->outbox_count; i++)
        agent_restore(m->agent, &m->outbox[i], own_ms(m));
    agent_tick(m->agent, own_ms(m));
    look_after(m);
}

void worker_rekeyed(struct world *w, uint32_t worker)
{
    struct machine *m = &w->workers->list[worker];

    agent_free(&m->agent);
    m->job.runs = false;
    m->stalled_until_ms = 0;
    world_at(w, w->now_ms + dice_between(&w->luck, 1, 1000), boot, m->index, ++m->life, NULL);
}

static void kill_machine(struct machine *m, bool wipe)
{
    struct world *w = m->w;

    agent_free(&m->agent);
    m->job.runs = false;
    m->stalled_until_ms = 0;
    if (wipe) {
        m->outbox_count = 0;
        m->has_pack = false;
    }
    world_at(w, w->now_ms + dice_between(&w->luck, 200, 30000), boot, m->index, ++m->life, NULL);
}

/* Says that a task is done which somebody else has, or nobody. */
static void forge(struct machine *m)
{
    struct world *w = m->w;
    Shotline__ToCoordinator message = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerDone done = SHOTLINE__WORKER_DONE__INIT;
    struct str packed = { 0 };

    if (!w->coordinator.up || !w->coordinator.farm.ledger.last_task)
        return;
    done.task = (uint64_t)dice_between(&w->luck, 1, (int64_t)w->coordinator.farm.ledger.last_task);
    done.attempt = (uint32_t)dice_between(&w->luck, 1, 3);
    if (m->job.runs && m->job.task == done.task) /* that would be no lie */
        return;
    for (size_t i = 0; i < m->outbox_count; i++)
        if (m->outbox[i].task == done.task)
            return;
    fault_count(w, FAULT_FORGE);
    message.done = &done;
    codec_pack(&message.base, &packed);
    network_from_worker(w, dice_u64(&w->luck) & 1 ? m->index : w->set.workers + 1, m->connection, packed.data,
                        packed.size);
    str_free(&packed);
}

static void harm(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct machine *m = &w->workers->list[dice_between(&w->luck, 0, w->set.workers - 1)];

    (void)who, (void)token, (void)data;
    if (w->calm)
        return;
    if (m->agent)
        switch (dice_between(&w->luck, 0, 9)) {
        case 0:
            fault_count(w, FAULT_WORKER_KILL);
            kill_machine(m, false);
            break;
        case 1:
            fault_count(w, FAULT_WORKER_WIPE);
            kill_machine(m, true);
            break;
        case 2:
            fault_count(w, FAULT_STALL);
            m->stalled_until_ms = w->now_ms + dice_between(&w->luck, 1000, 40000);
            break;
        case 3:
            fault_count(w, FAULT_CLOCK);
            m->skew_ms += dice_between(&w->luck, 1000, 60000);
            break;
        case 4:
            network_cut(w, m->index, w->now_ms + dice_between(&w->luck, 1000, 30000));
            break;
        case 5:
            agent_leave(m->agent, own_ms(m));
            look_after(m);
            break;
        case 6:
        case 7:
            fault_count(w, FAULT_RECONNECT);
            m->connection++;
            break;
        default:
            forge(m);
        }
    world_at(w, fault_next_ms(w, 1 + 8000 / w->set.workers), harm, 0, 0, NULL);
}

/* ---- what others ask ---- */

bool worker_connected(const struct world *w, uint32_t worker, uint32_t connection)
{
    return worker < w->set.workers && w->workers->list[worker].agent &&
           w->workers->list[worker].connection == connection;
}

uint32_t worker_connection(const struct world *w, uint32_t worker)
{
    return w->workers->list[worker].connection;
}

int64_t worker_device_bytes(const struct world *w, uint32_t worker)
{
    return w->workers->list[worker].device_bytes;
}

uint32_t worker_boots(const struct world *w, uint32_t worker)
{
    return w->workers->list[worker].boot;
}

void workers_reconnect(struct world *w)
{
    for (uint32_t i = 0; w->workers && i < w->set.workers; i++)
        w->workers->list[i].connection++;
}

uint64_t workers_reports(const struct world *w)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < w->set.workers; i++)
        sum += w->workers->list[i].outbox_count;
    return sum;
}

struct letter {
    uint32_t connection;
    size_t size;
    uint8_t data[];
};

static void read_letter(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct letter *l = data;

    if (!awake(w, who, token, read_letter, data))
        return;
    worker_receive(w, who, l->connection, l->data, l->size);
    free(l);
}

void worker_receive(struct world *w, uint32_t worker, uint32_t connection, const void *data, size_t size)
{
    struct machine *m = &w->workers->list[worker];
    struct arena arena = { 0 };
    struct error why;

    if (!worker_connected(w, worker, connection))
        return;
    if (w->now_ms < m->stalled_until_ms) {
        struct letter *l = xmalloc(sizeof *l + size);

        l->connection = connection;
        l->size = size;
        memcpy(l->data, data, size);
        world_at(w, m->stalled_until_ms, read_letter, worker, m->life, l);
        return;
    }
    const Shotline__ToWorker *message = codec_unpack(&shotline__to_worker__descriptor, data, size, &arena, &why);
    if (message)
        agent_message(m->agent, message, own_ms(m));
    arena_free(&arena);
    look_after(m);
}

void workers_open(struct world *w)
{
    w->workers = xcalloc(1, sizeof *w->workers);
    w->workers->list = xcalloc(w->set.workers, sizeof *w->workers->list);
    for (uint32_t i = 0; i < w->set.workers; i++) {
        struct machine *m = &w->workers->list[i];

        m->w = w;
        m->index = i;
        snprintf(m->name, sizeof m->name, "w%" PRIu32, i);
        m->device_bytes = (i % 4 ? 8 : 4) * GIB;
        m->slowness = dice_between(&w->content, 50, 300);
        if (keys_worker_joined(w, i)) /* else it starts with its key */
            world_at(w, w->now_ms + dice_between(&w->luck, 1, 3000), boot, i, 0, NULL);
    }
    if (!w->calm)
        world_at(w, fault_next_ms(w, 1 + 8000 / w->set.workers), harm, 0, 0, NULL);
}

void workers_close(struct world *w)
{
    if (!w->workers)
        return;
    for (uint32_t i = 0; i < w->set.workers; i++) {
        agent_free(&w->workers->list[i].agent);
        free(w->workers->list[i].outbox);
    }
    free(w->workers->list);
    free(w->workers);
    w->workers = NULL;
}

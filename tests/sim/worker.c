/* worker - the real agent (worker/agent) on a simulated machine: an outbox that outlives the process, a clock of its
 * own; standin.c does its tasks. Machines are killed, wiped, stalled, cut off and lied about. */
#include "tests/sim/machine.h"

#include "common/wire/codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GIB (INT64_C(1) << 30)

struct upload {
    struct result result;
    struct digest missing[RESULT_MAX_OUTPUTS];
    size_t count;
};

int64_t machine_ms(const struct machine *m)
{
    return m->w->now_ms + m->skew_ms;
}

static void tick(struct world *w, uint32_t who, uint64_t token, void *data);
static void boot(struct world *w, uint32_t who, uint64_t token, void *data);

void machine_look_after(struct machine *m)
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

bool machine_awake(struct world *w, uint32_t who, uint64_t token, event_handler *handler, void *data)
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

static void tick(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct machine *m = &w->workers->list[who];

    if (!machine_awake(w, who, token, tick, data))
        return;
    if (m->tick_at_ms > w->now_ms)
        return; /* an earlier one took its place */
    m->tick_at_ms = 0;
    if (m->job.runs && m->job.kind == TASK_DENOISE)
        agent_progress(m->agent, standin_step(m) - m->job.step_from, m->job.step_to - m->job.step_from);
    agent_tick(m->agent, machine_ms(m));
    machine_look_after(m);
}

/* ---- the outbox ---- */

void machine_keep(struct machine *m, const struct result *r)
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

    if (!machine_awake(w, who, token, pack_here, data))
        return;
    if (digest_equal(pack, &m->pack)) {
        m->has_pack = true;
        agent_pack_held(m->agent, pack, machine_ms(m));
    } else {
        agent_pack_failed(m->agent, pack, machine_ms(m)); /* a garbled welcome named it */
    }
    free(data);
    machine_look_after(m);
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

    if (!machine_awake(w, who, token, upload, data))
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
    agent_uploaded(m->agent, u->result.task, u->result.attempt, !lost, "the blob is damaged", machine_ms(m));
    free(u);
    machine_look_after(m);
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
                                       .start = standin_start,
                                       .cancel = standin_cancel,
                                       .hand_over = standin_hand_over,
                                       .save = standin_save,
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
    m->agent = agent_new(&id, &hooks, machine_ms(m));
    if (m->has_pack)
        agent_pack_held(m->agent, &m->pack, machine_ms(m));
    for (size_t i = 0; i < m->outbox_count; i++)
        agent_restore(m->agent, &m->outbox[i], machine_ms(m));
    agent_tick(m->agent, machine_ms(m));
    machine_look_after(m);
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
            agent_leave(m->agent, machine_ms(m));
            machine_look_after(m);
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

    if (!machine_awake(w, who, token, read_letter, data))
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
        agent_message(m->agent, message, machine_ms(m));
    arena_free(&arena);
    machine_look_after(m);
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

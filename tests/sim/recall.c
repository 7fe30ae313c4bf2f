/* recall - what the farm must not forget of a task, whatever it goes through: its last attempt, its result, the states
 * that were saved of it, and the devices that were too small for it. */
#include "tests/sim/oracle.h"

#include "common/wire/codec.h"
#include "coordinator/farm/shelf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Also of a campaign that has ended and is on the shelf; NULL: unknown. */
struct task *recall_find_task(struct world *w, uint64_t id)
{
    struct error err;

    return shelf_task(&w->coordinator.farm, (struct task_id){ id }, &err);
}

/* A task that was leased: in memory, or with its ended campaign on the shelf, from where it is read only when all are
 * looked at. True: it is there, and *t may be looked at unless it is NULL. */
static bool remembers(struct world *w, uint64_t id, bool all, const struct task **t)
{
    const struct ledger *l = &w->coordinator.farm.ledger;
    const struct campaign *c = ledger_campaign(l, (struct campaign_id){ w->oracle->leased[id].campaign });

    *t = all ? recall_find_task(w, id) : ledger_task(l, (struct task_id){ id });
    return *t || (!all && c && c->shelved);
}

void recall_check(struct world *w, bool all)
{
    const struct oracle *o = w->oracle;
    const struct task *t;

    for (size_t i = 0; i < o->commit_count; i++) {
        const struct commit *c = o->commit_list[i];

        if (!c->done || c->lost)
            continue;
        if (!remembers(w, c->task, all, &t))
            world_break(w, "task %" PRIu64 ": its result was committed, and after a restart it is unknown", c->task);
        else if (t && t->state != TASK_DONE && !work_ended(t->video->state))
            world_break(w, "task %" PRIu64 ": its result was committed, and after a restart it is %s", c->task,
                        task_state_name(t->state));
    }
    for (size_t id = 1; id < o->leased_room; id++) {
        const uint32_t last = o->leased[id].attempt;

        if (!last)
            continue;
        if (!remembers(w, id, all, &t))
            world_break(w, "task %zu: attempt %" PRIu32 " was leased, and after a restart it is unknown", id, last);
        else if (t && t->attempt.v < last)
            world_break(w, "task %zu: attempt %" PRIu32 " was leased, and after a restart the last one is %" PRIu32, id,
                        last, t->attempt.v);
    }
}

/* ---- want of memory ---- */

void oracle_too_small(struct world *w, const struct task *t, int64_t device_bytes)
{
    struct oracle *o = w->oracle;

    if (o->too_small_count == sizeof o->too_small / sizeof *o->too_small)
        world_break(w, "more than %zu failures in one turn", o->too_small_count);
    else
        o->too_small[o->too_small_count++] = (struct too_small){ t->id.v, t->profile, device_bytes };
}

static void save_too_small(struct oracle *o, bool durable)
{
    for (size_t i = 0; durable && i < o->too_small_count; i++) {
        const struct too_small *s = &o->too_small[i];
        int64_t *most = &o->leased[s->task].too_small_bytes[s->profile == PROFILE_LEAN];

        if (s->device_bytes > *most)
            *most = s->device_bytes;
    }
    o->too_small_count = 0;
}

static void check_device(struct world *w, uint32_t worker, const Shotline__Lease *lease)
{
    const bool lean = lease->spec->profile == SHOTLINE__PROFILE__PROFILE_LEAN;
    const int64_t device_bytes = worker_device_bytes(w, worker);

    if (device_bytes <= w->oracle->leased[lease->task].too_small_bytes[lean])
        world_break(w, "task %" PRIu64 ": leased to a device of %" PRId64 " MiB, where it had too little memory before",
                    lease->task, device_bytes >> 20);
}

/* ---- saved states ---- */

/* A denoising begins where its task says, or goes on from a state of its own that is there. (Which step it is of is for
 * the worker to see: a garbled message may have said another one.) */
static void check_state(struct world *w, const Shotline__Lease *lease, bool first)
{
    const struct task *t = ledger_task(&w->coordinator.farm.ledger, (struct task_id){ lease->task });
    const Shotline__DenoiseTask *d = lease->spec->denoise;
    char hex[DIGEST_HEX_ROOM];
    struct digest state;

    if (!t || !d || (int64_t)d->step_from == t->denoise.step_from)
        return;
    w->oracle->resumed += first;
    const char *there = d->state && codec_digest(&state, &d->state->digest) ? blobs_text(w, &state) : NULL;
    digest_hex(&t->key, hex);
    if (!there && d->state && blobs_removed(w, &state)) /* else it was lost in the meantime: the worker will see */
        world_break(w, "task %" PRIu64 ": it is to go on from a state that the farm has thrown away", lease->task);
    else if (there && (strncmp(there, "saved ", 6) || !strstr(there, hex)))
        world_break(w, "task %" PRIu64 ": it is to go on from what is no state of its own", lease->task);
}

void oracle_checkpoint(struct world *w, const struct task *t)
{
    struct oracle *o = w->oracle;

    if (o->kept_count == o->kept_room) {
        o->kept_room = o->kept_room ? 2 * o->kept_room : 64;
        o->kept_list = xrealloc(o->kept_list, o->kept_room * sizeof(struct kept *));
    }
    struct kept *k = o->kept_list[o->kept_count++] = xcalloc(1, sizeof *k);
    *k = (struct kept){ .state = t->checkpoint.digest, .task = t->id.v, .step = t->checkpoint_step };
    struct kept *same = index_get(&o->kept, mark(&k->state)); /* of a twin, or of this task before it was lost */
    if (same)
        same->dropped = true;
    index_put(&o->kept, mark(&k->state), k);
}

void __real_ledger_drop_blob(struct ledger *l, const struct digest *d);
void __wrap_ledger_drop_blob(struct ledger *l, const struct digest *d);
void __wrap_ledger_drop_blob(struct ledger *l, const struct digest *d)
{
    struct kept *k = index_get(&world->oracle->kept, mark(d));

    if (k)
        k->dropped = true;
    __real_ledger_drop_blob(l, d);
}

void __real_task_forget_checkpoint(struct ledger *l, struct task *t);
void __wrap_task_forget_checkpoint(struct ledger *l, struct task *t);
void __wrap_task_forget_checkpoint(struct ledger *l, struct task *t)
{
    if (!world->bad_input && blobs_text(world, &t->checkpoint.digest))
        world_break(world, "task %" PRIu64 ": its saved state was given up, and it is there", t->id.v);
    __real_task_forget_checkpoint(l, t);
}

static bool starts_from(const struct task *t, const struct digest *d)
{
    for (uint32_t k = 0; k < t->input_count; k++)
        if (t->inputs[k].known && digest_equal(&t->inputs[k].blob.digest, d))
            return true;
    return t->checkpoint_step && digest_equal(&t->checkpoint.digest, d);
}

void oracle_evicted(struct world *w, const struct digest *blob)
{
    const struct ledger *l = &w->coordinator.farm.ledger;

    if (ledger_keeps_blob(l, blob))
        world_break(w, "a finished video, its manifest or a reference image was removed to make room");
    for (size_t i = 0; i < l->campaign_count; i++)
        for (uint32_t k = 0; k < l->campaigns[i]->video_count; k++) {
            const struct video *v = &l->campaigns[i]->videos[k];

            for (uint32_t n = 0; n < v->task_count && !work_ended(v->state); n++)
                if (!task_ended(v->tasks[n].state) && starts_from(&v->tasks[n], blob))
                    world_break(w, "task %" PRIu64 ": what it starts from was removed to make room", v->tasks[n].id.v);
        }
}

/* What was saved is still to be gone on from. */
static void check_kept(struct world *w)
{
    const struct oracle *o = w->oracle;

    for (size_t i = 0; i < o->kept_count; i++) {
        const struct kept *k = o->kept_list[i];
        const struct task *t = ledger_task(&w->coordinator.farm.ledger, (struct task_id){ k->task });

        if (k->durable && !k->dropped && t && !task_ended(t->state) && t->checkpoint_step < k->step)
            world_break(w, "task %" PRIu64 ": its state was saved at step %" PRIu32 ", and after a restart at %" PRIu32,
                        k->task, k->step, t->checkpoint_step);
    }
}

/* ---- turns and starts ---- */

void recall_check_lease(struct world *w, uint32_t worker, const Shotline__Lease *lease, bool first)
{
    check_state(w, lease, first);
    if (first)
        check_device(w, worker, lease);
}

void recall_saved(struct oracle *o, bool durable)
{
    save_too_small(o, durable);
    for (; durable && o->kept_durable < o->kept_count; o->kept_durable++)
        o->kept_list[o->kept_durable]->durable = true;
}

void recall_restarted(struct world *w)
{
    check_kept(w);
    w->oracle->kept_durable = w->oracle->kept_count; /* the rest may or may not be there */
    recall_check(w, w->coordinator.restarts % 16 == 0);
}

void recall_close(struct oracle *o)
{
    for (size_t i = 0; i < o->kept_count; i++)
        free(o->kept_list[i]);
    free(o->kept_list);
    index_free(&o->kept);
}

/* oracle - what the farm promised, watched from outside: every message that leaves it, every result that it commits,
 * and what is left after each death. What must come out of a campaign is worked out by hand, in order, with nothing
 * going wrong.
 *
 * The functions named __wrap_X stand between the farm's own files and X (see CMakeLists.txt: -Wl,--wrap). Here they
 * only watch; the bugs that plants put in are in plants.c. */
#include "tests/sim/oracle.h"

#include "common/base/log.h"
#include "common/wire/codec.h"
#include "proto/client.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what leaves the farm ---- */

static void lease_sent(struct world *w, uint32_t worker, const Shotline__Lease *lease)
{
    struct oracle *o = w->oracle;

    if (lease->task >= o->leased_room) {
        size_t room = 2 * lease->task + 1024;

        o->leased = xrealloc(o->leased, room * sizeof *o->leased);
        memset(o->leased + o->leased_room, 0, (room - o->leased_room) * sizeof *o->leased);
        o->leased_room = room;
    }
    struct leased *l = &o->leased[lease->task];
    o->leases++;
    world_trace(w, lease->task, lease->attempt);
    if (lease->attempt < l->attempt)
        world_break(w, "task %" PRIu64 ": attempt %" PRIu32 " was leased after attempt %" PRIu32, lease->task,
                    lease->attempt, l->attempt);
    if (lease->attempt == l->attempt && l->worker != worker)
        world_break(w, "task %" PRIu64 ": attempt %" PRIu32 " was leased to w%" PRIu32 " and to w%" PRIu32, lease->task,
                    lease->attempt, l->worker, worker);
    recall_check_lease(w, worker, lease, lease->attempt > l->attempt);
    const struct task *t = ledger_task(&w->coordinator.farm.ledger, (struct task_id){ lease->task });
    l->attempt = lease->attempt;
    l->worker = worker;
    l->campaign = t ? t->video->campaign->id.v : 0;
    l->history[lease->attempt % HISTORY] = worker + 1;
}

/* The token of a campaign that the farm has, and whether it has it under one id only. */
static void submitted_sent(struct world *w, uint64_t id)
{
    const struct campaign *c = ledger_campaign(&w->coordinator.farm.ledger, (struct campaign_id){ id });
    struct expected *e = c ? expected_of(w->oracle, c->token) : NULL;

    if (!e) {
        world_break(w, "campaign %" PRIu64 " was accepted and is not there", id);
        return;
    }
    if (e->id && e->id != id)
        world_break(w, "one token was accepted twice: campaigns %" PRIu64 " and %" PRIu64, e->id, id);
    e->id = id;
}

static void sent_to_client(struct world *w, uint32_t peer, uint32_t connection, const struct curve_key *key,
                           const Shotline__FromFarm *m)
{
    if (m->joined)
        keys_joined_sent(w, peer, connection);
    if (m->submitted)
        submitted_sent(w, m->submitted->campaign);
    if (key && (m->submitted || m->cancelled))
        rights_check(w, key, ROLE_SUBMITTER, m->submitted ? "a campaign was accepted" : "a campaign was cancelled");
}

static void sent_to_worker(struct world *w, uint32_t worker, const struct curve_key *key, const Shotline__ToWorker *m)
{
    if (m->lease)
        lease_sent(w, worker, m->lease);
    if (key && m->lease)
        rights_check(w, key, ROLE_WORKER, "a task was leased");
    if (key && m->refused)
        rights_check_refused(w, key, m->refused->reason);
    if (m->ack && m->ack->verdict == SHOTLINE__REPORT_VERDICT__REPORT_SUPERSEDED)
        w->oracle->superseded++;
}

void oracle_sent(struct world *w, bool client, uint32_t peer, uint32_t connection, const struct curve_key *key,
                 const void *data, size_t size)
{
    struct arena arena = { 0 };
    struct error err;

    if (client) {
        const Shotline__FromFarm *m = codec_unpack(&shotline__from_farm__descriptor, data, size, &arena, &err);

        if (m)
            sent_to_client(w, peer, connection, key, m);
    } else {
        const Shotline__ToWorker *m = codec_unpack(&shotline__to_worker__descriptor, data, size, &arena, &err);

        if (m)
            sent_to_worker(w, peer, key, m);
    }
    arena_free(&arena);
}

/* ---- what is committed ---- */

void oracle_read(struct world *w, uint32_t worker, const struct curve_key *key, const void *data, size_t size)
{
    w->oracle->reading_key = *key;
    w->oracle->reading = data;
    w->oracle->reading_size = size;
    w->oracle->reading_worker = worker;
}

/* No result is taken past a lease that somebody else has, nor of an attempt that its sender never had. */
static void check_fence(struct world *w, const struct digest *key, const Shotline__WorkerDone *d)
{
    const struct oracle *o = w->oracle;
    const struct task *t = recall_find_task(w, d->task);
    const struct leased *l = d->task < o->leased_room ? &o->leased[d->task] : NULL;

    if (!t || !l || !digest_equal(&t->key, key))
        world_break(w, "a result was taken for task %" PRIu64 ", which was never leased, or under another key",
                    d->task);
    else if (d->attempt > l->attempt || l->history[d->attempt % HISTORY] != o->reading_worker + 1)
        world_break(w, "task %" PRIu64 ": attempt %" PRIu32 " of w%" PRIu32 " was taken, and was never leased to it",
                    d->task, d->attempt, o->reading_worker);
    else if (t->state == TASK_RUNNING && d->attempt != t->attempt.v)
        world_break(w,
                    "task %" PRIu64 ": attempt %" PRIu32 " of w%" PRIu32 " was taken while attempt %" PRIu32
                    " has the lease",
                    d->task, d->attempt, o->reading_worker, t->attempt.v);
}

static struct commit *commit_of(struct oracle *o, const struct digest *key)
{
    struct commit *c = index_get(&o->commits, mark(key));

    if (c)
        return c;
    c = xcalloc(1, sizeof *c);
    c->key = *key;
    index_put(&o->commits, mark(key), c);
    if (o->commit_count == o->commit_room) {
        o->commit_room = o->commit_room ? 2 * o->commit_room : 1024;
        o->commit_list = xrealloc(o->commit_list, o->commit_room * sizeof(struct commit *));
    }
    return o->commit_list[o->commit_count++] = c;
}

bool __real_store_put_result(struct store *s, const struct digest *key, const struct task_output *outputs,
                             uint32_t count, struct error *err);
bool __wrap_store_put_result(struct store *s, const struct digest *key, const struct task_output *outputs,
                             uint32_t count, struct error *err);
bool __wrap_store_put_result(struct store *s, const struct digest *key, const struct task_output *outputs,
                             uint32_t count, struct error *err)
{
    struct oracle *o = world->oracle;
    struct commit *c = commit_of(o, key);
    struct arena arena = { 0 };
    struct error fault;
    const Shotline__ToCoordinator *m =
        codec_unpack(&shotline__to_coordinator__descriptor, o->reading, o->reading_size, &arena, &fault);

    if (!m || !m->done)
        world_break(world, "a result was stored without a report");
    else
        check_fence(world, key, m->done);
    rights_check(world, &o->reading_key, ROLE_WORKER, "a result was taken");
    if (c->done && !c->lost)
        world_break(world, "task %" PRIu64 ": its result was committed already, for task %" PRIu64,
                    m && m->done ? m->done->task : 0, c->task);
    c->task = m && m->done ? m->done->task : 0;
    for (uint32_t i = 0; i < count; i++) {
        char text[OUTPUT_ROOM];

        output_of(key, output_text(outputs[i].name), text, sizeof text);
        const struct digest d = digest_of(text, strlen(text));
        if (!digest_equal(&d, &outputs[i].blob.digest))
            world_break(world, "task %" PRIu64 ": output %s has another digest than its key says", c->task,
                        output_text(outputs[i].name));
    }
    arena_free(&arena);
    if (o->pending_count == sizeof o->pending / sizeof *o->pending)
        world_break(world, "more than %zu results in one turn", o->pending_count);
    else
        o->pending[o->pending_count++] = c;
    return __real_store_put_result(s, key, outputs, count, err);
}

void oracle_saved(struct world *w, bool durable)
{
    struct oracle *o = w->oracle;

    log_debug("sim.saved", "durable=%d results=%zu", durable, o->pending_count);
    recall_saved(o, durable);
    if (!durable) /* whether they are there is seen when the farm is back */
        return;
    for (size_t i = 0; i < o->pending_count; i++) {
        o->pending[i]->done = true;
        o->pending[i]->lost = false;
        o->done++;
    }
    o->pending_count = 0;
}

void oracle_key_lost(struct world *w, const struct digest *key)
{
    struct commit *c = index_get(&w->oracle->commits, mark(key));

    if (c)
        c->lost = true;
}

uint64_t oracle_commits(const struct world *w)
{
    return w->oracle->done;
}

/* ---- what is left after a death ---- */

void oracle_restarted(struct world *w)
{
    struct oracle *o = w->oracle;
    struct farm *f = &w->coordinator.farm;
    struct task_output outputs[TASK_MAX_OUTPUTS];

    rights_check_guard(w);
    for (size_t i = 0; i < o->pending_count; i++)
        if (!o->pending[i]->done && store_find_result(f->store, &o->pending[i]->key, outputs)) {
            o->pending[i]->done = true;
            o->done++;
        }
    o->pending_count = 0;
    recall_restarted(w);
    for (size_t i = 0; i < o->expected_count; i++) {
        const struct campaign *c = ledger_campaign_by_token(&f->ledger, o->expected[i].token);

        if (o->expected[i].id && (!c || c->id.v != o->expected[i].id))
            world_break(w, "campaign %" PRIu64 " was accepted, and after a restart it is not there", o->expected[i].id);
    }
}

/* ---- the whole ---- */

uint64_t oracle_tasks(const struct world *w)
{
    return w->oracle->tasks;
}

void oracle_print(const struct world *w)
{
    const struct oracle *o = w->oracle;

    printf("  %" PRIu64 " tasks in %" PRIu64 " videos ended: %" PRIu64 " by work, %" PRIu64
           " by the same work, %" PRIu64 " failed, %" PRIu64 " cancelled\n",
           o->tasks, o->videos, o->tasks - o->cached - o->failed - o->cancelled_tasks, o->cached, o->failed,
           o->cancelled_tasks);
    printf("  %" PRIu64 " further takes, %" PRIu64 " videos without a take that passes, %" PRIu64
           " attempts went on from a saved state\n",
           o->takes, o->rejected, o->resumed);
    printf("  %" PRIu64 " leases, %" PRIu64 " commits, %" PRIu64 " reports superseded, %" PRIu64
           " videos failed by faults, %" PRIu64 " audits\n",
           o->leases, o->done, o->superseded, o->videos_failed, o->audits);
}

void oracle_open(struct world *w)
{
    w->oracle = xcalloc(1, sizeof *w->oracle);
}

void oracle_close(struct world *w)
{
    struct oracle *o = w->oracle;

    for (size_t i = 0; i < o->commit_count; i++)
        free(o->commit_list[i]);
    for (size_t i = 0; i < o->expected_count; i++)
        free(o->expected[i].videos);
    rights_close(o);
    recall_close(o);
    free(o->commit_list);
    free(o->expected);
    free(o->leased);
    index_free(&o->commits);
    grammar_close(&o->grammar);
    pack_listing_free(&o->listing);
    free(o);
    w->oracle = NULL;
}

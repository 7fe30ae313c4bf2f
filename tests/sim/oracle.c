/* oracle - what the farm promised, watched from outside: every message that leaves it, every result that it commits,
 * and what is left after each death. What must come out of a campaign is worked out by hand, in order, with nothing
 * going wrong.
 *
 * The functions named __wrap_X stand between the farm's own files and X (see CMakeLists.txt: -Wl,--wrap). Here they
 * only watch; the bugs that plants put in are in plants.c. */
#include "tests/sim/world.h"

#include "common/base/log.h"
#include "common/wire/codec.h"
#include "coordinator/compile.h"
#include "coordinator/guard.h"
#include "coordinator/intake.h"
#include "coordinator/manifest.h"
#include "coordinator/plan.h"
#include "coordinator/shelf.h"
#include "coordinator/takes.h"
#include "proto/client.pb-c.h"
#include "proto/worker.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define fail_msg(...) (fprintf(stderr, __VA_ARGS__), abort())
#include "tests/unit/farm_plan.h"

#define HISTORY 16

/* A task as its leases tell. */
struct leased {
    uint32_t attempt, worker;
    uint64_t campaign;
    int64_t too_small_bytes[2]; /* the largest device whose memory was not enough, by profile; as the store has it */
    uint32_t history[HISTORY];  /* worker + 1 of attempt % HISTORY */
};

/* The result of a key. */
struct commit {
    struct digest key;
    uint64_t task;
    bool done, lost; /* lost: stored outputs were taken away, so it may be made again */
};

/* A task that failed for want of memory. */
struct too_small {
    uint64_t task;
    enum profile profile;
    int64_t device_bytes;
};

/* A state that the farm took of a running task. */
struct kept {
    struct digest state;
    uint64_t task;
    uint32_t step;
    bool durable, dropped; /* dropped: by the farm itself, or lost */
};

/* What the farm has said of a key. */
struct right {
    struct curve_key key;
    enum role role;
    bool asked, revoked; /* it was asked to revoke it; it said that it did */
};

struct expected_video {
    struct digest manifest;
    bool poisoned;
    bool rejected; /* a shot of it has no take that passes, and the campaign wants one */
};

struct expected {
    uint8_t token[16];
    uint64_t id; /* as the farm told; 0: not yet */
    bool cancelled;
    struct expected_video *videos;
    uint32_t video_count;
};

struct oracle {
    struct grammar *grammar;
    struct pack_defaults pack;
    struct pack_listing listing;
    struct key_context keys;

    struct leased *leased; /* by id */
    size_t leased_room;
    struct index commits; /* by the key's first bytes */
    struct commit **commit_list;
    size_t commit_count, commit_room;
    struct commit *pending[512]; /* of this turn */
    size_t pending_count;
    struct too_small too_small[512]; /* of this turn */
    size_t too_small_count;
    const void *reading; /* the message that the farm works on */
    size_t reading_size;
    uint32_t reading_worker;
    struct curve_key reading_key;
    struct index rights; /* by the key's first bytes */
    struct right **right_list;
    size_t right_count, right_room;

    struct index kept; /* by the state's first bytes */
    struct kept **kept_list;
    size_t kept_count, kept_room, kept_durable; /* the latter: those before it */

    struct expected *expected;
    size_t expected_count, expected_room;
    uint64_t leases, done, cached, failed, cancelled_tasks, tasks, videos, videos_failed, rejected, takes, resumed,
        superseded, audits;
};

static uint64_t mark(const struct digest *d)
{
    uint64_t v;

    memcpy(&v, d->bytes, sizeof v);
    return v;
}

/* ---- what must come out ---- */

static void make_task(struct world *w, struct task *t, struct expected_video *to)
{
    struct video *v = t->video;

    for (uint32_t k = 0; k < t->input_count; k++)
        if (t->inputs[k].output) {
            t->inputs[k].blob = *task_find_output(&v->tasks[t->inputs[k].from], t->inputs[k].output);
            t->inputs[k].known = true;
        }
    t->key = task_key(t, &w->oracle->keys);
    to->poisoned = to->poisoned || task_poisoned(&t->key, t->kind);
    for (enum output_name n = OUTPUT_EMBEDDING; n <= OUTPUT_VIDEO; n++) {
        char text[OUTPUT_ROOM];

        if (!output_required(t->kind, t->role, n))
            continue;
        output_of(&t->key, output_text(n), text, sizeof text);
        t->outputs[t->output_count++] =
            (struct task_output){ .name = n,
                                  .blob = { .digest = digest_of(text, strlen(text)), .bytes = (int64_t)strlen(text) } };
    }
    t->state = TASK_DONE;
}

/* A take was decoded: the shot shows it, or another one is made, or the least bad of them all must do. */
static void judge_by_hand(struct world *w, struct task *decode, struct expected_video *to)
{
    struct video *v = decode->video;
    struct shot *s = &v->shots[decode->shot - 1];
    const int bad = badness_of(&decode->key);
    uint32_t shown = decode->position;

    decode->verdict = xcalloc(1, sizeof *decode->verdict);
    if (bad)
        *decode->verdict = (struct gate_verdict){
            .count = 1, .faults = { { CHECK_UNUSABLE, bad, w->coordinator.farm.gates.limit[CHECK_UNUSABLE] } }
        };
    if (bad && s->takes < v->campaign->takes) {
        takes_add(v, s);
        return;
    }
    if (bad) {
        to->rejected = to->rejected || v->campaign->on_gate_failure == GATE_FAIL;
        for (uint32_t i = s->takes; i-- > 0;) /* of equals the first */
            if (badness_of(&v->tasks[s->decodes[i]].key) <= badness_of(&v->tasks[shown].key))
                shown = s->decodes[i];
    }
    s->settled = shown + 1;
}

static void make_by_hand(struct world *w, struct video *v, struct expected_video *to)
{
    struct oracle *o = w->oracle;
    struct plan plan = { 0 };
    struct error err = { 0 };

    if (v->given_plan) {
        v->plan_text = xstrdup(v->given_plan);
    } else {
        struct str text = { 0 };

        farm_roll_plan(o->grammar, intake_members(v->campaign), v->campaign->cast_count, v->duration_ms,
                       digest_of(v->prompt, strlen(v->prompt)).bytes[0], &text);
        v->plan_text = text.data;
    }
    if (!plan_parse(&plan, v->plan_text, strlen(v->plan_text), o->grammar, v->duration_ms, &err)) {
        world_break(w, "the simulator's own plan: %s", err.text);
        return;
    }
    v->plan_digest = plan_digest(&plan);
    const bool compiled =
        compile_video(v, &(struct compile_input){ .pack = &o->pack, .grammar = o->grammar, .plan = &plan }, &err);
    plan_free(&plan);
    if (!compiled) {
        world_break(w, "the simulator's own plan: %s", err.text);
        return;
    }
    for (uint32_t i = 0; i < v->task_count; i++) { /* in topological order, and takes that are added on the way */
        if (i == v->stitch)
            continue;
        make_task(w, &v->tasks[i], to);
        if (v->tasks[i].kind == TASK_DECODE)
            judge_by_hand(w, &v->tasks[i], to);
    }
    struct task *stitch = &v->tasks[v->stitch];
    for (uint32_t k = 0; k < stitch->input_count; k++)
        stitch->inputs[k].from = v->shots[v->tasks[stitch->inputs[k].from].shot - 1].settled - 1;
    make_task(w, stitch, to);
    v->tasks_open = 0;
    v->file = *task_find_output(stitch, OUTPUT_VIDEO);
    char *text = manifest_write(&(struct manifest_input){ .video = v,
                                                          .keys = &o->keys,
                                                          .pack = &o->pack,
                                                          .listing = &o->listing,
                                                          .gates = &w->coordinator.farm.gates },
                                &err);
    if (text)
        to->manifest = digest_of(text, strlen(text));
    else
        world_break(w, "the simulator's own manifest: %s", err.text);
    free(text);
}

void oracle_expect(struct world *w, const void *campaign, size_t size)
{
    struct oracle *o = w->oracle;
    struct arena arena = { 0 };
    struct error err = { 0 };

    if (!o->grammar) { /* with the first campaign: the farm has written its pack by now */
        o->grammar = farm_grammar();
        if (!pack_defaults_load(&o->pack, w->coordinator.pack, &err) ||
            !pack_list(&o->listing, w->coordinator.pack, &err))
            world_break(w, "%s", err.text);
        o->keys = w->coordinator.farm.ledger.keys;
    }
    const Shotline__Campaign *m = codec_unpack(&shotline__campaign__descriptor, campaign, size, &arena, &err);
    struct campaign *c = m ? intake_campaign(&(struct intake){ .grammar = o->grammar }, m, &err) : NULL;
    arena_free(&arena);
    if (!c) {
        world_break(w, "the simulator's own campaign: %s", err.text);
        return;
    }
    if (o->expected_count == o->expected_room) {
        o->expected_room = o->expected_room ? 2 * o->expected_room : 16;
        o->expected = xrealloc(o->expected, o->expected_room * sizeof *o->expected);
    }
    struct expected *e = &o->expected[o->expected_count++];
    *e = (struct expected){ .videos = xcalloc(c->video_count, sizeof *e->videos), .video_count = c->video_count };
    memcpy(e->token, c->token, sizeof e->token);
    for (uint32_t i = 0; i < c->video_count && !*w->broken; i++) {
        make_by_hand(w, &c->videos[i], &e->videos[i]);
        video_drop_graph(&c->videos[i]);
    }
    campaign_free(&c);
}

static struct expected *expected_of(struct oracle *o, const uint8_t token[16])
{
    for (size_t i = 0; i < o->expected_count; i++)
        if (!memcmp(o->expected[i].token, token, 16))
            return &o->expected[i];
    return NULL;
}

void oracle_cancelled(struct world *w, const uint8_t token[16])
{
    expected_of(w->oracle, token)->cancelled = true;
}

/* ---- who may do what ---- */

static struct right *right_of(const struct oracle *o, const struct curve_key *key)
{
    uint64_t v;

    memcpy(&v, key->bytes, sizeof v);
    return index_get(&o->rights, v);
}

void oracle_joined(struct world *w, const struct curve_key *key, enum role role)
{
    struct oracle *o = w->oracle;
    uint64_t v;

    if (right_of(o, key)) /* told again */
        return;
    if (o->right_count == o->right_room) {
        o->right_room = o->right_room ? 2 * o->right_room : 64;
        o->right_list = xrealloc(o->right_list, o->right_room * sizeof(struct right *));
    }
    struct right *r = o->right_list[o->right_count++] = xcalloc(1, sizeof *r);
    *r = (struct right){ .key = *key, .role = role };
    memcpy(&v, key->bytes, sizeof v);
    index_put(&o->rights, v, r);
}

void oracle_revoking(struct world *w, const struct curve_key *key)
{
    right_of(w->oracle, key)->asked = true;
}

void oracle_revoked(struct world *w, const struct curve_key *key)
{
    right_of(w->oracle, key)->revoked = true;
}

bool oracle_key_revoked(const struct world *w, const struct curve_key *key)
{
    const struct right *r = right_of(w->oracle, key);

    return r && r->revoked;
}

static void check_right(struct world *w, const struct curve_key *key, enum role role, const char *what)
{
    const struct right *r = right_of(w->oracle, key);

    if (curve_is_none(key))
        return;
    if (!r)
        world_break(w, "%s: by a key that never joined", what);
    else if (r->revoked)
        world_break(w, "%s: by a key that was revoked", what);
    else if (r->role != role)
        world_break(w, "%s: by a key for a %s", what, role_name(r->role));
}

/* Nobody is turned away who may come in. */
static void check_refused(struct world *w, const struct curve_key *key, const char *reason)
{
    const struct right *r = right_of(w->oracle, key);

    for (enum refusal why = REFUSAL_UNKNOWN; r && !r->asked && why <= REFUSAL_ROLE; why++)
        if (!strcmp(reason, refusal_text(why)))
            world_break(w, "a %s in good standing was refused: %s", role_name(r->role), reason);
}

static void check_guard(struct world *w)
{
    const struct oracle *o = w->oracle;

    for (size_t i = 0; i < o->right_count; i++) {
        const struct right *r = o->right_list[i];
        const enum role now = guard_role(w->coordinator.guard, &r->key);

        if (r->revoked ? now != ROLE_NOBODY : now != r->role && !(r->asked && now == ROLE_NOBODY))
            world_break(w, "a key of a %s was %s, and after a restart it is one of %s", role_name(r->role),
                        r->revoked ? "revoked" : "accepted", now == ROLE_NOBODY ? "nobody" : role_name(now));
    }
}

/* ---- what leaves the farm ---- */

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
    check_state(w, lease, lease->attempt > l->attempt);
    const struct task *t = ledger_task(&w->coordinator.farm.ledger, (struct task_id){ lease->task });
    const int64_t device_bytes = worker_device_bytes(w, worker);
    if (lease->attempt > l->attempt &&
        device_bytes <= l->too_small_bytes[lease->spec->profile == SHOTLINE__PROFILE__PROFILE_LEAN])
        world_break(w, "task %" PRIu64 ": leased to a device of %" PRId64 " MiB, where it had too little memory before",
                    lease->task, device_bytes >> 20);
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
        check_right(w, key, ROLE_SUBMITTER, m->submitted ? "a campaign was accepted" : "a campaign was cancelled");
}

static void sent_to_worker(struct world *w, uint32_t worker, const struct curve_key *key, const Shotline__ToWorker *m)
{
    if (m->lease)
        lease_sent(w, worker, m->lease);
    if (key && m->lease)
        check_right(w, key, ROLE_WORKER, "a task was leased");
    if (key && m->refused)
        check_refused(w, key, m->refused->reason);
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

/* Also of a campaign that has ended and is on the shelf; NULL: unknown. */
static struct task *find_task(struct world *w, uint64_t id)
{
    struct error err;

    return shelf_task(&w->coordinator.farm, (struct task_id){ id }, &err);
}

/* No result is taken past a lease that somebody else has, nor of an attempt that its sender never had. */
static void check_fence(struct world *w, const struct digest *key, const Shotline__WorkerDone *d)
{
    const struct oracle *o = w->oracle;
    const struct task *t = find_task(w, d->task);
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
    check_right(world, &o->reading_key, ROLE_WORKER, "a result was taken");
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

/* ---- saved states ---- */

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
    if (blobs_text(world, &t->checkpoint.digest))
        world_break(world, "task %" PRIu64 ": its saved state was given up, and it is there", t->id.v);
    __real_task_forget_checkpoint(l, t);
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

void oracle_saved(struct world *w, bool durable)
{
    struct oracle *o = w->oracle;

    log_debug("sim.saved", "durable=%d results=%zu", durable, o->pending_count);
    save_too_small(o, durable);
    if (!durable) /* whether they are there is seen when the farm is back */
        return;
    for (; o->kept_durable < o->kept_count; o->kept_durable++)
        o->kept_list[o->kept_durable]->durable = true;
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

/* A task that was leased: in memory, or with its ended campaign on the shelf, from where it is read only when all are
 * looked at. True: it is there, and *t may be looked at unless it is NULL. */
static bool remembers(struct world *w, uint64_t id, bool all, const struct task **t)
{
    const struct ledger *l = &w->coordinator.farm.ledger;
    const struct campaign *c = ledger_campaign(l, (struct campaign_id){ w->oracle->leased[id].campaign });

    *t = all ? find_task(w, id) : ledger_task(l, (struct task_id){ id });
    return *t || (!all && c && c->shelved);
}

static void check_memory(struct world *w, bool all)
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

void oracle_restarted(struct world *w)
{
    struct oracle *o = w->oracle;
    struct farm *f = &w->coordinator.farm;
    struct task_output outputs[TASK_MAX_OUTPUTS];

    check_guard(w);
    check_kept(w);
    o->kept_durable = o->kept_count; /* the rest may or may not be there */
    for (size_t i = 0; i < o->pending_count; i++)
        if (!o->pending[i]->done && store_find_result(f->store, &o->pending[i]->key, outputs)) {
            o->pending[i]->done = true;
            o->done++;
        }
    o->pending_count = 0;
    check_memory(w, w->coordinator.restarts % 16 == 0);
    for (size_t i = 0; i < o->expected_count; i++) {
        const struct campaign *c = ledger_campaign_by_token(&f->ledger, o->expected[i].token);

        if (o->expected[i].id && (!c || c->id.v != o->expected[i].id))
            world_break(w, "campaign %" PRIu64 " was accepted, and after a restart it is not there", o->expected[i].id);
    }
}

/* ---- whether the farm's books agree with themselves ---- */

static bool twin_speaks(const struct ledger *l, const struct task *t)
{
    for (const struct task *o = ledger_twin(l, &t->key, NULL); o; o = ledger_twin(l, &t->key, o))
        if (o != t && (o->state == TASK_RUNNING || o->queue_place))
            return true;
    return false;
}

static void audit_task(struct world *w, const struct task *t)
{
    const struct ledger *l = &w->coordinator.farm.ledger;
    const struct fleet *fleet = &w->coordinator.farm.fleet;
    const struct campaign *c = t->video->campaign;
    uint32_t missing = 0;

    for (uint32_t k = 0; k < t->input_count; k++)
        missing += !t->inputs[k].known;
    if (missing != t->inputs_missing)
        world_break(w, "task %" PRIu64 ": %" PRIu32 " inputs are missing, it counts %" PRIu32, t->id.v, missing,
                    t->inputs_missing);
    if (t->queue_place && (t->queue_place > c->queue_count || c->queue[t->queue_place - 1] != t))
        world_break(w, "task %" PRIu64 ": it is not where it says in its queue", t->id.v);
    if (t->queue_place && t->state != TASK_READY)
        world_break(w, "task %" PRIu64 ": queued while %s", t->id.v, task_state_name(t->state));
    if (work_ended(t->video->state)) {
        if (!task_ended(t->state))
            world_break(w, "task %" PRIu64 ": %s in a video that has ended", t->id.v, task_state_name(t->state));
        return;
    }
    if (t->state == TASK_WAITING && !missing)
        world_break(w, "task %" PRIu64 ": it waits, and nothing is missing", t->id.v);
    if (t->state == TASK_READY && !t->queue_place && !twin_speaks(l, t))
        world_break(w, "task %" PRIu64 ": ready, not queued, and nobody else makes it", t->id.v);
    if (t->state == TASK_RUNNING) {
        const struct worker *at = fleet_worker(fleet, t->worker);

        if (!at || !worker_runs(at, t->id))
            world_break(w, "task %" PRIu64 ": running, and its worker's list does not have it", t->id.v);
    }
    if (t->state == TASK_DONE && !t->output_count)
        world_break(w, "task %" PRIu64 ": done without outputs", t->id.v);
}

void oracle_audit(struct world *w)
{
    const struct ledger *l = &w->coordinator.farm.ledger;
    const struct fleet *fleet = &w->coordinator.farm.fleet;

    w->oracle->audits++;
    for (size_t i = 0; i < l->campaign_count; i++) {
        const struct campaign *c = l->campaigns[i];
        uint32_t running = 0;

        for (uint32_t k = 0; k < c->video_count; k++) {
            const struct video *v = &c->videos[k];
            uint32_t open = 0;

            for (uint32_t n = 0; n < v->task_count; n++) {
                audit_task(w, &v->tasks[n]);
                open += v->tasks[n].state != TASK_DONE;
                running += v->tasks[n].state == TASK_RUNNING;
            }
            if (open != v->tasks_open)
                world_break(w, "video %" PRIu64 ": %" PRIu32 " tasks are open, it counts %" PRIu32, v->id.v, open,
                            v->tasks_open);
        }
        if (running != c->running)
            world_break(w, "campaign %" PRIu64 ": %" PRIu32 " tasks run, it counts %" PRIu32, c->id.v, running,
                        c->running);
    }
    for (size_t i = 0; i < fleet->count; i++)
        for (uint32_t k = 0; k < fleet->workers[i]->running_count; k++) {
            const struct task *t = ledger_task(l, fleet->workers[i]->running[k]);

            if (!t || t->state != TASK_RUNNING || t->worker.v != fleet->workers[i]->id.v)
                world_break(w, "worker %" PRIu64 ": task %" PRIu64 " is in its list and is not its own",
                            fleet->workers[i]->id.v, fleet->workers[i]->running[k].v);
        }
}

/* ---- how it ended ---- */

/* A video may fail only for what really happened to one of its tasks. */
static void check_failed(struct world *w, const struct video *v, const struct expected_video *e)
{
    const struct oracle *o = w->oracle;
    uint64_t id = 0;

    if (e->poisoned)
        return;
    if (e->rejected && !strncmp(v->reason, "shot ", 5)) {
        w->oracle->rejected++;
        return;
    }
    w->oracle->videos_failed++;
    const bool known = sscanf(v->reason, "task %" SCNu64, &id) == 1 && id < o->leased_room;
    const uint32_t able = w->set.workers < 4 ? 1 : 3; /* others may have been away */
    /* For want of memory: with any other reason it must have been tried on several workers, or lost several times. */
    const bool small = known && strstr(v->reason, "enough memory") && o->leased[id].too_small_bytes[PROFILE_LEAN];

    if (!known || (!small && o->leased[id].attempt < able))
        world_break(w, "video %" PRIu64 " failed, and nothing explains it: %s", v->id.v, v->reason);
}

static void check_video(struct world *w, const struct expected *e, const struct video *v)
{
    const struct expected_video *want = &e->videos[v->number - 1];
    struct oracle *o = w->oracle;

    o->videos++;
    if (!work_ended(v->state)) {
        world_break(w, "video %" PRIu64 " of a campaign that ended is %s", v->id.v, work_state_name(v->state));
    } else if (v->state == WORK_FAILED) {
        check_failed(w, v, want);
    } else if (v->state == WORK_CANCELLED) {
        if (!e->cancelled)
            world_break(w, "video %" PRIu64 " was cancelled, and nobody asked for it", v->id.v);
    } else if (want->poisoned) {
        world_break(w, "video %" PRIu64 " is done, and one of its tasks cannot be", v->id.v);
    } else if (want->rejected) {
        world_break(w, "video %" PRIu64 " is done, and no take of one of its shots passes", v->id.v);
    } else if (!digest_equal(&v->manifest.digest, &want->manifest)) {
        world_break(w, "video %" PRIu64 ": its manifest differs from the one made without faults", v->id.v);
    }
    for (uint32_t i = 0; i < v->task_count; i++) {
        const struct task *t = &v->tasks[i];

        o->tasks++;
        o->takes += t->take && t->kind == TASK_DECODE;
        o->cached += t->state == TASK_DONE && t->cached;
        o->failed += t->state == TASK_FAILED;
        o->cancelled_tasks += t->state == TASK_CANCELLED;
        if (!task_ended(t->state))
            world_break(w, "task %" PRIu64 " was lost: %s", t->id.v, task_state_name(t->state));
        else if (v->state == WORK_DONE && t->state != TASK_DONE)
            world_break(w, "task %" PRIu64 " is %s in a video that is done", t->id.v, task_state_name(t->state));
    }
}

void oracle_end(struct world *w)
{
    struct oracle *o = w->oracle;
    const struct ledger *l = &w->coordinator.farm.ledger;

    if (!w->coordinator.up) {
        world_break(w, "the coordinator is not back");
        return;
    }
    oracle_audit(w);
    check_memory(w, true);
    if (workers_reports(w))
        world_break(w, "%" PRIu64 " results are still in outboxes", workers_reports(w));
    for (size_t i = 0; i < o->expected_count; i++) {
        const struct expected *e = &o->expected[i];
        struct error err;
        const struct campaign *c = shelf_campaign(&w->coordinator.farm, (struct campaign_id){ e->id }, &err);

        if (!c || !work_ended(c->state)) {
            world_break(w, "campaign %" PRIu64 " ended for its client and is %s", e->id,
                        c ? work_state_name(c->state) : "unknown");
            return;
        }
        for (uint32_t k = 0; k < c->video_count; k++)
            check_video(w, e, &c->videos[k]);
    }
    if (l->campaign_count != o->expected_count)
        world_break(w, "%zu campaigns were submitted, the farm has %zu", o->expected_count, l->campaign_count);
    if (w->coordinator.most_out > 65536)
        world_break(w, "%zu messages were held at once", w->coordinator.most_out);
}

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
    for (size_t i = 0; i < o->right_count; i++)
        free(o->right_list[i]);
    for (size_t i = 0; i < o->kept_count; i++)
        free(o->kept_list[i]);
    free(o->kept_list);
    index_free(&o->kept);
    for (size_t i = 0; i < o->expected_count; i++)
        free(o->expected[i].videos);
    free(o->right_list);
    index_free(&o->rights);
    free(o->commit_list);
    free(o->expected);
    free(o->leased);
    index_free(&o->commits);
    grammar_close(&o->grammar);
    pack_listing_free(&o->listing);
    free(o);
    w->oracle = NULL;
}

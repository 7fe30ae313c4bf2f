/* farm_sim - the coordinator's real farm (conversations, store, blobs) with fake sockets, a fake planner, and workers
 * whose results are a function of the task's key. The test owns the clock. */
#ifndef SHOTLINE_TESTS_FARM_SIM_H
#define SHOTLINE_TESTS_FARM_SIM_H

#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/wire/codec.h"
#include "coordinator/farm/farm.h"
#include "coordinator/farm/planner_thread.h"
#include "coordinator/farm/recover.h"
#include "coordinator/farm/scribe.h"
#include "coordinator/farm/shelf.h"
#include "coordinator/turn.h"
#include "proto/client.pb-c.h"
#include "proto/worker.pb-c.h"
#include "tests/unit/farm_plan.h"
#include "tests/unit/farm_scores.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* ---- sockets: a queue each way ---- */
struct queued {
    struct peer peer;
    struct str bytes;
};
struct endpoint {
    struct queued in[512], out[4096];
    size_t in_first, in_count, out_first, out_count;
    struct str taken; /* what the last receive gave out */
};

bool endpoint_send(struct endpoint *e, const struct peer *peer, const void *data, size_t size)
{
    struct queued *q = &e->out[e->out_count++ % 4096];

    assert_true(e->out_count - e->out_first <= 4096);
    q->peer = *peer;
    str_clear(&q->bytes);
    str_append_bytes(&q->bytes, data, size);
    return true;
}

bool endpoint_receive(struct endpoint *e, struct message *m)
{
    if (e->in_first == e->in_count)
        return false;
    struct queued *q = &e->in[e->in_first++ % 512];
    str_clear(&e->taken);
    str_append_bytes(&e->taken, q->bytes.data, q->bytes.size);
    *m = (struct message){ .peer = q->peer, .data = (uint8_t *)e->taken.data, .size = e->taken.size };
    return true;
}

static inline void endpoint_push(struct endpoint *e, const char *peer, const void *data, size_t size)
{
    struct queued *q = &e->in[e->in_count++ % 512];

    assert_true(e->in_count - e->in_first <= 512);
    q->peer = (struct peer){ .size = (uint8_t)strlen(peer) };
    memcpy(q->peer.id, peer, strlen(peer));
    str_clear(&q->bytes);
    str_append_bytes(&q->bytes, data, size);
}

static inline struct endpoint *endpoint_fake(void)
{
    return xcalloc(1, sizeof(struct endpoint));
}

static inline void endpoint_drop(struct endpoint **e)
{
    for (size_t i = 0; i < 512; i++)
        str_free(&(*e)->in[i].bytes);
    for (size_t i = 0; i < 4096; i++)
        str_free(&(*e)->out[i].bytes);
    str_free(&(*e)->taken);
    free(*e);
    *e = NULL;
}

/* ---- the planner: dice, seeded by the prompt ---- */
struct planner_thread {
    struct plan_answer answers[64];
    size_t first, count;
    uint32_t asked;
};

void planner_thread_ask(struct planner_thread *t, const struct plan_order *o)
{
    struct grammar *g = farm_grammar();
    struct str text = { 0 };

    farm_roll_plan(g, o->given, o->given_count, o->duration_ms, digest_of(o->prompt, strlen(o->prompt)).bytes[0],
                   &text);
    t->answers[t->count++ % 64] = (struct plan_answer){ .job = o->job, .key = o->key, .plan = text.data };
    t->asked++;
    grammar_close(&g);
}

bool planner_thread_take(struct planner_thread *t, struct plan_answer *a)
{
    if (t->first == t->count)
        return false;
    *a = t->answers[t->first++ % 64];
    return true;
}

/* ---- the scribe: writes at once, and tells when it likes to ---- */
struct scribe {
    struct store_dir *blobs;
    bool busy;
    struct scribe_answer answers[SCRIBE_AT_ONCE];
    size_t first, count;
};

void scribe_ask(struct scribe *s, const struct scribe_order *o, struct str *text)
{
    struct scribe_answer *a = &s->answers[s->count++ % SCRIBE_AT_ONCE];

    *a = (struct scribe_answer){ .order = *o };
    if (store_dir_add_bytes(s->blobs, text->data, text->size, &a->manifest.digest, &a->why))
        a->manifest.bytes = (int64_t)text->size;
    str_free(text);
}

bool scribe_take(struct scribe *s, struct scribe_answer *a)
{
    if (s->busy || s->first == s->count)
        return false;
    *a = s->answers[s->first++ % SCRIBE_AT_ONCE];
    return true;
}

/* ---- the farm ---- */
static const struct digest sim_proof = { { 42 } };

struct sim {
    char dir[64], pack[96];
    struct store *store;
    struct store_dir *blobs;
    struct endpoint *workers, *clients;
    struct planner_thread planner;
    struct scribe scribe;
    struct farm farm;
    int64_t now_ms;
    uint64_t sequence;
    uint32_t black_shot, black_takes; /* so many first takes of that shot come out black */
    bool garbled;                     /* scores are no JSON */
    struct arena arena;               /* of what was received last */
};

static inline void sim_write(const struct sim *s, const char *name, const char *text)
{
    char path[160];
    struct error err;

    snprintf(path, sizeof path, "%s/%s", s->dir, name);
    if (!file_write(path, text, strlen(text), &err))
        fail_msg("%s", err.text);
}

static inline void sim_open(struct sim *s)
{
    char path[160];
    struct error err = { 0 };

    snprintf(path, sizeof path, "%s/farm.db", s->dir);
    s->store = store_open(path, &err);
    if (!s->store)
        fail_msg("%s", err.text);
    snprintf(path, sizeof path, "%s/blobs", s->dir);
    s->blobs = store_dir_open(path, STORE_DIR_COUNTS, &err);
    if (!s->blobs)
        fail_msg("%s", err.text);
    s->scribe = (struct scribe){ .blobs = s->blobs };
    s->workers = endpoint_fake();
    s->clients = endpoint_fake();
    if (!farm_open(&s->farm,
                   &(struct farm_parts){ .pack_dir = s->pack,
                                         .store = s->store,
                                         .blobs = s->blobs,
                                         .workers = s->workers,
                                         .clients = s->clients,
                                         .kernel_proof = sim_proof,
                                         .scribe = &s->scribe,
                                         .planner = &s->planner },
                   &err) ||
        !recover(&s->farm, s->now_ms, 1000000 + s->now_ms, &err))
        fail_msg("%s", err.text);
}

/* As a kill -9 would: nothing that is not in the store or on disk lives on. */
static inline void sim_crash(struct sim *s)
{
    farm_close(&s->farm);
    store_close(&s->store);
    store_dir_close(&s->blobs);
    endpoint_drop(&s->workers);
    endpoint_drop(&s->clients);
    for (; s->planner.first < s->planner.count; s->planner.first++)
        free(s->planner.answers[s->planner.first % 64].plan);
}

static inline struct sim *sim_new(void)
{
    struct sim *s = xcalloc(1, sizeof *s);
    char text[1024];

    strcpy(s->dir, "/tmp/shotline-sim-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->pack, sizeof s->pack, "%s/pack", s->dir);
    assert_int_equal(mkdir(s->pack, 0700), 0);
    snprintf(text, sizeof text, "%s/planner", s->pack);
    assert_int_equal(mkdir(text, 0700), 0);
    sim_write(s, "pack/planner/grammar.json", farm_grammar_json);
    snprintf(text, sizeof text, "%s/pack/vae", s->dir);
    assert_int_equal(mkdir(text, 0700), 0);
    sim_write(s, "pack/vae/config.json", farm_vae_json);
    snprintf(text, sizeof text,
             "{\"name\":\"dice\",\"width\":64,\"height\":32,\"fps\":8,\"steps\":8,\"guidance_scale\":2.5,\"handoff_"
             "step\":4,\"window\":5,"
             "\"overlap\":2,\"longest_shot\":9,\"references\":1,\"reference_suffix\":\", on "
             "white\",\"max_sequence_length\":32,"
             "\"negative_prompt\":\"blurred\"}");
    sim_write(s, "pack/shotline.json", text);
    s->now_ms = 5000;
    sim_open(s);
    return s;
}

static inline void sim_free(struct sim **s)
{
    struct error err;

    sim_crash(*s);
    arena_free(&(*s)->arena);
    assert_true(file_remove_tree((*s)->dir, &err));
    free(*s);
    *s = NULL;
}

/* A test's set-up and end: *state is a fresh farm. */
static inline int sim_setup(void **state)
{
    *state = sim_new();
    return 0;
}

static inline int sim_teardown(void **state)
{
    struct sim *s = *state;

    sim_free(&s);
    return 0;
}

static inline void sim_turn(struct sim *s)
{
    struct error err = { 0 };

    do {
        if (!turn_take(&s->farm, s->now_ms, 1000000 + s->now_ms, &err))
            fail_msg("%s", err.text);
    } while (s->farm.again || s->planner.first < s->planner.count);
}

/* ---- speaking as a client ---- */
static inline const Shotline__FromFarm *sim_ask(struct sim *s, Shotline__ToFarm *m)
{
    struct str bytes = { 0 };
    struct error err;

    m->version = WIRE_VERSION;
    m->sequence = ++s->sequence;
    codec_pack(&m->base, &bytes);
    s->clients->out_first = s->clients->out_count;
    endpoint_push(s->clients, "client", bytes.data, bytes.size);
    str_free(&bytes);
    sim_turn(s);
    arena_free(&s->arena);
    if (s->clients->out_first == s->clients->out_count)
        return NULL;
    struct queued *q = &s->clients->out[s->clients->out_first++ % 4096];
    const Shotline__FromFarm *r =
        codec_unpack(&shotline__from_farm__descriptor, q->bytes.data, q->bytes.size, &s->arena, &err);
    assert_non_null(r);
    assert_int_equal(r->sequence, s->sequence);
    return r;
}

static inline const Shotline__CampaignStatus *sim_status(struct sim *s, uint64_t id)
{
    Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
    Shotline__StatusRequest q = SHOTLINE__STATUS_REQUEST__INIT;

    q.has_campaign = 1;
    q.campaign = id;
    m.status = &q;
    const Shotline__FromFarm *r = sim_ask(s, &m);
    assert_non_null(r->status);
    assert_int_equal(r->status->n_campaigns, 1);
    return r->status->campaigns[0];
}

/* A campaign of one video; exactly one of prompt and plan. Returns its id, or 0 with the farm's words in `refusal`. */
static inline uint64_t sim_submit(struct sim *s, uint8_t token, const char *prompt, const char *plan,
                                  uint32_t duration_ms, char *refusal)
{
    Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
    Shotline__SubmitRequest submit = SHOTLINE__SUBMIT_REQUEST__INIT;
    Shotline__Campaign c = SHOTLINE__CAMPAIGN__INIT;
    Shotline__VideoRequest v = SHOTLINE__VIDEO_REQUEST__INIT, *videos[] = { &v };
    uint8_t bytes[16] = { token };

    v.name = "film";
    v.prompt = (char *)prompt;
    v.plan = (char *)plan;
    v.duration_ms = duration_ms;
    v.seed = 7;
    v.crf = 20;
    c.name = "campaign";
    c.token = (ProtobufCBinaryData){ sizeof bytes, bytes };
    c.videos = videos;
    c.n_videos = 1;
    submit.campaign = &c;
    m.submit = &submit;
    const Shotline__FromFarm *r = sim_ask(s, &m);
    if (r->error && refusal)
        strcpy(refusal, r->error->text);
    return r->submitted ? r->submitted->campaign : 0;
}

/* ---- speaking as a worker ---- */
static inline void sim_tell(struct sim *s, const char *worker, Shotline__ToCoordinator *m)
{
    struct str bytes = { 0 };

    m->sequence = ++s->sequence;
    codec_pack(&m->base, &bytes);
    endpoint_push(s->workers, worker, bytes.data, bytes.size);
    str_free(&bytes);
}

static inline void sim_hello_as(struct sim *s, const char *peer, const char *worker, uint8_t boot,
                                const struct digest *proof)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerHello h = SHOTLINE__WORKER_HELLO__INIT;
    uint8_t boot_id[16] = { boot };

    memcpy(boot_id + 1, worker, strlen(worker) < 15 ? strlen(worker) : 15);
    h.version = WIRE_VERSION;
    h.name = (char *)worker;
    h.boot_id = (ProtobufCBinaryData){ 16, boot_id };
    h.device = "dice";
    h.device_bytes = 1 << 30;
    h.kernel_proof = codec_bytes(proof);
    m.hello = &h;
    sim_tell(s, peer, &m);
}

static inline void sim_hello(struct sim *s, const char *worker, uint8_t boot, const struct digest *proof)
{
    sim_hello_as(s, worker, worker, boot, proof);
}

static inline void sim_ready(struct sim *s, const char *worker)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerReady r = SHOTLINE__WORKER_READY__INIT;

    r.slots = 1;
    m.ready = &r;
    sim_tell(s, worker, &m);
}

static inline void sim_heartbeat(struct sim *s, const char *worker, uint64_t task, uint32_t attempt)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerHeartbeat h = SHOTLINE__WORKER_HEARTBEAT__INIT;
    Shotline__RunningAttempt r = SHOTLINE__RUNNING_ATTEMPT__INIT, *running[] = { &r };

    r.task = task;
    r.attempt = attempt;
    h.running = running;
    h.n_running = task ? 1 : 0;
    m.heartbeat = &h;
    sim_tell(s, worker, &m);
}

/* A heartbeat that tells progress. */
static inline void sim_beat(struct sim *s, const char *worker, uint64_t task, uint32_t attempt, uint32_t step,
                            uint32_t steps)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerHeartbeat h = SHOTLINE__WORKER_HEARTBEAT__INIT;
    Shotline__RunningAttempt r = SHOTLINE__RUNNING_ATTEMPT__INIT, *running[] = { &r };

    r.task = task;
    r.attempt = attempt;
    r.has_step = r.has_steps = true;
    r.step = step;
    r.steps = steps;
    h.running = running;
    h.n_running = 1;
    m.heartbeat = &h;
    sim_tell(s, worker, &m);
}

/* A saved state of the work of this key, whose bytes are the text; `upload`: they are at the farm. */
static inline struct digest sim_checkpoint_of(struct sim *s, const char *worker, const struct digest *key,
                                              uint64_t task, uint32_t attempt, uint32_t step, const char *text,
                                              bool upload)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerCheckpoint c = SHOTLINE__WORKER_CHECKPOINT__INIT;
    Shotline__Blob state = SHOTLINE__BLOB__INIT;
    struct digest d = digest_of(text, strlen(text));
    struct error err;

    if (upload)
        assert_true(store_dir_add_bytes(s->blobs, text, strlen(text), &d, &err));
    state.digest = codec_bytes(&d);
    state.bytes = strlen(text);
    c.task = task;
    c.attempt = attempt;
    c.step = step;
    c.has_key = true;
    c.key = codec_bytes(key);
    c.state = &state;
    m.checkpoint = &c;
    sim_tell(s, worker, &m);
    return d;
}

/* The same of the task that it is said to be of. */
static inline struct digest sim_checkpoint(struct sim *s, const char *worker, uint64_t task, uint32_t attempt,
                                           uint32_t step, const char *text, bool upload)
{
    const struct task *t = ledger_task(&s->farm.ledger, (struct task_id){ task });

    return sim_checkpoint_of(s, worker, &t->key, task, attempt, step, text, upload);
}

static inline void sim_failed(struct sim *s, const char *worker, uint64_t task, uint32_t attempt,
                              Shotline__FailureClass failure)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerFailed f = SHOTLINE__WORKER_FAILED__INIT;

    f.task = task;
    f.attempt = attempt;
    f.failure = failure;
    f.reason = "the disk is full\n";
    m.failed = &f;
    sim_tell(s, worker, &m);
}

static inline void sim_scores(const struct sim *s, const struct task *t, struct str *to)
{
    const int frames = 4 * (t->decode.latent_frames - 1) + 1;

    if (s->garbled) {
        str_append(to, "{\"format\":5,");
        return;
    }
    farm_scores(to, frames, t->shot == s->black_shot && t->take < s->black_takes ? frames / 2 : frames);
}

/* Reports the task as done, with outputs that are a function of its key. `upload`: the blobs are there. `spoil`: leaves
 * out that output (0: none). `key`: names the task's key. */
static inline void sim_report(struct sim *s, const char *worker, uint64_t task, uint32_t attempt, bool upload,
                              enum output_name spoil, bool key)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerDone d = SHOTLINE__WORKER_DONE__INIT;
    Shotline__NamedBlob named[TASK_MAX_OUTPUTS], *outputs[TASK_MAX_OUTPUTS];
    Shotline__Blob blobs[TASK_MAX_OUTPUTS];
    struct digest digests[TASK_MAX_OUTPUTS];
    struct error err;
    const struct task *t = shelf_task(&s->farm, (struct task_id){ task }, &err);

    assert_non_null(t);
    for (enum output_name n = OUTPUT_EMBEDDING; n <= OUTPUT_VIDEO; n++) {
        char hex[DIGEST_HEX_ROOM];
        size_t i = d.n_outputs;

        if (!output_required(t->kind, t->role, n) || n == spoil)
            continue;
        struct str text = { 0 };
        digest_hex(&t->key, hex);
        if (n == OUTPUT_SCORES)
            sim_scores(s, t, &text);
        else
            str_printf(&text, "%s of %s", output_text(n), hex);
        digests[i] = digest_of(text.data, text.size);
        if (upload)
            assert_true(store_dir_add_bytes(s->blobs, text.data, text.size, &digests[i], &err));
        shotline__blob__init(&blobs[i]);
        blobs[i].digest = codec_bytes(&digests[i]);
        blobs[i].bytes = text.size;
        str_free(&text);
        shotline__named_blob__init(&named[i]);
        named[i].name = (char *)output_text(n);
        named[i].blob = &blobs[i];
        outputs[d.n_outputs++] = &named[i];
    }
    d.task = task;
    d.attempt = attempt;
    d.busy_ms = 100;
    d.outputs = outputs;
    d.has_key = key;
    d.key = codec_bytes(&t->key);
    m.done = &d;
    sim_tell(s, worker, &m);
}

static inline void sim_done(struct sim *s, const char *worker, uint64_t task, uint32_t attempt, bool upload,
                            enum output_name spoil)
{
    sim_report(s, worker, task, attempt, upload, spoil, false);
}

static inline void sim_done_with_key(struct sim *s, const char *worker, uint64_t task, uint32_t attempt)
{
    sim_report(s, worker, task, attempt, true, 0, true);
}

/* The next message to a worker; NULL: none. `worker` receives whose it is. */
static inline const Shotline__ToWorker *sim_next(struct sim *s, char worker[32])
{
    struct error err;

    if (s->workers->out_first == s->workers->out_count)
        return NULL;
    struct queued *q = &s->workers->out[s->workers->out_first++ % 4096];
    memcpy(worker, q->peer.id, q->peer.size);
    worker[q->peer.size] = '\0';
    arena_free(&s->arena);
    const Shotline__ToWorker *m =
        codec_unpack(&shotline__to_worker__descriptor, q->bytes.data, q->bytes.size, &s->arena, &err);
    assert_non_null(m);
    return m;
}

struct sim_lease {
    char worker[32];
    uint64_t task;
    uint32_t attempt;
};

/* Gives the farm a turn and takes the next lease; other messages are skipped. */
static inline bool sim_lease(struct sim *s, struct sim_lease *l)
{
    const Shotline__ToWorker *m;

    sim_turn(s);
    while ((m = sim_next(s, l->worker)))
        if (m->lease) {
            l->task = m->lease->task;
            l->attempt = m->lease->attempt;
            return true;
        }
    return false;
}

/* The first denoising task, leased to w0; what comes before is done. */
static inline struct sim_lease sim_lease_denoising(struct sim *s)
{
    struct sim_lease l;

    sim_hello(s, "w0", 1, &sim_proof);
    for (;;) {
        sim_ready(s, "w0");
        assert_true(sim_lease(s, &l));
        if (ledger_task(&s->farm.ledger, (struct task_id){ l.task })->kind == TASK_DENOISE)
            return l;
        sim_done(s, "w0", l.task, l.attempt, true, 0);
    }
}

/* The verdict on the last report. */
static inline Shotline__ReportVerdict sim_verdict(struct sim *s)
{
    const Shotline__ToWorker *m;
    char worker[32];

    sim_turn(s);
    while ((m = sim_next(s, worker)))
        if (m->ack)
            return m->ack->verdict;
    fail_msg("no verdict");
    return 0;
}

/* Honest workers do all there is to do; `dice` decides who finishes next. Returns how many tasks were worked on. */
static inline int sim_work(struct sim *s, int workers, uint64_t dice)
{
    struct sim_lease held[8], next;
    int count = 0, done = 0;
    char name[16];

    for (int i = 0; i < workers; i++) {
        snprintf(name, sizeof name, "w%d", i);
        sim_hello(s, name, 1, &sim_proof);
        sim_ready(s, name);
    }
    for (;;) {
        while (sim_lease(s, &next))
            held[count++] = next;
        if (!count)
            return done;
        int i = (int)(rng_uniform(dice, 1, (uint64_t)done) * count);
        s->now_ms += 50;
        sim_done(s, held[i].worker, held[i].task, held[i].attempt, true, 0);
        sim_ready(s, held[i].worker);
        done++;
        held[i] = held[--count];
        for (int k = 0; k < count; k++)
            sim_heartbeat(s, held[k].worker, held[k].task, held[k].attempt);
        for (int k = 0; k < workers; k++) {
            snprintf(name, sizeof name, "w%d", k);
            sim_heartbeat(s, name, 0, 0);
        }
    }
}

static inline char *sim_manifest(struct sim *s, uint64_t campaign)
{
    const Shotline__CampaignStatus *c = sim_status(s, campaign);
    const Shotline__VideoStatus *v = c->videos[0];
    struct digest d;
    struct error err;
    size_t size;

    if (v->state != SHOTLINE__WORK_STATE__WORK_DONE)
        fail_msg("campaign %" PRIu64 ": video in state %d: %s", campaign, v->state, v->reason ? v->reason : "");
    assert_string_equal(v->artifacts[0]->name, "manifest");
    assert_true(codec_digest(&d, &v->artifacts[0]->blob->digest));
    char *text = store_dir_read(s->blobs, &d, 1 << 24, &size, &err);
    assert_non_null(text);
    text = xrealloc(text, size + 1);
    text[size] = '\0';
    return text;
}

#endif

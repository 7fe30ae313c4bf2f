/* links: shotline_coordinator */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/base/log.h"
#include "coordinator/core/verify.h"
#include "tests/unit/farm_sim.h"

#define PROMPT "a monster walks"

static struct sim *s;
static char *manifest; /* of a video that this farm has made */

static int setup(void **state)
{
    (void)state;
    s = sim_new();
    uint64_t id = sim_submit(s, 1, PROMPT, NULL, 6000, NULL);
    assert_true(sim_work(s, 2, 1) > 5);
    manifest = sim_manifest(s, id);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(manifest);
    sim_free(&s);
    return 0;
}

/* Submits a verification of a manifest's text. */
static uint64_t submit(const char *text, const uint32_t *tasks, size_t chosen)
{
    static uint8_t token = 100;
    Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
    Shotline__SubmitRequest ask = SHOTLINE__SUBMIT_REQUEST__INIT;
    Shotline__Campaign c = SHOTLINE__CAMPAIGN__INIT;
    Shotline__Verification verify = SHOTLINE__VERIFICATION__INIT;
    Shotline__Blob blob = SHOTLINE__BLOB__INIT;
    uint8_t bytes[16] = { ++token };
    struct digest d;
    struct error err;

    assert_true(store_dir_add_bytes(s->blobs, text, strlen(text), &d, &err));
    blob.digest = codec_bytes(&d);
    blob.bytes = strlen(text);
    verify.manifest = &blob;
    verify.tasks = (uint32_t *)tasks;
    verify.n_tasks = chosen;
    c.name = "verify";
    c.token = (ProtobufCBinaryData){ sizeof bytes, bytes };
    c.verify = &verify;
    ask.campaign = &c;
    m.submit = &ask;
    const Shotline__FromFarm *r = sim_ask(s, &m);
    return r->submitted ? r->submitted->campaign : 0;
}

static const Shotline__VerifyReply *ask(uint64_t id)
{
    Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
    Shotline__VerifyRequest q = SHOTLINE__VERIFY_REQUEST__INIT;

    q.campaign = id;
    m.verify = &q;
    const Shotline__FromFarm *r = sim_ask(s, &m);
    return r->verify;
}

static size_t count(const Shotline__VerifyReply *r, Shotline__Verdict v)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_tasks; i++)
        n += r->tasks[i]->verdict == v;
    return n;
}

#define SAME      SHOTLINE__VERDICT__VERDICT_SAME
#define DIFFERENT SHOTLINE__VERDICT__VERDICT_DIFFERENT

/* A worker that gives other bytes than the pure function would. */
static void lie(const struct sim_lease *l)
{
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerDone d = SHOTLINE__WORKER_DONE__INIT;
    Shotline__NamedBlob named[TASK_MAX_OUTPUTS], *outputs[TASK_MAX_OUTPUTS];
    Shotline__Blob blobs[TASK_MAX_OUTPUTS];
    struct digest digests[TASK_MAX_OUTPUTS];
    const struct task *t = ledger_task(&s->farm.ledger, (struct task_id){ l->task });
    struct error err;

    for (enum output_name n = OUTPUT_EMBEDDING; n <= OUTPUT_VIDEO; n++) {
        char text[64];
        size_t i = d.n_outputs;

        if (!output_required(t->kind, t->role, n))
            continue;
        snprintf(text, sizeof text, "a lie about %s of %" PRIu64, output_text(n), l->task);
        assert_true(store_dir_add_bytes(s->blobs, text, strlen(text), &digests[i], &err));
        shotline__blob__init(&blobs[i]);
        blobs[i].digest = codec_bytes(&digests[i]);
        blobs[i].bytes = strlen(text);
        shotline__named_blob__init(&named[i]);
        named[i].name = (char *)output_text(n);
        named[i].blob = &blobs[i];
        outputs[d.n_outputs++] = &named[i];
    }
    d.task = l->task;
    d.attempt = l->attempt;
    d.busy_ms = 100;
    d.outputs = outputs;
    m.done = &d;
    sim_tell(s, l->worker, &m);
}

/* One worker does all, and lies about the tasks of a kind and role. Returns how many it did. */
static int work_and_lie(enum task_kind kind, enum task_role role)
{
    struct sim_lease l;
    int done = 0;

    sim_hello(s, "liar", 9, &sim_proof);
    sim_ready(s, "liar");
    while (sim_lease(s, &l)) {
        const struct task *t = ledger_task(&s->farm.ledger, (struct task_id){ l.task });

        if (t->kind == kind && t->role == role)
            lie(&l);
        else
            sim_done(s, l.worker, l.task, l.attempt, true, 0);
        sim_ready(s, "liar");
        s->now_ms += 50;
        done++;
    }
    return done;
}

/* Every task runs, though each has a result in the cache, and what the store had stays as it was. */
static void a_true_manifest_is_made_again_whole(void **state)
{
    struct task_output before[TASK_MAX_OUTPUTS], after[TASK_MAX_OUTPUTS];
    const struct task *first = s->farm.ledger.campaigns[0]->videos[0].tasks;
    uint32_t tasks = s->farm.ledger.campaigns[0]->videos[0].task_count;

    (void)state;
    assert_true(store_find_result(s->store, &first->key, before) > 0);
    uint64_t id = submit(manifest, NULL, 0);
    assert_int_equal(sim_work(s, 2, 3), tasks);
    const Shotline__VerifyReply *r = ask(id);
    assert_int_equal(r->state, SHOTLINE__WORK_STATE__WORK_DONE);
    assert_int_equal(r->n_tasks, tasks);
    assert_int_equal(count(r, SAME), tasks);
    assert_true(store_find_result(s->store, &first->key, after) > 0);
    assert_memory_equal(&before[0].blob, &after[0].blob, sizeof before[0].blob);
}

static void others_than_the_first_makers_do_it(void **state)
{
    (void)state;
    uint64_t id = submit(manifest, NULL, 0);
    sim_work(s, 2, 5);
    const Shotline__VerifyReply *r = ask(id);
    size_t known = 0;
    for (size_t i = 0; i < r->n_tasks; i++) {
        known += r->tasks[i]->has_elsewhere;
        assert_true(!r->tasks[i]->has_elsewhere || r->tasks[i]->elsewhere);
    }
    assert_true(known > 5); /* all but those that were answered by a twin's work */

    id = submit(manifest, NULL, 0); /* with nobody else, the same worker must do */
    Shotline__ToCoordinator bye = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerBye word = SHOTLINE__WORKER_BYE__INIT;
    bye.bye = &word;
    sim_tell(s, "w1", &bye);
    sim_work(s, 1, 5);
    assert_int_equal(ask(id)->state, SHOTLINE__WORK_STATE__WORK_DONE);
}

static void only_the_sample_runs(void **state)
{
    const uint32_t chosen[] = { 7, 2 };

    (void)state;
    uint64_t id = submit(manifest, chosen, 2);
    assert_int_equal(sim_work(s, 2, 1), 2);
    const Shotline__VerifyReply *r = ask(id);
    assert_int_equal(r->state, SHOTLINE__WORK_STATE__WORK_DONE);
    assert_int_equal(count(r, SAME), 2);
    assert_int_equal(r->tasks[7]->verdict, SAME);
    assert_int_equal(count(r, SHOTLINE__VERDICT__VERDICT_NOT_CHOSEN), r->n_tasks - 2);
}

/* A digest in the manifest that no task makes: found, with both digests. */
static void a_planted_digest_is_caught(void **state)
{
    char *at = strstr(manifest, "\"frames\": {"), was[65], now[65];

    (void)state;
    assert_non_null(at);
    at = strstr(at, "\"digest\": \"") + strlen("\"digest\": \"");
    snprintf(was, sizeof was, "%.64s", at);
    at[5] = at[5] == 'a' ? 'b' : 'a';
    snprintf(now, sizeof now, "%.64s", at);
    uint64_t id = submit(manifest, NULL, 0);
    sim_work(s, 2, 1);
    const Shotline__VerifyReply *r = ask(id);
    assert_int_equal(r->state, SHOTLINE__WORK_STATE__WORK_FAILED);
    assert_int_equal(count(r, DIFFERENT), 1);
    assert_int_equal(count(r, SAME), r->n_tasks - 1);
    for (size_t i = 0; i < r->n_tasks; i++)
        if (r->tasks[i]->verdict == DIFFERENT) {
            assert_non_null(strstr(r->tasks[i]->what, "decode of shot"));
            assert_non_null(strstr(r->tasks[i]->trouble, was));
            assert_non_null(strstr(r->tasks[i]->trouble, now));
        }
    assert_non_null(strstr(r->reason, "1 of "));
}

/* A worker that computes other bytes is found task by task: the others go on from what the manifest says. Nothing of
 * it gets into the cache. */
static void a_worker_that_computes_other_bytes_is_caught(void **state)
{
    struct task_output outputs[TASK_MAX_OUTPUTS];
    const struct video *v = &s->farm.ledger.campaigns[0]->videos[0];
    size_t decodes = 0;

    (void)state;
    for (uint32_t i = 0; i < v->task_count; i++)
        decodes += v->tasks[i].kind == TASK_DECODE;
    uint64_t id = submit(manifest, NULL, 0);
    assert_int_equal(work_and_lie(TASK_DECODE, ROLE_NONE), v->task_count);
    const Shotline__VerifyReply *r = ask(id);
    assert_int_equal(r->state, SHOTLINE__WORK_STATE__WORK_FAILED);
    assert_int_equal(count(r, DIFFERENT), decodes);
    assert_int_equal(count(r, SAME), r->n_tasks - decodes);
    for (uint32_t i = 0; i < v->task_count; i++) {
        uint32_t n = store_find_result(s->store, &v->tasks[i].key, outputs);

        assert_int_equal(n, v->tasks[i].output_count);
        for (uint32_t k = 0; k < n; k++)
            assert_true(
                digest_equal(&outputs[k].blob.digest, &task_find_output(&v->tasks[i], outputs[k].name)->digest));
    }
}

/* An ordinary campaign that wants the same work at the same time does it itself: it is not given a lie. */
static void a_verification_answers_nobody_else(void **state)
{
    struct error err;
    char path[128];
    struct sim_lease l;

    (void)state;
    snprintf(path, sizeof path, "%s/blobs", s->dir);
    assert_true(file_remove_tree(path, &err)); /* nothing is cached any more */
    sim_crash(s);
    sim_open(s);
    assert_int_equal(sim_submit(s, 50, PROMPT, NULL, 6000, NULL), 2);
    uint64_t id = submit(manifest, NULL, 0);
    sim_hello(s, "liar", 9, &sim_proof);
    sim_ready(s, "liar");
    int lies = 0;
    while (sim_lease(s, &l)) {
        bool verified = ledger_task(&s->farm.ledger, (struct task_id){ l.task })->expected != NULL;

        if (verified && lies < 3)
            lie(&l);
        else
            sim_done(s, l.worker, l.task, l.attempt, true, 0);
        lies += verified;
        sim_ready(s, "liar");
        s->now_ms += 50;
    }
    char *again = sim_manifest(s, 2);
    assert_string_equal(again, manifest);
    free(again);
    assert_int_equal(ask(id)->state, SHOTLINE__WORK_STATE__WORK_FAILED);
}

/* A farm that has nothing makes every task from what the verification itself has made. */
static void a_farm_without_a_blob_makes_it_from_nothing(void **state)
{
    const struct video *v = &s->farm.ledger.campaigns[0]->videos[0];
    uint32_t tasks = v->task_count, last = tasks - 1;
    struct sim *first = s;

    (void)state;
    s = sim_new();
    uint64_t id = submit(manifest, NULL, 0);
    assert_int_equal(sim_work(s, 3, 2), tasks);
    assert_int_equal(count(ask(id), SAME), tasks);
    sim_free(&s);

    /* a sample of the last task alone needs what is before it, and that is verified on the way */
    s = sim_new();
    id = submit(manifest, &last, 1);
    assert_int_equal(sim_work(s, 3, 2), tasks);
    assert_int_equal(count(ask(id), SAME), tasks);
    sim_free(&s);

    /* and where the bytes come out differently, what hangs on them cannot be made: it ends, and says why */
    s = sim_new();
    id = submit(manifest, NULL, 0);
    work_and_lie(TASK_DENOISE, ROLE_ANCHOR);
    const Shotline__VerifyReply *r = ask(id);
    assert_int_equal(r->state, SHOTLINE__WORK_STATE__WORK_FAILED);
    assert_non_null(strstr(r->reason, "its input was made differently"));
    assert_true(count(r, DIFFERENT) >= 1);
    assert_true(count(r, SHOTLINE__VERDICT__VERDICT_UNMADE) >= 1);
    sim_free(&s);
    s = first;
}

/* A coordinator that is killed in the middle goes on, and remembers what was different. */
static void a_verification_outlives_the_coordinator(void **state)
{
    struct sim_lease l;

    (void)state;
    uint64_t id = submit(manifest, NULL, 0);
    sim_hello(s, "liar", 9, &sim_proof);
    sim_ready(s, "liar");
    for (int i = 0; i < 4; i++) {
        assert_true(sim_lease(s, &l));
        if (i == 1)
            lie(&l);
        else
            sim_done(s, l.worker, l.task, l.attempt, true, 0);
        sim_ready(s, "liar");
        sim_turn(s);
    }
    sim_crash(s);
    sim_open(s);
    s->now_ms += 3 * FARM_LEASE_MS; /* what the liar holds is given up */
    const Shotline__VerifyReply *r = ask(id);
    assert_int_equal(count(r, SAME), 3);
    assert_int_equal(count(r, DIFFERENT), 1);
    int left = (int)(r->n_tasks - 4);
    assert_int_equal(sim_work(s, 2, 1), left);
    r = ask(id);
    assert_int_equal(count(r, DIFFERENT), 1);
    assert_int_equal(count(r, SAME), r->n_tasks - 1);
    assert_int_equal(r->state, SHOTLINE__WORK_STATE__WORK_FAILED);
    sim_crash(s);
    sim_open(s); /* ended, it is still told */
    assert_int_equal(count(ask(id), DIFFERENT), 1);
}

/* Replaces the first `was` in the manifest by `now`, of the same length. */
static void plant(const char *was, const char *now)
{
    char *at = strstr(manifest, was);

    assert_non_null(at);
    memcpy(at, now, strlen(now));
}

static void expect_failure(const char *words)
{
    uint64_t id = submit(manifest, NULL, 0);

    assert_true(id > 0);
    assert_int_equal(sim_work(s, 1, 1), 0);
    const Shotline__VerifyReply *r = ask(id);
    assert_int_equal(r->state, SHOTLINE__WORK_STATE__WORK_FAILED);
    if (!strstr(r->reason, words))
        fail_msg("\"%s\" does not say \"%s\"", r->reason, words);
}

static void manifests_that_cannot_be_verified_say_why(void **state)
{
    char *kept = xstrdup(manifest);
    const uint32_t beyond = 5000;

    (void)state;
    plant("\"guidance_scale\": 2.5", "\"guidance_scale\": 7.5");
    expect_failure("its key is not that of its parameters and inputs");
    strcpy(manifest, kept);
    plant("\"kernel_set\": ", "\"kernel_set\": 9");
    expect_failure("kernel set");
    strcpy(manifest, kept);
    plant("\"scores\": 5", "\"scores\": 9");
    expect_failure("scores");
    strcpy(manifest, kept);
    plant("\"manifest\": 1", "\"manifest\": 2");
    expect_failure("manifest: manifest:");
    strcpy(manifest, kept);
    char *digest = strstr(strstr(manifest, "\"pack\": {"), "\"digest\": \"") + strlen("\"digest\": \"");
    digest[0] = digest[0] == '1' ? '2' : '1';
    expect_failure("another pack (dice)");
    strcpy(manifest, "{}");
    expect_failure("manifest: manifest: is missing");
    strcpy(manifest, kept);
    uint64_t id = submit(manifest, &beyond, 1);
    sim_turn(s);
    assert_non_null(strstr(ask(id)->reason, "task 5000 is chosen"));
    assert_null(ask(1)); /* an ordinary campaign */

    Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
    Shotline__SubmitRequest q = SHOTLINE__SUBMIT_REQUEST__INIT;
    Shotline__Campaign c = SHOTLINE__CAMPAIGN__INIT;
    Shotline__Verification verify = SHOTLINE__VERIFICATION__INIT;
    Shotline__Blob blob = SHOTLINE__BLOB__INIT;
    uint8_t bytes[32] = { 99 };
    blob.digest = (ProtobufCBinaryData){ 32, bytes };
    verify.manifest = &blob;
    c.name = "verify";
    c.token = (ProtobufCBinaryData){ 16, bytes };
    c.verify = &verify;
    q.campaign = &c;
    m.submit = &q;
    const Shotline__FromFarm *r = sim_ask(s, &m);
    assert_non_null(r->error);
    assert_non_null(strstr(r->error->text, "verify: manifest: "));
    free(kept);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        EACH(a_true_manifest_is_made_again_whole),
        EACH(others_than_the_first_makers_do_it),
        EACH(only_the_sample_runs),
        EACH(a_planted_digest_is_caught),
        EACH(a_worker_that_computes_other_bytes_is_caught),
        EACH(a_verification_answers_nobody_else),
        EACH(a_farm_without_a_blob_makes_it_from_nothing),
        EACH(a_verification_outlives_the_coordinator),
        EACH(manifests_that_cannot_be_verified_say_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* links: shotline_coordinator */
/* What workers say, leave unsaid and get wrong, over the farm's real conversation with them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "coordinator/core/standing.h"
#include "tests/unit/farm_sim.h"

#define PROMPT "a monster walks"

/* A report from a stale attempt is superseded, a repeat of the commit is answered, blobs must be there, and outputs
 * complete. */
static void only_whole_current_reports_commit(void **state)
{
    struct sim *s = *state;
    struct sim_lease first, second;

    sim_submit(s, 1, PROMPT, NULL, 3000, NULL);
    sim_hello(s, "w0", 1, &sim_proof);
    sim_ready(s, "w0");
    assert_true(sim_lease(s, &first));

    sim_done(s, "w0", first.task, first.attempt, false, 0);
    assert_int_equal(sim_verdict(s), SHOTLINE__REPORT_VERDICT__REPORT_MISSING_BLOB);
    s->now_ms += 3 * FARM_HEARTBEAT_MS; /* silent: lost */
    sim_hello(s, "w1", 1, &sim_proof);
    sim_ready(s, "w1");
    assert_true(sim_lease(s, &second));
    assert_int_equal(second.task, first.task);
    assert_int_equal(second.attempt, first.attempt + 1);

    sim_hello(s, "w0", 1, &sim_proof); /* the first one comes back with its result */
    sim_done(s, "w0", first.task, first.attempt, true, 0);
    assert_int_equal(sim_verdict(s), SHOTLINE__REPORT_VERDICT__REPORT_SUPERSEDED);
    sim_done(s, "w0", second.task, second.attempt, true, 0); /* guessing the number does not help */
    assert_int_equal(sim_verdict(s), SHOTLINE__REPORT_VERDICT__REPORT_SUPERSEDED);
    assert_int_equal(sim_status(s, 1)->tasks_done, 0);

    sim_done(s, "w1", second.task, second.attempt, true, 0);
    assert_int_equal(sim_verdict(s), SHOTLINE__REPORT_VERDICT__REPORT_OK);
    sim_done(s, "w1", second.task, second.attempt, true, 0);
    assert_int_equal(sim_verdict(s), SHOTLINE__REPORT_VERDICT__REPORT_OK);
    assert_int_equal(sim_status(s, 1)->tasks_done, 1);
    assert_int_equal(sim_status(s, 1)->busy_ms, 100);

    sim_ready(s, "w1");
    assert_true(sim_lease(s, &second));
    sim_done(s, "w1", second.task, second.attempt, true, OUTPUT_EMBEDDING);
    assert_int_equal(sim_verdict(s), SHOTLINE__REPORT_VERDICT__REPORT_OK); /* taken as a failure of that worker */
    assert_int_equal(sim_status(s, 1)->tasks_done, 1);
}

/* A report that asks for work too is taken first, and one message acknowledges it and brings the next task. A second
 * lease of the same turn has a message of its own. */
static void a_report_and_the_next_task_are_one_message_each_way(void **state)
{
    struct sim *s = *state;
    Shotline__ToCoordinator ask = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerReady slots = SHOTLINE__WORKER_READY__INIT;
    struct sim_lease first;
    char worker[32];

    sim_submit(s, 1, PROMPT, NULL, 3000, NULL);
    sim_hello(s, "w0", 1, &sim_proof);
    sim_ready(s, "w0");
    assert_true(sim_lease(s, &first));
    assert_null(sim_next(s, worker));

    sim_done(s, "w0", first.task, first.attempt, true, 0);
    struct queued *report = &s->workers->in[(s->workers->in_count - 1) % 512];
    slots.slots = 2;
    ask.ready = &slots;
    ask.sequence = ++s->sequence;
    codec_add(&ask.base, &report->bytes);
    sim_turn(s);
    const Shotline__ToWorker *m = sim_next(s, worker);
    assert_non_null(m);
    assert_int_equal(m->ack->task, first.task);
    assert_int_equal(m->ack->verdict, SHOTLINE__REPORT_VERDICT__REPORT_OK);
    assert_int_not_equal(m->lease->task, first.task);
    const uint64_t second = m->lease->task;
    m = sim_next(s, worker);
    assert_non_null(m);
    assert_null(m->ack);
    assert_int_not_equal(m->lease->task, second);
    assert_null(sim_next(s, worker));
}

/* A worker that comes back as a new process has lost what it ran; one whose lease message was lost gets the same lease
 * again. */
static void lost_leases_are_found_again(void **state)
{
    struct sim *s = *state;
    struct sim_lease first, again;

    sim_submit(s, 1, PROMPT, NULL, 3000, NULL);
    sim_hello(s, "w0", 1, &sim_proof);
    sim_ready(s, "w0");
    assert_true(sim_lease(s, &first));
    sim_ready(s, "w0"); /* crossed with the lease: nothing new */
    assert_false(sim_lease(s, &again));
    s->now_ms += FARM_HEARTBEAT_MS;
    sim_heartbeat(s, "w0", 0, 0);
    sim_ready(s, "w0");
    assert_true(sim_lease(s, &again));
    assert_int_equal(again.task, first.task);
    assert_int_equal(again.attempt, first.attempt);

    Shotline__ToCoordinator bye = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerBye b = SHOTLINE__WORKER_BYE__INIT;
    bye.bye = &b;
    sim_tell(s, "w0", &bye);
    sim_turn(s);
    sim_hello(s, "w0", 2, &sim_proof);
    sim_ready(s, "w0");
    assert_true(sim_lease(s, &again));
    assert_int_equal(again.task, first.task);
    assert_int_equal(again.attempt, first.attempt + 1);
}

/* A worker comes back after a restart of the farm, asks for work, and tells in the same moment how its lease ended. */
static void a_lease_that_has_ended_is_not_given_again(void **state)
{
    struct sim *s = *state;
    const Shotline__ToWorker *m;
    struct sim_lease first;
    char worker[32];

    sim_submit(s, 1, PROMPT, NULL, 3000, NULL);
    sim_hello(s, "w0", 1, &sim_proof);
    sim_ready(s, "w0");
    assert_true(sim_lease(s, &first));
    s->now_ms += FARM_HEARTBEAT_MS;
    sim_ready(s, "w0");
    sim_failed(s, "w0", first.task, first.attempt, SHOTLINE__FAILURE_CLASS__FAILURE_WORKER);
    sim_turn(s);
    while ((m = sim_next(s, worker)))
        assert_true(!m->lease || m->lease->task != first.task || m->lease->attempt > first.attempt);
}

/* A worker is killed after its last step and is back before anybody missed it: its outbox fills the task by the key,
 * and once. */
static void a_result_outlives_its_process(void **state)
{
    struct sim *s = *state;
    struct sim_lease l;
    uint64_t id = sim_submit(s, 1, PROMPT, NULL, 3000, NULL);

    sim_hello(s, "w0", 1, &sim_proof);
    sim_ready(s, "w0");
    assert_true(sim_lease(s, &l));
    sim_hello_as(s, "w0-again", "w0", 2, &sim_proof); /* its former self is still thought alive */
    sim_done(s, "w0-again", l.task, l.attempt, true, 0);
    assert_int_equal(sim_verdict(s), SHOTLINE__REPORT_VERDICT__REPORT_SUPERSEDED); /* without the key: anybody's */
    sim_done_with_key(s, "w0-again", l.task, l.attempt);
    assert_int_equal(sim_verdict(s), SHOTLINE__REPORT_VERDICT__REPORT_OK);
    sim_done_with_key(s, "w0-again", l.task, l.attempt);
    assert_int_equal(sim_verdict(s), SHOTLINE__REPORT_VERDICT__REPORT_OK);
    const Shotline__CampaignStatus *c = sim_status(s, id);
    assert_int_equal(c->tasks_done, 1);
    assert_int_equal(c->busy_ms, 100);
    assert_int_equal(c->superseded, 1);
    assert_int_equal(s->farm.fleet.workers[1]->superseded, 1);
    assert_true(sim_work(s, 2, 1) > 0);
    assert_int_equal(sim_status(s, id)->state, SHOTLINE__WORK_STATE__WORK_DONE);
}

/* A lost worker costs steps, not the task: the next attempt's spec goes on from the last saved state, also when the
 * coordinator was killed in between; the state is dropped when the task is done. */
static void the_next_attempt_goes_on_from_the_saved_state(void **state)
{
    struct sim *s = *state;
    uint64_t id = sim_submit(s, 1, PROMPT, NULL, 3000, NULL);
    struct sim_lease l = sim_lease_denoising(s), next;
    const Shotline__ToWorker *m;
    char worker[32];

    struct digest key = ledger_task(&s->farm.ledger, (struct task_id){ l.task })->key;
    struct digest first = sim_checkpoint(s, "w0", l.task, l.attempt, 1, "after one", true);
    struct digest second = sim_checkpoint(s, "w0", l.task, l.attempt, 2, "after two", true);
    sim_checkpoint(s, "w0", l.task, l.attempt, 3, "not there", false);
    sim_checkpoint(s, "w0", l.task, l.attempt + 1, 3, "not ours", true);
    sim_checkpoint_of(s, "w0", &(struct digest){ { 7 } }, l.task, l.attempt, 3, "of other work", true);
    sim_turn(s);
    assert_false(store_dir_has(s->blobs, &first));
    assert_true(store_dir_has(s->blobs, &second));

    sim_crash(s);
    sim_open(s);
    s->now_ms += FARM_LEASE_MS + 1; /* nobody comes back for it */
    sim_turn(s);
    sim_hello(s, "w1", 1, &sim_proof);
    sim_ready(s, "w1");
    sim_turn(s);
    do {
        m = sim_next(s, worker);
        assert_non_null(m);
    } while (!m->lease);
    assert_int_equal(m->lease->task, l.task);
    assert_int_equal(m->lease->attempt, l.attempt + 1);
    assert_int_equal(m->lease->spec->denoise->step_from, 2);
    assert_memory_equal(m->lease->spec->denoise->state->digest.data, second.bytes, DIGEST_BYTES);
    assert_memory_equal(m->lease->spec->key.data, key.bytes, DIGEST_BYTES);
    assert_int_equal(ledger_task(&s->farm.ledger, (struct task_id){ l.task })->losses, 1);

    /* A state whose bytes are lost is forgotten: from the beginning, then. */
    assert_true(store_dir_remove(s->blobs, &second));
    sim_failed(s, "w1", l.task, l.attempt + 1, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED);
    sim_ready(s, "w1");
    assert_true(sim_lease(s, &next));
    assert_int_equal(next.attempt, l.attempt + 2);
    const struct task *t = ledger_task(&s->farm.ledger, (struct task_id){ l.task });
    assert_int_equal(t->checkpoint_step, 0);
    struct digest third = sim_checkpoint(s, "w1", l.task, next.attempt, 3, "after three", true);
    sim_done(s, "w1", l.task, next.attempt, true, 0);
    sim_turn(s);
    assert_false(store_dir_has(s->blobs, &third));
    assert_true(sim_work(s, 2, 1) > 0);
    assert_int_equal(sim_status(s, id)->state, SHOTLINE__WORK_STATE__WORK_DONE);
}

/* A worker that names somebody's finished film as its saved state does not get it thrown away. */
static void a_false_state_drops_no_film(void **state)
{
    struct sim *s = *state;
    uint64_t id = sim_submit(s, 1, PROMPT, NULL, 3000, NULL);
    char *manifest;

    assert_true(sim_work(s, 1, 1) > 0);
    manifest = sim_manifest(s, id);
    const struct blob_ref film = ledger_campaign(&s->farm.ledger, (struct campaign_id){ id })->videos[0].file;
    char *text = store_dir_read(s->blobs, &film.digest, 1 << 20, NULL, &(struct error){ 0 });
    assert_non_null(text);
    text = xrealloc(text, (size_t)film.bytes + 1);
    text[film.bytes] = '\0';

    sim_submit(s, 2, "another one, of a blue cup", NULL, 3000, NULL);
    struct sim_lease l = sim_lease_denoising(s);
    struct digest false_one = sim_checkpoint(s, "w0", l.task, l.attempt, 1, text, false);
    assert_true(digest_equal(&false_one, &film.digest));
    sim_checkpoint(s, "w0", l.task, l.attempt, 2, manifest, false);
    sim_done(s, "w0", l.task, l.attempt, true, 0);
    sim_turn(s);
    assert_int_equal(ledger_task(&s->farm.ledger, (struct task_id){ l.task })->state, TASK_DONE);
    assert_true(store_dir_has(s->blobs, &film.digest));
    free(text);
    text = sim_manifest(s, id);
    assert_string_equal(text, manifest);
    free(text);
    free(manifest);
}

/* Heartbeats come, but the step counter stands still: the worker is told to stop, and another one begins. */
static void a_stalled_attempt_is_given_up(void **state)
{
    struct sim *s = *state;
    char worker[32];
    bool told = false;
    struct sim_lease l, next;
    const Shotline__ToWorker *m;

    sim_submit(s, 1, PROMPT, NULL, 3000, NULL);
    l = sim_lease_denoising(s);
    for (uint32_t step = 1; step <= 2; step++) {
        s->now_ms += 2000;
        sim_beat(s, "w0", l.task, l.attempt, step, 4);
        sim_turn(s);
    }
    const struct task *t = ledger_task(&s->farm.ledger, (struct task_id){ l.task });
    for (int beat = 0; beat < 30; beat++) {
        assert_int_equal(t->state, TASK_RUNNING);
        s->now_ms += 2000;
        sim_beat(s, "w0", l.task, l.attempt, 2, 4);
        sim_turn(s);
    }
    assert_int_equal(t->state, TASK_RUNNING); /* sixty seconds: the least patience */
    s->now_ms += 2000;
    sim_hello(s, "w1", 1, &sim_proof);
    sim_beat(s, "w0", l.task, l.attempt, 2, 4);
    sim_turn(s);
    assert_int_equal(t->state, TASK_READY);
    while ((m = sim_next(s, worker)))
        told = told || (m->cancel && m->cancel->task == l.task && m->cancel->attempt == l.attempt);
    assert_true(told);
    assert_int_equal(s->farm.fleet.workers[0]->failures, 1);
    assert_int_equal(t->losses, 0);
    sim_beat(s, "w0", l.task, l.attempt, 2, 4); /* it does not stop: it is told again, and gets nothing back */
    sim_ready(s, "w1");
    assert_true(sim_lease(s, &next));
    assert_string_equal(next.worker, "w1");
    assert_int_equal(next.task, l.task);
    assert_int_equal(next.attempt, l.attempt + 1);
}

/* An operator has a worker leave: it gets nothing more, what it hands back costs nothing, and it is told until it goes.
 */
static void a_worker_is_drained_by_name(void **state)
{
    struct sim *s = *state;
    Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
    Shotline__DrainRequest q = SHOTLINE__DRAIN_REQUEST__INIT;
    const Shotline__ToWorker *w;
    struct sim_lease l;
    char worker[32];
    int told = 0;

    sim_submit(s, 1, PROMPT, NULL, 3000, NULL);
    l = sim_lease_denoising(s);
    m.drain = &q;
    q.name = "w9";
    assert_int_equal(sim_ask(s, &m)->error->kind, SHOTLINE__FARM_ERROR_KIND__FARM_NOT_FOUND);
    q.name = "w0";
    assert_int_equal(sim_ask(s, &m)->drained->workers, 1);
    sim_heartbeat(s, "w0", l.task, l.attempt);
    sim_turn(s);
    while ((w = sim_next(s, worker)))
        told += w->drain != NULL;
    assert_int_equal(told, 2);
    sim_failed(s, "w0", l.task, l.attempt, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED);
    sim_ready(s, "w0");
    assert_false(sim_lease(s, &l));
    assert_int_equal(s->farm.fleet.workers[0]->failures, 0);
    assert_true(sim_work(s, 0, 1) == 0);
    sim_hello(s, "w1", 1, &sim_proof);
    sim_ready(s, "w1");
    assert_true(sim_lease(s, &l));
    assert_int_equal(ledger_task(&s->farm.ledger, (struct task_id){ l.task })->losses, 0);
}

/* A machine that fails whatever it is given, at once, eats no campaign: it is set aside after three. */
static void a_black_hole_is_set_aside(void **state)
{
    struct sim *s = *state;
    struct sim_lease l;
    uint64_t id = sim_submit(s, 1, PROMPT, NULL, 9000, NULL);
    int eaten = 0, done = 0;

    for (int turn = 0; turn < 400 && sim_status(s, id)->state != SHOTLINE__WORK_STATE__WORK_DONE; turn++) {
        s->now_ms += 500;
        sim_hello(s, "good", 1, &sim_proof);
        sim_hello(s, "hole", 1, &sim_proof);
        sim_ready(s, "hole");
        if (turn % 4 == 0)
            sim_ready(s, "good");
        while (sim_lease(s, &l)) {
            if (strcmp(l.worker, "hole")) {
                sim_done(s, l.worker, l.task, l.attempt, true, 0);
                done++;
            } else {
                sim_failed(s, l.worker, l.task, l.attempt,
                           eaten++ % 2 ? SHOTLINE__FAILURE_CLASS__FAILURE_WORKER
                                       : SHOTLINE__FAILURE_CLASS__FAILURE_INPUT);
                sim_ready(s, "hole");
            }
        }
    }
    assert_int_equal(sim_status(s, id)->state, SHOTLINE__WORK_STATE__WORK_DONE);
    assert_int_equal(eaten, STANDING_LIMIT);
    assert_true(done > 5);
}

/* A task that fails on as many workers as there are fails its video, with the worker's words on one line. */
static void failures_fail_the_video_with_their_reason(void **state)
{
    struct sim *s = *state;
    struct sim_lease l;
    uint64_t id = sim_submit(s, 1, PROMPT, NULL, 3000, NULL), task = 0;

    for (int i = 0; i < 2; i++) {
        char name[] = { 'w', (char)('0' + i), 0 };

        sim_hello(s, name, 1, &sim_proof);
    }
    sim_ready(s, "w0");
    assert_true(sim_lease(s, &l));
    task = l.task;
    sim_failed(s, "w0", l.task, l.attempt, SHOTLINE__FAILURE_CLASS__FAILURE_WORKER);
    sim_turn(s);
    assert_int_equal(sim_status(s, id)->state, SHOTLINE__WORK_STATE__WORK_RUNNING);
    sim_ready(s, "w1");
    while (sim_lease(s, &l) && l.task != task) {
        sim_done(s, l.worker, l.task, l.attempt, true, 0);
        sim_ready(s, l.worker);
    }
    assert_int_equal(l.task, task);
    assert_string_equal(l.worker, "w1"); /* never the one that failed */
    sim_failed(s, "w1", l.task, l.attempt, SHOTLINE__FAILURE_CLASS__FAILURE_WORKER);
    const Shotline__CampaignStatus *c = sim_status(s, id);
    assert_int_equal(c->state, SHOTLINE__WORK_STATE__WORK_FAILED);
    assert_non_null(strstr(c->videos[0]->reason, "the disk is full?"));
    assert_null(strchr(c->videos[0]->reason, '\n'));
}

static const Shotline__ExplainedTask *explained(struct sim *s, uint64_t task)
{
    Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
    Shotline__ExplainRequest q = SHOTLINE__EXPLAIN_REQUEST__INIT;

    q.has_task = 1;
    q.task = task;
    m.explain = &q;
    const Shotline__FromFarm *r = sim_ask(s, &m);
    assert_true(r && r->explain && r->explain->n_tasks == 1);
    return r->explain->tasks[0];
}

/* Leases that task to the worker; what else it is given on the way it does. */
static const Shotline__TaskSpec *lease_of(struct sim *s, const char *worker, uint64_t task, uint32_t *attempt)
{
    const Shotline__ToWorker *m;
    char to[32];

    for (;;) {
        sim_ready(s, worker);
        sim_turn(s);
        do {
            m = sim_next(s, to);
            assert_non_null(m);
        } while (!m->lease);
        *attempt = m->lease->attempt;
        if (m->lease->task == task)
            return m->lease->spec;
        sim_done(s, to, m->lease->task, *attempt, true, 0);
    }
}

/* A task that runs out of device memory comes back lean, under the same key, also when the coordinator was killed in
 * between; out of memory once more and on no larger device, its video fails. Whoever asks is told all along. */
static void out_of_memory_comes_back_lean(void **state)
{
    struct sim *s = *state;
    struct sim_lease l;
    uint32_t attempt;
    uint64_t id = sim_submit(s, 1, PROMPT, NULL, 3000, NULL);

    sim_hello(s, "w0", 1, &sim_proof);
    sim_ready(s, "w0");
    assert_true(sim_lease(s, &l));
    struct digest key = ledger_task(&s->farm.ledger, (struct task_id){ l.task })->key;
    sim_failed(s, "w0", l.task, l.attempt, SHOTLINE__FAILURE_CLASS__FAILURE_MEMORY);
    sim_turn(s);
    const Shotline__ExplainedTask *e = explained(s, l.task);
    assert_int_equal(e->profile, SHOTLINE__PROFILE__PROFILE_LEAN);
    assert_string_equal(e->trouble, "usual profile, device of 1024 MiB: the disk is full?");

    sim_crash(s);
    sim_open(s);
    sim_hello(s, "w0", 1, &sim_proof);
    const Shotline__TaskSpec *spec = lease_of(s, "w0", l.task, &attempt);
    assert_int_equal(attempt, l.attempt + 1);
    assert_int_equal(spec->profile, SHOTLINE__PROFILE__PROFILE_LEAN);
    assert_memory_equal(spec->key.data, key.bytes, DIGEST_BYTES);

    sim_failed(s, "w0", l.task, attempt, SHOTLINE__FAILURE_CLASS__FAILURE_MEMORY);
    sim_ready(s, "w0");
    sim_turn(s);
    const Shotline__CampaignStatus *c = sim_status(s, id);
    assert_int_equal(c->state, SHOTLINE__WORK_STATE__WORK_FAILED);
    assert_non_null(strstr(c->videos[0]->reason, "no worker has enough memory: lean profile, device of 1024 MiB"));
    assert_int_equal(explained(s, l.task)->reason, SHOTLINE__TASK_REASON__REASON_NO_MEMORY);
}

/* Not every task finds out anew that a worker's memory is too small for its kind: the next ones begin lean there. */
static void the_next_task_of_its_kind_begins_lean(void **state)
{
    struct sim *s = *state;
    struct sim_lease l, next;

    assert_true(sim_submit(s, 1, PROMPT, NULL, 3000, NULL));
    sim_hello(s, "w0", 1, &sim_proof);
    sim_ready(s, "w0");
    assert_true(sim_lease(s, &l));
    assert_int_equal(ledger_task(&s->farm.ledger, (struct task_id){ l.task })->kind, TASK_TEXT);
    sim_failed(s, "w0", l.task, l.attempt, SHOTLINE__FAILURE_CLASS__FAILURE_MEMORY);
    for (uint64_t task = l.task; task == l.task;) {
        sim_ready(s, "w0");
        assert_true(sim_lease(s, &next));
        task = next.task;
        sim_done(s, "w0", next.task, next.attempt, true, 0);
    }
    const struct task *t = ledger_task(&s->farm.ledger, (struct task_id){ next.task });
    assert_int_equal(t->kind, TASK_TEXT);
    assert_int_equal(t->attempt.v, 1);
    assert_int_equal(t->profile, PROFILE_LEAN);
}

/* A device that computes other bytes is refused, and told why. */
static void a_wrong_kernel_proof_is_refused(void **state)
{
    struct sim *s = *state;
    struct digest wrong = { { 1 } };
    char worker[32];

    sim_hello(s, "w0", 1, &wrong);
    sim_turn(s);
    const Shotline__ToWorker *m = sim_next(s, worker);
    assert_non_null(m->refused);
    assert_non_null(strstr(m->refused->reason, "kernel proof"));
    sim_ready(s, "w0");
    sim_turn(s);
    m = sim_next(s, worker);
    assert_non_null(m->hello_again);
}

#define T(name) cmocka_unit_test_setup_teardown(name, sim_setup, sim_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(only_whole_current_reports_commit),
        T(a_report_and_the_next_task_are_one_message_each_way),
        T(lost_leases_are_found_again),
        T(a_lease_that_has_ended_is_not_given_again),
        T(a_result_outlives_its_process),
        T(a_black_hole_is_set_aside),
        T(the_next_attempt_goes_on_from_the_saved_state),
        T(a_false_state_drops_no_film),
        T(a_stalled_attempt_is_given_up),
        T(a_worker_is_drained_by_name),
        T(failures_fail_the_video_with_their_reason),
        T(out_of_memory_comes_back_lean),
        T(the_next_task_of_its_kind_begins_lean),
        T(a_wrong_kernel_proof_is_refused),
    };
    setenv("SHOTLINE_LOG", "error", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* links: shotline_coordinator */
/* The farm as a whole: a prompt becomes a video, whoever works and whatever dies. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "coordinator/core/figures.h"
#include "tests/unit/farm_sim.h"

#define PROMPT "a monster walks"

/* From a prompt to a manifest, over the farm's real conversations. */
static void a_prompt_becomes_a_video(void **state)
{
    struct sim *s = *state;
    uint64_t id = sim_submit(s, 1, PROMPT, NULL, 9000, NULL);

    assert_int_equal(id, 1);
    int tasks = sim_work(s, 2, 1);
    const Shotline__CampaignStatus *c = sim_status(s, id);
    assert_int_equal(c->state, SHOTLINE__WORK_STATE__WORK_DONE);
    assert_int_equal(c->tasks, tasks);
    assert_int_equal(c->tasks_done, tasks);
    assert_int_equal(c->busy_ms, 100 * tasks);
    for (size_t i = 0; i < c->videos[0]->n_shots; i++) {
        assert_int_equal(c->videos[0]->shots[i]->steps_done, c->videos[0]->shots[i]->steps);
        assert_true(c->videos[0]->shots[i]->steps > 0);
    }
    char *manifest = sim_manifest(s, id);
    assert_non_null(strstr(manifest, "\"plan_digest\""));
    assert_non_null(strstr(manifest, "\"frames_digest\""));
    free(manifest);
}

/* The same campaign gives the same manifest whoever works and in whatever order; a second time nobody works at all. */
static void manifests_do_not_depend_on_who_worked(void **state)
{
    (void)state;
    char *first = NULL;

    for (int workers = 1; workers <= 4; workers++) {
        struct sim *s = sim_new();
        uint64_t id = sim_submit(s, (uint8_t)workers, PROMPT, NULL, 9000, NULL);

        assert_true(sim_work(s, workers, (uint64_t)workers) > 5);
        char *manifest = sim_manifest(s, id);
        if (first)
            assert_string_equal(manifest, first);
        else
            first = xstrdup(manifest);
        free(manifest);

        id = sim_submit(s, 100, PROMPT, NULL, 9000, NULL);
        assert_int_equal(sim_work(s, workers, 1), 0);
        manifest = sim_manifest(s, id);
        assert_string_equal(manifest, first);
        const Shotline__CampaignStatus *c = sim_status(s, id);
        assert_int_equal(c->tasks_cached, c->tasks);
        assert_int_equal(s->planner.asked, 1);
        free(manifest);
        sim_free(&s);
    }
    free(first);
}

/* Changing one shot of a plan renders that shot alone again. */
static void one_changed_shot_is_rendered_alone(void **state)
{
    struct sim *s = *state;
    static const char plan[] =
        "{\"cast\":[{\"id\":\"A\",\"kind\":\"character\",\"phrase\":\"a red monster\"}],\"shots\":["
        "{\"scene\":1,\"place\":\"forest\",\"light\":\"day\",\"size\":\"wide\",\"angle\":\"eye "
        "level\",\"camera\":\"static\",\"actors\":["
        "{\"cast\":\"A\",\"enters\":1,\"action\":\"standing\"}],\"duration\":3.0,\"transition\":\"cut\",\"match\":0},"
        "{\"scene\":2,\"place\":\"beach\",\"light\":\"day\",\"size\":\"wide\",\"angle\":\"eye "
        "level\",\"camera\":\"static\",\"actors\":["
        "{\"cast\":\"A\",\"enters\":1,\"action\":\"%s\"}],\"duration\":3.0,\"transition\":\"cut\",\"match\":0}]}";
    char text[1024];

    snprintf(text, sizeof text, plan, "standing");
    assert_int_equal(sim_submit(s, 1, NULL, text, 6000, NULL), 1);
    /* two prompts, the negative one, the reference's phrase, the reference; per shot an anchor, two ranges and a
     * decode; the stitch */
    assert_int_equal(sim_work(s, 2, 1), 5 + 2 * 4 + 1);
    snprintf(text, sizeof text, plan, "walking");
    assert_int_equal(sim_submit(s, 2, NULL, text, 6000, NULL), 2);
    assert_int_equal(sim_work(s, 2, 1), 1 + 4 + 1); /* its prompt, the shot, the stitch */
    assert_int_equal(sim_status(s, 2)->state, SHOTLINE__WORK_STATE__WORK_DONE);
}

/* The coordinator dies between any two turns: nothing accepted is lost, running work is adopted, and the manifest is
 * the same. */
static void a_killed_coordinator_loses_nothing(void **state)
{
    struct sim *s = *state;
    struct sim *undisturbed = sim_new();
    uint64_t id = sim_submit(undisturbed, 1, PROMPT, NULL, 9000, NULL);

    sim_work(undisturbed, 2, 3);
    char *expected = sim_manifest(undisturbed, id);
    sim_free(&undisturbed);

    struct sim_lease l;
    int adopted = 0;
    id = sim_submit(s, 1, PROMPT, NULL, 9000, NULL);
    for (int round = 0; round < 200; round++) {
        sim_crash(s);
        sim_open(s);
        assert_int_equal(sim_submit(s, 1, PROMPT, NULL, 9000, NULL), id); /* the same token, the same campaign */
        sim_hello(s, "w0", 1, &sim_proof);
        sim_ready(s, "w0");
        if (!sim_lease(s, &l))
            break;
        sim_crash(s); /* while the worker computes */
        sim_open(s);
        s->now_ms += FARM_LEASE_MS - 1;
        sim_hello(s, "w0", 1, &sim_proof);
        sim_heartbeat(s, "w0", l.task, l.attempt);
        sim_turn(s);
        s->now_ms += 2 * FARM_HEARTBEAT_MS;
        sim_heartbeat(s, "w0", l.task, l.attempt);
        sim_turn(s);
        const struct task *t = ledger_task(&s->farm.ledger, (struct task_id){ l.task });
        assert_int_equal(t->state, TASK_RUNNING);
        assert_int_equal(t->attempt.v, l.attempt);
        adopted++;
        sim_done(s, "w0", l.task, l.attempt, true, 0);
        if (round % 2) { /* the answer to the report is lost as well: it is said again */
            sim_turn(s);
            sim_crash(s);
            sim_open(s);
            sim_hello(s, "w0", 1, &sim_proof);
            sim_done(s, "w0", l.task, l.attempt, true, 0);
        }
        assert_int_equal(sim_verdict(s), SHOTLINE__REPORT_VERDICT__REPORT_OK);
    }
    assert_true(adopted > 5);
    char *manifest = sim_manifest(s, id);
    assert_string_equal(manifest, expected);
    free(manifest);
    free(expected);
}

/* What has ended leaves memory, and is told as before: its status, its tasks, a report that is said again. */
static void what_has_ended_is_read_from_the_store(void **state)
{
    struct sim *s = *state;
    struct sim_lease l;
    uint64_t first_task = 0;
    uint32_t tasks, done, shots;
    struct error err;

    uint64_t id = sim_submit(s, 1, PROMPT, NULL, 9000, NULL);
    sim_hello(s, "w0", 1, &sim_proof);
    sim_ready(s, "w0");
    assert_true(sim_lease(s, &l));
    first_task = l.task;
    sim_done(s, "w0", l.task, l.attempt, true, 0);
    sim_work(s, 2, 3);
    const Shotline__CampaignStatus *c = sim_status(s, id);
    assert_int_equal(c->state, WORK_DONE);
    tasks = c->tasks;
    done = c->tasks_done;
    shots = (uint32_t)c->videos[0]->n_shots;
    assert_int_equal(s->farm.ledger.ended_tasks, tasks);

    s->farm.tasks_kept = 0;
    sim_turn(s);
    assert_int_equal(s->farm.ledger.ended_tasks, 0);
    assert_null(ledger_task(&s->farm.ledger, (struct task_id){ first_task }));
    s->farm.tasks_kept = FARM_TASKS_KEPT; /* who cancels what has ended reads nothing, and changes nothing */
    Shotline__ToFarm ask = SHOTLINE__TO_FARM__INIT;
    Shotline__CancelRequest cancel = SHOTLINE__CANCEL_REQUEST__INIT;
    cancel.campaign = id;
    ask.cancel = &cancel;
    assert_non_null(sim_ask(s, &ask)->cancelled);
    assert_int_equal(s->farm.ledger.ended_tasks, 0);
    s->farm.tasks_kept = 0;
    for (int again = 0; again < 2; again++) { /* put away by a turn, or by a restart */
        struct campaign_figures n = figures_of(ledger_campaign(&s->farm.ledger, (struct campaign_id){ id }));
        assert_int_equal(n.tasks, tasks);
        assert_int_equal(n.tasks_done, done);
        c = sim_status(s, id);
        assert_int_equal(c->tasks, tasks);
        assert_int_equal(c->videos[0]->n_shots, shots);
        assert_int_equal(c->videos[0]->shots[0]->state, WORK_DONE);
        sim_turn(s);
        assert_int_equal(shelf_task(&s->farm, (struct task_id){ first_task }, &err)->state, TASK_DONE);
        sim_turn(s);
        if (!again)
            sim_hello(s, "w0", 1, &sim_proof);
        sim_done(s, "w0", first_task, 1, true, 0); /* its acknowledgement was lost */
        assert_int_equal(sim_verdict(s), SHOTLINE__REPORT_VERDICT__REPORT_OK);
        assert_null(shelf_task(&s->farm, (struct task_id){ first_task + 1000 }, &err));
        assert_int_equal(err.kind, ERROR_INPUT);
        sim_crash(s);
        sim_open(s);
        sim_hello(s, "w0", 1, &sim_proof);
        assert_int_equal(s->farm.ledger.ended_tasks, 0);
        s->farm.tasks_kept = 0;
    }
}

/* An output whose bytes are gone is made again before the task that needs it. */
static void a_blob_that_is_gone_is_made_again(void **state)
{
    struct sim *s = *state;
    struct sim_lease l;
    uint64_t id = sim_submit(s, 1, PROMPT, NULL, 3000, NULL), text = 0;

    sim_hello(s, "w0", 1, &sim_proof);
    for (;;) { /* until the first task that has inputs */
        sim_ready(s, "w0");
        assert_true(sim_lease(s, &l));
        const struct task *t = ledger_task(&s->farm.ledger, (struct task_id){ l.task });
        if (t->input_count)
            break;
        text = l.task;
        sim_done(s, "w0", l.task, l.attempt, true, 0);
    }
    const struct task *t = ledger_task(&s->farm.ledger, (struct task_id){ text });
    assert_true(store_dir_remove(s->blobs, &t->outputs[0].blob.digest));
    assert_int_equal(t->state, TASK_DONE);
    sim_failed(s, "w0", l.task, l.attempt, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED);
    assert_true(sim_work(s, 2, 1) > 0);
    assert_int_equal(sim_status(s, id)->state, SHOTLINE__WORK_STATE__WORK_DONE);
    assert_true(ledger_task(&s->farm.ledger, (struct task_id){ text })->attempt.v >= 1);
    assert_true(
        store_dir_has(s->blobs, &ledger_task(&s->farm.ledger, (struct task_id){ text })->outputs[0].blob.digest));
}

/* A video ends when its manifest is on the disk: until then it runs, over a crash, and can be cancelled. */
static void a_video_waits_for_its_manifest(void **state)
{
    struct sim *s = *state;
    Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
    Shotline__CancelRequest q = SHOTLINE__CANCEL_REQUEST__INIT;
    uint64_t id = sim_submit(s, 1, PROMPT, NULL, 3000, NULL);

    s->scribe.busy = true;
    assert_true(sim_work(s, 2, 1) > 5);
    const Shotline__CampaignStatus *c = sim_status(s, id);
    assert_int_equal(c->tasks_done, c->tasks);
    assert_int_equal(c->state, SHOTLINE__WORK_STATE__WORK_RUNNING);
    assert_int_equal(s->scribe.count, 1);
    sim_turn(s);
    assert_int_equal(s->scribe.count, 1); /* not ordered again */

    sim_crash(s);
    sim_open(s); /* with a scribe that knows nothing */
    sim_turn(s);
    assert_int_equal(sim_status(s, id)->state, SHOTLINE__WORK_STATE__WORK_DONE);
    free(sim_manifest(s, id));

    s->scribe.busy = true;
    q.campaign = sim_submit(s, 2, PROMPT, NULL, 6000, NULL);
    m.cancel = &q;
    assert_true(sim_work(s, 2, 1) > 5);
    assert_non_null(sim_ask(s, &m)->cancelled);
    s->scribe.busy = false;
    sim_turn(s);
    assert_int_equal(sim_status(s, q.campaign)->state, SHOTLINE__WORK_STATE__WORK_CANCELLED);
    assert_int_equal(s->farm.manifests_ordered, 0);
}

static void set_quota(struct sim *s, int64_t bytes)
{
    s->farm.eviction.quota_bytes = bytes;
    s->farm.eviction.grace_ms = s->farm.eviction.look_ms = 0;
}

/* With hardly any room for what can be made again: both campaigns end in the bytes that they have on a farm with room;
 * what is finished stays; what is asked for once more is made once more. */
static void a_small_cache_changes_no_byte(void **state)
{
    struct sim *s = *state;
    struct sim *roomy = sim_new();
    char *expected[2], *manifest;

    for (uint8_t i = 0; i < 2; i++) {
        uint64_t id = sim_submit(roomy, i + 1, PROMPT, NULL, 9000 + 3000 * i, NULL);

        sim_work(roomy, 2, 1);
        expected[i] = sim_manifest(roomy, id);
    }
    assert_int_equal(roomy->farm.eviction.evicted_blobs, 0);
    sim_free(&roomy);

    set_quota(s, 500);
    for (uint8_t i = 0; i < 2; i++) {
        uint64_t id = sim_submit(s, i + 1, PROMPT, NULL, 9000 + 3000 * i, NULL),
                 before = s->farm.eviction.evicted_blobs;

        assert_true(sim_work(s, 2, 1) > 5);
        assert_int_equal(sim_status(s, id)->state, SHOTLINE__WORK_STATE__WORK_DONE);
        assert_true(s->farm.eviction.evicted_blobs > before + 5);
    }
    for (int i = 0; i < 3; i++) { /* nothing runs: the cache comes down to its quota, and what is kept stays */
        s->now_ms += 60000;
        sim_turn(s);
    }
    assert_true(eviction_cache_bytes(&s->farm.eviction) <= 500);
    Shotline__ToFarm ask = SHOTLINE__TO_FARM__INIT;
    Shotline__StatusRequest status = SHOTLINE__STATUS_REQUEST__INIT;
    ask.status = &status;
    const Shotline__StorageStatus *told = sim_ask(s, &ask)->status->storage;
    assert_int_equal(told->quota, 500);
    assert_true(told->cache <= 500 && told->kept > 500 && told->evicted > 500);
    sim_crash(s);
    sim_open(s);
    set_quota(s, 500);
    for (uint8_t i = 0; i < 2; i++) {
        manifest = sim_manifest(s, i + 1);
        assert_string_equal(manifest, expected[i]);
        free(manifest);
        assert_true(store_dir_has(s->blobs, &s->farm.ledger.campaigns[i]->videos[0].file.digest));
    }
    uint64_t again = sim_submit(s, 3, PROMPT, NULL, 9000, NULL);
    assert_true(sim_work(s, 2, 1) > 5); /* no longer cached */
    manifest = sim_manifest(s, again);
    assert_string_equal(manifest, expected[0]);
    free(manifest);
    free(expected[0]);
    free(expected[1]);
}

#define T(name) cmocka_unit_test_setup_teardown(name, sim_setup, sim_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_prompt_becomes_a_video),
        cmocka_unit_test(manifests_do_not_depend_on_who_worked),
        T(one_changed_shot_is_rendered_alone),
        T(a_killed_coordinator_loses_nothing),
        T(what_has_ended_is_read_from_the_store),
        T(a_blob_that_is_gone_is_made_again),
        T(a_video_waits_for_its_manifest),
        T(a_small_cache_changes_no_byte),
    };
    setenv("SHOTLINE_LOG", "error", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

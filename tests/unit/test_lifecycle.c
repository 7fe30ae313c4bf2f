/* links: shotline_coordinator_core */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/farm_graph.h"

#define LEASE_MS 15000
#define WALL_MS  1000000
static const struct worker_id W1 = { 1 }, W2 = { 2 }, W3 = { 3 };

/* A task becomes ready when its last input is known, and not before. */
static void tasks_become_ready_with_their_inputs(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct task *t = c->videos[0].tasks;

    assert_int_equal(t[G_TEXT].state, TASK_READY);
    assert_int_equal(t[G_NEGATIVE].state, TASK_READY);
    assert_int_equal(t[G_ANCHOR].state, TASK_WAITING);
    graph_finish(&l, graph_lease(&l, c, 1, 0), 10);
    assert_int_equal(t[G_ANCHOR].state, TASK_WAITING);
    graph_finish(&l, graph_lease(&l, c, 1, 0), 10);
    assert_int_equal(t[G_ANCHOR].state, TASK_READY);
    graph_finish(&l, graph_lease(&l, c, 1, 0), 10);
    assert_int_equal(t[G_LEFT].state, TASK_READY);
    assert_int_equal(t[G_RIGHT].state, TASK_READY);
    assert_int_equal(t[G_DECODE].state, TASK_WAITING);
    ledger_free(&l);
}

/* A video is complete with its last task, and its campaign ends with its last video. */
static void a_campaign_ends_with_its_last_task(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 2, false);

    for (int i = 0; i < 2 * G_TASKS - 1; i++) /* the negative prompt is the same in both videos: made once */
        graph_finish(&l, graph_lease(&l, c, 1, 0), 10);
    assert_null(queue_pop(c));
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(video_is_complete(&c->videos[i]));
        assert_int_equal(c->state, WORK_RUNNING);
        video_finish(&l, &c->videos[i], &(struct blob_ref){ .bytes = 5 }, WALL_MS);
    }
    assert_int_equal(c->state, WORK_DONE);
    assert_int_equal(c->ended_ms, WALL_MS);
    assert_int_equal(c->busy_ms, 10 * (2 * G_TASKS - 1));
    ledger_free(&l);
}

/* A worker that goes silent loses its task, and the task can run again under the next attempt. */
static void silent_worker_loses_its_task(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct task *t = graph_lease(&l, c, 1, 1000);

    assert_false(task_lease_over(t, 1000 + LEASE_MS - 1));
    assert_true(task_lease_over(t, 1000 + LEASE_MS));
    assert_true(task_renew(t, W1, t->attempt, 9000, LEASE_MS));
    assert_false(task_lease_over(t, 1000 + LEASE_MS));
    task_lost(&l, t, WALL_MS);
    assert_int_equal(t->state, TASK_READY);
    assert_ptr_equal(graph_lease(&l, c, 2, 20000), t);
    assert_int_equal(t->attempt.v, 2);
    assert_false(task_renew(t, W1, (struct attempt){ 1 }, 20001, LEASE_MS));
    ledger_free(&l);
}

/* Only the current attempt commits: stale ones are superseded, a repeat of the commit is answered, other workers are
 * not believed. */
static void only_the_current_attempt_commits(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct task *t = graph_lease(&l, c, 1, 0);
    struct attempt first = t->attempt;

    assert_int_equal(task_judge(t, W1, first, CLAIM_NONE), REPORT_CURRENT);
    assert_int_equal(task_judge(t, W2, first, CLAIM_NONE), REPORT_SUPERSEDED);
    assert_int_equal(task_judge(t, W1, (struct attempt){ 0 }, CLAIM_NONE), REPORT_SUPERSEDED);
    assert_int_equal(task_judge(t, W1, (struct attempt){ first.v + 1 }, CLAIM_NONE), REPORT_SUPERSEDED);
    task_lost(&l, t, WALL_MS);
    assert_int_equal(task_judge(t, W1, first, CLAIM_NONE),
                     REPORT_CURRENT); /* it was only slow, and nobody else has begun */
    graph_lease(&l, c, 2, 0);
    assert_int_equal(task_judge(t, W1, first, CLAIM_NONE), REPORT_SUPERSEDED);
    graph_finish(&l, t, 5);
    assert_int_equal(task_judge(t, W2, t->attempt, CLAIM_NONE), REPORT_REPEATED);
    assert_int_equal(task_judge(t, W1, first, CLAIM_NONE), REPORT_SUPERSEDED);
    ledger_free(&l);
}

/* A result that outlived its process, or an attempt from before, fills its task by the key - but only while nobody else
 * has begun, and only once. */
static void a_result_from_before_commits_by_its_key(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct task *t = graph_lease(&l, c, 1, 0);
    struct attempt first = t->attempt;
    struct task_output outputs[TASK_MAX_OUTPUTS];

    assert_int_equal(task_judge(t, W3, first, CLAIM_KEY), REPORT_SUPERSEDED); /* W1 still runs it */
    assert_int_equal(task_judge(t, W3, first, CLAIM_HEIR), REPORT_CURRENT);   /* ...in vain: this is what it became */
    task_lost(&l, t, WALL_MS);
    assert_int_equal(task_judge(t, W3, first, CLAIM_KEY), REPORT_BY_KEY); /* W1's next process, under another id */
    assert_int_equal(task_judge(t, W3, first, CLAIM_NONE), REPORT_SUPERSEDED);
    assert_int_equal(task_judge(t, W3, (struct attempt){ 2 }, CLAIM_KEY), REPORT_SUPERSEDED); /* never given out */
    graph_lease(&l, c, 2, 0);
    assert_int_equal(task_judge(t, W3, first, CLAIM_KEY), REPORT_SUPERSEDED);
    task_lost(&l, t, WALL_MS);
    assert_int_equal(task_judge(t, W1, first, CLAIM_KEY), REPORT_BY_KEY); /* two attempts later, and nobody runs it */

    uint32_t count = graph_outputs(t, outputs);
    task_done(&l, t, W1, first, outputs, count, 5);
    assert_int_equal(t->state, TASK_DONE);
    assert_int_equal(t->attempt.v, 2); /* the next one, should there be one, is the third */
    assert_int_equal(task_judge(t, W1, first, CLAIM_KEY), REPORT_REPEATED);
    assert_int_equal(task_judge(t, W3, first, CLAIM_KEY), REPORT_SUPERSEDED);
    assert_int_equal(task_judge(t, W2, (struct attempt){ 2 }, CLAIM_KEY), REPORT_SUPERSEDED);
    assert_null(queue_pop(c) == t ? t : NULL);
    ledger_free(&l);
}

/* An attempt fails once: what is said again is acknowledged, and changes nothing. */
static void a_failure_counts_once(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct task *t = graph_lease(&l, c, 1, 0);
    struct attempt first = t->attempt;
    const struct task_failure f = {
        .worker = W1, .failure = FAILURE_WORKER, .reason = "disk full", .device_bytes = 100, .able_workers = 3
    };

    assert_int_equal(task_judge_failure(t, W2, first), REPORT_SUPERSEDED);
    assert_int_equal(task_judge_failure(t, W1, (struct attempt){ 0 }), REPORT_SUPERSEDED);
    assert_int_equal(task_judge_failure(t, W1, first), REPORT_CURRENT);
    task_failed(&l, t, &f, WALL_MS);
    assert_int_equal(task_judge_failure(t, W1, first), REPORT_REPEATED);
    assert_false(task_readopt(&l, t, W1, first, 0, LEASE_MS)); /* nor does it go on */
    graph_lease(&l, c, 2, 0);
    assert_int_equal(task_judge_failure(t, W1, first), REPORT_SUPERSEDED);
    assert_int_equal(t->failed_count, 1);
    ledger_free(&l);
}

/* Five losses are free; the sixth fails the video, and what still runs is stopped. */
static void too_many_losses_fail_the_video(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct task *other = queue_pop(c), *t = queue_pop(c);

    task_lease(&l, other, W2, 0, LEASE_MS);
    queue_push(t);
    for (int i = 0; i <= TASK_MAX_LOSSES; i++) {
        assert_int_equal(c->videos[0].state, WORK_RUNNING);
        assert_ptr_equal(graph_lease(&l, c, 1, 0), t);
        task_lost(&l, t, WALL_MS);
    }
    assert_int_equal(t->state, TASK_FAILED);
    assert_int_equal(c->videos[0].state, WORK_FAILED);
    assert_int_equal(c->state, WORK_FAILED);
    assert_int_equal(t->reason, REASON_LOST);
    assert_non_null(strstr(c->videos[0].reason, "6 workers were lost"));
    assert_int_equal(l.stopped_count, 1);
    assert_int_equal(l.stopped[0].task.v, other->id.v);
    assert_int_equal(other->state, TASK_CANCELLED);
    assert_int_equal(c->running, 0);
    ledger_free(&l);
}

/* Machines that are taken away again and again end a long task all the same, as long as each saves a newer state; when
 * none comes further, or only to where a state was that is gone, it fails. */
static void losses_after_progress_do_not_count(void **state)
{
    (void)state;
    const struct blob_ref saved = { .digest = digest_of("state", 5), .bytes = 5 };
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);

    graph_finish(&l, graph_lease(&l, c, 1, 0), 1);
    graph_finish(&l, graph_lease(&l, c, 1, 0), 1);
    struct task *t = &c->videos[0].tasks[G_ANCHOR];
    t->denoise.step_to = 100; /* before it runs: room for many states */
    for (uint32_t step = 1; step <= 3 * TASK_MAX_LOSSES; step++) {
        assert_ptr_equal(graph_lease(&l, c, 1, 0), t);
        assert_true(task_checkpoint(&l, t, W1, t->attempt, step, &saved));
        assert_int_equal(t->losses, 0);
        task_lost(&l, t, WALL_MS);
        assert_int_equal(t->state, TASK_READY);
    }
    for (int i = 1; i < TASK_MAX_LOSSES; i++) { /* the last one above was the first in a row */
        graph_lease(&l, c, 1, 0);
        task_lost(&l, t, WALL_MS);
        assert_int_equal(t->state, TASK_READY);
    }
    task_forget_checkpoint(&l, t);
    graph_lease(&l, c, 1, 0);
    assert_true(task_checkpoint(&l, t, W1, t->attempt, 3 * TASK_MAX_LOSSES, &saved)); /* again, not further */
    task_lost(&l, t, WALL_MS);
    assert_int_equal(t->state, TASK_FAILED);
    assert_int_equal(t->reason, REASON_LOST);
    assert_non_null(strstr(c->videos[0].reason, "6 workers were lost in a row, and none came further than step 15"));
    ledger_free(&l);
}

static struct task_failure failure(struct worker_id w, enum failure f, uint32_t able)
{
    return (struct task_failure){
        .worker = w, .failure = f, .reason = "disk full", .device_bytes = 100, .able_workers = able
    };
}

/* A task error is tried on three distinct workers, or on all when there are fewer. */
static void task_errors_need_distinct_workers(void **state)
{
    (void)state;
    for (uint32_t able = 1; able <= 4; able++) {
        struct ledger l = { 0 };
        struct campaign *c = graph_campaign(&l, 1, false);
        struct task *t = NULL;
        uint32_t limit = able < 3 ? able : 3;

        for (uint32_t i = 1; i <= limit; i++) {
            assert_int_equal(c->videos[0].state == WORK_FAILED, false);
            t = graph_lease(&l, c, i, 0);
            struct task_failure f = failure((struct worker_id){ i }, FAILURE_WORKER, able);
            task_failed(&l, t, &f, WALL_MS);
            assert_true(task_failed_on(t, (struct worker_id){ i }));
        }
        assert_int_equal(t->state, TASK_FAILED);
        assert_int_equal(t->reason, REASON_FAILED_EVERYWHERE);
        assert_non_null(strstr(c->videos[0].reason, "disk full"));
        ledger_free(&l);
    }
}

/* Bad inputs fail the video as soon as a second worker says so too, where there is one. */
static void bad_input_needs_two_witnesses(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 2, false);
    struct task *t = graph_lease(&l, c, 1, 0);
    struct task_failure f = failure(W1, FAILURE_INPUT, 5);

    task_failed(&l, t, &f, WALL_MS);
    assert_int_equal(t->state, TASK_READY);
    assert_ptr_equal(graph_lease(&l, c, 2, 0), t);
    f.worker = W2;
    task_failed(&l, t, &f, WALL_MS);
    assert_int_equal(t->reason, REASON_BAD_INPUT);
    assert_int_equal(c->videos[0].state, WORK_FAILED);
    assert_int_equal(c->videos[1].state, WORK_WAITING);
    assert_int_equal(c->state, WORK_WAITING); /* the other video goes on */
    ledger_free(&l);
}

/* An attempt that went on from a saved state and could not use what it was given: the next one begins anew, and
 * nothing is held against the task. */
static void a_bad_saved_state_costs_steps_only(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct blob_ref saved = { .digest = { { 9 } }, .bytes = 100 };

    for (int i = 0; i < 2; i++)
        graph_finish(&l, graph_lease(&l, c, 1, 0), 0);
    struct task *t = graph_lease(&l, c, 1, 0);
    assert_int_equal(t->position, G_ANCHOR);
    assert_true(task_checkpoint(&l, t, W1, t->attempt, 1, &saved));
    task_lost(&l, t, WALL_MS);
    assert_ptr_equal(graph_lease(&l, c, 2, 0), t);
    assert_int_equal(t->resumed_step, 1);
    struct task_failure f = failure(W2, FAILURE_INPUT, 1);
    task_failed(&l, t, &f, WALL_MS);
    assert_int_equal(t->state, TASK_READY);
    assert_int_equal(t->checkpoint_step, 0);
    assert_int_equal(t->errors, 0);
    assert_ptr_equal(graph_lease(&l, c, 2, 0), t);
    assert_int_equal(t->resumed_step, 0);
    task_failed(&l, t, &f, WALL_MS); /* the only worker, and nothing else to blame */
    assert_int_equal(c->videos[0].state, WORK_FAILED);
    ledger_free(&l);
}

/* Out of memory: lean first, also where it failed; then ever larger devices. It is no task error, and it ends. */
static void out_of_memory_turns_lean_then_climbs_to_larger_devices(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct task *t = graph_lease(&l, c, 1, 0);
    struct task_failure first = failure(W1, FAILURE_MEMORY, 4);

    first.device_bytes = INT64_C(8) << 30;
    assert_int_equal(t->profile, PROFILE_USUAL);
    task_failed(&l, t, &first, WALL_MS);
    assert_int_equal(t->profile, PROFILE_LEAN);
    assert_int_equal(t->too_small_bytes, 0);
    assert_false(task_failed_on(t, W1));
    assert_string_equal(t->trouble, "usual profile, device of 8192 MiB: disk full");
    for (uint32_t i = 1; i <= 4; i++) { /* more than three distinct workers */
        t = graph_lease(&l, c, i, 0);
        struct task_failure f = failure((struct worker_id){ i }, FAILURE_MEMORY, 4);
        f.device_bytes = 100 * i;
        task_failed(&l, t, &f, WALL_MS);
        assert_int_equal(t->state, TASK_READY);
        assert_int_equal(t->profile, PROFILE_LEAN);
        assert_int_equal(t->errors, 0);
        assert_int_equal(t->too_small_bytes, 100 * i);
        assert_true(task_failed_on(t, (struct worker_id){ i }));
    }
    task_unplaceable(&l, t, WALL_MS);
    assert_int_equal(t->reason, REASON_NO_MEMORY);
    assert_int_equal(c->videos[0].state, WORK_FAILED);
    assert_non_null(strstr(c->videos[0].reason, "no worker has enough memory: lean profile, device of"));
    ledger_free(&l);

    l = (struct ledger){ 0 }; /* a farm of very many sizes ends too */
    c = graph_campaign(&l, 1, false);
    for (uint32_t i = 1; c->videos[0].state != WORK_FAILED; i++) {
        assert_true(i <= 1 + TASK_MAX_FAILED_ON);
        t = graph_lease(&l, c, i, 0);
        struct task_failure f = failure((struct worker_id){ i }, FAILURE_MEMORY, 100);
        f.device_bytes = i;
        task_failed(&l, t, &f, WALL_MS);
    }
    ledger_free(&l);
}

/* A worker that hands a task back costs nothing. */
static void a_returned_task_is_no_failure(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct task *t = graph_lease(&l, c, 1, 0);
    struct task_failure f = failure(W1, FAILURE_CANCELLED, 1);

    task_failed(&l, t, &f, WALL_MS);
    assert_int_equal(t->state, TASK_READY);
    assert_int_equal(t->losses, 0);
    assert_int_equal(t->failed_count, 0);
    ledger_free(&l);
}

/* Two campaigns that need the same work: it is done once, and when its owner is cancelled the other one does it. */
static void twins_are_answered_by_one_result(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *a = graph_campaign(&l, 1, true), *b = graph_campaign(&l, 1, true);

    assert_int_equal(a->queue_count, 2);
    assert_int_equal(b->queue_count, 0); /* parked behind a's */
    struct task *t = graph_lease(&l, a, 1, 0);
    graph_finish(&l, t, 10);
    struct task *twin = &b->videos[0].tasks[t->position];
    assert_int_equal(twin->state, TASK_DONE);
    assert_true(twin->cached);
    assert_int_equal(b->busy_ms, 0);

    struct task *second = graph_lease(&l, a, 1, 0);
    campaign_cancel(&l, a, WALL_MS);
    assert_int_equal(a->state, WORK_CANCELLED);
    assert_int_equal(second->state, TASK_CANCELLED);
    assert_int_equal(b->queue_count, 1);
    assert_int_equal(b->queue[0]->position, second->position);
    ledger_free(&l);
}

static struct task_output found[TASK_MAX_OUTPUTS];
static uint32_t find_for_text(void *context, const struct digest *key, struct task_output *outputs)
{
    const struct digest *only = context;

    if (!digest_equal(key, only))
        return 0;
    memcpy(outputs, found, sizeof found);
    return 1;
}

/* A result that is known by key is taken without work; one that lacks a required output is not. */
static void the_cache_answers_by_key(void **state)
{
    (void)state;
    for (int whole = 0; whole < 2; whole++) {
        struct ledger first = { 0 };
        struct campaign *c = graph_campaign(&first, 1, true);
        struct digest key = c->videos[0].tasks[G_TEXT].key;
        struct ledger l = { .find_result = find_for_text, .context = &key };

        found[0] = (struct task_output){ .name = whole ? OUTPUT_EMBEDDING : OUTPUT_PREVIEW, .blob = { .bytes = 3 } };
        c = graph_campaign(&l, 1, true);
        assert_int_equal(c->videos[0].tasks[G_TEXT].state, whole ? TASK_DONE : TASK_READY);
        assert_int_equal(c->videos[0].tasks[G_TEXT].cached, whole);
        assert_int_equal(c->videos[0].tasks[G_NEGATIVE].state, TASK_READY);
        ledger_free(&l);
        ledger_free(&first);
    }
}

/* The key names all that decides the bytes, and nothing else. */
static void keys_name_the_work(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct task t = c->videos[0].tasks[G_TEXT], other = t;
    struct key_context here = { .version = 1 }, newer = { .version = 2 }, pack = { .version = 1, .pack = { { 1 } } };
    struct digest key = task_key(&t, &here), again, differs;

    other.id.v = 99;
    other.attempt.v = 3;
    other.shot = 4;
    again = task_key(&other, &here);
    assert_true(digest_equal(&key, &again));
    differs = task_key(&t, &newer);
    assert_false(digest_equal(&key, &differs));
    differs = task_key(&t, &pack);
    assert_false(digest_equal(&key, &differs));
    other.text.prompt = "another";
    differs = task_key(&other, &here);
    assert_false(digest_equal(&key, &differs));

    struct task d = c->videos[0].tasks[G_ANCHOR];
    for (uint32_t i = 0; i < d.input_count; i++)
        d.inputs[i].known = true;
    key = task_key(&d, &here);
    d.denoise.take = 1;
    differs = task_key(&d, &here);
    assert_false(digest_equal(&key, &differs));
    d.denoise.take = 0;
    d.inputs[0].blob.digest.bytes[5] ^= 1;
    differs = task_key(&d, &here);
    assert_false(digest_equal(&key, &differs));
    ledger_free(&l);
}

/* Ranges of one shot on different workers at the same time are counted, and so is what their overlap costs. */
static void ranges_at_once_and_overlap_are_measured(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);

    for (int i = 0; i < 3; i++)
        graph_finish(&l, graph_lease(&l, c, 1, 0), 0);
    struct task *left = graph_lease(&l, c, 1, 0);
    assert_int_equal(c->ranges_at_once, 1);
    struct task *right = graph_lease(&l, c, 2, 0);
    assert_int_equal(c->ranges_at_once, 2);
    assert_int_equal(left->position, G_LEFT);
    graph_finish(&l, left, 1000);
    assert_int_equal(c->overlap_ms, 0);
    graph_finish(&l, right, 1000);
    assert_int_equal(c->overlap_ms, 400); /* latent frames 3 and 4 of its 5 */
    ledger_free(&l);
}

/* An output that is gone makes its task run again, and only then the one that needs it. */
static void a_lost_blob_is_made_again(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct task *t = c->videos[0].tasks;

    for (int i = 0; i < 3; i++)
        graph_finish(&l, graph_lease(&l, c, 1, 0), 0);
    struct task *left = queue_pop(c);
    task_input_gone(&l, left, 2, WALL_MS);
    assert_int_equal(t[G_LEFT].state, TASK_WAITING);
    assert_int_equal(t[G_ANCHOR].state, TASK_READY);
    assert_int_equal(t[G_RIGHT].state, TASK_READY);
    graph_finish(&l, graph_lease(&l, c, 1, 0), 0);
    assert_int_equal(t[G_ANCHOR].state, TASK_DONE);
    assert_int_equal(t[G_ANCHOR].attempt.v, 2);
    assert_int_equal(t[G_LEFT].state, TASK_READY);
    assert_int_equal(c->videos[0].tasks_open, 4);
    ledger_free(&l);
}

/* After a restart a running attempt keeps its number and gets one fresh lease; its worker may renew and commit it. */
static void running_attempts_are_adopted(void **state)
{
    (void)state;
    struct ledger l = { 0 }, again = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct task *t = graph_lease(&l, c, 3, 0);

    struct campaign *r = campaign_new();
    r->id = c->id;
    r->videos = arena_array(&r->arena, struct video, 1);
    r->video_count = 1;
    r->videos[0] = (struct video){ .campaign = r, .number = 1, .state = WORK_RUNNING };
    ledger_add(&again, r);
    graph_video(&r->videos[0], t->text.prompt, 0);
    for (uint32_t i = 0; i < G_TASKS; i++) {
        r->videos[0].tasks[i].id = c->videos[0].tasks[i].id;
        r->videos[0].tasks[i].state = c->videos[0].tasks[i].state;
    }
    struct task *u = &r->videos[0].tasks[t->position];
    u->attempt = t->attempt;
    u->worker = t->worker;
    video_resume(&again, &r->videos[0], 50000, LEASE_MS);
    assert_int_equal(u->state, TASK_RUNNING);
    assert_false(task_lease_over(u, 50000 + LEASE_MS - 1));
    assert_true(task_renew(u, W3, (struct attempt){ 1 }, 51000, LEASE_MS));
    assert_int_equal(task_judge(u, W3, (struct attempt){ 1 }, CLAIM_NONE), REPORT_CURRENT);
    assert_int_equal(r->running, 1);
    assert_int_equal(r->queue_count, 1);
    ledger_free(&l);
    ledger_free(&again);
}

/* A result outlives a restart also while what it was made of is made again: it is found by its key, and is itself made
 * again only after that. */
static void a_result_keeps_its_key_while_its_inputs_are_made_again(void **state)
{
    (void)state;
    struct ledger l = { 0 }, again = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);

    for (int i = 0; i < 3; i++)
        graph_finish(&l, graph_lease(&l, c, 1, 0), 0);
    struct task *before = c->videos[0].tasks;

    struct campaign *r = campaign_new();
    r->id = c->id;
    r->videos = arena_array(&r->arena, struct video, 1);
    r->video_count = 1;
    r->videos[0] = (struct video){ .campaign = r, .number = 1, .state = WORK_RUNNING };
    ledger_add(&again, r);
    graph_video(&r->videos[0], before[G_TEXT].text.prompt, 0);
    struct task *t = r->videos[0].tasks;
    for (uint32_t i = 0; i < G_TASKS; i++) {
        t[i].id = before[i].id;
        t[i].state = before[i].state;
        t[i].key = before[i].key;
        memcpy(t[i].outputs, before[i].outputs, sizeof t[i].outputs);
        t[i].output_count = before[i].output_count;
    }
    t[G_TEXT].state = TASK_READY; /* its output was lost */
    t[G_TEXT].output_count = 0;
    video_resume(&again, &r->videos[0], 50000, LEASE_MS);
    assert_int_equal(t[G_ANCHOR].state, TASK_DONE);
    assert_ptr_equal(ledger_twin(&again, &before[G_ANCHOR].key, NULL), &t[G_ANCHOR]);
    task_redo(&again, &t[G_ANCHOR]);
    assert_int_equal(t[G_ANCHOR].state, TASK_WAITING);
    graph_finish(&again, graph_lease(&again, r, 1, 0), 0);
    assert_int_equal(t[G_TEXT].state, TASK_DONE);
    assert_int_equal(t[G_ANCHOR].state, TASK_READY);
    ledger_free(&l);
    ledger_free(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_become_ready_with_their_inputs),
        cmocka_unit_test(a_campaign_ends_with_its_last_task),
        cmocka_unit_test(silent_worker_loses_its_task),
        cmocka_unit_test(only_the_current_attempt_commits),
        cmocka_unit_test(a_result_from_before_commits_by_its_key),
        cmocka_unit_test(a_failure_counts_once),
        cmocka_unit_test(too_many_losses_fail_the_video),
        cmocka_unit_test(losses_after_progress_do_not_count),
        cmocka_unit_test(task_errors_need_distinct_workers),
        cmocka_unit_test(bad_input_needs_two_witnesses),
        cmocka_unit_test(a_bad_saved_state_costs_steps_only),
        cmocka_unit_test(out_of_memory_turns_lean_then_climbs_to_larger_devices),
        cmocka_unit_test(a_returned_task_is_no_failure),
        cmocka_unit_test(twins_are_answered_by_one_result),
        cmocka_unit_test(the_cache_answers_by_key),
        cmocka_unit_test(keys_name_the_work),
        cmocka_unit_test(ranges_at_once_and_overlap_are_measured),
        cmocka_unit_test(a_lost_blob_is_made_again),
        cmocka_unit_test(running_attempts_are_adopted),
        cmocka_unit_test(a_result_keeps_its_key_while_its_inputs_are_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

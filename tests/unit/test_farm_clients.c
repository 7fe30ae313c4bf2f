/* links: shotline_coordinator */
/* What clients ask, over the farm's real conversation with them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/farm_sim.h"

#define PROMPT "a monster walks"

/* Cancelling tells the worker to stop, and its late result is superseded. */
static void a_cancelled_campaign_stops_its_workers(void **state)
{
    struct sim *s = *state;
    struct sim_lease l;
    const Shotline__ToWorker *w;
    Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
    Shotline__CancelRequest q = SHOTLINE__CANCEL_REQUEST__INIT;
    bool told = false;

    q.campaign = sim_submit(s, 1, PROMPT, NULL, 3000, NULL);
    m.cancel = &q;
    sim_hello(s, "w0", 1, &sim_proof);
    sim_ready(s, "w0");
    assert_true(sim_lease(s, &l));
    assert_non_null(sim_ask(s, &m)->cancelled);
    while ((w = sim_next(s, l.worker)))
        told = told || (w->cancel && w->cancel->task == l.task && w->cancel->attempt == l.attempt);
    assert_true(told);
    sim_done(s, "w0", l.task, l.attempt, true, 0);
    assert_int_equal(sim_verdict(s), SHOTLINE__REPORT_VERDICT__REPORT_SUPERSEDED);
    assert_int_equal(sim_status(s, 1)->state, SHOTLINE__WORK_STATE__WORK_CANCELLED);
    q.campaign = 99;
    assert_int_equal(sim_ask(s, &m)->error->kind, SHOTLINE__FARM_ERROR_KIND__FARM_NOT_FOUND);
}

/* Bad campaigns are refused by field, before anything is stored. */
static void bad_campaigns_are_refused_by_field(void **state)
{
    struct sim *s = *state;
    char refusal[512];

    assert_int_equal(sim_submit(s, 1, "", NULL, 3000, refusal), 0);
    assert_non_null(strstr(refusal, "videos[0]: prompt"));
    assert_int_equal(sim_submit(s, 1, "bad \x01", NULL, 3000, refusal), 0);
    assert_non_null(strstr(refusal, "videos[0]: prompt"));
    assert_int_equal(sim_submit(s, 1, PROMPT, NULL, 999, refusal), 0);
    assert_non_null(strstr(refusal, "videos[0]: duration"));
    assert_int_equal(sim_submit(s, 1, PROMPT, NULL, 120001, refusal), 0);
    assert_non_null(strstr(refusal, "videos[0]: duration"));
    assert_int_equal(sim_submit(s, 1, PROMPT, "{}", 3000, refusal), 0);
    assert_non_null(strstr(refusal, "either a prompt or a plan"));
    assert_int_equal(sim_submit(s, 1, NULL, "{\"cast\":[]}", 3000, refusal), 0);
    assert_non_null(strstr(refusal, "videos[0]: plan"));
    assert_int_equal(s->farm.ledger.campaign_count, 0);
}

/* A message that asks for two things would be judged by one and do the other. */
static void one_message_asks_for_one_thing(void **state)
{
    struct sim *s = *state;
    Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
    Shotline__StatusRequest status = SHOTLINE__STATUS_REQUEST__INIT;
    Shotline__CancelRequest cancel = SHOTLINE__CANCEL_REQUEST__INIT;
    uint64_t id = sim_submit(s, 1, PROMPT, NULL, 3000, NULL);

    m.status = &status;
    m.cancel = &cancel;
    cancel.campaign = id;
    assert_int_equal(sim_ask(s, &m)->error->kind, SHOTLINE__FARM_ERROR_KIND__FARM_BAD_REQUEST);
    assert_int_not_equal(sim_status(s, id)->state, SHOTLINE__WORK_STATE__WORK_CANCELLED);
}

/* Bytes that are no message are dropped, and the farm goes on. */
static void noise_is_dropped(void **state)
{
    struct sim *s = *state;

    for (uint64_t i = 0; i < 300; i++) {
        char bytes[64];
        size_t size = (size_t)(rng_uniform(9, 0, i) * sizeof bytes);

        for (size_t k = 0; k < size; k++)
            bytes[k] = (char)(rng_uniform(9, 1 + i, k) * 256);
        endpoint_push(i % 2 ? s->workers : s->clients, "noise", bytes, size);
        sim_turn(s);
    }
    uint64_t id = sim_submit(s, 1, PROMPT, NULL, 3000, NULL);
    assert_true(sim_work(s, 1, 1) > 0);
    assert_int_equal(sim_status(s, id)->state, SHOTLINE__WORK_STATE__WORK_DONE);
}

/* What has no room in one answer comes in the next ones. */
static void a_long_status_comes_in_parts(void **state)
{
    struct sim *s = *state;
    Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
    Shotline__SubmitRequest submit = SHOTLINE__SUBMIT_REQUEST__INIT;
    Shotline__StatusRequest q = SHOTLINE__STATUS_REQUEST__INIT;
    Shotline__Campaign c = SHOTLINE__CAMPAIGN__INIT;
    Shotline__VideoRequest list[5], *videos[5];
    char names[5][8];

    for (int i = 0; i < 5; i++) {
        shotline__video_request__init(&list[i]);
        snprintf(names[i], sizeof names[i], "v%d", i);
        list[i].name = names[i];
        list[i].prompt = PROMPT;
        list[i].duration_ms = 2000;
        list[i].crf = 20;
        videos[i] = &list[i];
    }
    c.name = "campaign";
    c.token = (ProtobufCBinaryData){ 16, (uint8_t[16]){ 1 } };
    c.videos = videos;
    c.n_videos = 5;
    submit.campaign = &c;
    m.submit = &submit;
    assert_non_null(sim_ask(s, &m)->submitted);
    m.submit = NULL;
    m.status = &q;
    q.has_campaign = q.has_first_video = true;
    q.campaign = 1;
    assert_int_equal(sim_status(s, 1)->n_videos, 5);
    s->farm.status_bytes = 1; /* the first one always has room */
    for (uint32_t i = 0; i < 5; i++) {
        q.first_video = i;
        const Shotline__StatusReply *r = sim_ask(s, &m)->status;
        assert_int_equal(r->campaigns[0]->n_videos, 1);
        assert_string_equal(r->campaigns[0]->videos[0]->name, names[i]);
        assert_int_equal(r->has_next_video, i < 4);
        assert_int_equal(r->next_video, i < 4 ? i + 1 : 0);
    }
    q.first_video = UINT32_MAX;
    assert_int_equal(sim_ask(s, &m)->status->campaigns[0]->n_videos, 0);
}

/* A farm remembers so many campaigns; of older ones it still knows that they were. */
static void a_forgotten_campaign_is_not_made_twice(void **state)
{
    struct sim *s = *state;
    uint64_t id = sim_submit(s, 1, PROMPT, NULL, 2000, NULL);
    struct error err;

    sim_work(s, 1, 1);
    assert_int_equal(sim_status(s, id)->state, WORK_DONE);
    assert_true(store_forget_campaign(s->farm.store, (struct campaign_id){ id }, &err)); /* as artifacts_forget does */
    ledger_remove(&s->farm.ledger, ledger_campaign(&s->farm.ledger, (struct campaign_id){ id }));
    sim_turn(s);
    for (int again = 0; again < 2; again++) {
        Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
        Shotline__StatusRequest q = SHOTLINE__STATUS_REQUEST__INIT;

        assert_int_equal(sim_submit(s, 1, PROMPT, NULL, 2000, NULL), id);
        assert_int_equal(s->farm.ledger.campaign_count, 0);
        q.has_campaign = 1;
        q.campaign = id;
        m.status = &q;
        const Shotline__FromFarm *r = sim_ask(s, &m);
        assert_non_null(r->error);
        assert_string_equal(r->error->text, "campaign 1 has ended, and its record has been removed");
        sim_crash(s);
        sim_open(s);
    }
    assert_int_equal(sim_submit(s, 2, PROMPT, NULL, 2000, NULL), id + 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, sim_setup, sim_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_cancelled_campaign_stops_its_workers), T(bad_campaigns_are_refused_by_field),
        T(one_message_asks_for_one_thing),         T(a_long_status_comes_in_parts),
        T(a_forgotten_campaign_is_not_made_twice), T(noise_is_dropped),
    };
    setenv("SHOTLINE_LOG", "error", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* links: shotline_client shotline_wire shotline_proto */
#include "client/session.h"

#include "common/base/file.h"
#include "common/base/str.h"
#include "common/wire/codec.h"
#include "common/wire/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A coordinator on an ipc socket that answers as the test wants. */
enum manner { ANSWER, LOSE_FIRST, ANSWER_LATE_THEN_RIGHT, GARBAGE, REFUSE, SILENT, WRONG_KIND, IN_PARTS, WITHOUT_END };

static char dir[] = "/tmp/shotline-test-session-XXXXXX";
static char farm[64];
static struct endpoint *served;
static _Atomic int manner_now;
static atomic_bool farm_stop;
static pthread_t thread;

static void answer(const struct peer *peer, uint64_t sequence, const Shotline__ToFarm *request)
{
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    Shotline__WorkersReply workers = SHOTLINE__WORKERS_REPLY__INIT;
    Shotline__Submitted submitted = SHOTLINE__SUBMITTED__INIT;
    Shotline__FarmError error = SHOTLINE__FARM_ERROR__INIT;
    struct str bytes = { 0 };
    m.sequence = sequence;
    error.kind = SHOTLINE__FARM_ERROR_KIND__FARM_NOT_FOUND;
    error.text = (char *)(uintptr_t) "no such campaign";
    submitted.campaign = 41;
    /* Three videos, one in each answer. */
    Shotline__StatusReply status = SHOTLINE__STATUS_REPLY__INIT;
    Shotline__CampaignStatus campaign = SHOTLINE__CAMPAIGN_STATUS__INIT, *campaigns[] = { &campaign };
    Shotline__VideoStatus video = SHOTLINE__VIDEO_STATUS__INIT, *videos[] = { &video };
    uint32_t first = request->status ? request->status->first_video : 0;
    video.name = (char *[]){ "a", "b", "c" }[first % 3];
    campaign.campaign = 41;
    campaign.name = "x";
    campaign.n_videos = manner_now == IN_PARTS;
    campaign.videos = videos;
    status.n_campaigns = 1;
    status.campaigns = campaigns;
    status.has_next_video = first < 2 || manner_now == WITHOUT_END;
    status.next_video = first + campaign.n_videos;
    if (request->submit && manner_now != WRONG_KIND)
        m.submitted = &submitted;
    else if (request->status && (manner_now == IN_PARTS || manner_now == WITHOUT_END))
        m.status = &status;
    else if (manner_now == REFUSE && !request->workers)
        m.error = &error;
    else
        m.workers = &workers;
    codec_pack(&m.base, &bytes);
    endpoint_send(served, peer, bytes.data, bytes.size);
    str_free(&bytes);
}

static void *serve(void *context)
{
    (void)context;
    uint64_t lost = 0;
    while (!atomic_load(&farm_stop)) {
        struct message m;
        struct arena arena = { 0 };
        struct error err;
        if (!endpoint_wait(served, 20) || !endpoint_receive(served, &m))
            continue;
        const Shotline__ToFarm *request = codec_unpack(&shotline__to_farm__descriptor, m.data, m.size, &arena, &err);
        /* Opening a session sends a greeting; the manners are for what follows. */
        if (request->workers && manner_now != SILENT) {
            answer(&m.peer, request->sequence, request);
        } else if (manner_now == LOSE_FIRST && lost != request->sequence) {
            lost = request->sequence;
        } else if (manner_now == GARBAGE) {
            endpoint_send(served, &m.peer, "\xff\xff\xff", 3);
        } else if (manner_now == ANSWER_LATE_THEN_RIGHT) {
            answer(&m.peer, request->sequence - 1, request);
            answer(&m.peer, request->sequence, request);
        } else if (manner_now != SILENT) {
            answer(&m.peer, request->sequence, request);
        }
        arena_free(&arena);
    }
    return NULL;
}

static int setup(void **state)
{
    (void)state;
    char address[96];
    struct error err;
    if (!mkdtemp(dir))
        return -1;
    snprintf(farm, sizeof farm, "ipc://%s", dir);
    if (!endpoint_address(farm, CONVERSATION_CLIENTS, address, sizeof address, &err))
        return -1;
    served = endpoint_bind(address, NULL, &err);
    return served && pthread_create(&thread, NULL, serve, NULL) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    struct error err;
    atomic_store(&farm_stop, true);
    pthread_join(thread, NULL);
    endpoint_close(&served);
    return file_remove_tree(dir, &err) ? 0 : -1;
}

static struct session *open_session(enum manner manner, int64_t timeout_ms, struct error *err)
{
    manner_now = manner;
    return session_open(&(struct session_options){ .farm = farm, .timeout_ms = timeout_ms }, err);
}

static bool submit(enum manner manner, int64_t timeout_ms, uint64_t *id, struct error *err)
{
    struct campaign c;
    bool ok = false;
    struct session *s = open_session(manner, timeout_ms, err);
    if (s && campaign_from_single(&c, &(struct campaign_single){ .name = "v", .prompt = "x" },
                                  &(struct campaign_wishes){ 0 }, err)) {
        ok = session_submit(s, &c, id, err);
        campaign_free(&c);
    }
    session_close(&s);
    return ok;
}

static void a_request_gets_its_answer(void **state)
{
    (void)state;
    struct error err = { 0 };
    uint64_t id = 0;
    assert_true(submit(ANSWER, 5000, &id, &err));
    assert_true(id == 41);
    id = 0;
    assert_true(submit(ANSWER_LATE_THEN_RIGHT, 5000, &id, &err));
    assert_true(id == 41);
}

static void a_lost_request_is_sent_again(void **state)
{
    (void)state;
    struct error err = { 0 };
    uint64_t id = 0;
    assert_true(submit(LOSE_FIRST, 10000, &id, &err));
    assert_true(id == 41);
}

static void bad_answers_are_refused(void **state)
{
    (void)state;
    struct error err = { 0 };
    uint64_t id = 0;
    assert_false(submit(GARBAGE, 5000, &id, &err));
    assert_int_equal(err.kind, ERROR_INPUT);
    assert_non_null(strstr(err.text, farm));
    assert_false(submit(WRONG_KIND, 5000, &id, &err));
    assert_non_null(strstr(err.text, "does not fit"));
}

/* A status that needs several answers is put together; one that never ends is refused. */
static void a_status_may_come_in_parts(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct arena arena = { 0 };
    struct session *s = open_session(IN_PARTS, 5000, &err);
    assert_non_null(s);
    const Shotline__CampaignStatus *c = session_status(s, 41, &arena, &err);
    assert_non_null(c);
    assert_int_equal(c->n_videos, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(c->videos[i]->name, ((const char *[]){ "a", "b", "c" })[i]);
    manner_now = WITHOUT_END;
    assert_null(session_status(s, 41, &arena, &err));
    assert_non_null(strstr(err.text, "does not fit"));
    session_close(&s);
    arena_free(&arena);
}

static void the_farms_own_error_comes_through(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct session *s = open_session(REFUSE, 5000, &err);
    assert_non_null(s);
    assert_false(session_cancel(s, 7, &err));
    assert_string_equal(err.text, "no such campaign");
    session_close(&s);
}

static void silence_is_an_unreachable_coordinator(void **state)
{
    (void)state;
    struct error err = { 0 };
    assert_null(open_session(SILENT, 150, &err));
    assert_int_equal(err.kind, ERROR_UNREACHABLE);
    assert_non_null(strstr(err.text, "unreachable coordinator"));
    assert_non_null(strstr(err.text, farm));
}

static bool dead(void *context, struct error *err)
{
    (void)context;
    return error_set(err, ERROR_IO, "the coordinator ended");
}

/* Waiting ends at once when the person interrupts or the farm's processes are gone. */
static void waiting_can_be_ended(void **state)
{
    (void)state;
    struct error err = { 0 };
    atomic_bool stop = true;
    manner_now = SILENT;
    assert_null(session_open(&(struct session_options){ .farm = farm, .timeout_ms = 60000, .stop = &stop }, &err));
    assert_int_equal(err.kind, ERROR_CANCELLED);
    assert_null(session_open(&(struct session_options){ .farm = farm, .timeout_ms = 60000, .alive = dead }, &err));
    assert_string_equal(err.text, "the coordinator ended");
    assert_null(session_open(&(struct session_options){ .farm = "nonsense", .timeout_ms = 100 }, &err));
    assert_int_equal(err.kind, ERROR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_gets_its_answer),
        cmocka_unit_test(a_lost_request_is_sent_again),
        cmocka_unit_test(bad_answers_are_refused),
        cmocka_unit_test(a_status_may_come_in_parts),
        cmocka_unit_test(the_farms_own_error_comes_through),
        cmocka_unit_test(silence_is_an_unreachable_coordinator),
        cmocka_unit_test(waiting_can_be_ended),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

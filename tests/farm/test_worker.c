/* A worker process with stand-in tasks against a coordinator whose lines are written here: joining, packs, leases,
 * results, and what happens when one side dies, restarts or stays silent. The test starts itself as the worker. */
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/nn/exec.h"
#include "common/wire/codec.h"
#include "tests/farm/stage.h"
#include "worker/loop.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the worker process ---- */

static struct exec *open_reference(void *context, struct error *err)
{
    (void)context;
    (void)err;
    return exec_open_ref();
}

static int be_worker(const char *farm, const char *state)
{
    struct loop_options o = { .farm = farm,
                              .who = { .name = "tested", .device = "stand-in", .patience_ms = 3000 },
                              .open_exec = open_reference };
    char blobs[PATH_MAX], packs[PATH_MAX], outbox[PATH_MAX], scratch[PATH_MAX];
    struct error err = { 0 };
    bool stuck = false, ok;
    sigset_t set;

    snprintf(blobs, sizeof blobs, "%s/blobs", state);
    snprintf(packs, sizeof packs, "%s/packs", state);
    snprintf(outbox, sizeof outbox, "%s/outbox", state);
    snprintf(scratch, sizeof scratch, "%s/scratch", state);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    o.stop_fd = signalfd(-1, &set, SFD_CLOEXEC);
    randombytes_buf(o.who.boot_id, sizeof o.who.boot_id);
    o.blobs = store_dir_open(blobs, 0, &err);
    o.packs = o.blobs ? packs_open(packs, NULL, &err) : NULL;
    o.outbox = o.packs ? outbox_open(outbox, o.blobs, &err) : NULL;
    o.scratch_dir = scratch;
    log_set_level(LOG_LEVEL_INFO);
    ok = o.outbox && loop_run(&o, &stuck, &err);
    outbox_close(&o.outbox);
    packs_close(&o.packs);
    store_dir_close(&o.blobs);
    if (!ok)
        fprintf(stderr, "worker: %s\n", err.text);
    return ok ? 0 : 1;
}

/* ---- the plays ---- */

static void a_task_is_done_and_its_bytes_arrive(void **state)
{
    struct error err = { 0 };
    struct digest input;
    char prompt[80] = "copy ", path[PATH_MAX], hex[DIGEST_HEX_ROOM];

    (void)state;
    assert_true(store_dir_add_bytes(stage.store, "input bytes", 11, &input, &err));
    digest_hex(&input, prompt + 5);
    await(ANY_READY); /* the pack came from the farm */
    digest_hex(&stage.pack, hex);
    snprintf(path, sizeof path, "%s/packs/%s/vae/config.json", stage.state, hex);
    assert_true(file_exists(path));
    give_lease(7, 2, prompt);
    expect_result(await(ANY_DONE), 7, 2, "input bytes");
    assert_int_equal(outbox_files(), 1);
    acknowledge(7, 2, SHOTLINE__REPORT_VERDICT__REPORT_OK, NULL);
    wait_for_empty_outbox();
    give_lease(8, 1, "say more"); /* and goes on */
    expect_result(await(ANY_DONE), 8, 1, "say more");
}

static void a_lost_acknowledgement_is_asked_for_again(void **state)
{
    (void)state;
    await(ANY_READY);
    give_lease(7, 1, "say x");
    expect_result(await(ANY_DONE), 7, 1, "say x");
    expect_result(await(ANY_DONE), 7, 1, "say x");
    acknowledge(7, 1, SHOTLINE__REPORT_VERDICT__REPORT_SUPERSEDED, NULL);
    wait_for_empty_outbox();
}

static void a_killed_worker_reports_its_result_when_it_is_back(void **state)
{
    (void)state;
    await(ANY_READY);
    give_lease(7, 1, "say x");
    await(ANY_DONE); /* no acknowledgement comes */
    kill(stage.worker, SIGKILL);
    assert_int_equal(end_of_worker(), 128 + SIGKILL);
    assert_int_equal(outbox_files(), 1);
    start_worker();
    expect_result(await(ANY_DONE), 7, 1, "say x");
    acknowledge(7, 1, SHOTLINE__REPORT_VERDICT__REPORT_OK, NULL);
    wait_for_empty_outbox();
}

static void running_work_outlives_the_coordinator(void **state)
{
    const Shotline__ToCoordinator *m;
    Shotline__ToWorker again = SHOTLINE__TO_WORKER__INIT;
    Shotline__HelloAgain hello_again = SHOTLINE__HELLO_AGAIN__INIT;
    char go[160], prompt[200];
    struct error err;

    (void)state;
    snprintf(go, sizeof go, "%s/go", stage.root);
    snprintf(prompt, sizeof prompt, "until %s", go);
    await(ANY_READY);
    give_lease(7, 1, prompt);
    await(A_HEARTBEAT_OF_WORK);
    endpoint_close(&stage.endpoint); /* killed */
    blob_server_close(&stage.blobs);
    open_blobs(); /* and back, knowing nobody */
    open_endpoint();
    do
        m = hear(PATIENCE_MS);
    while (m && m->hello && (say_welcome(), true)); /* it may have noticed by itself */
    assert_non_null(m);
    again.hello_again = &hello_again;
    say(&again);
    await(ANY_HELLO);
    m = await(A_HEARTBEAT_OF_WORK);
    assert_int_equal(m->heartbeat->running[0]->task, 7);
    assert_true(file_write(go, "", 0, &err));
    expect_result(await(ANY_DONE), 7, 1, prompt);
}

static void a_result_waits_for_a_farm_that_is_away(void **state)
{
    (void)state;
    await(ANY_READY);
    give_lease(7, 1, "say x");
    blob_server_close(&stage.blobs);
    endpoint_close(&stage.endpoint);
    while (outbox_files() == 0) /* computed and kept */
        usleep(10000);
    open_endpoint();
    open_blobs();
    expect_result(await(ANY_DONE), 7, 1, "say x");
}

static void a_task_that_was_given_up_stops_in_silence(void **state)
{
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__CancelAttempt cancel = SHOTLINE__CANCEL_ATTEMPT__INIT;
    const Shotline__ToCoordinator *said;

    (void)state;
    await(ANY_READY);
    give_lease(7, 1, "wait");
    await(A_HEARTBEAT_OF_WORK);
    cancel.task = 7;
    cancel.attempt = 1;
    m.cancel = &cancel;
    say(&m);
    do {
        said = hear(PATIENCE_MS);
        assert_non_null(said);
        if (said->hello)
            say_welcome();
        assert_false(said->failed || said->done);
    } while (!said->ready);
    give_lease(8, 1, "say x");
    expect_result(await(ANY_DONE), 8, 1, "say x");
}

static void a_stopped_worker_hands_its_work_back(void **state)
{
    const Shotline__ToCoordinator *said;
    int64_t begin_ms;

    (void)state;
    await(ANY_READY);
    give_lease(7, 1, "wait");
    await(A_HEARTBEAT_OF_WORK);
    begin_ms = clock_now_ms();
    kill(stage.worker, SIGTERM);
    said = await(ANY_FAILED);
    assert_int_equal(said->failed->task, 7);
    assert_int_equal(said->failed->failure, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED);
    acknowledge(7, 1, SHOTLINE__REPORT_VERDICT__REPORT_OK, NULL);
    await(ANY_BYE);
    assert_int_equal(end_of_worker(), 0);
    assert_in_range(clock_now_ms() - begin_ms, 0, 10000);
}

static void a_worker_without_a_farm_can_be_stopped_too(void **state)
{
    (void)state;
    await(ANY_READY);
    give_lease(7, 1, "wait");
    await(A_HEARTBEAT_OF_WORK);
    endpoint_close(&stage.endpoint);
    blob_server_close(&stage.blobs);
    kill(stage.worker, SIGTERM);
    open_endpoint(); /* end_of_worker waits on it */
    assert_int_equal(end_of_worker(), 0);
}

static void missing_bytes_are_sent_again(void **state)
{
    struct digest d = digest_of("say x", 5);

    (void)state;
    await(ANY_READY);
    give_lease(7, 1, "say x");
    await(ANY_DONE);
    assert_true(store_dir_remove(stage.store, &d)); /* lost on our side */
    acknowledge(7, 1, SHOTLINE__REPORT_VERDICT__REPORT_MISSING_BLOB, &d);
    expect_result(await(ANY_DONE), 7, 1, "say x");
}

static void failures_have_their_class(void **state)
{
    static const struct {
        enum error_kind kind;
        Shotline__FailureClass expected;
    } cases[] = { { ERROR_MEMORY, SHOTLINE__FAILURE_CLASS__FAILURE_MEMORY },
                  { ERROR_INPUT, SHOTLINE__FAILURE_CLASS__FAILURE_INPUT },
                  { ERROR_IO, SHOTLINE__FAILURE_CLASS__FAILURE_WORKER },
                  { ERROR_DEVICE, SHOTLINE__FAILURE_CLASS__FAILURE_WORKER } };

    (void)state;
    for (uint64_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const Shotline__ToCoordinator *said;
        char prompt[64];

        await(ANY_READY);
        snprintf(prompt, sizeof prompt, "fail %s", error_kind_name(cases[i].kind));
        give_lease(10 + i, 1, prompt);
        said = await(ANY_FAILED);
        assert_int_equal(said->failed->task, 10 + i);
        assert_int_equal(said->failed->failure, cases[i].expected);
        assert_non_null(strstr(said->failed->reason, "as was asked for"));
        acknowledge(10 + i, 1, SHOTLINE__REPORT_VERDICT__REPORT_OK, NULL);
    }
    await(ANY_READY);
    give_lease(20, 1, "say x"); /* with the device opened anew */
    expect_result(await(ANY_DONE), 20, 1, "say x");
}

static void an_input_that_nobody_has_is_a_bad_input(void **state)
{
    const Shotline__ToCoordinator *said;
    struct digest d = digest_of("nobody", 6);
    char prompt[80] = "copy ";

    (void)state;
    digest_hex(&d, prompt + 5);
    await(ANY_READY);
    give_lease(7, 1, prompt);
    said = await(ANY_FAILED);
    assert_int_equal(said->failed->failure, SHOTLINE__FAILURE_CLASS__FAILURE_INPUT);
    assert_non_null(strstr(said->failed->reason, "does not have"));
}

static void a_refused_worker_ends_with_the_reason(void **state)
{
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__Refused refused = SHOTLINE__REFUSED__INIT;
    char text[1 << 16];

    (void)state;
    assert_true(hear(PATIENCE_MS)->hello);
    refused.reason = (char *)"it computes other bytes";
    m.refused = &refused;
    say(&m);
    assert_int_equal(end_of_worker(), 1);
    read_errors(text, sizeof text);
    assert_non_null(strstr(text, "refused this worker: it computes other bytes"));
}

/* A pack of an earlier start is read through before it is used: what a disk has spoilt, to the byte and with its time
 * kept, is fetched again, and only that. */
static void a_spoilt_pack_is_mended_before_it_is_used(void **state)
{
    static const char good[] = "{\"z_dim\":4}";
    const struct digest other = digest_of("{}", 2);
    char path[PATH_MAX], hex[DIGEST_HEX_ROOM], text[1 << 16];
    struct error err;
    struct stat before;
    size_t size;

    (void)state;
    await(ANY_READY);
    digest_hex(&stage.pack, hex);
    snprintf(path, sizeof path, "%s/packs/%s/vae/config.json", stage.state, hex);
    start_anew();
    expect_words("pack.checked", true); /* what the one before said may still arrive */
    await(ANY_READY);
    read_errors(text, sizeof text);
    assert_null(strstr(text, "pack.damaged"));

    assert_int_equal(stat(path, &before), 0);
    assert_true(file_write(path, "{\"z_dim\":5}", strlen(good), &err));
    assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[]){ before.st_atim, before.st_mtim }, 0), 0);
    assert_true(store_dir_remove(stage.store, &other)); /* of the other file, which is sound: nobody asks for it */
    start_anew();
    expect_words("pack.damaged", true);
    await(ANY_READY);
    read_errors(text, sizeof text);
    assert_non_null(strstr(text, "file=\"vae/config.json\""));
    assert_null(strstr(text, "file=\"shotline.json\""));
    char *now = file_read(path, 100, &size, &err);
    assert_non_null(now);
    assert_memory_equal(now, good, strlen(good));
    free(now);
    give_lease(7, 1, "say x");
    expect_result(await(ANY_DONE), 7, 1, "say x");
}

static void a_pack_that_leads_outside_is_refused(void **state)
{
    char path[PATH_MAX];

    (void)state;
    make_pack("[{\"path\":\"../../evil\",\"bytes\":2,"
              "\"digest\":\"0000000000000000000000000000000000000000000000000000000000000000\"}]");
    expect_words("not a plain relative one", false);
    snprintf(path, sizeof path, "%s/evil", stage.state);
    assert_false(file_exists(path));
}

static void a_pack_that_is_not_what_its_digest_says_is_refused(void **state)
{
    (void)state;
    make_pack("[{\"path\":\"shotline.json\",\"bytes\":2,"
              "\"digest\":\"0000000000000000000000000000000000000000000000000000000000000000\"}]");
    expect_words("do not make up the pack's digest", false);
}

static void rubbish_from_the_coordinator_is_survived(void **state)
{
    Shotline__ToWorker m = SHOTLINE__TO_WORKER__INIT;
    Shotline__Welcome welcome = SHOTLINE__WELCOME__INIT;
    Shotline__Blob listing = SHOTLINE__BLOB__INIT;

    (void)state;
    assert_true(hear(PATIENCE_MS)->hello);
    endpoint_send(stage.endpoint, &stage.peer, "rubbish", 7);
    endpoint_send(stage.endpoint, &stage.peer, "", 0);
    say(&m);                         /* empty */
    welcome.pack_listing = &listing; /* digests of no bytes */
    m.welcome = &welcome;
    say(&m);
    await(ANY_READY);
    give_lease(7, 1, "say x");
    expect_result(await(ANY_DONE), 7, 1, "say x");
}

#define PLAY(test) cmocka_unit_test_setup_teardown(test, raise_curtain, drop_curtain)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        PLAY(a_task_is_done_and_its_bytes_arrive),
        PLAY(a_lost_acknowledgement_is_asked_for_again),
        PLAY(a_killed_worker_reports_its_result_when_it_is_back),
        PLAY(running_work_outlives_the_coordinator),
        PLAY(a_result_waits_for_a_farm_that_is_away),
        PLAY(a_task_that_was_given_up_stops_in_silence),
        PLAY(a_stopped_worker_hands_its_work_back),
        PLAY(a_worker_without_a_farm_can_be_stopped_too),
        PLAY(missing_bytes_are_sent_again),
        PLAY(failures_have_their_class),
        PLAY(an_input_that_nobody_has_is_a_bad_input),
        PLAY(a_refused_worker_ends_with_the_reason),
        PLAY(a_spoilt_pack_is_mended_before_it_is_used),
        PLAY(a_pack_that_leads_outside_is_refused),
        PLAY(a_pack_that_is_not_what_its_digest_says_is_refused),
        PLAY(rubbish_from_the_coordinator_is_survived),
    };

    if (argc == 4 && strcmp(argv[1], "worker") == 0)
        return be_worker(argv[2], argv[3]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

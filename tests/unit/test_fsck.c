/* links: shotline_coordinator sqlite3 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/base/log.h"
#include "coordinator/store/fsck.h"
#include "coordinator/store/state_lock.h"
#include "tests/unit/farm_sim.h"

#include <sqlite3.h>
#include <unistd.h>

/* A farm that has made a video and was stopped; then one thing is spoilt, and fsck must find that and nothing else. */
static struct sim *s;
static uint64_t campaign;

static int setup(void **state)
{
    (void)state;
    s = sim_new();
    campaign = sim_submit(s, 1, "a monster walks", NULL, 6000, NULL);
    assert_true(sim_work(s, 2, 1) > 5);
    sim_crash(s);
    return 0;
}

static int teardown(void **state)
{
    struct error err;

    (void)state;
    arena_free(&s->arena);
    assert_true(file_remove_tree(s->dir, &err));
    free(s);
    return 0;
}

static char last_text[1024];

static void hear(void *context, enum finding f, const char *text)
{
    (void)context;
    snprintf(last_text, sizeof last_text, "%s: %s", finding_name(f), text);
}

static struct fsck_report check(bool repair)
{
    struct fsck_report r;
    struct error err;

    last_text[0] = '\0';
    if (!fsck_run(s->dir, repair, hear, NULL, &r, &err))
        fail_msg("%s", err.text);
    return r;
}

/* `f` is found so often, and nothing else but orphans. */
static void expect(const struct fsck_report *r, enum finding f, uint64_t count)
{
    for (enum finding i = FINDING_STORE; i < FINDING_ORPHANS; i++)
        if (r->found[i] != (i == f ? count : 0))
            fail_msg("%s was found %" PRIu64 " times; the last: %s", finding_name(i), r->found[i], last_text);
    assert_int_equal(fsck_clean(r), count == 0);
}

static void sql(const char *text)
{
    char path[128];
    sqlite3 *db;

    snprintf(path, sizeof path, "%s/farm.db", s->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", text, sqlite3_errmsg(db));
    assert_true(sqlite3_total_changes(db) > 0);
    sqlite3_close(db);
}

/* The path of the blob that a query names. */
static void blob_path(const char *query, char *path, size_t room)
{
    char db_path[128];
    sqlite3_stmt *q;
    struct digest d;
    char hex[DIGEST_HEX_ROOM];
    sqlite3 *db;

    snprintf(db_path, sizeof db_path, "%s/farm.db", s->dir);
    assert_int_equal(sqlite3_open(db_path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, query, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    assert_int_equal(sqlite3_column_bytes(q, 0), DIGEST_BYTES);
    memcpy(d.bytes, sqlite3_column_blob(q, 0), DIGEST_BYTES);
    sqlite3_finalize(q);
    sqlite3_close(db);
    digest_hex(&d, hex);
    snprintf(path, room, "%s/blobs/%.2s/%s", s->dir, hex, hex);
    assert_true(file_exists(path));
}

#define LATENTS "SELECT digest FROM results WHERE output = 5 ORDER BY key LIMIT 1"

static void overwrite(const char *path, const char *bytes)
{
    struct error err;

    assert_true(file_write(path, bytes, strlen(bytes), &err));
}

/* Opened again, the farm makes the video again from what is still there; returns how many tasks that took. */
static int made_again(void)
{
    sim_open(s);
    uint64_t id = sim_submit(s, 9, "a monster walks", NULL, 6000, NULL);
    int tasks = sim_work(s, 2, 2);

    assert_int_equal(sim_status(s, id)->state, SHOTLINE__WORK_STATE__WORK_DONE);
    sim_crash(s);
    return tasks;
}

static void a_sound_farm_is_clean(void **state)
{
    (void)state;
    struct fsck_report r = check(false);

    expect(&r, 0, 0);
    assert_true(r.blobs > 10 && r.results > 10 && r.blob_bytes > 0);
    assert_int_equal(r.videos, 1);
    assert_true(r.tasks > 5);
    assert_int_equal(r.found[FINDING_ORPHANS], 1); /* the pack's listing, which every start writes */
}

/* Takes that did not pass, what their gates measured, and the saved state of a task that was on its way. */
static void what_takes_gates_and_checkpoints_hold_is_in_use(void **state)
{
    const char *saved = "half of a shot";
    char path[200];
    struct sim_lease lease;
    struct fsck_report before = check(false), r;

    (void)state;
    sim_open(s);
    s->black_shot = 1;
    s->black_takes = 2;
    sim_submit(s, 2, "a cup in the snow", NULL, 6000, NULL);
    assert_true(sim_work(s, 1, 1) > 5);
    sim_submit(s, 3, "a monster sleeps", NULL, 6000, NULL);
    lease = sim_lease_denoising(s);
    sim_checkpoint(s, "w0", lease.task, lease.attempt, 1, saved, true);
    sim_turn(s);
    sim_crash(s);
    r = check(false);
    expect(&r, 0, 0);
    assert_true(r.blobs > before.blobs + 10);
    assert_int_equal(r.found[FINDING_ORPHANS], before.found[FINDING_ORPHANS]);
    assert_int_equal(r.orphan_bytes, before.orphan_bytes);

    /* A saved state that is no more only costs steps. */
    blob_path("SELECT checkpoint FROM tasks WHERE checkpoint IS NOT NULL", path, sizeof path);
    overwrite(path, "half of another shot");
    r = check(true);
    assert_int_equal(r.found[FINDING_BLOB_DAMAGED], 1);
    assert_true(fsck_clean(&r));
    r = check(false);
    expect(&r, 0, 0);
    sim_open(s);
    s->now_ms += 3600 * 1000; /* its worker has not come back */
    sim_turn(s);
    sim_work(s, 2, 1);
    assert_int_equal(sim_status(s, 3)->state, SHOTLINE__WORK_STATE__WORK_DONE);
    sim_crash(s);
}

static void a_damaged_blob_is_moved_and_its_task_made_again(void **state)
{
    char path[200];

    (void)state;
    blob_path(LATENTS, path, sizeof path);
    overwrite(path, "latents of something else");
    struct fsck_report r = check(false);
    assert_int_equal(r.found[FINDING_BLOB_DAMAGED], 1);
    assert_int_equal(r.found[FINDING_RESULT_GONE], 1);
    assert_true(file_exists(path)); /* nothing was changed */
    r = check(true);
    assert_true(fsck_clean(&r));
    assert_int_equal(r.repaired[FINDING_BLOB_DAMAGED], 1);
    assert_false(file_exists(path));
    r = check(false);
    expect(&r, 0, 0);
    assert_int_equal(made_again(), 1); /* the one task; its decode and all else come from the cache */
    r = check(false);
    expect(&r, 0, 0);
}

static void a_blob_that_is_gone_makes_its_task_uncached(void **state)
{
    char path[200];

    (void)state;
    blob_path(LATENTS, path, sizeof path);
    assert_int_equal(unlink(path), 0);
    struct fsck_report r = check(false);
    expect(&r, FINDING_RESULT_GONE, 1);
    assert_int_equal(r.repaired[FINDING_RESULT_GONE], 0);
    r = check(true);
    assert_true(fsck_clean(&r));
    r = check(false);
    expect(&r, 0, 0);
    assert_int_equal(made_again(), 1);
}

static void files_among_the_blobs_that_are_none_are_left(void **state)
{
    char path[200];

    (void)state;
    blob_path(LATENTS, path, sizeof path);
    strcpy(strrchr(path, '/'), "/notes.txt");
    overwrite(path, "not a blob");
    struct fsck_report r = check(true);
    expect(&r, FINDING_BLOB_FOREIGN, 1);
    assert_true(file_exists(path));
}

static void a_result_that_contradicts_its_manifest_is_told(void **state)
{
    (void)state;
    sql("UPDATE results SET digest = (SELECT digest FROM results WHERE output = 4 LIMIT 1), bytes = (SELECT bytes FROM "
        "results WHERE output = 4 LIMIT 1) WHERE output = 5 AND key = (SELECT key FROM results WHERE output = 5 ORDER "
        "BY key LIMIT 1)");
    struct fsck_report r = check(true);
    expect(&r, FINDING_RESULT_WRONG, 1);
}

static void a_finished_video_without_its_manifest_is_told(void **state)
{
    char path[200];

    (void)state;
    blob_path("SELECT manifest FROM videos", path, sizeof path);
    assert_int_equal(unlink(path), 0);
    struct fsck_report r = check(false);
    expect(&r, FINDING_MANIFEST_GONE, 1);
}

/* A manifest with one parameter changed: a blob of its own, so its digest is right, but its keys are not. */
static void a_key_that_is_not_of_its_parameters_is_told(void **state)
{
    char path[200], statement[300], hex[DIGEST_HEX_ROOM];
    struct error err;
    struct digest d;
    size_t size;

    (void)state;
    blob_path("SELECT manifest FROM videos", path, sizeof path);
    char *text = file_read(path, 1 << 20, &size, &err), *at = text ? strstr(text, "\"guidance_scale\": 2.5") : NULL;
    assert_non_null(at);
    at[strlen("\"guidance_scale\": ")] = '7';
    s->blobs = store_dir_open(strcat(strcpy(path, s->dir), "/blobs"), 0, &err);
    assert_true(store_dir_add_bytes(s->blobs, text, size, &d, &err));
    store_dir_close(&s->blobs);
    free(text);
    digest_hex(&d, hex);
    snprintf(statement, sizeof statement, "UPDATE videos SET manifest = x'%s'", hex);
    sql(statement);
    struct fsck_report r = check(false);
    expect(&r, FINDING_KEY_WRONG, 1);
}

/* What the farm removed to make room is no damage, and stays a result; bytes that are gone without that are. */
static void what_was_evicted_is_no_damage(void **state)
{
    const uint64_t results = check(false).results;
    struct fsck_report r;
    char path[200];

    (void)state;
    sim_open(s);
    s->farm.eviction.quota_bytes = 1;
    s->farm.eviction.grace_ms = 0;
    sim_turn(s);
    assert_true(s->farm.eviction.evicted_blobs > 5);
    sim_crash(s);
    r = check(true);
    expect(&r, 0, 0);
    assert_int_equal(r.results, results);
    assert_true(r.evicted > 5);
    assert_true(made_again() > 5);
    sql("DELETE FROM evicted");
    blob_path(LATENTS, path, sizeof path);
    assert_int_equal(unlink(path), 0);
    r = check(false);
    expect(&r, FINDING_RESULT_GONE, 1);
}

/* Of a farm that was killed between a video's last task and its manifest: how the video ends on the next one. */
static const Shotline__CampaignStatus *after_damage(uint8_t token, const char *damage)
{
    sim_open(s);
    s->scribe.busy = true;
    uint64_t id = sim_submit(s, token, "a cup waves", NULL, 2000 + 1000 * token, NULL);
    assert_true(sim_work(s, 2, 1) > 3);
    assert_int_equal(s->scribe.count, 1);
    sim_crash(s);
    sql(damage);
    sim_open(s);
    sim_turn(s);
    return sim_status(s, id);
}

/* A verdict that is gone is found again in the scores. One that says what cannot be, since another take or the video's
 * end would have come with it, ends the video, and the farm goes on. */
static void a_damaged_verdict_does_not_stop_a_farm(void **state)
{
    (void)state;
    const Shotline__CampaignStatus *c = after_damage(2, "UPDATE tasks SET verdict = NULL WHERE kind = 4");
    assert_int_equal(c->state, SHOTLINE__WORK_STATE__WORK_DONE);
    sim_crash(s);
    c = after_damage(3,
                     "UPDATE tasks SET verdict = '[{\"check\":\"frames\",\"limit\":1,\"measure\":2}]' WHERE kind = 4");
    assert_int_equal(c->state, SHOTLINE__WORK_STATE__WORK_FAILED);
    assert_non_null(strstr(c->videos[0]->reason, "damaged"));
    assert_non_null(strstr(c->videos[0]->reason, "shot 1"));
    sim_crash(s);
}

static void a_manifest_that_is_none_is_told(void **state)
{
    (void)state;
    sql("UPDATE videos SET manifest = file, manifest_bytes = file_bytes");
    struct fsck_report r = check(false);
    expect(&r, FINDING_MANIFEST_BAD, 1);
}

static void a_request_that_cannot_be_read_is_told(void **state)
{
    (void)state;
    sql("UPDATE campaigns SET request = x'ffffff'");
    struct fsck_report r = check(false);
    expect(&r, FINDING_CAMPAIGN_BAD, 1);
}

static void a_row_without_its_parent_is_told(void **state)
{
    (void)state;
    sql("UPDATE tasks SET video = 77 WHERE position = 0");
    struct fsck_report r = check(false);
    expect(&r, FINDING_STORE, 1);
}

/* Pages of zeros inside the file: whatever else there is, is still looked at. */
static void a_damaged_database_is_told(void **state)
{
    char path[128], zeros[4096] = { 0 };
    struct fsck_report r;
    struct error err;

    (void)state;
    sql("PRAGMA wal_checkpoint(TRUNCATE); UPDATE campaigns SET created_ms = created_ms + 1;"
        "PRAGMA wal_checkpoint(TRUNCATE)");
    snprintf(path, sizeof path, "%s/farm.db", s->dir);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, 5 * 4096, SEEK_SET);
    assert_int_equal(fwrite(zeros, 1, sizeof zeros, f), sizeof zeros);
    fclose(f);
    if (fsck_run(s->dir, false, hear, NULL, &r, &err)) {
        assert_true(r.found[FINDING_STORE] > 0);
        assert_true(r.blobs > 10);
        assert_false(fsck_clean(&r));
    } else {
        fail_msg("%s", err.text);
    }
}

static void a_running_farm_and_other_folders_are_refused(void **state)
{
    struct fsck_report r;
    struct error err;

    (void)state;
    int lock = state_lock(s->dir, 0, &err);
    assert_true(lock >= 0);
    assert_false(fsck_run(s->dir, true, hear, NULL, &r, &err));
    assert_non_null(strstr(err.text, "stop the farm first"));
    close(lock);
    assert_false(fsck_run("/nowhere", true, hear, NULL, &r, &err));
    assert_non_null(strstr(err.text, "no farm.db"));
    overwrite(strcat(strcpy((char[128]){ 0 }, s->dir), "/farm.db"), "not a database, but long enough to be looked at");
    assert_false(fsck_run(s->dir, true, hear, NULL, &r, &err));
    assert_int_equal(err.kind, ERROR_INPUT);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
#define PLANTED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        PLANTED(a_sound_farm_is_clean),
        PLANTED(what_takes_gates_and_checkpoints_hold_is_in_use),
        PLANTED(a_damaged_blob_is_moved_and_its_task_made_again),
        PLANTED(a_blob_that_is_gone_makes_its_task_uncached),
        PLANTED(files_among_the_blobs_that_are_none_are_left),
        PLANTED(a_result_that_contradicts_its_manifest_is_told),
        PLANTED(a_finished_video_without_its_manifest_is_told),
        PLANTED(a_key_that_is_not_of_its_parameters_is_told),
        PLANTED(what_was_evicted_is_no_damage),
        PLANTED(a_damaged_verdict_does_not_stop_a_farm),
        PLANTED(a_manifest_that_is_none_is_told),
        PLANTED(a_request_that_cannot_be_read_is_told),
        PLANTED(a_row_without_its_parent_is_told),
        PLANTED(a_damaged_database_is_told),
        PLANTED(a_running_farm_and_other_folders_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

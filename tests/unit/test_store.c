/* links: shotline_coordinator_store */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/base/file.h"
#include "coordinator/store/store.h"
#include "tests/unit/farm_graph.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], path[80];

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/shotline-store-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof path, "%s/farm.db", dir);
    return 0;
}

static int teardown(void **state)
{
    struct error err;

    (void)state;
    return !file_remove_tree(dir, &err);
}

static struct store *must_open(void)
{
    struct error err = { 0 };
    struct store *s = store_open(path, &err);

    if (!s)
        fail_msg("%s", err.text);
    return s;
}

static void must_save(struct store *s, struct ledger *l, struct fleet *f)
{
    struct error err = { 0 };

    if (!store_save(s, l, f, &err))
        fail_msg("%s", err.text);
}

struct seen {
    int campaigns, videos, tasks, workers;
    struct stored_campaign campaign;
    struct stored_video video;
    struct stored_task task[G_TASKS];
    char trouble[64], reason[64], name[64];
};

static bool see_campaign(void *context, const struct stored_campaign *row, struct error *err)
{
    struct seen *s = context;

    (void)err;
    s->campaigns++;
    s->campaign = *row;
    assert_int_equal(row->request_bytes, 5);
    assert_memory_equal(row->request, "hello", 5);
    return true;
}

static bool see_video(void *context, const struct stored_video *row, struct error *err)
{
    struct seen *s = context;

    (void)err;
    s->videos++;
    s->video = *row;
    strcpy(s->reason, row->reason);
    return true;
}

static bool see_task(void *context, const struct stored_task *row, struct error *err)
{
    struct seen *s = context;

    (void)err;
    assert_true(row->position < G_TASKS);
    s->tasks++;
    s->task[row->position] = *row;
    if (row->trouble)
        strcpy(s->trouble, row->trouble);
    return true;
}

static bool see_worker(void *context, struct worker_id id, const char *name, const uint8_t boot_id[16],
                       const struct curve_key *key)
{
    struct seen *s = context;

    assert_int_equal(boot_id[0], 3);
    assert_int_equal(key->bytes[5], 9);
    assert_int_equal(id.v, 1);
    strcpy(s->name, name);
    s->workers++;
    return true;
}

static struct campaign *small_campaign(struct ledger *l)
{
    struct campaign *c = graph_campaign(l, 1, false);

    c->request = xstrdup("hello");
    c->request_bytes = 5;
    return c;
}

/* Everything that was saved is read back, and ids are never given out twice. */
static void what_is_saved_comes_back(void **state)
{
    (void)state;
    struct ledger l = { 0 }, again = { 0 };
    struct fleet f = { 0 }, fleet_again = { 0 };
    struct store *s = must_open();
    struct campaign *c = small_campaign(&l);
    struct error err = { 0 };
    bool restarted;

    fleet_hello(
        &f, &(struct worker_hello){ .name = "w", .boot_id = (uint8_t[16]){ 3 }, .device = "d", .key = { { [5] = 9 } } },
        0, &restarted);
    struct task *t = graph_lease(&l, c, 1, 0);
    struct task_failure failure = {
        .worker = { 1 }, .failure = FAILURE_WORKER, .reason = "disk", .able_workers = 3, .device_bytes = 9
    };
    task_failed(&l, t, &failure, 0);
    graph_lease(&l, c, 2, 0);
    t->timeouts = 2;
    t->profile = PROFILE_LEAN;
    t->checkpoint = (struct blob_ref){ .digest = { { 8 } }, .bytes = 77 };
    t->checkpoint_step = 5;
    c->superseded = 4;
    c->videos[0].graph = (struct digest){ { 3 } };
    c->figures = (struct campaign_figures){ 1, 2, 3, 4, 5, 6, 7, 8 };
    struct task *decode = &c->videos[0].tasks[G_DECODE];
    decode->verdict = xcalloc(1, sizeof *decode->verdict);
    *decode->verdict = (struct gate_verdict){ .count = 1, .faults = { { CHECK_FLASH_TINT, 31.25, 12 } } };
    must_save(s, &l, &f);
    assert_false(ledger_dirty(&l));
    assert_false(c->unsaved);
    store_close(&s);

    struct seen seen = { 0 };
    s = must_open();
    assert_true(store_each_worker(s, see_worker, &seen, &err));
    assert_true(store_each_campaign(s, see_campaign, &seen, &err));
    assert_true(store_each_video(s, c->id, see_video, &seen, &err));
    assert_true(store_each_task(s, c->videos[0].id, see_task, &seen, &err));
    assert_int_equal(seen.campaigns, 1);
    assert_int_equal(seen.videos, 1);
    assert_int_equal(seen.tasks, G_TASKS);
    assert_int_equal(seen.workers, 1);
    assert_string_equal(seen.name, "w");
    assert_int_equal(seen.campaign.state, c->state);
    assert_memory_equal(seen.campaign.token, c->token, 16);
    assert_memory_equal(&seen.campaign.figures, &c->figures, sizeof c->figures);
    struct campaign_id owner;
    assert_true(store_find_task(s, t->id, &owner, &err));
    assert_int_equal(owner.v, c->id.v);
    assert_true(store_find_task(s, (struct task_id){ 9999 }, &owner, &err));
    assert_int_equal(owner.v, 0);
    bool done;
    assert_true(store_find_done(s, t->id, &t->key, (struct attempt){ 0 }, &done, &err));
    assert_false(done); /* it is only leased */
    assert_true(seen.video.has_graph);
    assert_int_equal(seen.task[t->position].attempt.v, t->attempt.v);
    assert_int_equal(seen.task[t->position].state, t->state);
    assert_int_equal(seen.task[t->position].failed_count, 1);
    assert_int_equal(seen.task[t->position].failed_on[0].v, 1);
    assert_true(seen.task[t->position].has_key && digest_equal(&seen.task[t->position].key, &t->key));
    assert_string_equal(seen.trouble, "disk");
    assert_int_equal(seen.task[t->position].errors, 1);
    assert_int_equal(seen.task[t->position].timeouts, 2);
    assert_int_equal(seen.task[t->position].profile, PROFILE_LEAN);
    assert_int_equal(seen.task[G_STITCH].profile, PROFILE_USUAL);
    assert_int_equal(seen.task[t->position].checkpoint_step, 5);
    assert_int_equal(seen.task[t->position].checkpoint.bytes, 77);
    assert_int_equal(seen.task[t->position].checkpoint.digest.bytes[0], 8);
    assert_int_equal(seen.task[G_STITCH].checkpoint_step, 0);
    assert_int_equal(seen.campaign.superseded, 4);
    assert_false(seen.task[t->position].has_verdict);
    assert_true(seen.task[G_DECODE].has_verdict);
    assert_int_equal(seen.task[G_DECODE].verdict.count, 1);
    assert_int_equal(seen.task[G_DECODE].verdict.faults[0].check, CHECK_FLASH_TINT);
    assert_true(seen.task[G_DECODE].verdict.faults[0].measure == 31.25);
    assert_false(seen.task[G_STITCH].has_key);
    assert_true(store_load_counters(s, &again, &fleet_again, &err));
    assert_int_equal(again.last_campaign, l.last_campaign);
    assert_int_equal(again.last_task, l.last_task);
    assert_int_equal(fleet_again.last_id, 1);
    store_close(&s);
    fleet_free(&f);
    ledger_free(&l);
}

/* A file of the version before is brought to this one, with all that it holds. */
static void an_older_file_is_upgraded(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct seen seen = { 0 };
    struct campaign_id forgotten;
    const struct access_entry e = { .key = { { 1 } }, .name = "n", .role = ROLE_VIEWER, .state = ACCESS_MEMBER };

    if (!file_copy("tests/unit/data/farm-v1.db", path, &err))
        fail_msg("%s", err.text);
    for (int again = 0; again < 2; again++) {
        struct store *s = must_open();

        seen = (struct seen){ 0 };
        assert_true(store_each_campaign(s, see_campaign, &seen, &err));
        assert_true(store_each_video(s, (struct campaign_id){ 1 }, see_video, &seen, &err));
        assert_true(store_each_task(s, (struct video_id){ 1 }, see_task, &seen, &err));
        assert_int_equal(seen.campaigns, 1);
        assert_int_equal(seen.tasks, 1);
        assert_int_equal(seen.task[0].attempt.v, 3);
        assert_int_equal(seen.task[0].busy_ms, 120);
        assert_int_equal(seen.task[0].reason, REASON_NONE);
        assert_int_equal(seen.task[0].checkpoint_step, 0);
        assert_int_equal(seen.campaign.superseded, 0);
        assert_true(curve_is_none(&seen.campaign.owner));
        assert_true(store_put_key(s, &e, &err));
        assert_true(store_find_forgotten(s, seen.campaign.token, &forgotten, &err));
        assert_int_equal(forgotten.v, 0);
        assert_int_equal(seen.task[0].take, 0);
        assert_int_equal(seen.task[0].profile, PROFILE_USUAL);
        assert_false(seen.task[0].has_verdict);
        store_close(&s);
    }
}

/* A turn is whole or not at all: what was written before a crash, but not committed, is gone. */
static void an_unfinished_turn_leaves_nothing(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct fleet f = { 0 };
    struct store *s = must_open();
    struct error err = { 0 };
    struct digest key = { { 1 } };
    struct task_output out = { .name = OUTPUT_VIDEO, .blob = { .digest = { { 2 } }, .bytes = 7 } },
                       found[TASK_MAX_OUTPUTS];

    assert_true(store_put_result(s, &key, &out, 1, &err));
    assert_true(store_put_plan(s, &key, "a plan", &err));
    assert_int_equal(store_find_result(s, &key, found), 1);
    store_close(&s); /* the crash */

    s = must_open();
    assert_int_equal(store_find_result(s, &key, found), 0);
    assert_null(store_find_plan(s, &key));
    assert_true(store_put_result(s, &key, &out, 1, &err));
    assert_true(store_put_plan(s, &key, "a plan", &err));
    must_save(s, &l, &f);
    store_close(&s);

    s = must_open();
    assert_int_equal(store_find_result(s, &key, found), 1);
    assert_int_equal(found[0].name, OUTPUT_VIDEO);
    assert_int_equal(found[0].blob.bytes, 7);
    assert_int_equal(found[0].blob.digest.bytes[0], 2);
    char *plan = store_find_plan(s, &key);
    assert_string_equal(plan, "a plan");
    free(plan);

    /* Made again, with one output more, and once more without it: nothing of an older result stays. */
    const struct task_output two[2] = {
        { .name = OUTPUT_THUMBNAIL, .blob = { .digest = { { 3 } }, .bytes = 8 } },
        { .name = OUTPUT_VIDEO, .blob = { .digest = { { 4 } }, .bytes = 9 } },
    };
    assert_true(store_put_result(s, &key, two, 2, &err));
    assert_int_equal(store_find_result(s, &key, found), 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(found[i].blob.digest.bytes[0], found[i].name == OUTPUT_VIDEO ? 4 : 3);
    assert_true(store_put_result(s, &key, &out, 1, &err));
    assert_int_equal(store_find_result(s, &key, found), 1);
    assert_int_equal(found[0].blob.digest.bytes[0], 2);
    must_save(s, &l, &f);
    store_close(&s);
}

/* A forgotten campaign takes its videos and tasks with it; its token is kept for good. */
static void a_forgotten_campaign_is_gone(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct fleet f = { 0 };
    struct store *s = must_open();
    struct campaign *c = small_campaign(&l);
    struct error err = { 0 };
    struct seen seen = { 0 };
    struct video_id video = c->videos[0].id;
    struct campaign_id known;

    must_save(s, &l, &f);
    assert_true(store_forget_campaign(s, c->id, &err));
    must_save(s, &l, &f);
    assert_true(store_each_campaign(s, see_campaign, &seen, &err));
    assert_true(store_each_task(s, video, see_task, &seen, &err));
    assert_int_equal(seen.campaigns + seen.tasks, 0);
    store_close(&s);
    s = must_open();
    assert_true(store_find_forgotten(s, c->token, &known, &err));
    assert_int_equal(known.v, c->id.v);
    assert_true(store_find_forgotten(s, (const uint8_t[16]){ 99 }, &known, &err));
    assert_int_equal(known.v, 0);
    store_close(&s);
    ledger_free(&l);
}

static void refused(const char *words)
{
    struct error err = { 0 };
    struct store *s = store_open(path, &err);

    assert_null(s);
    if (!strstr(err.text, words) || !strstr(err.text, path))
        fail_msg("expected \"%s\" and the path, found: %s", words, err.text);
}

/* Files that are no store of ours are refused with their name and the reason, and left as they are. */
static void foreign_and_damaged_files_are_refused(void **state)
{
    (void)state;
    struct error err;

    assert_true(
        file_write(path, "this is a letter to my aunt, and it is long enough to be none of SQLite's files", 79, &err));
    refused("damaged or not a Shotline store");
    unlink(path);

    snprintf(path, sizeof path, "%s", dir); /* a folder */
    refused("open");
    snprintf(path, sizeof path, "%s/missing/farm.db", dir);
    refused("open");
    snprintf(path, sizeof path, "%s/farm.db", dir);

    struct store *s = must_open();
    struct ledger l = { 0 };
    struct fleet f = { 0 };
    for (int i = 0; i < 20; i++)
        small_campaign(&l);
    must_save(s, &l, &f);
    store_close(&s);
    ledger_free(&l);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    size_t size;
    char *bytes = file_read(path, (size_t)st.st_size, &size, &err);
    assert_non_null(bytes);

    char *worse = xmalloc(size);
    memcpy(worse, bytes, size); /* scribble over the middle pages */
    memset(worse + size / 2, 0x5a, size / 4);
    assert_true(file_write(path, worse, size, &err));
    refused("damaged");

    memcpy(worse, bytes, size);
    worse[63] = 9; /* user_version, big-endian, at 60 */
    assert_true(file_write(path, worse, size, &err));
    refused("version 9");

    memcpy(worse, bytes, size);
    memcpy(worse + 68, "ELSE", 4); /* application_id */
    assert_true(file_write(path, worse, size, &err));
    refused("another program");

    assert_true(file_write(path, bytes, size, &err)); /* as it was: good again */
    s = must_open();
    store_close(&s);
    free(worse);
    free(bytes);
}

static bool one_key(void *context, const struct access_entry *e)
{
    struct access_entry *to = context;

    assert_int_equal(to->state, 0); /* one row */
    *to = *e;
    return true;
}

static void keys_and_whose_things_are_come_back(void **state)
{
    (void)state;
    const struct curve_key mine = { { 1, 2, 3 } }, heir = { { 4, 5 } };
    struct access_entry e = { .key = mine,
                              .name = "gpu-1",
                              .role = ROLE_WORKER,
                              .state = ACCESS_INVITED,
                              .created_ms = 5,
                              .expires_ms = 77 },
                        back = { 0 };
    struct error err = { 0 };
    struct ledger l = { 0 };
    struct fleet f = { 0 };
    struct store *s = must_open();

    small_campaign(&l)->owner = mine;
    assert_true(store_put_key(s, &e, &err));
    must_save(s, &l, &f);
    e.state = ACCESS_USED;
    e.heir = heir;
    assert_true(store_put_key(s, &e, &err));
    store_close(&s); /* not saved: as if killed */
    s = must_open();
    assert_true(store_each_key(s, one_key, &back, &err));
    assert_int_equal(back.state, ACCESS_INVITED);
    assert_true(store_put_key(s, &e, &err));
    must_save(s, &l, &f);
    store_close(&s);

    s = must_open();
    back = (struct access_entry){ 0 };
    assert_true(store_each_key(s, one_key, &back, &err));
    assert_memory_equal(&back.key, &mine, sizeof mine);
    assert_memory_equal(&back.heir, &heir, sizeof heir);
    assert_string_equal(back.name, "gpu-1");
    assert_int_equal(back.role, ROLE_WORKER);
    assert_int_equal(back.state, ACCESS_USED);
    assert_int_equal(back.created_ms, 5);
    assert_int_equal(back.expires_ms, 77);
    assert_true(store_drop_key(s, &heir, &err)); /* that there is none of is fine */
    assert_true(store_drop_key(s, &mine, &err));
    must_save(s, &l, &f);
    store_close(&s);
    s = must_open();
    back = (struct access_entry){ 0 };
    assert_true(store_each_key(s, one_key, &back, &err));
    assert_int_equal(back.state, 0);

    struct seen seen = { 0 };
    assert_true(store_each_campaign(s, see_campaign, &seen, &err));
    assert_memory_equal(&seen.campaign.owner, &mine, sizeof mine);
    store_close(&s);
    ledger_free(&l);
}

/* A full disk is an error that names the file, and the store does not pretend. */
static void a_failed_write_is_told(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct fleet f = { 0 };
    struct store *s = must_open(), *other;
    struct error err = { 0 };

    small_campaign(&l);
    other = must_open(); /* somebody else holds the write lock */
    struct digest key = { { 1 } };
    assert_true(store_put_plan(other, &key, "x", &err));
    assert_false(store_save(s, &l, &f, &err));
    assert_int_equal(err.kind, ERROR_IO);
    assert_non_null(strstr(err.text, path));
    assert_true(ledger_dirty(&l)); /* nothing was saved, and nothing says so */
    store_close(&other);
    store_close(&s);
    ledger_free(&l);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_is_saved_comes_back),
        T(an_older_file_is_upgraded),
        T(an_unfinished_turn_leaves_nothing),
        T(a_forgotten_campaign_is_gone),
        T(foreign_and_damaged_files_are_refused),
        T(keys_and_whose_things_are_come_back),
        T(a_failed_write_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "coordinator/store.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "coordinator/gates.h"
#include "coordinator/schema.sql.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE_APPLICATION 0x53484f54 /* "SHOT" */
#define STORE_VERSION     5

/* What brings a file of version N to N + 1. New columns stand last in their table, as in schema.sql. */
static const char *const upgrades[STORE_VERSION] = {
    [1] = "ALTER TABLE campaigns ADD COLUMN superseded INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE tasks ADD COLUMN reason INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE tasks ADD COLUMN errors INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE tasks ADD COLUMN timeouts INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE tasks ADD COLUMN checkpoint BLOB;"
          "ALTER TABLE tasks ADD COLUMN checkpoint_bytes INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE tasks ADD COLUMN checkpoint_step INTEGER NOT NULL DEFAULT 0",
    [2] = "ALTER TABLE campaigns ADD COLUMN owner BLOB;"
          "ALTER TABLE workers ADD COLUMN key BLOB;"
          "CREATE TABLE keys (key BLOB PRIMARY KEY, name TEXT NOT NULL, role INTEGER NOT NULL, state INTEGER NOT NULL,"
          " created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, heir BLOB) WITHOUT ROWID",
    [3] = "ALTER TABLE tasks ADD COLUMN take INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE tasks ADD COLUMN verdict TEXT",
    [4] = "ALTER TABLE tasks ADD COLUMN profile INTEGER NOT NULL DEFAULT 0",
};

enum statement {
    BEGIN,
    COMMIT,
    SAVE_COUNTER,
    SAVE_CAMPAIGN,
    SAVE_VIDEO,
    SAVE_TASK,
    DROP_TASKS,
    SAVE_WORKER,
    DROP_CAMPAIGN,
    DROP_RESULT,
    PUT_RESULT,
    FIND_RESULT,
    PUT_PLAN,
    FIND_PLAN,
    EACH_CAMPAIGN,
    EACH_VIDEO,
    EACH_TASK,
    EACH_WORKER,
    FIND_COUNTER,
    PUT_KEY,
    EACH_KEY,
    DROP_OLD_INVITES,
    STATEMENTS
};

static const char *const statement_text[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [SAVE_COUNTER] = "INSERT OR REPLACE INTO counters VALUES (?, ?)",
    [SAVE_CAMPAIGN] =
        "INSERT INTO campaigns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "state = excluded.state,"
        " ended_ms = excluded.ended_ms, busy_ms = excluded.busy_ms, overlap_ms = excluded.overlap_ms,"
        " ranges_at_once = excluded.ranges_at_once, superseded = excluded.superseded",
    [SAVE_VIDEO] =
        "INSERT INTO videos VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = "
        "excluded.state,"
        " reason = excluded.reason, plan = excluded.plan, graph = excluded.graph, manifest = excluded.manifest,"
        " manifest_bytes = excluded.manifest_bytes, file = excluded.file, file_bytes = excluded.file_bytes",
    [SAVE_TASK] =
        "INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [DROP_TASKS] = "DELETE FROM tasks WHERE video = ?",
    [SAVE_WORKER] = "INSERT OR REPLACE INTO workers VALUES (?, ?, ?, ?)",
    [DROP_CAMPAIGN] = "DELETE FROM campaigns WHERE id = ?",
    [DROP_RESULT] = "DELETE FROM results WHERE key = ?",
    [PUT_RESULT] = "INSERT INTO results VALUES (?, ?, ?, ?)",
    [FIND_RESULT] = "SELECT output, digest, bytes FROM results WHERE key = ? ORDER BY output",
    [PUT_PLAN] = "INSERT OR REPLACE INTO plans VALUES (?, ?)",
    [FIND_PLAN] = "SELECT plan FROM plans WHERE key = ?",
    [EACH_CAMPAIGN] = "SELECT * FROM campaigns ORDER BY id",
    [EACH_VIDEO] = "SELECT id, number, state, reason, plan, graph, manifest, manifest_bytes, file, file_bytes FROM "
                   "videos WHERE campaign "
                   "= ? ORDER BY number",
    [EACH_TASK] = "SELECT id, position, key, state, attempt, worker, losses, failed_on, too_small_bytes, trouble, "
                  "cached, busy_ms, reason, errors, timeouts, checkpoint, checkpoint_bytes, checkpoint_step, shot, "
                  "take, verdict, profile FROM "
                  "tasks"
                  " WHERE video = ? ORDER BY position",
    [EACH_WORKER] = "SELECT * FROM workers ORDER BY id",
    [FIND_COUNTER] = "SELECT value FROM counters WHERE name = ?",
    [PUT_KEY] = "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)",
    [EACH_KEY] = "SELECT * FROM keys ORDER BY created_ms",
    [DROP_OLD_INVITES] = "DELETE FROM keys WHERE state IN (?, ?) AND expires_ms < ?",
};

struct store {
    sqlite3 *db;
    char *path;
    sqlite3_stmt *statements[STATEMENTS];
    bool in_transaction;
    struct store_work work;
};

static bool fail(struct store *s, struct error *err, const char *doing)
{
    int code = sqlite3_extended_errcode(s->db);
    bool damaged = (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;

    return error_set(err, damaged ? ERROR_INPUT : ERROR_IO, "store %s: %s: %s", s->path, doing,
                     damaged ? "the file is damaged or not a Shotline store" : sqlite3_errmsg(s->db));
}

/* ---- binding and reading, in order of the columns ---- */

struct binder {
    sqlite3_stmt *q;
    int next;
};

static struct binder bind_begin(struct store *s, enum statement which)
{
    sqlite3_reset(s->statements[which]);
    sqlite3_clear_bindings(s->statements[which]);
    return (struct binder){ s->statements[which], 1 };
}

static void bind_int(struct binder *b, int64_t v)
{
    sqlite3_bind_int64(b->q, b->next++, v);
}

static void bind_text(struct binder *b, const char *text) /* NULL stays NULL */
{
    sqlite3_bind_text(b->q, b->next++, text, -1, SQLITE_STATIC);
}

static void bind_blob(struct binder *b, const void *data, size_t size)
{
    sqlite3_bind_blob64(b->q, b->next++, data, size, SQLITE_STATIC);
}

static void bind_digest(struct binder *b, const struct digest *d) /* NULL stays NULL */
{
    sqlite3_bind_blob(b->q, b->next++, d ? d->bytes : NULL, DIGEST_BYTES, SQLITE_STATIC);
}

static void bind_key(struct binder *b, const struct curve_key *k) /* none becomes NULL */
{
    sqlite3_bind_blob(b->q, b->next++, curve_is_none(k) ? NULL : k->bytes, CURVE_BYTES, SQLITE_STATIC);
}

/* Runs a statement that gives no rows. */
static bool run(struct store *s, struct binder b, const char *doing, struct error *err)
{
    int code = sqlite3_step(b.q);
    bool ok = code == SQLITE_DONE || fail(s, err, doing);

    s->work.records++;
    sqlite3_reset(b.q);
    return ok;
}

static bool read_bytes(sqlite3_stmt *q, int column, void *to, int size)
{
    if (sqlite3_column_bytes(q, column) != size)
        return false;
    memcpy(to, sqlite3_column_blob(q, column), (size_t)size);
    return true;
}

/* NULL is none. */
static bool read_key(sqlite3_stmt *q, int column, struct curve_key *k)
{
    *k = (struct curve_key){ { 0 } };
    return sqlite3_column_type(q, column) == SQLITE_NULL || read_bytes(q, column, k->bytes, CURVE_BYTES);
}

/* ---- opening ---- */

static bool pragma_int(struct store *s, const char *text, int64_t *value, struct error *err)
{
    sqlite3_stmt *q = NULL;
    bool ok = sqlite3_prepare_v2(s->db, text, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW;

    if (ok)
        *value = sqlite3_column_int64(q, 0);
    else
        fail(s, err, text);
    sqlite3_finalize(q);
    return ok;
}

static bool exec(struct store *s, const char *text, struct error *err)
{
    return sqlite3_exec(s->db, text, NULL, NULL, NULL) == SQLITE_OK || fail(s, err, "prepare the file");
}

static bool check_integrity(struct store *s, struct error *err)
{
    sqlite3_stmt *q = NULL;
    bool ok =
        sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW;

    if (!ok)
        fail(s, err, "check");
    else if (strcmp((const char *)sqlite3_column_text(q, 0), "ok"))
        ok = error_set(err, ERROR_INPUT, "store %s: the file is damaged: %s", s->path, sqlite3_column_text(q, 0));
    sqlite3_finalize(q);
    return ok;
}

/* A process that was killed inside a commit may have left one that is written and not synced: whoever opens the file
 * next reads it as done, and would act on what a loss of power can still take away. */
static bool sync_what_is_there(struct store *s, struct error *err)
{
    return sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK ||
           fail(s, err, "sync");
}

static bool migrate(struct store *s, struct error *err)
{
    int64_t application = 0, version = 0, tables = 0;
    char text[64];

    if (!pragma_int(s, "PRAGMA application_id", &application, err) ||
        !pragma_int(s, "PRAGMA user_version", &version, err) ||
        !pragma_int(s, "SELECT count(*) FROM sqlite_schema", &tables, err))
        return false;
    if (tables && application != STORE_APPLICATION)
        return error_set(err, ERROR_INPUT, "store %s: a database of another program, not a Shotline store", s->path);
    if (version > STORE_VERSION)
        return error_set(err, ERROR_INPUT, "store %s: version %" PRId64 ", and this program knows %d at most", s->path,
                         version, STORE_VERSION);
    if (version == STORE_VERSION)
        return true;
    snprintf(text, sizeof text, "PRAGMA application_id=%d; PRAGMA user_version=%d", STORE_APPLICATION, STORE_VERSION);
    bool ok = exec(s, "BEGIN IMMEDIATE", err) && (tables || exec(s, schema_sql, err));
    for (; ok && tables && version < STORE_VERSION; version++)
        ok = upgrades[version] ? exec(s, upgrades[version], err)
                               : error_set(err, ERROR_INPUT, "store %s: the file is damaged: no version", s->path);
    return ok && exec(s, text, err) && exec(s, "COMMIT", err);
}

struct store *store_open(const char *path, struct error *err)
{
    struct store *s = xcalloc(1, sizeof *s);

    s->path = xstrdup(path);
    if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        fail(s, err, "open");
        goto failed;
    }
    sqlite3_extended_result_codes(s->db, 1);
    /* Another process holding the file means that the lock on the state folder was bypassed: do not wait for it long.
     */
    sqlite3_busy_timeout(s->db, 500);
    if (!check_integrity(s, err) || !migrate(s, err) ||
        /* The log is folded into the file every 32 MiB: more often costs a busy farm syncs, more seldom a longer start.
         */
        !exec(s,
              "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
              "PRAGMA wal_autocheckpoint=8192",
              err) ||
        !sync_what_is_there(s, err))
        goto failed;
    for (int i = 0; i < STATEMENTS; i++)
        if (sqlite3_prepare_v3(s->db, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT, &s->statements[i], NULL) !=
            SQLITE_OK) {
            fail(s, err, "prepare");
            goto failed;
        }
    return s;

failed:
    store_close(&s);
    return NULL;
}

void store_close(struct store **ps)
{
    struct store *s = *ps;

    if (!s)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(s->statements[i]);
    sqlite3_close(s->db); /* an open transaction is rolled back */
    free(s->path);
    free(s);
    *ps = NULL;
}

/* ---- writing ---- */

static bool begin(struct store *s, struct error *err)
{
    if (s->in_transaction)
        return true;
    if (!run(s, bind_begin(s, BEGIN), "begin", err))
        return false;
    s->in_transaction = true;
    return true;
}

static bool save_counter(struct store *s, const char *name, uint64_t value, struct error *err)
{
    struct binder b = bind_begin(s, SAVE_COUNTER);

    bind_text(&b, name);
    bind_int(&b, (int64_t)value);
    return run(s, b, "save a counter", err);
}

static bool save_campaign(struct store *s, const struct campaign *c, struct error *err)
{
    struct binder b = bind_begin(s, SAVE_CAMPAIGN);

    bind_int(&b, (int64_t)c->id.v);
    bind_blob(&b, c->token, sizeof c->token);
    bind_blob(&b, c->request, c->request_bytes);
    bind_digest(&b, &c->pack);
    bind_int(&b, c->state);
    bind_int(&b, c->created_ms);
    bind_int(&b, c->ended_ms);
    bind_int(&b, c->busy_ms);
    bind_int(&b, c->overlap_ms);
    bind_int(&b, c->ranges_at_once);
    bind_int(&b, c->superseded);
    bind_key(&b, &c->owner);
    return run(s, b, "save a campaign", err);
}

static bool save_video(struct store *s, const struct video *v, struct error *err)
{
    struct binder b = bind_begin(s, SAVE_VIDEO);

    bind_int(&b, (int64_t)v->id.v);
    bind_int(&b, (int64_t)v->campaign->id.v);
    bind_int(&b, v->number);
    bind_int(&b, v->state);
    bind_text(&b, v->reason);
    bind_text(&b, v->plan_text);
    bind_digest(&b, v->task_count ? &v->graph : NULL);
    bind_digest(&b, v->manifest.bytes ? &v->manifest.digest : NULL);
    bind_int(&b, v->manifest.bytes);
    bind_digest(&b, v->file.bytes ? &v->file.digest : NULL);
    bind_int(&b, v->file.bytes);
    if (!run(s, b, "save a video", err))
        return false;
    if (!v->graph_dirty) /* else: it was compiled anew, and rows of an older graph may be there */
        return true;
    b = bind_begin(s, DROP_TASKS);
    bind_int(&b, (int64_t)v->id.v);
    return run(s, b, "drop old tasks", err);
}

static bool save_task(struct store *s, const struct task *t, struct error *err)
{
    static const struct digest none;
    struct binder b = bind_begin(s, SAVE_TASK);
    struct str failed_on = { 0 };
    json_t *verdict = t->verdict ? verdict_json(t->verdict) : NULL;
    char *verdict_text = verdict ? json_dumps(verdict, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;

    for (uint32_t i = 0; i < t->failed_count; i++)
        str_printf(&failed_on, "%s%" PRIu64, i ? " " : "", t->failed_on[i].v);
    bind_int(&b, (int64_t)t->id.v);
    bind_int(&b, (int64_t)t->video->id.v);
    bind_int(&b, t->position);
    bind_int(&b, t->kind);
    bind_int(&b, t->shot);
    bind_digest(&b, digest_equal(&t->key, &none) ? NULL : &t->key);
    bind_int(&b, t->state);
    bind_int(&b, t->attempt.v);
    bind_int(&b, (int64_t)t->worker.v);
    bind_int(&b, t->losses);
    bind_text(&b, str_text(&failed_on));
    bind_int(&b, t->too_small_bytes);
    bind_text(&b, t->trouble);
    bind_int(&b, t->cached);
    bind_int(&b, t->busy_ms);
    bind_int(&b, t->reason);
    bind_int(&b, t->errors);
    bind_int(&b, t->timeouts);
    bind_digest(&b, t->checkpoint_step ? &t->checkpoint.digest : NULL);
    bind_int(&b, t->checkpoint.bytes);
    bind_int(&b, t->checkpoint_step);
    bind_int(&b, t->take);
    bind_text(&b, verdict_text);
    bind_int(&b, t->profile);
    bool ok = run(s, b, "save a task", err);
    free(verdict_text);
    json_decref(verdict);
    str_free(&failed_on);
    return ok;
}

static bool save_worker(struct store *s, const struct worker *w, struct error *err)
{
    struct binder b = bind_begin(s, SAVE_WORKER);

    bind_int(&b, (int64_t)w->id.v);
    bind_text(&b, w->name);
    bind_blob(&b, w->boot_id, sizeof w->boot_id);
    bind_key(&b, &w->key);
    return run(s, b, "save a worker", err);
}

static bool save_all(struct store *s, struct ledger *l, struct fleet *f, struct error *err)
{
    bool ids = l->dirty_campaigns || l->dirty_videos;

    for (const struct campaign *c = l->dirty_campaigns; c; c = c->next_dirty) {
        if (!save_campaign(s, c, err))
            return false;
        for (uint32_t i = 0; c->unsaved && i < c->video_count; i++)
            if (!save_video(s, &c->videos[i], err))
                return false;
    }
    for (const struct video *v = l->dirty_videos; v; v = v->next_dirty)
        if (!save_video(s, v, err))
            return false;
    for (const struct task *t = l->dirty_tasks; t; t = t->next_dirty)
        if (!save_task(s, t, err))
            return false;
    for (size_t i = 0; i < f->count; i++) {
        if (!f->workers[i]->dirty)
            continue;
        if (!save_worker(s, f->workers[i], err) || !save_counter(s, "worker", f->last_id, err))
            return false;
        f->workers[i]->dirty = false;
    }
    return !ids || (save_counter(s, "campaign", l->last_campaign, err) &&
                    save_counter(s, "video", l->last_video, err) && save_counter(s, "task", l->last_task, err));
}

bool store_save(struct store *s, struct ledger *l, struct fleet *f, struct error *err)
{
    bool worker_dirty = false;

    for (size_t i = 0; i < f->count; i++)
        worker_dirty = worker_dirty || f->workers[i]->dirty;
    if (ledger_dirty(l) || worker_dirty) {
        if (!begin(s, err) || !save_all(s, l, f, err))
            return false;
    }
    if (s->in_transaction) {
        int64_t began_us = clock_now_us();

        if (!run(s, bind_begin(s, COMMIT), "commit", err))
            return false;
        s->in_transaction = false;
        s->work.records -= 2; /* BEGIN and COMMIT */
        s->work.commits++;
        s->work.commit_us += clock_now_us() - began_us;
    }
    ledger_clean(l);
    return true;
}

struct store_work store_work(const struct store *s)
{
    return s->work;
}

bool store_put_result(struct store *s, const struct digest *key, const struct task_output *outputs, uint32_t count,
                      struct error *err)
{
    if (!begin(s, err))
        return false;
    struct binder b = bind_begin(s, DROP_RESULT);
    bind_digest(&b, key);
    if (!run(s, b, "drop an old result", err))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        b = bind_begin(s, PUT_RESULT);
        bind_digest(&b, key);
        bind_int(&b, outputs[i].name);
        bind_digest(&b, &outputs[i].blob.digest);
        bind_int(&b, outputs[i].blob.bytes);
        if (!run(s, b, "save a result", err))
            return false;
    }
    return true;
}

uint32_t store_find_result(struct store *s, const struct digest *key, struct task_output outputs[TASK_MAX_OUTPUTS])
{
    struct binder b = bind_begin(s, FIND_RESULT);
    uint32_t count = 0;

    bind_digest(&b, key);
    while (count < TASK_MAX_OUTPUTS && sqlite3_step(b.q) == SQLITE_ROW) {
        struct task_output *o = &outputs[count];

        o->name = (enum output_name)sqlite3_column_int(b.q, 0);
        o->blob.bytes = sqlite3_column_int64(b.q, 2);
        if (!read_bytes(b.q, 1, o->blob.digest.bytes, DIGEST_BYTES)) {
            count = 0; /* not believed: the task runs again */
            break;
        }
        count++;
    }
    sqlite3_reset(b.q);
    return count;
}

bool store_put_plan(struct store *s, const struct digest *key, const char *plan, struct error *err)
{
    if (!begin(s, err))
        return false;
    struct binder b = bind_begin(s, PUT_PLAN);
    bind_digest(&b, key);
    bind_text(&b, plan);
    return run(s, b, "save a plan", err);
}

char *store_find_plan(struct store *s, const struct digest *key)
{
    struct binder b = bind_begin(s, FIND_PLAN);
    char *plan = NULL;

    bind_digest(&b, key);
    if (sqlite3_step(b.q) == SQLITE_ROW && sqlite3_column_text(b.q, 0))
        plan = xstrdup((const char *)sqlite3_column_text(b.q, 0));
    sqlite3_reset(b.q);
    return plan;
}

bool store_put_key(struct store *s, const struct access_entry *e, struct error *err)
{
    if (!begin(s, err))
        return false;
    struct binder b = bind_begin(s, PUT_KEY);
    bind_blob(&b, e->key.bytes, CURVE_BYTES);
    bind_text(&b, e->name);
    bind_int(&b, e->role);
    bind_int(&b, e->state);
    bind_int(&b, e->created_ms);
    bind_int(&b, e->expires_ms);
    bind_key(&b, &e->heir);
    return run(s, b, "save a key", err);
}

bool store_drop_invites(struct store *s, int64_t expired_before_ms, struct error *err)
{
    if (!begin(s, err))
        return false;
    struct binder b = bind_begin(s, DROP_OLD_INVITES);
    bind_int(&b, ACCESS_INVITED);
    bind_int(&b, ACCESS_USED);
    bind_int(&b, expired_before_ms);
    return run(s, b, "drop old invites", err);
}

bool store_forget_campaign(struct store *s, struct campaign_id id, struct error *err)
{
    if (!begin(s, err))
        return false;
    struct binder b = bind_begin(s, DROP_CAMPAIGN);
    bind_int(&b, (int64_t)id.v);
    return run(s, b, "forget a campaign", err);
}

/* ---- reading ---- */

static bool bad_row(struct store *s, struct error *err, const char *table, int64_t id)
{
    return error_set(err, ERROR_INPUT, "store %s: %s %" PRId64 " is damaged", s->path, table, id);
}

bool store_each_campaign(struct store *s, store_campaign_row *row, void *context, struct error *err)
{
    struct binder b = bind_begin(s, EACH_CAMPAIGN);
    int code;
    bool ok = true;

    while (ok && (code = sqlite3_step(b.q)) == SQLITE_ROW) {
        struct stored_campaign c = {
            .id = { (uint64_t)sqlite3_column_int64(b.q, 0) },
            .request = sqlite3_column_blob(b.q, 2),
            .request_bytes = (size_t)sqlite3_column_bytes(b.q, 2),
            .state = (enum work_state)sqlite3_column_int(b.q, 4),
            .created_ms = sqlite3_column_int64(b.q, 5),
            .ended_ms = sqlite3_column_int64(b.q, 6),
            .busy_ms = sqlite3_column_int64(b.q, 7),
            .overlap_ms = sqlite3_column_int64(b.q, 8),
            .ranges_at_once = (uint32_t)sqlite3_column_int(b.q, 9),
            .superseded = (uint32_t)sqlite3_column_int64(b.q, 10),
        };
        if (!read_bytes(b.q, 1, c.token, sizeof c.token) || !read_bytes(b.q, 3, c.pack.bytes, DIGEST_BYTES) ||
            !read_key(b.q, 11, &c.owner))
            ok = bad_row(s, err, "campaign", sqlite3_column_int64(b.q, 0));
        else
            ok = row(context, &c, err);
    }
    ok = ok && (code == SQLITE_DONE || fail(s, err, "read campaigns"));
    sqlite3_reset(b.q);
    return ok;
}

bool store_each_video(struct store *s, struct campaign_id campaign, store_video_row *row, void *context,
                      struct error *err)
{
    struct binder b = bind_begin(s, EACH_VIDEO);
    int code;
    bool ok = true;

    bind_int(&b, (int64_t)campaign.v);
    while (ok && (code = sqlite3_step(b.q)) == SQLITE_ROW) {
        struct stored_video v = {
            .id = { (uint64_t)sqlite3_column_int64(b.q, 0) },
            .number = (uint32_t)sqlite3_column_int(b.q, 1),
            .state = (enum work_state)sqlite3_column_int(b.q, 2),
            .reason = (const char *)sqlite3_column_text(b.q, 3),
            .plan = (const char *)sqlite3_column_text(b.q, 4),
            .manifest = { .bytes = sqlite3_column_int64(b.q, 7) },
            .file = { .bytes = sqlite3_column_int64(b.q, 9) },
        };

        v.has_graph = read_bytes(b.q, 5, v.graph.bytes, DIGEST_BYTES);
        if (!v.reason || (v.manifest.bytes && !read_bytes(b.q, 6, v.manifest.digest.bytes, DIGEST_BYTES)) ||
            (v.file.bytes && !read_bytes(b.q, 8, v.file.digest.bytes, DIGEST_BYTES)))
            ok = bad_row(s, err, "video", sqlite3_column_int64(b.q, 0));
        else
            ok = row(context, &v, err);
    }
    ok = ok && (code == SQLITE_DONE || fail(s, err, "read videos"));
    sqlite3_reset(b.q);
    return ok;
}

bool store_each_task(struct store *s, struct video_id video, store_task_row *row, void *context, struct error *err)
{
    struct binder b = bind_begin(s, EACH_TASK);
    int code;
    bool ok = true;

    bind_int(&b, (int64_t)video.v);
    while (ok && (code = sqlite3_step(b.q)) == SQLITE_ROW) {
        struct stored_task t = {
            .id = { (uint64_t)sqlite3_column_int64(b.q, 0) },
            .position = (uint32_t)sqlite3_column_int(b.q, 1),
            .state = (enum task_state)sqlite3_column_int(b.q, 3),
            .attempt = { (uint32_t)sqlite3_column_int64(b.q, 4) },
            .worker = { (uint64_t)sqlite3_column_int64(b.q, 5) },
            .losses = (uint32_t)sqlite3_column_int(b.q, 6),
            .too_small_bytes = sqlite3_column_int64(b.q, 8),
            .trouble = (const char *)sqlite3_column_text(b.q, 9),
            .cached = sqlite3_column_int(b.q, 10) != 0,
            .busy_ms = sqlite3_column_int64(b.q, 11),
            .reason = (enum task_reason)sqlite3_column_int(b.q, 12),
            .errors = (uint32_t)sqlite3_column_int(b.q, 13),
            .timeouts = (uint32_t)sqlite3_column_int(b.q, 14),
            .checkpoint = { .bytes = sqlite3_column_int64(b.q, 16) },
            .checkpoint_step = (uint32_t)sqlite3_column_int(b.q, 17),
            .shot = (uint32_t)sqlite3_column_int64(b.q, 18),
            .take = (uint32_t)sqlite3_column_int64(b.q, 19),
            .profile = sqlite3_column_int(b.q, 21) == PROFILE_LEAN ? PROFILE_LEAN : PROFILE_USUAL,
        };
        const char *verdict = (const char *)sqlite3_column_text(b.q, 20);
        if (!read_bytes(b.q, 15, t.checkpoint.digest.bytes, DIGEST_BYTES))
            t.checkpoint_step = 0;
        const char *failed_on = (const char *)sqlite3_column_text(b.q, 7);
        char *end;

        t.has_key = read_bytes(b.q, 2, t.key.bytes, DIGEST_BYTES);
        t.has_verdict = verdict && verdict_parse(&t.verdict, verdict);
        for (; failed_on && *failed_on && t.failed_count < TASK_MAX_FAILED_ON; failed_on = end) {
            t.failed_on[t.failed_count].v = strtoull(failed_on, &end, 10);
            if (end == failed_on)
                break;
            t.failed_count++;
        }
        ok = row(context, &t, err);
    }
    ok = ok && (code == SQLITE_DONE || fail(s, err, "read tasks"));
    sqlite3_reset(b.q);
    return ok;
}

bool store_each_worker(struct store *s, store_worker_row *row, void *context, struct error *err)
{
    struct binder b = bind_begin(s, EACH_WORKER);
    int code;
    bool ok = true;

    while (ok && (code = sqlite3_step(b.q)) == SQLITE_ROW) {
        uint8_t boot_id[16];
        struct curve_key key;

        if (!sqlite3_column_text(b.q, 1) || !read_bytes(b.q, 2, boot_id, sizeof boot_id) || !read_key(b.q, 3, &key))
            ok = bad_row(s, err, "worker", sqlite3_column_int64(b.q, 0));
        else
            ok = row(context, (struct worker_id){ (uint64_t)sqlite3_column_int64(b.q, 0) },
                     (const char *)sqlite3_column_text(b.q, 1), boot_id, &key);
    }
    ok = ok && (code == SQLITE_DONE || fail(s, err, "read workers"));
    sqlite3_reset(b.q);
    return ok;
}

bool store_each_key(struct store *s, store_key_row *row, void *context, struct error *err)
{
    struct binder b = bind_begin(s, EACH_KEY);
    int code;
    bool ok = true;

    while (ok && (code = sqlite3_step(b.q)) == SQLITE_ROW) {
        struct access_entry e = { .role = (enum role)sqlite3_column_int(b.q, 2),
                                  .state = (enum access_state)sqlite3_column_int(b.q, 3),
                                  .created_ms = sqlite3_column_int64(b.q, 4),
                                  .expires_ms = sqlite3_column_int64(b.q, 5) };
        const char *name = (const char *)sqlite3_column_text(b.q, 1);

        if (!name || !str_copy(e.name, sizeof e.name, name) || !read_bytes(b.q, 0, e.key.bytes, CURVE_BYTES) ||
            !read_key(b.q, 6, &e.heir) || e.state < ACCESS_INVITED || e.state > ACCESS_REVOKED ||
            e.role < ROLE_VIEWER || e.role > ROLE_WORKER)
            ok = error_set(err, ERROR_INPUT, "store %s: the key of \"%.63s\" is damaged", s->path, name ? name : "");
        else
            ok = row(context, &e);
    }
    ok = ok && (code == SQLITE_DONE || fail(s, err, "read keys"));
    sqlite3_reset(b.q);
    return ok;
}

static bool load_counter(struct store *s, const char *name, uint64_t *value, struct error *err)
{
    struct binder b = bind_begin(s, FIND_COUNTER);

    bind_text(&b, name);
    int code = sqlite3_step(b.q);
    bool ok = code == SQLITE_ROW || code == SQLITE_DONE || fail(s, err, "read counters");
    *value = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(b.q, 0) : 0;
    sqlite3_reset(b.q);
    return ok;
}

bool store_load_counters(struct store *s, struct ledger *l, struct fleet *f, struct error *err)
{
    return load_counter(s, "campaign", &l->last_campaign, err) && load_counter(s, "video", &l->last_video, err) &&
           load_counter(s, "task", &l->last_task, err) && load_counter(s, "worker", &f->last_id, err);
}

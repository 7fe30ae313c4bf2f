#include "coordinator/store/store_db.h"

#include "common/base/str.h"
#include "coordinator/store/schema.sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE_APPLICATION 0x53484f54 /* "SHOT" */
#define STORE_VERSION     8

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
    [5] = "ALTER TABLE campaigns ADD COLUMN tasks INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE campaigns ADD COLUMN tasks_done INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE campaigns ADD COLUMN tasks_cached INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE campaigns ADD COLUMN shots_judged INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE campaigns ADD COLUMN shots_first_try INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE campaigns ADD COLUMN shots_settled INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE campaigns ADD COLUMN shots_passed INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE campaigns ADD COLUMN retry_ms INTEGER NOT NULL DEFAULT 0",
    [6] = "CREATE TABLE forgotten (token BLOB PRIMARY KEY, campaign INTEGER NOT NULL) WITHOUT ROWID",
    [7] = "CREATE TABLE evicted (digest BLOB PRIMARY KEY) WITHOUT ROWID",
};

static const char *const statement_text[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [SAVE_COUNTER] = "INSERT OR REPLACE INTO counters VALUES (?, ?)",
    [SAVE_CAMPAIGN] =
        "INSERT INTO campaigns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO "
        "UPDATE SET state = excluded.state,"
        " ended_ms = excluded.ended_ms, busy_ms = excluded.busy_ms, overlap_ms = excluded.overlap_ms,"
        " ranges_at_once = excluded.ranges_at_once, superseded = excluded.superseded, tasks = excluded.tasks,"
        " tasks_done = excluded.tasks_done, tasks_cached = excluded.tasks_cached,"
        " shots_judged = excluded.shots_judged, shots_first_try = excluded.shots_first_try,"
        " shots_settled = excluded.shots_settled, shots_passed = excluded.shots_passed, retry_ms = excluded.retry_ms",
    [SAVE_VIDEO] =
        "INSERT INTO videos VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = "
        "excluded.state,"
        " reason = excluded.reason, plan = excluded.plan, graph = excluded.graph, manifest = excluded.manifest,"
        " manifest_bytes = excluded.manifest_bytes, file = excluded.file, file_bytes = excluded.file_bytes",
    /* Both take the columns of a whole row. What never changes is not written again, nor is the index over it. */
    [SAVE_TASK] = "UPDATE tasks SET key = ?6, state = ?7, attempt = ?8, worker = ?9, losses = ?10, failed_on = ?11,"
                  " too_small_bytes = ?12, trouble = ?13, cached = ?14, busy_ms = ?15, reason = ?16, errors = ?17,"
                  " timeouts = ?18, checkpoint = ?19, checkpoint_bytes = ?20, checkpoint_step = ?21, verdict = ?23,"
                  " profile = ?24 WHERE id = ?1",
    [ADD_TASK] = "INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [DROP_TASKS] = "DELETE FROM tasks WHERE video = ?",
    [SAVE_WORKER] = "INSERT OR REPLACE INTO workers VALUES (?, ?, ?, ?)",
    [PUT_FORGOTTEN] = "INSERT OR IGNORE INTO forgotten SELECT token, id FROM campaigns WHERE id = ?",
    [FIND_FORGOTTEN] = "SELECT campaign FROM forgotten WHERE token = ?",
    [DROP_CAMPAIGN] = "DELETE FROM campaigns WHERE id = ?",
    [DROP_RESULT] = "DELETE FROM results WHERE key = ?",
    [PUT_RESULT] = "INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?)",
    [FIND_RESULT] = "SELECT output, digest, bytes FROM results WHERE key = ? ORDER BY output",
    [PUT_EVICTED] = "INSERT OR IGNORE INTO evicted VALUES (?)",
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
    [FIND_TASK] = "SELECT videos.campaign FROM tasks JOIN videos ON videos.id = tasks.video WHERE tasks.id = ?",
    [FIND_DONE] = "SELECT 1 FROM tasks WHERE id = ? AND state = ? AND (key = ? OR attempt = ?)",
    [FIND_COUNTER] = "SELECT value FROM counters WHERE name = ?",
    [PUT_KEY] = "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)",
    [EACH_KEY] = "SELECT * FROM keys ORDER BY created_ms",
    [DROP_KEY] = "DELETE FROM keys WHERE key = ?",
};

bool db_fail(struct store *s, struct error *err, const char *doing)
{
    int code = sqlite3_extended_errcode(s->db);
    bool damaged = (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;

    return error_set(err, damaged ? ERROR_INPUT : ERROR_IO, "store %s: %s: %s", s->path, doing,
                     damaged ? "the file is damaged or not a Shotline store" : sqlite3_errmsg(s->db));
}

/* ---- columns ---- */

struct binder db_bind(struct store *s, enum statement which)
{
    sqlite3_reset(s->statements[which]);
    sqlite3_clear_bindings(s->statements[which]);
    return (struct binder){ s->statements[which], 1 };
}

void db_int(struct binder *b, int64_t v)
{
    sqlite3_bind_int64(b->q, b->next++, v);
}

void db_text(struct binder *b, const char *text)
{
    sqlite3_bind_text(b->q, b->next++, text, -1, SQLITE_STATIC);
}

void db_blob(struct binder *b, const void *data, size_t size)
{
    sqlite3_bind_blob64(b->q, b->next++, data, size, SQLITE_STATIC);
}

void db_digest(struct binder *b, const struct digest *d)
{
    sqlite3_bind_blob(b->q, b->next++, d ? d->bytes : NULL, DIGEST_BYTES, SQLITE_STATIC);
}

void db_key(struct binder *b, const struct curve_key *k)
{
    sqlite3_bind_blob(b->q, b->next++, curve_is_none(k) ? NULL : k->bytes, CURVE_BYTES, SQLITE_STATIC);
}

bool db_run(struct store *s, struct binder b, const char *doing, struct error *err)
{
    int code = sqlite3_step(b.q);
    bool ok = code == SQLITE_DONE || db_fail(s, err, doing);

    s->work.records++;
    sqlite3_reset(b.q);
    return ok;
}

bool db_changed(struct store *s)
{
    return sqlite3_changes(s->db) > 0;
}

bool db_read_bytes(sqlite3_stmt *q, int column, void *to, int size)
{
    if (sqlite3_column_bytes(q, column) != size)
        return false;
    memcpy(to, sqlite3_column_blob(q, column), (size_t)size);
    return true;
}

bool db_read_key(sqlite3_stmt *q, int column, struct curve_key *k)
{
    *k = (struct curve_key){ { 0 } };
    return sqlite3_column_type(q, column) == SQLITE_NULL || db_read_bytes(q, column, k->bytes, CURVE_BYTES);
}

bool db_begin(struct store *s, struct error *err)
{
    if (s->in_transaction)
        return true;
    if (!db_run(s, db_bind(s, BEGIN), "begin", err))
        return false;
    s->in_transaction = true;
    return true;
}

/* ---- opening ---- */

static bool pragma_int(struct store *s, const char *text, int64_t *value, struct error *err)
{
    sqlite3_stmt *q = NULL;
    bool ok = sqlite3_prepare_v2(s->db, text, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW;

    if (ok)
        *value = sqlite3_column_int64(q, 0);
    else
        db_fail(s, err, text);
    sqlite3_finalize(q);
    return ok;
}

static bool exec(struct store *s, const char *text, struct error *err)
{
    return sqlite3_exec(s->db, text, NULL, NULL, NULL) == SQLITE_OK || db_fail(s, err, "prepare the file");
}

static bool check_integrity(struct store *s, struct error *err)
{
    sqlite3_stmt *q = NULL;
    bool ok =
        sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW;

    if (!ok)
        db_fail(s, err, "check");
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
           db_fail(s, err, "sync");
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
        db_fail(s, err, "open");
        goto failed;
    }
    sqlite3_extended_result_codes(s->db, 1);
    /* Another process holding the file means that the lock on the state folder was bypassed: do not wait for it long.
     */
    sqlite3_busy_timeout(s->db, 500);
    if (!check_integrity(s, err) || !migrate(s, err) ||
        /* The log is folded into the file every 32 MiB: more often costs a busy farm syncs, more seldom a longer start.
         * 32 MiB of its pages are kept: a turn of a busy farm touches thousands all over the file, and fewer would be
         * written in the middle of a transaction to be read again.
         */
        !exec(s,
              "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
              "PRAGMA wal_autocheckpoint=8192; PRAGMA cache_size=-32768",
              err) ||
        !sync_what_is_there(s, err))
        goto failed;
    for (int i = 0; i < STATEMENTS; i++)
        if (sqlite3_prepare_v3(s->db, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT, &s->statements[i], NULL) !=
            SQLITE_OK) {
            db_fail(s, err, "prepare");
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

#include "coordinator/store/store_check.h"

#include "common/base/arena.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define STORE_APPLICATION 0x53484f54 /* "SHOT" */

struct store_check {
    sqlite3 *db;
    char *path;
};

static bool fail(struct store_check *c, struct error *err)
{
    int code = sqlite3_errcode(c->db) & 0xff;

    return error_set(err, code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? ERROR_INPUT : ERROR_IO, "store %s: %s",
                     c->path, sqlite3_errmsg(c->db));
}

/* Calls `row` for every row of a query. */
static bool each_row(struct store_check *c, const char *query, void (*row)(void *context, sqlite3_stmt *q),
                     void *context, struct error *err)
{
    sqlite3_stmt *q = NULL;
    int code = sqlite3_prepare_v2(c->db, query, -1, &q, NULL);

    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(q);
        if (code == SQLITE_ROW)
            row(context, q);
    }
    bool ok = code == SQLITE_DONE || fail(c, err);
    sqlite3_finalize(q);
    return ok;
}

static void take_int(void *context, sqlite3_stmt *q)
{
    *(int64_t *)context = sqlite3_column_int64(q, 0);
}

struct store_check *store_check_open(const char *path, struct error *err)
{
    struct store_check *c = xcalloc(1, sizeof *c);
    int64_t application = 0;

    c->path = xstrdup(path);
    bool ok = sqlite3_open_v2(path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK
                  ? each_row(c, "PRAGMA application_id", take_int, &application, err)
                  : fail(c, err);
    if (ok && application != STORE_APPLICATION)
        ok = error_set(err, ERROR_INPUT, "store %s: not a Shotline store", path);
    if (!ok)
        store_check_close(&c);
    return c;
}

void store_check_close(struct store_check **c)
{
    if (!*c)
        return;
    sqlite3_close((*c)->db);
    free((*c)->path);
    free(*c);
    *c = NULL;
}

/* ---- what each row becomes ---- */

struct caller {
    store_check_line *line;
    store_check_result *result;
    store_check_video *video;
    store_check_campaign *campaign;
    store_check_blob *blob;
    void *context;
};

static bool take_digest(sqlite3_stmt *q, int column, struct digest *d)
{
    if (sqlite3_column_bytes(q, column) != DIGEST_BYTES)
        return false;
    memcpy(d->bytes, sqlite3_column_blob(q, column), DIGEST_BYTES);
    return true;
}

static void take_line(void *context, sqlite3_stmt *q)
{
    struct caller *caller = context;
    const char *text = (const char *)sqlite3_column_text(q, 0);

    if (text && strcmp(text, "ok"))
        caller->line(caller->context, text);
}

bool store_check_integrity(struct store_check *c, store_check_line *each, void *context, struct error *err)
{
    struct caller caller = { .line = each, .context = context };

    return each_row(c, "PRAGMA integrity_check(20)", take_line, &caller, err) &&
           each_row(c,
                    "SELECT 'row ' || rowid || ' of ' || \"table\" || ' names a row of ' || parent || ' that is not "
                    "there' FROM pragma_foreign_key_check LIMIT 20",
                    take_line, &caller, err);
}

static void take_result(void *context, sqlite3_stmt *q)
{
    struct caller *caller = context;
    struct checked_result r = { .output = sqlite3_column_int(q, 1), .bytes = sqlite3_column_int64(q, 3) };

    r.valid = take_digest(q, 0, &r.key);
    r.valid &= take_digest(q, 2, &r.digest);
    caller->result(caller->context, &r);
}

bool store_check_results(struct store_check *c, store_check_result *each, void *context, struct error *err)
{
    return each_row(c, "SELECT key, output, digest, bytes FROM results ORDER BY key, output", take_result,
                    &(struct caller){ .result = each, .context = context }, err);
}

static void take_video(void *context, sqlite3_stmt *q)
{
    struct caller *caller = context;
    struct checked_video v = { .id = sqlite3_column_int64(q, 0),
                               .campaign = sqlite3_column_int64(q, 1),
                               .state = (enum work_state)sqlite3_column_int(q, 2) };

    v.has_manifest = take_digest(q, 3, &v.manifest.digest);
    v.manifest.bytes = sqlite3_column_int64(q, 4);
    v.has_file = take_digest(q, 5, &v.file.digest);
    v.file.bytes = sqlite3_column_int64(q, 6);
    caller->video(caller->context, &v);
}

bool store_check_videos(struct store_check *c, store_check_video *each, void *context, struct error *err)
{
    return each_row(c, "SELECT id, campaign, state, manifest, manifest_bytes, file, file_bytes FROM videos ORDER BY id",
                    take_video, &(struct caller){ .video = each, .context = context }, err);
}

static void take_campaign(void *context, sqlite3_stmt *q)
{
    struct caller *caller = context;

    caller->campaign(caller->context,
                     &(struct checked_campaign){ .id = sqlite3_column_int64(q, 0),
                                                 .request = sqlite3_column_blob(q, 1),
                                                 .request_bytes = (size_t)sqlite3_column_bytes(q, 1) });
}

bool store_check_campaigns(struct store_check *c, store_check_campaign *each, void *context, struct error *err)
{
    return each_row(c, "SELECT id, request FROM campaigns ORDER BY id", take_campaign,
                    &(struct caller){ .campaign = each, .context = context }, err);
}

static void take_blob(void *context, sqlite3_stmt *q)
{
    struct caller *caller = context;
    struct digest d;

    if (take_digest(q, 0, &d))
        caller->blob(caller->context, &d);
}

bool store_check_checkpoints(struct store_check *c, store_check_blob *each, void *context, struct error *err)
{
    return each_row(c, "SELECT checkpoint FROM tasks WHERE checkpoint IS NOT NULL", take_blob,
                    &(struct caller){ .blob = each, .context = context }, err);
}

bool store_check_evicted(struct store_check *c, store_check_blob *each, void *context, struct error *err)
{
    int64_t tables = 0; /* a store of an older version has none */

    return each_row(c, "SELECT count(*) FROM sqlite_schema WHERE name = 'evicted'", take_int, &tables, err) &&
           (!tables || each_row(c, "SELECT digest FROM evicted", take_blob,
                                &(struct caller){ .blob = each, .context = context }, err));
}

/* ---- one key ---- */

uint32_t store_check_find(struct store_check *c, const struct digest *key, struct task_output outputs[TASK_MAX_OUTPUTS])
{
    sqlite3_stmt *q = NULL;
    uint32_t count = 0;

    if (sqlite3_prepare_v2(c->db, "SELECT output, digest, bytes FROM results WHERE key = ? ORDER BY output", -1, &q,
                           NULL) != SQLITE_OK)
        return 0;
    sqlite3_bind_blob(q, 1, key->bytes, DIGEST_BYTES, SQLITE_STATIC);
    while (count < TASK_MAX_OUTPUTS && sqlite3_step(q) == SQLITE_ROW) {
        outputs[count].name = (enum output_name)sqlite3_column_int(q, 0);
        outputs[count].blob.bytes = sqlite3_column_int64(q, 2);
        if (take_digest(q, 1, &outputs[count].blob.digest))
            count++;
    }
    sqlite3_finalize(q);
    return count;
}

bool store_check_forget(struct store_check *c, const struct digest *key, struct error *err)
{
    sqlite3_stmt *q = NULL;
    bool ok = sqlite3_prepare_v2(c->db, "DELETE FROM results WHERE key = ?", -1, &q, NULL) == SQLITE_OK &&
              sqlite3_bind_blob(q, 1, key->bytes, DIGEST_BYTES, SQLITE_STATIC) == SQLITE_OK &&
              sqlite3_step(q) == SQLITE_DONE;

    if (!ok)
        fail(c, err);
    sqlite3_finalize(q);
    return ok;
}

/* What the store holds, read back: everything at start, single records when they are asked for. */
#include "common/base/str.h"
#include "coordinator/store/store_db.h"

#include <inttypes.h>
#include <stdlib.h>

uint32_t store_find_result(struct store *s, const struct digest *key, struct task_output outputs[TASK_MAX_OUTPUTS])
{
    struct binder b = db_bind(s, FIND_RESULT);
    uint32_t count = 0;

    db_digest(&b, key);
    while (count < TASK_MAX_OUTPUTS && sqlite3_step(b.q) == SQLITE_ROW) {
        struct task_output *o = &outputs[count];

        o->name = (enum output_name)sqlite3_column_int(b.q, 0);
        o->blob.bytes = sqlite3_column_int64(b.q, 2);
        if (!db_read_bytes(b.q, 1, o->blob.digest.bytes, DIGEST_BYTES)) {
            count = 0; /* not believed: the task runs again */
            break;
        }
        count++;
    }
    sqlite3_reset(b.q);
    return count;
}

char *store_find_plan(struct store *s, const struct digest *key)
{
    struct binder b = db_bind(s, FIND_PLAN);
    char *plan = NULL;

    db_digest(&b, key);
    if (sqlite3_step(b.q) == SQLITE_ROW && sqlite3_column_text(b.q, 0))
        plan = xstrdup((const char *)sqlite3_column_text(b.q, 0));
    sqlite3_reset(b.q);
    return plan;
}

static bool bad_row(struct store *s, struct error *err, const char *table, int64_t id)
{
    return error_set(err, ERROR_INPUT, "store %s: %s %" PRId64 " is damaged", s->path, table, id);
}

bool store_each_campaign(struct store *s, store_campaign_row *row, void *context, struct error *err)
{
    struct binder b = db_bind(s, EACH_CAMPAIGN);
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
            .figures = { .tasks = (uint32_t)sqlite3_column_int64(b.q, 12),
                         .tasks_done = (uint32_t)sqlite3_column_int64(b.q, 13),
                         .tasks_cached = (uint32_t)sqlite3_column_int64(b.q, 14),
                         .shots_judged = (uint32_t)sqlite3_column_int64(b.q, 15),
                         .shots_first_try = (uint32_t)sqlite3_column_int64(b.q, 16),
                         .shots_settled = (uint32_t)sqlite3_column_int64(b.q, 17),
                         .shots_passed = (uint32_t)sqlite3_column_int64(b.q, 18),
                         .retry_ms = sqlite3_column_int64(b.q, 19) },
        };
        if (!db_read_bytes(b.q, 1, c.token, sizeof c.token) || !db_read_bytes(b.q, 3, c.pack.bytes, DIGEST_BYTES) ||
            !db_read_key(b.q, 11, &c.owner))
            ok = bad_row(s, err, "campaign", sqlite3_column_int64(b.q, 0));
        else
            ok = row(context, &c, err);
    }
    ok = ok && (code == SQLITE_DONE || db_fail(s, err, "read campaigns"));
    sqlite3_reset(b.q);
    return ok;
}

bool store_each_video(struct store *s, struct campaign_id campaign, store_video_row *row, void *context,
                      struct error *err)
{
    struct binder b = db_bind(s, EACH_VIDEO);
    int code;
    bool ok = true;

    db_int(&b, (int64_t)campaign.v);
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

        v.has_graph = db_read_bytes(b.q, 5, v.graph.bytes, DIGEST_BYTES);
        if (!v.reason || (v.manifest.bytes && !db_read_bytes(b.q, 6, v.manifest.digest.bytes, DIGEST_BYTES)) ||
            (v.file.bytes && !db_read_bytes(b.q, 8, v.file.digest.bytes, DIGEST_BYTES)))
            ok = bad_row(s, err, "video", sqlite3_column_int64(b.q, 0));
        else
            ok = row(context, &v, err);
    }
    ok = ok && (code == SQLITE_DONE || db_fail(s, err, "read videos"));
    sqlite3_reset(b.q);
    return ok;
}

bool store_each_task(struct store *s, struct video_id video, store_task_row *row, void *context, struct error *err)
{
    struct binder b = db_bind(s, EACH_TASK);
    int code;
    bool ok = true;

    db_int(&b, (int64_t)video.v);
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
        if (!db_read_bytes(b.q, 15, t.checkpoint.digest.bytes, DIGEST_BYTES))
            t.checkpoint_step = 0;
        const char *failed_on = (const char *)sqlite3_column_text(b.q, 7);
        char *end;

        t.has_key = db_read_bytes(b.q, 2, t.key.bytes, DIGEST_BYTES);
        t.has_verdict = verdict && verdict_parse(&t.verdict, verdict);
        for (; failed_on && *failed_on && t.failed_count < TASK_MAX_FAILED_ON; failed_on = end) {
            t.failed_on[t.failed_count].v = strtoull(failed_on, &end, 10);
            if (end == failed_on)
                break;
            t.failed_count++;
        }
        ok = row(context, &t, err);
    }
    ok = ok && (code == SQLITE_DONE || db_fail(s, err, "read tasks"));
    sqlite3_reset(b.q);
    return ok;
}

bool store_each_worker(struct store *s, store_worker_row *row, void *context, struct error *err)
{
    struct binder b = db_bind(s, EACH_WORKER);
    int code;
    bool ok = true;

    while (ok && (code = sqlite3_step(b.q)) == SQLITE_ROW) {
        uint8_t boot_id[16];
        struct curve_key key;

        if (!sqlite3_column_text(b.q, 1) || !db_read_bytes(b.q, 2, boot_id, sizeof boot_id) ||
            !db_read_key(b.q, 3, &key))
            ok = bad_row(s, err, "worker", sqlite3_column_int64(b.q, 0));
        else
            ok = row(context, (struct worker_id){ (uint64_t)sqlite3_column_int64(b.q, 0) },
                     (const char *)sqlite3_column_text(b.q, 1), boot_id, &key);
    }
    ok = ok && (code == SQLITE_DONE || db_fail(s, err, "read workers"));
    sqlite3_reset(b.q);
    return ok;
}

bool store_each_key(struct store *s, store_key_row *row, void *context, struct error *err)
{
    struct binder b = db_bind(s, EACH_KEY);
    int code;
    bool ok = true;

    while (ok && (code = sqlite3_step(b.q)) == SQLITE_ROW) {
        struct access_entry e = { .role = (enum role)sqlite3_column_int(b.q, 2),
                                  .state = (enum access_state)sqlite3_column_int(b.q, 3),
                                  .created_ms = sqlite3_column_int64(b.q, 4),
                                  .expires_ms = sqlite3_column_int64(b.q, 5) };
        const char *name = (const char *)sqlite3_column_text(b.q, 1);

        if (!name || !str_copy(e.name, sizeof e.name, name) || !db_read_bytes(b.q, 0, e.key.bytes, CURVE_BYTES) ||
            !db_read_key(b.q, 6, &e.heir) || e.state < ACCESS_INVITED || e.state > ACCESS_REVOKED ||
            e.role < ROLE_VIEWER || e.role > ROLE_WORKER)
            ok = error_set(err, ERROR_INPUT, "store %s: the key of \"%.63s\" is damaged", s->path, name ? name : "");
        else
            ok = row(context, &e);
    }
    ok = ok && (code == SQLITE_DONE || db_fail(s, err, "read keys"));
    sqlite3_reset(b.q);
    return ok;
}

/* The number in the first row; 0: there is none. */
static bool read_number(struct store *s, struct binder b, uint64_t *value, const char *doing, struct error *err)
{
    int code = sqlite3_step(b.q);
    bool ok = code == SQLITE_ROW || code == SQLITE_DONE || db_fail(s, err, doing);

    *value = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(b.q, 0) : 0;
    sqlite3_reset(b.q);
    return ok;
}

bool store_find_task(struct store *s, struct task_id task, struct campaign_id *campaign, struct error *err)
{
    struct binder b = db_bind(s, FIND_TASK);

    db_int(&b, (int64_t)task.v);
    return read_number(s, b, &campaign->v, "find a task", err);
}

bool store_find_done(struct store *s, struct task_id task, const struct digest *key, struct attempt attempt, bool *done,
                     struct error *err)
{
    struct binder b = db_bind(s, FIND_DONE);
    uint64_t found = 0;

    db_int(&b, (int64_t)task.v);
    db_int(&b, TASK_DONE);
    db_digest(&b, key);
    db_int(&b, key ? -1 : (int64_t)attempt.v);
    bool ok = read_number(s, b, &found, "find a task", err);
    *done = found;
    return ok;
}

bool store_find_forgotten(struct store *s, const uint8_t token[16], struct campaign_id *campaign, struct error *err)
{
    struct binder b = db_bind(s, FIND_FORGOTTEN);

    db_blob(&b, token, 16);
    return read_number(s, b, &campaign->v, "find a forgotten campaign", err);
}

static bool load_counter(struct store *s, const char *name, uint64_t *value, struct error *err)
{
    struct binder b = db_bind(s, FIND_COUNTER);

    db_text(&b, name);
    return read_number(s, b, value, "read counters", err);
}

bool store_load_counters(struct store *s, struct ledger *l, struct fleet *f, struct error *err)
{
    return load_counter(s, "campaign", &l->last_campaign, err) && load_counter(s, "video", &l->last_video, err) &&
           load_counter(s, "task", &l->last_task, err) && load_counter(s, "worker", &f->last_id, err);
}

#include "coordinator/store/store.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "coordinator/store/store_db.h"

#include <inttypes.h>
#include <stdlib.h>

static bool save_counter(struct store *s, const char *name, uint64_t value, struct error *err)
{
    struct binder b = db_bind(s, SAVE_COUNTER);

    db_text(&b, name);
    db_int(&b, (int64_t)value);
    return db_run(s, b, "save a counter", err);
}

static bool save_campaign(struct store *s, const struct campaign *c, struct error *err)
{
    struct binder b = db_bind(s, SAVE_CAMPAIGN);

    db_int(&b, (int64_t)c->id.v);
    db_blob(&b, c->token, sizeof c->token);
    db_blob(&b, c->request, c->request_bytes);
    db_digest(&b, &c->pack);
    db_int(&b, c->state);
    db_int(&b, c->created_ms);
    db_int(&b, c->ended_ms);
    db_int(&b, c->busy_ms);
    db_int(&b, c->overlap_ms);
    db_int(&b, c->ranges_at_once);
    db_int(&b, c->superseded);
    db_key(&b, &c->owner);
    db_int(&b, c->figures.tasks);
    db_int(&b, c->figures.tasks_done);
    db_int(&b, c->figures.tasks_cached);
    db_int(&b, c->figures.shots_judged);
    db_int(&b, c->figures.shots_first_try);
    db_int(&b, c->figures.shots_settled);
    db_int(&b, c->figures.shots_passed);
    db_int(&b, c->figures.retry_ms);
    return db_run(s, b, "save a campaign", err);
}

static bool save_video(struct store *s, const struct video *v, struct error *err)
{
    static const struct digest none;
    struct binder b = db_bind(s, SAVE_VIDEO);

    db_int(&b, (int64_t)v->id.v);
    db_int(&b, (int64_t)v->campaign->id.v);
    db_int(&b, v->number);
    db_int(&b, v->state);
    db_text(&b, v->reason);
    db_text(&b, v->plan_text);
    db_digest(&b, digest_equal(&v->graph, &none) ? NULL : &v->graph);
    db_digest(&b, v->manifest.bytes ? &v->manifest.digest : NULL);
    db_int(&b, v->manifest.bytes);
    db_digest(&b, v->file.bytes ? &v->file.digest : NULL);
    db_int(&b, v->file.bytes);
    if (!db_run(s, b, "save a video", err))
        return false;
    if (!v->graph_dirty) /* else: it was compiled anew, and rows of an older graph may be there */
        return true;
    b = db_bind(s, DROP_TASKS);
    db_int(&b, (int64_t)v->id.v);
    return db_run(s, b, "drop old tasks", err);
}

static bool write_task(struct store *s, enum statement which, const struct task *t, const char *failed_on,
                       const char *verdict, struct error *err)
{
    static const struct digest none;
    struct binder b = db_bind(s, which);

    db_int(&b, (int64_t)t->id.v);
    db_int(&b, (int64_t)t->video->id.v);
    db_int(&b, t->position);
    db_int(&b, t->kind);
    db_int(&b, t->shot);
    db_digest(&b, digest_equal(&t->key, &none) ? NULL : &t->key);
    db_int(&b, t->state);
    db_int(&b, t->attempt.v);
    db_int(&b, (int64_t)t->worker.v);
    db_int(&b, t->losses);
    db_text(&b, failed_on);
    db_int(&b, t->too_small_bytes);
    db_text(&b, t->trouble);
    db_int(&b, t->cached);
    db_int(&b, t->busy_ms);
    db_int(&b, t->reason);
    db_int(&b, t->errors);
    db_int(&b, t->timeouts);
    db_digest(&b, t->checkpoint_step ? &t->checkpoint.digest : NULL);
    db_int(&b, t->checkpoint.bytes);
    db_int(&b, t->checkpoint_step);
    db_int(&b, t->take);
    db_text(&b, verdict);
    db_int(&b, t->profile);
    return db_run(s, b, "save a task", err);
}

static bool save_task(struct store *s, const struct task *t, struct error *err)
{
    struct str failed_on = { 0 }, verdict = { 0 };
    struct json_out verdict_out = { .to = &verdict, .canonical = true };

    if (t->verdict)
        verdict_write(t->verdict, NULL, &verdict_out);
    for (uint32_t i = 0; i < t->failed_count; i++)
        str_printf(&failed_on, "%s%" PRIu64, i ? " " : "", t->failed_on[i].v);
    bool ok = write_task(s, SAVE_TASK, t, str_text(&failed_on), verdict.data, err);
    if (ok && !db_changed(s)) /* it was not there yet */
        ok = write_task(s, ADD_TASK, t, str_text(&failed_on), verdict.data, err);
    str_free(&verdict);
    str_free(&failed_on);
    return ok;
}

static bool save_worker(struct store *s, const struct worker *w, struct error *err)
{
    struct binder b = db_bind(s, SAVE_WORKER);

    db_int(&b, (int64_t)w->id.v);
    db_text(&b, w->name);
    db_blob(&b, w->boot_id, sizeof w->boot_id);
    db_key(&b, &w->key);
    return db_run(s, b, "save a worker", err);
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
    for (size_t i = 0; f->dirty && i < f->count; i++) {
        if (!f->workers[i]->dirty)
            continue;
        if (!save_worker(s, f->workers[i], err) || !save_counter(s, "worker", f->last_id, err))
            return false;
        f->workers[i]->dirty = false;
    }
    f->dirty = false;
    return !ids || (save_counter(s, "campaign", l->last_campaign, err) &&
                    save_counter(s, "video", l->last_video, err) && save_counter(s, "task", l->last_task, err));
}

bool store_save(struct store *s, struct ledger *l, struct fleet *f, struct error *err)
{
    if (ledger_dirty(l) || f->dirty) {
        if (!db_begin(s, err) || !save_all(s, l, f, err))
            return false;
    }
    if (s->in_transaction) {
        int64_t began_us = clock_now_us();

        if (!db_run(s, db_bind(s, COMMIT), "commit", err))
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

/* Stops at the first output that is there already: *there. */
static bool put_outputs(struct store *s, const struct digest *key, const struct task_output *outputs, uint32_t count,
                        bool *there, struct error *err)
{
    *there = false;
    for (uint32_t i = 0; i < count && !*there; i++) {
        struct binder b = db_bind(s, PUT_RESULT);

        db_digest(&b, key);
        db_int(&b, outputs[i].name);
        db_digest(&b, &outputs[i].blob.digest);
        db_int(&b, outputs[i].blob.bytes);
        if (!db_run(s, b, "save a result", err))
            return false;
        *there = !db_changed(s);
    }
    return true;
}

bool store_put_result(struct store *s, const struct digest *key, const struct task_output *outputs, uint32_t count,
                      struct error *err)
{
    bool there;

    if (!db_begin(s, err) || !put_outputs(s, key, outputs, count, &there, err))
        return false;
    if (!there)
        return true;
    /* Made before, and again because it was evicted or lost. All results of a key have the outputs in common that its
     * kind requires, so an older one is always noticed; it goes as a whole. */
    struct binder b = db_bind(s, DROP_RESULT);
    db_digest(&b, key);
    return db_run(s, b, "drop an old result", err) && put_outputs(s, key, outputs, count, &there, err);
}

bool store_put_evicted(struct store *s, const struct digest *blob, struct error *err)
{
    if (!db_begin(s, err))
        return false;
    struct binder b = db_bind(s, PUT_EVICTED);
    db_digest(&b, blob);
    return db_run(s, b, "save what was evicted", err);
}

bool store_put_plan(struct store *s, const struct digest *key, const char *plan, struct error *err)
{
    if (!db_begin(s, err))
        return false;
    struct binder b = db_bind(s, PUT_PLAN);
    db_digest(&b, key);
    db_text(&b, plan);
    return db_run(s, b, "save a plan", err);
}

bool store_put_key(struct store *s, const struct access_entry *e, struct error *err)
{
    if (!db_begin(s, err))
        return false;
    struct binder b = db_bind(s, PUT_KEY);
    db_blob(&b, e->key.bytes, CURVE_BYTES);
    db_text(&b, e->name);
    db_int(&b, e->role);
    db_int(&b, e->state);
    db_int(&b, e->created_ms);
    db_int(&b, e->expires_ms);
    db_key(&b, &e->heir);
    return db_run(s, b, "save a key", err);
}

bool store_drop_key(struct store *s, const struct curve_key *key, struct error *err)
{
    if (!db_begin(s, err))
        return false;
    struct binder b = db_bind(s, DROP_KEY);
    db_blob(&b, key->bytes, CURVE_BYTES);
    return db_run(s, b, "drop a key", err);
}

bool store_forget_campaign(struct store *s, struct campaign_id id, struct error *err)
{
    if (!db_begin(s, err))
        return false;
    struct binder keep = db_bind(s, PUT_FORGOTTEN), drop = db_bind(s, DROP_CAMPAIGN);
    db_int(&keep, (int64_t)id.v);
    db_int(&drop, (int64_t)id.v);
    return db_run(s, keep, "keep a campaign's token", err) && db_run(s, drop, "forget a campaign", err);
}

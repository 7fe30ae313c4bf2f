#include "coordinator/core/ledger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct campaign *campaign_new(void)
{
    struct campaign *c = xcalloc(1, sizeof *c);

    c->state = WORK_PLANNING;
    c->takes = 1;
    c->on_gate_failure = GATE_KEEP;
    c->unsaved = true;
    return c;
}

void video_drop_graph(struct video *v)
{
    for (uint32_t i = 0; i < v->task_count; i++) {
        free(v->tasks[i].trouble);
        free(v->tasks[i].verdict);
    }
    free(v->tasks);
    arena_free(&v->arena);
    v->tasks = NULL;
    v->shots = NULL;
    v->task_count = v->task_room = v->shot_count = v->tasks_open = 0;
}

void campaign_free(struct campaign **pc)
{
    struct campaign *c = *pc;

    if (!c)
        return;
    for (uint32_t i = 0; i < c->video_count; i++) {
        video_drop_graph(&c->videos[i]);
        free(c->videos[i].plan_text);
    }
    free(c->queue);
    free(c->standings);
    free(c->request);
    arena_free(&c->arena);
    free(c);
    *pc = NULL;
}

void ledger_free(struct ledger *l)
{
    for (size_t i = 0; i < l->campaign_count; i++)
        campaign_free(&l->campaigns[i]);
    free(l->campaigns);
    free(l->stopped);
    free(l->garbage);
    index_free(&l->tasks);
    index_free(&l->by_key);
    *l = (struct ledger){ 0 };
}

void ledger_add(struct ledger *l, struct campaign *c)
{
    if (!c->id.v) {
        c->id.v = ++l->last_campaign;
        for (uint32_t i = 0; i < c->video_count; i++)
            c->videos[i].id.v = ++l->last_video;
    }
    if (l->campaign_count == l->campaign_room) {
        l->campaign_room = l->campaign_room ? l->campaign_room * 2 : 16;
        l->campaigns = xrealloc(l->campaigns, l->campaign_room * sizeof *l->campaigns);
    }
    l->campaigns[l->campaign_count++] = c;
    if (c->unsaved)
        ledger_touch_campaign(l, c);
}

static uint64_t key_hash(const struct digest *key)
{
    uint64_t v;

    memcpy(&v, key->bytes, sizeof v);
    return v;
}

static void remove_key(struct ledger *l, struct task *t)
{
    uint64_t hash = key_hash(&t->key);

    if (t->twin_before)
        t->twin_before->twin = t->twin;
    else if (index_get(&l->by_key, hash) != t)
        return; /* it was never named */
    else if (t->twin)
        index_put(&l->by_key, hash, t->twin);
    else
        index_remove(&l->by_key, hash);
    if (t->twin)
        t->twin->twin_before = t->twin_before;
    t->twin = t->twin_before = NULL;
}

static size_t count_tasks(const struct campaign *c)
{
    size_t count = 0;

    for (uint32_t i = 0; i < c->video_count; i++)
        count += c->videos[i].task_count;
    return count;
}

void ledger_shelve(struct ledger *l, struct campaign *c)
{
    assert(work_ended(c->state) && !c->dirty && !c->queue_count && !l->dirty_tasks && !l->unjudged);
    l->ended_tasks -= count_tasks(c);
    c->shelved = true;
    for (uint32_t i = 0; i < c->video_count; i++) {
        struct video *v = &c->videos[i];

        for (uint32_t k = 0; k < v->task_count; k++) {
            remove_key(l, &v->tasks[k]);
            index_remove(&l->tasks, v->tasks[k].id.v);
        }
        video_drop_graph(v);
    }
}

void ledger_unshelve(struct ledger *l, struct campaign *c)
{
    l->ended_tasks += count_tasks(c);
    c->shelved = false;
    c->used = ++l->uses;
}

void ledger_remove(struct ledger *l, struct campaign *c)
{
    if (!c->shelved)
        ledger_shelve(l, c);
    for (size_t i = 0; i < l->campaign_count; i++)
        if (l->campaigns[i] == c) {
            memmove(&l->campaigns[i], &l->campaigns[i + 1], (l->campaign_count - i - 1) * sizeof *l->campaigns);
            l->campaign_count--;
            break;
        }
    campaign_free(&c);
}

struct campaign *ledger_campaign(const struct ledger *l, struct campaign_id id)
{
    for (size_t i = 0; i < l->campaign_count; i++)
        if (l->campaigns[i]->id.v == id.v)
            return l->campaigns[i];
    return NULL;
}

struct campaign *ledger_campaign_by_token(const struct ledger *l, const uint8_t token[16])
{
    for (size_t i = 0; i < l->campaign_count; i++)
        if (!memcmp(l->campaigns[i]->token, token, 16))
            return l->campaigns[i];
    return NULL;
}

struct task *ledger_task(const struct ledger *l, struct task_id id)
{
    return index_get(&l->tasks, id.v);
}

size_t ledger_live(const struct ledger *l)
{
    size_t live = 0;

    for (size_t i = 0; i < l->campaign_count; i++)
        live += !work_ended(l->campaigns[i]->state);
    return live;
}

void ledger_add_tasks(struct ledger *l, struct video *v)
{
    for (uint32_t i = 0; i < v->task_count; i++) {
        struct task *t = &v->tasks[i];

        if (!t->id.v)
            t->id.v = ++l->last_task;
        index_put(&l->tasks, t->id.v, t);
    }
}

void ledger_set_key(struct ledger *l, struct task *t, const struct digest *key)
{
    uint64_t hash = key_hash(key);
    struct task *first;

    remove_key(l, t);
    t->key = *key;
    first = index_get(&l->by_key, hash);
    if (!first) {
        index_put(&l->by_key, hash, t);
        return;
    }
    t->twin = first->twin;
    t->twin_before = first;
    first->twin = t;
    if (t->twin)
        t->twin->twin_before = t;
}

struct task *ledger_twin(const struct ledger *l, const struct digest *key, const struct task *t)
{
    struct task *p = t ? t->twin : index_get(&l->by_key, key_hash(key));

    while (p && !digest_equal(&p->key, key))
        p = p->twin;
    return p;
}

void ledger_await_verdict(struct ledger *l, struct task *decode)
{
    if (decode->unjudged)
        return;
    decode->unjudged = true;
    decode->next_unjudged = l->unjudged;
    l->unjudged = decode;
}

struct task *ledger_next_unjudged(struct ledger *l)
{
    struct task *t = l->unjudged;

    if (t) {
        l->unjudged = t->next_unjudged;
        t->unjudged = false;
    }
    return t;
}

void ledger_touch_task(struct ledger *l, struct task *t)
{
    if (t->dirty)
        return;
    t->dirty = true;
    t->next_dirty = l->dirty_tasks;
    l->dirty_tasks = t;
}

void ledger_touch_video(struct ledger *l, struct video *v)
{
    if (v->dirty)
        return;
    v->dirty = true;
    v->next_dirty = l->dirty_videos;
    l->dirty_videos = v;
}

void ledger_touch_campaign(struct ledger *l, struct campaign *c)
{
    if (c->dirty)
        return;
    c->dirty = true;
    c->next_dirty = l->dirty_campaigns;
    l->dirty_campaigns = c;
}

void ledger_list_complete(struct ledger *l, struct video *v)
{
    if (v->listed)
        return;
    v->listed = true;
    v->next_complete = l->complete;
    l->complete = v;
}

struct video *ledger_next_complete(struct ledger *l)
{
    struct video *v = l->complete;

    if (v) {
        l->complete = v->next_complete;
        v->listed = false;
    }
    return v;
}

void ledger_drop_blob(struct ledger *l, const struct digest *d)
{
    if (l->garbage_count == l->garbage_room) {
        l->garbage_room = l->garbage_room ? l->garbage_room * 2 : 16;
        l->garbage = xrealloc(l->garbage, l->garbage_room * sizeof *l->garbage);
    }
    l->garbage[l->garbage_count++] = *d;
}

static bool is_blob(const struct blob_ref *b, const struct digest *d)
{
    return b->bytes && digest_equal(&b->digest, d);
}

bool ledger_keeps_blob(const struct ledger *l, const struct digest *d)
{
    for (size_t c = 0; c < l->campaign_count; c++) {
        const struct campaign *campaign = l->campaigns[c];

        for (uint32_t i = 0; i < campaign->video_count; i++)
            if (is_blob(&campaign->videos[i].manifest, d) || is_blob(&campaign->videos[i].file, d))
                return true;
        for (uint32_t i = 0; i < campaign->cast_count; i++)
            if (campaign->cast[i].has_image && is_blob(&campaign->cast[i].image, d))
                return true;
    }
    return false;
}

bool ledger_dirty(const struct ledger *l)
{
    return l->dirty_tasks || l->dirty_videos || l->dirty_campaigns;
}

void ledger_clean(struct ledger *l)
{
    for (struct task *t = l->dirty_tasks; t; t = t->next_dirty)
        t->dirty = false;
    for (struct video *v = l->dirty_videos; v; v = v->next_dirty)
        v->dirty = v->graph_dirty = false;
    for (struct campaign *c = l->dirty_campaigns; c; c = c->next_dirty)
        c->dirty = c->unsaved = false;
    l->dirty_tasks = NULL;
    l->dirty_videos = NULL;
    l->dirty_campaigns = NULL;
}

/* Earlier videos first, so that something is finished soon; inside a video who has most work behind it. */
static bool before(const struct task *a, const struct task *b)
{
    if (a->video->number != b->video->number)
        return a->video->number < b->video->number;
    if (a->rank != b->rank)
        return a->rank > b->rank;
    return a->position < b->position;
}

static void place(struct campaign *c, uint32_t i, struct task *t)
{
    c->queue[i] = t;
    t->queue_place = i + 1;
}

static void sift(struct campaign *c, uint32_t i)
{
    struct task *t = c->queue[i];

    while (i && before(t, c->queue[(i - 1) / 2])) {
        place(c, i, c->queue[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * i + 1;

        if (child >= c->queue_count)
            break;
        if (child + 1 < c->queue_count && before(c->queue[child + 1], c->queue[child]))
            child++;
        if (!before(c->queue[child], t))
            break;
        place(c, i, c->queue[child]);
        i = child;
    }
    place(c, i, t);
}

void queue_push(struct task *t)
{
    struct campaign *c = t->video->campaign;

    if (t->queue_place)
        return;
    if (c->queue_count == c->queue_room) {
        c->queue_room = c->queue_room ? c->queue_room * 2 : 16;
        c->queue = xrealloc(c->queue, c->queue_room * sizeof(struct task *));
    }
    place(c, c->queue_count++, t);
    sift(c, c->queue_count - 1);
}

void queue_remove(struct task *t)
{
    struct campaign *c = t->video->campaign;
    uint32_t i = t->queue_place;

    if (!i--)
        return;
    t->queue_place = 0;
    struct task *last = c->queue[--c->queue_count];
    if (last == t)
        return;
    place(c, i, last);
    sift(c, i);
}

struct task *queue_pop(struct campaign *c)
{
    struct task *t = c->queue_count ? c->queue[0] : NULL;

    if (t)
        queue_remove(t);
    return t;
}

uint32_t queue_ahead(const struct task *t)
{
    const struct campaign *c = t->video->campaign;
    uint32_t count = 0;

    for (uint32_t i = 0; i < c->queue_count; i++)
        count += before(c->queue[i], t);
    return count;
}

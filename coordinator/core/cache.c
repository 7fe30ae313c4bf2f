#include "coordinator/core/cache.h"

#include <stdlib.h>

static void add(struct cache_set *s, const struct digest *d)
{
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 256;
        s->list = xrealloc(s->list, s->room * sizeof *s->list);
    }
    s->list[s->count++] = *d;
}

static void add_blob(struct cache_set *s, const struct blob_ref *b)
{
    if (b->bytes)
        add(s, &b->digest);
}

static int compare(const void *a, const void *b)
{
    return digest_compare(a, b);
}

/* Sorted, each once. */
static void set_order(struct cache_set *s)
{
    size_t count = 0;

    if (s->count)
        qsort(s->list, s->count, sizeof *s->list, compare);
    for (size_t i = 0; i < s->count; i++)
        if (!count || !digest_equal(&s->list[count - 1], &s->list[i]))
            s->list[count++] = s->list[i];
    s->count = count;
}

static bool set_has(const struct cache_set *s, const struct digest *d)
{
    return s->count && bsearch(d, s->list, s->count, sizeof *s->list, compare);
}

static void keep(struct cache_set *to, const struct campaign *c)
{
    if (c->verification)
        add(to, &c->verification->manifest.digest);
    for (uint32_t i = 0; i < c->cast_count; i++)
        if (c->cast[i].has_image) /* its size is not known after a restart */
            add(to, &c->cast[i].image.digest);
    for (uint32_t i = 0; i < c->video_count; i++) {
        add_blob(to, &c->videos[i].manifest);
        add_blob(to, &c->videos[i].file);
    }
}

static void need_outputs(struct cache_set *to, const struct task *t)
{
    for (uint32_t k = 0; k < t->output_count; k++)
        add(to, &t->outputs[k].blob.digest);
}

/* What is done, while the video is not: the file waits for its manifest; a shot shows the best of its takes once they
 * are judged, and another take starts from what the whole video shares. */
static void need_of_done(struct cache_set *to, const struct task *t)
{
    const struct video *v = t->video;

    if (t->position == v->stitch)
        need_outputs(to, t);
    if (t->expected || !t->shot || v->shots[t->shot - 1].settled)
        return;
    if (t->kind == TASK_DECODE)
        need_outputs(to, t);
    for (uint32_t k = 0; k < t->input_count; k++)
        if (!t->inputs[k].output || v->tasks[t->inputs[k].from].shot != t->shot)
            add(to, &t->inputs[k].blob.digest);
}

static void need_of_open(struct cache_set *to, const struct task *t)
{
    for (uint32_t k = 0; k < t->input_count; k++)
        if (t->inputs[k].known)
            add(to, &t->inputs[k].blob.digest);
    if (t->checkpoint_step)
        add(to, &t->checkpoint.digest);
}

static void need(struct cache_set *to, const struct video *v)
{
    for (uint32_t i = 0; i < v->task_count; i++)
        if (v->tasks[i].state == TASK_DONE)
            need_of_done(to, &v->tasks[i]);
        else if (!task_ended(v->tasks[i].state))
            need_of_open(to, &v->tasks[i]);
}

void cache_needs_of(struct cache_needs *n, const struct ledger *l, const struct digest *listing)
{
    n->kept.count = n->needed.count = 0;
    add(&n->kept, listing);
    for (size_t i = 0; i < l->campaign_count; i++) {
        const struct campaign *c = l->campaigns[i];

        keep(&n->kept, c);
        for (uint32_t k = 0; k < c->video_count && !work_ended(c->state); k++)
            if (!work_ended(c->videos[k].state))
                need(&n->needed, &c->videos[k]);
    }
    set_order(&n->kept);
    set_order(&n->needed);
}

void cache_needs_free(struct cache_needs *n)
{
    free(n->kept.list);
    free(n->needed.list);
    *n = (struct cache_needs){ 0 };
}

bool cache_holds(const struct cache_needs *n, const struct digest *d)
{
    return set_has(&n->kept, d) || set_has(&n->needed, d);
}

int64_t cache_surplus(int64_t bytes, int64_t quota)
{
    return bytes > quota ? bytes - (quota - quota / 20) : 0;
}

#include "coordinator/farm/scribe.h"

#include "common/base/arena.h"
#include "coordinator/farm/side_thread.h"

#include <stdlib.h>

struct scribe {
    struct store_dir *blobs;
    struct side_thread *thread;
};

struct order {
    struct scribe_order order;
    struct str text;
};

static void *put(void *context, void *order)
{
    struct scribe *s = context;
    struct order *o = order;
    struct scribe_answer *a = xcalloc(1, sizeof *a);

    a->order = o->order;
    if (store_dir_add_bytes(s->blobs, o->text.data, o->text.size, &a->manifest.digest, &a->why))
        a->manifest.bytes = (int64_t)o->text.size;
    str_free(&o->text);
    free(o);
    return a;
}

struct scribe *scribe_open(struct store_dir *blobs, struct error *err)
{
    struct scribe *s = xcalloc(1, sizeof *s);

    s->blobs = blobs;
    s->thread = side_thread_open("scribe", put, s, err);
    if (s->thread)
        return s;
    free(s);
    return NULL;
}

void scribe_close(struct scribe **ps)
{
    struct scribe *s = *ps;

    if (!s)
        return;
    side_thread_close(&s->thread, free);
    free(s);
    *ps = NULL;
}

void *scribe_socket(struct scribe *s)
{
    return side_thread_socket(s->thread);
}

void scribe_ask(struct scribe *s, const struct scribe_order *o, struct str *text)
{
    struct order *copy = xcalloc(1, sizeof *copy);

    copy->order = *o;
    copy->text = *text;
    *text = (struct str){ 0 };
    side_thread_ask(s->thread, copy);
}

bool scribe_take(struct scribe *s, struct scribe_answer *a)
{
    struct scribe_answer *taken = side_thread_take(s->thread);

    if (!taken)
        return false;
    *a = *taken;
    free(taken);
    return true;
}

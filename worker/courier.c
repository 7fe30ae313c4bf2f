#include "worker/courier.h"

#include "common/base/arena.h"
#include "common/base/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 10000

struct errand {
    enum { RESULT, PACK, STATE } what;
    struct digest pack, listing; /* PACK */
    struct result of;
    struct digest missing[RESULT_MAX_OUTPUTS];
    size_t count;
    struct errand *next;
};

struct courier {
    struct blob_client *client;
    struct store_dir *blobs;
    struct packs *packs;
    struct newsroom *news;
    atomic_bool stop;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct errand *first, **last;
};

/* A farm that does not answer is waited for: nothing better can be done with a result. */
static bool upload(struct courier *c, const struct digest *d, struct error *err)
{
    for (;;) {
        *err = (struct error){ 0 };
        if (blob_client_put(c->client, c->blobs, d, TIMEOUT_MS, err))
            return true;
        if (err->kind != ERROR_UNREACHABLE)
            return false;
        log_warn("upload.waiting", "reason=\"%s\"", err->text);
    }
}

static void run_upload(struct courier *c, const struct errand *e)
{
    struct news n = { .kind = NEWS_UPLOADED, .result = e->of };

    for (size_t i = 0; i < e->count && n.kind == NEWS_UPLOADED; i++)
        if (!upload(c, &e->missing[i], &n.why))
            n.kind = NEWS_UPLOAD_FAILED;
    if (n.why.kind != ERROR_CANCELLED) /* stopped: the outbox keeps it for the next start */
        newsroom_post(c->news, &n);
}

static void run_state(struct courier *c, const struct errand *e)
{
    struct news n = { .kind = NEWS_SAVED };

    if (!upload(c, &e->missing[0], &n.why)) {
        n.kind = NEWS_SAVE_FAILED;
        log_warn("checkpoint.unsent", "reason=\"%s\"", n.why.text);
    }
    if (n.why.kind != ERROR_CANCELLED)
        newsroom_post(c->news, &n);
}

static void run_pack(struct courier *c, const struct errand *e)
{
    struct news n = { .kind = NEWS_PACK_HELD, .pack = e->pack };

    if (!packs_fetch(c->packs, c->client, c->blobs, &e->pack, &e->listing, TIMEOUT_MS, &c->stop, &n.why))
        n.kind = NEWS_PACK_FAILED;
    if (n.why.kind != ERROR_CANCELLED)
        newsroom_post(c->news, &n);
}

static struct errand *next_errand(struct courier *c)
{
    struct errand *e;

    pthread_mutex_lock(&c->lock);
    while (!c->first && !atomic_load(&c->stop))
        pthread_cond_wait(&c->changed, &c->lock);
    e = c->first;
    if (e) {
        c->first = e->next;
        if (!c->first)
            c->last = &c->first;
    }
    pthread_mutex_unlock(&c->lock);
    return e;
}

static void *work(void *arg)
{
    struct courier *c = arg;
    struct errand *e;

    while ((e = next_errand(c))) {
        if (!atomic_load(&c->stop)) {
            if (e->what == PACK)
                run_pack(c, e);
            else if (e->what == STATE)
                run_state(c, e);
            else
                run_upload(c, e);
        }
        free(e);
    }
    return NULL;
}

struct courier *courier_open(const char *blob_address, const struct endpoint_keys *keys, struct store_dir *blobs,
                             struct packs *packs, struct newsroom *news, struct error *err)
{
    struct courier *c = xcalloc(1, sizeof *c);
    int rc;

    c->blobs = blobs;
    c->packs = packs;
    c->news = news;
    c->last = &c->first;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
    c->client = blob_client_open(blob_address, keys, &c->stop, err);
    if (c->client) {
        rc = pthread_create(&c->thread, NULL, work, c);
        if (rc == 0)
            return c;
        error_set(err, ERROR_IO, "courier thread: %s", strerror(rc));
        blob_client_close(&c->client);
    }
    free(c);
    return NULL;
}

void courier_close(struct courier **c)
{
    if (!*c)
        return;
    pthread_mutex_lock(&(*c)->lock);
    atomic_store(&(*c)->stop, true);
    pthread_cond_signal(&(*c)->changed);
    pthread_mutex_unlock(&(*c)->lock);
    pthread_join((*c)->thread, NULL);
    blob_client_close(&(*c)->client);
    pthread_cond_destroy(&(*c)->changed);
    pthread_mutex_destroy(&(*c)->lock);
    free(*c);
    *c = NULL;
}

static void send_off(struct courier *c, struct errand *e)
{
    pthread_mutex_lock(&c->lock);
    *c->last = e;
    c->last = &e->next;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

void courier_fetch_pack(struct courier *c, const struct digest *pack, const struct digest *listing)
{
    struct errand *e = xcalloc(1, sizeof *e);

    e->what = PACK;
    e->pack = *pack;
    e->listing = *listing;
    send_off(c, e);
}

void courier_save(struct courier *c, const struct digest *state)
{
    struct errand *e = xcalloc(1, sizeof *e);

    e->what = STATE;
    e->missing[0] = *state;
    send_off(c, e);
}

void courier_upload(struct courier *c, const struct result *of, const struct digest *missing, size_t count)
{
    struct errand *e = xcalloc(1, sizeof *e);

    e->of = *of;
    e->count = count < RESULT_MAX_OUTPUTS ? count : RESULT_MAX_OUTPUTS;
    memcpy(e->missing, missing, e->count * sizeof *missing);
    send_off(c, e);
}

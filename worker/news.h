/* news - what the worker's threads tell its loop: a queue with a descriptor to poll. */
#ifndef SHOTLINE_WORKER_NEWS_H
#define SHOTLINE_WORKER_NEWS_H

#include "common/base/error.h"
#include "worker/outbox.h"

#include <stdint.h>

enum news_kind {
    NEWS_PROGRESS,      /* step, steps */
    NEWS_CHECKPOINT,    /* step, state, state_bytes: in the local store */
    NEWS_SAVED,         /* the state that was to be sent is at the farm */
    NEWS_SAVE_FAILED,   /* or it is not, and why */
    NEWS_DONE,          /* result: in the outbox, its blobs at the farm */
    NEWS_FAILED,        /* why */
    NEWS_UPLOADED,      /* result.task, .attempt: the blobs that were missing are at the farm now */
    NEWS_UPLOAD_FAILED, /* and why they cannot get there */
    NEWS_PACK_HELD,     /* pack */
    NEWS_PACK_FAILED,   /* pack, why */
};

struct news {
    enum news_kind kind;
    uint32_t step, steps;
    struct result result;
    struct digest pack, state;
    int64_t state_bytes;
    struct error why;
};

struct newsroom; /* any thread posts, one thread takes */

struct newsroom *newsroom_open(struct error *err);
void newsroom_close(struct newsroom **n);
int newsroom_fd(const struct newsroom *n); /* readable when there are news */

void newsroom_post(struct newsroom *n, const struct news *news);
bool newsroom_take(struct newsroom *n, struct news *news); /* false: no more */

#endif

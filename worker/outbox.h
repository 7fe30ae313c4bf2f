/* outbox - finished results on disk until the farm has acknowledged them: one small file per result, its blobs pinned
 * in the local store. A worker that is killed after its last step and before the answer says the same again when it is
 * back. */
#ifndef SHOTLINE_WORKER_OUTBOX_H
#define SHOTLINE_WORKER_OUTBOX_H

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/wire/store_dir.h"

#include <stdint.h>

#define RESULT_MAX_OUTPUTS 8

/* What a done report says. */
struct result {
    uint64_t task;
    uint32_t attempt;
    struct digest key; /* the task's key: the same numbers may mean other work on another farm */
    int64_t busy_ms;
    size_t count;
    struct {
        char name[32];
        struct digest digest;
        int64_t bytes;
    } outputs[RESULT_MAX_OUTPUTS];
};

struct outbox; /* safe to use from several threads */

/* The folder is made when missing; the store is borrowed. */
struct outbox *outbox_open(const char *dir, struct store_dir *blobs, struct error *err);
void outbox_close(struct outbox **o);

/* Calls `each` for every result that an earlier process left, and pins its blobs. A file that is no result is removed,
 * with a warning. */
bool outbox_load(struct outbox *o, void (*each)(void *context, const struct result *r), void *context,
                 struct error *err);

bool outbox_put(struct outbox *o, const struct result *r, struct error *err); /* on disk when it returns true */
void outbox_drop(struct outbox *o, const struct result *r);

#endif

/* scribe - puts manifests on the disk beside the loop: each costs two syncs, and a busy farm ends hundreds of videos a
 * second. */
#ifndef SHOTLINE_COORDINATOR_FARM_SCRIBE_H
#define SHOTLINE_COORDINATOR_FARM_SCRIBE_H

#include "common/base/error.h"
#include "common/base/str.h"
#include "common/wire/store_dir.h"
#include "coordinator/core/job.h"

struct scribe;

#define SCRIBE_AT_ONCE 256 /* orders under way: whoever asks keeps to it */

struct scribe *scribe_open(struct store_dir *blobs, struct error *err); /* borrows the store */
void scribe_close(struct scribe **s);                                   /* when all that was ordered is written */

void *scribe_socket(struct scribe *s); /* for zmq_poll */

struct scribe_order {
    struct campaign_id campaign;
    uint32_t video; /* its number */
    uint64_t order; /* which manifest of it: comes back with the answer */
};
void scribe_ask(struct scribe *s, const struct scribe_order *o,
                struct str *text); /* takes the text: it is empty then */

struct scribe_answer {
    struct scribe_order order;
    struct blob_ref manifest; /* durable; bytes 0: it is not, see why */
    struct error why;
};
bool scribe_take(struct scribe *s, struct scribe_answer *a); /* false: nothing has come */

#endif

/* courier - a thread that moves what no task waits for: packs to here, and results that the farm misses to there. */
#ifndef SHOTLINE_WORKER_COURIER_H
#define SHOTLINE_WORKER_COURIER_H

#include "worker/news.h"
#include "worker/packs.h"

struct courier;
/* All arguments are borrowed. Posts NEWS_PACK_HELD, NEWS_PACK_FAILED, NEWS_UPLOADED, NEWS_UPLOAD_FAILED, NEWS_SAVED
 * and NEWS_SAVE_FAILED. */
struct courier *courier_open(const char *blob_address, const struct endpoint_keys *keys, struct store_dir *blobs,
                             struct packs *packs, struct newsroom *news, struct error *err);
void courier_close(struct courier **c); /* stops within a moment; what was not delivered is not told */

void courier_fetch_pack(struct courier *c, const struct digest *pack, const struct digest *listing);
void courier_upload(struct courier *c, const struct result *of, const struct digest *missing, size_t count);
void courier_save(struct courier *c, const struct digest *state); /* of a task that runs */

#endif

/* packs - the packs that this worker holds: one folder given on the command line, and those fetched from the farm into
 * DIR/DIGEST. */
#ifndef SHOTLINE_WORKER_PACKS_H
#define SHOTLINE_WORKER_PACKS_H

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/wire/blob.h"
#include "common/wire/store_dir.h"

struct packs; /* after opening: safe to use from several threads, fetch from one */

/* dir is made when missing. local: a pack folder that is used where it is, or NULL; it is checked and hashed. */
struct packs *packs_open(const char *dir, const char *local, struct error *err);
void packs_close(struct packs **p);

/* The one that is used where it is; false: none is. */
bool packs_local(const struct packs *p, struct digest *pack);
/* The folder of a pack; false when it is not here. */
bool packs_path(struct packs *p, const struct digest *pack, char *path, size_t room);

/* Gets a pack: its listing (through the store), then its files, checked and renamed into place when all are there. What
 * an earlier try got is kept. A pack from an earlier process is read through once and hashed before it is used (about a
 * second a gigabyte), and files that are damaged are fetched again. *stop ends it within a moment: ERROR_CANCELLED. */
bool packs_fetch(struct packs *p, struct blob_client *from, struct store_dir *blobs, const struct digest *pack,
                 const struct digest *listing, int64_t timeout_ms, const atomic_bool *stop, struct error *err);

#endif

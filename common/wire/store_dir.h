/* store_dir - blobs on disk under their digests: DIR/ab/abcdef...; written beside, hashed, then renamed, so that a name
 * always has its bytes. */
#ifndef SHOTLINE_WIRE_STORE_DIR_H
#define SHOTLINE_WIRE_STORE_DIR_H

#include "common/base/error.h"
#include "common/base/hash.h"

#include <stdint.h>

struct store_dir; /* safe to use from several threads */

/* max_bytes 0: unbounded; else the least recently used blobs go when a new one needs room. STORE_DIR_COUNTS: unbounded
 * too, but what it holds is counted and its uses are remembered, for an owner that makes room itself (below). */
#define STORE_DIR_COUNTS INT64_MAX
struct store_dir *store_dir_open(const char *dir, int64_t max_bytes, struct error *err);
void store_dir_close(struct store_dir **s);

bool store_dir_has(struct store_dir *s, const struct digest *d);
/* The path of a blob that is there; false when it is not. */
bool store_dir_path(struct store_dir *s, const struct digest *d, char *path, size_t room);
int64_t store_dir_bytes(struct store_dir *s, const struct digest *d); /* size of one blob; -1 when absent */

bool store_dir_add_bytes(struct store_dir *s, const void *data, size_t size, struct digest *d, struct error *err);
bool store_dir_add_file(struct store_dir *s, const char *path, struct digest *d, int64_t *bytes,
                        struct error *err); /* copies */
/* Reads a whole blob into memory (free it), checking its digest. NULL on failure. */
char *store_dir_read(struct store_dir *s, const struct digest *d, size_t max_bytes, size_t *size, struct error *err);
bool store_dir_remove(struct store_dir *s, const struct digest *d);
/* Removes what nobody went on with for a day. Opening does it too. */
void store_dir_drop_old_parts(const struct store_dir *s);

/* A pinned blob (there or still to come) is never chosen to make room; pins count, and live as long as the store is
 * open. */
void store_dir_pin(struct store_dir *s, const struct digest *d);
void store_dir_unpin(struct store_dir *s, const struct digest *d);

/* For an owner who knows what is still needed; of a store that counts. */
struct store_blob {
    struct digest digest;
    int64_t bytes;
    int64_t used_ms; /* when last, by the wall clock */
};
int64_t store_dir_total(struct store_dir *s);                        /* bytes of all blobs */
int64_t store_dir_peek(struct store_dir *s, const struct digest *d); /* as store_dir_bytes, which is no use */
/* The least recently used blobs that may go, oldest first, until they come to `bytes` or the list is full. `keeps` says
 * which may not; it is asked under the store's lock. */
typedef bool store_dir_keeps(void *context, const struct store_blob *b);
size_t store_dir_oldest(struct store_dir *s, int64_t bytes, store_dir_keeps *keeps, void *context,
                        struct store_blob *list, size_t room);
/* Removes it, unless it was used since it was listed. */
bool store_dir_evict(struct store_dir *s, const struct store_blob *b);

/* A blob that arrives in pieces: its digest is known, and its size, or -1 where the first piece will tell. Commit
 * checks the digest and renames; a wrong one is ERROR_INPUT and the bytes are dropped. Abort keeps them: the next
 * writer of the same blob goes on at store_writer_offset. A second writer of a blob that is being written starts from
 * nothing beside it. */
struct store_writer;
struct store_writer *store_writer_open(struct store_dir *s, const struct digest *d, int64_t bytes, struct error *err);
/* As above for any file: PATH.part becomes PATH. */
struct store_writer *store_writer_open_file(const char *path, const struct digest *d, int64_t bytes, struct error *err);
int64_t store_writer_offset(const struct store_writer *w);
bool store_writer_append(struct store_writer *w, const void *data, size_t size, struct error *err);
bool store_writer_commit(struct store_writer **w, struct error *err); /* *w is gone in any case */
void store_writer_abort(struct store_writer **w);
/* Drops what was written so far: offset 0. */
bool store_writer_restart(struct store_writer *w, struct error *err);

#endif

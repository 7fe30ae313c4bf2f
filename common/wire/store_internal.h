/* store_internal - what store_dir and store_writer share. */
#ifndef SHOTLINE_WIRE_STORE_INTERNAL_H
#define SHOTLINE_WIRE_STORE_INTERNAL_H

#include "common/wire/store_dir.h"

/* Where the pieces of a blob are collected. False when the path does not fit. */
bool store_dir_part_path(const struct store_dir *s, const struct digest *d, char *path, size_t room);

/* A blob that is here as a whole, and was hashed: written without a part that others could go on with. */
bool store_writer_put(struct store_dir *s, const struct digest *d, const void *data, size_t size, struct error *err);

/* Makes room and renames a complete, checked file to its name in the store. */
bool store_dir_adopt(struct store_dir *s, const char *part, const struct digest *d, int64_t bytes, struct error *err);

/* Refuses a size that this store can never hold. */
bool store_dir_fits(const struct store_dir *s, int64_t bytes, struct error *err);

#endif

/* file - whole files, read, mapped and written so that no half file is ever seen. */
#ifndef SHOTLINE_BASE_FILE_H
#define SHOTLINE_BASE_FILE_H

#include "common/base/error.h"

#include <stddef.h>
#include <stdint.h>

/* A read-only mapping of a whole file. An empty file has data == NULL and size 0. */
struct file_map {
    const uint8_t *data;
    size_t size;
};

bool file_map(struct file_map *m, const char *path, struct error *err);
void file_unmap(struct file_map *m);

/* Reads a whole file of at most max_bytes; the result is NUL-terminated and freed by the caller. NULL on failure. */
char *file_read(const char *path, size_t max_bytes, size_t *size, struct error *err);

/* Writes PATH.tmp.PID, fsyncs, renames over PATH and fsyncs the folder. */
bool file_write(const char *path, const void *data, size_t size, struct error *err);

/* The same for a secret. Written: for its owner alone, from the first byte on. Read: refused when anybody else can read
 * the file, or change what lies in its folder. */
bool file_write_secret(const char *path, const void *data, size_t size, struct error *err);
char *file_read_secret(const char *path, size_t max_bytes, size_t *size, struct error *err);

/* Makes the folder and its missing parents (mode as mkdir(2)); an existing folder is fine. */
bool file_make_dirs(const char *path, unsigned mode, struct error *err);

bool file_exists(const char *path);
bool file_is_dir(const char *path);
bool file_copy(const char *from, const char *to, struct error *err); /* write-then-rename as file_write */
bool file_remove_tree(const char *path, struct error *err);

/* "DIR/NAME" into a caller's buffer; false when it does not fit. */
bool file_join(char *to, size_t room, const char *dir, const char *name);

/* A process that was killed keeps its locks until what it was writing is on the disk: who starts the next one waits so
 * long for it. */
#define FILE_LOCK_PATIENCE_MS 3000
/* Locks an open file against other processes, waiting at most so long; the kernel gives the lock back however this one
 * ends. False: another one has it. */
bool file_lock(int fd, int64_t patience_ms);

#endif

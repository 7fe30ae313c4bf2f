/* arena - bump allocator: everything of one message or one graph, freed at once.
 *
 * Never returns NULL: running out of host memory ends the process, as malloc's failure would be met nowhere better. */
#ifndef SHOTLINE_BASE_ARENA_H
#define SHOTLINE_BASE_ARENA_H

#include <stddef.h>

struct arena_block;
struct arena {
    struct arena_block *head; /* zero-initialised means empty and ready */
};

void *arena_alloc(struct arena *a, size_t bytes); /* zeroed, 16-byte aligned */
char *arena_strdup(struct arena *a, const char *s);
void *arena_copy(struct arena *a, const void *data, size_t bytes);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void arena_free(struct arena *a); /* drops everything; the arena can be used again */

#define arena_new(a, type)          ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, count) ((type *)arena_alloc((a), sizeof(type) * (size_t)(count)))

/* malloc and friends that end the process when memory runs out. */
void *xmalloc(size_t bytes);
void *xcalloc(size_t count, size_t bytes);
void *xrealloc(void *p, size_t bytes);
char *xstrdup(const char *s);

#endif

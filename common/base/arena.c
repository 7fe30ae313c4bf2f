#include "common/base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BLOCK = 4096, LARGEST_BLOCK = 1 << 20, ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t used, room;
    _Alignas(ALIGN) unsigned char data[];
};

static void out_of_memory(size_t bytes)
{
    fprintf(stderr, "out of memory: %zu bytes were asked for\n", bytes);
    abort();
}

void *xmalloc(size_t bytes)
{
    void *p = malloc(bytes ? bytes : 1);
    if (!p)
        out_of_memory(bytes);
    return p;
}

void *xcalloc(size_t count, size_t bytes)
{
    void *p = calloc(count ? count : 1, bytes ? bytes : 1);
    if (!p)
        out_of_memory(bytes > 0 && count > SIZE_MAX / bytes ? SIZE_MAX : count * bytes);
    return p;
}

void *xrealloc(void *p, size_t bytes)
{
    void *q = realloc(p, bytes ? bytes : 1);
    if (!q)
        out_of_memory(bytes);
    return q;
}

char *xstrdup(const char *s)
{
    size_t size = strlen(s) + 1;
    return memcpy(xmalloc(size), s, size);
}

/* Blocks double in size up to a limit; a request that is larger than that gets a block of its own. */
static struct arena_block *block_new(const struct arena *a, size_t bytes)
{
    size_t room = a->head ? a->head->room * 2 : FIRST_BLOCK;
    if (room > LARGEST_BLOCK)
        room = LARGEST_BLOCK;
    if (room < bytes)
        room = bytes;
    if (room > SIZE_MAX - sizeof(struct arena_block) - ALIGN)
        out_of_memory(room);
    /* malloc aligns to 16 on every platform that we run on, and so does the header. */
    struct arena_block *b = xmalloc(sizeof *b + room);
    *b = (struct arena_block){ .room = room };
    return b;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    if (bytes > SIZE_MAX - ALIGN)
        out_of_memory(bytes);
    size_t want = (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (want == 0)
        want = ALIGN;
    struct arena_block *b = a->head;
    if (!b || b->room - b->used < want) {
        b = block_new(a, want);
        b->next = a->head;
        a->head = b;
    }
    void *p = b->data + b->used;
    b->used += want;
    return memset(p, 0, want);
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_copy(a, s, strlen(s) + 1);
}

void *arena_copy(struct arena *a, const void *data, size_t bytes)
{
    void *p = arena_alloc(a, bytes);
    if (bytes)
        memcpy(p, data, bytes);
    return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int size = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *text = arena_alloc(a, size < 0 ? 1 : (size_t)size + 1);
    if (size > 0)
        vsnprintf(text, (size_t)size + 1, fmt, again);
    va_end(again);
    return text;
}

void arena_free(struct arena *a)
{
    struct arena_block *b = a->head;
    while (b) {
        struct arena_block *next = b->next;
        free(b);
        b = next;
    }
    a->head = NULL;
}

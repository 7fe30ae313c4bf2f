#include "common/base/str.h"

#include "common/base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64 };

/* Makes room for `more` bytes and the terminator. */
static void str_reserve(struct str *s, size_t more)
{
    if (more > SIZE_MAX / 2 - s->size - 1)
        abort(); /* no caller has that much to say */
    size_t want = s->size + more + 1;
    if (want <= s->room)
        return;
    size_t room = s->room ? s->room : FIRST_ROOM;
    while (room < want)
        room *= 2;
    s->data = xrealloc(s->data, room);
    s->room = room;
}

void str_append_bytes(struct str *s, const void *data, size_t size)
{
    str_reserve(s, size);
    if (size)
        memcpy(s->data + s->size, data, size);
    s->size += size;
    s->data[s->size] = '\0';
}

void str_append(struct str *s, const char *text)
{
    str_append_bytes(s, text, strlen(text));
}

void str_append_char(struct str *s, char c)
{
    str_append_bytes(s, &c, 1);
}

void str_vprintf(struct str *s, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int size = vsnprintf(NULL, 0, fmt, ap);
    if (size >= 0) {
        str_reserve(s, (size_t)size);
        vsnprintf(s->data + s->size, (size_t)size + 1, fmt, again);
        s->size += (size_t)size;
    }
    va_end(again);
}

void str_printf(struct str *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str_vprintf(s, fmt, ap);
    va_end(ap);
}

const char *str_text(const struct str *s)
{
    return s->data ? s->data : "";
}

void str_clear(struct str *s)
{
    s->size = 0;
    if (s->data)
        s->data[0] = '\0';
}

void str_free(struct str *s)
{
    free(s->data);
    *s = (struct str){ 0 };
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t size = strlen(s), tail = strlen(suffix);
    return size >= tail && memcmp(s + size - tail, suffix, tail) == 0;
}

bool str_copy(char *to, size_t room, const char *from)
{
    size_t size = strlen(from);
    bool fits = size < room;
    if (!fits)
        size = room - 1;
    memcpy(to, from, size);
    to[size] = '\0';
    return fits;
}

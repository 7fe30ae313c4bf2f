/* str - a growing byte string, always NUL-terminated. */
#ifndef SHOTLINE_BASE_STR_H
#define SHOTLINE_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct str {
    char *data; /* NULL while empty and never grown; otherwise NUL-terminated */
    size_t size;
    size_t room;
};

void str_append(struct str *s, const char *text);
void str_append_bytes(struct str *s, const void *data, size_t size);
void str_append_char(struct str *s, char c);
void str_printf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_vprintf(struct str *s, const char *fmt, va_list ap);
const char *str_text(const struct str *s); /* never NULL */
void str_clear(struct str *s);             /* keeps the memory */
void str_free(struct str *s);

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

/* Copies with truncation; `room` > 0. Returns false when it did not fit. */
bool str_copy(char *to, size_t room, const char *from);

#endif

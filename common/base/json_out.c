#include "common/base/json_out.h"

#include "common/base/arena.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void new_line(struct json_out *o)
{
    static const char spaces[] = "\n                                ";

    _Static_assert(sizeof spaces - 2 >= 2 * JSON_OUT_DEPTH, "room for the deepest line");
    str_append_bytes(o->to, spaces, 1 + 2 * o->depth);
}

static void quote(struct str *to, const char *text)
{
    str_append_char(to, '"');
    for (const char *s = text;;) {
        size_t plain = 0;

        while ((unsigned char)s[plain] >= ' ' && s[plain] != '"' && s[plain] != '\\')
            plain++;
        str_append_bytes(to, s, plain);
        s += plain;
        if (!*s)
            break;
        static const char named[] = "\b\f\n\r\t\"\\", names[] = "bfnrt\"\\";
        const char *name = strchr(named, *s);

        if (name)
            str_printf(to, "\\%c", names[name - named]);
        else
            str_printf(to, "\\u%04X", (unsigned)(unsigned char)*s);
        s++;
    }
    str_append_char(to, '"');
}

/* The next of a list or an object: the comma after the one before, and the line. */
static void begin_item(struct json_out *o)
{
    struct json_level *l = &o->levels[o->depth - 1];

    if (l->filled)
        str_append_char(o->to, ',');
    l->filled = true;
    if (!o->canonical)
        new_line(o);
}

static void begin_value(struct json_out *o, const char *key)
{
    if (!o->depth)
        return;
    assert(o->levels[o->depth - 1].object == (key != NULL));
    begin_item(o);
    if (!key)
        return;
    if (o->canonical) {
        assert(o->count < JSON_OUT_MEMBERS);
        o->members[o->count++] = (struct json_member){ key, o->to->size };
    }
    quote(o->to, key);
    str_append(o->to, o->canonical ? ":" : ": ");
}

static void open_group(struct json_out *o, bool object)
{
    assert(o->depth < JSON_OUT_DEPTH);
    o->levels[o->depth++] = (struct json_level){ .object = object, .first = o->count };
    str_append_char(o->to, object ? '{' : '[');
}

void json_out_object(struct json_out *o, const char *key)
{
    begin_value(o, key);
    open_group(o, true);
}

void json_out_list(struct json_out *o, const char *key)
{
    begin_value(o, key);
    open_group(o, false);
}

/* Puts the members from `first` on, which stand at the end of the text, in the order of their keys. */
static void sort_members(struct json_out *o, uint32_t first)
{
    struct piece {
        const char *key, *text;
        size_t size;
    } pieces[JSON_OUT_MEMBERS];
    const uint32_t count = o->count - first;
    const size_t begin = o->members[first].begin, size = o->to->size - begin;
    char *text = xmalloc(size);

    memcpy(text, o->to->data + begin, size);
    for (uint32_t i = 0; i < count; i++) {
        const struct json_member *m = &o->members[first + i];
        const size_t end = i + 1 < count ? m[1].begin - 1 : o->to->size; /* before the comma */
        const struct piece p = { m->key, text + (m->begin - begin), end - m->begin };
        uint32_t at = i;

        for (; at && strcmp(pieces[at - 1].key, p.key) > 0; at--)
            pieces[at] = pieces[at - 1];
        pieces[at] = p;
    }
    o->to->size = begin;
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            str_append_char(o->to, ',');
        str_append_bytes(o->to, pieces[i].text, pieces[i].size);
    }
    free(text);
}

void json_out_end(struct json_out *o)
{
    assert(o->depth);
    const struct json_level l = o->levels[--o->depth];

    if (o->canonical && o->count - l.first > 1)
        sort_members(o, l.first);
    o->count = l.first;
    if (l.filled && !o->canonical)
        new_line(o);
    str_append_char(o->to, l.object ? '}' : ']');
}

void json_out_text(struct json_out *o, const char *key, const char *text)
{
    begin_value(o, key);
    quote(o->to, text);
}

void json_out_int(struct json_out *o, const char *key, int64_t value)
{
    char digits[24], *d = digits + sizeof digits;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    begin_value(o, key);
    do
        *--d = (char)('0' + left % 10);
    while (left /= 10);
    if (value < 0)
        *--d = '-';
    str_append_bytes(o->to, d, (size_t)(digits + sizeof digits - d));
}

/* Jansson's form: always a point or an exponent, and no + or leading zeros in that. */
static void append_real(struct str *to, double value)
{
    char text[40];

    assert(!isnan(value));
    if (isinf(value))
        value = copysign(DBL_MAX, value);
    snprintf(text, sizeof text, "%.17g", value);
    char *e = strchr(text, 'e');
    if (!e) {
        str_append(to, text);
        if (!strchr(text, '.'))
            str_append(to, ".0");
        return;
    }
    const char *from = e + 1 + (e[1] == '-' || e[1] == '+');
    str_append_bytes(to, text, (size_t)(e + 1 - text));
    if (e[1] == '-')
        str_append_char(to, '-');
    while (*from == '0')
        from++;
    str_append(to, from);
}

void json_out_real(struct json_out *o, const char *key, double value)
{
    begin_value(o, key);
    append_real(o->to, value);
}

void json_out_bool(struct json_out *o, const char *key, bool value)
{
    begin_value(o, key);
    str_append(o->to, value ? "true" : "false");
}

/* The end of the string, or of the number or word, that begins at `s`. */
static const char *token_end(const char *s)
{
    if (*s != '"')
        return s + strcspn(s, ",:[]{}\" \t\r\n");
    for (s++; *s && *s != '"'; s++)
        s += *s == '\\' && s[1];
    return *s ? s + 1 : s;
}

static void append_token(struct str *to, const char *s, size_t size)
{
    char number[40];

    if ((*s != '-' && (*s < '0' || *s > '9')) || size >= sizeof number) {
        str_append_bytes(to, s, size);
        return;
    }
    memcpy(number, s, size);
    number[size] = '\0';
    if (strpbrk(number, ".eE"))
        append_real(to, strtod(number, NULL));
    else
        str_append(to, number);
}

void json_out_json(struct json_out *o, const char *key, const char *text)
{
    bool placed = true; /* the next value has its line, or its key */

    begin_value(o, key);
    if (o->canonical) {
        str_append(o->to, text);
        return;
    }
    for (const char *s = text; *s;) {
        const char *end = token_end(s);

        if (*s == '}' || *s == ']') {
            json_out_end(o);
        } else if (*s == ':') {
            str_append(o->to, ": ");
            placed = true;
        } else if (*s == '{' || *s == '[' || end > s) {
            if (!placed)
                begin_item(o);
            placed = false;
            if (end > s)
                append_token(o->to, s, (size_t)(end - s));
            else
                open_group(o, *s == '{');
        }
        s = end > s ? end : s + 1;
    }
}

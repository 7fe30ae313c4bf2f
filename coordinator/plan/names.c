#include "coordinator/plan/names.h"

#include "common/nn/unicode.h"

#include <ctype.h>
#include <string.h>

static bool same_letter(char id, char text, bool exact)
{
    if (id == text || (strchr("-_", id) && text != 0 && strchr("-_ ", text)))
        return true;
    return !exact && tolower((unsigned char)id) == tolower((unsigned char)text);
}

/* Whether the text begins with the id and then ends a word. */
static bool is_name(const char *id, const char *text)
{
    size_t size = strlen(id);
    uint32_t next;

    for (size_t i = 0; i < size; i++)
        if (!same_letter(id[i], text[i], size == 1))
            return false;
    if (text[size] == 0)
        return true;
    utf8_next(text + size, strlen(text + size), &next);
    return !unicode_is_word(next);
}

static size_t find_name(const struct given_member *cast, size_t count, const char *text)
{
    size_t best = count;

    for (size_t i = 0; i < count; i++)
        if (is_name(cast[i].id, text) && (best == count || strlen(cast[i].id) > strlen(cast[best].id)))
            best = i;
    return best;
}

/* Appends one character, and a space behind the first one of an alias. Returns its bytes. */
static size_t copy_character(const char *text, const char *const *alias, size_t count, struct str *to)
{
    uint32_t c;
    size_t size = utf8_next(text, strlen(text), &c);

    str_append_bytes(to, text, size);
    for (size_t i = 0; alias && i < count; i++)
        if (str_starts(text, alias[i])) {
            str_append_char(to, ' ');
            break;
        }
    return size;
}

void names_part(const char *text, const char *const *alias, size_t count, struct str *to)
{
    while (*text)
        text += copy_character(text, alias, count, to);
}

void names_read(const char *prompt, const char *const *alias, struct given_member *cast, size_t count, struct str *to)
{
    const char *at = prompt;

    for (size_t i = 0; i < count; i++)
        cast[i].named = false;
    while (*at) {
        uint32_t before = ' ';
        if (at > prompt)
            utf8_last(prompt, (size_t)(at - prompt), &before);
        size_t who = unicode_is_word(before) ? count : find_name(cast, count, at);
        if (who == count) {
            at += copy_character(at, alias, count, to);
            continue;
        }
        size_t size = strlen(cast[who].id);
        str_append_bytes(to, alias ? alias[who] : at, alias ? strlen(alias[who]) : size);
        cast[who].named = true;
        at += size;
    }
}

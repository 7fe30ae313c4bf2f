#include "common/nn/unicode.h"

#include <stdlib.h>
#include <utf8proc.h>

bool utf8_check(const char *text, size_t size, struct error *err)
{
    for (size_t i = 0; i < size;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + i, (utf8proc_ssize_t)(size - i), &c);
        if (n <= 0)
            return error_set(err, ERROR_INPUT, "the text is not UTF-8: byte %zu is 0x%02x", i, (uint8_t)text[i]);
        i += (size_t)n;
    }
    return true;
}

size_t utf8_next(const char *text, size_t size, uint32_t *c)
{
    utf8proc_int32_t code;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, &code);

    if (n <= 0) { /* unchecked text: one byte, as an unknown character */
        *c = 0xfffd;
        return 1;
    }
    *c = (uint32_t)code;
    return (size_t)n;
}

size_t utf8_last(const char *text, size_t size, uint32_t *c)
{
    size_t first = size - 1;

    while (first > 0 && size - first < 4 && ((uint8_t)text[first] & 0xc0) == 0x80)
        first--;
    return utf8_next(text + first, size - first, c);
}

void utf8_append(struct str *s, uint32_t c)
{
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t n = utf8proc_encode_char((utf8proc_int32_t)c, bytes);

    str_append_bytes(s, bytes, (size_t)n);
}

bool unicode_is_space(uint32_t c)
{
    return (c >= 0x9 && c <= 0xd) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool unicode_is_word(uint32_t c)
{
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO) ||
           (k >= UTF8PROC_CATEGORY_MN && k <= UTF8PROC_CATEGORY_ME) || k == UTF8PROC_CATEGORY_ND ||
           k == UTF8PROC_CATEGORY_PC;
}

void unicode_normalize(enum normal_form form, const char *text, size_t size, struct str *to)
{
    static const utf8proc_option_t options[] = {
        [NORMAL_NFC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE,
        [NORMAL_NFD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
        [NORMAL_NFKC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
        [NORMAL_NFKD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
    };
    utf8proc_uint8_t *made = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, &made, options[form]);

    if (n < 0) /* only out of memory is left for checked text */
        abort();
    str_append_bytes(to, made, (size_t)n);
    free(made);
}

void unicode_lower(const char *text, size_t size, struct str *to)
{
    uint32_t c;

    for (size_t i = 0; i < size;) {
        i += utf8_next(text + i, size - i, &c);
        if (c == 0x130) /* the one letter whose lower case is two characters */
            str_append(to, "i\xcc\x87");
        else
            utf8_append(to, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
    }
}

size_t unicode_cluster(const char *text, size_t size)
{
    uint32_t c, next;
    size_t end = utf8_next(text, size, &c);
    utf8proc_int32_t state = 0;

    while (end < size) {
        size_t n = utf8_next(text + end, size - end, &next);
        if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)c, (utf8proc_int32_t)next, &state))
            break;
        end += n;
        c = next;
    }
    return end;
}

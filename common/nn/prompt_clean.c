/* prompt_clean - the text that the published pipelines give to their tokenizer: ftfy.fix_text, html.unescape twice,
 * single spaces.
 *
 * Of ftfy this is what prompts meet: mojibake of a whole text, ligatures, full-width forms, curly quotes, terminal
 * escapes, control characters, NFC; not its repair of text that is only partly mis-decoded. */
#include "common/nn/html_entities.h"
#include "common/nn/tokenizer.h"
#include "common/nn/unicode.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* What Windows-1252 has at 0x80..0x9f; the five holes stand for themselves, as browsers read them. */
static const uint16_t windows_1252[32] = {
    0x20ac, 0x81,   0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x8d,   0x017d, 0x8f,   0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d,   0x017e, 0x0178,
};

/* ---- html.unescape ---- */

static bool is_invalid_code(uint32_t c)
{
    return (c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || (c >= 0xfdd0 && c <= 0xfdef) ||
           (c & 0xfffe) == 0xfffe;
}

static void append_reference(struct str *to, uint32_t c)
{
    if (c == 0 || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
        utf8_append(to, 0xfffd);
    else if (c >= 0x80 && c <= 0x9f)
        utf8_append(to, windows_1252[c - 0x80]);
    else if (!is_invalid_code(c))
        utf8_append(to, c);
}

/* A numeric reference behind "&#": its bytes, 0 when it is none. */
static size_t read_number(const char *text, size_t size, uint32_t *code)
{
    bool hex = size > 0 && (text[0] == 'x' || text[0] == 'X');
    size_t first = hex ? 1 : 0, i = first;
    uint64_t c = 0;

    for (; i < size && (hex ? isxdigit((unsigned char)text[i]) : isdigit((unsigned char)text[i])); i++) {
        unsigned digit = isdigit((unsigned char)text[i]) ? (unsigned)(text[i] - '0')
                                                         : (unsigned)(tolower((unsigned char)text[i]) - 'a' + 10);
        c = c * (hex ? 16 : 10) + digit;
        c = c > 0x110000 ? 0x110000 : c; /* too large stays too large */
    }
    if (i == first)
        return 0;
    *code = (uint32_t)c;
    return i < size && text[i] == ';' ? i + 1 : i;
}

/* `strict`: only references that end with a semicolon, as ftfy takes them. */
static void unescape(const char *text, size_t size, bool strict, struct str *to)
{
    for (size_t i = 0; i < size;) {
        size_t used = 0;
        uint32_t code;
        const char *named;
        if (text[i] != '&') {
            str_append_char(to, text[i++]);
            continue;
        }
        if (i + 1 < size && text[i + 1] == '#') {
            used = read_number(text + i + 2, size - i - 2, &code);
            if (used > 0 && (!strict || text[i + 1 + used] == ';')) {
                append_reference(to, code);
                i += 2 + used;
                continue;
            }
        } else if ((named = html_entity(text + i + 1, size - i - 1, &used)) && (!strict || text[i + used] == ';')) {
            str_append(to, named);
            i += 1 + used;
            continue;
        }
        str_append_char(to, text[i++]);
    }
}

/* ---- the part of ftfy ---- */

static int byte_in_windows_1252(uint32_t c)
{
    if (c < 0x80 || (c >= 0xa0 && c <= 0xff))
        return (int)c;
    for (int i = 0; i < 32; i++)
        if (windows_1252[i] == c)
            return 0x80 + i;
    return -1;
}

/* UTF-8 that was read as Windows-1252: when every character has a byte there, and the bytes are UTF-8 with a longer
 * character in it, then that is it. */
static bool fix_mojibake(const char *text, size_t size, struct str *to)
{
    bool high = false, fits = true;

    str_clear(to);
    for (size_t i = 0; i < size && fits;) {
        uint32_t c;
        i += utf8_next(text + i, size - i, &c);
        int byte = byte_in_windows_1252(c);
        fits = byte >= 0;
        high |= byte >= 0x80;
        str_append_char(to, (char)byte);
    }
    return high && fits && utf8_check(str_text(to), to->size, NULL);
}

static bool is_ligature(uint32_t c)
{
    return c == 0x132 || c == 0x133 || c == 0x149 || (c >= 0x1c4 && c <= 0x1cc) || (c >= 0x1f1 && c <= 0x1f3) ||
           (c >= 0xfb00 && c <= 0xfb06);
}

static bool is_removed(uint32_t c)
{
    return c < 0x9 || c == 0xb || (c >= 0xe && c < 0x20) || c == 0x7f || (c >= 0x206a && c < 0x2070) || c == 0xfeff ||
           (c >= 0xfff9 && c < 0xfffd);
}

/* The bytes of a terminal's "ESC [ 31 m", or 0. */
static size_t terminal_escape(const char *text, size_t size)
{
    size_t i = 2;

    if (size < 3 || text[0] != 27 || text[1] != '[')
        return 0;
    while (i < size && (isdigit((unsigned char)text[i]) || text[i] == ';'))
        i++;
    return i < size && isalpha((unsigned char)text[i]) ? i + 1 : 0;
}

static void fix_characters(const char *text, size_t size, struct str *to)
{
    for (size_t i = 0; i < size;) {
        size_t escape = terminal_escape(text + i, size - i);
        uint32_t c;
        if (escape > 0) {
            i += escape;
            continue;
        }
        size_t n = utf8_next(text + i, size - i, &c);
        if (c == 0xfb05) /* its compatibility form would lose the long s */
            str_append(to, "\xc5\xbft");
        else if (c == 0x3000)
            str_append_char(to, ' ');
        else if (is_ligature(c) || (c >= 0xff01 && c <= 0xffef))
            unicode_normalize(NORMAL_NFKC, text + i, n, to);
        else if (c == 0x2bc || (c >= 0x2018 && c <= 0x201b))
            str_append_char(to, '\'');
        else if (c >= 0x201c && c <= 0x201f)
            str_append_char(to, '"');
        else if (!is_removed(c))
            str_append_bytes(to, text + i, n);
        i += n;
    }
}

/* Repairs until nothing changes: a repair can lay another fault bare. */
#define FIX_ROUNDS 8

static void fix_text(struct str *text)
{
    struct str next = { 0 }, other = { 0 };

    for (int round = 0; round < FIX_ROUNDS; round++) {
        str_clear(&next);
        if (memchr(str_text(text), '<', text->size))
            str_append_bytes(&next, text->data, text->size);
        else
            unescape(str_text(text), text->size, true, &next);
        if (fix_mojibake(str_text(&next), next.size, &other)) {
            struct str swap = next;
            next = other;
            other = swap;
        }
        str_clear(&other);
        fix_characters(str_text(&next), next.size, &other);
        str_clear(&next);
        unicode_normalize(NORMAL_NFC, str_text(&other), other.size, &next);
        bool same = next.size == text->size && (next.size == 0 || memcmp(next.data, text->data, next.size) == 0);
        struct str swap = *text;
        *text = next;
        next = swap;
        if (same)
            break;
    }
    str_free(&next);
    str_free(&other);
}

/* Runs of white space to one space, none at the ends. */
static void single_spaces(const char *text, size_t size, struct str *to)
{
    bool gap = false, started = false;

    for (size_t i = 0; i < size;) {
        uint32_t c;
        size_t n = utf8_next(text + i, size - i, &c);
        if (unicode_is_space(c) || (c >= 0x1c && c <= 0x1f)) {
            gap = started;
        } else {
            if (gap)
                str_append_char(to, ' ');
            str_append_bytes(to, text + i, n);
            gap = false;
            started = true;
        }
        i += n;
    }
}

/* Bytes that are no UTF-8 become U+FFFD, as a browser shows them. */
static void append_valid(const char *text, struct str *to)
{
    for (size_t i = 0, size = strlen(text); i < size;) {
        uint32_t c;
        size_t n = utf8_next(text + i, size - i, &c);
        utf8_append(to, c);
        i += n;
    }
}

void prompt_clean(const char *prompt, struct str *to)
{
    struct str text = { 0 }, next = { 0 };

    append_valid(prompt, &text);
    fix_text(&text);
    for (int i = 0; i < 2; i++) {
        str_clear(&next);
        unescape(str_text(&text), text.size, false, &next);
        struct str swap = text;
        text = next;
        next = swap;
    }
    single_spaces(str_text(&text), text.size, to);
    str_free(&text);
    str_free(&next);
}

#define PCRE2_CODE_UNIT_WIDTH 8
#include "common/nn/regex.h"

#include "common/base/arena.h"

#include <pcre2.h>
#include <stdlib.h>

struct regex {
    pcre2_code *code;
    pcre2_match_context *limits;
};

/* Far above what a sane pattern needs on one prompt, and about a second of work. */
#define MATCH_LIMIT    2000000
#define HEAP_LIMIT_KIB (64 * 1024)

struct regex *regex_open(const char *pattern, size_t size, bool literal, struct error *err)
{
    int number;
    PCRE2_SIZE at;
    uint32_t options = PCRE2_UTF | (literal ? PCRE2_LITERAL : PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C);
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, size, options, &number, &at, NULL);

    if (!code) {
        PCRE2_UCHAR text[128];
        pcre2_get_error_message(number, text, sizeof text);
        error_set(err, ERROR_INPUT, "regular expression \"%.100s\", byte %zu: %s", pattern, (size_t)at,
                  (const char *)text);
        return NULL;
    }
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* where it is not available matching is only slower */

    struct regex *r = xcalloc(1, sizeof *r);
    r->code = code;
    r->limits = pcre2_match_context_create(NULL);
    if (!r->limits)
        abort();
    pcre2_set_match_limit(r->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(r->limits, HEAP_LIMIT_KIB);
    return r;
}

void regex_close(struct regex **r)
{
    if (!*r)
        return;
    pcre2_match_context_free((*r)->limits);
    pcre2_code_free((*r)->code);
    free(*r);
    *r = NULL;
}

bool regex_each(const struct regex *r, const char *text, size_t size,
                void (*found)(void *with, size_t first, size_t end), void *with, struct error *err)
{
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(r->code, NULL);
    size_t from = 0, last_end = SIZE_MAX;
    int n = 0;

    if (!data)
        abort();
    while (from <= size) {
        n = pcre2_match(r->code, (PCRE2_SPTR)text, size, from, PCRE2_NO_UTF_CHECK, data, r->limits);
        if (n == PCRE2_ERROR_JIT_STACKLIMIT) /* the interpreter keeps its stack on the heap */
            n = pcre2_match(r->code, (PCRE2_SPTR)text, size, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, r->limits);
        if (n < 0)
            break;
        const PCRE2_SIZE *span = pcre2_get_ovector_pointer(data);
        size_t first = span[0], end = span[1];
        if (first < from || end < first) /* \K in a look-behind can do that */
            break;
        if (first < end || end != last_end) {
            found(with, first, end);
            last_end = end;
        }
        from = end;
        if (first == end) { /* step over one character */
            from++;
            while (from < size && ((unsigned char)text[from] & 0xc0) == 0x80)
                from++;
        }
    }
    pcre2_match_data_free(data);
    if (n < 0 && n != PCRE2_ERROR_NOMATCH) {
        PCRE2_UCHAR message[128];
        pcre2_get_error_message(n, message, sizeof message);
        return error_set(err, ERROR_INPUT, "a regular expression of the tokenizer gave up: %s", (const char *)message);
    }
    return true;
}

/* Pre-tokenizers of tokenizer.json, flattened into a list of steps; each replaces the pieces by their parts. */
#include "common/base/arena.h"
#include "common/nn/regex.h"
#include "common/nn/tokenizer_internal.h"
#include "common/nn/unicode.h"

#include <stdlib.h>
#include <string.h>

enum step_kind { STEP_METASPACE, STEP_SPLIT, STEP_BYTE_LEVEL };
enum prepend { PREPEND_NEVER, PREPEND_FIRST, PREPEND_ALWAYS };
enum behavior { REMOVED, ISOLATED, MERGED_WITH_PREVIOUS, MERGED_WITH_NEXT, CONTIGUOUS };

struct step {
    enum step_kind kind;
    char replacement[8];    /* STEP_METASPACE: stands for a space */
    enum prepend prepend;   /* STEP_METASPACE */
    bool split;             /* STEP_METASPACE: cut in front of each replacement */
    struct regex *pattern;  /* STEP_SPLIT; STEP_BYTE_LEVEL: NULL when it does not cut */
    enum behavior behavior; /* STEP_SPLIT */
    bool invert;            /* STEP_SPLIT: matches and gaps change places */
    bool prefix_space;      /* STEP_BYTE_LEVEL */
};

struct splitter {
    struct step *steps;
    size_t count;
};

/* ---- pieces ---- */

void pieces_push(struct pieces *p, const char *text, size_t size, bool opens)
{
    if (size == 0)
        return;
    if (p->count == p->room) {
        p->room = p->room ? p->room * 2 : 32;
        p->items = xrealloc(p->items, p->room * sizeof *p->items);
    }
    p->items[p->count++] = (struct piece){ .first = p->text.size, .size = size, .opens = opens };
    str_append_bytes(&p->text, text, size);
}

void pieces_free(struct pieces *p)
{
    str_free(&p->text);
    free(p->items);
    *p = (struct pieces){ 0 };
}

/* ---- cutting by a pattern ---- */

struct span {
    size_t first, end;
    bool match;
};

struct spans {
    struct span *items;
    size_t count, room;
    size_t done; /* the end of the last match */
    bool invert;
};

static void push_span(struct spans *s, size_t first, size_t end, bool match)
{
    if (s->count == s->room) {
        s->room = s->room ? s->room * 2 : 64;
        s->items = xrealloc(s->items, s->room * sizeof *s->items);
    }
    s->items[s->count++] = (struct span){ first, end, match != s->invert };
}

static void span_found(void *with, size_t first, size_t end)
{
    struct spans *s = with;

    if (first > s->done)
        push_span(s, s->done, first, false);
    push_span(s, first, end, true);
    s->done = end;
}

/* Joins neighbouring spans as the behaviour asks; returns how many are left. */
static size_t merge_spans(struct span *s, size_t count, enum behavior behavior)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        bool join = false;
        bool before = i > 0 && s[i - 1].match;
        switch (behavior) {
        case ISOLATED:
            break;
        case REMOVED:
            if (s[i].match)
                continue;
            break;
        case MERGED_WITH_PREVIOUS: /* of several matches in a row the first goes to the gap before them */
            join = s[i].match && !before;
            break;
        case MERGED_WITH_NEXT: /* the last goes to the gap behind them */
            join = before && !s[i].match;
            break;
        case CONTIGUOUS:
            join = i > 0 && s[i].match == before;
            break;
        }
        if (join && kept > 0) {
            s[kept - 1].end = s[i].end;
            /* later comparisons look at the span as it was found, and s[i] is still that */
        } else {
            struct span moved = s[i];
            if (kept < i) {
                s[kept].first = moved.first;
                s[kept].end = moved.end;
            }
            kept++;
        }
    }
    return kept;
}

static bool cut(const struct regex *pattern, enum behavior behavior, bool invert, const char *text, size_t size,
                bool opens, struct pieces *to, struct error *err)
{
    struct spans s = { .invert = invert };
    bool ok = regex_each(pattern, text, size, span_found, &s, err);

    if (ok) {
        if (s.done < size)
            push_span(&s, s.done, size, false);
        size_t kept = merge_spans(s.items, s.count, behavior);
        for (size_t i = 0; i < kept; i++)
            pieces_push(to, text + s.items[i].first, s.items[i].end - s.items[i].first, opens && s.items[i].first == 0);
    }
    free(s.items);
    return ok;
}

/* ---- Metaspace ---- */

static void apply_metaspace(const struct step *s, const char *text, size_t size, bool opens, struct pieces *to)
{
    struct str marked = { 0 };
    size_t mark = strlen(s->replacement);
    bool starts = size > 0 && (text[0] == ' ' || (size >= mark && memcmp(text, s->replacement, mark) == 0));

    if (size > 0 && !starts && (s->prepend == PREPEND_ALWAYS || (s->prepend == PREPEND_FIRST && opens)))
        str_append(&marked, s->replacement);
    for (size_t i = 0; i < size; i++) {
        if (text[i] == ' ')
            str_append(&marked, s->replacement);
        else
            str_append_char(&marked, text[i]);
    }
    size_t first = 0;
    for (size_t i = 1; s->split && i + mark <= marked.size; i++)
        if (memcmp(marked.data + i, s->replacement, mark) == 0) {
            pieces_push(to, marked.data + first, i - first, opens && first == 0);
            first = i;
        }
    pieces_push(to, str_text(&marked) + first, marked.size - first, opens && first == 0);
    str_free(&marked);
}

/* ---- ByteLevel ---- */

uint32_t byte_alphabet(uint8_t byte)
{
    if ((byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae)
        return byte;
    /* the others follow from U+0100 on, in order */
    if (byte <= ' ')
        return 0x100u + byte;
    return byte == 0xad ? 0x143 : 0x121u + (byte - 0x7fu);
}

int byte_of_character(uint32_t c)
{
    if (c < 0x100)
        return byte_alphabet((uint8_t)c) == c ? (int)c : -1;
    if (c <= 0x120)
        return (int)(c - 0x100);
    if (c <= 0x142)
        return (int)(c - 0x121 + 0x7f);
    return c == 0x143 ? 0xad : -1;
}

static void push_bytes(const char *text, size_t size, bool opens, struct pieces *to)
{
    struct str s = { 0 };

    for (size_t i = 0; i < size; i++)
        utf8_append(&s, byte_alphabet((uint8_t)text[i]));
    pieces_push(to, str_text(&s), s.size, opens);
    str_free(&s);
}

static bool apply_byte_level(const struct step *s, const char *text, size_t size, bool opens, struct pieces *to,
                             struct error *err)
{
    struct str spaced = { 0 };
    struct pieces parts = { 0 };
    bool ok = true;

    if (s->prefix_space && text[0] != ' ')
        str_append_char(&spaced, ' ');
    str_append_bytes(&spaced, text, size);
    if (s->pattern)
        ok = cut(s->pattern, ISOLATED, false, spaced.data, spaced.size, opens, &parts, err);
    else
        pieces_push(&parts, spaced.data, spaced.size, opens);
    for (size_t i = 0; i < parts.count; i++)
        push_bytes(parts.text.data + parts.items[i].first, parts.items[i].size, parts.items[i].opens, to);
    pieces_free(&parts);
    str_free(&spaced);
    return ok;
}

bool splitter_apply(const struct splitter *s, struct pieces *p, struct error *err)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct step *step = &s->steps[i];
        struct pieces next = { 0 };
        bool ok = true;
        for (size_t k = 0; k < p->count && ok; k++) {
            const struct piece *from = &p->items[k];
            const char *text = p->text.data + from->first;
            if (step->kind == STEP_METASPACE)
                apply_metaspace(step, text, from->size, from->opens, &next);
            else if (step->kind == STEP_SPLIT)
                ok = cut(step->pattern, step->behavior, step->invert, text, from->size, from->opens, &next, err);
            else
                ok = apply_byte_level(step, text, from->size, from->opens, &next, err);
        }
        pieces_free(p);
        *p = next;
        if (!ok)
            return false;
        if (p->text.size > 4 * TOKENIZER_MAX_TEXT) /* the byte alphabet doubles what is not ASCII */
            return error_set(err, ERROR_INPUT, "the pre-tokenizer makes the text longer than %d bytes",
                             4 * TOKENIZER_MAX_TEXT);
    }
    return true;
}

bool splitter_byte_level(const struct splitter *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->steps[i].kind == STEP_BYTE_LEVEL)
            return true;
    return false;
}

/* ---- reading ---- */

static bool read_metaspace(struct step *s, const json_t *json, struct error *err)
{
    const json_t *replacement = json_object_get(json, "replacement");
    const json_t *scheme = json_object_get(json, "prepend_scheme");
    const json_t *prefix = json_object_get(json, "add_prefix_space");
    const char *name = json_is_string(scheme) ? json_string_value(scheme) : json_is_false(prefix) ? "never" : "always";
    uint32_t c;

    s->kind = STEP_METASPACE;
    if (!json_is_string(replacement) || json_string_length(replacement) == 0 || json_string_length(replacement) > 4 ||
        utf8_next(json_string_value(replacement), json_string_length(replacement), &c) !=
            json_string_length(replacement) ||
        c == 0)
        return error_set(err, ERROR_INPUT, "pre_tokenizer Metaspace: replacement must be one character");
    str_copy(s->replacement, sizeof s->replacement, json_string_value(replacement));
    if (strcmp(name, "always") == 0)
        s->prepend = PREPEND_ALWAYS;
    else if (strcmp(name, "first") == 0)
        s->prepend = PREPEND_FIRST;
    else if (strcmp(name, "never") == 0)
        s->prepend = PREPEND_NEVER;
    else
        return error_set(err, ERROR_INPUT,
                         "pre_tokenizer Metaspace: prepend_scheme \"%.40s\", expected always, first or never", name);
    if (json_is_false(prefix) && s->prepend != PREPEND_NEVER)
        return error_set(err, ERROR_INPUT,
                         "pre_tokenizer Metaspace: add_prefix_space is false, but prepend_scheme is \"%s\"", name);
    s->split = !json_is_false(json_object_get(json, "split"));
    return true;
}

static bool set_pattern(struct step *s, const char *pattern, enum behavior behavior, bool invert, struct error *err)
{
    s->kind = STEP_SPLIT;
    s->behavior = behavior;
    s->invert = invert;
    s->pattern = regex_open(pattern, strlen(pattern), false, err);
    return s->pattern != NULL;
}

static bool read_split(struct step *s, const json_t *json, struct error *err)
{
    static const char *const behaviors[] = {
        [REMOVED] = "Removed",
        [ISOLATED] = "Isolated",
        [MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
        [MERGED_WITH_NEXT] = "MergedWithNext",
        [CONTIGUOUS] = "Contiguous",
    };
    const json_t *pattern = json_object_get(json, "pattern");
    const json_t *literal = json_object_get(pattern, "String"), *regex = json_object_get(pattern, "Regex");
    const json_t *text = json_is_string(literal) ? literal : regex;
    const json_t *behavior = json_object_get(json, "behavior");
    size_t i = 0, count = sizeof behaviors / sizeof *behaviors;

    if (!json_is_string(text) || !json_is_string(behavior))
        return error_set(err, ERROR_INPUT, "pre_tokenizer Split: expected pattern {String or Regex} and behavior");
    while (i < count && strcmp(json_string_value(behavior), behaviors[i]) != 0)
        i++;
    if (i == count)
        return error_set(err, ERROR_INPUT, "pre_tokenizer Split: behavior \"%.40s\" is unknown",
                         json_string_value(behavior));
    s->kind = STEP_SPLIT;
    s->behavior = (enum behavior)i;
    s->invert = json_is_true(json_object_get(json, "invert"));
    s->pattern = regex_open(json_string_value(text), json_string_length(text), text == literal, err);
    return s->pattern != NULL;
}

static bool read_step(struct step *s, const char *type, const json_t *json, struct error *err)
{
    static const char gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

    if (strcmp(type, "Metaspace") == 0)
        return read_metaspace(s, json, err);
    if (strcmp(type, "Split") == 0)
        return read_split(s, json, err);
    if (strcmp(type, "WhitespaceSplit") == 0)
        return set_pattern(s, "\\s", REMOVED, false, err);
    if (strcmp(type, "Whitespace") == 0)
        return set_pattern(s, "\\w+|[^\\w\\s]+", REMOVED, true, err);
    if (strcmp(type, "Digits") == 0) {
        bool single = json_is_true(json_object_get(json, "individual_digits"));
        return set_pattern(s, "\\p{N}", single ? ISOLATED : CONTIGUOUS, false, err);
    }
    if (strcmp(type, "ByteLevel") == 0) {
        s->prefix_space = !json_is_false(json_object_get(json, "add_prefix_space"));
        if (!json_is_false(json_object_get(json, "use_regex")) && !set_pattern(s, gpt2, ISOLATED, false, err))
            return false;
        s->kind = STEP_BYTE_LEVEL;
        return true;
    }
    return error_set(err, ERROR_INPUT,
                     "pre_tokenizer \"%.60s\" is unknown; known are Sequence, Metaspace, Split, WhitespaceSplit, "
                     "Whitespace, Digits, ByteLevel",
                     type);
}

#define MAX_STEPS 64

static bool read_steps(struct splitter *s, const json_t *json, struct error *err)
{
    const json_t *type = json_object_get(json, "type");

    if (!json_is_string(type))
        return error_set(err, ERROR_INPUT, "pre_tokenizer: type is missing");
    if (strcmp(json_string_value(type), "Sequence") == 0) {
        const json_t *list = json_object_get(json, "pretokenizers");
        if (!json_is_array(list))
            return error_set(err, ERROR_INPUT, "pre_tokenizer Sequence: pretokenizers is not a list");
        for (size_t i = 0; i < json_array_size(list); i++)
            if (!read_steps(s, json_array_get(list, i), err))
                return false;
        return true;
    }
    if (s->count == MAX_STEPS)
        return error_set(err, ERROR_INPUT, "pre_tokenizer: more than %d steps", MAX_STEPS);
    s->steps = xrealloc(s->steps, (s->count + 1) * sizeof *s->steps);
    s->steps[s->count] = (struct step){ 0 };
    return read_step(&s->steps[s->count++], json_string_value(type), json, err);
}

struct splitter *splitter_new(const json_t *json, struct error *err)
{
    struct splitter *s = xcalloc(1, sizeof *s);

    if (json && !json_is_null(json) && !read_steps(s, json, err))
        splitter_free(&s);
    return s;
}

void splitter_free(struct splitter **s)
{
    if (!*s)
        return;
    for (size_t i = 0; i < (*s)->count; i++)
        regex_close(&(*s)->steps[i].pattern);
    free((*s)->steps);
    free(*s);
    *s = NULL;
}

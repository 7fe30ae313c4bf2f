/* Normalizers of tokenizer.json, flattened into a list of steps. */
#include "common/base/arena.h"
#include "common/nn/regex.h"
#include "common/nn/tokenizer_internal.h"
#include "common/nn/unicode.h"

#include <stdlib.h>
#include <string.h>

/* SentencePiece's compiled character map: a double-array trie (darts-clone) from byte strings to offsets into
 * NUL-separated replacements. */
struct charsmap {
    uint32_t *units;
    size_t unit_count;
    char *replacements;
    size_t replacements_size;
};

enum step_kind { STEP_PRECOMPILED, STEP_FORM, STEP_REPLACE, STEP_STRIP, STEP_LOWERCASE, STEP_PREPEND };

struct step {
    enum step_kind kind;
    struct charsmap map;   /* STEP_PRECOMPILED */
    enum normal_form form; /* STEP_FORM */
    struct regex *pattern; /* STEP_REPLACE */
    const char *content;   /* STEP_REPLACE, STEP_PREPEND; borrowed from the JSON tree */
    size_t content_size;
    bool left, right; /* STEP_STRIP */
};

struct normalizer {
    struct step *steps;
    size_t count;
};

/* ---- Precompiled ---- */

static bool base64_decode(const char *text, size_t size, struct str *to)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    int held = 0;

    while (size > 0 && text[size - 1] == '=')
        size--;
    for (size_t i = 0; i < size; i++) {
        const char *at = text[i] ? strchr(alphabet, text[i]) : NULL;
        if (!at)
            return false;
        bits = bits << 6 | (uint32_t)(at - alphabet);
        held += 6;
        if (held >= 8) {
            held -= 8;
            str_append_char(to, (char)(bits >> held & 0xff));
        }
    }
    return true;
}

static bool charsmap_read(struct charsmap *m, const char *text, size_t size, struct error *err)
{
    struct str bytes = { 0 };
    bool ok = base64_decode(text, size, &bytes) && bytes.size >= 4;
    uint32_t trie_bytes = 0;

    for (int i = 0; i < 4 && ok; i++)
        trie_bytes |= (uint32_t)(uint8_t)bytes.data[i] << 8 * i;
    ok = ok && trie_bytes >= 4 && trie_bytes % 4 == 0 && trie_bytes <= bytes.size - 4 &&
         utf8_check(bytes.data + 4 + trie_bytes, bytes.size - 4 - trie_bytes, NULL);
    if (ok) {
        m->unit_count = trie_bytes / 4;
        m->units = xcalloc(m->unit_count, sizeof *m->units);
        for (size_t i = 0; i < trie_bytes; i++)
            m->units[i / 4] |= (uint32_t)(uint8_t)bytes.data[4 + i] << 8 * (i % 4);
        m->replacements_size = bytes.size - 4 - trie_bytes;
        m->replacements = xcalloc(1, m->replacements_size + 1);
        memcpy(m->replacements, bytes.data + 4 + trie_bytes, m->replacements_size);
    }
    str_free(&bytes);
    return ok || error_set(err, ERROR_INPUT, "normalizer: precompiled_charsmap is not a base64 character map");
}

static size_t unit_offset(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & 0x200u) >> 6);
}

/* The replacement for a whole chunk: that of the SHORTEST key it starts with, as the library does it (its own comment
 * calls that weird, and the published vocabularies depend on it). NULL: none. */
static const char *charsmap_find(const struct charsmap *m, const char *chunk, size_t size)
{
    size_t node = unit_offset(m->units[0]);

    for (size_t i = 0; i < size && chunk[i]; i++) {
        node ^= (uint8_t)chunk[i];
        if (node >= m->unit_count || (m->units[node] & 0x800000ffu) != (uint8_t)chunk[i])
            return NULL;
        bool leaf = m->units[node] >> 8 & 1;
        node ^= unit_offset(m->units[node]);
        if (leaf) {
            size_t at = node < m->unit_count ? m->units[node] & 0x7fffffffu : SIZE_MAX;
            if (at >= m->replacements_size || ((uint8_t)m->replacements[at] & 0xc0) == 0x80)
                return NULL; /* outside, or in the middle of a character */
            return m->replacements + at;
        }
    }
    return NULL;
}

static void apply_charsmap(const struct charsmap *m, const char *text, size_t size, struct str *to)
{
    for (size_t at = 0; at < size && to->size <= TOKENIZER_MAX_TEXT;) {
        size_t cluster = unicode_cluster(text + at, size - at);
        const char *whole = cluster < 6 ? charsmap_find(m, text + at, cluster) : NULL;
        if (whole) {
            str_append(to, whole);
            at += cluster;
            continue;
        }
        for (size_t end = at + cluster; at < end;) {
            uint32_t c;
            size_t n = utf8_next(text + at, end - at, &c);
            const char *one = charsmap_find(m, text + at, n);
            if (one)
                str_append(to, one);
            else
                str_append_bytes(to, text + at, n);
            at += n;
        }
    }
}

/* ---- the other steps ---- */

struct replacing {
    const struct step *step;
    const char *text;
    size_t done; /* bytes of text already in *to */
    struct str *to;
};

static void replace_match(void *with, size_t first, size_t end)
{
    struct replacing *r = with;

    if (r->to->size > TOKENIZER_MAX_TEXT) /* refused in the end: do not let it grow on */
        return;
    str_append_bytes(r->to, r->text + r->done, first - r->done);
    str_append_bytes(r->to, r->step->content, r->step->content_size);
    r->done = end;
}

static bool apply_replace(const struct step *s, const char *text, size_t size, struct str *to, struct error *err)
{
    struct replacing r = { .step = s, .text = text, .to = to };

    if (!regex_each(s->pattern, text, size, replace_match, &r, err))
        return false;
    str_append_bytes(to, text + r.done, size - r.done);
    return true;
}

static void apply_strip(const struct step *s, const char *text, size_t size, struct str *to)
{
    size_t first = 0;
    uint32_t c;

    while (s->left && first < size) {
        size_t n = utf8_next(text + first, size - first, &c);
        if (!unicode_is_space(c))
            break;
        first += n;
    }
    while (s->right && size > first) {
        size_t n = utf8_last(text, size, &c);
        if (!unicode_is_space(c))
            break;
        size -= n;
    }
    str_append_bytes(to, text + first, size - first);
}

static bool apply_step(const struct step *s, const char *text, size_t size, struct str *to, struct error *err)
{
    switch (s->kind) {
    case STEP_PRECOMPILED:
        apply_charsmap(&s->map, text, size, to);
        return true;
    case STEP_FORM:
        unicode_normalize(s->form, text, size, to);
        return true;
    case STEP_REPLACE:
        return apply_replace(s, text, size, to, err);
    case STEP_STRIP:
        apply_strip(s, text, size, to);
        return true;
    case STEP_LOWERCASE:
        unicode_lower(text, size, to);
        return true;
    case STEP_PREPEND:
        if (size > 0)
            str_append_bytes(to, s->content, s->content_size);
        str_append_bytes(to, text, size);
        return true;
    }
    return true;
}

bool normalizer_apply(const struct normalizer *n, const char *text, size_t size, struct str *to, struct error *err)
{
    struct str from = { 0 };

    str_clear(to);
    str_append_bytes(to, text, size);
    for (size_t i = 0; i < n->count; i++) {
        struct str swap = from;
        from = *to;
        *to = swap;
        str_clear(to);
        bool ok = apply_step(&n->steps[i], str_text(&from), from.size, to, err);
        if (ok && to->size > TOKENIZER_MAX_TEXT)
            ok = error_set(err, ERROR_INPUT, "the normalizer makes the text longer than %d bytes", TOKENIZER_MAX_TEXT);
        if (!ok) {
            str_free(&from);
            return false;
        }
    }
    str_free(&from);
    return true;
}

/* ---- reading ---- */

/* What a step puts in for each match; published files have one character. */
#define MAX_CONTENT 4096

static bool set_content(struct step *s, const json_t *text, const char *type, struct error *err)
{
    if (!json_is_string(text) || json_string_length(text) > MAX_CONTENT)
        return error_set(err, ERROR_INPUT, "normalizer %s: expected a text of at most %d bytes to put in", type,
                         MAX_CONTENT);
    s->content = json_string_value(text);
    s->content_size = json_string_length(text);
    return true;
}

static bool read_replace(struct step *s, const json_t *json, struct error *err)
{
    const json_t *pattern = json_object_get(json, "pattern");
    const json_t *literal = json_object_get(pattern, "String"), *regex = json_object_get(pattern, "Regex");
    const json_t *text = json_is_string(literal) ? literal : regex;

    if (!json_is_string(text))
        return error_set(err, ERROR_INPUT, "normalizer Replace: expected pattern {String or Regex}");
    if (!set_content(s, json_object_get(json, "content"), "Replace", err))
        return false;
    s->kind = STEP_REPLACE;
    s->pattern = regex_open(json_string_value(text), json_string_length(text), text == literal, err);
    return s->pattern != NULL;
}

static bool read_step(struct step *s, const char *type, const json_t *json, struct error *err)
{
    static const char *const forms[] = {
        [NORMAL_NFC] = "NFC", [NORMAL_NFD] = "NFD", [NORMAL_NFKC] = "NFKC", [NORMAL_NFKD] = "NFKD"
    };
    const json_t *text;

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(type, forms[i]) == 0) {
            s->kind = STEP_FORM;
            s->form = (enum normal_form)i;
            return true;
        }
    if (strcmp(type, "Precompiled") == 0) {
        text = json_object_get(json, "precompiled_charsmap");
        s->kind = STEP_PRECOMPILED;
        if (!json_is_string(text))
            return error_set(err, ERROR_INPUT, "normalizer Precompiled: precompiled_charsmap is missing");
        return charsmap_read(&s->map, json_string_value(text), json_string_length(text), err);
    }
    if (strcmp(type, "Replace") == 0)
        return read_replace(s, json, err);
    if (strcmp(type, "Strip") == 0) {
        s->kind = STEP_STRIP;
        s->left = json_is_true(json_object_get(json, "strip_left"));
        s->right = json_is_true(json_object_get(json, "strip_right"));
        return true;
    }
    if (strcmp(type, "Lowercase") == 0) {
        s->kind = STEP_LOWERCASE;
        return true;
    }
    if (strcmp(type, "Prepend") == 0) {
        s->kind = STEP_PREPEND;
        return set_content(s, json_object_get(json, "prepend"), "Prepend", err);
    }
    return error_set(err, ERROR_INPUT,
                     "normalizer \"%.60s\" is unknown; known are Sequence, Precompiled, NFC, NFD, NFKC, NFKD, Replace, "
                     "Strip, Lowercase, Prepend",
                     type);
}

#define MAX_STEPS 64

static bool read_steps(struct normalizer *n, const json_t *json, struct error *err)
{
    const json_t *type = json_object_get(json, "type");

    if (!json_is_string(type))
        return error_set(err, ERROR_INPUT, "normalizer: type is missing");
    if (strcmp(json_string_value(type), "Sequence") == 0) {
        const json_t *list = json_object_get(json, "normalizers");
        if (!json_is_array(list))
            return error_set(err, ERROR_INPUT, "normalizer Sequence: normalizers is not a list");
        for (size_t i = 0; i < json_array_size(list); i++)
            if (!read_steps(n, json_array_get(list, i), err))
                return false;
        return true;
    }
    if (n->count == MAX_STEPS)
        return error_set(err, ERROR_INPUT, "normalizer: more than %d steps", MAX_STEPS);
    n->steps = xrealloc(n->steps, (n->count + 1) * sizeof *n->steps);
    n->steps[n->count] = (struct step){ 0 };
    return read_step(&n->steps[n->count++], json_string_value(type), json, err);
}

struct normalizer *normalizer_new(const json_t *json, struct error *err)
{
    struct normalizer *n = xcalloc(1, sizeof *n);

    if (json && !json_is_null(json) && !read_steps(n, json, err))
        normalizer_free(&n);
    return n;
}

void normalizer_free(struct normalizer **n)
{
    if (!*n)
        return;
    for (size_t i = 0; i < (*n)->count; i++) {
        free((*n)->steps[i].map.units);
        free((*n)->steps[i].map.replacements);
        regex_close(&(*n)->steps[i].pattern);
    }
    free((*n)->steps);
    free(*n);
    *n = NULL;
}

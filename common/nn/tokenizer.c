#include "common/nn/tokenizer.h"

#include "common/base/arena.h"
#include "common/nn/tokenizer_internal.h"
#include "common/nn/trie.h"
#include "common/nn/unicode.h"

#include <stdlib.h>
#include <string.h>

/* A token that is recognised in the text before the model sees it. */
struct added_token {
    int32_t id;
    const char *content; /* borrowed from the JSON tree */
    size_t size;
    bool single_word;    /* not inside a word */
    bool lstrip, rstrip; /* swallows the white space around it */
    bool normalized;     /* sought in the normalized text */
};

struct added_tokens {
    struct added_token *items;
    size_t count;
    struct trie *plain, *normalized; /* value: index into items */
};

struct tokenizer {
    json_t *json; /* owns all texts */
    struct vocab vocab;
    struct added_tokens added;
    struct trie *added_names; /* value: id */
    struct normalizer *normalizer;
    struct splitter *splitter;
    struct unigram *unigram; /* one of the two */
    struct bpe *bpe;
    bool byte_level;  /* entries are in the byte alphabet */
    char *metaspace;  /* what stands for a space in entries, or NULL */
    bool byte_pieces; /* "<0x4A>" stands for a byte */
};

/* ---- small parts ---- */

void token_ids_push(struct token_ids *t, int32_t id)
{
    if (t->count == t->room) {
        t->room = t->room ? t->room * 2 : 64;
        t->ids = xrealloc(t->ids, t->room * sizeof *t->ids);
    }
    t->ids[t->count++] = id;
}

void token_ids_free(struct token_ids *t)
{
    free(t->ids);
    *t = (struct token_ids){ 0 };
}

bool vocab_set(struct vocab *v, int64_t id, const char *text, size_t size, struct error *err)
{
    if (id < 0 || id >= TOKENIZER_MAX_ID)
        return error_set(err, ERROR_INPUT, "token \"%.60s\" has the id %lld, expected one below %d", text,
                         (long long)id, TOKENIZER_MAX_ID);
    if (id >= v->count) {
        int32_t count = v->count;
        /* doubling: ids mostly come in order */
        int32_t room = count > 0 && id < 2 * (int64_t)count ? 2 * count : (int32_t)id + 64;
        v->entries = xrealloc(v->entries, (size_t)room * sizeof *v->entries);
        memset(v->entries + count, 0, (size_t)(room - count) * sizeof *v->entries);
        v->count = room;
    }
    v->entries[id] = (struct vocab_entry){ text, size };
    return true;
}

void byte_piece_name(uint8_t byte, char name[8])
{
    snprintf(name, 8, "<0x%02X>", byte);
}

/* ---- added tokens ---- */

static bool read_added(struct tokenizer *t, struct json_reader *r, const json_t *item, struct added_token *a)
{
    const char *content = json_text(r, item, "content");

    *a = (struct added_token){
        .id = (int32_t)json_int(r, item, "id", 0, TOKENIZER_MAX_ID - 1),
        .content = content,
        .size = strlen(content),
        .single_word = json_bool_or(r, item, "single_word", false),
        .lstrip = json_bool_or(r, item, "lstrip", false),
        .rstrip = json_bool_or(r, item, "rstrip", false),
    };
    a->normalized = json_bool_or(r, item, "normalized", !json_bool_or(r, item, "special", false));
    return !r->failed && vocab_set(&t->vocab, a->id, a->content, a->size, r->err);
}

/* The tokens that are sought in plain text, or those in normalized text, whose own form is normalized too. */
static bool added_trie(const struct tokenizer *t, bool normalized, struct trie **trie, struct error *err)
{
    const struct added_tokens *a = &t->added;
    struct trie_entry *entries = xcalloc(a->count ? a->count : 1, sizeof *entries);
    struct str *forms = xcalloc(a->count ? a->count : 1, sizeof *forms);
    size_t count = 0;
    bool ok = true;

    for (size_t i = 0; i < a->count && ok; i++) {
        if (a->items[i].normalized != normalized)
            continue;
        if (normalized)
            ok = normalizer_apply(t->normalizer, a->items[i].content, a->items[i].size, &forms[i], err);
        else
            str_append_bytes(&forms[i], a->items[i].content, a->items[i].size);
        entries[count++] = (struct trie_entry){ str_text(&forms[i]), forms[i].size, (int32_t)i };
    }
    *trie = trie_new(entries, count);
    for (size_t i = 0; i < a->count; i++)
        str_free(&forms[i]);
    free(forms);
    free(entries);
    return ok;
}

static bool read_all_added(struct tokenizer *t, struct json_reader *r)
{
    const json_t *list = json_object_get(t->json, "added_tokens");
    size_t count = json_array_size(list);
    struct trie_entry *names;

    if (list && !json_is_null(list) && !json_is_array(list))
        return json_fail(r, "added_tokens", "expected a list");
    t->added.items = xcalloc(count ? count : 1, sizeof *t->added.items);
    for (; t->added.count < count; t->added.count++)
        if (!read_added(t, r, json_array_get(list, t->added.count), &t->added.items[t->added.count]))
            return false;
    names = xcalloc(count ? count : 1, sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = (struct trie_entry){ t->added.items[i].content, t->added.items[i].size, t->added.items[i].id };
    t->added_names = trie_new(names, count);
    free(names);
    return added_trie(t, false, &t->added.plain, r->err) && added_trie(t, true, &t->added.normalized, r->err);
}

/* The longest token that starts at `at`: its index, or -1; *end is where it stops. */
static int32_t added_at(const struct trie *trie, const char *text, size_t size, size_t at, size_t *end)
{
    uint32_t node = TRIE_ROOT;
    int32_t best = -1;

    for (size_t i = at; i < size;) {
        node = trie_step(trie, node, (uint8_t)text[i++]);
        if (node == TRIE_NONE)
            break;
        if (trie_value(trie, node) >= 0) {
            best = trie_value(trie, node);
            *end = i;
        }
    }
    return best;
}

static bool inside_word(const char *text, size_t size, size_t first, size_t end)
{
    uint32_t c;

    if (first > 0) {
        utf8_last(text, first, &c);
        if (unicode_is_word(c))
            return true;
    }
    if (end < size) {
        utf8_next(text + end, size - end, &c);
        if (unicode_is_word(c))
            return true;
    }
    return false;
}

static size_t spaces_before(const char *text, size_t first, size_t stop)
{
    while (first > stop) {
        uint32_t c;
        size_t n = utf8_last(text, first, &c);
        if (!unicode_is_space(c))
            break;
        first -= n;
    }
    return first > stop ? first : stop;
}

static size_t spaces_after(const char *text, size_t size, size_t end)
{
    while (end < size) {
        uint32_t c;
        size_t n = utf8_next(text + end, size - end, &c);
        if (!unicode_is_space(c))
            break;
        end += n;
    }
    return end;
}

/* ---- encoding ---- */

static bool encode_pieces(const struct tokenizer *t, struct pieces *p, struct token_ids *ids, struct error *err)
{
    if (!splitter_apply(t->splitter, p, err))
        return false;
    for (size_t i = 0; i < p->count; i++) {
        const char *text = p->text.data + p->items[i].first;
        if (t->bpe)
            bpe_encode(t->bpe, text, p->items[i].size, ids);
        else if (!unigram_encode(t->unigram, text, p->items[i].size, ids, err))
            return false;
    }
    return true;
}

/* Text without added tokens of the one kind; the other kind is sought once it is normalized. */
static bool encode_section(const struct tokenizer *t, const char *text, size_t size, bool opens, bool normalized,
                           struct token_ids *ids, struct error *err);

static bool encode_between(const struct tokenizer *t, const char *text, size_t size, bool opens, bool normalized,
                           struct token_ids *ids, struct error *err)
{
    bool ok;

    if (size == 0)
        return true;
    if (normalized) {
        struct pieces p = { 0 };
        pieces_push(&p, text, size, opens);
        ok = encode_pieces(t, &p, ids, err);
        pieces_free(&p);
        return ok;
    }
    struct str plain = { 0 };
    ok = normalizer_apply(t->normalizer, text, size, &plain, err) &&
         encode_section(t, str_text(&plain), plain.size, opens, true, ids, err);
    str_free(&plain);
    return ok;
}

static bool encode_section(const struct tokenizer *t, const char *text, size_t size, bool opens, bool normalized,
                           struct token_ids *ids, struct error *err)
{
    const struct trie *trie = normalized ? t->added.normalized : t->added.plain;
    size_t done = 0;

    for (size_t at = 0; at < size;) {
        size_t end = at;
        int32_t index = added_at(trie, text, size, at, &end);
        if (index < 0) {
            at++;
            continue;
        }
        const struct added_token *a = &t->added.items[index];
        size_t first = at;
        at = end;
        if (a->single_word && inside_word(text, size, first, end))
            continue;
        if (a->lstrip)
            first = spaces_before(text, first, done);
        if (a->rstrip)
            at = end = spaces_after(text, size, end);
        if (!encode_between(t, text + done, first - done, opens && done == 0, normalized, ids, err))
            return false;
        token_ids_push(ids, a->id);
        done = end;
    }
    return encode_between(t, text + done, size - done, opens && done == 0, normalized, ids, err);
}

bool tokenizer_encode(const struct tokenizer *t, const char *text, size_t size, struct token_ids *ids,
                      struct error *err)
{
    if (size > TOKENIZER_MAX_TEXT)
        return error_set(err, ERROR_INPUT, "the text has %zu bytes; a tokenizer takes at most %d", size,
                         TOKENIZER_MAX_TEXT);
    return utf8_check(text, size, err) && encode_section(t, text, size, true, false, ids, err);
}

/* ---- decoding and look-up ---- */

static bool is_byte_piece(const struct vocab_entry *e, unsigned *byte)
{
    int used = 0;
    return e->size == 6 && sscanf(e->text, "<0x%2X>%n", byte, &used) == 1 && used == 6;
}

bool tokenizer_is_added(const struct tokenizer *t, int32_t id)
{
    if (id < 0 || id >= t->vocab.count || !t->vocab.entries[id].text)
        return false;
    return trie_find(t->added_names, t->vocab.entries[id].text, t->vocab.entries[id].size) == id;
}

bool tokenizer_decode(const struct tokenizer *t, int32_t id, struct str *text)
{
    if (id < 0 || id >= t->vocab.count || !t->vocab.entries[id].text)
        return false;

    const struct vocab_entry *e = &t->vocab.entries[id];
    size_t mark = t->metaspace ? strlen(t->metaspace) : 0;
    unsigned byte;
    if (tokenizer_is_added(t, id)) {
        str_append_bytes(text, e->text, e->size);
        return true;
    }
    if (t->byte_pieces && is_byte_piece(e, &byte)) {
        str_append_char(text, (char)byte);
        return true;
    }
    for (size_t i = 0; i < e->size;) {
        uint32_t c;
        size_t n = utf8_next(e->text + i, e->size - i, &c);
        if (mark > 0 && e->size - i >= mark && memcmp(e->text + i, t->metaspace, mark) == 0)
            str_append_char(text, ' ');
        else if (t->byte_level && byte_of_character(c) >= 0)
            str_append_char(text, (char)byte_of_character(c));
        else
            str_append_bytes(text, e->text + i, n);
        i += n;
    }
    return true;
}

int32_t tokenizer_size(const struct tokenizer *t)
{
    int32_t count = t->vocab.count;

    while (count > 0 && !t->vocab.entries[count - 1].text) /* the table grows in steps */
        count--;
    return count;
}

int32_t tokenizer_find(const struct tokenizer *t, const char *token)
{
    size_t size = strlen(token);
    int32_t id = trie_find(t->added_names, token, size);

    if (id >= 0)
        return id;
    return t->bpe ? bpe_find(t->bpe, token, size) : unigram_find(t->unigram, token, size);
}

/* ---- reading ---- */

/* The character that stands for a space is the pre-tokenizer's own, wherever in a Sequence it stands. */
static const char *find_metaspace(const json_t *pre_tokenizer)
{
    const json_t *type = json_object_get(pre_tokenizer, "type");
    const json_t *list = json_object_get(pre_tokenizer, "pretokenizers");
    const char *found = NULL;

    if (json_is_string(type) && strcmp(json_string_value(type), "Metaspace") == 0)
        return json_string_value(json_object_get(pre_tokenizer, "replacement"));
    for (size_t i = 0; i < json_array_size(list) && !found; i++)
        found = find_metaspace(json_array_get(list, i));
    return found;
}

static bool read_model(struct tokenizer *t, struct json_reader *r)
{
    const json_t *model = json_group(r, t->json, "model");
    const json_t *type = json_object_get(model, "type");
    /* Old files do not name the type: a list of pieces with scores is unigram, merges are BPE. */
    const char *name = json_is_string(type)                             ? json_string_value(type)
                       : json_is_array(json_object_get(model, "vocab")) ? "Unigram"
                       : json_object_get(model, "merges")               ? "BPE"
                                                                        : "without a type";

    if (r->failed)
        return false;
    if (strcmp(name, "Unigram") == 0)
        t->unigram = unigram_new(model, &t->vocab, r->err);
    else if (strcmp(name, "BPE") == 0)
        t->bpe = bpe_new(model, &t->vocab, r->err);
    else
        return json_fail(r, "model.type", "\"%.60s\" is unknown, expected Unigram or BPE", name);
    t->byte_pieces = json_is_true(json_object_get(model, "byte_fallback"));
    return t->unigram || t->bpe;
}

static bool read_all(struct tokenizer *t, struct json_reader *r)
{
    const json_t *pre_tokenizer = json_object_get(t->json, "pre_tokenizer");

    t->normalizer = normalizer_new(json_object_get(t->json, "normalizer"), r->err);
    if (!t->normalizer)
        return false;
    t->splitter = splitter_new(pre_tokenizer, r->err);
    if (!t->splitter)
        return false;
    t->byte_level = splitter_byte_level(t->splitter);
    t->metaspace = find_metaspace(pre_tokenizer) ? xstrdup(find_metaspace(pre_tokenizer)) : NULL;
    return read_model(t, r) && read_all_added(t, r);
}

static struct tokenizer *from_json(json_t *json, const char *where, struct error *err)
{
    struct error inner = { 0 };
    struct json_reader r = { .where = where, .err = &inner };
    struct tokenizer *t = xcalloc(1, sizeof *t);

    t->json = json;
    if (!read_all(t, &r)) {
        bool named = str_starts(inner.text, where);
        error_set(err, inner.kind, "%s%s%s", named ? "" : where, named ? "" : ": ", inner.text);
        tokenizer_close(&t);
    }
    return t;
}

struct tokenizer *tokenizer_open(const char *path, struct error *err)
{
    json_t *json = json_load(path, err);
    return json ? from_json(json, path, err) : NULL;
}

struct tokenizer *tokenizer_parse(const char *json, size_t size, const char *where, struct error *err)
{
    json_t *parsed = json_parse(json, size, where, err);
    return parsed ? from_json(parsed, where, err) : NULL;
}

void tokenizer_close(struct tokenizer **tokenizer)
{
    struct tokenizer *t = *tokenizer;

    if (!t)
        return;
    trie_free(&t->added.plain);
    trie_free(&t->added.normalized);
    trie_free(&t->added_names);
    free(t->added.items);
    normalizer_free(&t->normalizer);
    splitter_free(&t->splitter);
    unigram_free(&t->unigram);
    bpe_free(&t->bpe);
    free(t->vocab.entries);
    free(t->metaspace);
    json_decref(t->json);
    free(t);
    *tokenizer = NULL;
}

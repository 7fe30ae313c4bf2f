/* The byte-pair model: a piece starts as single characters; the pair that was learnt first is joined, until no pair is
 * known. A heap of candidate pairs over a linked list keeps long pieces near linear. */
#include "common/base/arena.h"
#include "common/nn/tokenizer_internal.h"
#include "common/nn/unicode.h"

#include <stdlib.h>
#include <string.h>

struct merge {
    uint64_t pair; /* left id in the upper half; UINT64_MAX: a free slot */
    int32_t rank;
    int32_t made;
};

/* Text to id: open addressing, a power of two of slots. (A trie would be slower here: pieces are looked up whole.) */
struct name {
    const char *text; /* borrowed; NULL: a free slot */
    uint32_t size;
    int32_t id;
};

struct bpe {
    struct name *names;
    size_t name_slots;
    struct merge *merges; /* open addressing, a power of two of slots */
    size_t slots;
    int32_t unknown; /* -1: characters without an entry are dropped */
    bool fuse_unknown;
    bool ignore_merges; /* a piece that is an entry as it stands is taken whole */
    bool byte_fallback;
    int32_t byte_piece[256];
};

static struct name *name_slot(const struct bpe *b, const char *text, size_t size)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < size; i++)
        h = (h ^ (uint8_t)text[i]) * 0x100000001b3u;

    size_t slot = (size_t)(h ^ h >> 32) & (b->name_slots - 1);
    while (b->names[slot].text && (b->names[slot].size != size || memcmp(b->names[slot].text, text, size) != 0))
        slot = (slot + 1) & (b->name_slots - 1);
    return &b->names[slot];
}

int32_t bpe_find(const struct bpe *b, const char *text, size_t size)
{
    const struct name *n = name_slot(b, text, size);
    return n->text ? n->id : -1;
}

static size_t slot_of(const struct bpe *b, uint64_t pair)
{
    uint64_t h = pair * 0x9e3779b97f4a7c15u;
    size_t slot = (size_t)(h >> 32) & (b->slots - 1);

    while (b->merges[slot].pair != pair && b->merges[slot].pair != UINT64_MAX)
        slot = (slot + 1) & (b->slots - 1);
    return slot;
}

static const struct merge *find_merge(const struct bpe *b, int32_t left, int32_t right)
{
    const struct merge *m = &b->merges[slot_of(b, (uint64_t)(uint32_t)left << 32 | (uint32_t)right)];
    return m->pair == UINT64_MAX ? NULL : m;
}

/* A merge is "left right" or ["left", "right"]. */
static bool read_merge(struct bpe *b, const json_t *item, size_t rank, struct str *joined, struct error *err)
{
    const char *left = NULL, *right = NULL;
    size_t left_size = 0, right_size = 0;

    if (json_is_string(item)) {
        const char *space = strchr(json_string_value(item), ' ');
        if (space) {
            left = json_string_value(item);
            left_size = (size_t)(space - left);
            right = space + 1;
            right_size = json_string_length(item) - left_size - 1;
        }
    } else if (json_array_size(item) == 2 && json_is_string(json_array_get(item, 0)) &&
               json_is_string(json_array_get(item, 1))) {
        left = json_string_value(json_array_get(item, 0));
        left_size = json_string_length(json_array_get(item, 0));
        right = json_string_value(json_array_get(item, 1));
        right_size = json_string_length(json_array_get(item, 1));
    }
    if (!left || left_size == 0 || right_size == 0)
        return error_set(err, ERROR_INPUT, "model.merges[%zu] is neither \"left right\" nor [left, right]", rank);

    str_clear(joined);
    str_append_bytes(joined, left, left_size);
    str_append_bytes(joined, right, right_size);
    int32_t l = bpe_find(b, left, left_size), r = bpe_find(b, right, right_size);
    int32_t made = bpe_find(b, joined->data, joined->size);
    if (l < 0 || r < 0 || made < 0)
        return error_set(err, ERROR_INPUT, "model.merges[%zu]: \"%.*s\" is not in model.vocab", rank,
                         (int)(l < 0   ? left_size
                               : r < 0 ? right_size
                                       : joined->size),
                         l < 0   ? left
                         : r < 0 ? right
                                 : joined->data);

    uint64_t pair = (uint64_t)(uint32_t)l << 32 | (uint32_t)r;
    b->merges[slot_of(b, pair)] = (struct merge){ pair, (int32_t)rank, made };
    return true;
}

static bool read_merges(struct bpe *b, const json_t *list, struct error *err)
{
    size_t count = json_array_size(list);
    struct str joined = { 0 };
    bool ok = true;

    if (!json_is_array(list) || count > TOKENIZER_MAX_ID)
        return error_set(err, ERROR_INPUT, "model.merges must be a list of at most %d pairs", TOKENIZER_MAX_ID);
    b->slots = 16;
    while (b->slots < count * 2)
        b->slots *= 2;
    b->merges = xmalloc(b->slots * sizeof *b->merges);
    for (size_t i = 0; i < b->slots; i++)
        b->merges[i].pair = UINT64_MAX;
    for (size_t i = 0; i < count && ok; i++)
        ok = read_merge(b, json_array_get(list, i), i, &joined, err);
    str_free(&joined);
    return ok;
}

static bool read_vocab(struct bpe *b, const json_t *object, struct vocab *v, struct error *err)
{
    size_t count = json_object_size(object);
    const char *text;
    json_t *id;

    if (count == 0 || count > TOKENIZER_MAX_ID)
        return error_set(err, ERROR_INPUT, "model.vocab must be an object of 1 to %d pieces and ids", TOKENIZER_MAX_ID);
    b->name_slots = 16;
    while (b->name_slots < count * 2)
        b->name_slots *= 2;
    b->names = xcalloc(b->name_slots, sizeof *b->names);
    json_object_foreach((json_t *)object, text, id)
    {
        size_t size = strlen(text);
        if (!json_is_integer(id))
            return error_set(err, ERROR_INPUT, "model.vocab.%.60s: the id is not an integer", text);
        if (!vocab_set(v, json_integer_value(id), text, size, err))
            return false;
        *name_slot(b, text, size) = (struct name){ text, (uint32_t)size, (int32_t)json_integer_value(id) };
    }
    return true;
}

/* Absent, null and "" all mean none; what would change the ids is refused rather than ignored. */
static bool is_unset(const json_t *model, const char *key)
{
    const json_t *value = json_object_get(model, key);
    return !value || json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0) ||
           (json_is_number(value) && json_number_value(value) == 0.0);
}

static bool read_byte_pieces(struct bpe *b)
{
    for (int i = 0; i < 256; i++) {
        char name[8];
        byte_piece_name((uint8_t)i, name);
        b->byte_piece[i] = bpe_find(b, name, strlen(name));
        if (b->byte_piece[i] < 0)
            return false;
    }
    return true;
}

struct bpe *bpe_new(const json_t *model, struct vocab *v, struct error *err)
{
    static const char *const unsupported[] = { "dropout", "continuing_subword_prefix", "end_of_word_suffix" };
    struct bpe *b = xcalloc(1, sizeof *b);
    const json_t *unknown = json_object_get(model, "unk_token");

    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++)
        if (!is_unset(model, unsupported[i])) {
            error_set(err, ERROR_INPUT, "model.%s is set; only byte-pair models without it are read", unsupported[i]);
            goto fail;
        }
    if (!read_vocab(b, json_object_get(model, "vocab"), v, err) ||
        !read_merges(b, json_object_get(model, "merges"), err))
        goto fail;
    b->unknown = -1;
    if (!is_unset(model, "unk_token")) {
        b->unknown =
            json_is_string(unknown) ? bpe_find(b, json_string_value(unknown), json_string_length(unknown)) : -1;
        if (b->unknown < 0) {
            error_set(err, ERROR_INPUT, "model.unk_token is not in model.vocab");
            goto fail;
        }
    }
    b->fuse_unknown = json_is_true(json_object_get(model, "fuse_unk"));
    b->ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
    b->byte_fallback = json_is_true(json_object_get(model, "byte_fallback")) && read_byte_pieces(b);
    return b;

fail:
    bpe_free(&b);
    return NULL;
}

void bpe_free(struct bpe **b)
{
    if (!*b)
        return;
    free((*b)->names);
    free((*b)->merges);
    free(*b);
    *b = NULL;
}

/* ---- joining ---- */

struct symbol {
    int32_t id;          /* -1: joined into its left neighbour */
    int32_t left, right; /* neighbours, -1 at the ends */
};

struct candidate {
    int32_t rank;
    int32_t at; /* index of the left symbol */
    int32_t made;
};

struct heap {
    struct candidate *items;
    size_t count, room;
};

static bool before(const struct candidate *a, const struct candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_push(struct heap *h, struct candidate c)
{
    if (h->count == h->room) {
        h->room = h->room ? h->room * 2 : 64;
        h->items = xrealloc(h->items, h->room * sizeof *h->items);
    }
    size_t i = h->count++;
    for (; i > 0 && before(&c, &h->items[(i - 1) / 2]); i = (i - 1) / 2)
        h->items[i] = h->items[(i - 1) / 2];
    h->items[i] = c;
}

static struct candidate heap_pop(struct heap *h)
{
    struct candidate top = h->items[0], last = h->items[--h->count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && before(&h->items[child + 1], &h->items[child]))
            child++;
        if (!before(&h->items[child], &last))
            break;
        h->items[i] = h->items[child];
        i = child;
    }
    h->items[i] = last;
    return top;
}

static void consider(const struct bpe *b, struct heap *h, const struct symbol *s, int32_t at)
{
    const struct merge *m = at >= 0 && s[at].right >= 0 ? find_merge(b, s[at].id, s[s[at].right].id) : NULL;
    if (m)
        heap_push(h, (struct candidate){ m->rank, at, m->made });
}

static void join_all(const struct bpe *b, struct symbol *s, int32_t count)
{
    struct heap h = { 0 };

    for (int32_t i = 0; i + 1 < count; i++)
        consider(b, &h, s, i);
    while (h.count > 0) {
        struct candidate c = heap_pop(&h);
        int32_t right = s[c.at].id < 0 ? -1 : s[c.at].right;
        const struct merge *m = right < 0 ? NULL : find_merge(b, s[c.at].id, s[right].id);
        if (!m || m->made != c.made)
            continue; /* a neighbour was joined elsewhere meanwhile */
        s[c.at].id = c.made;
        s[c.at].right = s[right].right;
        s[right].id = -1;
        if (s[right].right >= 0)
            s[s[right].right].left = c.at;
        consider(b, &h, s, s[c.at].left);
        consider(b, &h, s, c.at);
    }
    free(h.items);
}

static void push_symbol(struct symbol *s, int32_t *count, int32_t id)
{
    s[*count] = (struct symbol){ .id = id, .left = *count - 1, .right = *count + 1 };
    ++*count;
}

/* One symbol per character, or per byte where the vocabulary falls back to bytes. */
static int32_t first_symbols(const struct bpe *b, const char *text, size_t size, struct symbol *s)
{
    int32_t count = 0;
    bool unknown_open = false; /* an unknown character stands right before */

    for (size_t at = 0; at < size;) {
        uint32_t c;
        size_t n = utf8_next(text + at, size - at, &c);
        int32_t id = bpe_find(b, text + at, n);
        if (id >= 0) {
            push_symbol(s, &count, id);
            unknown_open = false;
        } else if (b->byte_fallback) {
            for (size_t i = 0; i < n; i++)
                push_symbol(s, &count, b->byte_piece[(uint8_t)text[at + i]]);
        } else if (b->unknown >= 0) {
            if (!unknown_open || !b->fuse_unknown)
                push_symbol(s, &count, b->unknown);
            unknown_open = true;
        }
        at += n;
    }
    if (count > 0)
        s[count - 1].right = -1;
    return count;
}

void bpe_encode(const struct bpe *b, const char *text, size_t size, struct token_ids *ids)
{
    int32_t whole = b->ignore_merges ? bpe_find(b, text, size) : -1;

    if (whole >= 0) {
        token_ids_push(ids, whole);
        return;
    }
    struct symbol *s = xmalloc((size ? size : 1) * sizeof *s);
    int32_t count = first_symbols(b, text, size, s);
    join_all(b, s, count);
    for (int32_t i = 0; i < count; i++)
        if (s[i].id >= 0)
            token_ids_push(ids, s[i].id);
    free(s);
}

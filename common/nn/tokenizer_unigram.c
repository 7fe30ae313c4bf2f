/* The unigram model: the split of a piece into vocabulary entries whose log probabilities add up to the most (Viterbi),
 * with the ties, the penalty for unknown characters and the joining of neighbouring unknowns of the HuggingFace
 * tokenizers library. */
#include "common/base/arena.h"
#include "common/nn/tokenizer_internal.h"
#include "common/nn/trie.h"
#include "common/nn/unicode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN_PENALTY 10.0

struct unigram {
    struct trie *trie;
    double *score; /* by id */
    double unknown_score;
    int32_t unknown; /* -1: unknown characters are an error */
    bool byte_fallback;
    int32_t byte_piece[256]; /* meaningful with byte_fallback */
};

static bool read_entry(struct unigram *u, const json_t *item, size_t id, struct vocab *v, struct error *err)
{
    const json_t *text = json_array_get(item, 0);
    const json_t *score = json_array_get(item, 1);

    if (json_array_size(item) != 2 || !json_is_string(text) || !json_is_number(score) ||
        !isfinite(json_number_value(score)))
        return error_set(err, ERROR_INPUT, "model.vocab[%zu] is not [piece, score]", id);
    u->score[id] = json_number_value(score);
    return vocab_set(v, (int64_t)id, json_string_value(text), json_string_length(text), err);
}

static bool read_byte_pieces(struct unigram *u)
{
    for (int i = 0; i < 256; i++) {
        char name[8];
        byte_piece_name((uint8_t)i, name);
        u->byte_piece[i] = trie_find(u->trie, name, strlen(name));
        if (u->byte_piece[i] < 0)
            return false;
    }
    return true;
}

struct unigram *unigram_new(const json_t *model, struct vocab *v, struct error *err)
{
    const json_t *list = json_object_get(model, "vocab");
    const json_t *unknown = json_object_get(model, "unk_id");
    size_t count = json_array_size(list);
    struct unigram *u = xcalloc(1, sizeof *u);
    struct trie_entry *entries = xcalloc(count ? count : 1, sizeof *entries);
    double least = INFINITY;

    u->unknown = -1;
    if (count == 0 || count > TOKENIZER_MAX_ID) {
        error_set(err, ERROR_INPUT, "model.vocab must be a list of 1 to %d pieces", TOKENIZER_MAX_ID);
        goto fail;
    }
    if (unknown && !json_is_null(unknown)) {
        if (!json_is_integer(unknown) || json_integer_value(unknown) < 0 ||
            json_integer_value(unknown) >= (json_int_t)count) {
            error_set(err, ERROR_INPUT, "model.unk_id must be an id below %zu", count);
            goto fail;
        }
        u->unknown = (int32_t)json_integer_value(unknown);
    }
    u->score = xcalloc(count, sizeof *u->score);
    for (size_t id = 0; id < count; id++) {
        if (!read_entry(u, json_array_get(list, id), id, v, err))
            goto fail;
        entries[id] = (struct trie_entry){ v->entries[id].text, v->entries[id].size, (int32_t)id };
        least = u->score[id] < least ? u->score[id] : least;
    }
    u->unknown_score = least - UNKNOWN_PENALTY;
    u->trie = trie_new(entries, count);
    u->byte_fallback = json_is_true(json_object_get(model, "byte_fallback")) && read_byte_pieces(u);
    free(entries);
    return u;

fail:
    free(entries);
    unigram_free(&u);
    return NULL;
}

void unigram_free(struct unigram **u)
{
    if (!*u)
        return;
    trie_free(&(*u)->trie);
    free((*u)->score);
    free(*u);
    *u = NULL;
}

int32_t unigram_find(const struct unigram *u, const char *text, size_t size)
{
    return trie_find(u->trie, text, size);
}

/* The best way to reach a byte position. */
struct step {
    double score;
    uint32_t from; /* where its last entry starts; UINT32_MAX: not reached yet */
    int32_t id;
};

static void offer(struct step *s, double score, size_t from, int32_t id)
{
    if (s->from != UINT32_MAX && !(score > s->score))
        return;
    *s = (struct step){ score, (uint32_t)from, id };
}

static bool fill_steps(const struct unigram *u, const char *text, size_t size, struct step *best, struct error *err)
{
    for (size_t i = 0; i <= size; i++)
        best[i] = (struct step){ 0.0, UINT32_MAX, 0 };
    for (size_t at = 0; at < size;) {
        uint32_t c;
        size_t character = utf8_next(text + at, size - at, &c);
        bool known = false; /* the one character is an entry itself */
        uint32_t node = TRIE_ROOT;
        for (size_t end = at; end < size;) {
            node = trie_step(u->trie, node, (uint8_t)text[end++]);
            if (node == TRIE_NONE)
                break;
            int32_t id = trie_value(u->trie, node);
            if (id < 0)
                continue;
            offer(&best[end], u->score[id] + best[at].score, at, id);
            known |= end - at == character;
        }
        if (!known) {
            if (u->unknown < 0)
                return error_set(err, ERROR_INPUT, "U+%04X is not in the tokenizer's vocabulary, which has no unk_id",
                                 (unsigned)c);
            offer(&best[at + character], u->unknown_score + best[at].score, at, u->unknown);
        }
        at += character;
    }
    return true;
}

/* The ids of bytes that were not found as an entry. */
static void push_unknown(const struct unigram *u, const char *text, size_t size, struct token_ids *ids)
{
    int32_t id = trie_find(u->trie, text, size); /* joined unknowns may spell an entry */

    if (id < 0 && u->byte_fallback) {
        for (size_t i = 0; i < size; i++)
            token_ids_push(ids, u->byte_piece[(uint8_t)text[i]]);
        return;
    }
    token_ids_push(ids, id >= 0 ? id : u->unknown);
}

bool unigram_encode(const struct unigram *u, const char *text, size_t size, struct token_ids *ids, struct error *err)
{
    struct step *best = xmalloc((size + 1) * sizeof *best);
    bool ok = fill_steps(u, text, size, best, err);

    if (ok) {
        /* Turn the way back into a way forward: best[i].from becomes the end of the entry that starts at i. */
        uint32_t end = (uint32_t)size;
        int32_t id = best[end].id;
        uint32_t from = best[end].from;
        for (uint32_t at = end; at > 0;) {
            uint32_t start = from;
            int32_t mine = id;
            from = best[start].from;
            id = best[start].id;
            best[start] = (struct step){ 0.0, at, mine };
            at = start;
        }
        for (uint32_t at = 0; at < size;) {
            if (best[at].id != u->unknown) {
                token_ids_push(ids, best[at].id);
                at = best[at].from;
                continue;
            }
            uint32_t first = at;
            while (at < size && best[at].id == u->unknown)
                at = best[at].from;
            push_unknown(u, text + first, at - first, ids);
        }
    }
    free(best);
    return ok;
}

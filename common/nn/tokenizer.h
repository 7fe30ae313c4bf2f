/* tokenizer - text to token ids and back, as tokenizer.json says: unigram with its normalizers, or byte-level BPE. */
#ifndef SHOTLINE_NN_TOKENIZER_H
#define SHOTLINE_NN_TOKENIZER_H

#include "common/base/error.h"
#include "common/base/str.h"

#include <stdint.h>

struct tokenizer;

/* Reads a `tokenizer.json`. A model, normalizer or pre-tokenizer of an unknown type is an error that names it. */
struct tokenizer *tokenizer_open(const char *path, struct error *err);
/* The same from the file's bytes; `where` names them in messages. */
struct tokenizer *tokenizer_parse(const char *json, size_t size, const char *where, struct error *err);
void tokenizer_close(struct tokenizer **t);

struct token_ids {
    int32_t *ids;
    size_t count, room;
};
void token_ids_push(struct token_ids *t, int32_t id);
void token_ids_free(struct token_ids *t);

/* Appends the ids of `text`, without special tokens added by a post-processor; added tokens inside the text are
 * recognised. */
bool tokenizer_encode(const struct tokenizer *t, const char *text, size_t size, struct token_ids *ids,
                      struct error *err);

/* Appends the bytes that `id` stands for (byte-level BPE: raw bytes; unigram: the piece with U+2581 as a space). */
bool tokenizer_decode(const struct tokenizer *t, int32_t id, struct str *text);

int32_t tokenizer_size(const struct tokenizer *t); /* ids are below this */
int32_t tokenizer_find(const struct tokenizer *t,
                       const char *token); /* an added or vocabulary token by its written form, or -1 */

/* Whether `id` is an added token: recognised in the text as a whole, and no part of ordinary words. */
bool tokenizer_is_added(const struct tokenizer *t, int32_t id);

/* Appends what the published pipelines give their tokenizer for a prompt: ftfy's usual repairs (curly quotes,
 * full-width forms, ligatures, mojibake, NFC), html unescaped twice, Unicode white space to single spaces, strip. Never
 * fails; bytes that are no UTF-8 become U+FFFD. */
void prompt_clean(const char *prompt, struct str *to);

#endif

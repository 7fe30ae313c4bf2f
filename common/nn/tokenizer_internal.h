/* tokenizer_internal - the stages of a tokenizer: added tokens (tokenizer.c), normalizer (tokenizer_normalize.c),
 * pre-tokenizer (tokenizer_split.c), and the model (tokenizer_unigram.c, tokenizer_bpe.c). */
#ifndef SHOTLINE_NN_TOKENIZER_INTERNAL_H
#define SHOTLINE_NN_TOKENIZER_INTERNAL_H

#include "common/base/json.h"
#include "common/nn/tokenizer.h"

/* Ids are below this, so that a hostile file cannot ask for a table of gigabytes. */
#define TOKENIZER_MAX_ID (1 << 22)

/* Longer texts are refused: positions fit 32 bits. */
#define TOKENIZER_MAX_TEXT (16 << 20)

/* ---- normalizer: text to text ---- */
struct normalizer;

/* `json` is the "normalizer" value of a tokenizer.json: NULL or null gives one that changes nothing. */
struct normalizer *normalizer_new(const json_t *json, struct error *err);
void normalizer_free(struct normalizer **n);
bool normalizer_apply(const struct normalizer *n, const char *text, size_t size, struct str *to, struct error *err);

/* ---- pre-tokenizer: text to pieces, each of which the model sees alone ---- */
struct piece {
    size_t first, size; /* bytes of the list's text */
    bool opens;         /* stands at the very start of the text that was asked for */
};

struct pieces {
    struct str text;
    struct piece *items;
    size_t count, room;
};

/* Appends a piece with these bytes; an empty one is dropped. */
void pieces_push(struct pieces *p, const char *text, size_t size, bool opens);
void pieces_free(struct pieces *p);

struct splitter;
struct splitter *splitter_new(const json_t *json, struct error *err);
void splitter_free(struct splitter **s);
bool splitter_byte_level(const struct splitter *s); /* pieces are in the byte alphabet */
/* Replaces the pieces in *p by their parts. */
bool splitter_apply(const struct splitter *s, struct pieces *p, struct error *err);

/* The byte alphabet of GPT-2: one printable character for every byte. */
uint32_t byte_alphabet(uint8_t byte);
int byte_of_character(uint32_t c); /* -1: no byte has it */

/* ---- models: one piece to ids ---- */
/* A vocabulary entry by id; text NULL where an id is not used. */
struct vocab_entry {
    const char *text; /* borrowed from the JSON tree, which lives as long as the tokenizer */
    size_t size;
};

struct vocab {
    struct vocab_entry *entries;
    int32_t count;
};

bool vocab_set(struct vocab *v, int64_t id, const char *text, size_t size, struct error *err);
/* How a vocabulary that falls back to bytes writes one: "<0x4A>". */
void byte_piece_name(uint8_t byte, char name[8]);

struct unigram;
struct unigram *unigram_new(const json_t *model, struct vocab *v, struct error *err);
void unigram_free(struct unigram **u);
int32_t unigram_find(const struct unigram *u, const char *text, size_t size);
bool unigram_encode(const struct unigram *u, const char *text, size_t size, struct token_ids *ids, struct error *err);

struct bpe;
struct bpe *bpe_new(const json_t *model, struct vocab *v, struct error *err);
void bpe_free(struct bpe **b);
int32_t bpe_find(const struct bpe *b, const char *text, size_t size);
void bpe_encode(const struct bpe *b, const char *text, size_t size, struct token_ids *ids);

#endif

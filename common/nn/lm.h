/* lm - a Qwen3 decoder with its KV cache (Qwen3ForCausalLM, published layout). */
#ifndef SHOTLINE_NN_LM_H
#define SHOTLINE_NN_LM_H

#include "common/nn/exec.h"

struct lm;

/* Loads DIR/config.json and DIR/model*.safetensors. The executor is borrowed. `max_tokens` bounds the KV cache; 0: what
 * a cache of LM_CACHE_BYTES holds, at most LM_MOST_TOKENS. */
#define LM_CACHE_BYTES (1ll << 30)
#define LM_MOST_TOKENS 16384
struct lm *lm_open(const char *dir, struct exec *x, int max_tokens, struct error *err);
void lm_close(struct lm **m);

int lm_vocab_size(const struct lm *m);
int lm_max_tokens(const struct lm *m);
int lm_position(const struct lm *m);        /* tokens in the cache */
void lm_rewind(struct lm *m, int position); /* forget all tokens from `position` on */

/* Feeds `count` tokens behind the cache; logits of the LAST one go to logits[vocab]. logits may be NULL. */
bool lm_feed(struct lm *m, const int32_t *ids, int count, float *logits, struct error *err);

/* As lm_feed, but logits[count][vocab] of every position (goldens). */
bool lm_feed_all(struct lm *m, const int32_t *ids, int count, float *logits, struct error *err);

#endif

/* text_encoder - the UMT5 encoder: token ids to the embedding that the painter reads. */
#ifndef SHOTLINE_WORKER_MODELS_TEXT_ENCODER_H
#define SHOTLINE_WORKER_MODELS_TEXT_ENCODER_H

#include "common/nn/exec.h"

struct text_encoder;

/* Loads DIR/config.json and DIR/model*.safetensors and checks every tensor's shape. The executor is borrowed. With
 * `taps` inner values can be read (text_encoder_tap). */
struct text_encoder *text_encoder_open(const char *dir, struct exec *x, bool taps, struct error *err);
void text_encoder_close(struct text_encoder **t);

int text_encoder_width(const struct text_encoder *t); /* d_model: columns of the embedding */

/* One pass over `count` ids; mask[i] == 0 hides token i from all others (NULL: all are seen). out[count][width]. */
bool text_encoder_run(struct text_encoder *t, const int32_t *ids, int count, const uint8_t *mask, float *out,
                      struct error *err);

/* What the pipelines feed the transformer: `count` ids of a prompt without end mark; at most rows - 1 of them are used,
 * the end mark is put behind them, the encoder sees only these, and the rest of out[rows][width] is zeros. */
bool text_encoder_embed(struct text_encoder *t, const int32_t *ids, int count, int rows, float *out, struct error *err);

/* The row of the bias tables for a key that stands `distance` behind the query. */
int text_encoder_bucket(const struct text_encoder *t, int distance);

/* An inner value of the last run: "block.0.out". Freed by the caller; NULL when there is none. */
float *text_encoder_tap(struct text_encoder *t, const char *name, struct shape *shape, struct error *err);

#endif

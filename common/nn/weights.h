/* weights - all weight files of one model folder, sharded or not, found by tensor name. */
#ifndef SHOTLINE_NN_WEIGHTS_H
#define SHOTLINE_NN_WEIGHTS_H

#include "common/base/error.h"
#include "common/nn/tensor.h"

struct weights;

/* Opens DIR/STEM.safetensors, or the shards of DIR/STEM.safetensors.index.json. STEM is "diffusion_pytorch_model" or
 * "model". */
struct weights *weights_open(const char *dir, const char *stem, struct error *err);
void weights_close(struct weights **w);

/* NULL, with *err naming folder, tensor, what was found and what was expected. rank 0 in `expected` accepts any shape;
 * dimension -1 any size. */
const struct weight *weights_find(const struct weights *w, const char *name, const struct shape *expected,
                                  struct error *err);

#endif

/* ref_ops - what every operation of ops.h computes, as plain loops over row-major f32 arrays: the oracle.
 *
 * The loops run over independent outputs side by side (columns, channels, keys), never inside one sum, so that the
 * compiler may use vectors of any width without changing a bit. */
#ifndef SHOTLINE_NN_REF_OPS_H
#define SHOTLINE_NN_REF_OPS_H

#include "common/nn/graph_internal.h"

/* Weights of op_linear and op_conv are read in panels of this many outputs: [outputs / REF_LANES][k][REF_LANES], the
 * last panel filled up with zeros. */
#define REF_LANES 16

/* Elements of a packed weight with `outputs` outputs and `k` products each. */
int64_t ref_panels_count(int64_t outputs, int64_t k);
/* w[outputs][k] -> panels */
void ref_pack_linear(float *panels, const float *w, int64_t outputs, int64_t k);
/* w[outputs][channels][taps] -> panels with k = tap * channels + channel, the order of op_conv's sum */
void ref_pack_conv(float *panels, const float *w, int64_t outputs, int64_t channels, int64_t taps);

/* Runs one node: in[i] are its inputs' data (NULL: not there), in_shape their shapes. For OP_LINEAR and OP_CONV in[1]
 * points to panels. */
void ref_run_node(const struct graph_node *n, const float *const *in, const struct shape *const *in_shape, float *out,
                  const struct shape *out_shape);

#endif

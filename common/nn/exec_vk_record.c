/* exec_vk_record - one graph node becomes dispatches: each operation goes to the file that knows its kernels. */
#include "common/nn/exec_vk_record.h"

bool vk_record(const struct recorder *r, const struct graph_node *n, const struct gpu_range scratch[NODE_MAX_SCRATCH],
               struct error *err)
{
    switch (n->kind) {
    case OP_ADD:
    case OP_MUL:
    case OP_SCALE:
    case OP_ACT:
    case OP_CLAMP:
    case OP_MODULATE:
    case OP_GATE_ADD:
        return vk_record_elementwise(r, n, err);
    case OP_RMS_NORM:
    case OP_LAYER_NORM:
    case OP_CHANNEL_NORM:
        return vk_record_norm(r, n, err);
    case OP_LINEAR:
        return vk_record_linear(r, n, scratch, err);
    case OP_ATTENTION:
        return vk_record_attention(r, n, err);
    case OP_ROPE:
        return vk_record_rope(r, n, err);
    case OP_CONV:
        return vk_record_conv(r, n, scratch, err);
    case OP_SLICE_ROWS:
        return vk_record_slice_rows(r, n);
    case OP_SLICE_COLS:
        return vk_record_slice_cols(r, n, err);
    case OP_CONCAT_ROWS:
        return vk_record_concat_rows(r, n);
    case OP_INTERLEAVE_TIME:
        return vk_record_interleave_time(r, n, err);
    case OP_STORE:
        return vk_record_store(r, n, err);
    case OP_COUNT:
        break;
    }
    return error_set(err, ERROR_INTERNAL, "%s: operation %d is unknown to this executor", n->scope, (int)n->kind);
}

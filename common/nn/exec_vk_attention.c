/* exec_vk_attention - attention, cut by rows of queries and slices of the head. */
#include "common/nn/exec_vk_record.h"

#define SLICE_DIMS 128 /* dimensions of one attention dispatch */

bool vk_record_attention(const struct recorder *r, const struct graph_node *n, struct error *err)
{
    const struct vk_exec *x = r->x;
    const struct shape *q = shape_at(r, n->in[0]), *k = shape_at(r, n->in[1]);
    int64_t lq = q->dim[0], lk = k->dim[0], width = q->dim[1], kv_width = k->dim[1];
    int dims = n->u.attention.head_dim, heads = n->u.attention.heads;
    int64_t largest = 0;
    for (int i = 0; i < 4; i++)
        if (n->in[i] && r->range[n->in[i]].bytes > largest)
            largest = r->range[n->in[i]].bytes;
    bool texel = dims % 4 == 0 && (!n->in[3] || lk % 4 == 0) && fits_texels(x, largest) && 16 % x->lanes == 0;
    int64_t lanes = texel ? x->lanes : STORAGE_WORK;
    int64_t step = rows_per_part(x, lq, width * F32, width * F32, lanes * (int64_t)gpu_about(x->gpu)->max_groups[0]);
    int64_t others = 0; /* what is bound whole */
    for (int i = 1; i < 4; i++)
        if (n->in[i] && r->range[n->in[i]].bytes > others)
            others = r->range[n->in[i]].bytes;
    if (step <= 0 || (!texel && others > x->max_range))
        return too_large(err, n, step <= 0 ? width * F32 : others, x);
    for (int64_t row = 0; row < lq; row += step)
        for (int d0 = 0; d0 < dims; d0 += SLICE_DIMS) {
            int64_t here = least(step, lq - row);
            int slice = (int)least(SLICE_DIMS, dims - d0), unit = texel ? 4 : 1;
            struct push_attention push = {
                .lq = (int)here,
                .lk = (int)lk,
                .first = (int)row,
                .lq_total = (int)lq,
                .q_stride = (int)width,
                .kv_stride = (int)kv_width,
                .group = heads / n->u.attention.kv_heads,
                .head_dim = dims / unit,
                .d_first = d0 / unit,
                .scale = n->u.attention.scale,
            };
            struct gpu_dispatch d = {
                .kernel = texel ? KERNEL_attention_f32_texel : KERNEL_attention_f32,
                .spec = { (uint32_t)lanes, (uint32_t)(slice / unit), n->in[3] != 0, n->in[4] != 0, n->in[5] != 0 },
                .groups = { (uint32_t)((here + lanes - 1) / lanes), (uint32_t)heads, 1 },
            };
            d.bind[0] = part(r->range[n->in[0]], row * width * F32, here * width * F32);
            for (int i = 1; i < NODE_MAX_INPUTS; i++)
                d.bind[i] = n->in[i] ? texels(r->range[n->in[i]]) : d.bind[0];
            d.bind[6] = part(r->range[n->out], row * width * F32, here * width * F32);
            PUSH_OF(d, push);
            gpu_stream_dispatch(r->stream, &d);
        }
    return true;
}

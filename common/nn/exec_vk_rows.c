/* exec_vk_rows - element-wise operations, norms and rotary embeddings: work that is cut by rows. */
#include "common/nn/exec_vk_record.h"

#define FEW_COLUMNS 256 /* norm_few.comp: up to here no partial sum has two terms */

/* ---- element-wise ---- */

/* Codes of elementwise.comp. */
static uint32_t elementwise_code(enum op_kind kind)
{
    switch (kind) {
    case OP_ADD:
        return 0;
    case OP_MUL:
        return 1;
    case OP_SCALE:
        return 2;
    case OP_ACT:
        return 3;
    case OP_CLAMP:
        return 4;
    case OP_MODULATE:
        return 5;
    default:
        return 6; /* OP_GATE_ADD */
    }
}

bool vk_record_elementwise(const struct recorder *r, const struct graph_node *n, struct error *err)
{
    const struct vk_exec *x = r->x;
    int64_t count = count_at(r, n->out), cols = shape_cols(shape_at(r, n->out));
    bool one_row[3] = { false };
    bool broadcast = false;
    for (int i = 1; i < 3; i++)
        if (n->in[i] && count_at(r, n->in[i]) != count) {
            one_row[i] = true;
            broadcast = true;
        }
    int64_t bytes = round_up(count * F32, 16);
    bool texel = fits_texels(x, bytes) && (!broadcast || cols % 4 == 0);
    int64_t unit = texel ? 4 : 1; /* floats per element of the kernel */
    int64_t lanes = texel ? x->lanes : STORAGE_WORK;
    int64_t all = (count + unit - 1) / unit, width = broadcast ? cols / unit : lanes;
    int64_t rows = (all + width - 1) / width;
    int64_t step = rows_per_part(x, rows, width * unit * F32, width * unit * F32,
                                 ROW_ITEMS * (int64_t)gpu_about(x->gpu)->max_groups[1]);
    if (step <= 0)
        return too_large(err, n, width * unit * F32, x);
    for (int64_t row = 0; row < rows; row += step) {
        int64_t here = least(step, rows - row), at = row * width * unit * F32;
        int64_t size = least(here * width * unit * F32, bytes - at);
        struct push_elementwise push = {
            .rows = (int)here,
            .cols = (int)width,
            .count = (int)least(here * width, all - row * width),
            .b_stride = one_row[1] ? 0 : 1,
            .c_stride = one_row[2] ? 0 : 1,
            .f0 = n->kind == OP_CLAMP   ? n->u.clamp.low
                  : n->kind == OP_SCALE ? n->u.factor
                                        : 0.0f,
            .f1 = n->kind == OP_CLAMP ? n->u.clamp.high : 0.0f,
        };
        struct gpu_dispatch d = {
            .kernel = texel ? KERNEL_elementwise_f32_texel : KERNEL_elementwise_f32,
            .spec = { (uint32_t)lanes, ROW_ITEMS, elementwise_code(n->kind),
                      n->kind == OP_ACT ? (uint32_t)n->u.act : 0 },
            .groups = { (uint32_t)((width + lanes - 1) / lanes), (uint32_t)((here + ROW_ITEMS - 1) / ROW_ITEMS), 1 },
        };
        for (int i = 0; i < 3; i++) {
            int32_t in = n->in[i] ? n->in[i] : n->in[0];
            d.bind[i] = n->in[i] && one_row[i] ? texels(r->range[in]) : part(r->range[in], at, size);
        }
        d.bind[3] = part(r->range[n->out], at, size);
        PUSH_OF(d, push);
        gpu_stream_dispatch(r->stream, &d);
    }
    return true;
}

/* ---- rows ---- */

bool vk_record_norm(const struct recorder *r, const struct graph_node *n, struct error *err)
{
    const struct vk_exec *x = r->x;
    const struct shape *s = shape_at(r, n->out);
    int64_t rows = shape_rows(s), cols = shape_cols(s);
    bool texel = cols % 4 == 0 && fits_texels(x, rows * cols * F32);
    int64_t lanes = texel ? x->lanes : 4;
    bool few = texel && cols <= FEW_COLUMNS;
    /* Rows of a workgroup: where they are short a lane owns one, else eight lanes share it. */
    int64_t per_group = !texel ? 4 : few ? lanes : lanes > 8 ? lanes / 8 : 1;
    int64_t step = rows_per_part(x, rows, cols * F32, cols * F32, per_group * most_spread(x));
    if (step <= 0)
        return too_large(err, n, cols * F32, x);
    bool channel = n->kind == OP_CHANNEL_NORM;
    for (int64_t row = 0; row < rows; row += step) {
        int64_t here = least(step, rows - row);
        struct push_norm push = {
            .rows = (int)here,
            .cols = (int)cols,
            .eps = channel ? 0.0f : n->u.norm.eps,
            .inv_cols = channel ? 0.0f : n->u.norm.inv_cols,
            .sqrt_cols = channel ? n->u.channel_norm.sqrt_cols : 0.0f,
        };
        struct gpu_dispatch d = {
            .kernel = few     ? KERNEL_norm_few_f32_texel
                      : texel ? KERNEL_norm_f32_texel
                              : KERNEL_norm_f32,
            .spec = { (uint32_t)lanes,
                      n->kind == OP_RMS_NORM     ? 0
                      : n->kind == OP_LAYER_NORM ? 1
                                                 : 2,
                      channel ? (uint32_t)n->u.channel_norm.act : 0, n->in[1] ? 1 : 0, few ? (uint32_t)cols / 4 : 0 },
        };
        d.bind[0] = part(r->range[n->in[0]], row * cols * F32, here * cols * F32);
        for (int i = 1; i < 3; i++)
            d.bind[i] = n->in[i] ? texels(r->range[n->in[i]]) : d.bind[0];
        d.bind[3] = part(r->range[n->out], row * cols * F32, here * cols * F32);
        spread(x, d.groups, (here + per_group - 1) / per_group);
        PUSH_OF(d, push);
        gpu_stream_dispatch(r->stream, &d);
    }
    return true;
}

bool vk_record_rope(const struct recorder *r, const struct graph_node *n, struct error *err)
{
    const struct vk_exec *x = r->x;
    const struct shape *s = shape_at(r, n->out);
    int64_t rows = shape_rows(s), cols = shape_cols(s), half = cols / n->u.rope.heads / 2;
    bool texel = half % 4 == 0 && fits_texels(x, rows * cols * F32);
    int64_t lanes = texel ? x->lanes : STORAGE_WORK;
    int64_t steps = n->u.rope.heads * (texel ? half / 4 : half); /* of one row */
    int64_t step = rows_per_part(x, rows, cols * F32, half * F32, lanes * most_spread(x) / steps);
    if (step <= 0)
        return too_large(err, n, cols * F32, x);
    for (int64_t row = 0; row < rows; row += step) {
        int64_t here = least(step, rows - row);
        struct push_rope push = { (int)here, n->u.rope.heads, (int)half };
        struct gpu_dispatch d = {
            .kernel = texel ? KERNEL_rope_f32_texel : KERNEL_rope_f32,
            .spec = { (uint32_t)lanes, n->u.rope.kind == ROPE_HALF ? 1 : 0 },
            .bind = { part(r->range[n->in[0]], row * cols * F32, here * cols * F32),
                      part(r->range[n->in[1]], row * half * F32, here * half * F32),
                      part(r->range[n->in[2]], row * half * F32, here * half * F32),
                      part(r->range[n->out], row * cols * F32, here * cols * F32) },
        };
        spread(x, d.groups, (here * steps + lanes - 1) / lanes);
        PUSH_OF(d, push);
        gpu_stream_dispatch(r->stream, &d);
    }
    return true;
}

/* exec_vk_copy - operations that only move data. */
#include "common/nn/exec_vk_record.h"

struct strided {
    int64_t rows, cols, x_cols;
    int64_t block;
    int64_t x_stride, x_block, x_first, y_stride, y_block, y_first;
    int64_t y_rows;
};

static void copy_strided(const struct recorder *r, struct gpu_range from, struct gpu_range to, const struct strided *c,
                         const struct gpu_range *at)
{
    const int lanes = r->x->texel ? r->x->lanes : 32;
    bool fours =
        (c->cols | c->x_cols | c->x_stride | c->x_block | c->x_first | c->y_stride | c->y_block | c->y_first) % 4 == 0;
    bool texel = fours && fits_texels(r->x, from.bytes);
    int64_t unit = texel ? 4 : 1;
    struct push_copy push = {
        .rows = (int)c->rows,
        .cols = (int)(c->cols / unit),
        .block = (int)c->block,
        .x_stride = (int)(c->x_stride / unit),
        .x_block = (int)(c->x_block / unit),
        .x_first = (int)(c->x_first / unit),
        .y_stride = (int)(c->y_stride / unit),
        .y_block = (int)(c->y_block / unit),
        .y_first = (int)(c->y_first / unit),
        .x_cols = (int)(c->x_cols / unit),
        .has_at = at ? 1 : 0,
        .y_rows = (int)c->y_rows,
    };
    bool narrow = push.cols < lanes;
    int64_t rows = narrow ? lanes : ROW_ITEMS; /* of a workgroup */
    struct gpu_dispatch d = {
        .kernel = texel ? KERNEL_copy_f32_texel : KERNEL_copy_f32,
        .spec = { (uint32_t)lanes, ROW_ITEMS, narrow },
        .bind = { texel ? texels(from) : from,
                  at      ? texels(*at)
                  : texel ? texels(from)
                          : from,
                  to },
        .groups = { (uint32_t)(narrow ? 1 : (push.cols + lanes - 1) / lanes), (uint32_t)((c->rows + rows - 1) / rows),
                    1 },
    };
    PUSH_OF(d, push);
    gpu_stream_dispatch(r->stream, &d);
}

static int64_t most_copy_rows(const struct vk_exec *x)
{
    return (x->lanes < ROW_ITEMS ? x->lanes : ROW_ITEMS) * (int64_t)gpu_about(x->gpu)->max_groups[1];
}

bool vk_record_copy_cols(const struct recorder *r, const struct graph_node *n, struct gpu_range from,
                         struct gpu_range to, int64_t rows, int64_t x_cols, int64_t y_cols, int64_t first,
                         struct error *err)
{
    int64_t step = rows_per_part(r->x, rows, x_cols * F32, y_cols * F32, most_copy_rows(r->x));
    if (step <= 0)
        return too_large(err, n, (x_cols > y_cols ? x_cols : y_cols) * F32, r->x);
    for (int64_t row = 0; row < rows; row += step) {
        int64_t here = least(step, rows - row);
        const struct strided c = { .rows = here,
                                   .cols = y_cols,
                                   .x_cols = x_cols - first,
                                   .block = here,
                                   .x_stride = x_cols,
                                   .x_first = first,
                                   .y_stride = y_cols,
                                   .y_rows = here };
        copy_strided(r, part(from, row * x_cols * F32, here * x_cols * F32),
                     part(to, row * y_cols * F32, here * y_cols * F32), &c, NULL);
    }
    return true;
}

/* The range of `rows` outermost rows; ranges of slices may be views into others (exec_vk.c), in which case nothing
 * moves. */
bool vk_record_slice_rows(const struct recorder *r, const struct graph_node *n)
{
    struct gpu_range from = r->range[n->in[0]], to = r->range[n->out];
    const struct shape *s = shape_at(r, n->in[0]);
    int64_t at = shape_count(s) / s->dim[0] * n->u.slice.first * F32, bytes = count_at(r, n->out) * F32;
    if (to.buffer != from.buffer || to.offset != from.offset + at)
        gpu_stream_copy(r->stream, part(from, at, bytes), part(to, 0, bytes));
    return true;
}

bool vk_record_slice_cols(const struct recorder *r, const struct graph_node *n, struct error *err)
{
    return vk_record_copy_cols(r, n, r->range[n->in[0]], r->range[n->out], shape_rows(shape_at(r, n->out)),
                               shape_cols(shape_at(r, n->in[0])), shape_cols(shape_at(r, n->out)), n->u.slice.first,
                               err);
}

bool vk_record_concat_rows(const struct recorder *r, const struct graph_node *n)
{
    int64_t a = count_at(r, n->in[0]) * F32, b = count_at(r, n->in[1]) * F32;
    gpu_stream_copy(r->stream, part(r->range[n->in[0]], 0, a), part(r->range[n->out], 0, a));
    gpu_stream_copy(r->stream, part(r->range[n->in[1]], 0, b), part(r->range[n->out], a, b));
    return true;
}

bool vk_record_interleave_time(const struct recorder *r, const struct graph_node *n, struct error *err)
{
    const struct shape *s = shape_at(r, n->in[0]);
    int64_t pixels = s->dim[1] * s->dim[2], wide = s->dim[3], narrow = wide / 2, frame = pixels * wide * F32;
    int64_t step = rows_per_part(r->x, s->dim[0], frame, frame, most_copy_rows(r->x) / pixels);
    if (step <= 0)
        return too_large(err, n, frame, r->x);
    for (int64_t t = 0; t < s->dim[0]; t += step)
        for (int half = 0; half < 2; half++) {
            int64_t here = least(step, s->dim[0] - t);
            const struct strided c = { .rows = here * pixels,
                                       .cols = narrow,
                                       .x_cols = narrow,
                                       .block = pixels,
                                       .x_stride = wide,
                                       .x_block = pixels * wide,
                                       .x_first = half * narrow,
                                       .y_stride = narrow,
                                       .y_block = 2 * pixels * narrow,
                                       .y_first = half * pixels * narrow,
                                       .y_rows = here * pixels };
            copy_strided(r, part(r->range[n->in[0]], t * frame, here * frame),
                         part(r->range[n->out], t * frame, here * frame), &c, NULL);
        }
    return true;
}

bool vk_record_store(const struct recorder *r, const struct graph_node *n, struct error *err)
{
    struct gpu_range state = r->range[n->in[0]], from = r->range[n->in[1]];
    const struct shape *s = shape_at(r, n->in[0]);
    int64_t bytes = count_at(r, n->in[1]) * F32, cols = shape_count(s) / s->dim[0];
    if (!n->in[2]) {
        gpu_stream_copy(r->stream, part(from, 0, bytes), part(state, 0, bytes));
        return true;
    }
    int64_t rows = shape_at(r, n->in[1])->dim[0];
    if (state.bytes > r->x->max_range || bytes > r->x->max_range || rows > most_copy_rows(r->x))
        return too_large(err, n, state.bytes, r->x);
    const struct strided c = { .rows = rows,
                               .cols = cols,
                               .x_cols = cols,
                               .block = rows,
                               .x_stride = cols,
                               .y_stride = cols,
                               .y_rows = s->dim[0] };
    copy_strided(r, part(from, 0, bytes), state, &c, &r->range[n->in[2]]);
    return true;
}

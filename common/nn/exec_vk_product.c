/* exec_vk_product - matrix products and convolutions: how their weights are packed, and how they are cut into rows of
 * tiles and panels of columns. */
#include "common/nn/exec_vk_record.h"

#define FEW_ROWS    4  /* up to here a matrix product goes row by row */
#define SHARED_TILE 32 /* linear_shared.comp: TILE */

/* ---- matrix products ---- */

/* A convolution of one voxel, without padding or steps, is a product of rows. */
static bool conv_is_linear(const struct graph_node *n)
{
    for (int i = 0; i < 3; i++)
        if (n->u.conv.kernel[i] != 1 || n->u.conv.stride[i] != 1 || n->u.conv.pad_before[i] || n->u.conv.pad_after[i])
            return false;
    return !n->u.conv.upsample2;
}

/* Columns per lane: the choice that leaves the fewest lanes idle, the wider one among equals. */
static int64_t columns_per_lane(const struct vk_exec *x, int64_t n)
{
    int64_t best = 1, best_padded = INT64_MAX;
    for (int64_t t = 1; t <= 4; t++) {
        int64_t padded = round_up(n, x->lanes * t);
        if (padded <= best_padded) {
            best = t;
            best_padded = padded;
        }
    }
    return best;
}

bool vk_reads_packed(const struct vk_exec *x, const struct graph *g, const struct graph_node *n, struct pack_form *f)
{
    if (n->kind != OP_LINEAR && n->kind != OP_CONV)
        return false;
    const struct shape *w = &g->value[n->in[1]].shape;
    *f = (struct pack_form){ .n = w->dim[0], .taps = 1, .unit = x->texel ? 4 : 1, .per_lane = 1 };
    if (n->kind == OP_CONV)
        f->taps = (int64_t)n->u.conv.kernel[0] * n->u.conv.kernel[1] * n->u.conv.kernel[2];
    f->channels = shape_count(w) / w->dim[0] / f->taps;
    if (x->texel) {
        f->per_lane = (int)columns_per_lane(x, f->n);
        f->panel = (int64_t)x->lanes * f->per_lane;
        if (n->kind == OP_CONV && !conv_is_linear(n) && f->n <= x->lanes) { /* conv_few_texel.comp: CO */
            f->per_lane = 1;
            for (f->panel = 4; f->panel < f->n;)
                f->panel *= 2;
        }
        /* Texels that cannot hold one row of tiles: the storage kernels take over (SwiftShader binds 65536 texels). */
        int64_t k_bytes = round_up(f->channels, 4) * F32;
        const struct shape *in = &g->value[n->in[0]].shape;
        int64_t x_bytes = n->kind == OP_CONV ? shape_count(in) / in->dim[in->rank - 1] * k_bytes : x->lanes * k_bytes;
        if (pack_panel_bytes(f) <= x->max_texels_bytes && x_bytes <= x->max_texels_bytes)
            return true;
        f->unit = f->per_lane = 1;
    }
    int64_t k = f->channels * f->taps;
    int64_t most = (n->kind == OP_CONV ? x->max_range : least(x->max_range, 64 << 20)) / (k * F32);
    f->panel = most >= f->n ? f->n : most / SHARED_TILE * SHARED_TILE;
    if (f->panel <= 0)
        f->panel = SHARED_TILE;
    return true;
}

/* Neighbouring columns go out as 64-bit words where every pair starts even. */
static uint32_t stores_wide(const struct pack_form *f, int64_t row)
{
    return f->per_lane % 2 == 0 && row % 2 == 0;
}

static void pack_made(const struct recorder *r, struct gpu_range from, struct gpu_range to, const struct pack_form *f)
{
    struct push_pack push = {
        .count = (int)(pack_panels(f) * pack_panel_bytes(f) / F32),
        .n = (int)f->n,
        .channels = (int)f->channels,
        .taps = (int)f->taps,
        .panel = (int)f->panel,
        .unit = f->unit,
        .groups = (int)pack_groups(f),
        .per_lane = f->per_lane,
    };
    struct gpu_dispatch d = { .kernel = KERNEL_pack_f32, .spec = { STORAGE_WORK }, .bind = { from, to } };
    PUSH_OF(d, push);
    spread(r->x, d.groups, (push.count + STORAGE_WORK - 1) / STORAGE_WORK);
    gpu_stream_dispatch(r->stream, &d);
}

/* The packed weight: uploaded, or made by the pack kernel in this run. */
static bool bind_matrix(const struct recorder *r, const struct graph_node *n, const struct pack_form *f,
                        struct gpu_range scratch, struct gpu_range *to, struct error *err)
{
    const struct graph_value *w = &r->g->value[r->g->value[n->in[1]].base];
    if (w->kind == VALUE_WEIGHT && r->feed) {
        *to = vk_feed_place(r->feed, w->weight, f);
        return true;
    }
    if (w->kind == VALUE_WEIGHT) {
        if (!vk_weight_packed(r->x, w->weight, f, to, err))
            return false;
        vk_weights_hold(r->x, r->held, to->buffer);
        return true;
    }
    if (round_up(pack_panels(f) * pack_panel_bytes(f), 16) > r->x->max_range ||
        r->range[n->in[1]].bytes > r->x->max_range)
        return too_large(err, n, pack_panels(f) * pack_panel_bytes(f), r->x);
    pack_made(r, r->range[n->in[1]], scratch, f);
    *to = scratch;
    return true;
}

struct product {
    int64_t rows, k, n; /* k in units of the form */
    enum activation act;
    struct pack_form form;
    struct gpu_range x, w, bias, y;
    bool has_bias;
};

/* Rows r0 .. r0 + rows times panels p0 .. p0 + panels. */
static void product_part(const struct recorder *r, const struct product *m, int64_t row, int64_t rows, int64_t panel,
                         int64_t panels)
{
    const struct vk_exec *x = r->x;
    bool texel = m->form.unit == 4;
    int64_t first = panel * m->form.panel, columns = least(panels * m->form.panel, m->n - first);
    int64_t x_row = m->k * m->form.unit * F32;
    struct push_linear push = {
        .m = (int)rows,
        .n = (int)columns,
        .k = (int)m->k,
        .n_first = (int)first,
        .y_stride = (int)m->n,
        .has_bias = m->has_bias,
        .w_stride = (int)m->form.panel,
    };
    struct gpu_dispatch d = {
        .bind = { part(m->x, row * x_row, rows * x_row),
                  part(m->w, panel * pack_panel_bytes(&m->form), panels * pack_panel_bytes(&m->form)), m->bias,
                  part(m->y, row * m->n * F32, rows * m->n * F32) },
    };
    PUSH_OF(d, push);
    if (texel) {
        uint32_t lanes = (uint32_t)x->lanes, tn = (uint32_t)m->form.per_lane;
        uint32_t tm = lanes < 16 ? 16 : lanes;
        if (rows <= FEW_ROWS) {
            d.kernel = KERNEL_linear_row_f32_texel;
            d.spec[0] = lanes;
            d.spec[1] = tn;
            d.spec[2] = (uint32_t)m->act;
            d.groups[0] = (uint32_t)rows;
        } else {
            d.kernel = KERNEL_linear_f32_texel;
            d.spec[0] = lanes;
            d.spec[1] = tm;
            d.spec[2] = tn;
            d.spec[3] = (uint32_t)m->act;
            d.spec[4] = stores_wide(&m->form, m->n);
            d.groups[0] = (uint32_t)((rows + tm - 1) / tm);
        }
        d.groups[1] = (uint32_t)panels;
    } else {
        d.kernel = KERNEL_linear_f32;
        d.spec[0] = (uint32_t)m->act;
        d.groups[0] = (uint32_t)((rows + SHARED_TILE - 1) / SHARED_TILE);
        d.groups[1] = (uint32_t)((columns + SHARED_TILE - 1) / SHARED_TILE);
    }
    gpu_stream_dispatch(r->stream, &d);
}

bool vk_record_linear(const struct recorder *r, const struct graph_node *n,
                      const struct gpu_range scratch[NODE_MAX_SCRATCH], struct error *err)
{
    const struct vk_exec *x = r->x;
    const struct shape *s = shape_at(r, n->out);
    struct product m = { .n = shape_cols(s),
                         .rows = shape_rows(s),
                         .act = n->kind == OP_LINEAR ? n->u.linear.act : ACT_NONE,
                         .x = r->range[n->in[0]],
                         .has_bias = n->in[2] != 0,
                         .y = r->range[n->out] };
    vk_reads_packed(x, r->g, n, &m.form);
    m.k = pack_groups(&m.form);
    if (!bind_matrix(r, n, &m.form, scratch[1], &m.w, err))
        return false;
    m.bias = m.has_bias ? r->range[n->in[2]] : m.w;
    m.bias.bytes = least(m.bias.bytes, x->max_range);
    int64_t x_cols = shape_cols(shape_at(r, n->in[0]));
    if (m.form.unit == 4 && x_cols % 4 != 0) {
        if (!vk_record_copy_cols(r, n, m.x, scratch[0], m.rows, x_cols, m.k * 4, 0, err))
            return false;
        m.x = scratch[0];
    }
    int64_t x_row = m.k * m.form.unit * F32, y_row = m.n * F32;
    int64_t row_limit = 16 * (int64_t)gpu_about(x->gpu)->max_groups[0];
    if (m.form.unit == 4)
        row_limit = least(row_limit, x->max_texels_bytes / x_row);
    int64_t step = rows_per_part(x, m.rows, x_row, y_row, row_limit);
    if (step <= 0)
        return too_large(err, n, x_row > y_row ? x_row : y_row, x);
    int64_t panel_limit = (m.form.unit == 4 ? x->max_texels_bytes : x->max_range) / pack_panel_bytes(&m.form);
    panel_limit = least(panel_limit, gpu_about(x->gpu)->max_groups[1]);
    if (m.form.unit == 1)
        panel_limit = 1; /* each panel is a matrix of its own row length */
    for (int64_t panel = 0; panel < pack_panels(&m.form); panel += panel_limit)
        for (int64_t row = 0; row < m.rows; row += step)
            product_part(r, &m, row, least(step, m.rows - row), panel,
                         least(panel_limit, pack_panels(&m.form) - panel));
    return true;
}

/* ---- convolution ---- */

struct window { /* frames of x that some voxels read */
    int64_t first, count;
};

static struct window frames_read(const struct graph_node *n, const struct shape *in, int64_t frame0, int64_t frame1)
{
    int64_t from = frame0 * n->u.conv.stride[0] - n->u.conv.pad_before[0];
    int64_t to = frame1 * n->u.conv.stride[0] - n->u.conv.pad_before[0] + n->u.conv.kernel[0];
    from = from < 0 ? 0 : from;
    to = least(to, in->dim[0]);
    if (from >= to) /* all in the padding: bind something */
        return (struct window){ 0, 1 };
    return (struct window){ from, to - from };
}

bool vk_record_conv(const struct recorder *r, const struct graph_node *n,
                    const struct gpu_range scratch[NODE_MAX_SCRATCH], struct error *err)
{
    if (conv_is_linear(n))
        return vk_record_linear(r, n, scratch, err);
    const struct vk_exec *x = r->x;
    const struct shape *in = shape_at(r, n->in[0]), *out = shape_at(r, n->out);
    struct pack_form f;
    struct gpu_range w, from = r->range[n->in[0]];
    vk_reads_packed(x, r->g, n, &f);
    bool texel = f.unit == 4;
    if (pack_panels(&f) > 1 && !texel)
        return too_large(err, n, pack_panels(&f) * pack_panel_bytes(&f), x);
    if (!bind_matrix(r, n, &f, scratch[1], &w, err))
        return false;
    int64_t cin = in->dim[3], cout = out->dim[3];
    if (texel && cin % 4 != 0) {
        if (!vk_record_copy_cols(r, n, from, scratch[0], shape_rows(in), cin, pack_groups(&f) * 4, 0, err))
            return false;
        from = scratch[0];
    }
    cin = pack_groups(&f) * f.unit;
    int64_t in_frame = in->dim[1] * in->dim[2] * cin * F32, out_frame = out->dim[1] * out->dim[2];
    bool few = texel && cout <= x->lanes;
    int64_t per_lane = f.panel <= 4 ? 8 : 4; /* voxels, where a lane owns them */
    int64_t voxels = shape_rows(out), tile = few     ? per_lane * x->lanes
                                             : texel ? (x->lanes < 16 ? 16 : x->lanes)
                                                     : SHARED_TILE;
    int64_t step = rows_per_part(x, voxels, cout * F32, cout * F32, tile * (int64_t)gpu_about(x->gpu)->max_groups[0]);
    if (step < voxels && step > out_frame) /* whole frames, so that no part reads more of x than it must */
        step = step / (out_frame * x->alignment) * out_frame * x->alignment > 0
                   ? step / (out_frame * x->alignment) * out_frame * x->alignment
                   : step;
    if (step <= 0)
        return too_large(err, n, cout * F32, x);
    int64_t range_limit = texel ? x->max_texels_bytes : x->max_range;
    for (int64_t v = 0; v < voxels;) {
        int64_t here = least(step, voxels - v);
        struct window win = frames_read(n, in, v / out_frame, (v + here - 1) / out_frame);
        while (!texel && win.count * in_frame > range_limit && here > out_frame) {
            here = rows_per_part(x, voxels, cout * F32, cout * F32,
                                 here / 2); /* the storage kernel reads fewer frames at once */
            if (here <= 0)
                break;
            win = frames_read(n, in, v / out_frame, (v + here - 1) / out_frame);
        }
        if (here <= 0 || win.count * in_frame > range_limit || (win.first * in_frame) % x->alignment != 0)
            win = (struct window){ 0, in->dim[0] };
        if (here <= 0 || win.count * in_frame > range_limit)
            return too_large(err, n, win.count * in_frame, x);
        struct push_conv push = {
            .h_in = (int)in->dim[1],
            .w_in = (int)in->dim[2],
            .h_out = (int)out->dim[1],
            .w_out = (int)out->dim[2],
            .voxels = (int)here,
            .first = (int)v,
            .cin = (int)(texel ? cin / 4 : cin),
            .cout = (int)cout,
            .kernel_t = n->u.conv.kernel[0],
            .kernel_h = n->u.conv.kernel[1],
            .kernel_w = n->u.conv.kernel[2],
            .stride_t = n->u.conv.stride[0],
            .stride_h = n->u.conv.stride[1],
            .stride_w = n->u.conv.stride[2],
            .pad_t = n->u.conv.pad_before[0],
            .pad_h = n->u.conv.pad_before[1],
            .pad_w = n->u.conv.pad_before[2],
            .up = n->u.conv.upsample2 ? 1 : 0,
            .has_bias = n->in[2] != 0,
            .t_first = (int)win.first,
            .t_total = (int)in->dim[0],
            .w_stride = (int)f.panel,
        };
        struct gpu_dispatch d = {
            .kernel = texel ? KERNEL_conv_f32_texel : KERNEL_conv_f32,
            .bind = { part(from, win.first * in_frame, win.count * in_frame),
                      part(w, 0, pack_panels(&f) * pack_panel_bytes(&f)),
                      n->in[2] ? r->range[n->in[2]] : part(w, 0, pack_panel_bytes(&f)),
                      part(r->range[n->out], v * cout * F32, here * cout * F32) },
            .groups = { (uint32_t)((here + tile - 1) / tile),
                        (uint32_t)(texel ? pack_panels(&f) : (cout + SHARED_TILE - 1) / SHARED_TILE), 1 },
        };
        if (few) {
            d.kernel = KERNEL_conv_few_f32_texel;
            d.spec[0] = (uint32_t)x->lanes;
            d.spec[1] = (uint32_t)per_lane;
            d.spec[2] = (uint32_t)f.panel;
            d.spec[3] = cout % 2 == 0;
        } else if (texel) {
            d.spec[0] = (uint32_t)x->lanes;
            d.spec[1] = (uint32_t)tile;
            d.spec[2] = (uint32_t)f.per_lane;
            d.spec[4] = stores_wide(&f, cout);
        }
        PUSH_OF(d, push);
        gpu_stream_dispatch(r->stream, &d);
        v += here;
    }
    return true;
}

void vk_node_scratch(const struct vk_exec *x, const struct graph *g, const struct graph_node *n,
                     int64_t bytes[NODE_MAX_SCRATCH])
{
    struct pack_form f;
    bytes[0] = bytes[1] = 0;
    if (!vk_reads_packed(x, g, n, &f))
        return;
    const struct shape *in = &g->value[n->in[0]].shape;
    if (f.unit == 4 && shape_cols(in) % 4 != 0)
        bytes[0] = shape_rows(in) * pack_groups(&f) * f.unit * F32;
    if (g->value[g->value[n->in[1]].base].kind != VALUE_WEIGHT)
        bytes[1] = pack_panels(&f) * pack_panel_bytes(&f);
}

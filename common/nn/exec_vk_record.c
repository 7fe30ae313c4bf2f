/* exec_vk_record - one graph node becomes dispatches: picks the kernel, splits what is over the device's binding range.
 */
#include "common/nn/exec_vk_internal.h"

#include "shaders/push.h"

#include <inttypes.h>

#define F32          ((int64_t)sizeof(float))
#define ROW_ITEMS    16  /* rows that one lane walks down in elementwise and copy */
#define FEW_COLUMNS  256 /* norm_few.comp: up to here no partial sum has two terms */
#define FEW_ROWS     4   /* up to here a matrix product goes row by row */
#define SHARED_TILE  32  /* linear_shared.comp: TILE */
#define SLICE_DIMS   128 /* dimensions of one attention dispatch */
#define STORAGE_WORK 64  /* lanes per workgroup of the storage kernels that have no tile */

/* ---- small helpers ---- */

static const struct shape *shape_at(const struct recorder *r, int32_t index)
{
    return &r->g->value[index].shape;
}

static int64_t count_at(const struct recorder *r, int32_t index)
{
    return shape_count(shape_at(r, index));
}

static struct gpu_range part(struct gpu_range whole, int64_t offset, int64_t bytes)
{
    return (struct gpu_range){ whole.buffer, whole.offset + offset, bytes };
}

static int64_t round_up(int64_t v, int64_t to)
{
    return (v + to - 1) / to * to;
}

/* Texels come in fours of floats; every value's place is padded so far. */
static struct gpu_range texels(struct gpu_range range)
{
    range.bytes = round_up(range.bytes, 16);
    return range;
}

static bool fits_texels(const struct vk_exec *x, int64_t bytes)
{
    return x->texel && bytes <= x->max_texels_bytes;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Rows between which a part may be cut, so that the next one starts aligned: alignment / gcd(row_bytes, alignment). */
static int64_t aligned_rows(const struct vk_exec *x, int64_t row_bytes)
{
    int64_t step = x->alignment; /* a power of two */
    while (step > 1 && row_bytes * (step / 2) % x->alignment == 0)
        step /= 2;
    return step;
}

/* How many rows one dispatch may take when rows of `a` and of `b` bytes are bound. 0: not even the fewest fit. */
static int64_t rows_per_part(const struct vk_exec *x, int64_t rows, int64_t a, int64_t b, int64_t limit_rows)
{
    int64_t most = least(x->max_range / (a > b ? a : b), limit_rows);
    if (rows <= most)
        return rows;
    int64_t step = aligned_rows(x, a) > aligned_rows(x, b) ? aligned_rows(x, a) : aligned_rows(x, b);
    return most / step * step;
}

static bool too_large(struct error *err, const struct graph_node *n, int64_t bytes, const struct vk_exec *x)
{
    return error_set(err, ERROR_MEMORY, "%s%sa row or frame of %" PRId64 " bytes, the device binds at most %" PRId64,
                     n->scope, n->scope[0] ? ": " : "", bytes, x->max_range);
}

/* Spreads a number of workgroups over x and y. */
static void spread(const struct vk_exec *x, uint32_t groups[3], int64_t total)
{
    int64_t width = gpu_about(x->gpu)->max_groups[0];
    width = least(width, 32768);
    groups[0] = (uint32_t)least(total, width);
    groups[1] = (uint32_t)((total + width - 1) / width);
}

static int64_t most_spread(const struct vk_exec *x)
{
    const struct gpu_info *i = gpu_about(x->gpu);
    return least(i->max_groups[0], 32768) * i->max_groups[1];
}

#define PUSH_OF(d, pc) ((d).push = &(pc), (d).push_bytes = (int)sizeof(pc))

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

static bool elementwise(const struct recorder *r, const struct graph_node *n, struct error *err)
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

static bool norm(const struct recorder *r, const struct graph_node *n, struct error *err)
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

static bool rope(const struct recorder *r, const struct graph_node *n, struct error *err)
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

/* Rows of another length: shorter ones take a part of each row from `first` on, longer ones end in zeros. */
static bool copy_cols(const struct recorder *r, const struct graph_node *n, struct gpu_range from, struct gpu_range to,
                      int64_t rows, int64_t x_cols, int64_t y_cols, int64_t first, struct error *err)
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

/* The packed weight: uploaded, or made by the pack kernel in this run. */
static bool bind_matrix(const struct recorder *r, const struct graph_node *n, const struct pack_form *f,
                        struct gpu_range scratch, struct gpu_range *to, struct error *err)
{
    const struct graph_value *w = &r->g->value[r->g->value[n->in[1]].base];
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

static bool linear(const struct recorder *r, const struct graph_node *n,
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
        if (!copy_cols(r, n, m.x, scratch[0], m.rows, x_cols, m.k * 4, 0, err))
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

static bool conv(const struct recorder *r, const struct graph_node *n, const struct gpu_range scratch[NODE_MAX_SCRATCH],
                 struct error *err)
{
    if (conv_is_linear(n))
        return linear(r, n, scratch, err);
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
        if (!copy_cols(r, n, from, scratch[0], shape_rows(in), cin, pack_groups(&f) * 4, 0, err))
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

/* ---- attention ---- */

static bool attention(const struct recorder *r, const struct graph_node *n, struct error *err)
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

/* ---- moving data ---- */

/* The range of `rows` outermost rows; ranges of slices may be views into others (exec_vk.c), in which case nothing
 * moves. */
static bool slice_rows(const struct recorder *r, const struct graph_node *n)
{
    struct gpu_range from = r->range[n->in[0]], to = r->range[n->out];
    const struct shape *s = shape_at(r, n->in[0]);
    int64_t at = shape_count(s) / s->dim[0] * n->u.slice.first * F32, bytes = count_at(r, n->out) * F32;
    if (to.buffer != from.buffer || to.offset != from.offset + at)
        gpu_stream_copy(r->stream, part(from, at, bytes), part(to, 0, bytes));
    return true;
}

static bool concat_rows(const struct recorder *r, const struct graph_node *n)
{
    int64_t a = count_at(r, n->in[0]) * F32, b = count_at(r, n->in[1]) * F32;
    gpu_stream_copy(r->stream, part(r->range[n->in[0]], 0, a), part(r->range[n->out], 0, a));
    gpu_stream_copy(r->stream, part(r->range[n->in[1]], 0, b), part(r->range[n->out], a, b));
    return true;
}

static bool interleave_time(const struct recorder *r, const struct graph_node *n, struct error *err)
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

static bool store(const struct recorder *r, const struct graph_node *n, struct error *err)
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

/* ---- all ---- */

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
        return elementwise(r, n, err);
    case OP_RMS_NORM:
    case OP_LAYER_NORM:
    case OP_CHANNEL_NORM:
        return norm(r, n, err);
    case OP_LINEAR:
        return linear(r, n, scratch, err);
    case OP_ATTENTION:
        return attention(r, n, err);
    case OP_ROPE:
        return rope(r, n, err);
    case OP_CONV:
        return conv(r, n, scratch, err);
    case OP_SLICE_ROWS:
        return slice_rows(r, n);
    case OP_SLICE_COLS:
        return copy_cols(r, n, r->range[n->in[0]], r->range[n->out], shape_rows(shape_at(r, n->out)),
                         shape_cols(shape_at(r, n->in[0])), shape_cols(shape_at(r, n->out)), n->u.slice.first, err);
    case OP_CONCAT_ROWS:
        return concat_rows(r, n);
    case OP_INTERLEAVE_TIME:
        return interleave_time(r, n, err);
    case OP_STORE:
        return store(r, n, err);
    case OP_COUNT:
        break;
    }
    return error_set(err, ERROR_INTERNAL, "%s: operation %d is unknown to this executor", n->scope, (int)n->kind);
}

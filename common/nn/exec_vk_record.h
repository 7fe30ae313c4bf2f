/* exec_vk_record - what the recorders of operations share: where values lie, and how a node is cut into parts that the
 * device can bind. One file per kind of work: exec_vk_{rows,product,attention,copy}.c. */
#ifndef SHOTLINE_NN_EXEC_VK_RECORD_H
#define SHOTLINE_NN_EXEC_VK_RECORD_H

#include "common/nn/exec_vk_internal.h"

#include "shaders/push.h"

#include <inttypes.h>

#define F32          ((int64_t)sizeof(float))
#define ROW_ITEMS    16 /* rows that one lane walks down in elementwise and copy */
#define STORAGE_WORK 64 /* lanes per workgroup of the storage kernels that have no tile */

static inline const struct shape *shape_at(const struct recorder *r, int32_t index)
{
    return &r->g->value[index].shape;
}

static inline int64_t count_at(const struct recorder *r, int32_t index)
{
    return shape_count(shape_at(r, index));
}

static inline struct gpu_range part(struct gpu_range whole, int64_t offset, int64_t bytes)
{
    return (struct gpu_range){ whole.buffer, whole.offset + offset, bytes };
}

static inline int64_t round_up(int64_t v, int64_t to)
{
    return (v + to - 1) / to * to;
}

/* Texels come in fours of floats; every value's place is padded so far. */
static inline struct gpu_range texels(struct gpu_range range)
{
    range.bytes = round_up(range.bytes, 16);
    return range;
}

static inline bool fits_texels(const struct vk_exec *x, int64_t bytes)
{
    return x->texel && bytes <= x->max_texels_bytes;
}

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Rows between which a part may be cut, so that the next one starts aligned: alignment / gcd(row_bytes, alignment). */
static inline int64_t aligned_rows(const struct vk_exec *x, int64_t row_bytes)
{
    int64_t step = x->alignment; /* a power of two */
    while (step > 1 && row_bytes * (step / 2) % x->alignment == 0)
        step /= 2;
    return step;
}

/* How many rows one dispatch may take when rows of `a` and of `b` bytes are bound. 0: not even the fewest fit. */
static inline int64_t rows_per_part(const struct vk_exec *x, int64_t rows, int64_t a, int64_t b, int64_t limit_rows)
{
    int64_t most = least(x->max_range / (a > b ? a : b), limit_rows);
    if (rows <= most)
        return rows;
    int64_t step = aligned_rows(x, a) > aligned_rows(x, b) ? aligned_rows(x, a) : aligned_rows(x, b);
    return most / step * step;
}

static inline bool too_large(struct error *err, const struct graph_node *n, int64_t bytes, const struct vk_exec *x)
{
    return error_set(err, ERROR_MEMORY, "%s%sa row or frame of %" PRId64 " bytes, the device binds at most %" PRId64,
                     n->scope, n->scope[0] ? ": " : "", bytes, x->max_range);
}

/* Spreads a number of workgroups over x and y. */
static inline void spread(const struct vk_exec *x, uint32_t groups[3], int64_t total)
{
    int64_t width = gpu_about(x->gpu)->max_groups[0];
    width = least(width, 32768);
    groups[0] = (uint32_t)least(total, width);
    groups[1] = (uint32_t)((total + width - 1) / width);
}

static inline int64_t most_spread(const struct vk_exec *x)
{
    const struct gpu_info *i = gpu_about(x->gpu);
    return least(i->max_groups[0], 32768) * i->max_groups[1];
}

#define PUSH_OF(d, pc) ((d).push = &(pc), (d).push_bytes = (int)sizeof(pc))

/* Each records one node; false with *err when even its smallest part is too large for the device. */
bool vk_record_elementwise(const struct recorder *r, const struct graph_node *n, struct error *err);
bool vk_record_norm(const struct recorder *r, const struct graph_node *n, struct error *err);
bool vk_record_rope(const struct recorder *r, const struct graph_node *n, struct error *err);
bool vk_record_attention(const struct recorder *r, const struct graph_node *n, struct error *err);
bool vk_record_linear(const struct recorder *r, const struct graph_node *n,
                      const struct gpu_range scratch[NODE_MAX_SCRATCH], struct error *err);
bool vk_record_conv(const struct recorder *r, const struct graph_node *n,
                    const struct gpu_range scratch[NODE_MAX_SCRATCH], struct error *err);
bool vk_record_slice_rows(const struct recorder *r, const struct graph_node *n);
bool vk_record_slice_cols(const struct recorder *r, const struct graph_node *n, struct error *err);
bool vk_record_concat_rows(const struct recorder *r, const struct graph_node *n);
bool vk_record_interleave_time(const struct recorder *r, const struct graph_node *n, struct error *err);
bool vk_record_store(const struct recorder *r, const struct graph_node *n, struct error *err);

/* Rows of another length: shorter ones take a part of each row from `first` on, longer ones end in zeros. */
bool vk_record_copy_cols(const struct recorder *r, const struct graph_node *n, struct gpu_range from,
                         struct gpu_range to, int64_t rows, int64_t x_cols, int64_t y_cols, int64_t first,
                         struct error *err);

#endif

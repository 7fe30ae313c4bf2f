/* exec_vk_weights - weights on their way to the device: converted, packed and uploaded in bounded pieces, once per
 * executor. */
#include "common/nn/exec_vk_internal.h"

#include "common/base/arena.h"
#include "common/nn/exact_math.h"

#include <stdlib.h>
#include <string.h>

/* Small weights share buffers: devices bound the number of allocations. */
#define FIRST_BLOCK (128 << 10)
#define LAST_BLOCK  (32 << 20)
#define PIECE       (1 << 20) /* elements converted at a time */
#define COLUMNS     16        /* converted at a time, of a packed weight */

struct weight_entry {
    const void *data;
    uint64_t print;        /* see fingerprint() */
    struct pack_form form; /* all 0: plain */
    struct gpu_range range;
};

struct weight_block {
    struct gpu_buffer *buffer;
    int64_t used;
    int users;  /* programs */
    bool large; /* of one weight that is large */
    struct weight_block *next;
};

int64_t pack_groups(const struct pack_form *f)
{
    return (f->channels + f->unit - 1) / f->unit;
}

int64_t pack_panels(const struct pack_form *f)
{
    return (f->n + f->panel - 1) / f->panel;
}

int64_t pack_panel_bytes(const struct pack_form *f)
{
    return f->taps * pack_groups(f) * f->panel * f->unit * (int64_t)sizeof(float);
}

static bool same_form(const struct pack_form *a, const struct pack_form *b)
{
    return a->n == b->n && a->channels == b->channels && a->taps == b->taps && a->panel == b->panel &&
           a->unit == b->unit && a->per_lane == b->per_lane;
}

/* Name, type and some of the bytes: an address alone would find the weight of a file that was mapped there before. */
static uint64_t fingerprint(const struct weight *w)
{
    const uint8_t *bytes = w->data;
    size_t size = (size_t)shape_count(&w->shape) * dtype_bytes(w->type);
    size_t step = size / 64 + 1;
    uint64_t h = 14695981039346656037ull + (uint64_t)w->type;
    for (const char *c = w->name; *c; c++)
        h = (h ^ (uint8_t)*c) * 1099511628211ull;
    for (size_t i = 0; i < size; i += step)
        h = (h ^ bytes[i]) * 1099511628211ull;
    return h;
}

static bool find(const struct vk_exec *x, const struct weight *w, const struct pack_form *f, struct gpu_range *to)
{
    uint64_t print = fingerprint(w);
    for (int i = 0; i < x->weight_count; i++)
        if (x->weights[i].data == w->data && x->weights[i].print == print && same_form(&x->weights[i].form, f)) {
            *to = x->weights[i].range;
            return true;
        }
    return false;
}

static void keep(struct vk_exec *x, const struct weight *w, const struct pack_form *f, const struct gpu_range *range)
{
    if (x->weight_count == x->weight_room) {
        x->weight_room = x->weight_room ? 2 * x->weight_room : 256;
        x->weights = xrealloc(x->weights, (size_t)x->weight_room * sizeof *x->weights);
    }
    x->weights[x->weight_count++] = (struct weight_entry){ w->data, fingerprint(w), *f, *range };
}

/* Shared blocks grow with what they hold, so that a small model, or one whose large weights are streamed, takes little.
 */
static int64_t next_block(const struct vk_exec *x)
{
    int64_t there = 0;
    for (const struct weight_block *b = x->blocks; b; b = b->next)
        there += b->large ? 0 : gpu_buffer_bytes(b->buffer);
    return there < FIRST_BLOCK ? FIRST_BLOCK : there > LAST_BLOCK ? LAST_BLOCK : vk_padded(x, there);
}

/* Room in a shared block, or in one of its own for what is large. */
static bool reserve(struct vk_exec *x, int64_t bytes, struct gpu_range *to, struct error *err)
{
    bytes = vk_padded(x, bytes);
    struct weight_block *b = x->blocks;
    if (!b || b->used + bytes > gpu_buffer_bytes(b->buffer)) {
        int64_t room = next_block(x);
        b = xcalloc(1, sizeof *b);
        b->large = bytes > LAST_BLOCK / 4;
        b->buffer = gpu_buffer_new(x->gpu, b->large || bytes > room ? bytes : room, err);
        if (!b->buffer) {
            free(b);
            return false;
        }
        if (b->large && x->blocks) { /* the block that still has room stays in front */
            b->next = x->blocks->next;
            x->blocks->next = b;
        } else {
            b->next = x->blocks;
            x->blocks = b;
        }
    }
    *to = (struct gpu_range){ b->buffer, b->used, bytes };
    b->used += bytes;
    return true;
}

static void convert(float *to, const struct weight *w, int64_t first, int64_t count)
{
    const char *from = (const char *)w->data + (size_t)first * dtype_bytes(w->type);
    dtype_to_f32(to, from, w->type, (size_t)count);
    for (int64_t i = 0; i < count; i++)
        to[i] = x_snap(to[i]);
}

bool vk_weight_plain(struct vk_exec *x, const struct weight *w, struct gpu_range *to, struct error *err)
{
    const struct pack_form plain = { 0 };
    if (find(x, w, &plain, to))
        return true;
    int64_t count = shape_count(&w->shape);
    if (!reserve(x, count * (int64_t)sizeof(float), to, err))
        return error_wrap(err, "weight %s", w->name);
    float *piece = xmalloc((size_t)(count < PIECE ? count : PIECE) * sizeof *piece);
    bool ok = true;
    for (int64_t at = 0; at < count && ok; at += PIECE) {
        int64_t n = count - at < PIECE ? count - at : PIECE;
        convert(piece, w, at, n);
        ok = gpu_buffer_write(to->buffer, to->offset + at * (int64_t)sizeof(float), piece, n * (int64_t)sizeof(float),
                              err);
    }
    free(piece);
    if (ok)
        keep(x, w, &plain, to);
    return ok;
}

/* Columns c0 .. c0 + count of a panel, from rows of converted elements: column by column the writes would leap. `unit`
 * and `taps` are the form's, as constants where that makes a faster loop. */
static inline void spread_columns(float *restrict to, const float *restrict rows, const struct pack_form *f, int64_t c0,
                                  int64_t count, const int unit, const int64_t taps)
{
    const int64_t groups = pack_groups(f), k = f->channels * taps, lanes = f->panel / f->per_lane;
    int64_t place[COLUMNS];
    for (int64_t c = 0; c < count; c++)
        place[c] = ((c0 + c) % f->per_lane * lanes + (c0 + c) / f->per_lane) * unit;
    for (int64_t tap = 0; tap < taps; tap++)
        for (int64_t group = 0; group < groups; group++) {
            const float *from = rows + group * unit * taps + tap;
            float *line = to + (tap * groups + group) * f->panel * unit;
            int64_t left = f->channels - group * unit;
            for (int64_t c = 0; c < count; c++)
                for (int u = 0; u < (left < unit ? (int)left : unit); u++)
                    line[place[c] + u] = from[c * k + u * taps];
        }
}

/* One panel: columns n0 .. n0 + panel of the matrix. */
static void pack_panel(float *to, float *rows, const struct weight *w, const struct pack_form *f, int64_t n0)
{
    int64_t k = f->channels * f->taps, columns = f->n - n0 < f->panel ? f->n - n0 : f->panel;
    memset(to, 0, (size_t)pack_panel_bytes(f));
    for (int64_t c = 0; c < columns; c += COLUMNS) {
        int64_t count = columns - c < COLUMNS ? columns - c : COLUMNS;
        convert(rows, w, (n0 + c) * k, count * k);
        if (f->unit == 4 && f->taps == 1)
            spread_columns(to, rows, f, c, count, 4, 1);
        else if (f->taps == 1)
            spread_columns(to, rows, f, c, count, 1, 1);
        else
            spread_columns(to, rows, f, c, count, f->unit, f->taps);
    }
}

bool vk_weight_pack(const struct weight *w, const struct pack_form *f, const struct gpu_range *to, struct error *err)
{
    int64_t bytes = pack_panel_bytes(f);
    float *panel = xmalloc((size_t)bytes);
    float *rows = xmalloc((size_t)(COLUMNS * f->channels * f->taps) * sizeof *rows);
    bool ok = true;
    for (int64_t i = 0; i < pack_panels(f) && ok; i++) {
        pack_panel(panel, rows, w, f, i * f->panel);
        ok = gpu_buffer_write(to->buffer, to->offset + i * bytes, panel, bytes, err);
    }
    free(panel);
    free(rows);
    return ok;
}

bool vk_weight_packed(struct vk_exec *x, const struct weight *w, const struct pack_form *f, struct gpu_range *to,
                      struct error *err)
{
    if (find(x, w, f, to))
        return true;
    if (!reserve(x, pack_panels(f) * pack_panel_bytes(f), to, err))
        return error_wrap(err, "weight %s", w->name);
    if (!vk_weight_pack(w, f, to, err))
        return false;
    keep(x, w, f, to);
    return true;
}

void vk_weights_hold(struct vk_exec *x, struct weight_hold *h, const struct gpu_buffer *buffer)
{
    for (int i = 0; i < h->count; i++)
        if (h->block[i]->buffer == buffer)
            return;
    struct weight_block *b = x->blocks;
    while (b && b->buffer != buffer)
        b = b->next;
    if (!b)
        return;
    h->block = xrealloc(h->block, (size_t)(h->count + 1) * sizeof(struct weight_block *));
    h->block[h->count++] = b;
    b->users++;
}

void vk_weights_release(struct weight_hold *h)
{
    for (int i = 0; i < h->count; i++)
        h->block[i]->users--;
    free(h->block);
    *h = (struct weight_hold){ 0 };
}

static void forget_block(struct vk_exec *x, const struct gpu_buffer *buffer)
{
    int kept = 0;
    for (int i = 0; i < x->weight_count; i++)
        if (x->weights[i].range.buffer != buffer)
            x->weights[kept++] = x->weights[i];
    x->weight_count = kept;
}

void vk_weights_drop(struct vk_exec *x)
{
    for (struct weight_block **link = &x->blocks; *link;) {
        struct weight_block *b = *link;
        if (b->users > 0) {
            link = &b->next;
            continue;
        }
        *link = b->next;
        forget_block(x, b->buffer);
        gpu_buffer_free(&b->buffer);
        free(b);
    }
    if (x->weight_count == 0) {
        free(x->weights);
        x->weights = NULL;
        x->weight_room = 0;
    }
}

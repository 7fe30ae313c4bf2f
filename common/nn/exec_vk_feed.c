/* exec_vk_feed - programs whose weights do not stay on the device: each run brings them anew, through two halves of a
 * ring in turn.
 *
 * A program's steps are cut into parts whose packed weights fit one half, and a half holds the largest weight of the
 * program. While the device runs one part, the host packs the next one's weights out of the mapped file into the other
 * half. What is not packed (biases, norms, small tables) stays on the device. */
#include "common/nn/exec_vk_internal.h"

#include "common/base/arena.h"

#include <assert.h>
#include <stdlib.h>

/* Shared by programs: only one runs at a time. */
struct feed_ring {
    struct gpu_buffer *half[2];
    int users; /* programs */
    struct feed_ring *next;
};

struct feed_item {
    const struct weight *weight;
    struct pack_form form;
    struct gpu_range to;
    int part;
};

struct feed {
    struct vk_exec *x;
    struct feed_ring *ring;
    bool *cut;              /* by step: a new part begins there */
    struct feed_item *item; /* in the order of the parts */
    int count, room;
    int part; /* while recording: the part that is recorded, and what is used of its half */
    int64_t used;
    int brought; /* while running: items brought so far */
};

/* Bytes of the packed weight that a node reads; 0: it reads none. */
static int64_t need_bytes(const struct vk_exec *x, const struct graph *g, const struct graph_node *n)
{
    struct pack_form f;
    if (!vk_reads_packed(x, g, n, &f) || g->value[g->value[n->in[1]].base].kind != VALUE_WEIGHT)
        return 0;
    return vk_padded(x, pack_panels(&f) * pack_panel_bytes(&f));
}

static void ring_release(struct vk_exec *x, struct feed_ring *r)
{
    struct feed_ring **link = &x->rings;
    if (!r || --r->users > 0)
        return;
    while (*link != r)
        link = &(*link)->next;
    *link = r->next;
    gpu_buffer_free(&r->half[0]);
    gpu_buffer_free(&r->half[1]);
    free(r);
}

static struct feed_ring *ring_take(struct vk_exec *x, int64_t half_bytes, struct error *err)
{
    struct feed_ring *r = x->rings;
    while (r && gpu_buffer_bytes(r->half[0]) < half_bytes)
        r = r->next;
    if (r) {
        r->users++;
        return r;
    }
    r = xcalloc(1, sizeof *r);
    r->users = 1;
    r->next = x->rings;
    x->rings = r;
    for (int i = 0; i < 2; i++) {
        r->half[i] = gpu_buffer_new(x->gpu, half_bytes, err);
        if (!r->half[i]) {
            error_wrap(err, "ring of weights");
            ring_release(x, r);
            return NULL;
        }
    }
    return r;
}

struct feed *vk_feed_open(struct vk_exec *x, const struct graph *g, const int32_t *order, struct error *err)
{
    struct feed *f = xcalloc(1, sizeof *f);
    int64_t half = x->alignment, used = 0;
    f->x = x;
    f->cut = xcalloc((size_t)g->node_count + 1, sizeof *f->cut);
    for (int32_t i = 0; i < g->node_count; i++)
        if (need_bytes(x, g, &g->node[i]) > half)
            half = need_bytes(x, g, &g->node[i]);
    for (int32_t step = 0; step < g->node_count; step++) {
        int64_t bytes = need_bytes(x, g, &g->node[order[step]]);
        f->cut[step] = used + bytes > half;
        used = f->cut[step] ? bytes : used + bytes;
    }
    f->ring = ring_take(x, half, err);
    if (!f->ring)
        vk_feed_close(&f);
    return f;
}

void vk_feed_close(struct feed **f)
{
    if (!*f)
        return;
    ring_release((*f)->x, (*f)->ring);
    free((*f)->cut);
    free((*f)->item);
    free(*f);
    *f = NULL;
}

bool vk_feed_cuts(struct feed *f, int32_t step)
{
    if (!f->cut[step])
        return false;
    f->part++;
    f->used = 0;
    return true;
}

struct gpu_range vk_feed_place(struct feed *f, const struct weight *w, const struct pack_form *form)
{
    int64_t bytes = vk_padded(f->x, pack_panels(form) * pack_panel_bytes(form));
    struct gpu_range to = { f->ring->half[f->part % 2], f->used, bytes };
    assert(f->used + bytes <= gpu_buffer_bytes(to.buffer)); /* that is how the parts were cut */
    if (f->count == f->room) {
        f->room = f->room ? 2 * f->room : 64;
        f->item = xrealloc(f->item, (size_t)f->room * sizeof *f->item);
    }
    f->item[f->count++] = (struct feed_item){ w, *form, to, f->part };
    f->used += bytes;
    return to;
}

void vk_feed_restart(struct feed *f)
{
    f->brought = 0;
}

bool vk_feed_bring(struct feed *f, int part, struct error *err)
{
    for (; f->brought < f->count && f->item[f->brought].part == part; f->brought++) {
        const struct feed_item *i = &f->item[f->brought];
        if (!vk_weight_pack(i->weight, &i->form, &i->to, err))
            return error_wrap(err, "weight %s", i->weight->name);
    }
    return true;
}

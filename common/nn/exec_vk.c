/* exec_vk - runs graphs on a Vulkan device: values lie in one allocation, all dispatches are recorded once and
 * replayed. */
#include "common/nn/exec_vk_internal.h"

#include "common/base/arena.h"
#include "common/base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN_TIMEOUT_MS (30 * 60 * 1000) /* a whole program on a slow device */
#define F32            ((int64_t)sizeof(float))

/* ---- states ---- */

static struct states *vk_states_open(struct exec *base)
{
    struct vk_states *s = xcalloc(1, sizeof *s);
    s->x = (struct vk_exec *)base;
    return &s->base;
}

static void vk_states_close(struct states *base)
{
    struct vk_states *s = (struct vk_states *)base;
    for (int i = 0; i < s->count; i++)
        gpu_buffer_free(&s->slot[i].buffer);
    free(s->slot);
    free(s);
}

static bool state_range(struct vk_states *s, const struct graph_value *v, struct gpu_range *to, struct error *err)
{
    int64_t bytes = vk_padded(s->x, shape_count(&v->shape) * F32);
    for (int i = 0; i < s->count; i++) {
        if (s->slot[i].slot != v->slot)
            continue;
        if (!shape_equal(&s->slot[i].shape, &v->shape)) {
            char had[96], has[96];
            shape_text(&s->slot[i].shape, had, sizeof had);
            shape_text(&v->shape, has, sizeof has);
            return error_set(err, ERROR_INTERNAL, "state slot %d is %s in one graph and %s in another", v->slot, had,
                             has);
        }
        *to = (struct gpu_range){ s->slot[i].buffer, 0, shape_count(&v->shape) * F32 };
        return true;
    }
    struct gpu_buffer *b = gpu_buffer_new(s->x->gpu, bytes, err);
    if (!b || !gpu_buffer_zero(b, err)) {
        gpu_buffer_free(&b);
        return error_wrap(err, "state slot %d", v->slot);
    }
    s->slot = xrealloc(s->slot, (size_t)(s->count + 1) * sizeof *s->slot);
    s->slot[s->count++] = (struct state_slot){ v->slot, v->shape, b };
    *to = (struct gpu_range){ b, 0, shape_count(&v->shape) * F32 };
    return true;
}

/* ---- programs ---- */

static void vk_program_free(struct program *base)
{
    struct vk_program *p = (struct vk_program *)base;
    for (int i = 0; i < p->part_count; i++)
        gpu_stream_free(&p->part[i]);
    free(p->part);
    vk_feed_close(&p->feed);
    vk_weights_release(&p->held);
    for (int i = 0; i < p->slab_count; i++)
        gpu_buffer_free(&p->slab[i]);
    free(p->slab);
    free(p->range);
    free(p->check);
    free(p);
}

static bool make_slabs(struct vk_program *p, struct vk_plan *plan, struct error *err)
{
    const struct gpu_info *about = gpu_about(p->x->gpu);
    struct place_plan slabs;
    if (!place(plan->items, vk_plan_items(plan), p->x->alignment, about->max_allocation_bytes, &slabs))
        return error_set(err, ERROR_MEMORY, "the program's values do not fit buffers of %" PRId64 " bytes",
                         about->max_allocation_bytes);
    p->slab = xcalloc((size_t)slabs.slabs + 1, sizeof *p->slab);
    for (int i = 0; i < slabs.slabs; i++) {
        p->slab[i] = gpu_buffer_new(p->x->gpu, slabs.slab_bytes[i], err);
        if (!p->slab[i] ||
            !gpu_buffer_zero(p->slab[i], err)) /* inputs that were never written are zeros, as in plain C */
            return error_wrap(err, "values of a program");
        p->slab_count = i + 1;
    }
    return true;
}

static struct gpu_range item_range(const struct vk_program *p, const struct place_item *it)
{
    if (it->bytes == 0)
        return (struct gpu_range){ 0 };
    return (struct gpu_range){ p->slab[it->slab], it->offset, it->bytes };
}

/* Whether a weight is read by something else than the matrix kernels, which want it packed. */
static bool read_plain(const struct vk_exec *x, const struct graph *g, int32_t base)
{
    for (int32_t i = 0; i < g->node_count; i++) {
        const struct graph_node *n = &g->node[i];
        struct pack_form f;
        for (int k = 0; k < NODE_MAX_INPUTS; k++)
            if (n->in[k] && vk_base_of(g, n->in[k]) == base && !(k == 1 && vk_reads_packed(x, g, n, &f)))
                return true;
    }
    return g->value[base].output;
}

static bool find_ranges(struct vk_program *p, struct vk_plan *plan, struct vk_states *states, struct error *err)
{
    const struct graph *g = plan->g;
    for (int32_t v = 1; v < g->value_count; v++) {
        const struct graph_value *it = &g->value[v];
        if (it->kind == VALUE_STATE) {
            if (!state_range(states, it, &p->range[v], err))
                return false;
        } else if (it->kind == VALUE_WEIGHT) {
            if (!read_plain(p->x, g, v))
                continue;
            if (!vk_weight_plain(p->x, it->weight, &p->range[v], err))
                return false;
            vk_weights_hold(p->x, &p->held, p->range[v].buffer);
        } else if (plan->root[v] == v && plan->items[v].bytes > 0) {
            p->range[v] = item_range(p, &plan->items[v]);
        }
    }
    for (int32_t v = 1; v < g->value_count; v++) {
        struct gpu_range root = p->range[plan->root[v]];
        p->range[v] =
            (struct gpu_range){ root.buffer, root.offset + plan->shift[v], shape_count(&g->value[v].shape) * F32 };
    }
    return true;
}

static bool keep_checks(struct vk_program *p, const struct graph *g, struct error *err)
{
    for (int32_t i = 0; i < g->node_count; i++) {
        const struct graph_node *n = &g->node[i];
        if (n->kind != OP_STORE)
            continue;
        const struct shape *state = &g->value[n->in[0]].shape, *rows = &g->value[n->in[1]].shape;
        if (!n->in[2] && rows->dim[0] > state->dim[0])
            return error_set(err, ERROR_INTERNAL, "%" PRId64 " rows do not fit state %d, which has %" PRId64,
                             rows->dim[0], g->value[n->in[0]].slot, state->dim[0]);
        if (!n->in[2] || g->value[vk_base_of(g, n->in[2])].kind != VALUE_INPUT)
            continue;
        p->check = xrealloc(p->check, (size_t)(p->check_count + 1) * sizeof *p->check);
        p->check[p->check_count++] = (struct at_check){ .input = vk_base_of(g, n->in[2]),
                                                        .rows = rows->dim[0],
                                                        .state_rows = state->dim[0],
                                                        .slot = g->value[n->in[0]].slot };
    }
    return true;
}

/* The recording of the part before ends here. NULL on failure. */
static struct gpu_stream *next_part(struct vk_program *p, struct error *err)
{
    if (p->part_count && !gpu_stream_finish(p->part[p->part_count - 1], err))
        return NULL;
    struct gpu_stream *s = gpu_stream_new(p->x->gpu, err);
    if (!s)
        return NULL;
    p->part = xrealloc(p->part, (size_t)(p->part_count + 1) * sizeof(struct gpu_stream *));
    return p->part[p->part_count++] = s;
}

static bool record_all(struct vk_program *p, struct vk_plan *plan, struct error *err)
{
    const struct graph *g = plan->g;
    if (p->x->streams && !(p->feed = vk_feed_open(p->x, g, plan->order, err)))
        return false;
    struct recorder r = { p->x, g, p->range, next_part(p, err), &p->held, p->feed };
    for (int32_t step = 0; step < g->node_count && r.stream; step++) {
        struct gpu_range scratch[NODE_MAX_SCRATCH];
        if (p->feed && vk_feed_cuts(p->feed, step) && !(r.stream = next_part(p, err)))
            return false;
        for (int i = 0; i < NODE_MAX_SCRATCH; i++)
            scratch[i] = item_range(p, &plan->items[vk_plan_scratch(plan, step, i)]);
        if (!vk_record(&r, &g->node[plan->order[step]], scratch, err))
            return false;
    }
    return r.stream && gpu_stream_finish(r.stream, err);
}

static struct program *vk_program_new(struct exec *base, const struct graph *g, struct states *states,
                                      struct error *err)
{
    struct vk_program *p = xcalloc(1, sizeof *p);
    struct vk_plan plan;
    p->x = (struct vk_exec *)base;
    p->range = xcalloc((size_t)g->value_count + 1, sizeof *p->range);
    vk_plan_open(&plan, p->x, g);
    bool ok = make_slabs(p, &plan, err) && find_ranges(p, &plan, (struct vk_states *)states, err) &&
              keep_checks(p, g, err) && record_all(p, &plan, err);
    vk_plan_free(&plan);
    if (!ok) {
        vk_program_free(&p->base);
        return NULL;
    }
    return &p->base;
}

static bool vk_program_write(struct program *base, int32_t index, const float *data, struct error *err)
{
    struct vk_program *p = (struct vk_program *)base;
    for (int i = 0; i < p->check_count; i++)
        if (p->check[i].input == index)
            p->check[i].at = data[0];
    struct gpu_range to = p->range[index];
    return !to.buffer || gpu_buffer_write(to.buffer, to.offset, data, to.bytes, err);
}

/* One part runs while the weights of the next are brought. */
static bool run_parts(struct vk_program *p, struct error *err)
{
    int begun = 0, ended = 0;
    bool ok = true;
    if (p->feed)
        vk_feed_restart(p->feed);
    while (ok && begun < p->part_count) {
        if (begun - ended == 2)
            ok = gpu_stream_wait(p->part[ended++], RUN_TIMEOUT_MS, err);
        ok = ok && (!p->feed || vk_feed_bring(p->feed, begun, err)) && gpu_stream_submit(p->part[begun], err);
        begun += ok;
    }
    while (ended < begun)
        ok = gpu_stream_wait(p->part[ended++], RUN_TIMEOUT_MS, ok ? err : NULL) && ok;
    return ok;
}

static bool vk_program_run(struct program *base, struct error *err)
{
    struct vk_program *p = (struct vk_program *)base;
    for (int i = 0; i < p->check_count; i++) {
        const struct at_check *c = &p->check[i];
        if (!(c->at >= 0.0f) || (double)c->at + (double)c->rows > (double)c->state_rows)
            return error_set(err, ERROR_INTERNAL, "rows [%.0f, %.0f) do not fit state %d, which has %" PRId64,
                             (double)c->at, (double)c->at + (double)c->rows, c->slot, c->state_rows);
    }
    return run_parts(p, err);
}

static bool vk_program_read(struct program *base, int32_t index, float *data, struct error *err)
{
    struct vk_program *p = (struct vk_program *)base;
    struct gpu_range from = p->range[index];
    return gpu_buffer_read(from.buffer, from.offset, data, from.bytes, err);
}

/* ---- the executor ---- */

static void vk_close(struct exec *base)
{
    struct vk_exec *x = (struct vk_exec *)base;
    vk_weights_drop(x); /* all: programs are closed before their executor */
    gpu_close(&x->gpu);
    free(x);
}

static const char *vk_device_name(const struct exec *base)
{
    return ((const struct vk_exec *)base)->name;
}

static int64_t vk_bytes_used(const struct exec *base)
{
    return gpu_bytes_used(((const struct vk_exec *)base)->gpu);
}

static int64_t vk_bytes_peak(const struct exec *base)
{
    return gpu_bytes_peak(((const struct vk_exec *)base)->gpu);
}

static void vk_print_times(const struct exec *base)
{
    struct gpu_time t;
    for (int i = 0; gpu_times(((const struct vk_exec *)base)->gpu, i, &t); i++)
        if (t.calls > 0)
            printf("%-24s %9.3f s %8" PRId64 " calls %9.1f us each\n", t.kernel, t.seconds, t.calls,
                   1e6 * t.seconds / (double)t.calls);
}

static void vk_drop_weights(struct exec *base)
{
    vk_weights_drop((struct vk_exec *)base);
}

static void vk_stream_weights(struct exec *base, bool on)
{
    ((struct vk_exec *)base)->streams = on;
}

/* Texel buffers and shuffles win on software Vulkan, whose loads from storage buffers go lane by lane (research:
 * kernels.md). */
static bool choose_path(struct vk_exec *x, const char *wish, struct error *err)
{
    const struct gpu_info *i = gpu_about(x->gpu);
    bool able =
        i->subgroup_shuffle && i->int64 && (i->subgroup_size == 4 || i->subgroup_size == 8 || i->subgroup_size == 16);
    if (!wish || !*wish)
        wish = getenv("SHOTLINE_LOAD_PATH");
    if (!wish || !*wish || strcmp(wish, "auto") == 0)
        x->texel = able && i->kind == GPU_SOFTWARE && i->max_texels >= 1 << 22;
    else if (strcmp(wish, "storage") == 0)
        x->texel = false;
    else if (strcmp(wish, "texel") == 0 && able)
        x->texel = true;
    else
        return error_set(err, ERROR_USAGE, "load path \"%s\": expected auto, storage%s", wish,
                         able ? " or texel" : " (this device cannot do texel)");
    x->lanes = i->subgroup_size;
    return true;
}

struct exec *exec_open_vk(const struct exec_options *o, struct error *err)
{
    static const struct exec_calls calls = {
        .close = vk_close,
        .device_name = vk_device_name,
        .bytes_used = vk_bytes_used,
        .bytes_peak = vk_bytes_peak,
        .print_times = vk_print_times,
        .drop_weights = vk_drop_weights,
        .stream_weights = vk_stream_weights,
        .states_open = vk_states_open,
        .states_close = vk_states_close,
        .program_new = vk_program_new,
        .program_free = vk_program_free,
        .program_write = vk_program_write,
        .program_run = vk_program_run,
        .program_read = vk_program_read,
    };
    struct vk_exec *x = xcalloc(1, sizeof *x);
    x->base.calls = &calls;
    x->gpu = gpu_open(&(struct gpu_options){ .device = o->device,
                                             .cache_dir = o->cache_dir,
                                             .max_bytes = o->max_bytes,
                                             .validate = o->validate,
                                             .time_kernels = o->time_kernels },
                      err);
    if (!x->gpu || !choose_path(x, o->load_path, err)) {
        vk_close(&x->base);
        return NULL;
    }
    const struct gpu_info *i = gpu_about(x->gpu);
    x->alignment = i->alignment > 64 ? i->alignment : 64;
    x->max_range = i->max_range_bytes;
    x->max_texels_bytes = i->max_texels * 16;
    if (o->max_range_bytes > 0 && o->max_range_bytes < x->max_range)
        x->max_range = o->max_range_bytes;
    x->max_range = x->max_range / x->alignment * x->alignment;
    snprintf(x->name, sizeof x->name, "%s, %s", i->name, i->driver);
    return &x->base;
}

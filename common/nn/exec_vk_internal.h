/* exec_vk_internal - what the parts of the Vulkan executor share: exec_vk.c (programs), exec_vk_weights.c and
 * exec_vk_feed.c, exec_vk_record.c and the recorders behind it. */
#ifndef SHOTLINE_NN_EXEC_VK_INTERNAL_H
#define SHOTLINE_NN_EXEC_VK_INTERNAL_H

#include "common/gpu/stream.h"
#include "common/nn/exec_internal.h"
#include "common/nn/place.h"

struct weight_entry;
struct weight_block;
struct feed;
struct feed_ring;

struct vk_exec {
    struct exec base;
    struct gpu *gpu;
    bool texel;        /* texel-buffer kernels where a shape allows them; else storage-buffer kernels */
    int lanes;         /* subgroup size of the texel kernels; workgroup width of the others */
    int64_t alignment; /* of every value's place */
    int64_t max_range; /* bytes of one storage-buffer binding */
    int64_t max_texels_bytes;
    char name[600];
    struct weight_entry *weights;
    struct weight_block *blocks;
    int weight_count, weight_room;
    bool streams; /* programs made from now on bring their weights in each run */
    struct feed_ring *rings;
};

struct state_slot {
    int slot;
    struct shape shape;
    struct gpu_buffer *buffer;
};

struct vk_states {
    struct states base;
    struct vk_exec *x;
    struct state_slot *slot;
    int count;
};

/* How a matrix lies for a kernel: [panels][taps][groups][panel][unit], zeros behind the last channel and column
 * (shaders/pack.comp). */
struct pack_form {
    int64_t n, channels, taps;
    int64_t panel; /* columns per panel */
    int unit;      /* consecutive channels of one column */
    int per_lane;  /* neighbouring columns of one lane: column c lies at place (c % per_lane) * (panel / per_lane) + c /
                      per_lane */
};
int64_t pack_groups(const struct pack_form *f);
int64_t pack_panels(const struct pack_form *f);
int64_t pack_panel_bytes(const struct pack_form *f);

/* Uploads once per (data, form) and executor. */
bool vk_weight_plain(struct vk_exec *x, const struct weight *w, struct gpu_range *to, struct error *err);
bool vk_weight_packed(struct vk_exec *x, const struct weight *w, const struct pack_form *f, struct gpu_range *to,
                      struct error *err);
/* Packs a weight into its place on the device, which has room for it. */
bool vk_weight_pack(const struct weight *w, const struct pack_form *f, const struct gpu_range *to, struct error *err);
/* The blocks of weights that a program uses: they stay until it lets go. */
struct weight_hold {
    struct weight_block **block;
    int count;
};
void vk_weights_hold(struct vk_exec *x, struct weight_hold *h, const struct gpu_buffer *buffer);
void vk_weights_release(struct weight_hold *h);
void vk_weights_drop(struct vk_exec *x); /* what nobody holds */

/* Weights that each run brings anew: exec_vk_feed.c. `order`: the nodes of the steps. */
struct feed *vk_feed_open(struct vk_exec *x, const struct graph *g, const int32_t *order, struct error *err);
void vk_feed_close(struct feed **f);
/* While recording, step by step: whether a new part begins with it; and where the weight lies in the present part. */
bool vk_feed_cuts(struct feed *f, int32_t step);
struct gpu_range vk_feed_place(struct feed *f, const struct weight *w, const struct pack_form *form);
/* In a run, part by part: the one before the last must have ended, since it lay where this one goes. */
void vk_feed_restart(struct feed *f);
bool vk_feed_bring(struct feed *f, int part, struct error *err);

/* A row that the host writes and a store uses as its place: checked before a run, since the device can only leave rows
 * out. */
struct at_check {
    int32_t input;
    int64_t rows, state_rows;
    int slot;
    float at;
};

struct vk_program {
    struct program base;
    struct vk_exec *x;
    struct gpu_buffer **slab;
    int slab_count;
    struct gpu_range *range;  /* of every value, by index */
    struct gpu_stream **part; /* run one after the other; one where weights stay on the device */
    int part_count;
    struct feed *feed; /* NULL: weights stay */
    struct weight_hold held;
    struct at_check *check;
    int check_count;
};

/* ---- what runs when, and where values live: exec_vk_plan.c ---- */

struct vk_plan {
    struct vk_exec *x;
    const struct graph *g;
    int32_t *order;           /* node indices in the order of running: a store waits for the last reader of its state */
    int32_t *root;            /* by value: whose memory it uses */
    int64_t *shift;           /* by value: bytes into the root */
    int32_t *first, *last;    /* by root: steps in which it lives; last < first: never used */
    struct place_item *items; /* values, then NODE_MAX_SCRATCH per step */
};
void vk_plan_open(struct vk_plan *p, struct vk_exec *x, const struct graph *g);
void vk_plan_free(struct vk_plan *p);
int32_t vk_plan_items(const struct vk_plan *p);                        /* how many */
int32_t vk_plan_scratch(const struct vk_plan *p, int32_t step, int i); /* which item */

static inline int32_t vk_base_of(const struct graph *g, int32_t v)
{
    return g->value[v].base ? g->value[v].base : v;
}

static inline int64_t vk_padded(const struct vk_exec *x, int64_t bytes)
{
    return (bytes + x->alignment - 1) / x->alignment * x->alignment;
}

/* Scratch memory that one node needs while it runs: padded or packed copies of its inputs. */
#define NODE_MAX_SCRATCH 2
void vk_node_scratch(const struct vk_exec *x, const struct graph *g, const struct graph_node *n,
                     int64_t bytes[NODE_MAX_SCRATCH]);

/* Records one node. `range` are all values' places. */
struct recorder {
    struct vk_exec *x;
    const struct graph *g;
    const struct gpu_range *range;
    struct gpu_stream *stream;
    struct weight_hold *held;
    struct feed *feed; /* NULL: weights stay */
};
bool vk_record(const struct recorder *r, const struct graph_node *n, const struct gpu_range scratch[NODE_MAX_SCRATCH],
               struct error *err);

/* Which forms a node's weight is read in. */
bool vk_reads_packed(const struct vk_exec *x, const struct graph *g, const struct graph_node *n, struct pack_form *f);

#endif

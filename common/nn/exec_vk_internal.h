/* exec_vk_internal - what the parts of the Vulkan executor share: exec_vk.c (programs), exec_vk_weights.c,
 * exec_vk_record.c and the recorders behind it. */
#ifndef SHOTLINE_NN_EXEC_VK_INTERNAL_H
#define SHOTLINE_NN_EXEC_VK_INTERNAL_H

#include "common/gpu/stream.h"
#include "common/nn/exec_internal.h"

struct weight_entry;
struct weight_block;

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
/* The blocks of weights that a program uses: they stay until it lets go. */
struct weight_hold {
    struct weight_block **block;
    int count;
};
void vk_weights_hold(struct vk_exec *x, struct weight_hold *h, const struct gpu_buffer *buffer);
void vk_weights_release(struct weight_hold *h);
void vk_weights_drop(struct vk_exec *x); /* what nobody holds */

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
    struct gpu_range *range; /* of every value, by index */
    struct gpu_stream *stream;
    struct weight_hold held;
    struct at_check *check;
    int check_count;
};

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
};
bool vk_record(const struct recorder *r, const struct graph_node *n, const struct gpu_range scratch[NODE_MAX_SCRATCH],
               struct error *err);

/* Which forms a node's weight is read in. */
bool vk_reads_packed(const struct vk_exec *x, const struct graph *g, const struct graph_node *n, struct pack_form *f);

#endif

/* place - where each intermediate lies: lifetimes to offsets, so that values that never live at once share memory.
 * Pure. */
#ifndef SHOTLINE_NN_PLACE_H
#define SHOTLINE_NN_PLACE_H

#include <stdbool.h>
#include <stdint.h>

struct place_item {
    int64_t bytes;       /* 0: needs no place */
    int32_t first, last; /* steps in which it lives, both included */
    int slab;            /* result */
    int64_t offset;      /* result, within the slab */
};

#define PLACE_MAX_SLABS 64

struct place_plan {
    int slabs;
    int64_t slab_bytes[PLACE_MAX_SLABS];
};

/* Sets slab and offset of each item, a multiple of `alignment`; a slab holds at most `slab_limit` bytes. Of two items
 * whose lifetimes meet, no byte is shared. False when an item is larger than a slab, or the slabs run out. */
bool place(struct place_item *items, int32_t count, int64_t alignment, int64_t slab_limit, struct place_plan *plan);

#endif

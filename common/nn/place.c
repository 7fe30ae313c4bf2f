/* place - the largest item first, each at the lowest offset where nothing that lives beside it lies. */
#include "common/nn/place.h"

#include "common/base/arena.h"

#include <stdlib.h>
#include <string.h>

struct by_size {
    int64_t bytes;
    int32_t index;
};

static int larger_first(const void *a, const void *b)
{
    const struct by_size *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

struct span {
    int64_t from, to;
};

static int by_start(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

static bool meet(const struct place_item *a, const struct place_item *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest free offset in one slab for an item, given what is already placed there. */
static int64_t lowest(const struct place_item *items, const struct by_size *order, int32_t placed,
                      const struct place_item *it, int slab, int64_t alignment, struct span *taken)
{
    int32_t n = 0;
    for (int32_t i = 0; i < placed; i++) {
        const struct place_item *o = &items[order[i].index];
        if (o->slab == slab && meet(o, it))
            taken[n++] = (struct span){ o->offset, o->offset + o->bytes };
    }
    qsort(taken, (size_t)n, sizeof *taken, by_start);
    int64_t at = 0;
    for (int32_t i = 0; i < n; i++) {
        if (taken[i].from >= at + it->bytes)
            break;
        if (taken[i].to > at)
            at = (taken[i].to + alignment - 1) / alignment * alignment;
    }
    return at;
}

bool place(struct place_item *items, int32_t count, int64_t alignment, int64_t slab_limit, struct place_plan *plan)
{
    struct by_size *order = xcalloc((size_t)count + 1, sizeof *order);
    struct span *taken = xcalloc((size_t)count + 1, sizeof *taken);
    bool ok = true;
    *plan = (struct place_plan){ 0 };
    int32_t n = 0;
    for (int32_t i = 0; i < count; i++)
        if (items[i].bytes > 0)
            order[n++] = (struct by_size){ items[i].bytes, i };
    qsort(order, (size_t)n, sizeof *order, larger_first);
    for (int32_t i = 0; i < n && ok; i++) {
        struct place_item *it = &items[order[i].index];
        int64_t at = 0;
        int slab = 0;
        for (; slab < PLACE_MAX_SLABS; slab++) {
            at = lowest(items, order, i, it, slab, alignment, taken);
            if (at + it->bytes <= slab_limit)
                break;
        }
        ok = slab < PLACE_MAX_SLABS && it->bytes <= slab_limit;
        if (!ok)
            break;
        it->slab = slab;
        it->offset = at;
        if (slab >= plan->slabs)
            plan->slabs = slab + 1;
        if (at + it->bytes > plan->slab_bytes[slab])
            plan->slab_bytes[slab] = at + it->bytes;
    }
    free(order);
    free(taken);
    return ok;
}

#include "coordinator/core/index.h"

#include "common/base/arena.h"

#include <stdlib.h>

static size_t home(const struct index *x, uint64_t key)
{
    key ^= key >> 31; /* splitmix64's finalizer: ids are consecutive, keys are not */
    key *= UINT64_C(0x7fb5d329728ea185);
    key ^= key >> 27;
    key *= UINT64_C(0x81dadef4bc2dd44d);
    key ^= key >> 33;
    return (size_t)key & (x->room - 1);
}

static size_t find(const struct index *x, uint64_t key)
{
    size_t i = home(x, key);

    while (x->slots[i].value && x->slots[i].key != key)
        i = (i + 1) & (x->room - 1);
    return i;
}

void *index_get(const struct index *x, uint64_t key)
{
    return x->room ? x->slots[find(x, key)].value : NULL;
}

void index_put(struct index *x, uint64_t key, void *value)
{
    if (x->count * 2 >= x->room) {
        struct index old = *x;

        x->room = old.room ? old.room * 2 : 64;
        x->slots = xcalloc(x->room, sizeof *x->slots);
        for (size_t i = 0; i < old.room; i++)
            if (old.slots[i].value)
                x->slots[find(x, old.slots[i].key)] = old.slots[i];
        free(old.slots);
    }
    size_t i = find(x, key);
    x->count += !x->slots[i].value;
    x->slots[i] = (struct index_slot){ .key = key, .value = value };
}

void index_remove(struct index *x, uint64_t key)
{
    if (!x->room)
        return;
    size_t i = find(x, key);
    if (!x->slots[i].value)
        return;
    x->slots[i].value = NULL;
    x->count--;
    /* Close the gap: whoever probed over the freed slot must be found again. */
    for (size_t j = (i + 1) & (x->room - 1); x->slots[j].value; j = (j + 1) & (x->room - 1)) {
        struct index_slot moved = x->slots[j];

        x->slots[j].value = NULL;
        x->slots[find(x, moved.key)] = moved;
    }
}

void index_free(struct index *x)
{
    free(x->slots);
    *x = (struct index){ 0 };
}

/* index - a hash map from 64-bit numbers to pointers: tasks by id, by the first bytes of their key, workers by id. */
#ifndef SHOTLINE_COORDINATOR_CORE_INDEX_H
#define SHOTLINE_COORDINATOR_CORE_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct index_slot {
    uint64_t key;
    void *value; /* NULL: free */
};
struct index { /* zero-initialised means empty and ready */
    struct index_slot *slots;
    size_t count, room;
};

void *index_get(const struct index *x, uint64_t key);       /* NULL: absent */
void index_put(struct index *x, uint64_t key, void *value); /* value is not NULL; replaces */
void index_remove(struct index *x, uint64_t key);           /* absent is fine */
void index_free(struct index *x);

#endif

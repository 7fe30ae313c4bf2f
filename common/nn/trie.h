/* trie - a set of byte strings with a number each: the longest, shortest or every entry that a text starts with, one
 * byte at a time.
 *
 * Built once from all its entries, then read-only: 12 bytes per node, children of a node side by side and sorted. */
#ifndef SHOTLINE_NN_TRIE_H
#define SHOTLINE_NN_TRIE_H

#include <stddef.h>
#include <stdint.h>

struct trie;

struct trie_entry {
    const char *text; /* any bytes; an entry without bytes is never found */
    size_t size;
    int32_t value; /* >= 0 */
};

/* Of entries with equal bytes the one given last counts. The bytes are not kept. */
struct trie *trie_new(const struct trie_entry *entries, size_t count);
void trie_free(struct trie **t);

#define TRIE_ROOT 0
#define TRIE_NONE UINT32_MAX

/* The node that `byte` leads to, or TRIE_NONE. */
uint32_t trie_step(const struct trie *t, uint32_t node, uint8_t byte);
/* The value of the entry that ends at `node`, or -1. */
int32_t trie_value(const struct trie *t, uint32_t node);
/* The value of exactly these bytes, or -1. */
int32_t trie_find(const struct trie *t, const char *text, size_t size);

#endif

#include "common/nn/trie.h"

#include "common/base/arena.h"

#include <stdlib.h>
#include <string.h>

struct trie_node {
    uint32_t first; /* index of the first child */
    int32_t value;
    uint16_t count; /* children, at most 256 */
    uint8_t label;
};

struct trie {
    struct trie_node *nodes;
    size_t count, room;
};

/* Sorting reads a text's first bytes from here: the texts themselves lie scattered in memory, and vocabularies are
 * large. */
struct ordered_entry {
    uint64_t head; /* the first 8 bytes, big-endian, zeros behind a shorter text */
    struct trie_entry e;
    size_t place; /* in the caller's array: orders equal texts, since qsort is not stable */
};

static uint64_t head_of(const struct trie_entry *e)
{
    uint64_t head = 0;

    for (size_t i = 0; i < 8; i++)
        head = head << 8 | (i < e->size ? (uint8_t)e->text[i] : 0);
    return head;
}

static int compare_entries(const void *a, const void *b)
{
    const struct ordered_entry *x = a, *y = b;
    if (x->head != y->head)
        return x->head < y->head ? -1 : 1;

    size_t shorter = x->e.size < y->e.size ? x->e.size : y->e.size;
    int order = shorter > 8 ? memcmp(x->e.text + 8, y->e.text + 8, shorter - 8) : 0;
    if (order == 0)
        order = (x->e.size > y->e.size) - (x->e.size < y->e.size);
    return order != 0 ? order : (x->place > y->place) - (x->place < y->place);
}

/* Moves the sorted texts side by side, so that grow() reads memory in order. */
static char *pack_texts(struct ordered_entry *o, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += o[i].e.size;

    char *texts = xmalloc(total + 1), *at = texts;
    for (size_t i = 0; i < count; i++) {
        memcpy(at, o[i].e.text, o[i].e.size);
        o[i].e.text = at;
        at += o[i].e.size;
    }
    return texts;
}

static uint32_t push_node(struct trie *t, uint8_t label)
{
    if (t->count == t->room) {
        t->room = t->room ? t->room * 2 : 256;
        t->nodes = xrealloc(t->nodes, t->room * sizeof *t->nodes);
    }
    t->nodes[t->count] = (struct trie_node){ .value = -1, .label = label };
    return (uint32_t)t->count++;
}

/* Entries [first, end) of a node share its bytes. */
struct range {
    size_t first, end;
};

/* Breadth first, so that a node's children lie side by side: node n's entries are ranges[n]. */
static void grow(struct trie *t, const struct ordered_entry *o, size_t entry_count)
{
    struct range *ranges = xmalloc(256 * sizeof *ranges);
    size_t range_room = 256;
    size_t level_end = 1; /* nodes below this index are `depth` bytes long */
    size_t depth = 0;

    push_node(t, 0);
    ranges[0] = (struct range){ 0, entry_count };
    for (size_t n = 0; n < t->count; n++) {
        if (n == level_end) {
            depth++;
            level_end = t->count;
        }
        struct range r = ranges[n];
        while (r.first < r.end && o[r.first].e.size == depth)
            t->nodes[n].value = o[r.first++].e.value; /* equal bytes: the last one stays */
        t->nodes[n].first = (uint32_t)t->count;
        while (r.first < r.end) {
            uint8_t label = (uint8_t)o[r.first].e.text[depth];
            size_t end = r.first + 1;
            while (end < r.end && (uint8_t)o[end].e.text[depth] == label)
                end++;
            uint32_t child = push_node(t, label);
            if (child >= range_room) {
                range_room *= 2;
                ranges = xrealloc(ranges, range_room * sizeof *ranges);
            }
            ranges[child] = (struct range){ r.first, end };
            t->nodes[n].count++;
            r.first = end;
        }
    }
    free(ranges);
}

struct trie *trie_new(const struct trie_entry *entries, size_t count)
{
    struct trie *t = xcalloc(1, sizeof *t);
    struct ordered_entry *ordered = xmalloc((count ? count : 1) * sizeof *ordered);

    for (size_t i = 0; i < count; i++)
        ordered[i] = (struct ordered_entry){ head_of(&entries[i]), entries[i], i };
    qsort(ordered, count, sizeof *ordered, compare_entries);
    char *texts = pack_texts(ordered, count);
    grow(t, ordered, count);
    free(texts);
    free(ordered);
    t->nodes[TRIE_ROOT].value = -1;
    return t;
}

void trie_free(struct trie **t)
{
    if (!*t)
        return;
    free((*t)->nodes);
    free(*t);
    *t = NULL;
}

uint32_t trie_step(const struct trie *t, uint32_t node, uint8_t byte)
{
    const struct trie_node *n = &t->nodes[node];
    uint32_t low = n->first, high = n->first + n->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t->nodes[middle].label < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n->first + n->count && t->nodes[low].label == byte ? low : TRIE_NONE;
}

int32_t trie_value(const struct trie *t, uint32_t node)
{
    return t->nodes[node].value;
}

int32_t trie_find(const struct trie *t, const char *text, size_t size)
{
    uint32_t node = TRIE_ROOT;

    for (size_t i = 0; i < size && node != TRIE_NONE; i++)
        node = trie_step(t, node, (uint8_t)text[i]);
    return node == TRIE_NONE ? -1 : t->nodes[node].value;
}

/* gate_motion - how blocks of a small picture moved between two frames. Integer arithmetic. */
#ifndef SHOTLINE_WORKER_GATES_GATE_MOTION_H
#define SHOTLINE_WORKER_GATES_GATE_MOTION_H

#include <stdbool.h>
#include <stdint.h>

#define MOTION_BLOCK 16

struct motion_picture {
    int width, height;
    const uint8_t *luma;
};

/* ---- one block ---- */

/* Blocks of `to` are looked for at most `reach` pixels away in `from`. Brightness is no matter: they are compared less
 * their means. */
struct motion_search {
    const struct motion_picture *from, *to;
    int reach;
    int *means; /* of every block of `from` */
};

struct motion_match {
    int x, y;    /* pixels to the right and down */
    int left;    /* sum of |difference| there */
    int texture; /* sum of |difference| from the block's mean */
};

/* Both pictures must stay where they are until the search is closed. */
void motion_search_open(struct motion_search *s, const struct motion_picture *from, const struct motion_picture *to,
                        int reach);
void motion_search_close(struct motion_search *s);
/* The block of `to` whose corner is x, y. False for one without texture: it matches anywhere. */
bool motion_match_block(struct motion_match *m, const struct motion_search *s, int x, int y);
/* The sum of |difference| if the block at x, y had moved by dx, dy; -1 where it would come from outside. */
int motion_difference(const struct motion_search *s, int x, int y, int dx, int dy);

/* ---- all of them ---- */

/* What most blocks did. */
struct motion {
    int x, y;     /* pixels to the right and down: the median */
    int residual; /* mean |difference| that the best match leaves, in 1/1000 of the texture; 0 when there is none */
};
void motion_find(struct motion *m, const struct motion_picture *from, const struct motion_picture *to, int reach);

/* The middle value of a list, which is sorted; the lower of two. 0 for an empty list. */
int motion_median(int *values, int count);

#endif

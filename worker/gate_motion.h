/* gate_motion - how blocks of a small picture moved between two frames. Integer arithmetic. */
#ifndef SHOTLINE_WORKER_GATE_MOTION_H
#define SHOTLINE_WORKER_GATE_MOTION_H

#include <stdint.h>

#define MOTION_BLOCK 16

struct motion_picture {
    int width, height;
    const uint8_t *luma;
    const uint8_t *figure; /* per pixel: 1 where a figure is, which moves on its own; NULL: nowhere */
};

/* What most blocks did. */
struct motion {
    int x, y;     /* pixels to the right and down: the median */
    int zoom;     /* growth of distances from the centre, 1/1000: the median */
    int residual; /* mean |difference| that the best match leaves, in 1/1000 of the texture; 1000 when there is none */
    int blocks;   /* that have texture enough to tell */
};

/* Looks for every block of `to` that is not a figure's, `stride` pixels apart, at most `reach` pixels away in `from`.
 * Brightness is no matter: blocks are compared less their means. */
void motion_find(struct motion *m, const struct motion_picture *from, const struct motion_picture *to, int stride,
                 int reach);

/* The middle value of a list, which is sorted; the lower of two. 0 for an empty list. */
int motion_median(int *values, int count);

#endif

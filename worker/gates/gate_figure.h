/* gate_figure - where a picture shows a member of the cast, by its colours. Integer arithmetic; the colours themselves
 * are found by palette.h. */
#ifndef SHOTLINE_WORKER_GATES_GATE_FIGURE_H
#define SHOTLINE_WORKER_GATES_GATE_FIGURE_H

#include <stdbool.h>
#include <stdint.h>

struct figure_picture {
    int width, height;
    const uint8_t *rgb; /* [height, width, 3] */
};

struct figure_seen {
    int share; /* of all pixels that have its colours, 1/10000 */
    int dense; /* of the pixels of the square that has most of them, 1/10000, less their share in what is to its left
                * and right: the square's side is 7/20 of the height */
    int x, y;  /* centre of those that lie together, 1/100 pixel; -1 where there are none */
};

/* `has` tells which colours are the figure's (palette_bins). Sets 1 in `mask` [height, width] within a box that holds
 * nearly all of the figure, its other colours too, with a hat above and shoes below; leaves the rest of the mask. */
void figure_find(struct figure_seen *seen, const struct figure_picture *p, const bool *has, uint8_t *mask);

#endif

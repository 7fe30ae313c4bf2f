/* palette - the main colours of a picture, in CIE Lab (D65), found the same way on every machine. */
#ifndef SHOTLINE_WORKER_PALETTE_H
#define SHOTLINE_WORKER_PALETTE_H

#include <stddef.h>
#include <stdint.h>

#define PALETTE_COLOURS 5

struct palette {
    int count;                        /* fewer when the picture has fewer */
    float colour[PALETTE_COLOURS][4]; /* L, a, b, share of the pixels; largest share first */
};

/* k-means over the colours of rgb[pixels, 3], pixels > 0: starts from the most common colour, then from the one that is
 * worst represented, and so on. */
void palette_find(struct palette *p, const uint8_t *rgb, size_t pixels);

#endif

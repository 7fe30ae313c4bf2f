/* palette - the main colours of a picture, in CIE Lab (D65), found the same way on every machine. */
#ifndef SHOTLINE_WORKER_GATES_PALETTE_H
#define SHOTLINE_WORKER_GATES_PALETTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PALETTE_COLOURS 5
#define PALETTE_BITS    5 /* of a channel: colours are counted in 32 x 32 x 32 bins */
#define PALETTE_BINS    (1 << 3 * PALETTE_BITS)

struct palette {
    int count;                        /* fewer when the picture has fewer */
    float colour[PALETTE_COLOURS][4]; /* L, a, b, share of the pixels; largest share first */
};

/* k-means over the colours of rgb[pixels, 3], pixels > 0: starts from the most common colour, then from the one that is
 * worst represented, and so on. */
void palette_find(struct palette *p, const uint8_t *rgb, size_t pixels);

/* The bins whose colours have the hue of one of the palette's strongest colours and come near its saturation, however
 * light: night is no other figure. A palette of greys alone has none. */
void palette_bins(const struct palette *p, bool has[PALETTE_BINS]);

static inline int palette_bin(const uint8_t rgb[3])
{
    return (rgb[0] >> (8 - PALETTE_BITS)) << 2 * PALETTE_BITS | (rgb[1] >> (8 - PALETTE_BITS)) << PALETTE_BITS |
           rgb[2] >> (8 - PALETTE_BITS);
}

#endif

/* gate_colours - which colours a picture has, wherever they are: a histogram that a cut changes and motion does not.
 * Integer arithmetic. */
#ifndef SHOTLINE_WORKER_GATES_GATE_COLOURS_H
#define SHOTLINE_WORKER_GATES_GATE_COLOURS_H

#include <stddef.h>
#include <stdint.h>

#define COLOUR_LEVELS 9 /* of a channel, 32 apart; a colour between them counts in parts */
#define COLOUR_BINS   (COLOUR_LEVELS * COLOUR_LEVELS * COLOUR_LEVELS)

/* Counts the colours of rgb[pixels, 3], less `offset` of each channel. */
void colours_count(uint64_t bins[COLOUR_BINS], const uint8_t *rgb, size_t pixels, const int offset[3]);

/* Share of the pixels that one of two pictures has in other colours, 1/1000. Both have `pixels` of them. */
int colours_difference(const uint64_t a[COLOUR_BINS], const uint64_t b[COLOUR_BINS], size_t pixels);

#endif

/* gate_measure - what a shot's frames look like, in numbers, so that the coordinator can tell a picture from a
 * collapse. It measures and does not judge: thresholds may change without rendering anything again.
 *
 * Integer arithmetic on bytes (the colours of figures: double, by portable functions), so that the same frames give
 * the same text on every machine. Motion is measured on a picture of at most 160 columns, averaged down by a whole
 * factor. */
#ifndef SHOTLINE_WORKER_GATES_GATE_MEASURE_H
#define SHOTLINE_WORKER_GATES_GATE_MEASURE_H

#include "common/base/str.h"
#include "worker/gates/palette.h"

#include <stdbool.h>
#include <stdint.h>

#define GATE_MAX_FRAMES 65536

/* Frames that two neighbouring ranges share: where a seam would be. */
struct gate_seam {
    int first, last;
};

struct gate_shot {
    int width, height, fps; /* sides of at least 32 pixels; smaller ones have no motion */
    const struct gate_seam *borders;
    size_t border_count;
    const struct palette *figures; /* of the cast that the shot shows; none: nothing is said of them */
    size_t figure_count;
};

struct gate_measure;
struct gate_measure *gate_measure_open(const struct gate_shot *s);
/* The next frame, [height, width, 3]; `unusable` samples of it were not finite before they became bytes. */
void gate_measure_frame(struct gate_measure *m, const uint8_t *rgb, int64_t unusable);
/* Appends the scores: JSON in a fixed form, all numbers integers, a value per frame in each list:
 *   format      5
 *   frames, fps
 *   columns     of the measured picture
 *   unusable    samples that were not finite
 *   borders     [[first, last], ...] frames
 *   dark, bright    luma below which 5 and 95 in 100 pixels lie, 0 to 255
 *   sharpness   mean |Laplacian| of luma, 1/100
 *   change      mean |difference| of luma to the frame before, 1/1000; 0 in the first
 *   tint        [r, g, b]: how much the frame is lighter than the one before it, 1/100: the median over blocks, so that
 *               what moves has no say
 *   residual    what is left of the frame when the one before is moved block by block to fit it, in 1/1000 of its
 *               texture
 *   move        [x, y]: the motion of most blocks since the frame before, pixels of the measured picture
 *   colours     share of the pixels that the frame before has in other colours, less the tint, 1/1000
 *   lasting     the same against the frame five before, with the tint; 0 in the first five
 *   camera      [x, y, zoom] of what most of the picture did that is no figure, in a second: 1/10000 of the width to
 *               the right, and down, and of the size; a value per half second in which there is enough to see
 *   drift       [x, say] of all of the picture that is no figure: the mean, 1/10000 of the width to the right in a
 *               second, and how much there was to see that tells it, 64 for a clear block; a value per half second
 *   figures     per member: {"share": 1/10000 of the pixels that have the member's colours, "dense": the same of the
 *               square that has most of them, 7/20 of the height, less that of what is beside it, "x", "y":
 *               their centre in 1/100 of the measured picture's pixels, -1 where there are none}
 */
void gate_measure_json(const struct gate_measure *m, struct str *json);
void gate_measure_close(struct gate_measure **m);

#endif

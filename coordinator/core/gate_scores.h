/* gate_scores - what a worker measured of a shot's frames, read from the text that worker/gates/gate_measure.h
 * describes. */
#ifndef SHOTLINE_COORDINATOR_CORE_GATE_SCORES_H
#define SHOTLINE_COORDINATOR_CORE_GATE_SCORES_H

#include "common/base/arena.h"
#include "common/base/error.h"

#include <stddef.h>
#include <stdint.h>

#define GATE_SCORES_FORMAT  5          /* in the key of every decode: scores of another form are other results */
#define GATE_SCORES_LARGEST (8u << 20) /* bytes of the text */
#define GATE_MOST_FRAMES    20000

struct gate_border {
    int first, last; /* frames that two ranges share */
};

/* Per frame, of the pixels that have a figure's colours. */
struct gate_figure {
    double *share; /* of all pixels */
    double *dense; /* of the pixels of the square that has most of them, less that beside it */
    double *x, *y; /* their centre, in widths of the picture; negative where there are none */
};

/* All in natural units: luma and tints 0 to 255, motion in widths of the picture. */
struct gate_scores {
    int frames, fps;
    int64_t unusable;
    struct gate_border *borders;
    size_t border_count;
    double *dark, *bright, *sharpness, *change, *residual; /* per frame */
    double *colours, *lasting;     /* per frame: changed since the one before; since five before */
    double (*tint)[3], (*move)[2]; /* per frame */
    double (*camera)[3];           /* right, down, growth: in a second */
    size_t camera_count;
    double (*drift)[2]; /* right, in a second, of all that is no figure; how much there was to see that tells it */
    size_t drift_count;
    struct gate_figure *figures;
    size_t figure_count;
    struct arena arena; /* owns the lists */
};

/* The text comes from outside: anything is refused that it should not be. On failure there is nothing to free. */
bool gate_scores_parse(struct gate_scores *s, const char *text, size_t size, struct error *err);
void gate_scores_free(struct gate_scores *s);

#endif

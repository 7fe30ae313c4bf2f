/* gate_measure - plain statistics of a shot's frames, by which gates tell a picture from a collapse: too dark, flat,
 * blurred, frozen, flickering. */
#ifndef SHOTLINE_WORKER_GATE_MEASURE_H
#define SHOTLINE_WORKER_GATE_MEASURE_H

#include "common/base/str.h"

#include <stdint.h>

struct gate_measure {
    int width, height;
    uint8_t *luma, *last; /* of this frame and the one before */
    int64_t frames;
    uint64_t luma_sum; /* over all frames and pixels */
    uint64_t square_sum;
    uint64_t laplace_sum; /* |4 p - left - right - up - down| over inner pixels */
    uint64_t change_sum;  /* |p - p of the frame before| */
    uint64_t frame_luma;  /* of the last frame */
    uint64_t worst_flash; /* largest change of a frame's luma sum */
};

void gate_measure_begin(struct gate_measure *m, int width, int height);
void gate_measure_frame(struct gate_measure *m, const uint8_t *rgb); /* [height, width, 3] */
/* Appends {"frames":..,"mean_luma":..,"contrast":..,"sharpness":..,"motion":..,"flash":..}, all but `frames` on the
 * scale of 0 to 255: contrast is the standard deviation of luma, sharpness the mean Laplacian, motion the mean change
 * of a pixel from frame to frame, flash the largest change of mean luma from frame to frame. */
void gate_measure_json(const struct gate_measure *m, struct str *json);
void gate_measure_end(struct gate_measure *m);

#endif

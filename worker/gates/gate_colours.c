#include "worker/gates/gate_colours.h"

#include <stdlib.h>
#include <string.h>

#define STEP  32 /* between levels */
#define UNITS 32 /* that a pixel counts */

/* The pixel's weight is shared out by channels one after another: whole numbers, and none is lost. */
static void count_pixel(uint64_t *bins, const int low[3], const int part[3])
{
    for (int corner = 0; corner < 8; corner++) {
        int bin = 0, weight = UNITS * STEP * STEP;
        for (int c = 0; c < 3; c++) {
            const int up = corner >> c & 1;
            bin = bin * COLOUR_LEVELS + low[c] + up;
            weight = weight / STEP * (up ? part[c] : STEP - part[c]);
        }
        if (weight)
            bins[bin] += (uint64_t)weight;
    }
}

void colours_count(uint64_t bins[COLOUR_BINS], const uint8_t *rgb, size_t pixels, const int offset[3])
{
    memset(bins, 0, COLOUR_BINS * sizeof *bins);
    for (size_t i = 0; i < pixels; i++) {
        int low[3], part[3];
        for (int c = 0; c < 3; c++) {
            int v = rgb[3 * i + (size_t)c] - offset[c];
            v = v < 0 ? 0 : v > 255 ? 255 : v;
            low[c] = v / STEP;
            part[c] = v % STEP;
        }
        count_pixel(bins, low, part);
    }
}

int colours_difference(const uint64_t a[COLOUR_BINS], const uint64_t b[COLOUR_BINS], size_t pixels)
{
    int64_t sum = 0;
    for (int i = 0; i < COLOUR_BINS; i++)
        sum += llabs((long long)a[i] - (long long)b[i]);
    return (int)(1000 * sum / 2 / ((int64_t)pixels * UNITS * STEP * STEP));
}

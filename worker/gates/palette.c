#include "worker/gates/palette.h"

#include "common/base/arena.h"
#include "common/base/rng.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS 24

/* Of colours that tell a figure: nearer to grey, or rarer in the reference, says little. */
#define LEAST_CHROMA 18.0
#define LEAST_SHARE  0.02f
#define CHROMA_SHARE 0.6 /* squared, of the strongest colour's */

/* Of pixels that have one of them. */
#define HUE_COSINE       0.98 /* 11 degrees */
#define SATURATION_SHARE 0.7  /* squared, of the colour's: a calm green hill is no green monster */
#define SEEN_SHARE       0.45 /* squared, of the colour's chroma: what is nearly black may have any hue */

struct bin {
    double lab[3];
    double weight; /* pixels */
    int nearest;   /* centre */
};

static double srgb_to_linear(double v)
{
    return v <= 0.04045 ? v / 12.92 : portable_pow((v + 0.055) / 1.055, 2.4);
}

static double lab_curve(double t)
{
    return t > 216.0 / 24389.0 ? portable_pow(t, 1.0 / 3.0) : (24389.0 / 27.0 * t + 16.0) / 116.0;
}

static void rgb_to_lab(const double rgb[3], double lab[3])
{
    const double r = srgb_to_linear(rgb[0] / 255.0), g = srgb_to_linear(rgb[1] / 255.0),
                 b = srgb_to_linear(rgb[2] / 255.0);
    const double x = lab_curve((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
    const double y = lab_curve(0.2126729 * r + 0.7151522 * g + 0.0721750 * b);
    const double z = lab_curve((0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883);
    lab[0] = 116.0 * y - 16.0;
    lab[1] = 500.0 * (x - y);
    lab[2] = 200.0 * (y - z);
}

static double distance(const double a[3], const double b[3])
{
    const double l = a[0] - b[0], m = a[1] - b[1], n = a[2] - b[2];
    return l * l + m * m + n * n;
}

/* The filled bins, each with its mean colour, of the picture's colours; freed by the caller. */
static struct bin *count_colours(const uint8_t *rgb, size_t pixels, size_t *count)
{
    uint64_t(*sums)[4] = xcalloc(PALETTE_BINS, sizeof *sums);
    for (size_t i = 0; i < pixels; i++, rgb += 3) {
        uint64_t *s = sums[palette_bin(rgb)];
        s[0] += rgb[0];
        s[1] += rgb[1];
        s[2] += rgb[2];
        s[3]++;
    }
    struct bin *bins = xcalloc(PALETTE_BINS, sizeof *bins);
    *count = 0;
    for (int i = 0; i < PALETTE_BINS; i++) {
        const double n = (double)sums[i][3];
        if (n == 0)
            continue;
        const double mean[3] = { (double)sums[i][0] / n, (double)sums[i][1] / n, (double)sums[i][2] / n };
        rgb_to_lab(mean, bins[*count].lab);
        bins[(*count)++].weight = n;
    }
    free(sums);
    return bins;
}

static void assign(struct bin *bins, size_t count, double centres[][3], int centre_count)
{
    for (size_t i = 0; i < count; i++) {
        int best = 0;
        for (int c = 1; c < centre_count; c++) {
            if (distance(bins[i].lab, centres[c]) < distance(bins[i].lab, centres[best]))
                best = c;
        }
        bins[i].nearest = best;
    }
}

/* Means of the bins of each centre; a centre without bins stays where it is. weights[] are the pixels of each. */
static void move(const struct bin *bins, size_t count, double centres[][3], double *weights, int centre_count)
{
    double sums[PALETTE_COLOURS][3] = { { 0 } };
    memset(weights, 0, sizeof *weights * PALETTE_COLOURS);
    for (size_t i = 0; i < count; i++) {
        for (int k = 0; k < 3; k++)
            sums[bins[i].nearest][k] += bins[i].lab[k] * bins[i].weight;
        weights[bins[i].nearest] += bins[i].weight;
    }
    for (int c = 0; c < centre_count; c++) {
        for (int k = 0; weights[c] > 0 && k < 3; k++)
            centres[c][k] = sums[c][k] / weights[c];
    }
}

static int start(struct bin *bins, size_t count, double centres[][3])
{
    int centre_count = 0;
    while (centre_count < PALETTE_COLOURS) {
        size_t best = 0;
        double best_gain = 0;
        for (size_t i = 0; i < count; i++) {
            const double gain =
                bins[i].weight * (centre_count == 0 ? 1.0 : distance(bins[i].lab, centres[bins[i].nearest]));
            if (gain > best_gain) {
                best = i;
                best_gain = gain;
            }
        }
        if (best_gain == 0)
            break; /* every colour is a centre already */
        memcpy(centres[centre_count++], bins[best].lab, sizeof centres[0]);
        assign(bins, count, centres, centre_count);
    }
    return centre_count;
}

void palette_find(struct palette *p, const uint8_t *rgb, size_t pixels)
{
    double centres[PALETTE_COLOURS][3], weights[PALETTE_COLOURS];
    size_t count;
    struct bin *bins = count_colours(rgb, pixels, &count);
    const int centre_count = start(bins, count, centres);
    for (int round = 0; round < ROUNDS; round++) {
        move(bins, count, centres, weights, centre_count);
        assign(bins, count, centres, centre_count);
    }
    move(bins, count, centres, weights, centre_count);
    free(bins);

    *p = (struct palette){ 0 };
    for (;;) {
        int best = -1;
        for (int c = 0; c < centre_count; c++) {
            if (weights[c] > 0 && (best < 0 || weights[c] > weights[best]))
                best = c;
        }
        if (best < 0)
            return;
        float *to = p->colour[p->count++];
        for (int k = 0; k < 3; k++)
            to[k] = (float)centres[best][k];
        to[3] = (float)(weights[best] / (double)pixels);
        weights[best] = 0;
    }
}

/* How much colour there is in what light there is, squared: light that goes takes L + 16, a and b by the same factor,
 * so that night leaves it as it is, as it leaves the hue. */
static double saturation_of(double l, double a, double b)
{
    return (a * a + b * b) / ((l + 16) * (l + 16));
}

static double chroma_of(double a, double b)
{
    return a * a + b * b;
}

static bool is_like(const float whose[4], const double lab[3])
{
    const double dot = whose[1] * lab[1] + whose[2] * lab[2], chroma = chroma_of(lab[1], lab[2]);
    return dot > 0 && dot * dot >= HUE_COSINE * HUE_COSINE * chroma_of(whose[1], whose[2]) * chroma &&
           chroma >= SEEN_SHARE * chroma_of(whose[1], whose[2]) &&
           saturation_of(lab[0], lab[1], lab[2]) >= SATURATION_SHARE * saturation_of(whose[0], whose[1], whose[2]);
}

void palette_bins(const struct palette *p, bool has[PALETTE_BINS])
{
    const int mask = (1 << PALETTE_BITS) - 1, scale = 1 << (8 - PALETTE_BITS);
    double strongest = LEAST_CHROMA * LEAST_CHROMA / CHROMA_SHARE;
    for (int c = 0; c < p->count; c++) {
        const double chroma = chroma_of(p->colour[c][1], p->colour[c][2]);
        if (p->colour[c][3] >= LEAST_SHARE && chroma > strongest)
            strongest = chroma;
    }
    for (int bin = 0; bin < PALETTE_BINS; bin++) {
        const double rgb[3] = { ((bin >> 2 * PALETTE_BITS) + 0.5) * scale, ((bin >> PALETTE_BITS & mask) + 0.5) * scale,
                                ((bin & mask) + 0.5) * scale };
        double lab[3];
        rgb_to_lab(rgb, lab);
        has[bin] = false;
        for (int c = 0; c < p->count && !has[bin]; c++)
            has[bin] = p->colour[c][3] >= LEAST_SHARE &&
                       chroma_of(p->colour[c][1], p->colour[c][2]) >= CHROMA_SHARE * strongest &&
                       is_like(p->colour[c], lab);
    }
}

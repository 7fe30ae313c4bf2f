#include "worker/gate_measure.h"

#include "common/base/arena.h"
#include "common/base/rng.h"

#include <stdlib.h>

void gate_measure_begin(struct gate_measure *m, int width, int height)
{
    *m = (struct gate_measure){ .width = width, .height = height };
    m->luma = xmalloc((size_t)width * height);
    m->last = xmalloc((size_t)width * height);
}

void gate_measure_end(struct gate_measure *m)
{
    free(m->luma);
    free(m->last);
    *m = (struct gate_measure){ 0 };
}

void gate_measure_frame(struct gate_measure *m, const uint8_t *rgb)
{
    const int width = m->width, height = m->height;
    uint8_t *swap = m->last;
    m->last = m->luma;
    m->luma = swap;

    uint64_t sum = 0;
    for (int i = 0; i < width * height; i++, rgb += 3) {
        const uint32_t y = (2126u * rgb[0] + 7152u * rgb[1] + 722u * rgb[2] + 5000u) / 10000u; /* BT.709 */
        m->luma[i] = (uint8_t)y;
        sum += y;
        m->square_sum += y * y;
        if (m->frames > 0)
            m->change_sum += (uint64_t)abs((int)y - m->last[i]);
    }
    for (int y = 1; y + 1 < height; y++) {
        const uint8_t *p = m->luma + y * width;
        for (int x = 1; x + 1 < width; x++)
            m->laplace_sum += (uint64_t)abs(4 * p[x] - p[x - 1] - p[x + 1] - p[x - width] - p[x + width]);
    }
    const uint64_t flash = sum > m->frame_luma ? sum - m->frame_luma : m->frame_luma - sum;
    if (m->frames > 0 && flash > m->worst_flash)
        m->worst_flash = flash;
    m->frame_luma = sum;
    m->luma_sum += sum;
    m->frames++;
}

static double ratio(uint64_t sum, double count)
{
    return count > 0 ? (double)sum / count : 0;
}

void gate_measure_json(const struct gate_measure *m, struct str *json)
{
    const double area = (double)m->width * m->height, frames = (double)m->frames;
    const double mean = ratio(m->luma_sum, area * frames), variance = ratio(m->square_sum, area * frames) - mean * mean;
    str_printf(
        json,
        "{\"frames\":%lld,\"mean_luma\":%.4f,\"contrast\":%.4f,\"sharpness\":%.4f,\"motion\":%.4f,\"flash\":%.4f}",
        (long long)m->frames, mean, variance > 0 ? portable_sqrt(variance) : 0.0,
        ratio(m->laplace_sum, (m->width - 2.0) * (m->height - 2.0) * frames), ratio(m->change_sum, area * (frames - 1)),
        ratio(m->worst_flash, area));
}

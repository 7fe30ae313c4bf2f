/* clips - frames in memory, and the ways in which they are spoiled: what the gates must catch. For the tests of the
 * gates, and for bench/gates, which tries them on shots that the farm rendered. */
#ifndef SHOTLINE_TESTS_CLIPS_H
#define SHOTLINE_TESTS_CLIPS_H

#include "common/base/arena.h"
#include "common/base/rng.h"
#include "common/base/str.h"
#include "coordinator/core/gates.h"
#include "worker/gates/gate_figure.h"
#include "worker/gates/gate_measure.h"

#include <stdlib.h>
#include <string.h>

#define CLIP_MOST_BORDERS 16

struct clip {
    int width, height, fps, frames, planned_frames;
    uint8_t *rgb; /* [frames, height, width, 3] */
    struct gate_seam borders[CLIP_MOST_BORDERS];
    size_t border_count;
    struct palette figure; /* count 0: none */
    const char *camera;
    int64_t unusable;
};

static inline size_t clip_frame_bytes(const struct clip *c)
{
    return (size_t)c->width * c->height * 3;
}

static inline uint8_t *clip_frame(const struct clip *c, int f)
{
    return c->rgb + (size_t)f * clip_frame_bytes(c);
}

static inline struct clip clip_copy(const struct clip *from)
{
    struct clip c = *from;
    c.rgb = xmalloc((size_t)c.frames * clip_frame_bytes(&c));
    memcpy(c.rgb, from->rgb, (size_t)c.frames * clip_frame_bytes(&c));
    return c;
}

/* ---- measuring ---- */

static inline void clip_scores_text(const struct clip *c, struct str *json)
{
    struct gate_measure *m = gate_measure_open(&(struct gate_shot){ .width = c->width,
                                                                    .height = c->height,
                                                                    .fps = c->fps,
                                                                    .borders = c->borders,
                                                                    .border_count = c->border_count,
                                                                    .figures = &c->figure,
                                                                    .figure_count = c->figure.count > 0 });
    for (int f = 0; f < c->frames; f++)
        gate_measure_frame(m, clip_frame(c, f), f == c->frames / 2 ? c->unusable : 0);
    gate_measure_json(m, json);
    gate_measure_close(&m);
}

/* The worker's measuring, the text between them, and the coordinator's reading. False with *err. */
static inline bool clip_scores(const struct clip *c, struct gate_scores *s, struct error *err)
{
    struct str json = { 0 };
    clip_scores_text(c, &json);
    bool ok = gate_scores_parse(s, json.data, json.size, err);
    str_free(&json);
    return ok;
}

/* ---- spoiling ---- */

static inline uint8_t clip_clamp(int v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static inline void clip_add(struct clip *c, int f, int r, int g, int b)
{
    const int by[3] = { r, g, b };
    uint8_t *p = clip_frame(c, f);
    for (size_t i = 0; i < clip_frame_bytes(c); i++)
        p[i] = clip_clamp(p[i] + by[i % 3]);
}

static inline void clip_fill(struct clip *c, int f, int v)
{
    memset(clip_frame(c, f), v, clip_frame_bytes(c));
}

static inline void clip_noise(struct clip *c, int f)
{
    uint8_t *p = clip_frame(c, f);
    for (size_t i = 0; i < clip_frame_bytes(c); i++)
        p[i] = (uint8_t)(256 * rng_uniform(7, (uint64_t)f, i));
}

static inline void clip_blur(struct clip *c, int f, int radius)
{
    uint8_t *p = clip_frame(c, f), *from = xmalloc(clip_frame_bytes(c));
    memcpy(from, p, clip_frame_bytes(c));
    for (int y = 0; y < c->height; y++)
        for (int x = 0; x < c->width; x++)
            for (int k = 0; k < 3; k++) {
                int sum = 0, count = 0;
                for (int v = y - radius; v <= y + radius; v++)
                    for (int u = x - radius; u <= x + radius; u++)
                        if (u >= 0 && v >= 0 && u < c->width && v < c->height) {
                            sum += from[3 * (v * c->width + u) + k];
                            count++;
                        }
                p[3 * (y * c->width + x) + k] = (uint8_t)(sum / count);
            }
    free(from);
}

static inline void clip_shift(struct clip *c, int f, int by)
{
    uint8_t *p = clip_frame(c, f), *from = xmalloc(clip_frame_bytes(c));
    memcpy(from, p, clip_frame_bytes(c));
    for (int y = 0; y < c->height; y++)
        for (int x = 0; x < c->width; x++) {
            const int u = x - by < 0 ? 0 : x - by >= c->width ? c->width - 1 : x - by;
            memcpy(p + 3 * (y * c->width + x), from + 3 * (y * c->width + u), 3);
        }
    free(from);
}

/* Which of the five other orders of the channels leaves a frame the fewest of the figure's colours. */
static inline const int *clip_other_order(const struct clip *c, int f, const bool *has, const bool *near)
{
    static const int orders[5][3] = { { 1, 2, 0 }, { 2, 0, 1 }, { 1, 0, 2 }, { 2, 1, 0 }, { 0, 2, 1 } };
    const uint8_t *p = clip_frame(c, f);
    const int *best = orders[0];
    size_t fewest = SIZE_MAX;
    for (int o = 0; o < 5; o++) {
        size_t left = 0;
        for (size_t i = 0; i < clip_frame_bytes(c); i += 3) {
            const uint8_t other[3] = { p[i + (size_t)orders[o][0]], p[i + (size_t)orders[o][1]],
                                       p[i + (size_t)orders[o][2]] };
            left += near[palette_bin(p + i)] && has[palette_bin(other)];
        }
        if (left < fewest) {
            fewest = left;
            best = orders[o];
        }
    }
    return best;
}

struct clip_box {
    int left, top, right, bottom; /* the latter two are outside */
};

/* Around all that is marked, and a quarter more on every side: what is found of a figure may lack an arm. */
static inline struct clip_box clip_box_around(const struct clip *c, const uint8_t *marked)
{
    struct clip_box b = { c->width, c->height, 0, 0 };
    for (int y = 0; y < c->height; y++)
        for (int x = 0; x < c->width; x++)
            if (marked[y * c->width + x]) {
                b.left = x < b.left ? x : b.left;
                b.top = y < b.top ? y : b.top;
                b.right = x >= b.right ? x + 1 : b.right;
                b.bottom = y >= b.bottom ? y + 1 : b.bottom;
            }
    const int wide = (b.right - b.left) / 4, high = (b.bottom - b.top) / 4;
    b.left = b.left > wide ? b.left - wide : 0;
    b.top = b.top > high ? b.top - high : 0;
    b.right = b.right + wide < c->width ? b.right + wide : c->width;
    b.bottom = b.bottom + high < c->height ? b.bottom + high : c->height;
    return b;
}

/* The figure in other colours, all of its shades: those that lie around its own. What has its colours elsewhere keeps
 * them. */
static inline void clip_recolour(struct clip *c)
{
    enum { SIDE = 1 << PALETTE_BITS, AROUND = 3 };
    bool *has = xcalloc(PALETTE_BINS, sizeof *has), *near = xcalloc(PALETTE_BINS, sizeof *near);
    uint8_t *figure = xmalloc((size_t)c->width * c->height);
    palette_bins(&c->figure, has);
    for (int bin = 0; bin < PALETTE_BINS; bin++)
        for (int k = 0; has[bin] && k < (2 * AROUND + 1) * (2 * AROUND + 1) * (2 * AROUND + 1); k++) {
            const int r = bin / SIDE / SIDE + k % 7 - AROUND, g = bin / SIDE % SIDE + k / 7 % 7 - AROUND,
                      b = bin % SIDE + k / 49 - AROUND;
            if (r >= 0 && g >= 0 && b >= 0 && r < SIDE && g < SIDE && b < SIDE)
                near[(r * SIDE + g) * SIDE + b] = true;
        }
    const int *order = clip_other_order(c, c->frames / 2, has, near);
    for (int f = 0; f < c->frames; f++) {
        struct figure_seen seen;
        uint8_t *p = clip_frame(c, f);
        memset(figure, 0, (size_t)c->width * c->height);
        figure_find(&seen, &(struct figure_picture){ c->width, c->height, p }, has, figure);
        const struct clip_box box = clip_box_around(c, figure);
        for (int y = box.top; y < box.bottom; y++)
            for (int x = box.left; x < box.right; x++) {
                uint8_t *at = p + 3 * (y * c->width + x);
                const uint8_t was[3] = { at[0], at[1], at[2] };
                for (int k = 0; near[palette_bin(was)] && k < 3; k++)
                    at[k] = was[order[k]];
            }
    }
    free(figure);
    free(near);
    free(has);
}

enum defect {
    DEFECT_NONE,
    DEFECT_UNUSABLE,
    DEFECT_MISSING_FRAME,
    DEFECT_BLACK,
    DEFECT_GREY,
    DEFECT_NOISE,
    DEFECT_CUT,
    DEFECT_FREEZE,
    DEFECT_BLUR,
    DEFECT_SOFT, /* the whole shot */
    DEFECT_FLICKER,
    DEFECT_FLASH,
    DEFECT_COLOUR_STEP,
    DEFECT_MOTION_JUMP,
    DEFECT_IDENTITY,
    DEFECT_CAMERA,
    DEFECTS
};

static const struct {
    const char *name;
    enum gate gate; /* that must catch it */
} clip_defects[DEFECTS] = {
    [DEFECT_NONE] = { "undisturbed", GATES },
    [DEFECT_UNUSABLE] = { "one sample is no number", GATE_UNUSABLE },
    [DEFECT_MISSING_FRAME] = { "the last frame is missing", GATE_FRAMES },
    [DEFECT_BLACK] = { "two black frames", GATE_BLACK },
    [DEFECT_GREY] = { "two grey frames", GATE_GREY },
    [DEFECT_NOISE] = { "noise in the last third", GATE_NOISE },
    [DEFECT_CUT] = { "a cut to another shot", GATE_CUT },
    [DEFECT_FREEZE] = { "frozen for a second", GATE_FREEZE },
    [DEFECT_BLUR] = { "two frames blurred", GATE_BLUR },
    [DEFECT_SOFT] = { "all frames blurred", GATE_BLUR },
    [DEFECT_FLICKER] = { "every other frame 10 darker", GATE_FLICKER },
    [DEFECT_FLASH] = { "two frames 40 lighter", GATE_FLASH },
    [DEFECT_COLOUR_STEP] = { "redder by 20 from a border on", GATE_COLOUR_STEP },
    [DEFECT_MOTION_JUMP] = { "all moved 8 pixels at a border", GATE_MOTION_JUMP },
    [DEFECT_IDENTITY] = { "the figure in other colours", GATE_IDENTITY },
    [DEFECT_CAMERA] = { "the opposite pan was planned", GATE_CAMERA },
};

/* Spoils a clip; `other` is another shot of the same size. False where there is nothing to spoil: no border, no
 * figure, too few frames. */
static inline bool clip_spoil(struct clip *c, enum defect d, const struct clip *other)
{
    const int middle = c->frames / 2, frames = c->frames;
    const int border = c->border_count ? (c->borders[0].first + c->borders[0].last + 1) / 2 : 0;
    switch (d) {
    case DEFECT_UNUSABLE:
        c->unusable = 1;
        return true;
    case DEFECT_MISSING_FRAME:
        c->frames--;
        return true;
    case DEFECT_BLACK:
    case DEFECT_GREY:
        clip_fill(c, middle, d == DEFECT_BLACK ? 2 : 128);
        clip_fill(c, middle + 1, d == DEFECT_BLACK ? 2 : 128);
        return true;
    case DEFECT_NOISE:
        for (int f = frames - frames / 3; f < frames; f++)
            clip_noise(c, f);
        return true;
    case DEFECT_CUT:
        if (other->frames < frames - middle)
            return false;
        for (int f = middle; f < frames; f++)
            memcpy(clip_frame(c, f), clip_frame(other, f - middle), clip_frame_bytes(c));
        return true;
    case DEFECT_FREEZE:
        if (frames < c->fps + 3)
            return false;
        for (int f = 2; f <= 1 + c->fps; f++)
            memcpy(clip_frame(c, f), clip_frame(c, 1), clip_frame_bytes(c));
        return true;
    case DEFECT_BLUR:
        clip_blur(c, middle, 4);
        clip_blur(c, middle + 1, 4);
        return true;
    case DEFECT_SOFT:
        for (int f = 0; f < frames; f++)
            clip_blur(c, f, 4);
        return true;
    case DEFECT_FLICKER:
        for (int f = 0; f < frames; f += 2)
            clip_add(c, f, -10, -10, -10);
        return true;
    case DEFECT_FLASH:
        clip_add(c, middle, 40, 40, 40);
        clip_add(c, middle + 1, 40, 40, 40);
        return frames > c->fps;
    case DEFECT_COLOUR_STEP:
        for (int f = border; border && f < frames; f++)
            clip_add(c, f, 20, 0, -10);
        return border > 0;
    case DEFECT_MOTION_JUMP:
        for (int f = border; border && f < frames; f++)
            clip_shift(c, f, 8);
        return border > 0;
    case DEFECT_IDENTITY:
        clip_recolour(c);
        return c->figure.count > 0;
    case DEFECT_CAMERA:
        if (strcmp(c->camera, "pan left") && strcmp(c->camera, "pan right"))
            return false;
        c->camera = strcmp(c->camera, "pan left") ? "pan left" : "pan right";
        return true;
    default:
        return true;
    }
}

#endif

#include "worker/gates/gate_measure.h"

#include "common/base/arena.h"
#include "worker/gates/gate_camera.h"
#include "worker/gates/gate_colours.h"
#include "worker/gates/gate_figure.h"
#include "worker/gates/gate_motion.h"

#include <stdlib.h>
#include <string.h>

#define FORMAT       5
#define COLUMNS      160 /* of the small picture, at most */
#define REACH        9   /* pixels that a block is looked for, from frame to frame */
#define CAMERA_REACH 14  /* and in a second */
#define LASTING      5   /* frames: what has changed for longer is no flash */

struct frame_scores {
    int dark, bright, sharpness, change, tint[3], residual, colours, lasting, x, y;
    uint8_t *luma, *apart; /* of the small picture; apart: 1 where a figure is */
};

/* A member whose colours are looked for. */
struct figure {
    bool has[PALETTE_BINS];
    struct figure_seen *seen; /* per frame */
};

struct gate_measure {
    int width, height, fps;
    struct gate_seam *borders;
    size_t border_count;
    struct figure *figures;
    size_t figure_count;
    int64_t unusable;

    int factor, columns, rows;        /* of the small picture */
    uint8_t *luma, *luma_before;      /* of the whole frame */
    uint8_t *small;                   /* [rows, columns, 3] */
    int *blocks, *blocks_before;      /* [block_count, 3] sums of each channel */
    uint64_t (*colours)[COLOUR_BINS]; /* of the last LASTING + 1 frames, each at its number's rest */
    int blocks_across, block_count;

    struct frame_scores *frames;
    int count, room;
};

struct gate_measure *gate_measure_open(const struct gate_shot *s)
{
    struct gate_measure *m = xcalloc(1, sizeof *m);
    const size_t area = (size_t)s->width * s->height;
    m->width = s->width;
    m->height = s->height;
    m->fps = s->fps;
    m->border_count = s->border_count;
    m->borders = xcalloc(s->border_count, sizeof *m->borders);
    if (s->border_count)
        memcpy(m->borders, s->borders, s->border_count * sizeof *m->borders);
    m->figure_count = s->figure_count;
    m->figures = xcalloc(s->figure_count, sizeof *m->figures);
    for (size_t i = 0; i < s->figure_count; i++)
        palette_bins(&s->figures[i], m->figures[i].has);
    m->factor = (s->width + COLUMNS - 1) / COLUMNS;
    m->columns = s->width / m->factor;
    m->rows = s->height / m->factor;
    m->luma = xmalloc(area);
    m->luma_before = xmalloc(area);
    m->small = xmalloc((size_t)m->columns * m->rows * 3);
    m->blocks_across = m->columns / MOTION_BLOCK;
    m->block_count = m->blocks_across * (m->rows / MOTION_BLOCK);
    m->blocks = xcalloc((size_t)m->block_count * 3, sizeof *m->blocks);
    m->blocks_before = xcalloc((size_t)m->block_count * 3, sizeof *m->blocks_before);
    m->colours = xcalloc(LASTING + 1, sizeof *m->colours);
    return m;
}

void gate_measure_close(struct gate_measure **pm)
{
    struct gate_measure *m = *pm;
    if (!m)
        return;
    for (int i = 0; i < m->count; i++) {
        free(m->frames[i].luma);
        free(m->frames[i].apart);
    }
    for (size_t i = 0; i < m->figure_count; i++)
        free(m->figures[i].seen);
    free(m->figures);
    free(m->borders);
    free(m->luma);
    free(m->luma_before);
    free(m->small);
    free(m->blocks);
    free(m->blocks_before);
    free(m->colours);
    free(m->frames);
    free(m);
    *pm = NULL;
}

static uint8_t luma_of(const uint8_t *rgb)
{
    return (uint8_t)((2126u * rgb[0] + 7152u * rgb[1] + 722u * rgb[2] + 5000u) / 10000u); /* BT.709 */
}

/* ---- the whole frame ---- */

static void measure_luma(struct gate_measure *m, struct frame_scores *f, const uint8_t *rgb)
{
    const int64_t area = (int64_t)m->width * m->height, inner = (int64_t)(m->width - 2) * (m->height - 2);
    int64_t histogram[256] = { 0 }, change = 0, laplace = 0, below = 0;
    uint8_t *swap = m->luma_before;
    m->luma_before = m->luma;
    m->luma = swap;
    for (int64_t i = 0; i < area; i++) {
        m->luma[i] = luma_of(rgb + 3 * i);
        histogram[m->luma[i]]++;
        if (m->count > 0)
            change += abs(m->luma[i] - m->luma_before[i]);
    }
    for (int y = 1; y + 1 < m->height; y++) {
        const uint8_t *p = m->luma + (int64_t)y * m->width;
        for (int x = 1; x + 1 < m->width; x++)
            laplace += abs(4 * p[x] - p[x - 1] - p[x + 1] - p[x - m->width] - p[x + m->width]);
    }
    f->dark = f->bright = -1;
    for (int v = 0; v < 256; v++) {
        below += histogram[v];
        if (f->dark < 0 && 20 * below >= area)
            f->dark = v;
        if (f->bright < 0 && 20 * below >= 19 * area)
            f->bright = v;
    }
    f->change = (int)(1000 * change / area);
    f->sharpness = inner > 0 ? (int)(100 * laplace / inner) : 0;
}

/* ---- the small picture ---- */

static void make_small(struct gate_measure *m, struct frame_scores *f, const uint8_t *rgb)
{
    const uint32_t area = (uint32_t)m->factor * (uint32_t)m->factor;
    f->luma = xmalloc((size_t)m->columns * m->rows);
    for (int y = 0; y < m->rows; y++) {
        for (int x = 0; x < m->columns; x++) {
            uint32_t sum[3] = { 0 };
            for (int v = 0; v < m->factor; v++) {
                const uint8_t *p = rgb + 3 * ((int64_t)(y * m->factor + v) * m->width + (int64_t)x * m->factor);
                for (int u = 0; u < m->factor; u++, p += 3)
                    for (int c = 0; c < 3; c++)
                        sum[c] += p[c];
            }
            uint8_t *to = m->small + 3 * ((int64_t)y * m->columns + x);
            for (int c = 0; c < 3; c++)
                to[c] = (uint8_t)((sum[c] + area / 2) / area);
            f->luma[y * m->columns + x] = luma_of(to);
        }
    }
}

static void measure_tint(struct gate_measure *m, struct frame_scores *f)
{
    int *swap = m->blocks_before, *list = xcalloc((size_t)m->block_count, sizeof *list);
    m->blocks_before = m->blocks;
    m->blocks = swap;
    memset(m->blocks, 0, (size_t)m->block_count * 3 * sizeof *m->blocks);
    for (int y = 0; y < m->rows / MOTION_BLOCK * MOTION_BLOCK; y++)
        for (int x = 0; x < m->blocks_across * MOTION_BLOCK; x++)
            for (int c = 0; c < 3; c++)
                m->blocks[3 * (y / MOTION_BLOCK * m->blocks_across + x / MOTION_BLOCK) + c] +=
                    m->small[3 * (y * m->columns + x) + c];
    for (int c = 0; c < 3 && m->count > 0; c++) {
        for (int i = 0; i < m->block_count; i++)
            list[i] = 100 * (m->blocks[3 * i + c] - m->blocks_before[3 * i + c]) / (MOTION_BLOCK * MOTION_BLOCK);
        f->tint[c] = motion_median(list, m->block_count);
    }
    free(list);
}

/* From frame to frame less the tint: light that comes or goes changes no picture into another. */
static void measure_colours(struct gate_measure *m, struct frame_scores *f)
{
    static const int none[3] = { 0 };
    const size_t pixels = (size_t)m->columns * m->rows;
    const int tint[3] = { f->tint[0] / 100, f->tint[1] / 100, f->tint[2] / 100 }, ring = LASTING + 1;
    uint64_t *now = m->colours[m->count % ring];
    if (m->count > 0) {
        colours_count(now, m->small, pixels, tint);
        f->colours = colours_difference(now, m->colours[(m->count - 1) % ring], pixels);
    }
    colours_count(now, m->small, pixels, none);
    if (m->count >= LASTING)
        f->lasting = colours_difference(now, m->colours[(m->count - LASTING) % ring], pixels);
}

static void measure_motion(struct gate_measure *m, struct frame_scores *f)
{
    struct motion motion;
    if (m->count == 0)
        return;
    motion_find(&motion, &(struct motion_picture){ m->columns, m->rows, m->frames[m->count - 1].luma },
                &(struct motion_picture){ m->columns, m->rows, f->luma }, REACH);
    f->residual = motion.residual;
    f->x = motion.x;
    f->y = motion.y;
}

void gate_measure_frame(struct gate_measure *m, const uint8_t *rgb, int64_t unusable)
{
    struct frame_scores f = { 0 };
    if (m->count == m->room) {
        m->room = m->room ? 2 * m->room : 64;
        m->frames = xrealloc(m->frames, (size_t)m->room * sizeof *m->frames);
        for (size_t i = 0; i < m->figure_count; i++)
            m->figures[i].seen = xrealloc(m->figures[i].seen, (size_t)m->room * sizeof *m->figures[i].seen);
    }
    m->unusable += unusable;
    measure_luma(m, &f, rgb);
    make_small(m, &f, rgb);
    measure_tint(m, &f);
    measure_colours(m, &f);
    measure_motion(m, &f);
    f.apart = xcalloc((size_t)m->columns * m->rows, 1);
    for (size_t i = 0; i < m->figure_count; i++)
        figure_find(&m->figures[i].seen[m->count], &(struct figure_picture){ m->columns, m->rows, m->small },
                    m->figures[i].has, f.apart);
    m->frames[m->count++] = f;
}

/* ---- the text ---- */

static void put_list(struct str *json, const struct gate_measure *m, const char *name, size_t offset)
{
    str_printf(json, ",\"%s\":[", name);
    for (int i = 0; i < m->count; i++)
        str_printf(json, "%s%d", i ? "," : "", *(const int *)((const char *)&m->frames[i] + offset));
    str_append(json, "]");
}

static void put_tint(struct str *json, const struct gate_measure *m)
{
    str_append(json, ",\"tint\":[");
    for (int i = 0; i < m->count; i++)
        str_printf(json, "%s[%d,%d,%d]", i ? "," : "", m->frames[i].tint[0], m->frames[i].tint[1],
                   m->frames[i].tint[2]);
    str_append(json, "]");
}

static void put_moves(struct str *json, const struct gate_measure *m)
{
    str_append(json, ",\"move\":[");
    for (int i = 0; i < m->count; i++)
        str_printf(json, "%s[%d,%d]", i ? "," : "", m->frames[i].x, m->frames[i].y);
    str_append(json, "]");
}

/* Against `second` frames before; where the figures are in either frame, nothing is said of the camera. */
static void camera_at(const struct gate_measure *m, int frame, int second, struct camera *c)
{
    const size_t area = (size_t)m->columns * m->rows;
    const struct frame_scores *now = &m->frames[frame], *before = &m->frames[frame - second];
    uint8_t *apart = xmalloc(area);
    for (size_t i = 0; i < area; i++)
        apart[i] = now->apart[i] | before->apart[i];
    camera_find(c, &(struct motion_picture){ m->columns, m->rows, before->luma },
                &(struct motion_picture){ m->columns, m->rows, now->luma }, apart, CAMERA_REACH);
    free(apart);
}

static void put_camera(struct str *json, const struct gate_measure *m)
{
    const int second = m->fps < m->count ? m->fps : m->count - 1, step = second > 1 ? second / 2 : 1;
    const int64_t width = 256 * (int64_t)m->columns * second, fps = m->fps;
    struct str drift = { 0 };
    bool first = true;
    str_append(json, ",\"camera\":[");
    for (int i = second; i < m->count && second > 0; i += step) {
        struct camera c;
        camera_at(m, i, second, &c);
        if (c.known)
            str_printf(json, "%s[%d,%d,%d]", first ? "" : ",", (int)(10000 * c.x * fps / width),
                       (int)(10000 * c.y * fps / width), (int)(10000 * c.zoom * fps / (65536 * (int64_t)second)));
        first = first && !c.known;
        str_printf(&drift, "%s[%d,%d]", i > second ? "," : "", (int)(10000 * c.drift * fps / width), c.say);
    }
    str_printf(json, "],\"drift\":[%s]", drift.data ? drift.data : "");
    str_free(&drift);
}

static void put_seen(struct str *json, const struct gate_measure *m, const struct figure *figure, const char *name,
                     size_t offset)
{
    str_printf(json, "\"%s\":[", name);
    for (int f = 0; f < m->count; f++)
        str_printf(json, "%s%d", f ? "," : "", *(const int *)((const char *)&figure->seen[f] + offset));
    str_append(json, "]");
}

static void put_figures(struct str *json, const struct gate_measure *m)
{
    str_append(json, ",\"figures\":[");
    for (size_t i = 0; i < m->figure_count; i++) {
        str_append(json, i ? ",{" : "{");
        put_seen(json, m, &m->figures[i], "share", offsetof(struct figure_seen, share));
        str_append(json, ",");
        put_seen(json, m, &m->figures[i], "dense", offsetof(struct figure_seen, dense));
        str_append(json, ",");
        put_seen(json, m, &m->figures[i], "x", offsetof(struct figure_seen, x));
        str_append(json, ",");
        put_seen(json, m, &m->figures[i], "y", offsetof(struct figure_seen, y));
        str_append(json, "}");
    }
    str_append(json, "]");
}

void gate_measure_json(const struct gate_measure *m, struct str *json)
{
    str_printf(json, "{\"format\":%d,\"frames\":%d,\"columns\":%d,\"fps\":%d,\"unusable\":%lld,\"borders\":[", FORMAT,
               m->count, m->columns, m->fps, (long long)m->unusable);
    for (size_t i = 0; i < m->border_count; i++)
        str_printf(json, "%s[%d,%d]", i ? "," : "", m->borders[i].first, m->borders[i].last);
    str_append(json, "]");
    put_list(json, m, "dark", offsetof(struct frame_scores, dark));
    put_list(json, m, "bright", offsetof(struct frame_scores, bright));
    put_list(json, m, "sharpness", offsetof(struct frame_scores, sharpness));
    put_list(json, m, "change", offsetof(struct frame_scores, change));
    put_tint(json, m);
    put_list(json, m, "residual", offsetof(struct frame_scores, residual));
    put_list(json, m, "colours", offsetof(struct frame_scores, colours));
    put_list(json, m, "lasting", offsetof(struct frame_scores, lasting));
    put_moves(json, m);
    put_camera(json, m);
    put_figures(json, m);
    str_append(json, "}");
}

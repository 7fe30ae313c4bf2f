/* gate_measures - the numbers that gates look at, from the scores of all frames. */
#include "coordinator/core/gates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a frame may take part in. */
struct frame_state {
    bool dull;   /* black, grey or noise */
    bool soft;   /* blurred, beside the shot's other frames or at all */
    bool frozen; /* repeats the one before, in a run that is too long */
    bool joined; /* with the frame before it: they show the same picture a moment later */
};

struct scene {
    const struct gate_scores *s;
    const struct gate_limits *l;
    struct frame_state *frames;
    double *list; /* room for three numbers per frame */
    double *m;    /* the measures */
};

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which `share` of a list lies; the list is sorted. NAN for an empty one. */
static double quantile(double *list, size_t count, double share)
{
    if (count == 0)
        return NAN;
    qsort(list, count, sizeof *list, by_value);
    return list[(size_t)(share * (double)(count - 1))];
}

static double median(double *list, size_t count)
{
    return quantile(list, count, 0.5);
}

static bool beyond(const struct scene *c, enum gate_check check)
{
    return !isnan(c->m[check]) &&
           (check_is_least(check) ? c->m[check] < c->l->limit[check] : c->m[check] > c->l->limit[check]);
}

static void keep_least(double *to, double v)
{
    *to = isnan(*to) || v < *to ? v : *to;
}

static void keep_most(double *to, double v)
{
    *to = isnan(*to) || v > *to ? v : *to;
}

/* ---- single frames ---- */

static void measure_light(struct scene *c)
{
    const struct gate_scores *s = c->s;
    const double *limit = c->l->limit;
    for (int f = 0; f < s->frames; f++) {
        const double spread = s->bright[f] - s->dark[f];
        keep_least(&c->m[CHECK_BLACK_BRIGHT], s->bright[f]);
        if (s->bright[f] < limit[CHECK_BLACK_BRIGHT]) {
            c->frames[f].dull = true;
            continue;
        }
        keep_least(&c->m[CHECK_GREY_SPREAD], spread);
        if (spread < limit[CHECK_GREY_SPREAD]) {
            c->frames[f].dull = true;
            continue;
        }
        keep_most(&c->m[CHECK_NOISE_SHARPNESS], s->sharpness[f]);
        c->frames[f].dull = s->sharpness[f] > limit[CHECK_NOISE_SHARPNESS];
    }
}

static void measure_blur(struct scene *c)
{
    const double *limit = c->l->limit;
    double least = NAN;
    size_t count = 0;
    for (int f = 0; f < c->s->frames; f++) {
        if (c->frames[f].dull)
            continue;
        c->list[count++] = c->s->sharpness[f];
        keep_least(&least, c->s->sharpness[f]);
    }
    const double usual = median(c->list, count);
    c->m[CHECK_BLUR_SHARPNESS] = least;
    c->m[CHECK_BLUR_DROP] = usual > 0 ? least / usual : NAN;
    for (int f = 0; f < c->s->frames; f++)
        c->frames[f].soft =
            c->s->sharpness[f] < limit[CHECK_BLUR_SHARPNESS] || c->s->sharpness[f] < usual * limit[CHECK_BLUR_DROP];
}

static void measure_freeze(struct scene *c)
{
    int run = 0;
    for (int f = 1; f < c->s->frames; f++) {
        run = !c->frames[f].dull && c->s->change[f] < c->l->freeze_change ? run + 1 : 0;
        keep_most(&c->m[CHECK_FREEZE_SECONDS], (double)run / c->s->fps);
        c->frames[f].frozen = run > c->l->limit[CHECK_FREEZE_SECONDS] * c->s->fps;
    }
}

#define LASTING 5 /* frames over which scores tell a lasting change */

/* Where a frozen picture gives way to the next one, nobody has cut. */
static bool may_cut(const struct scene *c, int f)
{
    return !c->frames[f].dull && !c->frames[f - 1].dull && !c->frames[f - 1].frozen;
}

/* Nor where a blurred one does: it matches nothing, but has the same colours. */
static bool is_sharp(const struct scene *c, int f)
{
    return !c->frames[f].soft && !c->frames[f - 1].soft;
}

/* Whether a step in the light of all channels is taken back within half a second, or takes one back: that is a flash,
 * whatever it does to the colours. */
static bool is_flash(const struct scene *c, int f)
{
    const struct gate_scores *s = c->s;
    const double step = (s->tint[f][0] + s->tint[f][1] + s->tint[f][2]) / 3;
    if (fabs(step) <= c->l->limit[CHECK_FLASH_TINT])
        return false;
    for (int way = -1; way <= 1; way += 2) {
        double left = step;
        for (int k = f + way; k > 0 && k < s->frames && abs(k - f) <= s->fps / 2; k += way) {
            left += (s->tint[k][0] + s->tint[k][1] + s->tint[k][2]) / 3;
            if (fabs(left) < fabs(step) / 4)
                return true;
        }
    }
    return false;
}

/* What a frame changes beyond what the frames on both sides of it do: motion goes on, a cut is over at once. And as
 * much as stays changed: a flash goes back. */
static double colours_cut(const struct scene *c, int f)
{
    const struct gate_scores *s = c->s;
    double around = 0, stays = 1;
    if (f > 1 && may_cut(c, f - 1))
        around = s->colours[f - 1];
    if (f + 1 < s->frames && may_cut(c, f + 1))
        around = fmax(around, s->colours[f + 1]);
    for (int k = f; k < f + LASTING && k < s->frames; k++)
        if (k >= LASTING && !c->frames[k].dull && !c->frames[k - LASTING].dull)
            stays = fmin(stays, s->lasting[k]);
    return fmin(s->colours[f] - around, stays);
}

static void measure_cuts(struct scene *c)
{
    for (int f = 1; f < c->s->frames; f++) {
        if (!may_cut(c, f))
            continue;
        const double residual = is_sharp(c, f) ? c->s->residual[f] : 0,
                     colours = is_flash(c, f) ? 0 : colours_cut(c, f);
        keep_most(&c->m[CHECK_CUT_RESIDUAL], residual);
        keep_most(&c->m[CHECK_CUT_COLOURS], colours);
        c->frames[f].joined =
            is_sharp(c, f) && residual <= c->l->limit[CHECK_CUT_RESIDUAL] && colours <= c->l->limit[CHECK_CUT_COLOURS];
    }
}

/* ---- light and colour over time ---- */

/* The level of a channel at each frame, the first being 0. */
static void add_up(const struct scene *c, int channel, double *level)
{
    double sum = 0;
    for (int f = 0; f < c->s->frames; f++) {
        sum += c->frames[f].joined ? c->s->tint[f][channel] : 0;
        level[f] = sum;
    }
}

static void measure_flicker(struct scene *c)
{
    for (int channel = 0; channel < 3; channel++) {
        size_t count = 0;
        for (int f = 1; f + 1 < c->s->frames; f++) {
            const double a = c->s->tint[f][channel], b = c->s->tint[f + 1][channel];
            if (c->frames[f].joined && c->frames[f + 1].joined)
                c->list[count++] = a * b < 0 ? fmin(fabs(a), fabs(b)) : 0;
        }
        if (count > 3)
            keep_most(&c->m[CHECK_FLICKER_TINT], quantile(c->list, count, 0.75));
    }
}

static void measure_flash(struct scene *c)
{
    const int frames = c->s->frames, half = c->s->fps / 2 > 1 ? c->s->fps / 2 : 1;
    double *level = c->list, *window = c->list + frames;
    for (int channel = 0; channel < 3; channel++) {
        add_up(c, channel, level);
        for (int f = 0; f < frames; f++) {
            size_t count = 0;
            for (int k = f - half < 0 ? 0 : f - half; k <= f + half && k < frames; k++)
                window[count++] = level[k];
            if (count == (size_t)(2 * half + 1)) /* at the ends a ramp would look like a flash */
                keep_most(&c->m[CHECK_FLASH_TINT], fabs(level[f] - median(window, count)));
        }
    }
}

/* Across a border: what changes there beyond what changes anyway in as many frames. */
static void measure_steps(struct scene *c)
{
    const struct gate_scores *s = c->s;
    for (size_t i = 0; i < s->border_count; i++) {
        for (int channel = 0; channel < 3; channel++) {
            double sum = 0;
            for (int f = s->borders[i].first; f <= s->borders[i].last + 1 && f < s->frames; f++)
                sum += c->frames[f].joined ? s->tint[f][channel] : 0;
            keep_most(&c->m[CHECK_STEP_TINT], fabs(sum));
        }
    }
}

/* ---- motion ---- */

/* The largest step of a series across borders, beyond its median. `known` says which steps there are. */
static double largest_jump(struct scene *c, const double *steps, const bool *known)
{
    const struct gate_scores *s = c->s;
    double *list = c->list + s->frames, most = NAN;
    size_t count = 0;
    for (int f = 1; f < s->frames; f++)
        if (known[f])
            list[count++] = steps[f];
    const double usual = median(list, count);
    for (size_t i = 0; i < s->border_count; i++)
        for (int f = s->borders[i].first; f <= s->borders[i].last + 1 && f < s->frames; f++)
            if (f > 0 && known[f])
                keep_most(&most, fabs(steps[f] - usual));
    return most;
}

/* In another light, or another colour, a figure is seen elsewhere, or nowhere. */
static bool figures_seen(const struct scene *c)
{
    return !beyond(c, CHECK_IDENTITY_DENSE) && !beyond(c, CHECK_FLASH_TINT) && !beyond(c, CHECK_FLICKER_TINT);
}

static void measure_jumps(struct scene *c)
{
    const struct gate_scores *s = c->s;
    bool *known = xcalloc((size_t)s->frames, sizeof *known);
    double *steps = c->list;
    for (int axis = 0; axis < 2; axis++) {
        for (int f = 1; f < s->frames; f++) {
            known[f] = c->frames[f].joined;
            steps[f] = s->move[f][axis];
        }
        keep_most(&c->m[CHECK_JUMP_PICTURE], largest_jump(c, steps, known));
        for (size_t i = 0; i < s->figure_count && figures_seen(c); i++) {
            const struct gate_figure *g = &s->figures[i];
            const double *at = axis ? g->y : g->x;
            for (int f = 1; f < s->frames; f++) {
                known[f] = c->frames[f].joined && g->share[f] > 0.005 && g->share[f - 1] > 0.005;
                steps[f] = at[f] - at[f - 1];
            }
            keep_most(&c->m[CHECK_JUMP_FIGURE], largest_jump(c, steps, known));
        }
    }
    free(known);
}

/* ---- what was planned ---- */

static void measure_identity(struct scene *c)
{
    for (size_t i = 0; i < c->s->figure_count; i++) {
        size_t count = 0;
        for (int f = 0; f < c->s->frames; f++)
            if (!c->frames[f].dull && !c->frames[f].soft)
                c->list[count++] = c->s->figures[i].dense[f];
        if (count)
            keep_least(&c->m[CHECK_IDENTITY_DENSE], median(c->list, count));
    }
}

#define LEAST_SAY 32 /* half a clear block in the whole shot: less tells nothing */

/* How far the picture goes to the right in a second, over the whole shot; NAN where there is too little to see. */
static double drift_of(const struct gate_scores *s)
{
    double say = 0, sum = 0;
    for (size_t i = 0; i < s->drift_count; i++) {
        say += fmax(s->drift[i][1], 0);
        sum += fmax(s->drift[i][1], 0) * s->drift[i][0];
    }
    return say >= LEAST_SAY ? sum / say : NAN;
}

static void measure_camera(struct scene *c, const char *move)
{
    double mean[3] = { 0 };
    for (size_t i = 0; i < c->s->camera_count; i++)
        for (int k = 0; k < 3; k++)
            mean[k] += c->s->camera[i][k] / (double)c->s->camera_count;
    if (!strcmp(move, "pan left")) /* the camera turns left, and what it sees goes right */
        c->m[CHECK_PAN] = drift_of(c->s);
    else if (!strcmp(move, "pan right"))
        c->m[CHECK_PAN] = -drift_of(c->s);
    if (c->s->camera_count == 0)
        return;
    if (!strcmp(move, "static"))
        c->m[CHECK_STATIC] = fmax(fabs(mean[0]), fabs(mean[1]));
    else if (!strcmp(move, "zoom in"))
        c->m[CHECK_ZOOM] = mean[2];
    else if (!strcmp(move, "zoom out"))
        c->m[CHECK_ZOOM] = -mean[2];
}

/* What means something only where all frames show one picture. */
static void measure_over_time(struct scene *c, const struct gate_plan *plan)
{
    measure_flicker(c);
    if (!beyond(c, CHECK_FLICKER_TINT))
        measure_flash(c);
    if (!beyond(c, CHECK_FLICKER_TINT) && !beyond(c, CHECK_FLASH_TINT))
        measure_steps(c);
    measure_identity(c);
    measure_jumps(c);
    for (int f = 0; f < c->s->frames; f++)
        if (c->frames[f].dull || c->frames[f].soft || c->frames[f].frozen)
            return; /* not even the camera's move can be told */
    if (beyond(c, CHECK_JUMP_PICTURE) || beyond(c, CHECK_IDENTITY_DENSE))
        return; /* a jump would be taken for one, and so would a figure that is not known to be one */
    measure_camera(c, plan->camera);
}

void gates_measure(double measures[GATE_CHECKS], const struct gate_scores *s, const struct gate_plan *plan,
                   const struct gate_limits *l)
{
    struct scene c = { .s = s, .l = l, .m = measures };
    for (int i = 0; i < GATE_CHECKS; i++)
        measures[i] = NAN;
    measures[CHECK_UNUSABLE] = (double)s->unusable;
    measures[CHECK_FRAMES] = abs(s->frames - plan->frames);
    if (s->unusable || s->frames == 0)
        return; /* nothing that was measured means anything */
    c.frames = xcalloc((size_t)s->frames, sizeof *c.frames);
    c.list = xcalloc(3 * (size_t)s->frames, sizeof *c.list);
    measure_light(&c);
    measure_blur(&c);
    measure_freeze(&c);
    measure_cuts(&c);
    if (beyond(&c, CHECK_CUT_RESIDUAL) || beyond(&c, CHECK_CUT_COLOURS))
        measures[CHECK_BLUR_DROP] = NAN; /* of two pictures one is the softer */
    else
        measure_over_time(&c, plan);
    free(c.frames);
    free(c.list);
}

#include "worker/gates/gate_camera.h"

#include "common/base/arena.h"

#include <stdlib.h>

#define STRIDE     8
#define FEWEST     10  /* blocks that tell a move from chance */
#define WORST      600 /* of what a match may leave, 1/1000 of the block's texture */
#define MOST_SAY   64  /* of one block */
#define SUBPIXELS  256
#define LEAST_AWAY (2 * SUBPIXELS) /* from the fit: nearer blocks are never left out */
#define ROUNDS     3

/* A block that was found again. A horizontal edge says where it went down and nothing of where it went right: each axis
 * has a say of its own. */
struct witness {
    int at[2];    /* distance of its middle from the picture's, half pixels */
    int moved[2]; /* 1/SUBPIXELS */
    int say[2];
    int clear; /* how much less than WORST the match leaves */
    bool kept;
};

/* Of one axis, from the sums of differences at the match and one and two pixels beside it; -1: outside the picture. */
static void weigh(struct witness *w, int axis, int best, const int near[2], const int far[2])
{
    const int bend = near[0] + near[1] - 2 * best;
    w->say[axis] = 0;
    if (near[0] < 0 || near[1] < 0)
        return;
    const int before = far[0] < 0 ? near[0] : far[0], after = far[1] < 0 ? near[1] : far[1],
              rise = (before < after ? before : after) - best;
    int part = bend > 0 ? SUBPIXELS * (near[0] - near[1]) / (2 * bend) : 0;
    part = part < -SUBPIXELS / 2 ? -SUBPIXELS / 2 : part > SUBPIXELS / 2 ? SUBPIXELS / 2 : part;
    w->moved[axis] += part;
    w->say[axis] = rise <= 0 ? 0 : rise / 16 > MOST_SAY ? MOST_SAY : rise / 16;
}

static bool is_apart(const uint8_t *apart, int width, int x, int y)
{
    int sum = 0;
    for (int v = 0; v < MOTION_BLOCK; v++)
        for (int u = 0; u < MOTION_BLOCK; u++)
            sum += apart[(y + v) * width + x + u];
    return 8 * sum > MOTION_BLOCK * MOTION_BLOCK;
}

static bool look(struct witness *w, const struct motion_search *s, int x, int y)
{
    struct motion_match m;
    if (!motion_match_block(&m, s, x, y) || 1000 * (int64_t)m.left > WORST * (int64_t)m.texture)
        return false;
    for (int axis = 0; axis < 2; axis++) {
        const int u = axis == 0, v = axis == 1;
        const int near[2] = { motion_difference(s, x, y, m.x - u, m.y - v),
                              motion_difference(s, x, y, m.x + u, m.y + v) };
        const int far[2] = { motion_difference(s, x, y, m.x - 2 * u, m.y - 2 * v),
                             motion_difference(s, x, y, m.x + 2 * u, m.y + 2 * v) };
        w->moved[axis] = SUBPIXELS * (axis ? m.y : m.x);
        weigh(w, axis, m.left, near, far);
    }
    w->clear = WORST - (int)(1000 * (int64_t)m.left / m.texture);
    w->at[0] = 2 * x + MOTION_BLOCK - s->to->width;
    w->at[1] = 2 * y + MOTION_BLOCK - s->to->height;
    return true;
}

/* moved = move + growth / scale * at, by least squares over those that are kept. */
struct fit {
    int64_t move[2];
    int64_t growth, scale;
};

static int64_t moved_by(const struct fit *f, int axis, int at)
{
    return f->move[axis] + f->growth * at / f->scale;
}

static bool solve(struct fit *f, const struct witness *list, int count)
{
    int64_t say[2] = { 0 }, at[2] = { 0 }, moved[2] = { 0 }, both = 0, square = 0;
    for (int i = 0; i < count; i++)
        for (int k = 0; list[i].kept && k < 2; k++) {
            const int64_t s = list[i].say[k];
            say[k] += s;
            at[k] += s * list[i].at[k];
            moved[k] += s * list[i].moved[k];
            both += s * list[i].at[k] * list[i].moved[k];
            square += s * list[i].at[k] * list[i].at[k];
        }
    if (say[0] == 0 || say[1] == 0)
        return false;
    for (int k = 0; k < 2; k++) {
        both -= at[k] * moved[k] / say[k];
        square -= at[k] * at[k] / say[k];
    }
    *f = (struct fit){ .growth = square > 0 ? both : 0, .scale = square > 0 ? square : 1 };
    for (int k = 0; k < 2; k++)
        f->move[k] = (moved[k] - f->growth * at[k] / f->scale) / say[k];
    return true;
}

/* How far a block is from the fit, on the axes of which it says something. */
static int away(const struct fit *f, const struct witness *w)
{
    int64_t most = 0;
    for (int k = 0; k < 2; k++) {
        const int64_t d = w->say[k] ? llabs((long long)(w->moved[k] - moved_by(f, k, w->at[k]))) : 0;
        most = d > most ? d : most;
    }
    return (int)most;
}

/* What most blocks did that say something: where to start from, so that a large figure does not draw the fit to it. */
static struct fit usual_move(const struct witness *list, int count)
{
    struct fit f = { .scale = 1 };
    int *values = xcalloc((size_t)count, sizeof *values);
    for (int k = 0; k < 2; k++) {
        int used = 0;
        for (int i = 0; i < count; i++)
            if (list[i].say[k])
                values[used++] = list[i].moved[k];
        f.move[k] = motion_median(values, used);
    }
    free(values);
    return f;
}

/* Leaves out what is far from the fit. Returns how many are kept. */
static int keep_near(const struct fit *f, struct witness *list, int count)
{
    int *distances = xcalloc((size_t)count, sizeof *distances), kept = 0;
    for (int i = 0; i < count; i++)
        distances[i] = away(f, &list[i]);
    const int usual = 3 * motion_median(distances, count), most = usual > LEAST_AWAY ? usual : LEAST_AWAY;
    for (int i = 0; i < count; i++) {
        list[i].kept = away(f, &list[i]) <= most;
        kept += list[i].kept;
    }
    free(distances);
    return kept;
}

/* False when too few agree. */
static bool agree(struct fit *f, struct witness *list, int count)
{
    int kept = 0;
    bool ok = true;
    *f = usual_move(list, count);
    for (int round = 0; ok && round < ROUNDS; round++) {
        kept = keep_near(f, list, count);
        ok = solve(f, list, count);
    }
    return ok && kept >= FEWEST;
}

/* By what they say, and by how well they were found again. */
static void find_drift(struct camera *c, const struct witness *list, int count)
{
    int64_t say = 0, moved = 0;
    for (int i = 0; i < count; i++) {
        const int64_t s = (int64_t)list[i].say[0] * list[i].clear;
        say += s;
        moved += s * list[i].moved[0];
    }
    c->drift = say ? (int)(moved / say) : 0;
    c->say = (int)(say / WORST);
}

void camera_find(struct camera *c, const struct motion_picture *from, const struct motion_picture *to,
                 const uint8_t *apart, int reach)
{
    *c = (struct camera){ .known = false };
    if (to->width < MOTION_BLOCK || to->height < MOTION_BLOCK)
        return;
    const int across = (to->width - MOTION_BLOCK) / STRIDE + 1, down = (to->height - MOTION_BLOCK) / STRIDE + 1;
    struct witness *list = xcalloc((size_t)across * down, sizeof *list);
    struct motion_search s;
    struct fit f;
    int count = 0;
    motion_search_open(&s, from, to, reach);
    for (int y = 0; y + MOTION_BLOCK <= to->height; y += STRIDE)
        for (int x = 0; x + MOTION_BLOCK <= to->width; x += STRIDE)
            if (!is_apart(apart, to->width, x, y))
                count += look(&list[count], &s, x, y);
    motion_search_close(&s);
    find_drift(c, list, count);
    c->known = count >= FEWEST && agree(&f, list, count);
    if (c->known) {
        c->x = (int)f.move[0];
        c->y = (int)f.move[1];
        c->zoom = (int)(f.growth * (65536 * 2 / SUBPIXELS) / f.scale);
    }
    free(list);
}

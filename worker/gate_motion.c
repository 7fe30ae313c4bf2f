#include "worker/gate_motion.h"

#include "common/base/arena.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>

#define AREA          (MOTION_BLOCK * MOTION_BLOCK)
#define LEAST_TEXTURE (3 * AREA) /* flat blocks match anywhere */
#define STEP_PRICE    24         /* of a pixel of motion: among equal matches the nearest is meant */

static int by_value(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

int motion_median(int *values, int count)
{
    if (count == 0)
        return 0;
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[(count - 1) / 2];
}

static int mean_of(const struct motion_picture *p, int x, int y)
{
    int sum = 0;
    for (int v = 0; v < MOTION_BLOCK; v++)
        for (int u = 0; u < MOTION_BLOCK; u++)
            sum += p->luma[(y + v) * p->width + x + u];
    return (sum + AREA / 2) / AREA;
}

/* Sum of |difference| of two blocks less their means; stops beyond `limit`. */
static int distance(const struct motion_picture *a, int ax, int ay, const struct motion_picture *b, int bx, int by,
                    int offset, int limit)
{
    int sum = 0;
    for (int v = 0; v < MOTION_BLOCK && sum < limit; v++) {
        const uint8_t *p = a->luma + (ay + v) * a->width + ax, *q = b->luma + (by + v) * b->width + bx;
        for (int u = 0; u < MOTION_BLOCK; u++)
            sum += abs(p[u] - q[u] - offset);
    }
    return sum;
}

struct match {
    int x, y, left; /* left: the sum of differences */
};

static struct match match_block(const struct motion_picture *from, const struct motion_picture *to, int x, int y,
                                const int *means, int reach)
{
    struct match best = { 0 };
    int best_price = INT_MAX;
    const int mean = mean_of(to, x, y);
    for (int dy = -reach; dy <= reach; dy++) {
        for (int dx = -reach; dx <= reach; dx++) {
            const int fx = x - dx, fy = y - dy, price = STEP_PRICE * (abs(dx) + abs(dy));
            if (fx < 0 || fy < 0 || fx + MOTION_BLOCK > from->width || fy + MOTION_BLOCK > from->height ||
                price >= best_price)
                continue;
            const int left = distance(to, x, y, from, fx, fy, mean - means[fy * from->width + fx], best_price - price);
            if (left + price < best_price) {
                best_price = left + price;
                best = (struct match){ dx, dy, left };
            }
        }
    }
    return best;
}

static int texture_of(const struct motion_picture *p, int x, int y)
{
    const int mean = mean_of(p, x, y);
    int sum = 0;
    for (int v = 0; v < MOTION_BLOCK; v++)
        for (int u = 0; u < MOTION_BLOCK; u++)
            sum += abs(p->luma[(y + v) * p->width + x + u] - mean);
    return sum;
}

/* A quarter of the block is enough: its edges lead the match. */
static bool is_figure(const struct motion_picture *p, int x, int y)
{
    int sum = 0;
    for (int v = 0; p->figure && v < MOTION_BLOCK; v++)
        for (int u = 0; u < MOTION_BLOCK; u++)
            sum += p->figure[(y + v) * p->width + x + u];
    return 4 * sum > AREA;
}

void motion_find(struct motion *m, const struct motion_picture *from, const struct motion_picture *to, int stride,
                 int reach)
{
    const int across = (to->width - MOTION_BLOCK) / stride + 1, down = (to->height - MOTION_BLOCK) / stride + 1;
    *m = (struct motion){ .residual = 0 };
    if (to->width < MOTION_BLOCK || to->height < MOTION_BLOCK)
        return;
    int *means = xcalloc((size_t)from->width * from->height, sizeof *means);
    int *lists = xcalloc((size_t)across * down * 5, sizeof *lists);
    int *xs = lists, *ys = xs + across * down, *zooms = ys + across * down, *px = zooms + across * down,
        *py = px + across * down, zoom_count = 0;
    int64_t left = 0, texture = 0;
    for (int y = 0; y + MOTION_BLOCK <= from->height; y++)
        for (int x = 0; x + MOTION_BLOCK <= from->width; x++)
            means[y * from->width + x] = mean_of(from, x, y);
    for (int j = 0; j < down; j++) {
        for (int i = 0; i < across; i++) {
            const int x = i * stride, y = j * stride, t = texture_of(to, x, y);
            if (t < LEAST_TEXTURE || is_figure(to, x, y))
                continue;
            const struct match best = match_block(from, to, x, y, means, reach);
            xs[m->blocks] = best.x;
            ys[m->blocks] = best.y;
            px[m->blocks] = 2 * x + MOTION_BLOCK - to->width; /* twice the distance from the centre */
            py[m->blocks] = 2 * y + MOTION_BLOCK - to->height;
            m->blocks++;
            left += best.left;
            texture += t;
        }
    }
    for (int i = 0; i < m->blocks; i++) {
        const int r = px[i] * px[i] + py[i] * py[i];
        if (r >= to->height * to->height / 4) /* nearer ones say little */
            zooms[zoom_count++] = 2000 * (xs[i] * px[i] + ys[i] * py[i]) / r;
    }
    m->zoom = motion_median(zooms, zoom_count);
    m->x = motion_median(xs, m->blocks);
    m->y = motion_median(ys, m->blocks);
    m->residual = texture > 0 ? (int)(1000 * left / texture) : 0;
    free(lists);
    free(means);
}

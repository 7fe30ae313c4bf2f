#include "worker/gates/gate_motion.h"

#include "common/base/arena.h"

#include <limits.h>
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

void motion_search_open(struct motion_search *s, const struct motion_picture *from, const struct motion_picture *to,
                        int reach)
{
    *s = (struct motion_search){ .from = from, .to = to, .reach = reach };
    s->means = xcalloc((size_t)from->width * from->height, sizeof *s->means);
    for (int y = 0; y + MOTION_BLOCK <= from->height; y++)
        for (int x = 0; x + MOTION_BLOCK <= from->width; x++)
            s->means[y * from->width + x] = mean_of(from, x, y);
}

void motion_search_close(struct motion_search *s)
{
    free(s->means);
    s->means = NULL;
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

static bool is_inside(const struct motion_picture *p, int x, int y)
{
    return x >= 0 && y >= 0 && x + MOTION_BLOCK <= p->width && y + MOTION_BLOCK <= p->height;
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

bool motion_match_block(struct motion_match *m, const struct motion_search *s, int x, int y)
{
    const int mean = mean_of(s->to, x, y);
    int best_price = INT_MAX;
    *m = (struct motion_match){ .texture = texture_of(s->to, x, y) };
    if (m->texture < LEAST_TEXTURE)
        return false;
    for (int dy = -s->reach; dy <= s->reach; dy++) {
        for (int dx = -s->reach; dx <= s->reach; dx++) {
            const int fx = x - dx, fy = y - dy, price = STEP_PRICE * (abs(dx) + abs(dy));
            if (!is_inside(s->from, fx, fy) || price >= best_price)
                continue;
            const int left =
                distance(s->to, x, y, s->from, fx, fy, mean - s->means[fy * s->from->width + fx], best_price - price);
            if (left + price < best_price) {
                best_price = left + price;
                m->x = dx;
                m->y = dy;
                m->left = left;
            }
        }
    }
    return true;
}

int motion_difference(const struct motion_search *s, int x, int y, int dx, int dy)
{
    const int fx = x - dx, fy = y - dy;
    return is_inside(s->from, fx, fy) ? distance(s->to, x, y, s->from, fx, fy,
                                                 mean_of(s->to, x, y) - s->means[fy * s->from->width + fx], INT_MAX)
                                      : -1;
}

void motion_find(struct motion *m, const struct motion_picture *from, const struct motion_picture *to, int reach)
{
    const int across = to->width / MOTION_BLOCK, down = to->height / MOTION_BLOCK;
    int *xs = xcalloc((size_t)across * down * 2 + 1, sizeof *xs), *ys = xs + across * down, count = 0;
    int64_t left = 0, texture = 0;
    struct motion_search s;
    motion_search_open(&s, from, to, reach);
    for (int j = 0; j < down; j++) {
        for (int i = 0; i < across; i++) {
            struct motion_match best;
            if (!motion_match_block(&best, &s, i * MOTION_BLOCK, j * MOTION_BLOCK))
                continue;
            xs[count] = best.x;
            ys[count++] = best.y;
            left += best.left;
            texture += best.texture;
        }
    }
    motion_search_close(&s);
    *m = (struct motion){ .residual = texture > 0 ? (int)(1000 * left / texture) : 0 };
    m->x = motion_median(xs, count);
    m->y = motion_median(ys, count);
    free(xs);
}

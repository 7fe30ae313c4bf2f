#include "worker/gates/gate_figure.h"

#include "common/base/arena.h"
#include "worker/gates/palette.h"

#include <stdlib.h>
#include <string.h>

#define FEWEST 10 /* pixels that make a figure: fewer may be anywhere */

/* One axis of the pixels that have the figure's colours. */
struct extent {
    int middle, reach; /* nearly all of them are at most `reach` from the middle */
};

/* The place in a list of counts below which half of them lie. */
static int middle_of(const int *counts, int length, int total)
{
    int sum = 0, i = 0;
    for (; i < length - 1 && 2 * (sum + counts[i]) < total; i++)
        sum += counts[i];
    return i;
}

/* By medians, so that a few pixels of the same colours elsewhere have no say: for a filled body 2.5 times the median
 * distance from its middle is a little more than all of it. */
static struct extent extent_of(const int *counts, int length, int total)
{
    int *distances = xcalloc((size_t)length, sizeof *distances);
    struct extent e = { .middle = middle_of(counts, length, total) };
    for (int i = 0; i < length; i++)
        distances[abs(i - e.middle)] += counts[i];
    e.reach = 5 * middle_of(distances, length, total) / 2 + 4;
    free(distances);
    return e;
}

/* The square that has most of the figure's colours, more than there are beside it: a sea or a hill may have them, too,
 * and goes on. */
struct square {
    int x, y, side; /* its corner */
    int dense;      /* 1/10000 */
};

static struct square densest_square(const bool *at, int width, int height)
{
    const int side = 7 * height / 20 > 1 ? 7 * height / 20 : 1, across = width + 1;
    const int64_t area = (int64_t)side * side, area_beside = (int64_t)side * (width - side);
    int *sums = xcalloc((size_t)across * (height + 1), sizeof *sums);
    struct square most = { .side = side };
    for (int y = 1; y <= height; y++) {
        int *s = sums + y * across;
        for (int x = 1; x <= width; x++)
            s[x] = at[(y - 1) * width + x - 1] + s[x - 1] + s[x - across] - s[x - 1 - across];
        for (int x = side; x <= width && y >= side; x++) {
            const int *above = s - side * across, inside = s[x] - s[x - side] - above[x] + above[x - side],
                      beside = s[width] - above[width] - inside;
            const int dense = (int)(10000 * inside / area - (area_beside > 0 ? 10000 * beside / area_beside : 0));
            if (dense > most.dense)
                most = (struct square){ x - side, y - side, side, dense };
        }
    }
    free(sums);
    return most;
}

/* Leaves out what has the figure's colours further to a side than a square from the densest one: no figure is as wide.
 */
static int keep_near(bool *at, int width, int height, const struct square *s)
{
    int kept = 0;
    for (int i = 0; i < width * height; i++) {
        at[i] = at[i] && i % width >= s->x - s->side && i % width < s->x + 2 * s->side;
        kept += at[i];
    }
    return kept;
}

void figure_find(struct figure_seen *seen, const struct figure_picture *p, const bool *has, uint8_t *mask)
{
    const size_t area = (size_t)p->width * p->height;
    bool *at = xcalloc(area, sizeof *at);
    int *columns = xcalloc((size_t)p->width, sizeof *columns), *rows = xcalloc((size_t)p->height, sizeof *rows);
    int total = 0;
    int64_t count = 0, x_sum = 0, y_sum = 0;
    for (size_t i = 0; i < area; i++) {
        at[i] = has[palette_bin(p->rgb + 3 * i)];
        total += at[i];
    }
    const struct square most = densest_square(at, p->width, p->height);
    *seen =
        (struct figure_seen){ .share = (int)(10000LL * total / (int64_t)area), .dense = most.dense, .x = -1, .y = -1 };
    total = keep_near(at, p->width, p->height, &most);
    for (size_t i = 0; i < area; i++) {
        columns[i % (size_t)p->width] += at[i];
        rows[i / (size_t)p->width] += at[i];
    }
    if (total >= FEWEST) {
        const struct extent across = extent_of(columns, p->width, total), down = extent_of(rows, p->height, total);
        for (int y = 0; y < p->height; y++)
            for (int x = 0; x < p->width; x++) {
                if (abs(x - across.middle) > across.reach || y < down.middle - 2 * down.reach ||
                    y > down.middle + 3 * down.reach / 2)
                    continue;
                mask[y * p->width + x] = 1;
                if (at[y * p->width + x]) {
                    count++;
                    x_sum += x;
                    y_sum += y;
                }
            }
        seen->x = count ? (int)(100 * x_sum / count) : -1;
        seen->y = count ? (int)(100 * y_sum / count) : -1;
    }
    free(at);
    free(columns);
    free(rows);
}

/* links: shotline_tasks */
/* What the measures of the gates are made of, each on pictures whose truth is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/rng.h"
#include "worker/gates/gate_camera.h"
#include "worker/gates/gate_colours.h"
#include "worker/gates/gate_figure.h"
#include "worker/gates/palette.h"

#include <stdlib.h>
#include <string.h>

enum { WIDTH = 128, HEIGHT = 80, AREA = WIDTH * HEIGHT };

/* Soft spots, 12 apart, at a place between pixels. */
static double spots(double x, double y)
{
    const double cell = 12, gx = x / cell + 100, gy = y / cell + 100, u = gx - (int)gx, v = gy - (int)gy;
    double corner[2][2];
    for (int j = 0; j < 2; j++)
        for (int i = 0; i < 2; i++)
            corner[j][i] = 40 + 180 * rng_uniform(9, (uint64_t)((int)gx + i), (uint64_t)((int)gy + j));
    return (corner[0][0] * (1 - u) + corner[0][1] * u) * (1 - v) + (corner[1][0] * (1 - u) + corner[1][1] * u) * v;
}

/* Seen by a camera that has moved, so that the picture went right and down by x and y, and grew. */
static void draw(uint8_t *luma, double x, double y, double growth)
{
    for (int j = 0; j < HEIGHT; j++)
        for (int i = 0; i < WIDTH; i++)
            luma[j * WIDTH + i] = (uint8_t)spots((i - WIDTH / 2.0 - x) / growth, (j - HEIGHT / 2.0 - y) / growth);
}

static struct motion_picture picture(const uint8_t *luma)
{
    return (struct motion_picture){ WIDTH, HEIGHT, luma };
}

/* ---- the camera ---- */

/* Parts of a pixel count: slow pans are few pixels in a second. */
static void moves_and_growth_are_told_apart(void **state)
{
    (void)state;
    static const double moves[][3] = { { 0, 0, 1 },     { 6.5, 0, 1 },  { -0.75, 0, 1 },    { 0, 2.25, 1 },
                                       { 0, 0, 1.065 }, { 0, 0, 0.94 }, { 4.25, -1, 1.04 }, { -9, 0, 1 } };
    uint8_t from[AREA], to[AREA], apart[AREA] = { 0 };
    draw(from, 0, 0, 1);
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++) {
        struct camera c;
        draw(to, moves[i][0], moves[i][1], moves[i][2]);
        const struct motion_picture a = picture(from), b = picture(to);
        camera_find(&c, &a, &b, apart, 14);
        assert_true(c.known);
        assert_float_equal(c.x / 256.0, moves[i][0], 0.3);
        assert_float_equal(c.y / 256.0, moves[i][1], 0.3);
        assert_float_equal(c.zoom / 65536.0, moves[i][2] - 1, 0.006);
    }
}

/* A third of the picture that goes the other way has no say, whether its place is known or not. */
static void what_moves_on_its_own_has_no_say(void **state)
{
    (void)state;
    uint8_t from[AREA], to[AREA], walker[AREA], apart[AREA] = { 0 };
    struct camera c;
    draw(from, 0, 0, 1);
    draw(to, 3, 0, 1);
    draw(walker, -8, 0, 1);
    for (int y = 16; y < HEIGHT; y++)
        memcpy(to + y * WIDTH + 44, walker + y * WIDTH + 44, 50);
    for (int known = 0; known < 2; known++) {
        const struct motion_picture a = picture(from), b = picture(to);
        for (int y = 16; known && y < HEIGHT; y++)
            memset(apart + y * WIDTH + 36, 1, 66);
        camera_find(&c, &a, &b, apart, 14);
        assert_true(c.known);
        assert_float_equal(c.x / 256.0, 3, known ? 0.3 : 0.6);
    }
}

/* What is far stays where it is when a camera pans. Most of the picture may be far. */
static void a_pan_shows_in_what_is_near(void **state)
{
    (void)state;
    uint8_t from[AREA], to[AREA], apart[AREA] = { 0 };
    draw(from, 0, 0, 1);
    for (int side = -1; side <= 1; side += 2) {
        struct camera c;
        draw(to, 4 * side, 0, 1);
        memcpy(to, from, 52 * WIDTH);
        const struct motion_picture a = picture(from), b = picture(to);
        camera_find(&c, &a, &b, apart, 14);
        assert_float_equal(c.x / 256.0, 0, 0.3);
        assert_in_range(side * c.drift, 256 / 2, 2 * 256);
        assert_true(c.say > 1000);
    }
}

static void a_flat_picture_says_nothing_of_the_camera(void **state)
{
    (void)state;
    uint8_t flat[AREA], apart[AREA] = { 0 };
    struct camera c;
    memset(flat, 90, sizeof flat);
    const struct motion_picture p = picture(flat);
    camera_find(&c, &p, &p, apart, 14);
    assert_false(c.known || c.say);
    memset(apart, 1, sizeof apart);
    draw(flat, 0, 0, 1);
    camera_find(&c, &p, &p, apart, 14); /* nor does one that is all figure */
    assert_false(c.known || c.say);
}

/* ---- a figure ---- */

static void fill(uint8_t *rgb, int x, int y, int width, int height, const uint8_t colour[3])
{
    for (int v = y; v < y + height; v++)
        for (int u = x; u < x + width; u++)
            memcpy(rgb + 3 * (v * WIDTH + u), colour, 3);
}

static void a_figure_is_found_among_stray_pixels(void **state)
{
    (void)state;
    static const uint8_t calm[3] = { 120, 150, 170 }, red[3] = { 225, 35, 40 };
    const struct palette p = { .count = 2, .colour = { { 100, 0, 0, 0.8f }, { 48, 68, 47, 0.2f } } }; /* white, red */
    uint8_t rgb[3 * AREA], mask[AREA] = { 0 };
    bool *has = xcalloc(PALETTE_BINS, sizeof *has);
    struct figure_seen seen;
    palette_bins(&p, has);
    fill(rgb, 0, 0, WIDTH, HEIGHT, calm);
    figure_find(&seen, &(struct figure_picture){ WIDTH, HEIGHT, rgb }, has, mask);
    assert_int_equal(seen.share, 0);
    assert_int_equal(seen.dense, 0);
    assert_int_equal(seen.x, -1);
    assert_null(memchr(mask, 1, sizeof mask));

    fill(rgb, 70, 30, 40, 30, red);
    fill(rgb, 2, 2, 4, 4, red);
    figure_find(&seen, &(struct figure_picture){ WIDTH, HEIGHT, rgb }, has, mask);
    assert_int_equal(seen.share, 10000 * (40 * 30 + 16) / AREA);
    assert_int_equal(seen.dense, 8800); /* 12 of 100 columns beside it have them */
    assert_int_equal(seen.x, 8950);     /* the middle of 70 to 109 */
    assert_int_equal(seen.y, 4450);
    assert_int_equal(mask[30 * WIDTH + 70] + mask[59 * WIDTH + 109], 2);
    assert_int_equal(mask[3 * WIDTH + 3] + mask[45 * WIDTH + 10], 0);
    free(has);
}

/* What goes on through the picture is no figure, whatever its colours, and hides none. */
static void a_sea_of_its_colours_is_no_figure(void **state)
{
    (void)state;
    static const uint8_t calm[3] = { 120, 150, 170 }, red[3] = { 225, 35, 40 };
    const struct palette p = { .count = 2, .colour = { { 100, 0, 0, 0.8f }, { 48, 68, 47, 0.2f } } }; /* white, red */
    uint8_t rgb[3 * AREA], mask[AREA] = { 0 };
    bool *has = xcalloc(PALETTE_BINS, sizeof *has);
    struct figure_seen seen;
    palette_bins(&p, has);
    fill(rgb, 0, 0, WIDTH, HEIGHT, calm);
    fill(rgb, 0, 40, WIDTH, 14, red);
    figure_find(&seen, &(struct figure_picture){ WIDTH, HEIGHT, rgb }, has, mask);
    assert_int_equal(seen.dense, 0);

    fill(rgb, 80, 20, 28, 50, red);
    memset(mask, 0, sizeof mask);
    figure_find(&seen, &(struct figure_picture){ WIDTH, HEIGHT, rgb }, has, mask);
    assert_in_range(seen.dense, 4900, 10000); /* the sea is half as high as the square */
    assert_in_range(seen.x, 8400, 10300);
    assert_int_equal(mask[25 * WIDTH + 94], 1);
    assert_int_equal(mask[45 * WIDTH + 20], 0);
    free(has);
}

/* A figure's palette is of a picture in full light; shots show it at night, too, and in front of hills. */
static void less_light_is_no_other_figure(void **state)
{
    (void)state;
    static const struct palette p = { .count = 2, .colour = { { 99, 0, 0, 0.8f }, { 58, -47, 36, 0.1f } } };
    static const uint8_t green[3] = { 36, 158, 70 }, dim[3] = { 36, 115, 60 };
    static const uint8_t hill[3] = { 140, 190, 120 }, dark[3] = { 8, 24, 12 }, blue[3] = { 40, 90, 200 };
    bool *has = xcalloc(PALETTE_BINS, sizeof *has);
    palette_bins(&p, has);
    assert_true(has[palette_bin(green)] && has[palette_bin(dim)]);
    assert_false(has[palette_bin(hill)] || has[palette_bin(dark)] || has[palette_bin(blue)]);
    free(has);
}

/* ---- colours ---- */

static void colours_change_with_the_picture_and_not_with_its_place(void **state)
{
    (void)state;
    static const uint8_t sky[3] = { 100, 160, 220 }, sand[3] = { 230, 200, 140 }, night[3] = { 30, 30, 80 };
    static const int none[3] = { 0 }, lighter[3] = { 12, 12, 12 };
    uint8_t rgb[3 * AREA];
    uint64_t a[COLOUR_BINS], b[COLOUR_BINS], total = 0;
    fill(rgb, 0, 0, WIDTH, HEIGHT, sky);
    fill(rgb, 10, 10, 64, 40, sand);
    colours_count(a, rgb, AREA, none);
    for (int i = 0; i < COLOUR_BINS; i++)
        total += a[i];
    assert_true(total == (uint64_t)AREA << 15); /* no part of a pixel is lost */

    fill(rgb, 0, 0, WIDTH, HEIGHT, sky);
    fill(rgb, 50, 30, 64, 40, sand);
    colours_count(b, rgb, AREA, none);
    assert_int_equal(colours_difference(a, b, AREA), 0);
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)(rgb[i] + 12);
    colours_count(b, rgb, AREA, lighter);
    assert_int_equal(colours_difference(a, b, AREA), 0);
    fill(rgb, 0, 0, WIDTH, HEIGHT, night);
    colours_count(b, rgb, AREA, none);
    assert_int_equal(colours_difference(a, b, AREA), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_and_growth_are_told_apart),
        cmocka_unit_test(what_moves_on_its_own_has_no_say),
        cmocka_unit_test(a_pan_shows_in_what_is_near),
        cmocka_unit_test(a_flat_picture_says_nothing_of_the_camera),
        cmocka_unit_test(a_figure_is_found_among_stray_pixels),
        cmocka_unit_test(a_sea_of_its_colours_is_no_figure),
        cmocka_unit_test(less_light_is_no_other_figure),
        cmocka_unit_test(colours_change_with_the_picture_and_not_with_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

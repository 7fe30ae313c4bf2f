/* links: shotline_tasks */
/* Ranges join without seams, noise belongs to the place and not to the window, and colours are what they say. */
#include "worker/tasks/latents.h"
#include "worker/tasks/noise.h"
#include "worker/gates/palette.h"

#include "common/base/arena.h"
#include "common/base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- blending ---- */

static void ramps_are_smooth_and_symmetric(void **state)
{
    (void)state;
    struct error err;
    const float zeros[5] = { 0 }, ones[5] = { 1, 1, 1, 1, 1 };
    const struct latent_range ranges[] = { { 0, 5, zeros }, { 2, 5, ones } };
    float to[7];
    assert_true(latents_blend(ranges, 2, 1, 1, 1, 7, to, &err));
    const float expected[7] = { 0, 0, 5 / 32.0f, 0.5f, 27 / 32.0f, 1, 1 };
    assert_memory_equal(to, expected, sizeof to);
}

static void equal_ranges_join_to_themselves(void **state)
{
    (void)state;
    struct error err;
    enum { C = 3, T = 13, H = 2, W = 3, AREA = H * W };
    float whole[C * T * AREA], to[C * T * AREA], cut[3][C * 5 * AREA];
    for (int i = 0; i < C * T * AREA; i++)
        whole[i] = rng_normal(1, 2, (uint64_t)i);
    const int firsts[3] = { 0, 4, 8 };
    struct latent_range ranges[3];
    for (int k = 0; k < 3; k++) {
        for (int c = 0; c < C; c++)
            memcpy(cut[k] + c * 5 * AREA, whole + (c * T + firsts[k]) * AREA, 5 * AREA * sizeof(float));
        ranges[k] = (struct latent_range){ firsts[k], 5, cut[k] };
    }
    assert_true(latents_blend(ranges, 3, C, H, W, T, to, &err));
    assert_memory_equal(to, whole, sizeof to);
}

static void holes_and_strays_are_refused(void **state)
{
    (void)state;
    struct error err = { 0 };
    const float data[8] = { 0 };
    float to[8];
    const struct latent_range bad[][2] = {
        { { 0, 3, data }, { 4, 4, data } }, /* a hole */ { { 1, 4, data }, { 4, 4, data } }, /* no beginning */
        { { 0, 4, data }, { 3, 4, data } }, /* no end */ { { 0, 5, data }, { 0, 8, data } }, /* the same start twice */
        { { 0, 5, data }, { 3, 6, data } }, /* too long */ { { 0, 8, data }, { 3, 2, data } }, /* inside the first */
        { { 0, 0, data }, { 0, 8, data } }, { { 0, 5, data }, { 3, INT32_MAX, data } },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(latents_blend(bad[i], 2, 1, 1, 1, 8, to, &err));
        assert_int_equal(err.kind, ERROR_INPUT);
    }
    assert_false(latents_blend(NULL, 0, 1, 1, 1, 8, to, &err));
}

/* ---- noise ---- */

enum { CHANNELS = 4, HEIGHT = 3, WIDTH = 5, AREA = HEIGHT * WIDTH };

static void noise_belongs_to_the_place(void **state)
{
    (void)state;
    const struct noise n = { NOISE_SHOT, 77, 1, 3, CHANNELS, HEIGHT, WIDTH };
    float whole[CHANNELS * 9 * AREA], window[CHANNELS * 5 * AREA];
    noise_fill(&n, 0, 9, whole, 9, 0);
    noise_fill(&n, 4, 3, window, 5, 2); /* behind two reference slots */
    for (int c = 0; c < CHANNELS; c++)
        assert_memory_equal(window + (c * 5 + 2) * AREA, whole + (c * 9 + 4) * AREA, 3 * AREA * sizeof(float));
    const double expected =
        rng_normal(77, (uint64_t)NOISE_SHOT << 56 | 1ull << 32 | 3, ((6 * CHANNELS + 2) * HEIGHT + 1) * WIDTH + 4);
    assert_true(whole[(2 * 9 + 6) * AREA + 1 * WIDTH + 4] == (float)expected);
}

static void streams_differ(void **state)
{
    (void)state;
    const struct noise base = { NOISE_SHOT, 77, 1, 3, CHANNELS, HEIGHT, WIDTH };
    struct noise others[5] = { base, base, base, base, base };
    others[0].kind = NOISE_REFERENCE;
    others[1].seed++;
    others[2].take++;
    others[3].shot++;
    others[4].seed += 1ull << 32;
    float a[CHANNELS * AREA], b[CHANNELS * AREA];
    noise_fill(&base, 0, 1, a, 1, 0);
    for (size_t i = 0; i < 5; i++) {
        int same = 0;
        noise_fill(&others[i], 0, 1, b, 1, 0);
        for (int k = 0; k < CHANNELS * AREA; k++)
            same += a[k] == b[k];
        assert_int_equal(same, 0);
    }
}

/* ---- colours ---- */

static void palette_finds_the_colours_of_a_flag(void **state)
{
    (void)state;
    enum { PIXELS = 1000 };
    uint8_t rgb[PIXELS * 3];
    for (int i = 0; i < PIXELS; i++) {
        const uint8_t *colour = i < 600   ? (const uint8_t[]){ 255, 255, 255 }
                                : i < 900 ? (const uint8_t[]){ 255, 0, 0 }
                                          : (const uint8_t[]){ 0, 0, 255 };
        memcpy(rgb + 3 * i, colour, 3);
    }
    struct palette p;
    palette_find(&p, rgb, PIXELS);
    assert_int_equal(p.count, 3);
    const double expected[3][4] = { { 100, 0, 0, .6 }, { 53.24, 80.09, 67.20, .3 }, { 32.30, 79.19, -107.86, .1 } };
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 4; k++)
            assert_true(fabs(p.colour[i][k] - expected[i][k]) < 0.05);
    }
}

static void palette_of_noise_has_all_its_colours(void **state)
{
    (void)state;
    enum { PIXELS = 5000 };
    uint8_t *rgb = xmalloc(PIXELS * 3);
    for (int i = 0; i < PIXELS * 3; i++)
        rgb[i] = (uint8_t)(rng_uniform(5, 5, (uint64_t)i) * 256);
    struct palette p, again;
    palette_find(&p, rgb, PIXELS);
    palette_find(&again, rgb, PIXELS);
    assert_memory_equal(&p, &again, sizeof p);
    assert_int_equal(p.count, PALETTE_COLOURS);
    float shares = 0;
    for (int i = 0; i < p.count; i++) {
        shares += p.colour[i][3];
        assert_true(i == 0 || p.colour[i][3] <= p.colour[i - 1][3]);
        assert_true(p.colour[i][0] >= 0 && p.colour[i][0] <= 100);
    }
    assert_true(fabsf(shares - 1) < 1e-5f);
    free(rgb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ramps_are_smooth_and_symmetric),
        cmocka_unit_test(equal_ranges_join_to_themselves),
        cmocka_unit_test(holes_and_strays_are_refused),
        cmocka_unit_test(noise_belongs_to_the_place),
        cmocka_unit_test(streams_differ),
        cmocka_unit_test(palette_finds_the_colours_of_a_flag),
        cmocka_unit_test(palette_of_noise_has_all_its_colours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

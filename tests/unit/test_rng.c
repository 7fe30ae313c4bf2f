#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

/* The known-answer vectors that the authors publish with their paper (Random123, philox4x32 10). */
static void philox_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } cases[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
          { 0xffffffff, 0xffffffff },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct philox_out o = philox4x32(cases[i].counter, cases[i].key);
        assert_memory_equal(o.v, cases[i].out, sizeof o.v);
    }
}

/* Bits that later versions must keep: videos hang on them. */
static void normal_numbers_never_change(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed, stream, index;
        uint32_t bits;
    } cases[] = {
        { 0x0u, 0x0u, 0x0u, 0xbdf8de6b },                                              /* -0.121518 */
        { 0x1u, 0x0u, 0x0u, 0xbed3ea6a },                                              /* -0.413898 */
        { 0x0u, 0x1u, 0x0u, 0x3f891c35 },                                              /* 1.071173 */
        { 0x0u, 0x0u, 0x1u, 0xbda7adaa },                                              /* -0.081874 */
        { 0x2au, 0x7u, 0x75bcd15u, 0x3d041221 },                                       /* 0.032244 */
        { 0xffffffffffffffffu, 0xffffffffffffffffu, 0xffffffffffffffffu, 0xbf8e811c }, /* -1.113315 */
        { 0x123456789abcdef0u, 0x3u, 0x200000005u, 0x3fef2c72 },                       /* 1.868544 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float x = rng_normal(cases[i].seed, cases[i].stream, cases[i].index);
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        assert_int_equal(bits, cases[i].bits);
    }
}

static void normal_numbers_are_normal(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    double sum = 0, sum2 = 0, sum4 = 0, lag = 0, last = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        double x = rng_normal(42, 7, i);
        sum += x;
        sum2 += x * x;
        sum4 += x * x * x * x;
        lag += x * last;
        last = x;
    }
    assert_true(fabs(sum / COUNT) < 0.01);
    assert_true(fabs(sum2 / COUNT - 1) < 0.02);
    assert_true(fabs(sum4 / COUNT - 3) < 0.1);
    assert_true(fabs(lag / COUNT) < 0.01);
}

static void uniform_numbers_fill_their_interval(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    int bins[10] = { 0 };
    for (uint64_t i = 0; i < COUNT; i++) {
        double x = rng_uniform(1, 2, i);
        assert_true(x >= 0 && x < 1);
        bins[(int)(x * 10)]++;
    }
    for (int b = 0; b < 10; b++)
        assert_in_range(bins[b], COUNT / 10 - 500, COUNT / 10 + 500);
}

/* Arguments that come from Philox, so that every run tests the same ones. */
static double pick(uint64_t index, double low, double high)
{
    return low + (high - low) * rng_uniform(3, 3, index);
}

static void near(double got, double want, double scale)
{
    if (!(fabs(got - want) <= 1e-14 * scale))
        fail_msg("got %.17g, expected %.17g", got, want);
}

static void elementary_functions_agree_with_libm(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 200000; i++) {
        double x = exp(pick(i, -700, 700));
        near(portable_log(x), log(x), fabs(log(x)));
        x = pick(i, 0.5, 2);
        near(portable_log(x), log(x), fabs(log(x)));
        x = pick(i, -700, 700);
        near(portable_exp(x), exp(x), exp(x));
        x = pick(i, -1, 1);
        near(portable_exp(x), exp(x), exp(x));
        x = pick(i, -1e6, 1e6);
        near(portable_sin(x), sin(x), 1);
        near(portable_cos(x), cos(x), 1);
        x = pick(i, -8, 8);
        near(portable_sin(x), sin(x), 1);
        near(portable_cos(x), cos(x), 1);
        x = pick(i, 0, 1e6);
        near(portable_sqrt(x), sqrt(x), sqrt(x));
        double e = pick(i, -2, 2);
        near(portable_pow(10000, e), pow(10000, e), pow(10000, e));
    }
}

static void edges_of_the_elementary_functions(void **state)
{
    (void)state;
    assert_true(portable_log(1) == 0);
    assert_true(portable_exp(0) == 1);
    assert_true(portable_exp(1000) == HUGE_VAL);
    assert_true(portable_exp(-1000) == 0);
    assert_true(portable_exp(-740) == exp(-740));
    assert_true(isnan(portable_exp(NAN)));
    assert_true(portable_sin(0) == 0);
    assert_true(portable_cos(0) == 1);
    assert_true(portable_sqrt(9) == 3);
    /* Near a zero of the sine, where the reduction must not lose bits. */
    near(portable_sin(3.14159265358979312), 1.2246467991473532e-16, 1e-2);
    near(portable_sin(355), sin(355), 1e-2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(normal_numbers_never_change),
        cmocka_unit_test(normal_numbers_are_normal),
        cmocka_unit_test(uniform_numbers_fill_their_interval),
        cmocka_unit_test(elementary_functions_agree_with_libm),
        cmocka_unit_test(edges_of_the_elementary_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

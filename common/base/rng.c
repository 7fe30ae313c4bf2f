#include "common/base/rng.h"

#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------ Philox */

enum { PHILOX_ROUNDS = 10 };

struct philox_out philox4x32(const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u; /* Weyl sequence of the golden ratio */
        k1 += 0xBB67AE85u; /* and of sqrt(3) - 1 */
    }
    return (struct philox_out){ { c0, c1, c2, c3 } };
}

/* The counter holds (index, stream), low words first; the key holds the seed. */
static struct philox_out block_at(uint64_t seed, uint64_t stream, uint64_t index)
{
    const uint32_t counter[4] = { (uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream,
                                  (uint32_t)(stream >> 32) };
    const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
    return philox4x32(counter, key);
}

/* 53 bits: 32 of the first word on top, 21 of the second below. */
static uint64_t bits53(uint32_t high, uint32_t low)
{
    return ((uint64_t)high << 21) | (low >> 11);
}

double rng_uniform(uint64_t seed, uint64_t stream, uint64_t index)
{
    struct philox_out b = block_at(seed, stream, index);
    return (double)bits53(b.v[0], b.v[1]) * 0x1p-53;
}

/* Words 0 and 1 give the radius (in (0, 1], so that its logarithm is finite), words 2 and 3 the angle in [0, 1) turns.
 * The cosine is used; the sine's number is dropped, so that every index stands alone. */
float rng_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
    struct philox_out b = block_at(seed, stream, index);
    double radius = (double)(bits53(b.v[0], b.v[1]) + 1) * 0x1p-53;
    double turns = (double)bits53(b.v[2], b.v[3]) * 0x1p-53;
    return (float)(portable_sqrt(-2.0 * portable_log(radius)) * portable_cos(6.283185307179586 * turns));
}

/* ------------------------------------------------------------------------------------- elementary functions */

static uint64_t to_bits(double x)
{
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static double from_bits(uint64_t u)
{
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* ln 2 and pi/2 in parts whose low bits are zero: an integer below 2^20 times a leading part is exact. */
#define LN2_HIGH 0x1.62e42feep-1
#define LN2_LOW  0x1.a39ef35793c76p-33
#define PI2_A    0x1.921fb544p+0
#define PI2_B    0x1.0b4611a6p-34
#define PI2_C    0x1.3198a2e037073p-69

static double nearest_integer(double x)
{
    return (double)(int64_t)(x < 0 ? x - 0.5 : x + 0.5);
}

/* c[0] + c[1] x + ... by Horner's rule. */
static double polynomial(const double *c, int count, double x)
{
    double y = c[count - 1];
    for (int i = count - 2; i >= 0; i--)
        y = y * x + c[i];
    return y;
}

/* x = 2^k m with m near 1; log m = 2 artanh(s), s = (m - 1) / (m + 1), |s| < 0.172. */
double portable_log(double x)
{
    static const double c[] = { 1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9,  1.0 / 11,
                                1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21 };
    uint64_t u = to_bits(x);
    int k = (int)(u >> 52) - 1023;
    double m = from_bits((u & 0xfffffffffffffu) | 0x3ff0000000000000u);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        k++;
    }
    double f = m - 1;
    double s = f / (m + 1);
    double s2 = s * s;
    double tail = 2 * s * s2 * polynomial(c, (int)(sizeof c / sizeof c[0]), s2);
    return (double)k * LN2_HIGH + (2 * s + (tail + (double)k * LN2_LOW));
}

/* x = k ln 2 + r with |r| < 0.35; Taylor of exp(r), then the power of two in two steps (the result may be subnormal).
 */
double portable_exp(double x)
{
    static const double c[] = { 1.0,
                                1.0,
                                1.0 / 2,
                                1.0 / 6,
                                1.0 / 24,
                                1.0 / 120,
                                1.0 / 720,
                                1.0 / 5040,
                                1.0 / 40320,
                                1.0 / 362880,
                                1.0 / 3628800,
                                1.0 / 39916800,
                                1.0 / 479001600,
                                1.0 / 6227020800.0,
                                1.0 / 87178291200.0 };
    if (x != x)
        return x;
    if (x > 709.79)
        return from_bits(0x7ff0000000000000u);
    if (x < -745.2)
        return 0;
    double k = nearest_integer(x * 1.4426950408889634);
    double r = (x - k * LN2_HIGH) - k * LN2_LOW;
    double y = 1 + (r + r * r * polynomial(c + 2, (int)(sizeof c / sizeof c[0]) - 2, r));
    int first = (int)k / 2, second = (int)k - first;
    y *= from_bits((uint64_t)(1023 + first) << 52);
    return y * from_bits((uint64_t)(1023 + second) << 52);
}

/* Both series on |r| <= pi/4. */
static double sin_series(double r)
{
    static const double c[] = { -1.0 / 6,
                                1.0 / 120,
                                -1.0 / 5040,
                                1.0 / 362880,
                                -1.0 / 39916800.0,
                                1.0 / 6227020800.0,
                                -1.0 / 1307674368000.0,
                                1.0 / 355687428096000.0 };
    double r2 = r * r;
    return r + r * r2 * polynomial(c, (int)(sizeof c / sizeof c[0]), r2);
}

static double cos_series(double r)
{
    static const double c[] = { 1.0,
                                -1.0 / 2,
                                1.0 / 24,
                                -1.0 / 720,
                                1.0 / 40320,
                                -1.0 / 3628800,
                                1.0 / 479001600,
                                -1.0 / 87178291200.0,
                                1.0 / 20922789888000.0 };
    return polynomial(c, (int)(sizeof c / sizeof c[0]), r * r);
}

/* sin(x + quarter * pi/2). */
static double sin_quarter(double x, int quarter)
{
    double n = nearest_integer(x * 0.6366197723675814);
    double r = ((x - n * PI2_A) - n * PI2_B) - n * PI2_C;
    switch (((int64_t)n + quarter) & 3) {
    case 0:
        return sin_series(r);
    case 1:
        return cos_series(r);
    case 2:
        return -sin_series(r);
    default:
        return -cos_series(r);
    }
}

double portable_sin(double x)
{
    return sin_quarter(x, 0);
}

double portable_cos(double x)
{
    return sin_quarter(x, 1);
}

/* IEEE 754 demands a correctly rounded square root, as it does for + - * and /: the instruction is portable. */
double portable_sqrt(double x)
{
    return sqrt(x);
}

double portable_pow(double base, double exponent)
{
    return portable_exp(exponent * portable_log(base));
}

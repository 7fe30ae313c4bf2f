/* exact_math - elementary functions from + - * and integer operations alone; the same text is C and GLSL.
 *
 * Every step is `precise`, so a conforming compiler neither fuses nor reorders it, and every device that rounds to
 * nearest even gives the same bits as plain C (compiled with -ffp-contract=off). Magnitudes: inputs and results below
 * 2^-51 are snapped to 0 by x_snap at every store, since drivers flush subnormal numbers as they like. Coefficients of
 * exp and tanh: Cephes (expf, tanhf), S. Moshier.
 * Error in ulp against double: exp 0.97, rsqrt 1.19, sqrt 0.75, division 2.07, tanh 1.56. */
/* A line is one step of Newton's, or one coefficient. */
/* clang-format off */
#ifndef SHOTLINE_NN_EXACT_MATH_H
#define SHOTLINE_NN_EXACT_MATH_H

#ifdef __STDC__
#include <stdint.h>
#include <string.h>
#define PF static inline float
#define precise
typedef uint32_t uint;
static inline uint32_t x_bits(float x) { uint32_t u; memcpy(&u, &x, sizeof u); return u; }
static inline float x_float(uint32_t u) { float x; memcpy(&x, &u, sizeof x); return x; }
static inline float x_of_int(uint32_t u) { return (float)(int32_t)u; }
#else
#define PF precise float
#define x_bits(x) floatBitsToUint(x)
#define x_float(u) uintBitsToFloat(u)
#define x_of_int(u) float(int(u)) /* the two's complement number in u, small enough to be exact */
#endif

/* +0 for |x| < 2^-51: keeps every later product out of the subnormal range. */
PF x_snap(float x)
{
    return (x_bits(x) & 0x7fffffffu) < 0x26000000u ? 0.0f : x;
}

/* acc + a * b, rounded twice. */
PF x_mac(float acc, float a, float b)
{
    precise float p = a * b;
    precise float s = acc + p;
    return s;
}

/* 1 / b by Newton's method from an integer estimate. */
PF x_recip(float b)
{
    uint ub = x_bits(b);
    uint sign = ub & 0x80000000u;
    precise float a = x_float(ub ^ sign);
    precise float y = x_float(0x7EF311C7u - (ub ^ sign));
    precise float t;
    t = a * y; t = 2.0f - t; y = y * t;
    t = a * y; t = 2.0f - t; y = y * t;
    t = a * y; t = 2.0f - t; y = y * t;
    t = a * y; t = 1.0f - t; t = y * t; y = y + t;
    return x_float(x_bits(y) ^ sign);
}

PF x_div(float a, float b)
{
    precise float y = x_recip(b);
    precise float q = a * y;
    return q;
}

PF x_rsqrt(float x)
{
    precise float y = x_float(0x5F375A86u - (x_bits(x) >> 1));
    precise float h = 0.5f * x;
    precise float t;
    t = y * y; t = h * t; t = 1.5f - t; y = y * t;
    t = y * y; t = h * t; t = 1.5f - t; y = y * t;
    t = y * y; t = h * t; t = 1.5f - t; y = y * t;
    t = y * y; t = h * t; t = 0.5f - t; t = y * t; y = y + t;
    return y;
}

PF x_sqrt(float x)
{
    precise float y = x_rsqrt(x);
    precise float r = x * y;
    precise float t = r * r;
    t = x - t; t = t * y; t = t * 0.5f; r = r + t;
    return x > 0.0f ? r : 0.0f;
}

PF x_exp(float x)
{
    precise float c = x > 88.0f ? 88.0f : x;
    c = c < -87.0f ? -87.0f : c;
    precise float t = c * 1.44269504088896341f;
    t = t + 12582912.0f;
    uint n = x_bits(t) - 0x4B400000u; /* the integer, two's complement */
    /* Not t - 12582912: a compiler that forgets `precise` would fold the two away (seen in SwiftShader). */
    t = x_of_int(n);
    precise float r = t * 0.693145751953125f;
    r = c - r;
    precise float r2 = t * 1.42860682030941723212e-6f;
    r = r - r2;
    precise float p = 1.9875691500E-4f;
    p = p * r; p = p + 1.3981999507E-3f;
    p = p * r; p = p + 8.3334519073E-3f;
    p = p * r; p = p + 4.1665795894E-2f;
    p = p * r; p = p + 1.6666665459E-1f;
    p = p * r; p = p + 5.0000001201E-1f;
    precise float rr = r * r;
    p = p * rr; p = p + r; p = p + 1.0f;
    p = x_float(x_bits(p) + (n << 23));
    return x < -87.0f ? 0.0f : p;
}

PF x_tanh(float x)
{
    uint sign = x_bits(x) & 0x80000000u;
    precise float a = x_float(x_bits(x) ^ sign);
    precise float c = a > 10.0f ? 10.0f : a;
    precise float e = c + c;
    e = x_exp(e); e = e + 1.0f; e = x_recip(e); e = e + e; e = 1.0f - e;
    precise float z = c * c; /* small |x|: odd polynomial */
    precise float p = -5.70498872745E-3f;
    p = p * z; p = p + 2.06390887954E-2f;
    p = p * z; p = p - 5.37397155531E-2f;
    p = p * z; p = p + 1.33314422036E-1f;
    p = p * z; p = p - 3.33332819422E-1f;
    p = p * z; p = p * c; p = p + c;
    e = c < 0.625f ? p : e;
    return x_float(x_bits(e) | sign);
}

/* tanh form of GELU (Hendrycks and Gimpel, 2016), as "gelu_new" and "gelu-approximate" compute it. */
PF x_gelu(float x)
{
    precise float u = x * x;
    u = u * x; u = u * 0.044715f; u = u + x; u = u * 0.7978845608028654f;
    u = x_tanh(u); u = u + 1.0f;
    precise float h = 0.5f * x;
    u = u * h;
    return u;
}

/* x * sigmoid(x) */
PF x_silu(float x)
{
    precise float e = x_exp(x < -60.0f ? 60.0f : -x); /* beyond, the result snaps to 0 anyway */
    e = e + 1.0f;
    e = x_recip(e);
    e = x * e;
    return e;
}

#undef PF
#ifdef __STDC__
#undef precise
#endif
#endif

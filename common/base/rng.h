/* rng - counter-based random numbers and elementary functions that give the same bits on every machine.
 *
 * Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). log, exp, sin and cos
 * are built from the operations that IEEE 754 rounds exactly (+ - * / sqrt), so no libm decides a bit of a video. */
#ifndef SHOTLINE_BASE_RNG_H
#define SHOTLINE_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct philox_out {
    uint32_t v[4];
};

/* The Philox4x32-10 block function. */
struct philox_out philox4x32(const uint32_t counter[4], const uint32_t key[2]);

/* Standard normal number `index` of stream (seed, stream): a pure function (Box-Muller on one Philox block). */
float rng_normal(uint64_t seed, uint64_t stream, uint64_t index);

/* Uniform in [0, 1): a pure function like rng_normal. */
double rng_uniform(uint64_t seed, uint64_t stream, uint64_t index);

/* Portable elementary functions, correct to about 1e-15 relative (sin, cos: absolute, |x| < 1e6;
 * pow: times |exponent * log(base)|). */
double portable_log(double x); /* x > 0 and normal */
double portable_exp(double x);
double portable_sin(double x);
double portable_cos(double x);
double portable_sqrt(double x);
double portable_pow(double base, double exponent); /* base > 0 */

#endif

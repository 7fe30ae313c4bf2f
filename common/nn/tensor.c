#include "common/nn/tensor.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t bytes;
} types[DTYPE_COUNT] = {
    [DTYPE_F32] = { "F32", 4 }, [DTYPE_F16] = { "F16", 2 }, [DTYPE_BF16] = { "BF16", 2 }, [DTYPE_I64] = { "I64", 8 },
    [DTYPE_I32] = { "I32", 4 }, [DTYPE_U8] = { "U8", 1 },   [DTYPE_BOOL] = { "BOOL", 1 }, [DTYPE_F64] = { "F64", 8 },
};

size_t dtype_bytes(enum dtype t)
{
    return types[t].bytes;
}

const char *dtype_name(enum dtype t)
{
    return types[t].name;
}

bool dtype_from_name(enum dtype *t, const char *name)
{
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (!strcmp(types[i].name, name)) {
            *t = (enum dtype)i;
            return true;
        }
    return false;
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t exponent = h >> 10 & 31, fraction = h & 1023;

    if (exponent == 31)
        return float_of(sign | 0x7f800000u | fraction << 13);
    if (exponent)
        return float_of(sign | (exponent + 112) << 23 | fraction << 13);
    float tiny = (float)fraction * 0x1p-24f; /* subnormal or zero: exact in f32 */
    return float_of(sign | bits_of(tiny));
}

uint16_t f32_to_f16(float x)
{
    uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffffu;

    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00); /* NaN */
    if (magnitude >= 0x477ff000u)
        return (uint16_t)(sign | 0x7c00); /* rounds to 2^16 or more */
    if (magnitude < 0x38800000u) {        /* subnormal: adding 0.5 leaves units of 2^-24, rounded to even */
        float shifted = float_of(magnitude) + 0.5f;
        return (uint16_t)(sign | (bits_of(shifted) - 0x3f000000u));
    }
    uint32_t odd = magnitude >> 13 & 1;
    return (uint16_t)(sign | (magnitude - 0x38000000u + 0xfff + odd) >> 13);
}

uint16_t f32_to_bf16(float x)
{
    uint32_t bits = bits_of(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40); /* NaN stays NaN */
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void dtype_to_f32(float *to, const void *from, enum dtype type, size_t count)
{
    const uint8_t *bytes = from;
    uint16_t half;
    double wide;

    switch (type) {
    case DTYPE_F32:
        if (count)
            memcpy(to, from, count * sizeof *to);
        break;
    case DTYPE_F16:
        for (size_t i = 0; i < count; i++) {
            memcpy(&half, bytes + i * sizeof half, sizeof half);
            to[i] = f16_to_f32(half);
        }
        break;
    case DTYPE_BF16:
        for (size_t i = 0; i < count; i++) {
            memcpy(&half, bytes + i * sizeof half, sizeof half);
            to[i] = float_of((uint32_t)half << 16);
        }
        break;
    case DTYPE_F64:
        for (size_t i = 0; i < count; i++) {
            memcpy(&wide, bytes + i * sizeof wide, sizeof wide);
            to[i] = (float)wide;
        }
        break;
    default:
        memset(to, 0, count * sizeof *to); /* callers refuse other types before */
        break;
    }
}

int64_t shape_count(const struct shape *s)
{
    int64_t count = 1;
    for (int i = 0; i < s->rank; i++)
        count *= s->dim[i];
    return count;
}

bool shape_equal(const struct shape *a, const struct shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

void shape_text(const struct shape *s, char *to, size_t room)
{
    size_t at = (size_t)snprintf(to, room, "[");
    for (int i = 0; i < s->rank && at < room; i++)
        at += (size_t)snprintf(to + at, room - at, "%s%lld", i ? ", " : "", (long long)s->dim[i]);
    if (at < room)
        snprintf(to + at, room - at, "]");
}

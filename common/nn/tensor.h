/* tensor - shapes and element types; what a weight file, a graph and an executor agree on. */
#ifndef SHOTLINE_NN_TENSOR_H
#define SHOTLINE_NN_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dtype { DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_I64, DTYPE_I32, DTYPE_U8, DTYPE_BOOL, DTYPE_F64, DTYPE_COUNT };

size_t dtype_bytes(enum dtype t);
const char *dtype_name(enum dtype t); /* as safetensors spells it: "F32", "BF16", ... */
bool dtype_from_name(enum dtype *t, const char *name);

/* Exact conversions of `count` stored elements (F32, F16, BF16, F64) to f32. */
void dtype_to_f32(float *to, const void *from, enum dtype type, size_t count);
uint16_t f32_to_f16(float x);  /* round to nearest even */
uint16_t f32_to_bf16(float x); /* round to nearest even */

#define SHAPE_MAX_RANK 6

/* Row-major; dim[0] is outermost. Rank 0 is a scalar with one element. */
struct shape {
    int rank;
    int64_t dim[SHAPE_MAX_RANK];
};

#define SHAPE(...)                                                                                                     \
    ((struct shape){ .rank = (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), .dim = { __VA_ARGS__ } })

int64_t shape_count(const struct shape *s); /* number of elements */
bool shape_equal(const struct shape *a, const struct shape *b);
void shape_text(const struct shape *s, char *to, size_t room); /* "[2, 3, 4]" */

/* A named array in a weight file: `data` points into a read-only mapping and is `type`, row-major, unpadded. */
struct weight {
    const char *name;
    enum dtype type;
    struct shape shape;
    const void *data;
};

#endif

#include "tests/golden/golden.h"

#include "common/base/file.h"
#include "common/base/str.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool golden_open(struct golden *c, const char *root, const char *name, struct exec *x, struct error *err)
{
    char path[PATH_MAX];

    *c = (struct golden){ .root = root, .exec = x };
    str_copy(c->name, sizeof c->name, name);
    snprintf(c->dir, sizeof c->dir, "%s/cases/%s", root, name);
    if (!file_join(path, sizeof path, c->dir, "case.json") || !(c->json = json_load(path, err)))
        return false;
    if (file_join(path, sizeof path, c->dir, "inputs.safetensors") && file_exists(path) &&
        !(c->inputs = safetensors_open(path, err)))
        return false;
    if (file_join(path, sizeof path, c->dir, "expected.safetensors") && file_exists(path)) {
        if (!(c->expected = safetensors_open(path, err)))
            return false;
        c->done = arena_array(&c->arena, int64_t, safetensors_count(c->expected) + 1);
    }
    return true;
}

void golden_close(struct golden *c)
{
    json_decref(c->json);
    safetensors_close(&c->inputs);
    safetensors_close(&c->expected);
    arena_free(&c->arena);
}

const char *golden_kind(const struct golden *c)
{
    const char *kind = json_string_value(json_object_get(c->json, "kind"));
    return kind ? kind : "";
}

bool golden_path(const struct golden *c, const char *key, char path[PATH_MAX], struct error *err)
{
    const char *text = json_string_value(json_object_get(c->json, key));
    if (!text)
        return error_set(err, ERROR_INPUT, "case.json: %s is missing", key);
    const char *end = strstr(text, " (");
    int length = end ? (int)(end - text) : (int)strlen(text);
    bool here = end && strstr(end, "in this case");
    if (snprintf(path, PATH_MAX, "%s/%.*s", here ? c->dir : c->root, length, text) >= PATH_MAX)
        return error_set(err, ERROR_INPUT, "case.json: %s is too long", key);
    return true;
}

/* ---- inputs ---- */

static bool to_float(const struct weight *w, float *to, int64_t count)
{
    if (w->type == DTYPE_F32 || w->type == DTYPE_F16 || w->type == DTYPE_BF16 || w->type == DTYPE_F64) {
        dtype_to_f32(to, w->data, w->type, (size_t)count);
        return true;
    }
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *at = (const uint8_t *)w->data + (size_t)i * dtype_bytes(w->type);
        int64_t wide;
        int32_t narrow;
        if (w->type == DTYPE_I64) {
            memcpy(&wide, at, sizeof wide);
            to[i] = (float)wide;
        } else if (w->type == DTYPE_I32) {
            memcpy(&narrow, at, sizeof narrow);
            to[i] = (float)narrow;
        } else {
            to[i] = *at;
        }
    }
    return true;
}

bool golden_has_input(const struct golden *c, const char *name)
{
    return c->inputs && safetensors_find(c->inputs, name);
}

float *golden_input(struct golden *c, const char *name, struct shape *shape, struct error *err)
{
    const struct weight *w = c->inputs ? safetensors_find(c->inputs, name) : NULL;
    if (!w) {
        error_set(err, ERROR_INPUT, "inputs.safetensors has no %s", name);
        return NULL;
    }
    int64_t count = shape_count(&w->shape);
    float *to = arena_array(&c->arena, float, count + 1);
    to_float(w, to, count);
    if (shape)
        *shape = w->shape;
    return to;
}

int32_t *golden_input_ids(struct golden *c, const char *name, struct shape *shape, struct error *err)
{
    const struct weight *w = c->inputs ? safetensors_find(c->inputs, name) : NULL;
    if (!w || w->type != DTYPE_I64) {
        error_set(err, ERROR_INPUT, "inputs.safetensors has no I64 %s", name);
        return NULL;
    }
    int64_t count = shape_count(&w->shape);
    int32_t *to = arena_array(&c->arena, int32_t, count + 1);
    for (int64_t i = 0; i < count; i++) {
        int64_t wide;
        memcpy(&wide, (const uint8_t *)w->data + (size_t)i * sizeof wide, sizeof wide);
        to[i] = (int32_t)wide;
    }
    *shape = w->shape;
    return to;
}

const struct weight *golden_expected(const struct golden *c, const char *name)
{
    return c->expected ? safetensors_find(c->expected, name) : NULL;
}

double golden_call_number(const struct golden *c, const char *key, double fallback)
{
    const json_t *v = json_object_get(json_object_get(c->json, "call"), key);
    return json_is_number(v) ? json_number_value(v) : fallback;
}

bool golden_call_int(const struct golden *c, const char *key, int fallback, int least, int most, int *to,
                     struct error *err)
{
    double v = golden_call_number(c, key, fallback);
    if (!(v >= least && v <= most))
        return error_set(err, ERROR_INPUT, "case.json: %s is %g, expected %d to %d", key, v, least, most);
    *to = (int)v;
    return true;
}

/* ---- comparing ---- */

static void mark(struct golden *c, const struct weight *w, int64_t count)
{
    size_t index = (size_t)(w - safetensors_at(c->expected, 0));
    c->compared += !c->done[index];
    c->done[index] += count;
}

static void note_error(struct golden *c, const char *name, double error, double tolerance)
{
    if (c->tolerance > 0 && error / tolerance <= c->error / c->tolerance)
        return;
    c->error = error;
    c->tolerance = tolerance;
    str_copy(c->worst, sizeof c->worst, name);
}

void golden_equal(struct golden *c, bool equal, const char *what)
{
    if (!equal && c->mismatches++ == 0)
        str_copy(c->worst, sizeof c->worst, what);
}

/* The rule of a tensor: relative to the largest expected value, or absolute. Where case.json says nothing, the README
 * of the goldens does. */
static double tolerance_of(const struct golden *c, const char *name, bool *absolute)
{
    const json_t *all = json_object_get(c->json, "suggested_tolerance"), *own = json_object_get(all, name);
    *absolute = false;
    if (!own && !strcmp(name, "normalized_latents"))
        own = json_object_get(all, "mean");
    if (json_is_number(own))
        return json_number_value(own);
    *absolute = true;
    return !strcmp(name, "timesteps") ? 1e-3 : 1e-6; /* Euler's fractional timesteps; sigmas */
}

/* expected[all], of which [first, first + count) are compared. */
static void compare(struct golden *c, const char *name, const float *expected, int64_t all, int64_t first,
                    const float *got, int64_t count)
{
    bool absolute;
    double tolerance = tolerance_of(c, name, &absolute), error = 0, largest = 0;

    for (int64_t i = 0; i < all; i++)
        largest = fmax(largest, fabs((double)expected[i]));
    absolute = absolute || largest == 0 || isinf(largest);
    for (int64_t i = 0; i < count; i++) {
        double apart = fabs((double)got[i] - (double)expected[first + i]);
        if (!(apart <= error)) /* a NaN stays */
            error = isnan(apart) ? INFINITY : apart;
    }
    note_error(c, name, absolute ? error : error / largest, tolerance);
}

static void compare_range(struct golden *c, const char *name, int64_t first, const float *got, int64_t count, bool all)
{
    const struct weight *w = golden_expected(c, name);
    if (!w)
        return;
    int64_t have = shape_count(&w->shape);
    mark(c, w, count);
    if (count == 0 || first + count > have || (all && count != have)) {
        golden_equal(c, false, name);
        return;
    }
    float *expected = xmalloc((size_t)have * sizeof *expected + 1);
    to_float(w, expected, have);
    compare(c, name, expected, have, first, got, count);
    free(expected);
}

void golden_compare(struct golden *c, const char *name, const float *got, int64_t count)
{
    compare_range(c, name, 0, got, count, true);
}

void golden_compare_part(struct golden *c, const char *name, int64_t part, const float *got, int64_t count)
{
    compare_range(c, name, part * count, got, count, false);
}

void golden_compare_ints(struct golden *c, const char *name, const int64_t *got, int64_t count)
{
    const struct weight *w = golden_expected(c, name);
    if (!w)
        return;
    mark(c, w, count);
    if (w->type != DTYPE_I64 || shape_count(&w->shape) != count) {
        golden_equal(c, false, name);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t expected;
        memcpy(&expected, (const uint8_t *)w->data + (size_t)i * sizeof expected, sizeof expected);
        golden_equal(c, expected == got[i], name);
    }
}

bool golden_require(const struct golden *c, const char *name, struct error *err)
{
    const struct weight *w = golden_expected(c, name);
    if (w && c->done[w - safetensors_at(c->expected, 0)])
        return true;
    return error_set(err, ERROR_INPUT, "expected.safetensors: %s %s", name, w ? "was not compared" : "is missing");
}

bool golden_passed(struct golden *c)
{
    for (size_t i = 0; c->expected && i < safetensors_count(c->expected); i++) {
        const struct weight *w = safetensors_at(c->expected, i);
        golden_equal(c, c->done[i] == 0 || c->done[i] >= shape_count(&w->shape), w->name);
    }
    return c->compared > 0 && c->mismatches == 0 && c->error <= c->tolerance;
}

float *golden_transpose(struct golden *c, const float *from, int64_t rows, int64_t cols)
{
    float *to = arena_array(&c->arena, float, rows *cols + 1);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < cols; k++)
            to[k * rows + r] = from[r * cols + k];
    return to;
}

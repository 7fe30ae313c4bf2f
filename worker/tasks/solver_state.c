#include "worker/tasks/solver_state.h"

#include "common/base/arena.h"
#include "common/nn/safetensors.h"

#include <stdlib.h>
#include <string.h>

#define FORMAT 1
enum { ABOUT_FORMAT, ABOUT_REFERENCES, ABOUT_FIRST, ABOUT_STEP, ABOUT_ORDER, ABOUT_KEPT, ABOUT_COUNT = 8 };

int solver_state_window(const struct solver_state *s)
{
    return s->sampler.frames - s->references;
}

void solver_state_free(struct solver_state *s)
{
    sampler_state_free(&s->sampler);
    *s = (struct solver_state){ 0 };
}

bool solver_state_write(const struct solver_state *s, const char *path, struct error *err)
{
    const struct sampler_state *v = &s->sampler;
    const int64_t about[ABOUT_COUNT] = {
        [ABOUT_FORMAT] = FORMAT, [ABOUT_REFERENCES] = s->references, [ABOUT_FIRST] = s->first,
        [ABOUT_STEP] = v->step,  [ABOUT_ORDER] = v->order,           [ABOUT_KEPT] = v->kept,
    };
    const struct shape shape = SHAPE(v->channels, v->frames, v->height, v->width);
    struct weight tensors[5];
    size_t count = 0;

    tensors[count++] = (struct weight){ "about", DTYPE_I64, SHAPE(ABOUT_COUNT), about };
    tensors[count++] = (struct weight){ "sample", DTYPE_F32, shape, v->sample };
    if (v->kept > 0) {
        tensors[count++] = (struct weight){ "last_sample", DTYPE_F32, shape, v->last_sample };
        tensors[count++] = (struct weight){ "x0.0", DTYPE_F32, shape, v->x0[0] };
    }
    if (v->kept > 1)
        tensors[count++] = (struct weight){ "x0.1", DTYPE_F32, shape, v->x0[1] };
    return safetensors_write(path, tensors, count, err);
}

static bool read_about(int64_t about[ABOUT_COUNT], const struct safetensors *f, const char *where, struct error *err)
{
    const struct weight *w = safetensors_find(f, "about");
    if (!w || w->type != DTYPE_I64 || w->shape.rank != 1 || w->shape.dim[0] != ABOUT_COUNT)
        return error_set(err, ERROR_INPUT, "%s: no solver state: expected a tensor about [%d] I64", where, ABOUT_COUNT);
    memcpy(about, w->data, sizeof(int64_t) * ABOUT_COUNT);

    const struct {
        const char *name;
        int64_t min, max;
    } limits[ABOUT_COUNT] = {
        [ABOUT_FORMAT] = { "format", FORMAT, FORMAT },
        [ABOUT_REFERENCES] = { "references", 0, SOLVER_MAX_REFERENCES },
        [ABOUT_FIRST] = { "first", 0, SOLVER_MAX_FRAMES },
        [ABOUT_STEP] = { "step", 0, SAMPLER_MAX_STEPS },
        [ABOUT_ORDER] = { "order", 0, 2 },
        [ABOUT_KEPT] = { "kept", 0, 2 },
        [6] = { "spare", 0, 0 },
        [7] = { "spare", 0, 0 },
    };
    for (int i = 0; i < ABOUT_COUNT; i++) {
        if (about[i] < limits[i].min || about[i] > limits[i].max)
            return error_set(err, ERROR_INPUT, "%s: solver state: %s is %lld, expected %lld to %lld", where,
                             limits[i].name, (long long)about[i], (long long)limits[i].min, (long long)limits[i].max);
    }
    if (about[ABOUT_KEPT] > about[ABOUT_STEP] || (about[ABOUT_ORDER] > 0 && about[ABOUT_KEPT] == 0) ||
        about[ABOUT_ORDER] > about[ABOUT_STEP])
        return error_set(err, ERROR_INPUT, "%s: solver state: %lld predictions of order %lld after %lld steps", where,
                         (long long)about[ABOUT_KEPT], (long long)about[ABOUT_ORDER], (long long)about[ABOUT_STEP]);
    return true;
}

/* A copy of tensor `name`, which must have the state's shape and finite values. */
static bool read_array(float **to, const struct safetensors *f, const char *name, const struct shape *shape,
                       const char *where, struct error *err)
{
    const struct weight *w = safetensors_find(f, name);
    char expected[96], found[96] = "none";
    shape_text(shape, expected, sizeof expected);
    if (w)
        shape_text(&w->shape, found, sizeof found);
    if (!w || w->type != DTYPE_F32 || !shape_equal(&w->shape, shape))
        return error_set(err, ERROR_INPUT, "%s: solver state: tensor %s is %s %s, expected F32 %s", where, name,
                         w ? dtype_name(w->type) : "", found, expected);
    const int64_t count = shape_count(shape);
    *to = xmalloc((size_t)count * sizeof(float));
    memcpy(*to, w->data, (size_t)count * sizeof(float));
    for (int64_t i = 0; i < count; i++) {
        if (!((*to)[i] - (*to)[i] == 0)) /* infinite or not a number */
            return error_set(err, ERROR_INPUT, "%s: solver state: %s[%lld] is not finite", where, name, (long long)i);
    }
    return true;
}

bool solver_state_parse(struct solver_state *to, const void *bytes, size_t size, const char *where, struct error *err)
{
    struct solver_state s = { 0 };
    int64_t about[ABOUT_COUNT];
    bool ok = false;
    struct safetensors *f = safetensors_parse(bytes, size, where, err);
    if (!f || !read_about(about, f, where, err))
        goto out;

    const size_t arrays = about[ABOUT_KEPT] == 0 ? 1 : about[ABOUT_KEPT] == 1 ? 3 : 4;
    if (safetensors_count(f) != 1 + arrays) {
        error_set(err, ERROR_INPUT, "%s: solver state: %zu tensors, expected %zu", where, safetensors_count(f),
                  1 + arrays);
        goto out;
    }
    const struct weight *sample = safetensors_find(f, "sample");
    if (!sample || sample->shape.rank != 4) {
        error_set(err, ERROR_INPUT, "%s: solver state: expected a tensor sample with 4 dimensions", where);
        goto out;
    }
    const struct shape shape = sample->shape;
    static const int64_t most[4] = { 1024, SOLVER_MAX_FRAMES, 1024, 1024 };
    for (int i = 0; i < 4; i++) {
        if (shape.dim[i] < 1 || shape.dim[i] > most[i]) {
            error_set(err, ERROR_INPUT, "%s: solver state: dimension %d is %lld, expected 1 to %lld", where, i,
                      (long long)shape.dim[i], (long long)most[i]);
            goto out;
        }
    }
    s.references = (int)about[ABOUT_REFERENCES];
    s.first = (int)about[ABOUT_FIRST];
    s.sampler = (struct sampler_state){
        .channels = (int)shape.dim[0],
        .frames = (int)shape.dim[1],
        .height = (int)shape.dim[2],
        .width = (int)shape.dim[3],
        .step = (int)about[ABOUT_STEP],
        .order = (int)about[ABOUT_ORDER],
        .kept = (int)about[ABOUT_KEPT],
    };
    if (solver_state_window(&s) < 1) {
        error_set(err, ERROR_INPUT, "%s: solver state: %d frames, expected more than its %d references", where,
                  s.sampler.frames, s.references);
        goto out;
    }
    struct sampler_state *v = &s.sampler;
    ok = read_array(&v->sample, f, "sample", &shape, where, err) &&
         (v->kept < 1 || (read_array(&v->last_sample, f, "last_sample", &shape, where, err) &&
                          read_array(&v->x0[0], f, "x0.0", &shape, where, err))) &&
         (v->kept < 2 || read_array(&v->x0[1], f, "x0.1", &shape, where, err));
out:
    safetensors_close(&f);
    if (ok)
        *to = s;
    else
        solver_state_free(&s);
    return ok;
}

bool solver_state_slice(struct solver_state *to, const struct solver_state *from, int first, int count,
                        struct error *err)
{
    const int have = solver_state_window(from);
    if (count < 1 || first < from->first || (int64_t)first + count > (int64_t)from->first + have)
        return error_set(err, ERROR_INPUT, "solver state: has latents %d to %d, expected %d to %d", from->first,
                         from->first + have - 1, first, first + count - 1);
    int32_t *index = xmalloc(sizeof *index * (size_t)(from->references + count));
    for (int i = 0; i < from->references; i++)
        index[i] = i;
    for (int i = 0; i < count; i++)
        index[from->references + i] = from->references + first - from->first + i;
    *to = (struct solver_state){ .references = from->references, .first = first };
    sampler_state_pick(&to->sampler, &from->sampler, index, from->references + count);
    free(index);
    return true;
}

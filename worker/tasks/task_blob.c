/* task_blob - a task's inputs and outputs, between arrays and the blob store. */
#include "worker/tasks/task_internal.h"

#include "common/base/arena.h"
#include "common/base/file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOB_MAX_BYTES ((size_t)4 << 30)

bool task_digest(const Shotline__Blob *b, struct digest *d, struct error *err)
{
    if (b->digest.len != DIGEST_BYTES)
        return error_set(err, ERROR_INPUT, "a digest has %zu bytes, expected %d", b->digest.len, DIGEST_BYTES);
    memcpy(d->bytes, b->digest.data, DIGEST_BYTES);
    return true;
}

bool task_blob_path(const struct task_run *run, const Shotline__Blob *b, const char *what, char *path, size_t room,
                    struct error *err)
{
    struct digest d;
    char hex[DIGEST_HEX_ROOM];
    if (!task_digest(b, &d, err))
        return error_wrap(err, "%s", what);
    digest_hex(&d, hex);
    return store_dir_path(run->blobs, &d, path, room) || error_set(err, ERROR_IO, "%s: blob %s is not here", what, hex);
}

char *task_blob_read(const struct task_run *run, const Shotline__Blob *b, const char *what, size_t *size,
                     struct error *err)
{
    struct digest d;
    char *bytes = NULL;
    if (task_digest(b, &d, err))
        bytes = store_dir_read(run->blobs, &d, BLOB_MAX_BYTES, size, err);
    if (!bytes)
        error_wrap(err, "%s", what);
    return bytes;
}

float *task_blob_tensor(const struct task_run *run, const Shotline__Blob *b, const char *what, const char *name,
                        struct shape *shape, struct error *err)
{
    size_t size;
    float *data = NULL;
    char *bytes = task_blob_read(run, b, what, &size, err);
    if (!bytes)
        return NULL;
    struct safetensors *f = safetensors_parse(bytes, size, what, err);
    if (!f)
        goto out;
    const struct weight *w = safetensors_find(f, name);
    bool fits = w && w->type == DTYPE_F32 && w->shape.rank == shape->rank;
    for (int i = 0; fits && i < shape->rank; i++)
        fits = shape->dim[i] == -1 ? w->shape.dim[i] > 0 : w->shape.dim[i] == shape->dim[i];
    if (!fits) {
        char expected[96], found[96] = "absent";
        shape_text(shape, expected, sizeof expected);
        if (w)
            shape_text(&w->shape, found, sizeof found);
        error_set(err, ERROR_INPUT, "%s: tensor %s is %s, expected F32 %s", what, name, found, expected);
        goto out;
    }
    *shape = w->shape;
    data = xmalloc((size_t)shape_count(shape) * sizeof *data);
    memcpy(data, w->data, (size_t)shape_count(shape) * sizeof *data);
out:
    safetensors_close(&f);
    free(bytes);
    return data;
}

bool task_blob_palette(const struct task_run *run, const Shotline__Blob *identity, struct palette *p, struct error *err)
{
    struct shape shape = SHAPE(-1, 4);
    float *colours = task_blob_tensor(run, identity, "identity", "palette", &shape, err);
    if (!colours)
        return false;
    bool ok = task_check("colours of an identity", shape.dim[0], 0, PALETTE_COLOURS, err);
    for (int64_t i = 0; ok && i < 4 * shape.dim[0]; i++)
        ok = (colours[i] >= -1000.0f && colours[i] <= 1000.0f) ||
             error_set(err, ERROR_INPUT, "identity: colour %lld of its palette is no colour", (long long)i / 4);
    *p = (struct palette){ 0 };
    if (ok) {
        p->count = (int)shape.dim[0];
        memcpy(p->colour, colours, (size_t)p->count * sizeof p->colour[0]);
    }
    free(colours);
    return ok;
}

bool task_scratch(const struct task_run *run, const char *name, char *path, size_t room, struct error *err)
{
    return file_join(path, room, run->scratch_dir, name) ||
           error_set(err, ERROR_INPUT, "path too long: %s/%s", run->scratch_dir, name);
}

static bool add(struct task_outputs *out, const char *name, const struct digest *d, int64_t bytes, struct error *err)
{
    if (out->count == TASK_MAX_OUTPUTS)
        return error_set(err, ERROR_INTERNAL, "more than %d outputs", TASK_MAX_OUTPUTS);
    out->output[out->count++] = (struct task_output){ name, *d, bytes };
    return true;
}

bool task_add_bytes(const struct task_run *run, struct task_outputs *out, const char *name, const void *data,
                    size_t size, struct error *err)
{
    struct digest d;
    if (!store_dir_add_bytes(run->blobs, data, size, &d, err))
        return error_wrap(err, "output %s", name);
    return add(out, name, &d, (int64_t)size, err);
}

bool task_add_file(const struct task_run *run, struct task_outputs *out, const char *name, const char *path,
                   struct error *err)
{
    struct digest d;
    int64_t bytes;
    bool ok = store_dir_add_file(run->blobs, path, &d, &bytes, err);
    unlink(path);
    return ok ? add(out, name, &d, bytes, err) : error_wrap(err, "output %s", name);
}

bool task_add_tensors(const struct task_run *run, struct task_outputs *out, const char *name,
                      const struct weight *tensors, size_t count, struct error *err)
{
    char path[1024];
    return task_scratch(run, "tensors.safetensors", path, sizeof path, err) &&
           safetensors_write(path, tensors, count, err) && task_add_file(run, out, name, path, err);
}

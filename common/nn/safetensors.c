#include "common/nn/safetensors.h"

#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/str.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_HEADER = 100 << 20 };

struct safetensors {
    struct file_map map;   /* empty when the bytes are borrowed */
    struct arena arena;    /* names */
    struct weight *tensor; /* sorted by name */
    size_t count;
};

static uint64_t read_u64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

/* The number of bytes that a tensor of this shape has; false when it does not fit 63 bits. */
static bool shape_bytes(const struct shape *s, enum dtype type, int64_t *bytes)
{
    *bytes = (int64_t)dtype_bytes(type);
    for (int i = 0; i < s->rank; i++)
        if (__builtin_mul_overflow(*bytes, s->dim[i], bytes))
            return false;
    return true;
}

static bool read_shape(struct json_reader *r, const json_t *entry, const char *name, struct shape *shape)
{
    const json_t *list = json_list(r, entry, "shape");
    if (!list)
        return json_fail(r, name, "no shape");
    if (json_array_size(list) > SHAPE_MAX_RANK)
        return json_fail(r, name, "has %zu dimensions, expected at most %d", json_array_size(list), SHAPE_MAX_RANK);
    shape->rank = (int)json_array_size(list);
    for (int i = 0; i < shape->rank; i++) {
        const json_t *d = json_array_get(list, (size_t)i);
        if (!json_is_integer(d) || json_integer_value(d) < 0)
            return json_fail(r, name, "dimension %d of its shape is no size", i);
        shape->dim[i] = json_integer_value(d);
    }
    return true;
}

static bool read_offsets(struct json_reader *r, const json_t *entry, const char *name, int64_t *first, int64_t *end)
{
    const json_t *list = json_list(r, entry, "data_offsets");
    if (json_array_size(list) != 2 || !json_is_integer(json_array_get(list, 0)) ||
        !json_is_integer(json_array_get(list, 1)))
        return json_fail(r, name, "data_offsets are not two integers");
    *first = json_integer_value(json_array_get(list, 0));
    *end = json_integer_value(json_array_get(list, 1));
    return true;
}

static bool read_tensor(struct json_reader *r, const char *name, const json_t *entry, const uint8_t *payload,
                        int64_t payload_bytes, struct weight *w)
{
    int64_t first = 0, end = 0, bytes = 0;
    char text[128];
    const char *type = json_text(r, entry, "dtype");

    if (r->failed)
        return error_wrap(r->err, "tensor %s", name);
    if (!dtype_from_name(&w->type, type))
        return json_fail(r, name, "has unknown dtype \"%s\"", type);
    if (!read_shape(r, entry, name, &w->shape) || !read_offsets(r, entry, name, &first, &end))
        return false;
    shape_text(&w->shape, text, sizeof text);
    if (!shape_bytes(&w->shape, w->type, &bytes))
        return json_fail(r, name, "shape %s is larger than any file", text);
    if (first < 0 || end < first || end > payload_bytes)
        return json_fail(r, name, "bytes [%" PRId64 ", %" PRId64 ") lie outside of the file's %" PRId64 " data bytes",
                         first, end, payload_bytes);
    if (end - first != bytes)
        return json_fail(r, name, "has %" PRId64 " bytes, expected %" PRId64 " for %s %s", end - first, bytes, type,
                         text);
    w->data = payload + first;
    return true;
}

static int by_data(const void *a, const void *b)
{
    const struct weight *x = a, *y = b;
    if (x->data != y->data)
        return (const uint8_t *)x->data < (const uint8_t *)y->data ? -1 : 1;
    return (shape_count(&x->shape) > 0) - (shape_count(&y->shape) > 0); /* empty ones first */
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct weight *)a)->name, ((const struct weight *)b)->name);
}

/* The format allows neither holes nor overlaps in the payload. */
static bool check_layout(struct safetensors *f, const uint8_t *payload, size_t payload_bytes, const char *where,
                         struct error *err)
{
    const uint8_t *at = payload;
    qsort(f->tensor, f->count, sizeof *f->tensor, by_data);
    for (size_t i = 0; i < f->count; i++) {
        const struct weight *w = &f->tensor[i];
        if (w->data != at)
            return error_set(err, ERROR_INPUT,
                             "%s: tensor %s begins at data byte %td, expected %td: tensors may not overlap", where,
                             w->name, (const uint8_t *)w->data - payload, at - payload);
        at += (size_t)shape_count(&w->shape) * dtype_bytes(w->type);
    }
    if ((size_t)(at - payload) != payload_bytes)
        return error_set(err, ERROR_INPUT, "%s: %zu data bytes, but its tensors end at %td", where, payload_bytes,
                         at - payload);
    qsort(f->tensor, f->count, sizeof *f->tensor, by_name);
    return true;
}

static bool read_header(struct safetensors *f, const json_t *header, const uint8_t *payload, size_t payload_bytes,
                        const char *where, struct error *err)
{
    struct json_reader r = { .where = where, .err = err };
    const char *name;
    json_t *entry;

    if (!json_is_object(header))
        return error_set(err, ERROR_INPUT, "%s: its header is not a JSON object", where);
    f->tensor = xcalloc(json_object_size(header) + 1, sizeof *f->tensor);
    json_object_foreach((json_t *)(uintptr_t)header, name, entry)
    {
        if (!strcmp(name, "__metadata__"))
            continue;
        struct weight *w = &f->tensor[f->count];
        w->name = arena_strdup(&f->arena, name);
        if (!read_tensor(&r, name, entry, payload, (int64_t)payload_bytes, w))
            return false;
        f->count++;
    }
    return check_layout(f, payload, payload_bytes, where, err);
}

static bool parse(struct safetensors *f, const uint8_t *bytes, size_t size, const char *where, struct error *err)
{
    if (size < 8)
        return error_set(err, ERROR_INPUT, "%s: %zu bytes, too short for a safetensors file", where, size);
    uint64_t header_bytes = read_u64(bytes);
    if (header_bytes > size - 8 || header_bytes > LARGEST_HEADER)
        return error_set(err, ERROR_INPUT, "%s: says that its header has %" PRIu64 " bytes, but the file has %zu",
                         where, header_bytes, size);
    json_t *header = json_parse((const char *)bytes + 8, header_bytes, where, err);
    if (!header)
        return false;
    bool ok = read_header(f, header, bytes + 8 + header_bytes, size - 8 - header_bytes, where, err);
    json_decref(header);
    return ok;
}

struct safetensors *safetensors_parse(const void *bytes, size_t size, const char *where, struct error *err)
{
    struct safetensors *f = xcalloc(1, sizeof *f);
    if (!parse(f, bytes, size, where, err))
        safetensors_close(&f);
    return f;
}

struct safetensors *safetensors_open(const char *path, struct error *err)
{
    struct safetensors *f = xcalloc(1, sizeof *f);
    if (!file_map(&f->map, path, err) || !parse(f, f->map.data, f->map.size, path, err))
        safetensors_close(&f);
    return f;
}

void safetensors_close(struct safetensors **f)
{
    if (!*f)
        return;
    file_unmap(&(*f)->map);
    arena_free(&(*f)->arena);
    free((*f)->tensor);
    free(*f);
    *f = NULL;
}

size_t safetensors_count(const struct safetensors *f)
{
    return f->count;
}

const struct weight *safetensors_at(const struct safetensors *f, size_t index)
{
    return &f->tensor[index];
}

const struct weight *safetensors_find(const struct safetensors *f, const char *name)
{
    const struct weight key = { .name = name };
    return f->count ? bsearch(&key, f->tensor, f->count, sizeof key, by_name) : NULL;
}

bool safetensors_write(const char *path, const struct weight *tensors, size_t count, struct error *err)
{
    struct str file = { 0 };
    json_t *header = json_object();
    int64_t at = 0;

    for (size_t i = 0; i < count; i++) {
        const struct weight *w = &tensors[i];
        int64_t bytes = shape_count(&w->shape) * (int64_t)dtype_bytes(w->type);
        json_t *shape = json_array();
        for (int k = 0; k < w->shape.rank; k++)
            json_array_append_new(shape, json_integer(w->shape.dim[k]));
        json_object_set_new(header, w->name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype_name(w->type), "shape", shape,
                                      "data_offsets", (json_int_t)at, (json_int_t)(at + bytes)));
        at += bytes;
    }
    char *text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    if (!text)
        return error_set(err, ERROR_INTERNAL, "%s: a tensor's name is not UTF-8", path);

    struct str padded = { 0 };
    str_append(&padded, text);
    free(text);
    while (padded.size % 8)
        str_append_char(&padded, ' '); /* keeps the payload aligned */
    for (int i = 0; i < 8; i++)
        str_append_char(&file, (char)(padded.size >> (8 * i) & 0xff));
    str_append_bytes(&file, padded.data, padded.size);
    str_free(&padded);
    for (size_t i = 0; i < count; i++)
        str_append_bytes(&file, tensors[i].data, (size_t)shape_count(&tensors[i].shape) * dtype_bytes(tensors[i].type));
    bool ok = file_write(path, file.data, file.size, err);
    str_free(&file);
    return ok;
}

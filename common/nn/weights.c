#include "common/nn/weights.h"

#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "common/nn/safetensors.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct weights {
    char dir[PATH_MAX];
    struct arena arena;
    struct shard {
        const char *name; /* in the folder */
        struct safetensors *file;
    } * shard;
    size_t shard_count;
    struct entry {
        const struct weight *w;
        const char *shard;
    } * entry; /* sorted by tensor name */
    size_t count;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->w->name, ((const struct entry *)b)->w->name);
}

static struct shard *open_shard(struct weights *w, const char *name, struct error *err)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < w->shard_count; i++)
        if (!strcmp(w->shard[i].name, name))
            return &w->shard[i];
    if (strchr(name, '/') || name[0] == '.' || !file_join(path, sizeof path, w->dir, name)) {
        error_set(err, ERROR_INPUT, "%s: shard \"%s\" is not a file of this folder", w->dir, name);
        return NULL;
    }
    struct safetensors *file = safetensors_open(path, err);
    if (!file)
        return NULL;
    w->shard = xrealloc(w->shard, (w->shard_count + 1) * sizeof *w->shard);
    w->shard[w->shard_count] = (struct shard){ .name = arena_strdup(&w->arena, name), .file = file };
    return &w->shard[w->shard_count++];
}

static bool open_single(struct weights *w, const char *name, struct error *err)
{
    const struct shard *s = open_shard(w, name, err);
    if (!s)
        return false;
    w->count = safetensors_count(s->file);
    w->entry = xcalloc(w->count + 1, sizeof *w->entry);
    for (size_t i = 0; i < w->count; i++)
        w->entry[i] = (struct entry){ .w = safetensors_at(s->file, i), .shard = s->name };
    return true;
}

/* {"weight_map": {tensor: file}} */
static bool open_index(struct weights *w, const char *path, const json_t *index, struct error *err)
{
    struct json_reader r = { .where = path, .err = err };
    const json_t *map = json_group(&r, index, "weight_map");
    const char *name;
    json_t *file;

    if (!map)
        return false;
    w->entry = xcalloc(json_object_size(map) + 1, sizeof *w->entry);
    json_object_foreach((json_t *)(uintptr_t)map, name, file)
    {
        if (!json_is_string(file))
            return json_fail(&r, name, "its file is not text");
        const struct shard *s = open_shard(w, json_string_value(file), err);
        if (!s)
            return error_wrap(err, "%s", path);
        const struct weight *tensor = safetensors_find(s->file, name);
        if (!tensor)
            return json_fail(&r, name, "is not in %s", s->name);
        w->entry[w->count++] = (struct entry){ .w = tensor, .shard = s->name };
    }
    return true;
}

static bool open_files(struct weights *w, const char *stem, struct error *err)
{
    char name[256], path[PATH_MAX], index_path[PATH_MAX];

    snprintf(name, sizeof name, "%s.safetensors", stem);
    if (!file_join(path, sizeof path, w->dir, name))
        return error_set(err, ERROR_INPUT, "%s: path too long", w->dir);
    if (file_exists(path))
        return open_single(w, name, err);
    snprintf(name, sizeof name, "%s.safetensors.index.json", stem);
    if (!file_join(index_path, sizeof index_path, w->dir, name))
        return error_set(err, ERROR_INPUT, "%s: path too long", w->dir);
    if (!file_exists(index_path))
        return error_set(err, ERROR_INPUT, "%s: no weights: expected %s.safetensors or %s", w->dir, stem, name);
    json_t *index = json_load(index_path, err);
    if (!index)
        return false;
    bool ok = open_index(w, index_path, index, err);
    json_decref(index);
    return ok;
}

struct weights *weights_open(const char *dir, const char *stem, struct error *err)
{
    struct weights *w = xcalloc(1, sizeof *w);
    snprintf(w->dir, sizeof w->dir, "%s", dir);
    if (!open_files(w, stem, err))
        weights_close(&w);
    else if (w->count)
        qsort(w->entry, w->count, sizeof *w->entry, by_name);
    return w;
}

void weights_close(struct weights **w)
{
    if (!*w)
        return;
    for (size_t i = 0; i < (*w)->shard_count; i++)
        safetensors_close(&(*w)->shard[i].file);
    free((*w)->shard);
    free((*w)->entry);
    arena_free(&(*w)->arena);
    free(*w);
    *w = NULL;
}

static const struct entry *find(const struct weights *w, const char *name)
{
    const struct weight key = { .name = name };
    const struct entry at = { .w = &key };
    return w->count ? bsearch(&at, w->entry, w->count, sizeof at, by_name) : NULL;
}

static bool shape_fits(const struct shape *found, const struct shape *expected)
{
    if (expected->rank == 0)
        return true;
    if (found->rank != expected->rank)
        return false;
    for (int i = 0; i < found->rank; i++)
        if (expected->dim[i] != -1 && found->dim[i] != expected->dim[i])
            return false;
    return true;
}

const struct weight *weights_find(const struct weights *w, const char *name, const struct shape *expected,
                                  struct error *err)
{
    char found_text[128], expected_text[128];
    const struct entry *e = find(w, name);

    if (!e) {
        error_set(err, ERROR_INPUT, "%s: tensor %s is missing", w->dir, name);
        return NULL;
    }
    if (e->w->type != DTYPE_F32 && e->w->type != DTYPE_F16 && e->w->type != DTYPE_BF16) {
        error_set(err, ERROR_INPUT, "%s/%s: tensor %s is %s, expected F32, F16 or BF16", w->dir, e->shard, name,
                  dtype_name(e->w->type));
        return NULL;
    }
    if (!shape_fits(&e->w->shape, expected)) {
        shape_text(&e->w->shape, found_text, sizeof found_text);
        shape_text(expected, expected_text, sizeof expected_text);
        error_set(err, ERROR_INPUT, "%s/%s: tensor %s is %s, expected %s", w->dir, e->shard, name, found_text,
                  expected_text);
        return NULL;
    }
    return e->w;
}

/* rendered - shots that a farm rendered, as clips: from manifests and the blobs that they name. */
#ifndef SHOTLINE_TESTS_RENDERED_H
#define SHOTLINE_TESTS_RENDERED_H

#include "common/base/json.h"
#include "common/nn/safetensors.h"
#include "common/wire/store_dir.h"
#include "tests/gates/clips.h"
#include "worker/video/video_read.h"

#include <limits.h>
#include <stdio.h>

struct rendered {
    struct clip clip;
    char name[80];             /* "v07 shot 2" */
    char place[24], light[24]; /* where it shows what it shows */
    char size[24], action[24], member[64];
    bool reference; /* the member has an image */
};

static inline bool rendered_digest(const json_t *object, struct digest *d)
{
    const char *hex = json_string_value(json_object_get(object, "digest"));
    return hex && digest_from_hex(d, hex);
}

static inline bool rendered_frames(struct clip *c, const char *path, struct error *err)
{
    struct video_reader *r = video_reader_open(path, err);
    bool end = false, ok = r != NULL;
    if (!r)
        return false;
    c->width = video_reader_width(r);
    c->height = video_reader_height(r);
    for (int room = 0; ok && !end;) {
        if (c->frames == room) {
            room = room ? 2 * room : 64;
            c->rgb = xrealloc(c->rgb, (size_t)room * clip_frame_bytes(c));
        }
        ok = video_reader_next(r, clip_frame(c, c->frames), &end, err);
        c->frames += ok && !end;
    }
    video_reader_close(&r);
    return ok;
}

static inline bool rendered_palette(struct palette *p, const char *path, struct error *err)
{
    struct safetensors *f = safetensors_open(path, err);
    const struct weight *w = f ? safetensors_find(f, "palette") : NULL;
    bool ok = w && w->type == DTYPE_F32 && w->shape.rank == 2 && w->shape.dim[0] <= PALETTE_COLOURS;
    if (f && !ok)
        error_set(err, ERROR_INPUT, "%s: no palette", path);
    if (ok) {
        p->count = (int)w->shape.dim[0];
        memcpy(p->colour, w->data, (size_t)p->count * sizeof p->colour[0]);
    }
    safetensors_close(&f);
    return ok;
}

/* An empty text where there is none. */
static inline void rendered_text(char *to, size_t room, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    snprintf(to, room, "%s", text ? text : "");
}

static inline void rendered_plan(struct rendered *r, const json_t *manifest, const json_t *shot)
{
    const json_t *actor = json_array_get(json_object_get(shot, "actors"), 0), *member;
    const char *id = json_string_value(json_object_get(actor, "cast"));
    size_t i;
    rendered_text(r->place, sizeof r->place, shot, "place");
    rendered_text(r->light, sizeof r->light, shot, "light");
    rendered_text(r->size, sizeof r->size, shot, "size");
    rendered_text(r->action, sizeof r->action, actor, "action");
    json_array_foreach(json_object_get(json_object_get(manifest, "plan"), "cast"), i, member)
    {
        const char *mine = json_string_value(json_object_get(member, "id"));
        if (id && mine && !strcmp(id, mine))
            rendered_text(r->member, sizeof r->member, member, "phrase");
    }
}

/* A reference is an input of the task that made the identity, under a name that a drawn one has not. */
static inline bool rendered_has_image(const json_t *manifest, const struct digest *identity)
{
    const json_t *task, *input;
    size_t i, k;
    json_array_foreach(json_object_get(manifest, "tasks"), i, task)
    {
        struct digest d;
        if (!rendered_digest(json_object_get(json_object_get(task, "outputs"), "identity"), &d) ||
            !digest_equal(&d, identity))
            continue;
        json_array_foreach(json_object_get(task, "inputs"), k, input)
        {
            if (!strcmp(json_string_value(json_object_get(input, "slot")), "image"))
                return true;
        }
    }
    return false;
}

static inline void rendered_borders(struct clip *c, const json_t *ranges)
{
    for (size_t i = 0; i + 1 < json_array_size(ranges) && i < CLIP_MOST_BORDERS; i++) {
        const json_t *a = json_array_get(ranges, i), *b = json_array_get(ranges, i + 1);
        const int from = (int)json_integer_value(json_array_get(b, 0)),
                  end = (int)(json_integer_value(json_array_get(a, 0)) + json_integer_value(json_array_get(a, 1)));
        c->borders[c->border_count++] = (struct gate_seam){ from ? 4 * (from - 1) + 1 : 0, 4 * (end - 1) };
    }
}

/* The shot of a decode task. */
static inline bool rendered_read(struct rendered *r, struct store_dir *blobs, const json_t *manifest,
                                 const json_t *task, struct error *err)
{
    const json_t *params = json_object_get(task, "params"), *input;
    const json_t *shot = json_array_get(json_object_get(json_object_get(manifest, "plan"), "shots"),
                                        (size_t)json_integer_value(json_object_get(task, "shot")) - 1);
    struct clip *c = &r->clip;
    struct digest d;
    char path[PATH_MAX];
    size_t i;
    *c = (struct clip){ .fps = (int)json_integer_value(json_object_get(params, "fps")),
                        .camera = xstrdup(json_string_value(json_object_get(shot, "camera"))) };
    c->planned_frames = 4 * ((int)json_integer_value(json_object_get(params, "latent_frames")) - 1) + 1;
    rendered_plan(r, manifest, shot);
    rendered_borders(c, json_object_get(params, "ranges"));
    json_array_foreach(json_object_get(task, "inputs"), i, input)
    {
        if (strcmp(json_string_value(json_object_get(input, "slot")), "identity"))
            continue;
        if (!rendered_digest(input, &d) || !store_dir_path(blobs, &d, path, sizeof path))
            return error_set(err, ERROR_INPUT, "an identity is not in the store");
        if (!rendered_palette(&c->figure, path, err))
            return false;
        r->reference = rendered_has_image(manifest, &d);
    }
    if (!rendered_digest(json_object_get(json_object_get(task, "outputs"), "mezzanine"), &d) ||
        !store_dir_path(blobs, &d, path, sizeof path))
        return error_set(err, ERROR_INPUT, "a mezzanine is not in the store");
    return rendered_frames(c, path, err);
}

static inline void rendered_free(struct rendered *r)
{
    free(r->clip.rgb);
    free((char *)r->clip.camera);
}

#endif

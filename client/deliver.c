#include "client/deliver.h"

#include "client/output.h"
#include "common/base/file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct artifact {
    const char *name, *suffix;
} artifacts[] = {
    /* The manifest first: a video without one cannot be made again. */
    { "manifest", ".manifest.json" },
    { "video", ".mp4" },
};

bool deliver_check(const char *dir, struct error *err)
{
    if (!file_make_dirs(dir, 0777, err))
        return false;
    if (access(dir, W_OK | X_OK) != 0)
        return error_set(err, ERROR_IO, "%s: cannot write here: %s", dir, strerror(errno));
    return true;
}

static const Shotline__Blob *find_artifact(const Shotline__VideoStatus *v, const char *name)
{
    for (size_t i = 0; i < v->n_artifacts; i++)
        if (strcmp(v->artifacts[i]->name, name) == 0)
            return v->artifacts[i]->blob;
    return NULL;
}

/* The farm's names become file names: whatever it says, they stay inside the folder. */
static bool name_is_safe(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/');
}

static bool deliver_video(struct session *s, const Shotline__VideoStatus *v, const char *dir, bool json,
                          struct error *err)
{
    if (!name_is_safe(v->name))
        return error_set(err, ERROR_INPUT, "the farm calls a video \"%s\", which is no file name", v->name);
    for (size_t i = 0; i < sizeof artifacts / sizeof artifacts[0]; i++) {
        char path[PATH_MAX];
        int n = snprintf(path, sizeof path, "%s/%s%s", dir, v->name, artifacts[i].suffix);
        const Shotline__Blob *blob = find_artifact(v, artifacts[i].name);
        if (!blob)
            return error_set(err, ERROR_INPUT, "%s: the farm has no %s of it", v->name, artifacts[i].name);
        if (n < 0 || (size_t)n >= sizeof path)
            return error_set(err, ERROR_IO, "%s: %s", v->name, strerror(ENAMETOOLONG));
        if (!session_fetch(s, blob, path, err))
            return false;
        if (json)
            output_json(json_pack("{s:s, s:s, s:s, s:s}", "event", "file", "video", v->name, "artifact",
                                  artifacts[i].name, "path", path));
        else
            puts(path);
    }
    return true;
}

/* A frame of each shot that did not pass its gates: NAME.shot3.png. */
static bool deliver_pictures(struct session *s, const Shotline__VideoStatus *v, const char *dir, bool json,
                             struct error *err)
{
    for (size_t i = 0; i < v->n_shots; i++) {
        const Shotline__ShotStatus *shot = v->shots[i];
        char path[PATH_MAX];
        if (!shot->picture || !output_state_ended(v->state))
            continue;
        if (!name_is_safe(v->name))
            return error_set(err, ERROR_INPUT, "the farm calls a video \"%s\", which is no file name", v->name);
        int n = snprintf(path, sizeof path, "%s/%s.shot%u.png", dir, v->name, shot->number);
        if (n < 0 || (size_t)n >= sizeof path)
            return error_set(err, ERROR_IO, "%s: %s", v->name, strerror(ENAMETOOLONG));
        if (!session_fetch(s, shot->picture->blob, path, err))
            return false;
        if (json)
            output_json(json_pack("{s:s, s:s, s:s, s:i, s:s}", "event", "file", "video", v->name, "artifact", "picture",
                                  "shot", (int)shot->number, "path", path));
        else
            puts(path);
    }
    return true;
}

bool deliver(struct session *s, const Shotline__CampaignStatus *c, const char *dir, bool json, size_t *files,
             struct error *err)
{
    *files = 0;
    for (size_t i = 0; i < c->n_videos; i++) {
        if (!deliver_pictures(s, c->videos[i], dir, json, err))
            return false;
        if (c->videos[i]->state != SHOTLINE__WORK_STATE__WORK_DONE)
            continue;
        if (!deliver_video(s, c->videos[i], dir, json, err))
            return false;
        *files += sizeof artifacts / sizeof artifacts[0];
    }
    return true;
}

/* task_stitch - the shots of a video, one after another, to the finished file. */
#include "worker/tasks/task_internal.h"
#include "worker/video/video_stitch.h"

#include "common/base/arena.h"

#include <stdlib.h>
#include <unistd.h>

#define MAX_SHOTS 4096
#define PATH_ROOM 1024

static bool cancelled(void *context)
{
    const struct task_run *run = context;
    return run->cancel && atomic_load(run->cancel);
}

static void progress(void *context, int64_t frame, int64_t frames)
{
    task_progress(context, (uint32_t)frame, (uint32_t)frames);
}

bool task_stitch_run(const struct task_run *run, const Shotline__StitchTask *t, struct task_outputs *out,
                     struct error *err)
{
    char path[PATH_ROOM];
    if (!task_check("number of shots", (int64_t)t->n_shots, 1, MAX_SHOTS, err) ||
        !task_check("width", t->width, 16, 8192, err) || !task_check("height", t->height, 16, 8192, err) ||
        !task_check("fps_in", t->fps_in, 1, 240, err) || !task_check("fps_out", t->fps_out, 1, 240, err) ||
        !task_check("crf", t->crf, 0, 51, err) || !task_check("frames", t->frames, 1, INT32_MAX, err) ||
        !task_scratch(run, "video.mp4", path, sizeof path, err))
        return false;

    struct stitch_shot *shots = xcalloc(t->n_shots, sizeof *shots);
    char(*paths)[PATH_ROOM] = xcalloc(t->n_shots, sizeof *paths);
    bool ok = true;
    for (size_t i = 0; ok && i < t->n_shots; i++) {
        const Shotline__StitchShot *s = t->shots[i];
        shots[i] =
            (struct stitch_shot){ .path = paths[i], .frames = s->frames, .transition_frames = s->transition_frames };
        ok = task_blob_path(run, s->mezzanine, "mezzanine", paths[i], PATH_ROOM, err) &&
             (transition_from_name(&shots[i].transition, s->transition) ||
              error_set(err, ERROR_INPUT, "shot %zu: transition \"%.40s\", expected cut, dissolve or fade", i + 1,
                        s->transition));
    }
    const struct stitch stitch = {
        .shots = shots,
        .shot_count = t->n_shots,
        .fps_in = (int)t->fps_in,
        .fps_out = (int)t->fps_out,
        .width = (int)t->width,
        .height = (int)t->height,
        .crf = (int)t->crf,
        .frames = t->frames,
        .cancelled = cancelled,
        .progress = progress,
        .context = (void *)run,
    };
    ok = ok && video_stitch(&stitch, path, err) && task_add_file(run, out, "video", path, err);
    free(paths);
    free(shots);
    return ok;
}

/* video_stitch - the timeline of a finished video: shots one after another, transitions between them, at the file's
 * frame rate and size.
 *
 * Shot k is seen in its `frames` frames of the file, counted at the file's rate. It and the next shot are both there
 * during the last `transition_frames` of it: the file has the sum of `frames` less the sum of `transition_frames`. In a
 * dissolve the next shot's share grows by equal parts; a fade goes to black in the first half and comes up in the
 * second. Frame i of a shot shows the mezzanine frame that is on at the middle of frame i. */
#ifndef SHOTLINE_WORKER_VIDEO_VIDEO_STITCH_H
#define SHOTLINE_WORKER_VIDEO_VIDEO_STITCH_H

#include "common/base/error.h"

#include <stddef.h>
#include <stdint.h>

enum transition { TRANSITION_CUT, TRANSITION_DISSOLVE, TRANSITION_FADE };
bool transition_from_name(enum transition *t, const char *name);

struct stitch_shot {
    const char *path; /* of the mezzanine */
    int64_t frames;
    enum transition transition; /* how it ends */
    int64_t transition_frames;
};

struct stitch {
    const struct stitch_shot *shots;
    size_t shot_count;
    int fps_in, fps_out;
    int width, height; /* of the file */
    int crf;
    int64_t frames; /* of the file; must be what the shots give */

    bool (*cancelled)(void *context); /* asked before each frame; NULL: never */
    void (*progress)(void *context, int64_t frame, int64_t frames);
    void *context;
};

/* Writes the finished video; on failure PATH is not there. The mezzanines must be of one size, whichever. */
bool video_stitch(const struct stitch *s, const char *path, struct error *err);

#endif

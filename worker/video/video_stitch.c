#include "worker/video/video_stitch.h"

#include "common/base/arena.h"
#include "worker/video/video_read.h"
#include "worker/video/video_write.h"

#include <stdlib.h>
#include <string.h>

bool transition_from_name(enum transition *t, const char *name)
{
    static const char *const names[] = { "cut", "dissolve", "fade" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            *t = (enum transition)i;
            return true;
        }
    }
    return false;
}

/* The mezzanine frame that is on at the middle of frame i of the file: (i + 1/2) / fps_out * fps_in, rounded down. */
static int64_t source_frame(int64_t i, int fps_in, int fps_out)
{
    return (2 * i + 1) * fps_in / (2 * (int64_t)fps_out);
}

static bool check(const struct stitch *s, struct error *err)
{
    if (s->shot_count < 1)
        return error_set(err, ERROR_INPUT, "stitch: no shots");
    if (s->fps_in < 1 || s->fps_in > 240 || s->fps_out < 1 || s->fps_out > 240)
        return error_set(err, ERROR_INPUT, "stitch: %d to %d frames/s, expected 1 to 240", s->fps_in, s->fps_out);
    int64_t total = 0;
    for (size_t k = 0; k < s->shot_count; k++) {
        const struct stitch_shot *shot = &s->shots[k];
        const int64_t incoming = k > 0 ? s->shots[k - 1].transition_frames : 0;
        const bool last = k + 1 == s->shot_count;
        if (shot->frames < 1 || shot->frames > INT32_MAX || shot->transition_frames < 0 ||
            shot->transition_frames > shot->frames)
            return error_set(err, ERROR_INPUT, "stitch: shot %zu has %lld frames and a transition of %lld", k + 1,
                             (long long)shot->frames, (long long)shot->transition_frames);
        if ((last || shot->transition == TRANSITION_CUT) && shot->transition_frames != 0)
            return error_set(err, ERROR_INPUT,
                             "stitch: shot %zu ends with a cut, expected a transition of 0 frames and not %lld", k + 1,
                             (long long)shot->transition_frames);
        if (incoming + shot->transition_frames > shot->frames)
            return error_set(err, ERROR_INPUT, "stitch: the transitions of shot %zu need %lld frames, it has %lld",
                             k + 1, (long long)(incoming + shot->transition_frames), (long long)shot->frames);
        total += shot->frames - shot->transition_frames;
    }
    if (total != s->frames)
        return error_set(err, ERROR_INPUT, "stitch: the shots give %lld frames, expected %lld", (long long)total,
                         (long long)s->frames);
    return true;
}

/* A mezzanine that is being played: frames are asked for in rising order. */
struct player {
    struct video_reader *reader;
    uint8_t *rgb;  /* the frame that was read last */
    int64_t index; /* its number; -1: none yet */
};

static bool player_open(struct player *p, const struct stitch *s, size_t shot, struct error *err)
{
    p->index = -1;
    p->reader = video_reader_open(s->shots[shot].path, err);
    if (!p->reader)
        return error_wrap(err, "shot %zu", shot + 1);
    p->rgb = xmalloc((size_t)video_reader_width(p->reader) * video_reader_height(p->reader) * 3);
    return true;
}

static void player_close(struct player *p)
{
    video_reader_close(&p->reader);
    free(p->rgb);
    *p = (struct player){ 0 };
}

static bool player_seek(struct player *p, int64_t index, size_t shot, struct error *err)
{
    while (p->index < index) {
        bool end;
        if (!video_reader_next(p->reader, p->rgb, &end, err))
            return error_wrap(err, "shot %zu", shot + 1);
        if (end)
            return error_set(err, ERROR_INPUT, "shot %zu: the mezzanine has %lld frames, expected at least %lld",
                             shot + 1, (long long)(p->index + 1), (long long)(index + 1));
        p->index++;
    }
    return true;
}

/* Where the file stands: the shot that is seen, and the next one during a transition. */
struct timeline {
    const struct stitch *s;
    size_t shot;
    int64_t first; /* the frame of the file at which `shot` begins */
    struct player here, next;
    int width, height;
    uint8_t *mixed;
};

static bool open_next(struct timeline *t, struct error *err)
{
    if (!player_open(&t->next, t->s, t->shot + 1, err))
        return false;
    const int width = video_reader_width(t->next.reader), height = video_reader_height(t->next.reader);
    return (width == t->width && height == t->height) ||
           error_set(err, ERROR_INPUT, "shot %zu: frames of %dx%d, expected %dx%d as in the shots before", t->shot + 2,
                     width, height, t->width, t->height);
}

/* Frame j of a transition of n frames from a to b. */
static void mix(uint8_t *to, const uint8_t *a, const uint8_t *b, size_t size, enum transition t, int64_t j, int64_t n)
{
    const uint32_t whole = (uint32_t)n + 1, done = (uint32_t)j + 1;
    uint32_t share_a = whole - done, share_b = done;
    if (t == TRANSITION_FADE) { /* twice as steep, one after the other */
        share_a = 2 * done < whole ? whole - 2 * done : 0;
        share_b = 2 * done > whole ? 2 * done - whole : 0;
    }
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)((a[i] * share_a + b[i] * share_b + whole / 2) / whole);
}

/* Frame i of the file; called with i = 0, 1, 2... The picture is good until the next call. NULL on failure. */
static const uint8_t *timeline_frame(struct timeline *t, int64_t i, struct error *err)
{
    const struct stitch *s = t->s;
    const struct stitch_shot *now = &s->shots[t->shot];
    if (i >= t->first + now->frames) {
        if (!t->next.reader && !open_next(t, err))
            return NULL;
        t->first += now->frames - now->transition_frames;
        t->shot++;
        now++;
        player_close(&t->here);
        t->here = t->next;
        t->next = (struct player){ 0 };
    }
    if (!player_seek(&t->here, source_frame(i - t->first, s->fps_in, s->fps_out), t->shot, err))
        return NULL;
    const int64_t overlap_at = t->first + now->frames - now->transition_frames;
    if (i < overlap_at)
        return t->here.rgb;

    if (!t->next.reader && !open_next(t, err))
        return NULL;
    if (!player_seek(&t->next, source_frame(i - overlap_at, s->fps_in, s->fps_out), t->shot + 1, err))
        return NULL;
    mix(t->mixed, t->here.rgb, t->next.rgb, (size_t)t->width * t->height * 3, now->transition, i - overlap_at,
        now->transition_frames);
    return t->mixed;
}

static bool play(struct timeline *t, struct video_writer *w, struct error *err)
{
    const struct stitch *s = t->s;
    for (int64_t i = 0; i < s->frames; i++) {
        if (s->cancelled && s->cancelled(s->context))
            return error_set(err, ERROR_CANCELLED, "stitch: cancelled at frame %lld of %lld", (long long)i,
                             (long long)s->frames);
        const uint8_t *rgb = timeline_frame(t, i, err);
        if (!rgb || !video_writer_add(w, rgb, err))
            return false;
        if (s->progress)
            s->progress(s->context, i + 1, s->frames);
    }
    return true;
}

bool video_stitch(const struct stitch *s, const char *path, struct error *err)
{
    struct timeline t = { .s = s };
    struct video_writer *w = NULL;
    bool ok = check(s, err) && player_open(&t.here, s, 0, err);
    if (ok) {
        t.width = video_reader_width(t.here.reader);
        t.height = video_reader_height(t.here.reader);
        t.mixed = xmalloc((size_t)t.width * t.height * 3);
        w = video_writer_open_h264(path,
                                   &(struct video_format){ .width = s->width,
                                                           .height = s->height,
                                                           .fps = s->fps_out,
                                                           .source_width = t.width,
                                                           .source_height = t.height,
                                                           .crf = s->crf },
                                   err);
        ok = w && play(&t, w, err) && video_writer_finish(&w, err);
    }
    video_writer_abort(&w);
    player_close(&t.here);
    player_close(&t.next);
    free(t.mixed);
    return ok;
}

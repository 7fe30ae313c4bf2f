/* video_write - frames to a file: the lossless mezzanine of a shot (FFV1 in Matroska) or the finished video (H.264 in
 * MP4).
 *
 * The same frames give the same bytes, on any machine with the same libraries: no time stamps, no random ids, no
 * encoder banner; fixed threads. A file is complete only after video_writer_finish; every other way out removes it. */
#ifndef SHOTLINE_WORKER_VIDEO_VIDEO_WRITE_H
#define SHOTLINE_WORKER_VIDEO_VIDEO_WRITE_H

#include "common/base/error.h"

#include <stdint.h>

struct video_writer;

struct video_format {
    int width, height; /* of the file */
    int fps;
    int source_width, source_height; /* of the frames; 0: as the file */
    int crf;                         /* H.264 only: 0 (lossless) to 51 */
};

/* source size must be the file's. */
struct video_writer *video_writer_open_ffv1(const char *path, const struct video_format *f, struct error *err);
/* Frames are scaled to the file's size (bicubic), which must be even. */
struct video_writer *video_writer_open_h264(const char *path, const struct video_format *f, struct error *err);

/* rgb [source_height, source_width, 3] */
bool video_writer_add(struct video_writer *w, const uint8_t *rgb, struct error *err);
/* Writes what is left and closes the file. The writer is gone afterwards, also on failure. */
bool video_writer_finish(struct video_writer **w, struct error *err);
void video_writer_abort(struct video_writer **w);

/* Names the libraries whose versions decide the bytes: "avcodec 59.37.100 avformat 59.27.100 swscale 6.7.100 x264 core
 * 164 r3095 baee400". It is found by encoding one small picture, kept for the process's life, and part of what a worker
 * tells about itself. */
const char *video_codec_version(void);

#endif

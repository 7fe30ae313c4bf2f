/* video_read - the frames of a mezzanine (FFV1 in Matroska), one after another. Anything else is refused: what arrives
 * over the wire meets one demuxer and one decoder, and not all of FFmpeg's. */
#ifndef SHOTLINE_WORKER_VIDEO_VIDEO_READ_H
#define SHOTLINE_WORKER_VIDEO_VIDEO_READ_H

#include "common/base/error.h"

#include <stdint.h>

struct video_reader;

/* NULL when it is no mezzanine. */
struct video_reader *video_reader_open(const char *path, struct error *err);
void video_reader_close(struct video_reader **r);
int video_reader_width(const struct video_reader *r);
int video_reader_height(const struct video_reader *r);

/* The next frame, rgb [height, width, 3]; *end is set instead after the last one. */
bool video_reader_next(struct video_reader *r, uint8_t *rgb, bool *end, struct error *err);

#endif

/* video_common - what the video_*.c files share; the only header that shows FFmpeg's types, and only they may include
 * it. */
#ifndef SHOTLINE_WORKER_VIDEO_VIDEO_COMMON_H
#define SHOTLINE_WORKER_VIDEO_VIDEO_COMMON_H

#include "common/base/error.h"

#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>

/* Pictures larger than this are refused before anything is allocated for them. */
#define VIDEO_MAX_SIDE 8192

/* Sets FFmpeg up for repeatable results: its plain C paths on every CPU, and nothing on stderr (each error comes back
 * as struct error). Call it before any other use; it may be called many times. */
void video_begin(void);

/* "WHAT: FFmpeg's text": full disks and missing files are ERROR_IO, no memory ERROR_MEMORY, everything else
 * ERROR_INPUT. Returns false. */
bool video_fail(struct error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A scaler with bicubic filtering and rounding that is the same on every machine.
 * NULL on failure. */
struct SwsContext *video_scaler(int from_width, int from_height, enum AVPixelFormat from, int to_width, int to_height,
                                enum AVPixelFormat to, struct error *err);

#endif

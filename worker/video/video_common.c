#include "worker/video/video_common.h"

#include <errno.h>
#include <libavutil/cpu.h>
#include <stdarg.h>
#include <stdio.h>

void video_begin(void)
{
    av_force_cpu_flags(0);
    av_log_set_level(AV_LOG_QUIET);
}

bool video_fail(struct error *err, int code, const char *fmt, ...)
{
    char what[384], why[AV_ERROR_MAX_STRING_SIZE];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);

    enum error_kind kind = ERROR_INPUT;
    if (code == AVERROR(ENOMEM))
        kind = ERROR_MEMORY;
    else if (code == AVERROR(ENOSPC) || code == AVERROR(EIO) || code == AVERROR(ENOENT) || code == AVERROR(EACCES) ||
             code == AVERROR(EFBIG) || code == AVERROR(EDQUOT) || code == AVERROR(EROFS) || code == AVERROR(EMFILE))
        kind = ERROR_IO;
    return error_set(err, kind, "%s: %s", what, av_make_error_string(why, sizeof why, code));
}

struct SwsContext *video_scaler(int from_width, int from_height, enum AVPixelFormat from, int to_width, int to_height,
                                enum AVPixelFormat to, struct error *err)
{
    struct SwsContext *s = sws_alloc_context();
    if (!s) {
        error_set(err, ERROR_MEMORY, "scaler: out of memory");
        return NULL;
    }
    av_opt_set_int(s, "srcw", from_width, 0);
    av_opt_set_int(s, "srch", from_height, 0);
    av_opt_set_int(s, "src_format", from, 0);
    av_opt_set_int(s, "dstw", to_width, 0);
    av_opt_set_int(s, "dsth", to_height, 0);
    av_opt_set_int(s, "dst_format", to, 0);
    av_opt_set_int(s, "sws_flags",
                   SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INP | SWS_FULL_CHR_H_INT, 0);
    av_opt_set_int(s, "threads", 1, 0);
    int rc = sws_init_context(s, NULL, NULL);
    if (rc < 0) {
        sws_freeContext(s);
        video_fail(err, rc, "scaler from %dx%d to %dx%d", from_width, from_height, to_width, to_height);
        return NULL;
    }
    return s;
}

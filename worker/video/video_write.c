#include "worker/video/video_write.h"

#include "common/base/arena.h"
#include "worker/video/video_common.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct video_writer {
    char path[1024];
    struct video_format format;
    AVFormatContext *file;
    AVCodecContext *codec;
    AVBSFContext *filter; /* NULL: packets go to the file as they are */
    AVStream *stream;
    AVFrame *frame;
    AVPacket *packet;
    struct SwsContext *scaler; /* H.264: RGB to YUV at the file's size */
    int64_t frames;
    bool opened; /* the file exists */
};

static void video_writer_free(struct video_writer *w, bool keep_file)
{
    sws_freeContext(w->scaler);
    av_frame_free(&w->frame);
    av_packet_free(&w->packet);
    av_bsf_free(&w->filter);
    avcodec_free_context(&w->codec);
    if (w->file) {
        avio_closep(&w->file->pb);
        avformat_free_context(w->file);
    }
    if (w->opened && !keep_file)
        unlink(w->path);
    free(w);
}

/* The codec is filled in by the caller; from here on both kinds are alike. */
static bool open_file(struct video_writer *w, const char *muxer, AVDictionary **codec_options, const char *filter,
                      AVDictionary **muxer_options, struct error *err)
{
    int rc = avformat_alloc_output_context2(&w->file, NULL, muxer, w->path);
    if (rc < 0)
        return video_fail(err, rc, "%s", w->path);
    w->file->flags |= AVFMT_FLAG_BITEXACT;
    w->codec->flags |= AV_CODEC_FLAG_BITEXACT;
    if (w->file->oformat->flags & AVFMT_GLOBALHEADER)
        w->codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    w->codec->width = w->format.width;
    w->codec->height = w->format.height;
    w->codec->sample_aspect_ratio = (AVRational){ 1, 1 };
    w->codec->time_base = (AVRational){ 1, w->format.fps };
    w->codec->framerate = (AVRational){ w->format.fps, 1 };
    if ((rc = avcodec_open2(w->codec, NULL, codec_options)) < 0)
        return video_fail(err, rc, "%s: encoder %s, %dx%d", w->path, w->codec->codec->name, w->format.width,
                          w->format.height);

    w->stream = avformat_new_stream(w->file, NULL);
    w->frame = av_frame_alloc();
    w->packet = av_packet_alloc();
    if (!w->stream || !w->frame || !w->packet)
        return error_set(err, ERROR_MEMORY, "%s: out of memory", w->path);
    w->stream->time_base = w->codec->time_base;
    w->stream->avg_frame_rate = w->stream->r_frame_rate = w->codec->framerate;
    if ((rc = avcodec_parameters_from_context(w->stream->codecpar, w->codec)) < 0)
        return video_fail(err, rc, "%s", w->path);
    if (filter) {
        if ((rc = av_bsf_list_parse_str(filter, &w->filter)) < 0 ||
            (rc = avcodec_parameters_copy(w->filter->par_in, w->stream->codecpar)) < 0)
            return video_fail(err, rc, "%s: filter %s", w->path, filter);
        w->filter->time_base_in = w->codec->time_base;
        if ((rc = av_bsf_init(w->filter)) < 0 ||
            (rc = avcodec_parameters_copy(w->stream->codecpar, w->filter->par_out)) < 0)
            return video_fail(err, rc, "%s: filter %s", w->path, filter);
    }

    w->frame->format = w->codec->pix_fmt;
    w->frame->width = w->format.width;
    w->frame->height = w->format.height;
    w->frame->color_range = w->codec->color_range;
    w->frame->colorspace = w->codec->colorspace;
    w->frame->color_primaries = w->codec->color_primaries;
    w->frame->color_trc = w->codec->color_trc;
    if ((rc = av_frame_get_buffer(w->frame, 0)) < 0)
        return video_fail(err, rc, "%s", w->path);

    if ((rc = avio_open(&w->file->pb, w->path, AVIO_FLAG_WRITE)) < 0)
        return video_fail(err, rc, "cannot write %s", w->path);
    w->opened = true;
    if ((rc = avformat_write_header(w->file, muxer_options)) < 0)
        return video_fail(err, rc, "cannot write %s", w->path);
    return true;
}

static struct video_writer *new_writer(const char *path, const struct video_format *f, const char *encoder,
                                       struct error *err)
{
    video_begin();
    if (f->width < 16 || f->height < 16 || f->width > VIDEO_MAX_SIDE || f->height > VIDEO_MAX_SIDE || f->fps < 1 ||
        f->fps > 240) {
        error_set(err, ERROR_INPUT,
                  "video of %dx%d at %d frames/s: expected 16 to %d pixels a side and 1 to 240 frames/s", f->width,
                  f->height, f->fps, VIDEO_MAX_SIDE);
        return NULL;
    }
    const AVCodec *codec = avcodec_find_encoder_by_name(encoder);
    if (!codec) {
        error_set(err, ERROR_INTERNAL, "the FFmpeg that is installed has no encoder %s", encoder);
        return NULL;
    }
    struct video_writer *w = xcalloc(1, sizeof *w);
    if (snprintf(w->path, sizeof w->path, "%s", path) >= (int)sizeof w->path) {
        error_set(err, ERROR_INPUT, "path too long: %.200s...", path);
        free(w);
        return NULL;
    }
    w->format = *f;
    if (w->format.source_width == 0) {
        w->format.source_width = f->width;
        w->format.source_height = f->height;
    }
    w->codec = avcodec_alloc_context3(codec);
    if (!w->codec) {
        error_set(err, ERROR_MEMORY, "%s: out of memory", path);
        video_writer_free(w, false);
        return NULL;
    }
    return w;
}

struct video_writer *video_writer_open_ffv1(const char *path, const struct video_format *f, struct error *err)
{
    struct video_writer *w = new_writer(path, f, "ffv1", err);
    if (!w)
        return NULL;
    AVDictionary *options = NULL;
    w->codec->pix_fmt = AV_PIX_FMT_BGR0; /* FFV1's 8-bit RGB: it is coded by a reversible colour transform */
    w->codec->color_range = AVCOL_RANGE_JPEG;
    w->codec->colorspace = AVCOL_SPC_RGB;
    w->codec->gop_size = 1;
    w->codec->level = 3;
    w->codec->slices = 4;
    w->codec->thread_count = 1;
    av_dict_set(&options, "slicecrc", "1", 0); /* a damaged mezzanine is noticed when it is read */
    av_dict_set(&options, "coder", "1", 0);
    bool ok = open_file(w, "matroska", &options, NULL, NULL, err);
    av_dict_free(&options);
    if (!ok) {
        video_writer_free(w, false);
        return NULL;
    }
    return w;
}

struct video_writer *video_writer_open_h264(const char *path, const struct video_format *f, struct error *err)
{
    if (f->width % 2 || f->height % 2 || f->crf < 0 || f->crf > 51) {
        error_set(err, ERROR_INPUT, "video of %dx%d with crf %d: expected an even size and a crf from 0 to 51",
                  f->width, f->height, f->crf);
        return NULL;
    }
    struct video_writer *w = new_writer(path, f, "libx264", err);
    if (!w)
        return NULL;
    AVDictionary *options = NULL, *muxer_options = NULL;
    w->codec->pix_fmt = AV_PIX_FMT_YUV420P;
    w->codec->color_range = AVCOL_RANGE_MPEG;
    w->codec->colorspace = AVCOL_SPC_BT709;
    w->codec->color_primaries = AVCOL_PRI_BT709;
    w->codec->color_trc = AVCOL_TRC_BT709;
    w->codec->thread_count = 2; /* part of the result: the number must not follow the machine */
    av_dict_set_int(&options, "crf", f->crf, 0);
    av_dict_set(&options, "preset", "medium", 0);
    av_dict_set(&options, "x264-params", "cpu-independent=1:lookahead-threads=1:sync-lookahead=0", 0);
    av_dict_set(&muxer_options, "movflags", "+faststart", 0);
    /* x264 puts its version and options into an SEI unit: people may compare files, so it is left out. */
    bool ok = open_file(w, "mp4", &options, "filter_units=remove_types=6", &muxer_options, err);
    av_dict_free(&options);
    av_dict_free(&muxer_options);
    if (ok) {
        w->scaler = video_scaler(w->format.source_width, w->format.source_height, AV_PIX_FMT_RGB24, f->width, f->height,
                                 AV_PIX_FMT_YUV420P, err);
        const int *bt709 = sws_getCoefficients(SWS_CS_ITU709);
        ok = w->scaler && (sws_setColorspaceDetails(w->scaler, bt709, 1, bt709, 0, 0, 1 << 16, 1 << 16) >= 0 ||
                           error_set(err, ERROR_INTERNAL, "%s: the scaler refuses BT.709", path));
    }
    if (!ok) {
        video_writer_free(w, false);
        return NULL;
    }
    return w;
}

static bool write_packet(struct video_writer *w, struct error *err)
{
    av_packet_rescale_ts(w->packet, w->codec->time_base, w->stream->time_base);
    w->packet->stream_index = w->stream->index;
    int rc = av_interleaved_write_frame(w->file, w->packet);
    if (rc >= 0 && w->file->pb->error < 0)
        rc = w->file->pb->error; /* a full disk shows here first */
    return rc >= 0 || video_fail(err, rc, "cannot write %s", w->path);
}

/* Takes what the encoder has ready. */
static bool drain(struct video_writer *w, struct error *err)
{
    for (;;) {
        int rc = avcodec_receive_packet(w->codec, w->packet);
        bool end = rc == AVERROR_EOF;
        if (rc == AVERROR(EAGAIN) || (end && !w->filter))
            return true;
        if (rc < 0 && !end)
            return video_fail(err, rc, "%s: encoder", w->path);
        if (!end && w->packet->duration == 0)
            w->packet->duration = 1; /* in the codec's time base: constant frame rate */
        if (!w->filter) {
            if (!write_packet(w, err))
                return false;
            continue;
        }
        rc = av_bsf_send_packet(w->filter, end ? NULL : w->packet);
        while (rc >= 0 && (rc = av_bsf_receive_packet(w->filter, w->packet)) >= 0) {
            if (!write_packet(w, err))
                return false;
        }
        if (end)
            return rc == AVERROR_EOF || video_fail(err, rc, "%s: packet filter", w->path);
        if (rc != AVERROR(EAGAIN))
            return video_fail(err, rc, "%s: packet filter", w->path);
    }
}

bool video_writer_add(struct video_writer *w, const uint8_t *rgb, struct error *err)
{
    int rc = av_frame_make_writable(w->frame);
    if (rc < 0)
        return video_fail(err, rc, "%s", w->path);
    const int width = w->format.source_width, height = w->format.source_height;
    if (w->scaler) {
        const uint8_t *planes[4] = { rgb };
        const int strides[4] = { 3 * width };
        if ((rc = sws_scale(w->scaler, planes, strides, 0, height, w->frame->data, w->frame->linesize)) < 0)
            return video_fail(err, rc, "%s: scaler", w->path);
    } else {
        for (int y = 0; y < height; y++) {
            const uint8_t *from = rgb + (size_t)y * width * 3;
            uint8_t *to = w->frame->data[0] + (ptrdiff_t)y * w->frame->linesize[0];
            for (int x = 0; x < width; x++, from += 3, to += 4) {
                to[0] = from[2];
                to[1] = from[1];
                to[2] = from[0];
                to[3] = 0;
            }
        }
    }
    w->frame->pts = w->frames++;
    if ((rc = avcodec_send_frame(w->codec, w->frame)) < 0)
        return video_fail(err, rc, "%s: encoder", w->path);
    return drain(w, err);
}

bool video_writer_finish(struct video_writer **w, struct error *err)
{
    struct video_writer *v = *w;
    *w = NULL;
    int rc = avcodec_send_frame(v->codec, NULL);
    bool ok = (rc >= 0 || video_fail(err, rc, "%s: encoder", v->path)) && drain(v, err);
    if (ok && (rc = av_write_trailer(v->file)) < 0)
        ok = video_fail(err, rc, "cannot write %s", v->path);
    if (ok && v->file->pb->error < 0)
        ok = video_fail(err, v->file->pb->error, "cannot write %s", v->path);
    if (ok && (rc = avio_closep(&v->file->pb)) < 0)
        ok = video_fail(err, rc, "cannot write %s", v->path);
    video_writer_free(v, ok);
    return ok;
}

void video_writer_abort(struct video_writer **w)
{
    if (*w)
        video_writer_free(*w, false);
    *w = NULL;
}

/* ---- which libraries are these ---- */

static char codec_version[256];

/* "x264 - core 164 r3095 baee400 - H.264/MPEG-4 AVC codec ..." stands in the first SEI unit of any stream. */
static void find_x264_version(char *to, size_t room)
{
    snprintf(to, room, "none");
    const AVCodec *x264 = avcodec_find_encoder_by_name("libx264");
    AVCodecContext *c = x264 ? avcodec_alloc_context3(x264) : NULL;
    AVFrame *frame = av_frame_alloc();
    AVPacket *packet = av_packet_alloc();
    if (!c || !frame || !packet)
        goto out;
    c->width = frame->width = c->height = frame->height = 64;
    c->pix_fmt = frame->format = AV_PIX_FMT_YUV420P;
    c->time_base = (AVRational){ 1, 1 };
    c->thread_count = 1;
    if (avcodec_open2(c, x264, NULL) < 0 || av_frame_get_buffer(frame, 0) < 0)
        goto out;
    for (int plane = 0; plane < 3; plane++)
        memset(frame->data[plane], 128, (size_t)frame->linesize[plane] * (plane ? 32 : 64));
    frame->pts = 0;
    if (avcodec_send_frame(c, frame) < 0 || avcodec_send_frame(c, NULL) < 0 || avcodec_receive_packet(c, packet) < 0)
        goto out;
    static const char mark[] = "x264 - ";
    const char *begin = memmem(packet->data, (size_t)packet->size, mark, sizeof mark - 1);
    if (!begin)
        goto out;
    begin += sizeof mark - 1;
    size_t left = (size_t)((const char *)packet->data + packet->size - begin);
    const char *end = memmem(begin, left, " - ", 3);
    if (end)
        snprintf(to, room, "%.*s", (int)(end - begin < 64 ? end - begin : 64), begin);
out:
    av_packet_free(&packet);
    av_frame_free(&frame);
    avcodec_free_context(&c);
}

static void find_codec_version(void)
{
    video_begin();
    char x264[80];
    find_x264_version(x264, sizeof x264);
    const unsigned codec = avcodec_version(), format = avformat_version(), scale = swscale_version();
    snprintf(codec_version, sizeof codec_version, "avcodec %u.%u.%u avformat %u.%u.%u swscale %u.%u.%u x264 %s",
             AV_VERSION_MAJOR(codec), AV_VERSION_MINOR(codec), AV_VERSION_MICRO(codec), AV_VERSION_MAJOR(format),
             AV_VERSION_MINOR(format), AV_VERSION_MICRO(format), AV_VERSION_MAJOR(scale), AV_VERSION_MINOR(scale),
             AV_VERSION_MICRO(scale), x264);
}

const char *video_codec_version(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_codec_version);
    return codec_version;
}

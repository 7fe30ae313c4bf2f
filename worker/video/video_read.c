#include "worker/video/video_read.h"

#include "common/base/arena.h"
#include "worker/video/video_common.h"

struct video_reader {
    char path[1024];
    int width, height;
    AVFormatContext *file;
    AVCodecContext *codec;
    AVFrame *frame;
    AVPacket *packet;
    bool drained; /* the file has ended; the decoder was told */
};

static bool open_stream(struct video_reader *r, struct error *err)
{
    r->file = avformat_alloc_context();
    r->frame = av_frame_alloc();
    r->packet = av_packet_alloc();
    if (!r->file || !r->frame || !r->packet)
        return error_set(err, ERROR_MEMORY, "%s: out of memory", r->path);
    AVDictionary *options = NULL;
    av_dict_set(&options, "format_whitelist", "matroska,webm", 0);
    av_dict_set(&options, "codec_whitelist", "ffv1", 0);
    av_dict_set(&options, "protocol_whitelist", "file", 0);
    int rc = avformat_open_input(&r->file, r->path, av_find_input_format("matroska"),
                                 &options); /* frees r->file on failure */
    av_dict_free(&options);
    if (rc == AVERROR(EIO))
        rc = AVERROR_INVALIDDATA; /* so Matroska calls a damaged or cut file */
    if (rc < 0)
        return video_fail(err, rc, "%s: no mezzanine", r->path);
    if (r->file->nb_streams != 1 || r->file->streams[0]->codecpar->codec_id != AV_CODEC_ID_FFV1)
        return error_set(err, ERROR_INPUT, "%s: expected a mezzanine with one FFV1 stream", r->path);
    const AVCodecParameters *p = r->file->streams[0]->codecpar;
    if (p->width < 1 || p->height < 1 || p->width > VIDEO_MAX_SIDE || p->height > VIDEO_MAX_SIDE)
        return error_set(err, ERROR_INPUT, "%s: frames of %dx%d, expected 1 to %d pixels a side", r->path, p->width,
                         p->height, VIDEO_MAX_SIDE);
    r->width = p->width;
    r->height = p->height;

    const AVCodec *decoder = avcodec_find_decoder(AV_CODEC_ID_FFV1);
    r->codec = decoder ? avcodec_alloc_context3(decoder) : NULL;
    if (!r->codec)
        return error_set(err, ERROR_INTERNAL, "the FFmpeg that is installed has no decoder ffv1");
    r->codec->thread_count = 1;
    r->codec->err_recognition = AV_EF_CRCCHECK | AV_EF_EXPLODE;
    r->codec->max_pixels = (int64_t)r->width * r->height + 64 * 1024;
    if ((rc = avcodec_parameters_to_context(r->codec, p)) < 0 || (rc = avcodec_open2(r->codec, decoder, NULL)) < 0)
        return video_fail(err, rc, "%s: decoder ffv1", r->path);
    return true;
}

struct video_reader *video_reader_open(const char *path, struct error *err)
{
    video_begin();
    struct video_reader *r = xcalloc(1, sizeof *r);
    if (snprintf(r->path, sizeof r->path, "%s", path) >= (int)sizeof r->path)
        error_set(err, ERROR_INPUT, "path too long: %.200s...", path);
    else if (open_stream(r, err))
        return r;
    video_reader_close(&r);
    return NULL;
}

int video_reader_width(const struct video_reader *r)
{
    return r->width;
}

int video_reader_height(const struct video_reader *r)
{
    return r->height;
}

void video_reader_close(struct video_reader **r)
{
    if (!*r)
        return;
    av_packet_free(&(*r)->packet);
    av_frame_free(&(*r)->frame);
    avcodec_free_context(&(*r)->codec);
    avformat_close_input(&(*r)->file);
    free(*r);
    *r = NULL;
}

static bool copy_frame(const struct video_reader *r, uint8_t *rgb, struct error *err)
{
    const AVFrame *f = r->frame;
    if (f->format != AV_PIX_FMT_BGR0 || f->width != r->width || f->height != r->height)
        return error_set(err, ERROR_INPUT, "%s: a frame is no 8-bit RGB of %dx%d", r->path, r->width, r->height);
    for (int y = 0; y < r->height; y++) {
        const uint8_t *from = f->data[0] + (ptrdiff_t)y * f->linesize[0];
        uint8_t *to = rgb + (size_t)y * r->width * 3;
        for (int x = 0; x < r->width; x++, from += 4, to += 3) {
            to[0] = from[2];
            to[1] = from[1];
            to[2] = from[0];
        }
    }
    return true;
}

bool video_reader_next(struct video_reader *r, uint8_t *rgb, bool *end, struct error *err)
{
    *end = false;
    for (;;) {
        int rc = avcodec_receive_frame(r->codec, r->frame);
        if (rc >= 0)
            return copy_frame(r, rgb, err);
        if (rc == AVERROR_EOF) {
            *end = true;
            return true;
        }
        if (rc != AVERROR(EAGAIN))
            return video_fail(err, rc, "%s: damaged frame", r->path);

        rc = av_read_frame(r->file, r->packet);
        if (rc == AVERROR_EOF && !r->drained) {
            r->drained = true;
            avcodec_send_packet(r->codec, NULL);
            continue;
        }
        if (rc == AVERROR(EIO) && r->file->pb->error >= 0)
            rc = AVERROR_INVALIDDATA; /* as above: the file itself could be read */
        if (rc < 0)
            return video_fail(err, rc, "%s: cannot read", r->path);
        rc = avcodec_send_packet(r->codec, r->packet);
        av_packet_unref(r->packet);
        if (rc < 0)
            return video_fail(err, rc, "%s: damaged frame", r->path);
    }
}

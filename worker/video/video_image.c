#include "worker/video/video_image.h"

#include "common/base/arena.h"
#include "worker/video/video_common.h"

#include <string.h>

void image_free(struct image *i)
{
    free(i->rgb);
    *i = (struct image){ 0 };
}

/* The decoder alone: a whole file is one packet for both formats, so no demuxer has to guess. */
static bool decode_frame(AVFrame *frame, enum AVCodecID id, const void *data, size_t size, const char *name,
                         struct error *err)
{
    const AVCodec *decoder = avcodec_find_decoder(id);
    AVCodecContext *codec = decoder ? avcodec_alloc_context3(decoder) : NULL;
    AVPacket *packet = av_packet_alloc();
    bool ok = false;
    int rc;
    if (!codec || !packet) {
        error_set(err, ERROR_MEMORY, "%s: no decoder", name);
        goto out;
    }
    codec->flags |= AV_CODEC_FLAG_BITEXACT;
    codec->idct_algo = FF_IDCT_SIMPLE;
    codec->thread_count = 1;
    codec->max_pixels = (int64_t)VIDEO_MAX_SIDE * VIDEO_MAX_SIDE;
    codec->err_recognition = AV_EF_CRCCHECK | AV_EF_EXPLODE;
    if ((rc = av_new_packet(packet, (int)size)) < 0 || (rc = avcodec_open2(codec, decoder, NULL)) < 0) {
        video_fail(err, rc, "%s", name);
        goto out;
    }
    memcpy(packet->data, data, size);
    if ((rc = avcodec_send_packet(codec, packet)) < 0 || (rc = avcodec_send_packet(codec, NULL)) < 0 ||
        (rc = avcodec_receive_frame(codec, frame)) < 0) {
        video_fail(err, rc == AVERROR_EOF ? AVERROR_INVALIDDATA : rc, "%s: damaged picture", name);
        goto out;
    }
    if (frame->decode_error_flags)
        error_set(err, ERROR_INPUT, "%s: damaged picture", name);
    else if (frame->width < 1 || frame->height < 1 || frame->width > VIDEO_MAX_SIDE || frame->height > VIDEO_MAX_SIDE)
        error_set(err, ERROR_INPUT, "%s: picture of %dx%d, expected at most %d pixels a side", name, frame->width,
                  frame->height, VIDEO_MAX_SIDE);
    else
        ok = true;
out:
    av_packet_free(&packet);
    avcodec_free_context(&codec);
    return ok;
}

bool image_decode(struct image *to, const void *data, size_t size, const char *name, struct error *err)
{
    static const uint8_t png[8] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
    static const uint8_t jpeg[3] = { 0xff, 0xd8, 0xff };
    video_begin();
    enum AVCodecID id = AV_CODEC_ID_NONE;
    if (size >= sizeof png && memcmp(data, png, sizeof png) == 0)
        id = AV_CODEC_ID_PNG;
    else if (size >= sizeof jpeg && memcmp(data, jpeg, sizeof jpeg) == 0)
        id = AV_CODEC_ID_MJPEG;
    if (id == AV_CODEC_ID_NONE || size > 256u << 20)
        return error_set(err, ERROR_INPUT, "%s: expected a PNG or JPEG picture of at most 256 MiB", name);

    AVFrame *frame = av_frame_alloc();
    struct SwsContext *scaler = NULL;
    uint8_t *rgba = NULL;
    bool ok = false;
    if (!frame) {
        error_set(err, ERROR_MEMORY, "%s: out of memory", name);
        goto out;
    }
    if (!decode_frame(frame, id, data, size, name, err))
        goto out;
    const int width = frame->width, height = frame->height;
    scaler = video_scaler(width, height, frame->format, width, height, AV_PIX_FMT_RGBA, err);
    if (!scaler)
        goto out;
    /* a JPEG is BT.601 in full range, whatever its name in FFmpeg */
    const int *bt601 = sws_getCoefficients(SWS_CS_ITU601);
    sws_setColorspaceDetails(scaler, bt601, 1, bt601, 1, 0, 1 << 16, 1 << 16);
    rgba = xmalloc((size_t)width * height * 4 + 64); /* the scaler may write a few bytes past a row */
    uint8_t *planes[4] = { rgba };
    const int strides[4] = { 4 * width };
    int rc = sws_scale(scaler, (const uint8_t *const *)frame->data, frame->linesize, 0, height, planes, strides);
    if (rc != height) {
        video_fail(err, rc < 0 ? rc : AVERROR_INVALIDDATA, "%s", name);
        goto out;
    }
    *to = (struct image){ .width = width, .height = height, .rgb = xmalloc((size_t)width * height * 3) };
    for (size_t i = 0; i < (size_t)width * height; i++) {
        const unsigned alpha = rgba[4 * i + 3];
        for (int c = 0; c < 3; c++)
            to->rgb[3 * i + c] = (uint8_t)((rgba[4 * i + c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
    ok = true;
out:
    free(rgba);
    sws_freeContext(scaler);
    av_frame_free(&frame);
    return ok;
}

uint8_t *image_encode_png(const struct image *i, size_t *size, struct error *err)
{
    video_begin();
    const AVCodec *encoder = avcodec_find_encoder(AV_CODEC_ID_PNG);
    AVCodecContext *codec = encoder ? avcodec_alloc_context3(encoder) : NULL;
    AVFrame *frame = av_frame_alloc();
    AVPacket *packet = av_packet_alloc();
    uint8_t *png = NULL;
    int rc;
    if (!codec || !frame || !packet) {
        error_set(err, ERROR_MEMORY, "PNG encoder: out of memory");
        goto out;
    }
    codec->width = frame->width = i->width;
    codec->height = frame->height = i->height;
    codec->pix_fmt = frame->format = AV_PIX_FMT_RGB24;
    codec->time_base = (AVRational){ 1, 1 };
    codec->thread_count = 1;
    codec->flags |= AV_CODEC_FLAG_BITEXACT;
    if ((rc = avcodec_open2(codec, encoder, NULL)) < 0 || (rc = av_frame_get_buffer(frame, 0)) < 0) {
        video_fail(err, rc, "PNG encoder, %dx%d", i->width, i->height);
        goto out;
    }
    for (int y = 0; y < i->height; y++)
        memcpy(frame->data[0] + (ptrdiff_t)y * frame->linesize[0], i->rgb + (size_t)y * i->width * 3,
               (size_t)i->width * 3);
    if ((rc = avcodec_send_frame(codec, frame)) < 0 || (rc = avcodec_send_frame(codec, NULL)) < 0 ||
        (rc = avcodec_receive_packet(codec, packet)) < 0) {
        video_fail(err, rc, "PNG encoder");
        goto out;
    }
    png = xmalloc((size_t)packet->size);
    memcpy(png, packet->data, (size_t)packet->size);
    *size = (size_t)packet->size;
out:
    av_packet_free(&packet);
    av_frame_free(&frame);
    avcodec_free_context(&codec);
    return png;
}

/* video_image - single pictures: PNG and JPEG in, PNG out. */
#ifndef SHOTLINE_WORKER_VIDEO_VIDEO_IMAGE_H
#define SHOTLINE_WORKER_VIDEO_VIDEO_IMAGE_H

#include "common/base/error.h"

#include <stddef.h>
#include <stdint.h>

struct image {
    int width, height;
    uint8_t *rgb; /* [height, width, 3] */
};

/* Decodes a PNG or a JPEG; transparent parts become white. `name` is for messages. */
bool image_decode(struct image *to, const void *data, size_t size, const char *name, struct error *err);
/* A PNG, the same bytes on every machine with the same libraries; freed by the caller. NULL on failure. */
uint8_t *image_encode_png(const struct image *i, size_t *size, struct error *err);
void image_free(struct image *i);

#endif

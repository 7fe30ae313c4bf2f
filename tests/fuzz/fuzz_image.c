/* fuzz_image - any bytes as a reference image: refused with words, or pixels that are all there and come back from a
 * PNG as they are. */
#include "worker/video/video_image.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST_PIXELS (1 << 20) /* a picture that is large and honest only takes time */

static void encode_and_decode(const struct image *i)
{
    struct error err = { 0 };
    struct image again;
    size_t size;
    uint8_t *png = image_encode_png(i, &size, &err);

    if (!png || !image_decode(&again, png, size, "again", &err) || again.width != i->width ||
        again.height != i->height || memcmp(again.rgb, i->rgb, (size_t)i->width * (size_t)i->height * 3))
        abort();
    image_free(&again);
    free(png);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = { 0 };
    struct image i;

    if (!image_decode(&i, data, size, "input", &err)) {
        if (!*err.text)
            abort();
        return 0;
    }
    if ((int64_t)i.width * i.height <= MOST_PIXELS)
        encode_and_decode(&i);
    image_free(&i);
    return 0;
}

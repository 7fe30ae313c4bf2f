/* swapped BLOBS MANIFEST-A MANIFEST-B IMAGE-A IMAGE-B - whether the shots of two videos of the same plan and seed
 * differ as their two reference images do. The images differ in one colour; where the shots differ, they must differ
 * along that colour, and enough of the picture must. Says what it measured of each shot; exit code 1 when one of them
 * does not. */
#include "common/base/error.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/arena.h"
#include "common/wire/store_dir.h"
#include "worker/video/video_image.h"
#include "worker/video/video_read.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLEARLY     0.4  /* of the images' difference: a pixel that is swapped */
#define LEAST_AREA  0.01 /* of a frame is swapped ... */
#define LEAST_SHARE 0.85 /* ... in so many of the frames */
#define MOST_SHOTS  8
#define LEAST_ALONG 0.5 /* of all that differs lies along the images' difference */

static void die(const struct error *err)
{
    fprintf(stderr, "swapped: %s\n", err->text);
    exit(2);
}

static void read_image(const char *path, struct image *to)
{
    struct error err;
    size_t size;
    char *data = file_read(path, 1 << 24, &size, &err);

    if (!data || !image_decode(to, data, size, path, &err))
        die(&err);
    free(data);
}

/* The mean difference of the pixels in which two images clearly differ. */
static void difference_of(const struct image *a, const struct image *b, double to[3])
{
    size_t count = 0;

    to[0] = to[1] = to[2] = 0;
    for (size_t i = 0; i < (size_t)a->width * (size_t)a->height; i++) {
        double d[3], square = 0;

        for (int c = 0; c < 3; c++) {
            d[c] = (double)a->rgb[3 * i + (size_t)c] - b->rgb[3 * i + (size_t)c];
            square += d[c] * d[c];
        }
        for (int c = 0; square > 60 * 60 && c < 3; c++)
            to[c] += d[c];
        count += square > 60 * 60;
    }
    for (int c = 0; c < 3; c++)
        to[c] /= count ? (double)count : 1;
}

/* The decoded frames of the shots that a manifest names, in order. */
static size_t open_shots(struct store_dir *blobs, const char *path, struct video_reader **shots)
{
    struct error err;
    json_t *manifest = json_load(path, &err);
    const json_t *task;
    size_t i, count = 0;

    if (!manifest)
        die(&err);
    json_array_foreach(json_object_get(manifest, "tasks"), i, task)
    {
        const json_t *output = json_object_get(json_object_get(task, "outputs"), "mezzanine");
        const char *hex = json_string_value(json_object_get(output, "digest"));
        char file[PATH_MAX];
        struct digest d;

        if (!output || count == MOST_SHOTS)
            continue;
        if (!hex || !digest_from_hex(&d, hex) || !store_dir_path(blobs, &d, file, sizeof file)) {
            error_set(&err, ERROR_INPUT, "%s: a mezzanine is not among the blobs", path);
            die(&err);
        }
        if (!(shots[count++] = video_reader_open(file, &err)))
            die(&err);
    }
    json_decref(manifest);
    return count;
}

/* Whether shot A differs from shot B by the colour `expected`. */
static bool is_swapped(size_t number, struct video_reader *a, struct video_reader *b, const double expected[3])
{
    size_t pixels = (size_t)video_reader_width(a) * (size_t)video_reader_height(a);
    uint8_t *of_a = xmalloc(3 * pixels), *of_b = xmalloc(3 * pixels);
    double length = expected[0] * expected[0] + expected[1] * expected[1] + expected[2] * expected[2];
    double along = 0, all = 0, area = 0;
    int count = 0, clear = 0;
    bool end_a = false, end_b = false;
    struct error err;

    for (;; count++) {
        size_t swapped = 0;

        if (!video_reader_next(a, of_a, &end_a, &err) || !video_reader_next(b, of_b, &end_b, &err))
            die(&err);
        if (end_a || end_b)
            break;
        for (size_t i = 0; i < 3 * pixels; i += 3) {
            double dot = 0, square = 0;

            for (size_t c = 0; c < 3; c++) {
                double d = (double)of_a[i + c] - of_b[i + c];

                dot += d * expected[c];
                square += d * d;
            }
            swapped += dot > CLEARLY * length;
            along += dot > 0 ? dot * dot / length : 0;
            all += square;
        }
        clear += (double)swapped >= LEAST_AREA * (double)pixels;
        area += (double)swapped / (double)pixels;
    }
    double share = count ? (double)clear / count : 0, of_all = all > 0 ? along / all : 0;

    printf("shot %zu, %d frames: the swapped colour covers %.1f %% of a frame, %.0f %% of the frames show it, "
           "%.0f %% of all that differs is that colour\n",
           number, count, count ? 100 * area / count : 0, 100 * share, 100 * of_all);
    free(of_a);
    free(of_b);
    return end_a && end_b && share >= LEAST_SHARE && of_all >= LEAST_ALONG;
}

int main(int argc, char **argv)
{
    struct image images[2] = { 0 };
    struct video_reader *shots[2][MOST_SHOTS];
    size_t counts[2];
    struct error err;
    double expected[3];
    bool ok = true;

    if (argc != 6)
        return 2;
    struct store_dir *blobs = store_dir_open(argv[1], 0, &err);
    if (!blobs)
        die(&err);
    for (int k = 0; k < 2; k++) {
        counts[k] = open_shots(blobs, argv[2 + k], shots[k]);
        read_image(argv[4 + k], &images[k]);
    }
    difference_of(&images[0], &images[1], expected);
    if (counts[0] != counts[1] || !counts[0]) {
        fprintf(stderr, "swapped: %zu and %zu shots\n", counts[0], counts[1]);
        return 2;
    }
    for (size_t i = 0; i < counts[0]; i++)
        ok = is_swapped(i + 1, shots[0][i], shots[1][i], expected) && ok;
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < counts[k]; i++)
            video_reader_close(&shots[k][i]);
        image_free(&images[k]);
    }
    store_dir_close(&blobs);
    return ok ? 0 : 1;
}

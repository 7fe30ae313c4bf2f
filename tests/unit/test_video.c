/* links: shotline_video */
/* Mezzanines give back every byte; the finished file has the asked frames, and the same bytes each time. */
#include "worker/video/video_image.h"
#include "worker/video/video_read.h"
#include "worker/video/video_stitch.h"
#include "worker/video/video_write.h"

#include "common/base/hash.h"
#include "common/base/rng.h"
#include "tests/unit/temp_dir.h"

#include <stdio.h>

#define WIDTH  48
#define HEIGHT 32
#define FRAME  (WIDTH * HEIGHT * 3)

static void make_frame(uint8_t *rgb, uint64_t seed, int frame)
{
    for (int i = 0; i < FRAME; i++)
        rgb[i] = (uint8_t)(rng_uniform(seed, (uint64_t)frame, (uint64_t)i) * 256);
}

static void write_mezzanine(const char *path, uint64_t seed, int frames)
{
    struct error err = { 0 };
    uint8_t rgb[FRAME];
    struct video_writer *w =
        video_writer_open_ffv1(path, &(struct video_format){ .width = WIDTH, .height = HEIGHT, .fps = 8 }, &err);
    assert_non_null(w);
    for (int f = 0; f < frames; f++) {
        make_frame(rgb, seed, f);
        assert_true(video_writer_add(w, rgb, &err));
    }
    assert_true(video_writer_finish(&w, &err));
    assert_null(w);
}

static void mezzanine_is_lossless(void **state)
{
    (void)state;
    struct error err = { 0 };
    write_mezzanine(in_dir("a.mkv"), 1, 9);
    struct video_reader *r = video_reader_open(in_dir("a.mkv"), &err);
    assert_non_null(r);
    assert_int_equal(video_reader_width(r), WIDTH);
    assert_int_equal(video_reader_height(r), HEIGHT);
    uint8_t expected[FRAME], got[FRAME];
    bool end;
    for (int f = 0; f < 9; f++) {
        make_frame(expected, 1, f);
        assert_true(video_reader_next(r, got, &end, &err));
        assert_false(end);
        assert_memory_equal(got, expected, FRAME);
    }
    assert_true(video_reader_next(r, got, &end, &err));
    assert_true(end);
    video_reader_close(&r);
}

static void mezzanine_bytes_repeat(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct digest a, b;
    write_mezzanine(in_dir("a.mkv"), 2, 5);
    write_mezzanine(in_dir("b.mkv"), 2, 5);
    assert_true(digest_of_file(&a, in_dir("a.mkv"), &err));
    assert_true(digest_of_file(&b, in_dir("b.mkv"), &err));
    assert_true(digest_equal(&a, &b));
}

static void damaged_mezzanine_is_refused(void **state)
{
    (void)state;
    struct error err = { 0 };
    write_mezzanine(in_dir("a.mkv"), 3, 5);
    size_t size;
    char *bytes = file_read(in_dir("a.mkv"), 1 << 24, &size, &err);
    assert_non_null(bytes);
    uint8_t rgb[FRAME];

    for (size_t flip = 700; flip < size; flip += size / 7) {
        bytes[flip] ^= 0x55;
        assert_true(file_write(in_dir("bad.mkv"), bytes, size, &err));
        bytes[flip] ^= 0x55;
        struct video_reader *r = video_reader_open(in_dir("bad.mkv"), &err);
        bool end = false, ok = r != NULL;
        int frames = 0;
        while (ok && !end) {
            ok = video_reader_next(r, rgb, &end, &err);
            frames += ok && !end;
        }
        assert_true(!ok || frames <= 5);
        if (!ok)
            assert_int_equal(err.kind, ERROR_INPUT);
        video_reader_close(&r);
    }
    assert_true(file_write(in_dir("bad.mkv"), bytes, 100, &err));
    assert_null(video_reader_open(in_dir("bad.mkv"), &err));
    assert_int_equal(err.kind, ERROR_INPUT);
    assert_null(video_reader_open(in_dir("missing.mkv"), &err));
    assert_int_equal(err.kind, ERROR_IO);
    assert_non_null(strstr(err.text, "missing.mkv"));
    free(bytes);
}

/* ---- the finished file ---- */

static struct stitch two_shots(struct stitch_shot shots[2], enum transition t, int64_t overlap)
{
    shots[0] =
        (struct stitch_shot){ .path = in_dir("s0.mkv"), .frames = 30, .transition = t, .transition_frames = overlap };
    shots[1] = (struct stitch_shot){ .path = in_dir("s1.mkv"), .frames = 24, .transition = TRANSITION_CUT };
    return (struct stitch){ .shots = shots,
                            .shot_count = 2,
                            .fps_in = 8,
                            .fps_out = 24,
                            .width = 96,
                            .height = 64,
                            .crf = 20,
                            .frames = 54 - overlap };
}

/* Counts the samples of the one track: the stsz box says it. */
static int64_t mp4_frames(const char *path)
{
    struct error err;
    size_t size;
    char *bytes = file_read(path, 1 << 24, &size, &err);
    assert_non_null(bytes);
    const uint8_t *box = memmem(bytes, size, "stsz", 4);
    assert_non_null(box);
    const int64_t count = (int64_t)box[12] << 24 | box[13] << 16 | box[14] << 8 | box[15];
    const uint8_t *moov = memmem(bytes, size, "moov", 4), *mdat = memmem(bytes, size, "mdat", 4);
    assert_true(moov < mdat); /* faststart */
    assert_null(memmem(bytes, size, "x264", 4));
    assert_null(memmem(bytes, size, "Lavf5", 5));
    free(bytes);
    return count;
}

static void file_has_the_asked_frames_and_repeats(void **state)
{
    (void)state;
    struct error err = { 0 };
    write_mezzanine(in_dir("s0.mkv"), 4, 13);
    write_mezzanine(in_dir("s1.mkv"), 5, 9);
    const struct {
        enum transition t;
        int64_t overlap;
    } cases[] = { { TRANSITION_CUT, 0 }, { TRANSITION_DISSOLVE, 6 }, { TRANSITION_FADE, 5 } };
    for (size_t i = 0; i < 3; i++) {
        struct stitch_shot shots[2];
        struct stitch s = two_shots(shots, cases[i].t, cases[i].overlap);
        struct digest a, b;
        assert_true(video_stitch(&s, in_dir("a.mp4"), &err));
        assert_true(video_stitch(&s, in_dir("b.mp4"), &err));
        assert_int_equal(mp4_frames(in_dir("a.mp4")), s.frames);
        assert_true(digest_of_file(&a, in_dir("a.mp4"), &err));
        assert_true(digest_of_file(&b, in_dir("b.mp4"), &err));
        assert_true(digest_equal(&a, &b));
    }
}

static void stitch_that_does_not_add_up_is_refused(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct stitch_shot shots[2];
    write_mezzanine(in_dir("s0.mkv"), 4, 13);
    write_mezzanine(in_dir("s1.mkv"), 5, 9);

    struct stitch s = two_shots(shots, TRANSITION_CUT, 0);
    s.frames = 53;
    assert_false(video_stitch(&s, in_dir("c.mp4"), &err));
    assert_int_equal(err.kind, ERROR_INPUT);

    s = two_shots(shots, TRANSITION_DISSOLVE, 25); /* longer than the second shot lets it be */
    shots[1].frames = 20;
    s.frames = 25;
    assert_false(video_stitch(&s, in_dir("c.mp4"), &err));

    s = two_shots(shots, TRANSITION_CUT, 0); /* the mezzanine is too short */
    shots[1].frames = 30;
    s.frames = 60;
    assert_false(video_stitch(&s, in_dir("c.mp4"), &err));
    assert_string_equal(err.text, "shot 2: the mezzanine has 9 frames, expected at least 10");
    assert_false(file_exists(in_dir("c.mp4"))); /* no half-written file stays */

    s = two_shots(shots, TRANSITION_CUT, 0);
    assert_false(video_stitch(&s, in_dir("no/such/folder.mp4"), &err));
    assert_int_equal(err.kind, ERROR_IO);
}

static bool at_third_frame(void *context)
{
    return ++*(int *)context > 3;
}

static void cancelled_stitch_leaves_nothing(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct stitch_shot shots[2];
    write_mezzanine(in_dir("s0.mkv"), 4, 13);
    write_mezzanine(in_dir("s1.mkv"), 5, 9);
    struct stitch s = two_shots(shots, TRANSITION_CUT, 0);
    int asked = 0;
    s.cancelled = at_third_frame;
    s.context = &asked;
    assert_false(video_stitch(&s, in_dir("d.mp4"), &err));
    assert_int_equal(err.kind, ERROR_CANCELLED);
    assert_false(file_exists(in_dir("d.mp4")));
}

/* ---- single pictures ---- */

static void png_gives_the_picture_back(void **state)
{
    (void)state;
    struct error err = { 0 };
    uint8_t rgb[FRAME];
    make_frame(rgb, 6, 0);
    struct image from = { WIDTH, HEIGHT, rgb }, to;
    size_t size;
    uint8_t *png = image_encode_png(&from, &size, &err);
    assert_non_null(png);
    assert_true(image_decode(&to, png, size, "test.png", &err));
    assert_int_equal(to.width, WIDTH);
    assert_int_equal(to.height, HEIGHT);
    assert_memory_equal(to.rgb, rgb, FRAME);
    image_free(&to);

    for (size_t cut = 0; cut < size; cut += 97) /* every shortened file is refused, none crashes */
        assert_false(image_decode(&to, png, cut, "test.png", &err));
    assert_int_equal(err.kind, ERROR_INPUT);
    assert_non_null(strstr(err.text, "test.png"));
    png[size / 2] ^= 1;
    assert_false(image_decode(&to, png, size, "test.png", &err));
    free(png);
}

/* A 16x16 JPEG of one colour (231, 76, 60), baseline 4:2:0, and an RGBA PNG that is half transparent. */
static void jpeg_and_transparency(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct image to;
    const struct {
        const char *path;
        int rgb[3];
    } cases[] = { { "tests/unit/data/red.jpg", { 231, 76, 60 } },
                  { "tests/unit/data/half_blue.png", { 128, 128, 255 } } };
    for (size_t i = 0; i < 2; i++) {
        size_t size;
        char *bytes = file_read(cases[i].path, 1 << 20, &size, &err);
        assert_non_null(bytes);
        assert_true(image_decode(&to, bytes, size, cases[i].path, &err));
        assert_int_equal(to.width, 16);
        assert_int_equal(to.height, 16);
        for (int c = 0; c < 3; c++)
            assert_in_range(to.rgb[3 * 100 + c], cases[i].rgb[c] - 2 < 0 ? 0 : cases[i].rgb[c] - 2,
                            cases[i].rgb[c] + 2);
        image_free(&to);
        free(bytes);
    }
}

static void codec_version_names_x264(void **state)
{
    (void)state;
    const char *version = video_codec_version();
    assert_non_null(strstr(version, "avcodec "));
    assert_non_null(strstr(version, "x264 core "));
    assert_ptr_equal(version, video_codec_version());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mezzanine_is_lossless),
        cmocka_unit_test(mezzanine_bytes_repeat),
        cmocka_unit_test(damaged_mezzanine_is_refused),
        cmocka_unit_test(file_has_the_asked_frames_and_repeats),
        cmocka_unit_test(stitch_that_does_not_add_up_is_refused),
        cmocka_unit_test(cancelled_stitch_leaves_nothing),
        cmocka_unit_test(png_gives_the_picture_back),
        cmocka_unit_test(jpeg_and_transparency),
        cmocka_unit_test(codec_version_names_x264),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

/* Tasks from spec to blobs: purity, the hand-over, checkpoints. */
#include "tests/golden/task_bench.h"

#include "common/base/hash.h"
#include "worker/video/video_read.h"

#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void anchor_and_one_range_equal_an_uninterrupted_run(void **state)
{
    (void)state;
    struct bench b;
    struct script s;
    struct named whole, anchor, finished;
    bench_open(&b, "store");
    script_make(&b, &s);
    bench_denoise(&b, &s, 0, LATENTS, 0, STEPS, NULL, &whole);
    for (int handoff = 1; handoff < STEPS; handoff++) {
        bench_denoise(&b, &s, 0, LATENTS, 0, handoff, NULL, &anchor);
        bench_denoise(&b, &s, 0, LATENTS, handoff, STEPS, &anchor, &finished);
        assert_same_blob(&finished, &whole);
    }
    /* checkpoints inside a range: the state of a window goes on as that window */
    struct named checkpoint, range, resumed;
    bench_denoise(&b, &s, 0, LATENTS, 0, 1, NULL, &anchor);
    bench_denoise(&b, &s, 1, 3, 1, STEPS, &anchor, &range);
    bench_denoise(&b, &s, 1, 3, 1, 3, &anchor, &checkpoint);
    bench_denoise(&b, &s, 1, 3, 3, STEPS, &checkpoint, &resumed);
    assert_same_blob(&resumed, &range);
    bench_close(&b);
}

static void shots_repeat_on_another_worker_in_another_order(void **state)
{
    (void)state;
    struct bench b, c;
    struct shot_files first, second;
    bench_open(&b, "store");
    bench_shoot(&b, false, &first);
    bench_close(&b);
    bench_open(&c, "other-store");
    c.lean = true; /* one model at a time gives the same bytes */
    bench_shoot(&c, true, &second);
    assert_same_blob(&first.latents, &second.latents);
    assert_same_blob(&first.mezzanine, &second.mezzanine);
    assert_same_blob(&first.frames, &second.frames);
    assert_same_blob(&first.thumbnail, &second.thumbnail);
    assert_same_blob(&first.scores, &second.scores);
    assert_same_blob(&first.video, &second.video);
    bench_close(&c);
}

static void frames_are_those_that_the_digest_names(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct bench b;
    struct shot_files files;
    char path[1024], hex[DIGEST_HEX_ROOM];
    bench_open(&b, "store");
    bench_shoot(&b, false, &files);
    assert_true(store_dir_path(b.blobs, &files.mezzanine.digest, path, sizeof path));
    struct video_reader *r = video_reader_open(path, &err);
    assert_non_null(r);
    struct hash h;
    uint8_t rgb[WIDTH * HEIGHT * 3];
    bool end = false;
    int frames = 0;
    hash_begin(&h);
    while (assert_true(video_reader_next(r, rgb, &end, &err)), !end) {
        hash_bytes(&h, rgb, sizeof rgb);
        frames++;
    }
    video_reader_close(&r);
    assert_int_equal(frames, 4 * (LATENTS - 1) + 1);
    const struct digest d = hash_end(&h);
    digest_hex(&d, hex);
    size_t size;
    char *text = store_dir_read(b.blobs, &files.frames.digest, 1 << 10, &size, &err);
    assert_int_equal(size, 64);
    assert_memory_equal(text, hex, 64);
    free(text);
    bench_close(&b);
}

static void noise_follows_take_and_shot(void **state)
{
    (void)state;
    struct bench b;
    struct script s;
    struct named base, other;
    bench_open(&b, "store");
    script_make(&b, &s);
    bench_denoise(&b, &s, 0, LATENTS, 0, 1, NULL, &base);
    s.t.take = 1;
    bench_denoise(&b, &s, 0, LATENTS, 0, 1, NULL, &other);
    assert_memory_not_equal(other.digest.bytes, base.digest.bytes, DIGEST_BYTES);
    s.t.take = 0;
    s.t.noise_shot = 3;
    bench_denoise(&b, &s, 0, LATENTS, 0, 1, NULL, &other);
    assert_memory_not_equal(other.digest.bytes, base.digest.bytes, DIGEST_BYTES);
    s.t.noise_shot = 2;
    s.t.n_identities = 0; /* the reference does matter */
    bench_denoise(&b, &s, 0, LATENTS, 0, 1, NULL, &other);
    assert_memory_not_equal(other.digest.bytes, base.digest.bytes, DIGEST_BYTES);
    bench_close(&b);
}

static void cast_members_are_drawn_from_their_phrase(void **state)
{
    (void)state;
    struct bench b;
    struct named text, negative, first, second;
    struct task_outputs out;
    bench_open(&b, "store");
    bench_embed(&b, "a blue cup, on white", &text);
    bench_embed(&b, "", &negative);
    bench_cast(&b, &first, &text, &negative, &out);
    assert_int_equal(out.count, 2);
    bench_cast(&b, &second, &text, &negative, &out);
    assert_same_blob(&first, &second);
    bench_close(&b);
}

static void prompt_form_does_not_matter_where_cleaning_removes_it(void **state)
{
    (void)state;
    struct bench b;
    struct named a, c;
    bench_open(&b, "store");
    bench_embed(&b, "  a  red\tmonster ", &a);
    bench_embed(&b, "a red monster", &c);
    assert_same_blob(&a, &c);
    bench_close(&b);
}

static void cancel_stops_between_steps(void **state)
{
    (void)state;
    struct bench b;
    struct script s;
    struct task_outputs out;
    struct error err = { 0 };
    bench_open(&b, "store");
    script_make(&b, &s);
    b.cancel_at = 2;
    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
    spec.kind = SHOTLINE__TASK_KIND__TASK_DENOISE;
    spec.numerics = SHOTLINE__NUMERICS__NUMERICS_EXACT;
    spec.denoise = &s.t;
    b.steps_seen = 0;
    assert_false(task_execute(&b.run, &spec, &out, &err));
    assert_int_equal(err.kind, ERROR_CANCELLED);
    assert_int_equal(b.steps_seen, 2);
    assert_int_equal(bench_files(b.run.scratch_dir), 0);
    bench_close(&b);
}

/* What a worker saves on its way, and what it does when it is stopped there. */
struct saver {
    struct bench *b;
    uint32_t every, stop_after; /* steps */
    struct task_output state;
    uint32_t step;
    int count;
};
static struct saver saver;

static bool save_now(void *context)
{
    (void)context;
    return saver.b->steps_seen % saver.every == 0;
}

static void on_saved(void *context, uint32_t step, const struct task_output *state)
{
    (void)context;
    saver.step = step;
    saver.state = *state;
    saver.count++;
    if (saver.b->steps_seen >= saver.stop_after)
        atomic_store(&saver.b->cancel, true);
}

/* An anchor and a range are killed again and again between their steps; each attempt goes on from the last state, and
 * the bytes are those of an undisturbed run. */
static void killed_tasks_go_on_from_their_checkpoints(void **state)
{
    (void)state;
    struct bench b;
    struct script s;
    struct named anchor, expected;
    bench_open(&b, "store");
    script_make(&b, &s);
    bench_denoise(&b, &s, 0, LATENTS, 0, 1, NULL, &anchor);
    for (int range = 0; range < 2; range++) {
        bench_denoise(&b, &s, range, range ? 3 : LATENTS, range, STEPS, range ? &anchor : NULL, &expected);
        b.run.save_now = save_now;
        b.run.saved = on_saved;
        saver = (struct saver){ .b = &b, .every = 1, .stop_after = 1 };

        Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
        Shotline__DenoiseTask t = s.t;
        struct task_outputs out;
        struct error err = { 0 };
        struct named resume, finished;
        bool done = false;
        int attempts = 0;
        spec.kind = SHOTLINE__TASK_KIND__TASK_DENOISE;
        spec.numerics = SHOTLINE__NUMERICS__NUMERICS_EXACT;
        spec.denoise = &t;
        t.window_first = (uint32_t)range;
        t.window_count = range ? 3 : LATENTS;
        t.step_from = (uint32_t)range;
        t.state = range ? &anchor.blob : NULL;
        while (!done) {
            b.steps_seen = 0;
            done = task_execute(&b.run, &spec, &out, &err);
            attempts++;
            if (done)
                break;
            assert_int_equal(err.kind, ERROR_CANCELLED);
            assert_int_equal(bench_files(b.run.scratch_dir), 0);
            atomic_store(&b.cancel, false);
            name_digest(&resume, &saver.state.digest); /* as the coordinator makes the next attempt's spec */
            t.state = &resume.blob;
            t.step_from = saver.step;
        }
        assert_int_equal(attempts, STEPS - range);
        assert_int_equal(saver.count, STEPS - range - 1);
        name_output(&finished, &out, "latents");
        assert_same_blob(&finished, &expected);
        b.run.save_now = NULL;
    }
    bench_close(&b);
}

static void inputs_are_listed(void **state)
{
    (void)state;
    struct bench b;
    struct script s;
    struct digest inputs[8];
    bench_open(&b, "store");
    script_make(&b, &s);
    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
    spec.denoise = &s.t;
    assert_int_equal(task_inputs(&spec, inputs, 8), 3);
    assert_true(digest_equal(&inputs[0], &s.text.digest));
    assert_true(digest_equal(&inputs[1], &s.negative.digest));
    assert_true(digest_equal(&inputs[2], &s.identity.digest));
    assert_int_equal(task_inputs(&spec, inputs, 2), 2);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anchor_and_one_range_equal_an_uninterrupted_run),
        cmocka_unit_test(shots_repeat_on_another_worker_in_another_order),
        cmocka_unit_test(frames_are_those_that_the_digest_names),
        cmocka_unit_test(noise_follows_take_and_shot),
        cmocka_unit_test(cast_members_are_drawn_from_their_phrase),
        cmocka_unit_test(prompt_form_does_not_matter_where_cleaning_removes_it),
        cmocka_unit_test(cancel_stops_between_steps),
        cmocka_unit_test(killed_tasks_go_on_from_their_checkpoints),
        cmocka_unit_test(inputs_are_listed),
    };
    return cmocka_run_group_tests(tests, bench_open_all, bench_remove_all);
}

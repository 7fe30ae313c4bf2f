/* Tasks from spec to blobs on a small model with random weights, on the oracle: purity, the hand-over, and what is
 * refused. */
#include "worker/studio.h"
#include "worker/task.h"
#include "worker/video_read.h"

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/str.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { WIDTH = 48, HEIGHT = 32, LATENTS = 5, STEPS = 4 };

static char dir[] = "/tmp/shotline-test-tasks-XXXXXX";

static const char *in_dir(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static const char shotline_json[] =
    "{\"name\": \"golden\", \"width\": 48, \"height\": 32, \"fps\": 8, \"steps\": 4, \"guidance_scale\": 3.0, "
    "\"handoff_step\": 2,"
    " \"window\": 3, \"overlap\": 1, \"longest_shot\": 9, \"references\": 2, \"reference_suffix\": \", on white\","
    " \"max_sequence_length\": 16, \"negative_prompt\": \"\"}";

/* The pack: the goldens' VACE pipeline with a shotline.json of its own. */
static void make_pack(const char *to)
{
    struct error err;
    static const char *const parts[] = { "transformer", "vae", "text_encoder", "tokenizer", "scheduler" };
    char from[512], path[1024], part[1024];
    assert_true(file_make_dirs(to, 0700, &err));
    snprintf(path, sizeof path, "%s/shotline.json", to);
    assert_true(file_write(path, shotline_json, strlen(shotline_json), &err));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        snprintf(from, sizeof from, "%s/%s", GOLDEN_MODEL, parts[i]);
        snprintf(part, sizeof part, "%s/%s", to, parts[i]);
        assert_true(file_make_dirs(part, 0700, &err));
        DIR *d = opendir(from);
        assert_non_null(d);
        for (struct dirent *e; (e = readdir(d));) {
            if (e->d_name[0] == '.')
                continue;
            char source[1024], target[2048];
            snprintf(source, sizeof source, "%s/%s", from, e->d_name);
            snprintf(target, sizeof target, "%s/%s", part, e->d_name);
            assert_true(file_copy(source, target, &err));
        }
        closedir(d);
    }
}

/* ---- a worker without a farm ---- */

struct bench {
    struct exec *exec;
    struct studio *studio;
    struct store_dir *blobs;
    struct task_run run;
    uint32_t steps_seen;
    atomic_bool cancel;
    uint32_t cancel_at; /* 0: never */
};

static void on_progress(void *context, uint32_t step, uint32_t steps)
{
    struct bench *b = context;
    assert_true(step >= 1 && step <= steps);
    b->steps_seen++;
    if (step == b->cancel_at)
        atomic_store(&b->cancel, true);
}

static void bench_open(struct bench *b, const char *store)
{
    struct error err = { 0 };
    *b = (struct bench){ .exec = exec_open_ref() };
    assert_true(file_make_dirs(in_dir("scratch"), 0700, &err));
    assert_true(file_make_dirs(in_dir(store), 0700, &err));
    b->blobs = store_dir_open(in_dir(store), 0, &err);
    assert_non_null(b->blobs);
    b->studio = studio_open(in_dir("pack"), b->exec, &err);
    assert_non_null(b->studio);
    static char scratch[512];
    snprintf(scratch, sizeof scratch, "%s", in_dir("scratch"));
    b->run = (struct task_run){ .studio = b->studio,
                                .blobs = b->blobs,
                                .scratch_dir = scratch,
                                .cancel = &b->cancel,
                                .progress = on_progress,
                                .context = b };
}

static void bench_close(struct bench *b)
{
    studio_close(&b->studio);
    store_dir_close(&b->blobs);
    exec_close(&b->exec);
}

static int count_files(const char *path)
{
    int count = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

static struct task_outputs execute(struct bench *b, Shotline__TaskSpec *spec)
{
    struct task_outputs out;
    struct error err = { 0 };
    spec->numerics = SHOTLINE__NUMERICS__NUMERICS_EXACT;
    if (!task_execute(&b->run, spec, &out, &err))
        fail_msg("%s", err.text);
    assert_int_equal(count_files(b->run.scratch_dir), 0);
    return out;
}

struct named {
    Shotline__Blob blob;
    struct digest digest;
};

static void name_digest(struct named *n, const struct digest *d)
{
    shotline__blob__init(&n->blob);
    n->digest = *d;
    n->blob.digest = (ProtobufCBinaryData){ DIGEST_BYTES, n->digest.bytes };
}

static void name_output(struct named *n, const struct task_outputs *out, const char *name)
{
    for (size_t i = 0; i < out->count; i++) {
        if (strcmp(out->output[i].name, name) == 0) {
            name_digest(n, &out->output[i].digest);
            return;
        }
    }
    fail_msg("no output %s", name);
}

static void assert_same_blob(const struct named *a, const struct named *b)
{
    assert_memory_equal(a->digest.bytes, b->digest.bytes, DIGEST_BYTES);
}

static void embed(struct bench *b, const char *prompt, struct named *to)
{
    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
    Shotline__TextTask t = SHOTLINE__TEXT_TASK__INIT;
    spec.kind = SHOTLINE__TASK_KIND__TASK_TEXT;
    spec.text = &t;
    t.prompt = (char *)prompt;
    struct task_outputs out = execute(b, &spec);
    name_output(to, &out, "embedding");
}

/* What all denoise tasks of one shot need. */
struct script {
    struct named text, negative, identity;
    Shotline__Blob *identities[1];
    Shotline__DenoiseTask t;
};

static void cast_of(struct bench *b, struct named *identity, const struct named *text, const struct named *negative,
                    struct task_outputs *out)
{
    struct error err;
    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
    Shotline__CastTask t = SHOTLINE__CAST_TASK__INIT;
    struct named image;
    struct digest d;
    int64_t bytes;
    spec.kind = SHOTLINE__TASK_KIND__TASK_CAST;
    spec.cast = &t;
    t.kind = "character";
    t.seed = 3;
    t.width = WIDTH;
    t.height = HEIGHT;
    t.steps = STEPS;
    t.guidance_scale = 3;
    if (text) {
        t.text = (Shotline__Blob *)&text->blob;
        t.negative_text = (Shotline__Blob *)&negative->blob;
    } else {
        assert_true(store_dir_add_file(b->blobs, "tests/unit/data/red.jpg", &d, &bytes, &err));
        name_digest(&image, &d);
        t.image = &image.blob;
    }
    *out = execute(b, &spec);
    name_output(identity, out, "identity");
}

static void script_make(struct bench *b, struct script *s)
{
    struct task_outputs out;
    embed(b, "a red round monster walking", &s->text);
    embed(b, "", &s->negative);
    cast_of(b, &s->identity, NULL, NULL, &out);
    s->identities[0] = &s->identity.blob;
    s->t = (Shotline__DenoiseTask)SHOTLINE__DENOISE_TASK__INIT;
    s->t.text = &s->text.blob;
    s->t.negative_text = &s->negative.blob;
    s->t.n_identities = 1;
    s->t.identities = s->identities;
    s->t.width = WIDTH;
    s->t.height = HEIGHT;
    s->t.latent_frames = LATENTS;
    s->t.window_count = LATENTS;
    s->t.steps = STEPS;
    s->t.step_to = STEPS;
    s->t.guidance_scale = 3;
    s->t.seed = 0xfedcba9876543210u;
    s->t.noise_shot = 2;
}

static void denoise(struct bench *b, const struct script *s, int first, int count, int from, int to,
                    const struct named *state, struct named *result)
{
    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
    Shotline__DenoiseTask t = s->t;
    spec.kind = SHOTLINE__TASK_KIND__TASK_DENOISE;
    spec.denoise = &t;
    t.window_first = (uint32_t)first;
    t.window_count = (uint32_t)count;
    t.step_from = (uint32_t)from;
    t.step_to = (uint32_t)to;
    t.state = (Shotline__Blob *)(state ? &state->blob : NULL);
    b->steps_seen = 0;
    struct task_outputs out = execute(b, &spec);
    assert_int_equal(b->steps_seen, to - from);
    name_output(result, &out, to < STEPS ? "state" : "latents");
}

struct shot_files {
    struct named latents, mezzanine, frames, thumbnail, scores, video;
};

/* Anchor, two windows, decode, stitch. */
static void shoot(struct bench *b, bool backwards, struct shot_files *files)
{
    struct script s;
    struct named state, latents[2];
    script_make(b, &s);
    denoise(b, &s, 0, LATENTS, 0, 2, NULL, &state);
    for (int i = 0; i < 2; i++) {
        const int k = backwards ? 1 - i : i;
        denoise(b, &s, 2 * k, 3, 2, STEPS, &state, &latents[k]);
    }

    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
    Shotline__DecodeTask d = SHOTLINE__DECODE_TASK__INIT;
    Shotline__DecodeRange ranges[2] = { SHOTLINE__DECODE_RANGE__INIT, SHOTLINE__DECODE_RANGE__INIT },
                          *list[2] = { &ranges[0], &ranges[1] };
    spec.kind = SHOTLINE__TASK_KIND__TASK_DECODE;
    spec.decode = &d;
    for (int k = 0; k < 2; k++) {
        ranges[k].latents = &latents[k].blob;
        ranges[k].first = (uint32_t)(2 * k);
        ranges[k].count = 3;
    }
    d.n_ranges = 2;
    d.ranges = list;
    d.latent_frames = LATENTS;
    d.width = WIDTH;
    d.height = HEIGHT;
    d.fps = 8;
    struct task_outputs out = execute(b, &spec);
    assert_int_equal(out.count, 5);
    name_output(&files->latents, &out, "latents");
    name_output(&files->mezzanine, &out, "mezzanine");
    name_output(&files->frames, &out, "frames");
    name_output(&files->thumbnail, &out, "thumbnail");
    name_output(&files->scores, &out, "scores");

    Shotline__StitchTask st = SHOTLINE__STITCH_TASK__INIT;
    Shotline__StitchShot shots[2] = { SHOTLINE__STITCH_SHOT__INIT, SHOTLINE__STITCH_SHOT__INIT },
                         *shot_list[2] = { &shots[0], &shots[1] };
    spec = (Shotline__TaskSpec)SHOTLINE__TASK_SPEC__INIT;
    spec.kind = SHOTLINE__TASK_KIND__TASK_STITCH;
    spec.stitch = &st;
    for (int k = 0; k < 2; k++) {
        shots[k].mezzanine = &files->mezzanine.blob;
        shots[k].frames = 17;
        shots[k].transition = k == 0 ? "dissolve" : "cut";
        shots[k].transition_frames = k == 0 ? 4 : 0;
    }
    st.n_shots = 2;
    st.shots = shot_list;
    st.width = 96;
    st.height = 64;
    st.fps_in = st.fps_out = 8;
    st.frames = 30;
    st.crf = 20;
    out = execute(b, &spec);
    name_output(&files->video, &out, "video");
}

static int open_all(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    make_pack(in_dir("pack"));
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    struct error err;
    return file_remove_tree(dir, &err) ? 0 : -1;
}

/* ---- the tests ---- */

static void anchor_and_one_range_equal_an_uninterrupted_run(void **state)
{
    (void)state;
    struct bench b;
    struct script s;
    struct named whole, anchor, finished;
    bench_open(&b, "store");
    script_make(&b, &s);
    denoise(&b, &s, 0, LATENTS, 0, STEPS, NULL, &whole);
    for (int handoff = 1; handoff < STEPS; handoff++) {
        denoise(&b, &s, 0, LATENTS, 0, handoff, NULL, &anchor);
        denoise(&b, &s, 0, LATENTS, handoff, STEPS, &anchor, &finished);
        assert_same_blob(&finished, &whole);
    }
    /* checkpoints inside a range: the state of a window goes on as that window */
    struct named checkpoint, range, resumed;
    denoise(&b, &s, 0, LATENTS, 0, 1, NULL, &anchor);
    denoise(&b, &s, 1, 3, 1, STEPS, &anchor, &range);
    denoise(&b, &s, 1, 3, 1, 3, &anchor, &checkpoint);
    denoise(&b, &s, 1, 3, 3, STEPS, &checkpoint, &resumed);
    assert_same_blob(&resumed, &range);
    bench_close(&b);
}

static void shots_repeat_on_another_worker_in_another_order(void **state)
{
    (void)state;
    struct bench b, c;
    struct shot_files first, second;
    bench_open(&b, "store");
    shoot(&b, false, &first);
    bench_close(&b);
    bench_open(&c, "other-store");
    assert_true(studio_go_lean(c.studio)); /* one model at a time gives the same bytes */
    assert_false(studio_go_lean(c.studio));
    shoot(&c, true, &second);
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
    shoot(&b, false, &files);
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
    denoise(&b, &s, 0, LATENTS, 0, 1, NULL, &base);
    s.t.take = 1;
    denoise(&b, &s, 0, LATENTS, 0, 1, NULL, &other);
    assert_memory_not_equal(other.digest.bytes, base.digest.bytes, DIGEST_BYTES);
    s.t.take = 0;
    s.t.noise_shot = 3;
    denoise(&b, &s, 0, LATENTS, 0, 1, NULL, &other);
    assert_memory_not_equal(other.digest.bytes, base.digest.bytes, DIGEST_BYTES);
    s.t.noise_shot = 2;
    s.t.n_identities = 0; /* the reference does matter */
    denoise(&b, &s, 0, LATENTS, 0, 1, NULL, &other);
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
    embed(&b, "a blue cup, on white", &text);
    embed(&b, "", &negative);
    cast_of(&b, &first, &text, &negative, &out);
    assert_int_equal(out.count, 2);
    cast_of(&b, &second, &text, &negative, &out);
    assert_same_blob(&first, &second);
    bench_close(&b);
}

static void prompt_form_does_not_matter_where_cleaning_removes_it(void **state)
{
    (void)state;
    struct bench b;
    struct named a, c;
    bench_open(&b, "store");
    embed(&b, "  a  red\tmonster ", &a);
    embed(&b, "a red monster", &c);
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
    assert_int_equal(count_files(b.run.scratch_dir), 0);
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
    denoise(&b, &s, 0, LATENTS, 0, 1, NULL, &anchor);
    for (int range = 0; range < 2; range++) {
        denoise(&b, &s, range, range ? 3 : LATENTS, range, STEPS, range ? &anchor : NULL, &expected);
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
            assert_int_equal(count_files(b.run.scratch_dir), 0);
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

/* Runs a changed copy of a good denoise task, which must fail with this text. */
static void assert_refused(struct bench *b, const Shotline__DenoiseTask *t, enum error_kind kind, const char *text)
{
    struct task_outputs out;
    struct error err = { 0 };
    Shotline__DenoiseTask copy = *t;
    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
    spec.kind = SHOTLINE__TASK_KIND__TASK_DENOISE;
    spec.numerics = SHOTLINE__NUMERICS__NUMERICS_EXACT;
    spec.denoise = &copy;
    assert_false(task_execute(&b->run, &spec, &out, &err));
    assert_string_equal(err.text, text);
    assert_int_equal(err.kind, kind);
}

static void bad_specs_are_refused_by_name(void **state)
{
    (void)state;
    struct bench b;
    struct script s;
    struct named anchor;
    struct error err = { 0 };
    struct task_outputs out;
    bench_open(&b, "store");
    script_make(&b, &s);
    Shotline__DenoiseTask t = s.t;
    t.width = 40;
    assert_refused(&b, &t, ERROR_INPUT, "denoise: size is 40x32, expected multiples of 16, 16 to 4096");
    t = s.t;
    t.window_first = 1;
    assert_refused(&b, &t, ERROR_INPUT, "denoise: window_first is 1, expected 0 to 0");
    t = s.t;
    t.step_from = 2;
    assert_refused(&b, &t, ERROR_INPUT, "denoise: step_from is 2 without a state to start from");
    t = s.t;
    t.steps = UINT32_MAX;
    assert_refused(&b, &t, ERROR_INPUT, "denoise: steps is 4294967295, expected 1 to 1000");
    t = s.t;
    t.latent_frames = t.window_count = 1100;
    assert_refused(&b, &t, ERROR_INPUT, "denoise: 1100 latent frames and 1 references, the painter has 1024 positions");
    t = s.t;
    t.height = 64;
    assert_refused(&b, &t, ERROR_INPUT, "denoise: identity: tensor latent is [16, 4, 6], expected F32 [16, 8, 6]");
    t = s.t;
    t.text = &s.identity.blob;
    assert_refused(&b, &t, ERROR_INPUT, "denoise: text: tensor embedding is absent, expected F32 [-1, -1]");

    denoise(&b, &s, 0, LATENTS, 0, 2, NULL, &anchor);
    t = s.t;
    t.step_from = 1;
    t.state = &anchor.blob;
    assert_refused(
        &b, &t, ERROR_INPUT,
        "denoise: state: 16 channels of 6x4 with 1 references after 2 steps, expected 16 of 6x4 with 1 after 1");

    struct named missing;
    const struct digest nobody = { { 1 } };
    name_digest(&missing, &nobody);
    t = s.t;
    t.text = &missing.blob;
    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
    spec.kind = SHOTLINE__TASK_KIND__TASK_DENOISE;
    spec.numerics = SHOTLINE__NUMERICS__NUMERICS_EXACT;
    spec.denoise = &t;
    assert_false(task_execute(&b.run, &spec, &out, &err));
    assert_non_null(strstr(err.text, "denoise: text: "));
    missing.blob.digest.len = 31;
    assert_refused(&b, &t, ERROR_INPUT, "denoise: text: a digest has 31 bytes, expected 32");
    spec.denoise = NULL;
    assert_false(task_execute(&b.run, &spec, &out, &err));
    assert_string_equal(err.text, "denoise: the task says nothing");
    spec.numerics = SHOTLINE__NUMERICS__NUMERICS_FAST;
    assert_false(task_execute(&b.run, &spec, &out, &err));
    assert_int_equal(err.kind, ERROR_INPUT);
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

static void denoise_is_refused(struct bench *b, struct script *s, const char *says)
{
    struct error err = { 0 };
    struct task_outputs out;
    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
    spec.kind = SHOTLINE__TASK_KIND__TASK_DENOISE;
    spec.numerics = SHOTLINE__NUMERICS__NUMERICS_EXACT;
    spec.denoise = &s->t;
    assert_false(task_execute(&b->run, &spec, &out, &err));
    assert_int_equal(err.kind, ERROR_INPUT);
    assert_non_null(strstr(err.text, says));
}

/* A model file that was cut short is named, and the worker lives on. */
static void broken_pack_is_named(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct bench b;
    struct script s;
    bench_open(&b, "store");
    script_make(&b, &s);
    studio_close(&b.studio);

    make_pack(in_dir("broken"));
    size_t size;
    const char *file = in_dir("broken/transformer/diffusion_pytorch_model.safetensors");
    char *bytes = file_read(file, 1 << 28, &size, &err);
    assert_non_null(bytes);
    assert_true(file_write(file, bytes, size / 2, &err));
    free(bytes);
    b.studio = b.run.studio = studio_open(in_dir("broken"), b.exec, &err);
    assert_non_null(b.studio);

    denoise_is_refused(&b, &s, "transformer/diffusion_pytorch_model.safetensors");
    bench_close(&b);
    assert_true(file_remove_tree(in_dir("broken"), &err));
}

/* Each part can be loaded, but a task would reach beyond the arrays that it makes for the others. */
static void parts_that_do_not_fit_are_named(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct bench b;
    struct script s;
    bench_open(&b, "store");
    script_make(&b, &s);
    studio_close(&b.studio);

    make_pack(in_dir("unfit"));
    static const char *const files[] = { "config.json", "diffusion_pytorch_model.safetensors" };
    for (int i = 0; i < 2; i++) { /* a VAE of 4 channels */
        char from[64], to[64];
        size_t size;
        snprintf(from, sizeof from, "tests/golden/vae/%s", files[i]);
        snprintf(to, sizeof to, "unfit/vae/%s", files[i]);
        char *bytes = file_read(from, 1 << 20, &size, &err);
        assert_non_null(bytes);
        assert_true(file_write(in_dir(to), bytes, size, &err));
        free(bytes);
    }
    b.studio = b.run.studio = studio_open(in_dir("unfit"), b.exec, &err);
    assert_non_null(b.studio);
    denoise_is_refused(&b, &s, "the painter reads 96 control channels, the VAE gives 72");
    bench_close(&b);
    assert_true(file_remove_tree(in_dir("unfit"), &err));
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
        cmocka_unit_test(bad_specs_are_refused_by_name),
        cmocka_unit_test(inputs_are_listed),
        cmocka_unit_test(broken_pack_is_named),
        cmocka_unit_test(parts_that_do_not_fit_are_named),
    };
    return cmocka_run_group_tests(tests, open_all, remove_all);
}

#include "tests/golden/task_bench.h"

#include "common/base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/shotline-test-tasks-XXXXXX";

const char *bench_path(const char *name)
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
void bench_pack(const char *to)
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

static void on_progress(void *context, uint32_t step, uint32_t steps)
{
    struct bench *b = context;
    assert_true(step >= 1 && step <= steps);
    b->steps_seen++;
    if (step == b->cancel_at)
        atomic_store(&b->cancel, true);
}

void bench_open_on(struct bench *b, const char *store, struct exec *exec)
{
    struct error err = { 0 };
    *b = (struct bench){ .exec = exec };
    assert_true(file_make_dirs(bench_path("scratch"), 0700, &err));
    assert_true(file_make_dirs(bench_path(store), 0700, &err));
    b->blobs = store_dir_open(bench_path(store), 0, &err);
    assert_non_null(b->blobs);
    b->studio = studio_open(bench_path("pack"), b->exec, &err);
    assert_non_null(b->studio);
    static char scratch[512];
    snprintf(scratch, sizeof scratch, "%s", bench_path("scratch"));
    b->run = (struct task_run){ .studio = b->studio,
                                .blobs = b->blobs,
                                .scratch_dir = scratch,
                                .cancel = &b->cancel,
                                .progress = on_progress,
                                .context = b };
}

void bench_open(struct bench *b, const char *store)
{
    bench_open_on(b, store, exec_open_ref());
}

void bench_close(struct bench *b)
{
    studio_close(&b->studio);
    store_dir_close(&b->blobs);
    exec_close(&b->exec);
}

int bench_files(const char *path)
{
    int count = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

struct task_outputs bench_execute(struct bench *b, Shotline__TaskSpec *spec)
{
    struct task_outputs out;
    struct error err = { 0 };
    spec->numerics = SHOTLINE__NUMERICS__NUMERICS_EXACT;
    if (b->lean)
        spec->profile = SHOTLINE__PROFILE__PROFILE_LEAN;
    if (b->alone)
        studio_clear(b->studio);
    bool done = task_execute(&b->run, spec, &out, &err);
    if (!done && b->falls_back && err.kind == ERROR_MEMORY) {
        assert_int_equal(exec_bytes_used(b->exec), 0); /* nothing is left behind */
        b->fell_back++;
        spec->profile = SHOTLINE__PROFILE__PROFILE_LEAN;
        done = task_execute(&b->run, spec, &out, &err);
    }
    if (!done)
        fail_msg("%s", err.text);
    assert_int_equal(bench_files(b->run.scratch_dir), 0);
    return out;
}

void name_digest(struct named *n, const struct digest *d)
{
    shotline__blob__init(&n->blob);
    n->digest = *d;
    n->blob.digest = (ProtobufCBinaryData){ DIGEST_BYTES, n->digest.bytes };
}

void name_output(struct named *n, const struct task_outputs *out, const char *name)
{
    for (size_t i = 0; i < out->count; i++) {
        if (strcmp(out->output[i].name, name) == 0) {
            name_digest(n, &out->output[i].digest);
            return;
        }
    }
    fail_msg("no output %s", name);
}

void assert_same_blob(const struct named *a, const struct named *b)
{
    assert_memory_equal(a->digest.bytes, b->digest.bytes, DIGEST_BYTES);
}

void bench_embed(struct bench *b, const char *prompt, struct named *to)
{
    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
    Shotline__TextTask t = SHOTLINE__TEXT_TASK__INIT;
    spec.kind = SHOTLINE__TASK_KIND__TASK_TEXT;
    spec.text = &t;
    t.prompt = (char *)prompt;
    struct task_outputs out = bench_execute(b, &spec);
    name_output(to, &out, "embedding");
}

void bench_cast(struct bench *b, struct named *identity, const struct named *text, const struct named *negative,
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
    *out = bench_execute(b, &spec);
    name_output(identity, out, "identity");
}

void script_make(struct bench *b, struct script *s)
{
    struct task_outputs out;
    bench_embed(b, "a red round monster walking", &s->text);
    bench_embed(b, "", &s->negative);
    bench_cast(b, &s->identity, NULL, NULL, &out);
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

void bench_denoise(struct bench *b, const struct script *s, int first, int count, int from, int to,
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
    struct task_outputs out = bench_execute(b, &spec);
    assert_int_equal(b->steps_seen, to - from);
    name_output(result, &out, to < STEPS ? "state" : "latents");
}

int bench_open_all(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    bench_pack(bench_path("pack"));
    return 0;
}

int bench_remove_all(void **state)
{
    (void)state;
    struct error err;
    return file_remove_tree(dir, &err) ? 0 : -1;
}

void bench_shoot(struct bench *b, bool backwards, struct shot_files *files)
{
    struct script s;
    struct named state, latents[2];
    script_make(b, &s);
    bench_denoise(b, &s, 0, LATENTS, 0, 2, NULL, &state);
    for (int i = 0; i < 2; i++) {
        const int k = backwards ? 1 - i : i;
        bench_denoise(b, &s, 2 * k, 3, 2, STEPS, &state, &latents[k]);
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
    struct task_outputs out = bench_execute(b, &spec);
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
    out = bench_execute(b, &spec);
    name_output(&files->video, &out, "video");
}

/* links: shotline_tasks shotline_video shotline_nn shotline_wire */
/* shoot - one shot through all tasks of a worker, without a farm: text, anchor, ranges, decode, stitch, each with its
 * seconds.
 *
 * For looking at a pack's pictures, and for finding out where the time goes: shoot PACK -p PROMPT -o DIR. */
#include "common/base/args.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/str.h"
#include "common/nn/exec.h"
#include "common/nn/pack.h"
#include "common/wire/store_dir.h"
#include "worker/tasks/task.h"
#include "worker/video/video_stitch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    const char *prompt, *out, *device, *image, *cast;
    int64_t latents, width, height, steps, handoff, fps;
    uint64_t seed;
    bool whole, times;
};

struct shoot {
    struct options o;
    struct pack_defaults pack;
    struct store_dir *blobs;
    struct task_run run;
};

/* A blob field of a spec. */
struct named {
    Shotline__Blob blob;
    struct digest digest;
};

static void named_set(struct named *n, const struct task_outputs *out, const char *name)
{
    for (size_t i = 0; i < out->count; i++) {
        if (strcmp(out->output[i].name, name) != 0)
            continue;
        shotline__blob__init(&n->blob);
        n->digest = out->output[i].digest;
        n->blob.digest = (ProtobufCBinaryData){ DIGEST_BYTES, n->digest.bytes };
        n->blob.bytes = (uint64_t)out->output[i].bytes;
        return;
    }
    fprintf(stderr, "shoot: a task gave no %s\n", name);
    exit(1);
}

static void execute(struct shoot *s, const char *what, Shotline__TaskSpec *spec, struct task_outputs *out)
{
    struct error err = { 0 };
    const int64_t began_us = clock_now_us();
    spec->numerics = SHOTLINE__NUMERICS__NUMERICS_EXACT;
    if (!task_execute(&s->run, spec, out, &err)) {
        fprintf(stderr, "shoot: %s: %s\n", what, err.text);
        exit(error_exit_code(&err));
    }
    printf("%-24s %8.3f s", what, (double)(clock_now_us() - began_us) / 1e6);
    for (size_t i = 0; i < out->count; i++) {
        char hex[DIGEST_HEX_ROOM];
        digest_hex(&out->output[i].digest, hex);
        printf("  %s %.8s %lld", out->output[i].name, hex, (long long)out->output[i].bytes);
    }
    printf("\n");
    fflush(stdout);
}

static void embed(struct shoot *s, const char *prompt, struct named *to)
{
    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
    Shotline__TextTask t = SHOTLINE__TEXT_TASK__INIT;
    struct task_outputs out;
    spec.kind = SHOTLINE__TASK_KIND__TASK_TEXT;
    spec.text = &t;
    t.prompt = (char *)prompt;
    execute(s, "text", &spec, &out);
    named_set(to, &out, "embedding");
}

static void save(struct shoot *s, const struct task_outputs *out, const char *name, const char *file)
{
    struct error err;
    struct named n;
    char from[1024], to[1024];
    named_set(&n, out, name);
    if (!store_dir_path(s->blobs, &n.digest, from, sizeof from) || !file_join(to, sizeof to, s->o.out, file) ||
        !file_copy(from, to, &err)) {
        fprintf(stderr, "shoot: cannot save %s\n", file);
        exit(1);
    }
}

static void make_cast(struct shoot *s, const struct named *negative, struct named *identity)
{
    struct error err;
    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
    Shotline__CastTask t = SHOTLINE__CAST_TASK__INIT;
    struct task_outputs out;
    struct named text, image = { 0 };
    spec.kind = SHOTLINE__TASK_KIND__TASK_CAST;
    spec.cast = &t;
    t.kind = "character";
    t.seed = s->o.seed;
    t.width = (uint32_t)s->o.width;
    t.height = (uint32_t)s->o.height;
    t.steps = (uint32_t)s->o.steps;
    t.guidance_scale = s->pack.guidance_scale;
    if (s->o.image) {
        int64_t bytes;
        shotline__blob__init(&image.blob);
        if (!store_dir_add_file(s->blobs, s->o.image, &image.digest, &bytes, &err)) {
            fprintf(stderr, "shoot: %s\n", err.text);
            exit(1);
        }
        image.blob.digest = (ProtobufCBinaryData){ DIGEST_BYTES, image.digest.bytes };
        t.image = &image.blob;
    } else {
        struct str phrase = { 0 };
        str_printf(&phrase, "%s%s", s->o.cast, s->pack.reference_suffix);
        embed(s, str_text(&phrase), &text);
        str_free(&phrase);
        t.text = &text.blob;
        t.negative_text = (Shotline__Blob *)&negative->blob;
    }
    execute(s, "cast", &spec, &out);
    named_set(identity, &out, "identity");
    save(s, &out, "preview", "cast.png");
}

static void denoise(struct shoot *s, const char *what, Shotline__DenoiseTask *t, int first, int count, int from, int to,
                    const struct named *state, struct task_outputs *out)
{
    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
    spec.kind = SHOTLINE__TASK_KIND__TASK_DENOISE;
    spec.denoise = t;
    t->window_first = (uint32_t)first;
    t->window_count = (uint32_t)count;
    t->step_from = (uint32_t)from;
    t->step_to = (uint32_t)to;
    t->state = (Shotline__Blob *)(state ? &state->blob : NULL);
    execute(s, what, &spec, out);
}

#define MAX_RANGES 256

/* Windows of the pack's size that overlap by the pack's overlap; the last one reaches the end. */
static size_t cut(const struct shoot *s, int firsts[MAX_RANGES], int *count)
{
    const int total = (int)s->o.latents;
    *count = s->o.whole || s->pack.window > total ? total : s->pack.window;
    size_t n = 0;
    for (int first = 0; n < MAX_RANGES; first += *count - s->pack.overlap) {
        const bool last = first + *count >= total;
        firsts[n++] = last ? total - *count : first;
        if (last)
            break;
    }
    return n;
}

static void shoot(struct shoot *s)
{
    struct named text, negative, identity, state;
    struct task_outputs out;
    embed(s, s->o.prompt, &text);
    embed(s, s->pack.negative_prompt, &negative);

    Shotline__DenoiseTask t = SHOTLINE__DENOISE_TASK__INIT;
    Shotline__Blob *identities[1] = { &identity.blob };
    if (s->o.image || s->o.cast) {
        make_cast(s, &negative, &identity);
        t.n_identities = 1;
        t.identities = identities;
    }
    t.text = &text.blob;
    t.negative_text = &negative.blob;
    t.width = (uint32_t)s->o.width;
    t.height = (uint32_t)s->o.height;
    t.latent_frames = (uint32_t)s->o.latents;
    t.steps = (uint32_t)s->o.steps;
    t.guidance_scale = s->pack.guidance_scale;
    t.seed = s->o.seed;
    t.noise_shot = 1;

    Shotline__DecodeTask d = SHOTLINE__DECODE_TASK__INIT;
    Shotline__DecodeRange ranges[MAX_RANGES], *list[MAX_RANGES];
    struct named latents[MAX_RANGES];
    int firsts[MAX_RANGES], count;
    d.n_ranges = cut(s, firsts, &count);
    d.ranges = list;
    const int handoff = (int)s->o.handoff;
    if (handoff > 0) {
        denoise(s, "denoise anchor", &t, 0, (int)s->o.latents, 0, handoff, NULL, &out);
        named_set(&state, &out, "state");
    }
    for (size_t i = 0; i < d.n_ranges; i++) {
        char what[40];
        snprintf(what, sizeof what, "denoise range %d+%d", firsts[i], count);
        denoise(s, what, &t, firsts[i], count, handoff, (int)s->o.steps, handoff > 0 ? &state : NULL, &out);
        named_set(&latents[i], &out, "latents");
        shotline__decode_range__init(&ranges[i]);
        ranges[i].latents = &latents[i].blob;
        ranges[i].first = (uint32_t)firsts[i];
        ranges[i].count = (uint32_t)count;
        list[i] = &ranges[i];
    }

    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
    spec.kind = SHOTLINE__TASK_KIND__TASK_DECODE;
    spec.decode = &d;
    d.latent_frames = t.latent_frames;
    d.width = t.width;
    d.height = t.height;
    d.fps = (uint32_t)s->pack.fps;
    execute(s, "decode", &spec, &out);
    save(s, &out, "thumbnail", "thumbnail.png");
    save(s, &out, "scores", "scores.json");
    save(s, &out, "mezzanine", "mezzanine.mkv");

    struct named mezzanine;
    named_set(&mezzanine, &out, "mezzanine");
    Shotline__TaskSpec stitch = SHOTLINE__TASK_SPEC__INIT;
    Shotline__StitchTask st = SHOTLINE__STITCH_TASK__INIT;
    Shotline__StitchShot shot = SHOTLINE__STITCH_SHOT__INIT, *shots[1] = { &shot };
    stitch.kind = SHOTLINE__TASK_KIND__TASK_STITCH;
    stitch.stitch = &st;
    shot.mezzanine = &mezzanine.blob;
    shot.transition = "cut";
    shot.frames = (uint32_t)((s->pack.strides.time * (s->o.latents - 1) + 1) * s->o.fps / s->pack.fps);
    st.n_shots = 1;
    st.shots = shots;
    st.width = 4 * t.width;
    st.height = 4 * t.height;
    st.fps_in = d.fps;
    st.fps_out = (uint32_t)s->o.fps;
    st.frames = shot.frames;
    st.crf = 18;
    execute(s, "stitch", &stitch, &out);
    save(s, &out, "video", "video.mp4");
}

int main(int argc, char **argv)
{
    struct shoot s = { .o = { .prompt = "", .out = "shoot.out", .seed = 1, .fps = 24, .handoff = -1 } };
    struct options *o = &s.o;
    const struct arg_option options[] = {
        { .letter = 'p',
          .name = "prompt",
          .kind = ARG_TEXT,
          .to = &o->prompt,
          .value = "TEXT",
          .help = "what the shot shows" },
        { .letter = 'o',
          .name = "output",
          .kind = ARG_TEXT,
          .to = &o->out,
          .value = "DIR",
          .help = "where files go [shoot.out]" },
        { .letter = 'd',
          .name = "device",
          .kind = ARG_TEXT,
          .to = &o->device,
          .value = "NAME",
          .help = "Vulkan device by index or part of its name, or ref: plain C [the best]" },
        { .letter = 'i',
          .name = "image",
          .kind = ARG_TEXT,
          .to = &o->image,
          .value = "FILE",
          .help = "reference image of a character" },
        { .letter = 'c',
          .name = "cast",
          .kind = ARG_TEXT,
          .to = &o->cast,
          .value = "PHRASE",
          .help = "draw a reference of this character first" },
        { .letter = 'n',
          .name = "latents",
          .kind = ARG_INT,
          .to = &o->latents,
          .min = 1,
          .max = 1000,
          .value = "N",
          .help = "latent frames [the pack's window]" },
        { .name = "width",
          .kind = ARG_INT,
          .to = &o->width,
          .min = 16,
          .max = 4096,
          .value = "PIXELS",
          .help = "[the pack's]" },
        { .name = "height",
          .kind = ARG_INT,
          .to = &o->height,
          .min = 16,
          .max = 4096,
          .value = "PIXELS",
          .help = "[the pack's]" },
        { .name = "steps",
          .kind = ARG_INT,
          .to = &o->steps,
          .min = 1,
          .max = 1000,
          .value = "N",
          .help = "[the pack's]" },
        { .name = "handoff",
          .kind = ARG_INT,
          .to = &o->handoff,
          .min = 0,
          .max = 999,
          .value = "N",
          .help = "steps of the anchor; 0: none [the pack's]" },
        { .name = "fps",
          .kind = ARG_INT,
          .to = &o->fps,
          .min = 1,
          .max = 240,
          .value = "N",
          .help = "of the video [24]" },
        { .name = "seed", .kind = ARG_UINT64, .to = &o->seed, .value = "N", .help = "[1]" },
        { .name = "whole", .kind = ARG_FLAG, .to = &o->whole, .help = "one range over the whole shot" },
        { .name = "times", .kind = ARG_FLAG, .to = &o->times, .help = "seconds per kernel" },
    };
    const struct arg_command command = {
        "shoot", "PACK", "One shot through all tasks of a worker.", options, sizeof options / sizeof *options, 1, 1
    };
    const char *operands[64];
    int operand_count;
    struct error err = { 0 };
    const enum args_result parsed =
        argc < 64 ? args_parse(&command, argc, argv, operands, &operand_count, &err) : ARGS_BAD;
    if (parsed != ARGS_OK) {
        if (parsed == ARGS_BAD)
            fprintf(stderr, "shoot: %s\n", err.text);
        return parsed == ARGS_HELP ? 0 : 2;
    }

    char store[1024], scratch[1024];
    struct exec *exec = NULL;
    if (!pack_defaults_load(&s.pack, operands[0], &err))
        goto fail;
    s.o.latents = s.o.latents ? s.o.latents : s.pack.window;
    s.o.width = s.o.width ? s.o.width : s.pack.width;
    s.o.height = s.o.height ? s.o.height : s.pack.height;
    s.o.steps = s.o.steps ? s.o.steps : s.pack.steps;
    s.o.handoff = s.o.handoff >= 0 ? s.o.handoff : s.pack.handoff_step;
    if (s.o.handoff >= s.o.steps)
        s.o.handoff = 0;
    if (!file_join(store, sizeof store, s.o.out, "blobs") || !file_join(scratch, sizeof scratch, s.o.out, "scratch") ||
        !file_make_dirs(store, 0700, &err) || !file_make_dirs(scratch, 0700, &err) ||
        !(s.blobs = store_dir_open(store, 0, &err)))
        goto fail;
    exec = s.o.device && strcmp(s.o.device, "ref") == 0
               ? exec_open_ref()
               : exec_open_vk(&(struct exec_options){ .device = s.o.device, .time_kernels = s.o.times }, &err);
    if (!exec)
        goto fail;
    s.run =
        (struct task_run){ .studio = studio_open(operands[0], exec, &err), .blobs = s.blobs, .scratch_dir = scratch };
    if (!s.run.studio)
        goto fail;
    printf("device: %s\n", exec_device_name(exec));
    shoot(&s);
    if (s.o.times)
        exec_print_times(exec);
    printf("peak of device memory: %.1f MB\n", (double)exec_bytes_peak(exec) / 1e6);
    studio_close(&s.run.studio);
    exec_close(&exec);
    store_dir_close(&s.blobs);
    return 0;
fail:
    fprintf(stderr, "shoot: %s\n", err.text);
    studio_close(&s.run.studio);
    if (exec)
        exec_close(&exec);
    store_dir_close(&s.blobs);
    return error_exit_code(&err);
}

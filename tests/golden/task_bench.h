/* task_bench - a worker without a farm: tasks of a small model with random weights, on the oracle or on a device. */
#ifndef SHOTLINE_TESTS_GOLDEN_TASK_BENCH_H
#define SHOTLINE_TESTS_GOLDEN_TASK_BENCH_H

#include "worker/tasks/studio.h"
#include "worker/tasks/task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

enum { WIDTH = 48, HEIGHT = 32, LATENTS = 5, STEPS = 4 };

struct bench {
    struct exec *exec;
    struct studio *studio;
    struct store_dir *blobs;
    struct task_run run;
    uint32_t steps_seen;
    atomic_bool cancel;
    uint32_t cancel_at; /* 0: never */
    bool lean;          /* tasks run in the lean profile */
    bool alone;         /* each begins with nothing on the device */
    bool falls_back;    /* what runs out of memory is done again lean, as the coordinator would have it */
    uint32_t fell_back; /* how often */
};

/* A blob that a task names; `blob` points into it. */
struct named {
    Shotline__Blob blob;
    struct digest digest;
};

/* What all denoise tasks of one shot need. */
struct script {
    struct named text, negative, identity;
    Shotline__Blob *identities[1];
    Shotline__DenoiseTask t;
};

/* The group's set-up and end: a folder with a pack in it. */
int bench_open_all(void **state);
int bench_remove_all(void **state);

/* A path in the group's folder; good until seven more were asked for. */
const char *bench_path(const char *name);
/* The goldens' VACE pipeline with a shotline.json of its own. */
void bench_pack(const char *to);
int bench_files(const char *dir);

void bench_open(struct bench *b, const char *store);                       /* on the oracle */
void bench_open_on(struct bench *b, const char *store, struct exec *exec); /* which goes with the bench */
void bench_close(struct bench *b);

/* Runs a task that must succeed and leave nothing behind in the scratch folder. */
struct task_outputs bench_execute(struct bench *b, Shotline__TaskSpec *spec);
void bench_embed(struct bench *b, const char *prompt, struct named *to);
/* A cast member of its phrase, or with `text` NULL of a picture. */
void bench_cast(struct bench *b, struct named *identity, const struct named *text, const struct named *negative,
                struct task_outputs *out);
void script_make(struct bench *b, struct script *s);
void bench_denoise(struct bench *b, const struct script *s, int first, int count, int from, int to,
                   const struct named *state, struct named *result);

struct shot_files {
    struct named latents, mezzanine, frames, thumbnail, scores, video;
};
/* Anchor, two windows, decode, stitch. */
void bench_shoot(struct bench *b, bool backwards, struct shot_files *files);

void name_digest(struct named *n, const struct digest *d);
void name_output(struct named *n, const struct task_outputs *out, const char *name);
void assert_same_blob(const struct named *a, const struct named *b);

#endif

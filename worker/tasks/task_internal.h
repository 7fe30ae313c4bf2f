/* task_internal - what the task_*.c files share: one function per kind, and blobs in and out. */
#ifndef SHOTLINE_WORKER_TASKS_TASK_INTERNAL_H
#define SHOTLINE_WORKER_TASKS_TASK_INTERNAL_H

#include "common/nn/safetensors.h"
#include "worker/gates/palette.h"
#include "worker/tasks/studio.h"
#include "worker/tasks/task.h"

bool task_text_run(const struct task_run *run, const Shotline__TextTask *t, struct task_outputs *out,
                   struct error *err);
bool task_cast_run(const struct task_run *run, const Shotline__CastTask *t, struct task_outputs *out,
                   struct error *err);
bool task_denoise_run(const struct task_run *run, const Shotline__DenoiseTask *t, struct task_outputs *out,
                      struct error *err);
bool task_decode_run(const struct task_run *run, const Shotline__DecodeTask *t, struct task_outputs *out,
                     struct error *err);
bool task_stitch_run(const struct task_run *run, const Shotline__StitchTask *t, struct task_outputs *out,
                     struct error *err);

enum { TASK_MAX_TEXT_ROWS = 4096 };

/* ERROR_INPUT "NAME is V, expected MIN to MAX". */
bool task_check(const char *name, int64_t v, int64_t min, int64_t max, struct error *err);
/* Width and height that the pack's models can draw: multiples of pack_size_multiple, at most 4096. */
bool task_check_size(const struct task_run *run, uint32_t width, uint32_t height, struct error *err);
/* A width or height as the pack's VAE sees it. */
int task_latents(const struct task_run *run, uint32_t pixels);
bool task_cancelled(const struct task_run *run, struct error *err); /* true with ERROR_CANCELLED set */
void task_progress(const struct task_run *run, uint32_t step, uint32_t steps);

/* ---- blobs in ---- */
bool task_digest(const Shotline__Blob *b, struct digest *d, struct error *err);
bool task_blob_path(const struct task_run *run, const Shotline__Blob *b, const char *what, char *path, size_t room,
                    struct error *err);
/* The whole blob, freed by the caller; NULL on failure. */
char *task_blob_read(const struct task_run *run, const Shotline__Blob *b, const char *what, size_t *size,
                     struct error *err);
/* F32 tensor `name` of a safetensors blob, whose dimensions must be those of *shape where they are not -1; *shape then
 * tells them all. Freed by the caller. */
float *task_blob_tensor(const struct task_run *run, const Shotline__Blob *b, const char *what, const char *name,
                        struct shape *shape, struct error *err);
/* The colours in an identity. */
bool task_blob_palette(const struct task_run *run, const Shotline__Blob *identity, struct palette *p,
                       struct error *err);

/* ---- blobs out ---- */
/* "SCRATCH/NAME": a file in the making. */
bool task_scratch(const struct task_run *run, const char *name, char *path, size_t room, struct error *err);
bool task_add_bytes(const struct task_run *run, struct task_outputs *out, const char *name, const void *data,
                    size_t size, struct error *err);
/* Adds the file and removes it, also on failure. */
bool task_add_file(const struct task_run *run, struct task_outputs *out, const char *name, const char *path,
                   struct error *err);
bool task_add_tensors(const struct task_run *run, struct task_outputs *out, const char *name,
                      const struct weight *tensors, size_t count, struct error *err);

#endif

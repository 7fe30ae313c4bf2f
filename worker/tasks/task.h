/* task - what the runner asks of the code that computes: one task spec in, named blobs out. Each kind has a file:
 * task_text.c ... task_stitch.c.
 *
 * A task is a pure function: the outputs depend on the spec and on the blobs that it names, and on nothing else. */
#ifndef SHOTLINE_WORKER_TASKS_TASK_H
#define SHOTLINE_WORKER_TASKS_TASK_H

#include "common/base/error.h"
#include "common/nn/exec.h"
#include "common/nn/pack.h"
#include "common/wire/store_dir.h"
#include "proto/types.pb-c.h"

#include <stdatomic.h>

/* The models of one pack on one device, opened on first use and kept. */
struct studio;
/* pack_dir is complete and checked (pack_check_files). The executor is borrowed. */
struct studio *studio_open(const char *pack_dir, struct exec *exec, struct error *err);
void studio_close(struct studio **s);

#define TASK_MAX_OUTPUTS 8
struct task_output {
    const char *name; /* a literal */
    struct digest digest;
    int64_t bytes;
};

struct task_run {
    struct studio *studio;
    struct store_dir *blobs;   /* inputs are already here; outputs are added here */
    const char *scratch_dir;   /* for files in the making */
    const atomic_bool *cancel; /* checked between steps and frames: ERROR_CANCELLED */
    void (*progress)(void *context, uint32_t step, uint32_t steps);
    /* Between the steps of a long denoising: whether its solver state should be saved now, and that it is in `blobs`,
     * `step` steps behind it. A task whose spec names that state and step instead ends in the same bytes. NULL: never.
     */
    bool (*save_now)(void *context);
    void (*saved)(void *context, uint32_t step, const struct task_output *state);
    void *context;
};

struct task_outputs {
    struct task_output output[TASK_MAX_OUTPUTS];
    size_t count;
};

/* Runs one task of any kind. The error kind decides what the farm does: ERROR_MEMORY, ERROR_INPUT, ERROR_CANCELLED,
 * ERROR_IO, ERROR_DEVICE. */
bool task_execute(const struct task_run *run, const Shotline__TaskSpec *spec, struct task_outputs *out,
                  struct error *err);

/* The digests of all blobs that a spec names; returns their number (at most `room`). */
size_t task_inputs(const Shotline__TaskSpec *spec, struct digest *inputs, size_t room);

#endif

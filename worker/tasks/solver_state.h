/* solver_state - a sampler's state of a window of a shot, as a blob: what an anchor hands to its ranges, and a
 * checkpoint of a long task.
 *
 * The blob is a safetensors file. Its frames are the shot's reference slots first, then the window's latents:
 *   about                       [8] I64: format 1, references, first (absolute index of the window's first latent),
 * step, order, kept, 0, 0 sample                      [channels, references + window, height, width] F32 last_sample,
 * x0.0, x0.1     the same shape, as far as `kept` says that they are there The same state gives the same bytes. Any
 * bytes may be parsed: what is no whole state of this form is ERROR_INPUT. */
#ifndef SHOTLINE_WORKER_TASKS_SOLVER_STATE_H
#define SHOTLINE_WORKER_TASKS_SOLVER_STATE_H

#include "worker/models/sampler.h"

#include <stddef.h>

#define SOLVER_MAX_REFERENCES 16
#define SOLVER_MAX_FRAMES     4096

struct solver_state {
    struct sampler_state sampler; /* frames: references + window */
    int references;
    int first;
};

int solver_state_window(const struct solver_state *s); /* latents of the window */

bool solver_state_write(const struct solver_state *s, const char *path, struct error *err);
/* `where` names the bytes in messages. `to` is filled only on success. */
bool solver_state_parse(struct solver_state *to, const void *bytes, size_t size, const char *where, struct error *err);

/* The state of latents [first, first + count), absolute, with all reference slots; ERROR_INPUT when `from` does not
 * have them. */
bool solver_state_slice(struct solver_state *to, const struct solver_state *from, int first, int count,
                        struct error *err);

void solver_state_free(struct solver_state *s);

#endif

/* compile - a plan to the task graph that makes its video. Pure.
 *
 * What it decides hangs on the plan, the pack and the campaign alone, never on who is online: so more workers change
 * the time and not a byte. */
#ifndef SHOTLINE_COORDINATOR_CORE_COMPILE_H
#define SHOTLINE_COORDINATOR_CORE_COMPILE_H

#include "common/base/error.h"
#include "common/nn/pack.h"
#include "coordinator/core/job.h"
#include "coordinator/plan/plan.h"

struct compile_input {
    const struct pack_defaults *pack;
    const struct grammar *grammar;
    const struct plan *plan;
};

/* Fills the video's shots, tasks (without ids; in topological order, the stitch last) and graph digest. On failure,
 * with *err naming the shot, it has none. */
bool compile_video(struct video *v, const struct compile_input *in, struct error *err);

/* The windows of a shot of `frames` latents: at most `window` each, neighbours share `overlap`, all about the same
 * size. Returns their number (one: no split); `to` has room for `frames`. */
size_t compile_windows(int frames, int window, int overlap, struct decode_range *to);

/* Latents of a shot of so many frames: stride * (n - 1) + 1 frames are made of n, where the stride is the VAE's in
 * time. */
int compile_latents(int frames, int time_stride);

#endif

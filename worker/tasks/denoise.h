/* denoise - the steps of a sampler over a window of a shot: what anchors, ranges and drawn cast members have in common.
 */
#ifndef SHOTLINE_WORKER_TASKS_DENOISE_H
#define SHOTLINE_WORKER_TASKS_DENOISE_H

#include "worker/tasks/solver_state.h"
#include "worker/tasks/task.h"

struct denoise {
    const float *text, *negative; /* [text_rows, text_width]; negative may be NULL when guidance_scale is 1 */
    int text_rows, text_width;
    const float *const *references; /* normalised latents [channels, height, width] in the order in which they stand in
                                       time; as many as the state has slots */
    int latent_frames;              /* of the whole shot */
    int steps, step_to;
    double guidance_scale;
    bool resumable; /* its state may be saved between steps, when the run wants that */
};

/* Takes `s` from its step to step_to. Nothing else is given to the painter: no frames, and the references as VACE wants
 * them. Cancel and progress between steps. */
bool denoise_run(const struct task_run *run, const struct denoise *d, struct solver_state *s, struct error *err);

#endif

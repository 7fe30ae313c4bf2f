/* sampler - flow matching on the host: UniPC (bh2) and Euler, one step at a time.
 *
 * Coefficients are computed in double by portable functions and rounded once; elements in f32 in a fixed order. All
 * that denoising needs to go on is struct sampler_state, a plain struct: it can be copied, packed, cut by latent frame,
 * and continued by another worker with the same bits, since a step treats every element alike. */
#ifndef SHOTLINE_WORKER_MODELS_SAMPLER_H
#define SHOTLINE_WORKER_MODELS_SAMPLER_H

#include "common/base/error.h"

#include <stdint.h>

enum sampler_kind { SAMPLER_UNIPC, SAMPLER_EULER };

struct sampler_config {
    enum sampler_kind kind;
    double shift;        /* flow_shift (UniPC), shift (Euler) */
    int train_timesteps; /* 1000 */
    int order;           /* UniPC: 1 or 2 */
    bool lower_order_final;
};

/* Reads DIR/scheduler_config.json: UniPCMultistepScheduler or FlowMatchEulerDiscreteScheduler with flow sigmas; any
 * other class or option that would change the result is refused by name. */
bool sampler_config_load(struct sampler_config *c, const char *dir, struct error *err);

#define SAMPLER_MAX_STEPS 1000

/* The noise levels of one run. */
struct schedule {
    struct sampler_config config;
    int steps;
    float *sigmas;    /* [steps + 1], the last is 0 */
    float *timesteps; /* [steps], what the painter is told; whole numbers with UniPC */
};

bool schedule_make(struct schedule *s, const struct sampler_config *c, int steps, struct error *err);
void schedule_free(struct schedule *s);

/* [channels, frames, height, width] arrays, owned by the struct; NULL where the fields below say so. */
struct sampler_state {
    int channels, frames, height, width;
    int step;           /* steps done; the next one is this */
    int order;          /* UniPC: the order of the last prediction (1 or 2), 0 before the first */
    int kept;           /* how many of x0 are there: 0, 1 or 2 */
    float *sample;      /* where denoising stands */
    float *last_sample; /* UniPC: the (corrected) sample of the step before; NULL when kept == 0 */
    float *x0[2];       /* UniPC: predictions of the clean latents, x0[0] the newest; NULL when not kept */
};

int64_t sampler_state_count(const struct sampler_state *s); /* elements of one array */

/* Starts from noise (copied). */
void sampler_state_init(struct sampler_state *s, int channels, int frames, int height, int width, const float *noise);
void sampler_state_free(struct sampler_state *s);

/* `to` becomes the state of the frames listed: to's frame i is from's frame index[i]. Bookkeeping is copied. `to` must
 * be empty (zeroed) or freed. */
void sampler_state_pick(struct sampler_state *to, const struct sampler_state *from, const int32_t *index, int count);

/* One step: the painter's flow at timesteps[s->step] for s->sample; s->step grows by one. After the last step s->sample
 * holds the latents. */
bool sampler_step(const struct schedule *c, struct sampler_state *s, const float *flow, struct error *err);

#endif

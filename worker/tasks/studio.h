/* studio - the models of one pack on one device: opened on first use, kept for the next task.
 *
 * In the lean profile a task begins with nothing on the device and holds one model at a time, whose weights are brought
 * there in each run anew. Results do not depend on it. */
#ifndef SHOTLINE_WORKER_TASKS_STUDIO_H
#define SHOTLINE_WORKER_TASKS_STUDIO_H

#include "common/nn/tokenizer.h"
#include "worker/models/dit.h"
#include "worker/models/sampler.h"
#include "worker/tasks/task.h"
#include "worker/models/text_encoder.h"
#include "worker/models/vae.h"

const struct pack_defaults *studio_defaults(const struct studio *s);

/* Each is NULL on failure, and good until the next call for another model. */
struct tokenizer *studio_tokenizer(struct studio *s, struct error *err);
struct text_encoder *studio_text_encoder(struct studio *s, struct error *err);
struct dit *studio_dit(struct studio *s, struct error *err);
struct vae *studio_vae(struct studio *s, struct error *err);
const struct sampler_config *studio_sampler(struct studio *s, struct error *err);

/* The control latents of a shot for which nothing is given, [channels, frames, height, width] of latents:
 * they do not depend on the shot, so they are kept. Longer ones begin with the shorter ones (the encoder is causal);
 * *frames_kept says how many there are, at least `frames`. `channels` is what the painter reads. */
const float *studio_empty_control(struct studio *s, int channels, int frames, int height, int width, int *frames_kept,
                                  struct error *err);

/* Before each task: how its models use device memory. Says whether models of earlier tasks are still on the device. */
bool studio_enter(struct studio *s, bool lean);
void studio_clear(struct studio *s); /* closes all models */

#endif

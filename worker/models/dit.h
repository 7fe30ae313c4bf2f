/* dit - the painter: WanTransformer3DModel and WanVACETransformer3DModel in one code path.
 *
 * One forward pass predicts the flow (noise - picture) of a latent video. Programs for different shapes share the
 * weights and are kept, by shape, inside. */
#ifndef SHOTLINE_WORKER_MODELS_DIT_H
#define SHOTLINE_WORKER_MODELS_DIT_H

#include "common/nn/exec.h"

struct dit;

struct dit_info {
    bool vace;            /* takes control latents */
    int channels;         /* of the latents it reads */
    int out_channels;     /* of the flow it predicts */
    int patch[3];         /* t, h, w: latent frames, height and width must be multiples */
    int text_width;       /* columns of the text embedding */
    int control_channels; /* VACE: inactive | reactive | mask; 0 otherwise */
    int control_layers;   /* VACE: how many scales; 0 otherwise */
    int layers, width, heads;
    int max_positions; /* RoPE positions are below this */
};

/* Loads DIR/config.json and DIR/diffusion_pytorch_model*.safetensors and checks every tensor's shape. The executor is
 * borrowed. */
struct dit *dit_open(const char *dir, struct exec *x, bool taps, struct error *err);
void dit_close(struct dit **d);
const struct dit_info *dit_info(const struct dit *d);

struct dit_call {
    /* shape: a program is built for each new one */
    int frames, height, width; /* of the latents, references included */
    int text_rows;
    int control_frames; /* VACE; fewer than `frames`: zero tokens stand in for the rest; 0: no control at all */

    const float *latents;       /* [channels, frames, height, width] */
    const int32_t *positions;   /* [frames / patch[0]] RoPE position of each latent frame, so that a window keeps the
                                 * shot's: references 0..R-1, then   R + absolute index. NULL: 0, 1, 2... */
    const float *timesteps;     /* [timestep_count], 0..1000 */
    int timestep_count;         /* 1, or one per token (t, h, w order) as Wan 2.2 TI2V does */
    const float *text;          /* [text_rows, text_width] */
    const float *control;       /* [control_channels, control_frames, height, width] */
    const float *control_scale; /* [control_layers]; NULL: all 1 */
};

/* out[out_channels, frames, height, width]: the predicted flow. */
bool dit_run(struct dit *d, const struct dit_call *c, float *out, struct error *err);

/* Guidance: the flow of `c`, or with `negative` ([text_rows, text_width]) and scale != 1: uncond + scale * (cond -
 * uncond), in this order, f32. */
bool dit_run_guided(struct dit *d, const struct dit_call *c, const float *negative, float scale, float *out,
                    struct error *err);

/* An inner value of the last dit_run: "blocks.0.attn1_out". Freed by the caller; NULL when there is none. */
float *dit_tap(struct dit *d, const char *name, struct shape *shape, struct error *err);

#endif

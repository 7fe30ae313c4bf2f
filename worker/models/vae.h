/* vae - AutoencoderKLWan: pictures to latents and back, streaming: memory does not grow with the length of a clip.
 *
 * A clip of F = 4n+1 frames has n+1 latent frames: the first stands for frame 0 alone, each later one for four frames.
 * Where the config sets `patch_size`, 2 x 2 pixels are folded into channels before the encoder and out of them after
 * the decoder. The residual coders of Wan 2.2 (`is_residual`) are refused. Coders keep their causal cache on the device
 * from push to push; several may live at once (each has its own cache), one at a time is the usual case.
 *
 * Pictures are RGB f32 [frames, H, W, 3] in [-1, 1]. Latents are normalised ((mean - latents_mean) / latents_std), the
 * space in which the painter works. 4 stands for vae_info.time_factor here and 8 for space_factor: the strides of Wan
 * 2.1; others are taken from the config alike. */
#ifndef SHOTLINE_WORKER_MODELS_VAE_H
#define SHOTLINE_WORKER_MODELS_VAE_H

#include "common/nn/exec.h"

struct vae;

struct vae_info {
    int channels;            /* of the latents */
    int time_factor;         /* frames of a later latent frame */
    int space_factor;        /* pixels on the side of a latent, patches included */
    const float *mean, *std; /* [channels] */
};

/* Loads DIR/config.json and DIR/diffusion_pytorch_model*.safetensors and checks every tensor's shape. The executor is
 * borrowed. */
struct vae *vae_open(const char *dir, struct exec *x, bool taps, struct error *err);
void vae_close(struct vae **v); /* its coders must be closed first */
const struct vae_info *vae_info(const struct vae *v);

int vae_latent_frames(const struct vae *v, int frames); /* 4n+1 -> n+1 */
int vae_video_frames(const struct vae *v, int latent_frames);

/* ---- decoding ---- */
struct vae_decoder;
/* Of one clip, for latents of `height` x `width`. */
struct vae_decoder *vae_decoder_open(struct vae *v, int height, int width, struct error *err);
void vae_decoder_close(struct vae_decoder **d);
/* The next latent frame, [channels, height, width] normalised -> *count = 1 (the first) or 4 pictures in frames[*count,
 * 8*height, 8*width, 3]; the array must have room for 4. Values are clamped to [-1, 1]. */
bool vae_decoder_push(struct vae_decoder *d, const float *latent, float *frames, int *count, struct error *err);
/* The same for a latent that is not normalised. */
bool vae_decoder_push_raw(struct vae_decoder *d, const float *latent, float *frames, int *count, struct error *err);

/* ---- encoding ---- */
struct vae_encoder;
/* For pictures of `height` x `width` pixels, multiples of 8. */
struct vae_encoder *vae_encoder_open(struct vae *v, int height, int width, struct error *err);
void vae_encoder_close(struct vae_encoder **e);
/* The next pictures: 1 at the start of a clip, then 4 at a time: frames[n, height, width, 3] -> latent[channels, height
 * / 8, width / 8] normalised. */
bool vae_encoder_push(struct vae_encoder *e, const float *frames, float *latent, struct error *err);
int vae_encoder_wants(const struct vae_encoder *e); /* how many pictures the next push takes: 1 or 4 */
/* Of the last push, not normalised: mean and log variance, each [channels, height / 8, width / 8]; either may be NULL.
 */
void vae_encoder_moments(const struct vae_encoder *e, float *mean, float *logvar);

/* ---- whole clips ---- */
/* latents[channels, latent_frames, height, width] normalised -> frames[vae_video_frames, 8*height, 8*width, 3] */
bool vae_decode(struct vae *v, const float *latents, int latent_frames, int height, int width, float *frames,
                struct error *err);
/* frames[count, height, width, 3], count = 4n+1 -> latents[channels, n+1, height / 8, width / 8] normalised */
bool vae_encode(struct vae *v, const float *frames, int count, int height, int width, float *latents,
                struct error *err);

/* An inner value of the coder's last push: "dec.mid_block". Freed by the caller; NULL when there is none. */
float *vae_decoder_tap(struct vae_decoder *d, const char *name, struct shape *shape, struct error *err);
float *vae_encoder_tap(struct vae_encoder *e, const char *name, struct shape *shape, struct error *err);

#endif

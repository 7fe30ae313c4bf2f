/* vace - the control latents of WanVACEPipeline: what the painter is shown besides text.
 *
 * Channels: inactive (what is kept) | reactive (what is to be painted) | mask, 8 x 8 pixels of it per latent pixel.
 * References stand in front in time. */
#ifndef SHOTLINE_WORKER_MODELS_VACE_H
#define SHOTLINE_WORKER_MODELS_VACE_H

#include "worker/models/vae.h"

struct vace_source {
    int frames, height, width;      /* pixels; frames = 4n+1, height and width multiples of 16 */
    const float *video;             /* [frames, height, width, 3] in [-1, 1]; NULL: nothing is given (zeros) */
    const float *mask;              /* [frames, height, width] in [0, 1], above 0.5 is painted; NULL: all is painted */
    const float *const *references; /* each a normalised latent [channels, height / 8, width / 8], in the order in which
                                     * they shall stand in time (diffusers puts the last reference first) */
    int reference_count;
};

/* Channels of the control latents for this VAE: 2 * channels + 8 * 8. */
int vace_control_channels(const struct vae *v);

/* -> control[vace_control_channels, reference_count + n + 1, height / 8, width / 8] */
bool vace_control(struct vae *v, const struct vace_source *s, float *control, struct error *err);

/* Mask alone: mask[frames, height, width] -> packed[64, latent_frames, height / 8, width / 8]; latent frame k takes
 * frame floor((k + 0.5) * frames / latent_frames) (nearest-exact: of 4n+1 frames the first and the last are never
 * looked at, as in the reference). */
void vace_pack_mask(const struct vae *v, const float *mask, int frames, int height, int width, float *packed);

/* Fits an image into a white canvas: scaled by bilinear interpolation (half-pixel centres, no antialias), centred.
 * image[height, width, 3] in [-1, 1] -> canvas[to_height, to_width, 3]. */
void vace_letterbox(const float *image, int height, int width, float *canvas, int to_height, int to_width);

/* Letterbox, then encode as a clip of one frame: latent[channels, to_height / 8, to_width / 8], normalised: an identity
 * latent. */
bool vace_reference(struct vae *v, const float *image, int height, int width, int to_height, int to_width,
                    float *latent, struct error *err);

#endif

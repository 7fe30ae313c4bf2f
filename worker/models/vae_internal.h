/* vae_internal - a VAE's configuration and tensors: filled by vae_load.c, read by vae.c, which builds the graphs. */
#ifndef SHOTLINE_WORKER_MODELS_VAE_INTERNAL_H
#define SHOTLINE_WORKER_MODELS_VAE_INTERNAL_H

#include "common/nn/pack.h"
#include "worker/models/bind.h"
#include "worker/models/vae.h"

enum { VAE_MAX_LEVELS = PACK_VAE_MAX_LEVELS, VAE_MAX_RES_BLOCKS = 8, VAE_MAX_CHANNELS = 4096, RGB = 3 };

struct vae_config {
    struct vae_info info;
    int base, decoder_base, levels, res_blocks;
    int patch, pixel_channels; /* patch x patch pixels are folded into RGB * patch * patch channels */
    int mult[VAE_MAX_LEVELS];
    bool time_down[VAE_MAX_LEVELS]; /* [levels - 1] */
    float mean[VAE_MAX_CHANNELS], std[VAE_MAX_CHANNELS];
};

struct res_weights {
    const struct weight *norm1, *norm2;
    struct bound_layer conv1, conv2, shortcut; /* shortcut.w is NULL when the channels stay */
};

struct resample_weights {
    struct bound_layer conv, time; /* time.w is NULL when the frame rate stays */
};

struct mid_weights {
    struct res_weights res[2];
    const struct weight *norm;
    struct bound_layer qkv, proj;
};

/* One level of a coder: its residual blocks, then its change of size (none at the last level). */
struct level_weights {
    struct res_weights res[VAE_MAX_RES_BLOCKS + 1];
    struct resample_weights resample;
};

struct coder_weights {
    struct bound_layer conv_in, conv_out, quant; /* quant: quant_conv or post_quant_conv */
    struct mid_weights mid;
    const struct weight *norm_out;
    struct level_weights level[VAE_MAX_LEVELS];
};

struct vae {
    struct vae_config config;
    struct exec *exec;
    struct weights *weights;
    struct coder_weights encoder, decoder;
    bool taps;
};

#endif

/* dit_internal - the painter's configuration, tensors and programs: loaded by dit_load.c, put to work by dit.c. */
#ifndef SHOTLINE_WORKER_MODELS_DIT_INTERNAL_H
#define SHOTLINE_WORKER_MODELS_DIT_INTERNAL_H

#include "worker/models/bind.h"
#include "worker/models/dit.h"
#include "worker/models/taps.h"

enum { DIT_MAX_LAYERS = 1024, DIT_PROGRAMS = 6 };

struct dit_config {
    struct dit_info info;
    int head_dim, ffn_dim, freq_dim;
    float eps;
    bool cross_norm;
    int *vace_layers; /* [control_layers] */
};

struct attention_weights {
    struct bound_layer q, k, v, out;
    const struct weight *norm_q, *norm_k;
};

struct block_weights {
    const struct weight *table; /* [1, 6, width] */
    struct attention_weights self, cross;
    struct bound_layer norm2, up, down;
    struct bound_layer proj_in, proj_out; /* VACE blocks; proj_in of the first alone */
};

/* A graph made ready for one shape. */
struct dit_program {
    struct dit_call shape; /* its pointers are NULL */
    int64_t tokens, control_tokens;
    struct program *program;
    value latents, cos, sin, sinusoid, text, control, padding, scale, out;
    struct taps taps;
    int64_t used; /* larger: more recently */
};

struct dit {
    struct dit_config config;
    struct exec *exec;
    struct weights *weights;
    struct bound_layer patch, vace_patch, time1, time2, time_proj, text1, text2, proj_out;
    const struct weight *table; /* [1, 2, width] */
    struct block_weights *block, *vace_block;
    struct dit_program program[DIT_PROGRAMS];
    struct dit_program *last;
    int64_t runs;
    bool taps;
};

/* Frees a program and forgets its shape. */
void dit_program_drop(struct dit_program *p);

#endif

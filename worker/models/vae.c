#include "worker/models/vae.h"

#include "common/base/arena.h"
#include "common/nn/ops.h"
#include "worker/models/taps.h"
#include "worker/models/vae_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the graphs: one for the first group of a clip, one for all later groups; they share the causal caches ---- */

struct build {
    struct graph *g;
    struct taps *taps;
    bool first;
    int slot;       /* the next cache: both graphs count alike */
    value last_row; /* input [1] that holds 1: where a single first frame goes in a cache of two */
};

static value conv(struct build *b, value x, const struct bound_layer *l, const struct conv *c)
{
    return op_conv(b->g, x, graph_weight(b->g, l->w), graph_weight(b->g, l->b), c);
}

/* A convolution over 3 frames that sees the past alone; `pad` pixels of zeros around. Its cache is the last two input
 * frames, zeros before the clip. */
static value causal_conv(struct build *b, value x, const struct bound_layer *l, int pad)
{
    struct shape s = graph_shape(b->g, x), cache = s;
    cache.dim[0] = 2;
    value past = graph_state(b->g, b->slot++, cache);
    if (b->first) { /* nothing but zeros before its one frame: no need to read them */
        op_store(b->g, past, x, b->last_row);
        return conv(b, x, l, &(struct conv){ .pad_before = { 2, pad, pad }, .pad_after = { 0, pad, pad } });
    }
    value all = op_concat_rows(b->g, past, x);
    op_store(b->g, past, op_slice_rows(b->g, all, s.dim[0], 2), VALUE_NONE);
    return conv(b, all, l, &(struct conv){ .pad_before = { 0, pad, pad }, .pad_after = { 0, pad, pad } });
}

static value res_block(struct build *b, value x, const struct res_weights *w)
{
    value h = op_channel_norm(b->g, x, graph_weight(b->g, w->norm1), ACT_SILU);
    h = causal_conv(b, h, &w->conv1, 1);
    h = op_channel_norm(b->g, h, graph_weight(b->g, w->norm2), ACT_SILU);
    h = causal_conv(b, h, &w->conv2, 1);
    return op_add(b->g, h, w->shortcut.w ? conv(b, x, &w->shortcut, &(struct conv){ 0 }) : x);
}

/* Attention among the pixels of one frame; a group has one frame here. */
static value mid_attention(struct build *b, value x, const struct mid_weights *w)
{
    struct shape s = graph_shape(b->g, x);
    int64_t pixels = s.dim[1] * s.dim[2], dim = s.dim[3];
    if (s.dim[0] != 1)
        return graph_fail(b->g, ERROR_INTERNAL, "%lld frames at once in the middle of the VAE", (long long)s.dim[0]);
    value h = op_channel_norm(b->g, x, graph_weight(b->g, w->norm), ACT_NONE);
    h = op_reshape(b->g, h, SHAPE(pixels, dim));
    h = op_linear(b->g, h, graph_weight(b->g, w->qkv.w), graph_weight(b->g, w->qkv.b), ACT_NONE);
    h = op_attention(b->g, op_slice_cols(b->g, h, 0, dim), op_slice_cols(b->g, h, dim, dim),
                     op_slice_cols(b->g, h, 2 * dim, dim),
                     &(struct attention){ .heads = 1, .kv_heads = 1, .scale = (float)(1.0 / sqrt((double)dim)) });
    h = op_linear(b->g, h, graph_weight(b->g, w->proj.w), graph_weight(b->g, w->proj.b), ACT_NONE);
    return op_add(b->g, x, op_reshape(b->g, h, s));
}

static value mid_block(struct build *b, value x, const struct mid_weights *w)
{
    x = res_block(b, x, &w->res[0]);
    x = mid_attention(b, x, w);
    return res_block(b, x, &w->res[1]);
}

/* Twice the size and, unless this is the first group, twice the frames. */
static value upsample(struct build *b, value x, const struct resample_weights *w)
{
    if (w->time.w && b->first)
        b->slot++;
    else if (w->time.w)
        x = op_interleave_time(b->g, causal_conv(b, x, &w->time, 0));
    return conv(b, x, &w->conv,
                &(struct conv){ .pad_before = { 0, 1, 1 }, .pad_after = { 0, 1, 1 }, .upsample2 = true });
}

/* Half the size and, unless this is the first group, half the frames. The cache is the last frame. */
static value downsample(struct build *b, value x, const struct resample_weights *w)
{
    x = conv(b, x, &w->conv, &(struct conv){ .stride = { 1, 2, 2 }, .pad_after = { 0, 1, 1 } });
    if (!w->time.w)
        return x;
    struct shape s = graph_shape(b->g, x), cache = s;
    cache.dim[0] = 1;
    value past = graph_state(b->g, b->slot++, cache);
    op_store(b->g, past, op_slice_rows(b->g, x, s.dim[0] - 1, 1), VALUE_NONE);
    if (b->first)
        return x;
    return conv(b, op_concat_rows(b->g, past, x), &w->time, &(struct conv){ .stride = { 2, 1, 1 } });
}

static value head(struct build *b, value x, const struct coder_weights *w)
{
    x = op_channel_norm(b->g, x, graph_weight(b->g, w->norm_out), ACT_SILU);
    return causal_conv(b, x, &w->conv_out, 1);
}

/* latent [1, h, w, channels] -> folded pictures [1 or time_factor, H / patch, W / patch, pixel_channels] */
static value decoder_graph(struct build *b, const struct vae *v, value x)
{
    const struct coder_weights *w = &v->decoder;

    graph_enter(b->g, "decoder");
    x = taps_name(b->taps, b->g, conv(b, x, &w->quant, &(struct conv){ 0 }), "dec.post_quant_conv");
    x = taps_name(b->taps, b->g, causal_conv(b, x, &w->conv_in, 1), "dec.conv_in");
    x = taps_name(b->taps, b->g, mid_block(b, x, &w->mid), "dec.mid_block");
    for (int i = 0; i < v->config.levels; i++) {
        graph_enter(b->g, "up_blocks.%d", i);
        for (int k = 0; k <= v->config.res_blocks; k++)
            x = res_block(b, x, &w->level[i].res[k]);
        if (i < v->config.levels - 1)
            x = upsample(b, x, &w->level[i].resample);
        taps_name(b->taps, b->g, x, "dec.up_blocks.%d", i);
        graph_leave(b->g);
    }
    x = taps_name(b->taps, b->g, head(b, x, w), "dec.conv_out_preclamp");
    graph_leave(b->g);
    return op_clamp(b->g, x, -1.0f, 1.0f);
}

/* folded pictures [1 or time_factor, H / patch, W / patch, pixel_channels] -> mean and log variance [1, h, w, 2 *
 * channels] */
static value encoder_graph(struct build *b, const struct vae *v, value x)
{
    const struct coder_weights *w = &v->encoder;
    int flat = 0;

    graph_enter(b->g, "encoder");
    x = taps_name(b->taps, b->g, causal_conv(b, x, &w->conv_in, 1), "enc.conv_in");
    for (int i = 0; i < v->config.levels; i++) {
        graph_enter(b->g, "level %d", i);
        for (int k = 0; k < v->config.res_blocks; k++)
            x = taps_name(b->taps, b->g, res_block(b, x, &w->level[i].res[k]), "enc.down_blocks.%d", flat++);
        if (i < v->config.levels - 1)
            x = taps_name(b->taps, b->g, downsample(b, x, &w->level[i].resample), "enc.down_blocks.%d", flat++);
        graph_leave(b->g);
    }
    x = taps_name(b->taps, b->g, mid_block(b, x, &w->mid), "enc.mid_block");
    x = taps_name(b->taps, b->g, head(b, x, w), "enc.conv_out");
    graph_leave(b->g);
    return conv(b, x, &w->quant, &(struct conv){ 0 });
}

/* ---- folding: patch x patch pixels as channels ---- */

/* Pixel (q, r) of its patch (row, column), colour c, is channel (c * patch + r) * patch + q: columns come before rows,
 * as in the published code. */
static int folded_channel(int patch, int q, int r, int colour)
{
    return (colour * patch + r) * patch + q;
}

/* frames[count, height, width, 3] <-> folded[count, height / patch, width / patch, 3 * patch * patch] */
static void fold(const float *frames, int count, int height, int width, int patch, float *folded)
{
    for (int64_t y = 0; y < (int64_t)count * height; y++)
        for (int x = 0; x < width; x++, frames += RGB) {
            float *to = folded + ((y / patch) * (width / patch) + x / patch) * RGB * patch * patch;
            for (int c = 0; c < RGB; c++)
                to[folded_channel(patch, (int)(y % patch), x % patch, c)] = frames[c];
        }
}

static void unfold(const float *folded, int count, int height, int width, int patch, float *frames)
{
    for (int64_t y = 0; y < (int64_t)count * height; y++)
        for (int x = 0; x < width; x++, frames += RGB) {
            const float *from = folded + ((y / patch) * (width / patch) + x / patch) * RGB * patch * patch;
            for (int c = 0; c < RGB; c++)
                frames[c] = from[folded_channel(patch, (int)(y % patch), x % patch, c)];
        }
}

/* ---- coders ---- */

/* What a decoder and an encoder have in common: two programs over one set of caches. */
struct coder {
    struct vae *v;
    int height, width; /* of the latents */
    struct states *states;
    struct coder_program {
        struct program *program;
        value in, out;
        struct taps taps;
        int64_t in_count, out_count;
    } program[2];    /* first group, later groups */
    bool started;    /* the first group is done */
    int last;        /* the program of the last push */
    float *in, *out; /* of the larger program */
};

typedef value coder_graph(struct build *b, const struct vae *v, value x);

static bool coder_build(struct coder *c, int which, struct shape in, coder_graph *make, struct error *err)
{
    struct coder_program *p = &c->program[which];
    struct build b = { .g = graph_new(), .taps = &p->taps, .first = which == 0 };
    const float one = 1.0f;

    p->taps.wanted = c->v->taps;
    if (b.first)
        b.last_row = graph_input(b.g, "last row", SHAPE(1));
    p->in = graph_input(b.g, "input", in);
    p->out = make(&b, c->v, p->in);
    graph_output(b.g, p->out);
    p->program = program_new(c->v->exec, b.g, c->states, err);
    if (p->program) {
        struct shape out = graph_shape(b.g, p->out);
        p->in_count = shape_count(&in);
        p->out_count = shape_count(&out);
    }
    graph_free(&b.g);
    return p->program && (!b.first || program_write(p->program, b.last_row, &one, 1, err));
}

static void coder_close(struct coder *c)
{
    for (int i = 0; i < 2; i++) {
        program_free(&c->program[i].program);
        taps_free(&c->program[i].taps);
    }
    states_close(&c->states);
    free(c->in);
    free(c->out);
}

static bool coder_open(struct coder *c, struct vae *v, int height, int width, struct shape first, struct shape later,
                       coder_graph *make, struct error *err)
{
    c->v = v;
    c->height = height;
    c->width = width;
    c->states = states_open(v->exec);
    if (!coder_build(c, 0, first, make, err) || !coder_build(c, 1, later, make, err))
        return error_wrap(err, "VAE for %d x %d latents", height, width);
    c->in = xmalloc((size_t)c->program[1].in_count * sizeof *c->in);
    c->out = xmalloc((size_t)c->program[1].out_count * sizeof *c->out);
    return true;
}

/* Runs c->in (or `in`) through the next program; its result goes to `out`. */
static bool coder_push(struct coder *c, const float *in, float *out, struct error *err)
{
    c->last = c->started ? 1 : 0;
    struct coder_program *p = &c->program[c->last];
    c->started = true;
    if (program_write(p->program, p->in, in, p->in_count, err) && program_run(p->program, err) &&
        program_read(p->program, p->out, out, p->out_count, err))
        return true;
    return error_wrap(err, "VAE");
}

static bool check_size(int height, int width, int multiple, const char *what, struct error *err)
{
    if (height >= multiple && width >= multiple && height % multiple == 0 && width % multiple == 0)
        return true;
    return error_set(err, ERROR_INPUT, "VAE: %s of %d x %d, expected positive multiples of %d", what, width, height,
                     multiple);
}

struct vae_decoder {
    struct coder coder;
};

struct vae_decoder *vae_decoder_open(struct vae *v, int height, int width, struct error *err)
{
    struct shape in = SHAPE(1, height, width, v->config.info.channels);
    if (!check_size(height, width, 1, "latents", err))
        return NULL;
    struct vae_decoder *d = xcalloc(1, sizeof *d);
    if (!coder_open(&d->coder, v, height, width, in, in, decoder_graph, err))
        vae_decoder_close(&d);
    return d;
}

void vae_decoder_close(struct vae_decoder **d)
{
    if (*d)
        coder_close(&(*d)->coder);
    free(*d);
    *d = NULL;
}

/* [channels, pixels] -> [pixels, channels], each channel times scale[c] plus shift[c] (NULL: as it is). */
static void channels_last(const float *from, int channels, int64_t pixels, const float *scale, const float *shift,
                          float *to)
{
    for (int c = 0; c < channels; c++)
        for (int64_t p = 0; p < pixels; p++) {
            float v = from[c * pixels + p];
            if (scale) {
                v = v * scale[c];
                v = v + shift[c];
            }
            to[p * channels + c] = v;
        }
}

static bool decoder_push(struct vae_decoder *d, const float *latent, bool normalised, float *frames, int *count,
                         struct error *err)
{
    struct coder *c = &d->coder;
    const struct vae_info *i = &c->v->config.info;
    const int patch = c->v->config.patch, space = i->space_factor;
    channels_last(latent, i->channels, (int64_t)c->height * c->width, normalised ? i->std : NULL, i->mean, c->in);
    *count = c->started ? i->time_factor : 1;
    if (patch == 1)
        return coder_push(c, c->in, frames, err);
    if (!coder_push(c, c->in, c->out, err))
        return false;
    unfold(c->out, *count, c->height * space, c->width * space, patch, frames);
    return true;
}

bool vae_decoder_push(struct vae_decoder *d, const float *latent, float *frames, int *count, struct error *err)
{
    return decoder_push(d, latent, true, frames, count, err);
}

bool vae_decoder_push_raw(struct vae_decoder *d, const float *latent, float *frames, int *count, struct error *err)
{
    return decoder_push(d, latent, false, frames, count, err);
}

struct vae_encoder {
    struct coder coder;
};

struct vae_encoder *vae_encoder_open(struct vae *v, int height, int width, struct error *err)
{
    const struct vae_info *i = &v->config.info;
    const int channels = v->config.pixel_channels, patch = v->config.patch;
    if (!check_size(height, width, i->space_factor, "pictures", err))
        return NULL;
    struct vae_encoder *e = xcalloc(1, sizeof *e);
    if (!coder_open(&e->coder, v, height / i->space_factor, width / i->space_factor,
                    SHAPE(1, height / patch, width / patch, channels),
                    SHAPE(i->time_factor, height / patch, width / patch, channels), encoder_graph, err))
        vae_encoder_close(&e);
    return e;
}

void vae_encoder_close(struct vae_encoder **e)
{
    if (*e)
        coder_close(&(*e)->coder);
    free(*e);
    *e = NULL;
}

int vae_encoder_wants(const struct vae_encoder *e)
{
    return e->coder.started ? e->coder.v->config.info.time_factor : 1;
}

void vae_encoder_moments(const struct vae_encoder *e, float *mean, float *logvar)
{
    const struct coder *c = &e->coder;
    int channels = c->v->config.info.channels;
    int64_t pixels = (int64_t)c->height * c->width;

    for (int k = 0; k < channels; k++)
        for (int64_t p = 0; p < pixels; p++) {
            const float *moments = c->out + p * 2 * channels;
            float v = moments[channels + k];
            if (mean)
                mean[k * pixels + p] = moments[k];
            if (logvar)
                logvar[k * pixels + p] = v < -30.0f ? -30.0f : v > 20.0f ? 20.0f : v;
        }
}

bool vae_encoder_push(struct vae_encoder *e, const float *frames, float *latent, struct error *err)
{
    struct coder *c = &e->coder;
    const struct vae_info *i = &c->v->config.info;
    const int patch = c->v->config.patch, space = i->space_factor;
    int64_t pixels = (int64_t)c->height * c->width;

    if (patch > 1) {
        fold(frames, vae_encoder_wants(e), c->height * space, c->width * space, patch, c->in);
        frames = c->in;
    }
    if (!coder_push(c, frames, c->out, err))
        return false;
    vae_encoder_moments(e, latent, NULL);
    for (int k = 0; k < i->channels; k++)
        for (int64_t p = 0; p < pixels; p++) {
            float v = latent[k * pixels + p] - i->mean[k];
            latent[k * pixels + p] = v / i->std[k];
        }
    return true;
}

/* ---- whole clips ---- */

/* Copies one latent frame [channels, plane] from (to) frame t of [channels, frames, plane]. */
static void copy_frame(float *to, int to_frames, int to_t, const float *from, int from_frames, int from_t, int channels,
                       size_t plane)
{
    for (int c = 0; c < channels; c++)
        memcpy(to + ((size_t)c * (size_t)to_frames + (size_t)to_t) * plane,
               from + ((size_t)c * (size_t)from_frames + (size_t)from_t) * plane, plane * sizeof *to);
}

bool vae_decode(struct vae *v, const float *latents, int latent_frames, int height, int width, float *frames,
                struct error *err)
{
    const struct vae_info *i = &v->config.info;
    struct vae_decoder *d = vae_decoder_open(v, height, width, err);
    if (!d)
        return false;
    size_t plane = (size_t)height * (size_t)width;
    size_t picture = plane * (size_t)(i->space_factor * i->space_factor) * RGB;
    float *latent = xmalloc((size_t)i->channels * plane * sizeof *latent);
    bool ok = true;
    for (int t = 0; t < latent_frames && ok; t++) {
        int count = 0;
        copy_frame(latent, 1, 0, latents, latent_frames, t, i->channels, plane);
        ok = vae_decoder_push(d, latent, frames, &count, err);
        frames += (size_t)count * picture;
    }
    free(latent);
    vae_decoder_close(&d);
    return ok;
}

bool vae_encode(struct vae *v, const float *frames, int count, int height, int width, float *latents, struct error *err)
{
    const struct vae_info *i = &v->config.info;
    if (count < 1 || (count - 1) % i->time_factor)
        return error_set(err, ERROR_INPUT, "VAE: %d frames, expected %dn+1", count, i->time_factor);
    struct vae_encoder *e = vae_encoder_open(v, height, width, err);
    if (!e)
        return false;
    int latent_frames = vae_latent_frames(v, count);
    size_t plane = (size_t)(height / i->space_factor) * (size_t)(width / i->space_factor);
    float *latent = xmalloc((size_t)i->channels * plane * sizeof *latent);
    bool ok = true;
    for (int t = 0; t < latent_frames && ok; t++) {
        int wants = vae_encoder_wants(e);
        ok = vae_encoder_push(e, frames, latent, err);
        copy_frame(latents, latent_frames, t, latent, 1, 0, i->channels, plane);
        frames += (size_t)wants * (size_t)height * (size_t)width * RGB;
    }
    free(latent);
    vae_encoder_close(&e);
    return ok;
}

static float *coder_tap(struct coder *c, const char *name, struct shape *shape, struct error *err)
{
    return taps_read(&c->program[c->last].taps, c->program[c->last].program, name, shape, err);
}

float *vae_decoder_tap(struct vae_decoder *d, const char *name, struct shape *shape, struct error *err)
{
    return coder_tap(&d->coder, name, shape, err);
}

float *vae_encoder_tap(struct vae_encoder *e, const char *name, struct shape *shape, struct error *err)
{
    return coder_tap(&e->coder, name, shape, err);
}

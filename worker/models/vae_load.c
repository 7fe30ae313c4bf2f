/* vae_load - reads and checks a VAE's folder: configuration, names and shapes of all tensors. */
#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "worker/models/vae_internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- configuration ---- */

static void read_numbers(struct json_reader *r, const json_t *root, const char *key, float *to, int count)
{
    const json_t *list = json_list(r, root, key);
    if (list && json_array_size(list) != (size_t)count)
        json_fail(r, key, "has %zu entries, expected %d (z_dim)", json_array_size(list), count);
    for (int i = 0; i < count && !r->failed; i++) {
        if (!json_is_number(json_array_get(list, (size_t)i)))
            json_fail(r, key, "entry %d is not a number", i);
        to[i] = (float)json_number_value(json_array_get(list, (size_t)i));
    }
}

static void read_levels(struct json_reader *r, const json_t *root, struct vae_config *c)
{
    const json_t *mult = json_list(r, root, "dim_mult"), *down = json_list(r, root, "temperal_downsample");
    const struct pack_strides strides = pack_vae_strides(r, root);
    if (r->failed)
        return;
    c->info.time_factor = strides.time;
    c->info.space_factor = strides.space;
    c->levels = (int)json_array_size(mult);
    for (int i = 0; i < c->levels && !r->failed; i++) {
        const json_t *m = json_array_get(mult, (size_t)i);
        if (!json_is_integer(m) || json_integer_value(m) < 1 || json_integer_value(m) > 64)
            json_fail(r, "dim_mult", "entry %d is not an integer from 1 to 64", i);
        c->mult[i] = (int)json_integer_value(m);
        if (i < c->levels - 1)
            c->time_down[i] = json_is_true(json_array_get(down, (size_t)i));
    }
    if (r->failed)
        return;
    c->patch = strides.space >> (c->levels - 1);
    c->pixel_channels = RGB * c->patch * c->patch;
    static const char *const ends[] = { "in_channels", "out_channels" };
    for (int i = 0; i < 2; i++)
        if (json_int_or(r, root, ends[i], 1, VAE_MAX_CHANNELS, RGB) != c->pixel_channels)
            json_fail(r, ends[i], "expected %d: %d colours of %d x %d pixels (patch_size)", c->pixel_channels, RGB,
                      c->patch, c->patch);
}

static void refuse_variants(struct json_reader *r, const json_t *root)
{
    if (json_bool_or(r, root, "is_residual", false))
        json_fail(r, "is_residual", "is true (the Wan 2.2 VAE), expected false");
    if (json_array_size(json_object_get(root, "attn_scales")))
        json_fail(r, "attn_scales", "is not empty, expected []");
    if (!json_bool_or(r, root, "clip_output", true))
        json_fail(r, "clip_output", "is false, expected true");
}

static bool read_config(struct vae_config *c, const char *dir, struct error *err)
{
    char path[PATH_MAX];
    if (!file_join(path, sizeof path, dir, "config.json"))
        return error_set(err, ERROR_INPUT, "%s: path too long", dir);
    json_t *root = json_load(path, err);
    if (!root)
        return false;

    struct json_reader r = { .where = path, .err = err };
    const char *class = json_text(&r, root, "_class_name");
    if (!r.failed && strcmp(class, "AutoencoderKLWan"))
        json_fail(&r, "_class_name", "is \"%s\", expected \"AutoencoderKLWan\"", class);
    c->base = (int)json_int(&r, root, "base_dim", 1, 4096);
    c->decoder_base = (int)json_int_or(&r, root, "decoder_base_dim", 1, 4096, c->base);
    c->res_blocks = (int)json_int(&r, root, "num_res_blocks", 1, VAE_MAX_RES_BLOCKS);
    c->info.channels = (int)json_int(&r, root, "z_dim", 1, VAE_MAX_CHANNELS);
    read_levels(&r, root, c);
    read_numbers(&r, root, "latents_mean", c->mean, c->info.channels);
    read_numbers(&r, root, "latents_std", c->std, c->info.channels);
    for (int i = 0; i < c->info.channels && !r.failed; i++)
        if (!(c->std[i] > 0))
            json_fail(&r, "latents_std", "entry %d is not above 0", i);
    refuse_variants(&r, root);
    json_decref(root);
    return !r.failed;
}

/* ---- weights ---- */

static void bind_res(struct binder *b, struct res_weights *w, int in, int out, const char *prefix)
{
    w->norm1 = bind(b, SHAPE(in, 1, 1, 1), "%s.norm1.gamma", prefix);
    w->conv1 = bind_layer(b, SHAPE(out, in, 3, 3, 3), "%s.conv1", prefix);
    w->norm2 = bind(b, SHAPE(out, 1, 1, 1), "%s.norm2.gamma", prefix);
    w->conv2 = bind_layer(b, SHAPE(out, out, 3, 3, 3), "%s.conv2", prefix);
    if (in != out)
        w->shortcut = bind_layer(b, SHAPE(out, in, 1, 1, 1), "%s.conv_shortcut", prefix);
}

static void bind_mid(struct binder *b, struct mid_weights *w, int dim, const char *coder)
{
    char prefix[64];
    for (int i = 0; i < 2; i++) {
        snprintf(prefix, sizeof prefix, "%s.mid_block.resnets.%d", coder, i);
        bind_res(b, &w->res[i], dim, dim, prefix);
    }
    w->norm = bind(b, SHAPE(dim, 1, 1), "%s.mid_block.attentions.0.norm.gamma", coder);
    w->qkv = bind_layer(b, SHAPE(3 * dim, dim, 1, 1), "%s.mid_block.attentions.0.to_qkv", coder);
    w->proj = bind_layer(b, SHAPE(dim, dim, 1, 1), "%s.mid_block.attentions.0.proj", coder);
}

static void bind_encoder(struct binder *b, const struct vae_config *c, struct coder_weights *w)
{
    char prefix[64];
    int in = c->base, z2 = 2 * c->info.channels, flat = 0;

    w->conv_in = bind_layer(b, SHAPE(in, c->pixel_channels, 3, 3, 3), "encoder.conv_in");
    for (int i = 0; i < c->levels; i++) {
        int out = c->base * c->mult[i];
        for (int k = 0; k < c->res_blocks; k++, in = out) {
            snprintf(prefix, sizeof prefix, "encoder.down_blocks.%d", flat++);
            bind_res(b, &w->level[i].res[k], in, out, prefix);
        }
        if (i == c->levels - 1)
            break;
        struct resample_weights *down = &w->level[i].resample;
        down->conv = bind_layer(b, SHAPE(out, out, 3, 3), "encoder.down_blocks.%d.resample.1", flat);
        if (c->time_down[i])
            down->time = bind_layer(b, SHAPE(out, out, 3, 1, 1), "encoder.down_blocks.%d.time_conv", flat);
        flat++;
    }
    bind_mid(b, &w->mid, in, "encoder");
    w->norm_out = bind(b, SHAPE(in, 1, 1, 1), "encoder.norm_out.gamma");
    w->conv_out = bind_layer(b, SHAPE(z2, in, 3, 3, 3), "encoder.conv_out");
    w->quant = bind_layer(b, SHAPE(z2, z2, 1, 1, 1), "quant_conv");
}

static void bind_decoder(struct binder *b, const struct vae_config *c, struct coder_weights *w)
{
    char prefix[64];
    int z = c->info.channels, in = c->decoder_base * c->mult[c->levels - 1];

    w->quant = bind_layer(b, SHAPE(z, z, 1, 1, 1), "post_quant_conv");
    w->conv_in = bind_layer(b, SHAPE(in, z, 3, 3, 3), "decoder.conv_in");
    bind_mid(b, &w->mid, in, "decoder");
    for (int i = 0; i < c->levels; i++) {
        int out = c->decoder_base * c->mult[c->levels - 1 - i];
        for (int k = 0; k <= c->res_blocks; k++, in = out) {
            snprintf(prefix, sizeof prefix, "decoder.up_blocks.%d.resnets.%d", i, k);
            bind_res(b, &w->level[i].res[k], in, out, prefix);
        }
        if (i == c->levels - 1)
            break;
        struct resample_weights *up = &w->level[i].resample;
        up->conv = bind_layer(b, SHAPE(out / 2, out, 3, 3), "decoder.up_blocks.%d.upsamplers.0.resample.1", i);
        if (c->time_down[c->levels - 2 - i])
            up->time = bind_layer(b, SHAPE(2 * out, out, 3, 1, 1), "decoder.up_blocks.%d.upsamplers.0.time_conv", i);
        in = out / 2;
    }
    w->norm_out = bind(b, SHAPE(in, 1, 1, 1), "decoder.norm_out.gamma");
    w->conv_out = bind_layer(b, SHAPE(c->pixel_channels, in, 3, 3, 3), "decoder.conv_out");
}

struct vae *vae_open(const char *dir, struct exec *x, bool taps, struct error *err)
{
    struct vae *v = xcalloc(1, sizeof *v);
    v->exec = x;
    v->taps = taps;
    v->config.info.mean = v->config.mean;
    v->config.info.std = v->config.std;
    if (!read_config(&v->config, dir, err) || !(v->weights = weights_open(dir, "diffusion_pytorch_model", err))) {
        vae_close(&v);
        return NULL;
    }
    struct binder b = { .weights = v->weights, .err = err };
    bind_encoder(&b, &v->config, &v->encoder);
    bind_decoder(&b, &v->config, &v->decoder);
    if (b.failed)
        vae_close(&v);
    return v;
}

void vae_close(struct vae **v)
{
    if (!*v)
        return;
    exec_drop_weights((*v)->exec);
    weights_close(&(*v)->weights);
    free(*v);
    *v = NULL;
}

const struct vae_info *vae_info(const struct vae *v)
{
    return &v->config.info;
}

int vae_latent_frames(const struct vae *v, int frames)
{
    return 1 + (frames - 1) / v->config.info.time_factor;
}

int vae_video_frames(const struct vae *v, int latent_frames)
{
    return 1 + (latent_frames - 1) * v->config.info.time_factor;
}

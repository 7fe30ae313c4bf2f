/* links: shotline_models shotline_nn */
/* models - seconds and memory per denoising step and per decoded frame: of a pack, and of random weights in the sizes
 * of Wan 2.1 1.3B (4 of its 30 layers) and of its VAE, made at run time in a temporary folder.
 */
#include "common/base/arena.h"
#include "common/base/args.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/rng.h"
#include "common/base/str.h"
#include "common/nn/exec.h"
#include "common/nn/pack.h"
#include "common/nn/safetensors.h"
#include "worker/models/dit.h"
#include "worker/models/vae.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- random models in the published layout ---- */

struct maker {
    struct arena arena;
    struct weight *tensor;
    size_t count;
    uint64_t seed;
};

/* bf16 numbers, uniform with a standard deviation of 1 / sqrt(inputs): activations keep their size. Those named norm or
 * gamma are 1. */
static void add_tensor(struct maker *m, struct shape shape, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void add_tensor(struct maker *m, struct shape shape, const char *fmt, ...)
{
    char name[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);

    int64_t count = shape_count(&shape), inputs = count / shape.dim[0];
    uint16_t *data = arena_alloc(&m->arena, (size_t)count * sizeof *data);
    double range = 3.4641 / portable_sqrt((double)(inputs > 0 ? inputs : 1));
    bool one = strstr(name, "norm") && str_ends(name, ".weight"), gamma = str_ends(name, "gamma");
    for (int64_t i = 0; i < count; i += 8) {
        uint32_t at[4] = { (uint32_t)i, (uint32_t)(i >> 32), (uint32_t)m->count, 0 };
        const uint32_t key[2] = { (uint32_t)m->seed, 0 };
        struct philox_out r = philox4x32(at, key);
        for (int k = 0; k < 8 && i + k < count; k++) {
            double u = (double)(r.v[k / 2] >> (16 * (k % 2)) & 0xffff) / 65536.0 - 0.5;
            data[i + k] = f32_to_bf16(one || gamma ? 1.0f : (float)(u * range));
        }
    }
    m->tensor = xrealloc(m->tensor, (m->count + 1) * sizeof *m->tensor);
    m->tensor[m->count++] = (struct weight){ arena_strdup(&m->arena, name), DTYPE_BF16, shape, data };
}

static void add_layer(struct maker *m, struct shape shape, const char *name)
{
    add_tensor(m, shape, "%s.weight", name);
    add_tensor(m, SHAPE(shape.dim[0]), "%s.bias", name);
}

static void add_named_layer(struct maker *m, struct shape shape, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void add_named_layer(struct maker *m, struct shape shape, const char *fmt, ...)
{
    char name[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    add_layer(m, shape, name);
}

static bool finish(struct maker *m, const char *dir, const char *config, struct error *err)
{
    char path[PATH_MAX];
    bool ok = file_join(path, sizeof path, dir, "config.json") && file_write(path, config, strlen(config), err) &&
              file_join(path, sizeof path, dir, "diffusion_pytorch_model.safetensors") &&
              safetensors_write(path, m->tensor, m->count, err);
    free(m->tensor);
    arena_free(&m->arena);
    return ok;
}

enum { LAYERS = 4, WIDTH = 1536, HEADS = 12, FFN = 8960, TEXT = 4096, FREQ = 256, Z = 16 };

static bool make_painter(const char *dir, struct error *err)
{
    static const char config[] =
        "{\"_class_name\": \"WanTransformer3DModel\", \"num_attention_heads\": 12, \"attention_head_dim\": 128, "
        "\"num_layers\": 4, \"ffn_dim\": 8960, \"in_channels\": 16, \"out_channels\": 16, \"text_dim\": 4096, "
        "\"freq_dim\": 256, \"patch_size\": [1, 2, 2]}";
    const struct shape square = SHAPE(WIDTH, WIDTH);
    struct maker m = { .seed = 1 };

    add_layer(&m, SHAPE(WIDTH, Z, 1, 2, 2), "patch_embedding");
    add_layer(&m, SHAPE(WIDTH, FREQ), "condition_embedder.time_embedder.linear_1");
    add_layer(&m, square, "condition_embedder.time_embedder.linear_2");
    add_layer(&m, SHAPE(6 * WIDTH, WIDTH), "condition_embedder.time_proj");
    add_layer(&m, SHAPE(WIDTH, TEXT), "condition_embedder.text_embedder.linear_1");
    add_layer(&m, square, "condition_embedder.text_embedder.linear_2");
    add_tensor(&m, SHAPE(1, 2, WIDTH), "scale_shift_table");
    add_layer(&m, SHAPE(Z * 4, WIDTH), "proj_out");
    for (int i = 0; i < LAYERS; i++) {
        add_tensor(&m, SHAPE(1, 6, WIDTH), "blocks.%d.scale_shift_table", i);
        for (int a = 1; a <= 2; a++) {
            static const char *const parts[] = { "to_q", "to_k", "to_v", "to_out.0" };
            for (int k = 0; k < 4; k++)
                add_named_layer(&m, square, "blocks.%d.attn%d.%s", i, a, parts[k]);
            add_tensor(&m, SHAPE(WIDTH), "blocks.%d.attn%d.norm_q.weight", i, a);
            add_tensor(&m, SHAPE(WIDTH), "blocks.%d.attn%d.norm_k.weight", i, a);
        }
        add_named_layer(&m, SHAPE(WIDTH), "blocks.%d.norm2", i);
        add_named_layer(&m, SHAPE(FFN, WIDTH), "blocks.%d.ffn.net.0.proj", i);
        add_named_layer(&m, SHAPE(WIDTH, FFN), "blocks.%d.ffn.net.2", i);
    }
    return finish(&m, dir, config, err);
}

static void add_res(struct maker *m, int in, int out, const char *prefix)
{
    add_tensor(m, SHAPE(in, 1, 1, 1), "%s.norm1.gamma", prefix);
    add_named_layer(m, SHAPE(out, in, 3, 3, 3), "%s.conv1", prefix);
    add_tensor(m, SHAPE(out, 1, 1, 1), "%s.norm2.gamma", prefix);
    add_named_layer(m, SHAPE(out, out, 3, 3, 3), "%s.conv2", prefix);
    if (in != out)
        add_named_layer(m, SHAPE(out, in, 1, 1, 1), "%s.conv_shortcut", prefix);
}

static void add_mid(struct maker *m, int dim, const char *coder)
{
    char prefix[64];
    for (int i = 0; i < 2; i++) {
        snprintf(prefix, sizeof prefix, "%s.mid_block.resnets.%d", coder, i);
        add_res(m, dim, dim, prefix);
    }
    add_tensor(m, SHAPE(dim, 1, 1), "%s.mid_block.attentions.0.norm.gamma", coder);
    add_named_layer(m, SHAPE(3 * dim, dim, 1, 1), "%s.mid_block.attentions.0.to_qkv", coder);
    add_named_layer(m, SHAPE(dim, dim, 1, 1), "%s.mid_block.attentions.0.proj", coder);
}

static bool make_vae(const char *dir, struct error *err)
{
    static const char config[] =
        "{\"_class_name\": \"AutoencoderKLWan\", \"base_dim\": 96, \"z_dim\": 16, \"dim_mult\": [1, 2, 4, 4], "
        "\"num_res_blocks\": 2, "
        "\"temperal_downsample\": [false, true, true], \"latents_mean\": [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0], "
        "\"latents_std\": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}";
    static const int dims[] = { 96, 192, 384, 384 };
    struct maker m = { .seed = 2 };
    char prefix[64];
    int in = dims[0], flat = 0;

    add_layer(&m, SHAPE(in, 3, 3, 3, 3), "encoder.conv_in");
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < 2; k++, in = dims[i]) {
            snprintf(prefix, sizeof prefix, "encoder.down_blocks.%d", flat++);
            add_res(&m, in, dims[i], prefix);
        }
        if (i == 3)
            break;
        add_named_layer(&m, SHAPE(in, in, 3, 3), "encoder.down_blocks.%d.resample.1", flat);
        if (i > 0)
            add_named_layer(&m, SHAPE(in, in, 3, 1, 1), "encoder.down_blocks.%d.time_conv", flat);
        flat++;
    }
    add_mid(&m, in, "encoder");
    add_tensor(&m, SHAPE(in, 1, 1, 1), "encoder.norm_out.gamma");
    add_layer(&m, SHAPE(2 * Z, in, 3, 3, 3), "encoder.conv_out");
    add_layer(&m, SHAPE(2 * Z, 2 * Z, 1, 1, 1), "quant_conv");

    add_layer(&m, SHAPE(Z, Z, 1, 1, 1), "post_quant_conv");
    add_layer(&m, SHAPE(in, Z, 3, 3, 3), "decoder.conv_in");
    add_mid(&m, in, "decoder");
    for (int i = 0; i < 4; i++) {
        int out = dims[3 - i];
        for (int k = 0; k < 3; k++, in = out) {
            snprintf(prefix, sizeof prefix, "decoder.up_blocks.%d.resnets.%d", i, k);
            add_res(&m, in, out, prefix);
        }
        if (i == 3)
            break;
        add_named_layer(&m, SHAPE(out / 2, out, 3, 3), "decoder.up_blocks.%d.upsamplers.0.resample.1", i);
        if (i < 2)
            add_named_layer(&m, SHAPE(2 * out, out, 3, 1, 1), "decoder.up_blocks.%d.upsamplers.0.time_conv", i);
        in = out / 2;
    }
    add_tensor(&m, SHAPE(in, 1, 1, 1), "decoder.norm_out.gamma");
    add_layer(&m, SHAPE(3, in, 3, 3, 3), "decoder.conv_out");
    return finish(&m, dir, config, err);
}

/* ---- measuring ---- */

static float *numbers(int64_t count)
{
    float *to = xmalloc((size_t)count * sizeof *to);
    for (int64_t i = 0; i < count; i++)
        to[i] = rng_normal(1, 1, (uint64_t)i);
    return to;
}

/* On the wall, and of the processor: on a busy machine only the latter means something. */
struct spent {
    double wall_s, processor_s;
};

static struct spent now(void)
{
    return (struct spent){ (double)clock_now_us() * 1e-6, (double)clock() / CLOCKS_PER_SEC };
}

static struct spent spent_since(struct spent began, int parts)
{
    struct spent t = now();
    return (struct spent){ (t.wall_s - began.wall_s) / parts, (t.processor_s - began.processor_s) / parts };
}

/* What is measured, and where. */
struct subject {
    struct exec *exec;
    const char *dir; /* of the model, or of the pack */
    bool lean;       /* weights are brought to the device in each run */
};

static void print_line(const struct subject *s, const char *what, const char *size, struct spent first,
                       struct spent one)
{
    printf("%-24s %-34s %-7s %9.3f %9.4f %11.4f %9.1f\n", what, size, s->lean ? "lean" : "usual", first.wall_s,
           one.wall_s, one.processor_s, (double)exec_bytes_peak(s->exec) / (1 << 20));
    fflush(stdout);
}

struct step_size {
    int frames, height, width, text_rows;
    bool control;
};

/* One forward pass: the first makes the program ready, the best of `rounds` later ones counts. */
static bool time_step(const struct subject *on, const char *what, const struct step_size *s, int rounds,
                      struct error *err)
{
    char size[64];
    struct spent began = now();
    struct dit *d = dit_open(on->dir, on->exec, false, err);
    if (!d)
        return false;
    const struct dit_info *i = dit_info(d);
    int64_t plane = (int64_t)s->frames * s->height * s->width;
    float *latents = numbers(i->channels * plane), *text = numbers((int64_t)s->text_rows * i->text_width);
    float *control = s->control ? numbers(i->control_channels * plane) : NULL, *out = numbers(i->out_channels * plane);
    const float timestep = 500;
    const struct dit_call call = { .frames = s->frames,
                                   .height = s->height,
                                   .width = s->width,
                                   .text_rows = s->text_rows,
                                   .control_frames = s->control ? s->frames : 0,
                                   .latents = latents,
                                   .timesteps = &timestep,
                                   .timestep_count = 1,
                                   .text = text,
                                   .control = control };
    bool ok = dit_run(d, &call, out, err);
    struct spent first = spent_since(began, 1), best = { 1e9, 1e9 };
    for (int r = 0; r < rounds && ok; r++) {
        began = now();
        ok = dit_run(d, &call, out, err);
        struct spent one = spent_since(began, 1);
        best = (struct spent){ fmin(one.wall_s, best.wall_s), fmin(one.processor_s, best.processor_s) };
    }
    snprintf(size, sizeof size, "%d x %d x %d latents, %d text", s->frames, s->width, s->height, s->text_rows);
    if (ok)
        print_line(on, what, size, first, best);
    dit_close(&d);
    free(latents);
    free(text);
    free(control);
    free(out);
    return ok;
}

/* Decodes two latent frames; the second gives four pictures, and a fourth of its time counts. */
static bool time_decode(const struct subject *on, const char *what, int height, int width, struct error *err)
{
    char size[64];
    struct spent began = now();
    struct vae *v = vae_open(on->dir, on->exec, false, err);
    struct vae_decoder *d = v ? vae_decoder_open(v, height, width, err) : NULL;
    if (!d) {
        vae_close(&v);
        return false;
    }
    const struct vae_info *i = vae_info(v);
    int64_t pixels = (int64_t)height * width * i->space_factor * i->space_factor;
    float *latent = numbers((int64_t)i->channels * height * width), *frames = numbers(pixels * 3 * i->time_factor);
    int count = 1;
    bool ok = vae_decoder_push(d, latent, frames, &count, err) && vae_decoder_push(d, latent, frames, &count, err);
    struct spent first = spent_since(began, 1);
    began = now();
    ok = ok && vae_decoder_push(d, latent, frames, &count, err);
    struct spent one = spent_since(began, count);
    snprintf(size, sizeof size, "%d x %d pixels", width * i->space_factor, height * i->space_factor);
    if (ok)
        print_line(on, what, size, first, one);
    vae_decoder_close(&d);
    vae_close(&v);
    free(latent);
    free(frames);
    return ok;
}

static struct exec *open_device(const char *device, struct error *err)
{
    if (device && !strcmp(device, "ref"))
        return exec_open_ref();
    return exec_open_vk(&(struct exec_options){ .device = device }, err);
}

typedef bool measurement(const struct subject *s, struct error *err);

/* In both profiles, each with a device of its own, so that its peak is its own. */
static bool in_both_profiles(const char *device, measurement *measure, const char *dir, struct error *err)
{
    bool ok = true;
    for (int lean = 0; lean < 2 && ok; lean++) {
        struct subject s = { open_device(device, err), dir, lean };
        if (s.exec)
            exec_stream_weights(s.exec, lean);
        ok = s.exec && measure(&s, err);
        exec_close(&s.exec);
    }
    return ok;
}

static bool pack_step(const struct subject *on, struct error *err)
{
    char path[PATH_MAX];
    struct pack_defaults p;
    if (!pack_defaults_load(&p, on->dir, err) || !file_join(path, sizeof path, on->dir, "transformer"))
        return false;
    struct dit *d = dit_open(path, on->exec, false, err);
    if (!d)
        return false;
    const struct step_size s = { p.longest_shot + (p.references > 0), p.height / p.strides.space,
                                 p.width / p.strides.space, p.max_sequence_length, dit_info(d)->vace };
    dit_close(&d);
    return time_step(&(struct subject){ on->exec, path, on->lean }, "pack: denoising step", &s, 3, err);
}

static bool pack_decode(const struct subject *on, struct error *err)
{
    char path[PATH_MAX];
    struct pack_defaults p;
    return pack_defaults_load(&p, on->dir, err) && file_join(path, sizeof path, on->dir, "vae") &&
           time_decode(&(struct subject){ on->exec, path, on->lean }, "pack: decoded frame", p.height / p.strides.space,
                       p.width / p.strides.space, err);
}

static bool random_step(const struct subject *on, struct error *err)
{
    const struct step_size s = { 3, 16, 16, 64, false };
    return time_step(on, "Wan 1.3B, 4 layers: step", &s, 2, err);
}

static bool random_decode(const struct subject *on, struct error *err)
{
    return time_decode(on, "Wan VAE: decoded frame", 8, 8, err);
}

int main(int argc, char **argv)
{
    const char *device = NULL, **operands = calloc((size_t)argc + 1, sizeof *operands);
    char dir[] = "/tmp/shotline-bench-XXXXXX";
    int count = 0;
    struct error err = { 0 };
    const struct arg_option options[] = {
        { 'd', "device", ARG_TEXT, &device, 0, 0, "NAME",
          "Vulkan device by index or part of its name, or ref: plain C (default: the best device)", NULL },
    };
    const struct arg_command command = { "models", "[PACK]", "Seconds and memory of the models (PACK: packs/tiny).",
                                         options,  1,        0,
                                         1 };
    enum args_result parsed = args_parse(&command, argc, argv, operands, &count, &err);
    const char *pack = count ? operands[0] : "packs/tiny";
    int status = parsed == ARGS_HELP ? 0 : 2;

    if (parsed == ARGS_OK && mkdtemp(dir)) {
        printf("%-24s %-34s %-7s %9s %9s %11s %9s\n", "what", "size", "profile", "first s", "s per one", "processor s",
               "peak MiB");
        bool ok = !file_is_dir(pack) || (in_both_profiles(device, pack_step, pack, &err) &&
                                         in_both_profiles(device, pack_decode, pack, &err));
        ok = ok && make_painter(dir, &err) && in_both_profiles(device, random_step, dir, &err);
        ok = ok && make_vae(dir, &err) && in_both_profiles(device, random_decode, dir, &err);
        file_remove_tree(dir, ok ? &err : NULL);
        status = ok ? 0 : 1;
    }
    if (err.kind != ERROR_NONE)
        fprintf(stderr, "models: %s\n", err.text);
    free(operands);
    return status;
}

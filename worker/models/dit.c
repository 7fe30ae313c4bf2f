#include "worker/models/dit.h"

#include "common/base/arena.h"
#include "common/nn/ops.h"
#include "worker/models/dit_internal.h"
#include "worker/models/dit_tables.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the graph ---- */

struct build {
    struct graph *g;
    struct dit *d;
    struct dit_program *p;
    value text;     /* [text_rows, width] */
    value temb;     /* [1 or tokens, width] */
    value time_mod; /* [1 or tokens, 6 * width] */
};

static value linear(struct build *b, value x, const struct bound_layer *l, enum activation act)
{
    return op_linear(b->g, x, graph_weight(b->g, l->w), graph_weight(b->g, l->b), act);
}

/* Self attention (keys from x, with RoPE), or cross attention to `context`. */
static value attend(struct build *b, value x, value context, const struct attention_weights *w)
{
    const struct dit_config *c = &b->d->config;
    bool self = context.index == 0;
    value from = self ? x : context;
    value q = op_rms_norm(b->g, linear(b, x, &w->q, ACT_NONE), graph_weight(b->g, w->norm_q), c->eps);
    value k = op_rms_norm(b->g, linear(b, from, &w->k, ACT_NONE), graph_weight(b->g, w->norm_k), c->eps);
    value v = linear(b, from, &w->v, ACT_NONE);
    if (self) {
        q = op_rope(b->g, q, b->p->cos, b->p->sin, c->info.heads, ROPE_PAIRS);
        k = op_rope(b->g, k, b->p->cos, b->p->sin, c->info.heads, ROPE_PAIRS);
    }
    value o = op_attention(b->g, q, k, v,
                           &(struct attention){ .heads = c->info.heads,
                                                .kv_heads = c->info.heads,
                                                .scale = (float)(1.0 / sqrt((double)c->head_dim)) });
    return linear(b, o, &w->out, ACT_NONE);
}

/* One transformer block; `name` and `index` are for messages and taps. */
static value block(struct build *b, value x, const struct block_weights *w, const char *name, int index)
{
    const struct dit_config *c = &b->d->config;
    int width = c->info.width;
    value part[6];

    graph_enter(b->g, "%s.%d", name, index);
    value table = op_reshape(b->g, graph_weight(b->g, w->table), SHAPE(1, 6 * width));
    value mod = op_add(b->g, b->time_mod, table);
    for (int i = 0; i < 6; i++)
        part[i] = op_slice_cols(b->g, mod, (int64_t)i * width, width);

    value h = op_modulate(b->g, op_layer_norm(b->g, x, VALUE_NONE, VALUE_NONE, c->eps), part[1], part[0]);
    h = taps_name(&b->p->taps, b->g, attend(b, h, VALUE_NONE, &w->self), "%s.%d.attn1_out", name, index);
    x = op_gate_add(b->g, x, h, part[2]);

    h = x;
    if (c->cross_norm)
        h = op_layer_norm(b->g, x, graph_weight(b->g, w->norm2.w), graph_weight(b->g, w->norm2.b), c->eps);
    h = taps_name(&b->p->taps, b->g, attend(b, h, b->text, &w->cross), "%s.%d.attn2_out", name, index);
    x = op_add(b->g, x, h);

    h = op_modulate(b->g, op_layer_norm(b->g, x, VALUE_NONE, VALUE_NONE, c->eps), part[4], part[3]);
    h = linear(b, linear(b, h, &w->up, ACT_GELU), &w->down, ACT_NONE);
    taps_name(&b->p->taps, b->g, h, "%s.%d.ffn_out", name, index);
    x = op_gate_add(b->g, x, h, part[5]);
    graph_leave(b->g);
    return x;
}

/* Noise level and text, as every block reads them. */
static void condition(struct build *b)
{
    struct dit *d = b->d;
    struct taps *t = &b->p->taps;

    graph_enter(b->g, "condition_embedder");
    value h = linear(b, b->p->sinusoid, &d->time1, ACT_SILU);
    b->temb = taps_name(t, b->g, linear(b, h, &d->time2, ACT_NONE), "temb");
    b->time_mod = linear(b, op_act(b->g, b->temb, ACT_SILU), &d->time_proj, ACT_NONE);
    taps_name(t, b->g, b->time_mod, "timestep_proj");
    h = linear(b, b->p->text, &d->text1, ACT_GELU);
    b->text = taps_name(t, b->g, linear(b, h, &d->text2, ACT_NONE), "text_proj");
    graph_leave(b->g);
}

/* VACE: hints[control_layers] from the control latents and the embedded latents. */
static void control_hints(struct build *b, value x, value *hints)
{
    struct dit *d = b->d;
    struct dit_program *p = b->p;
    const struct dit_info *info = &d->config.info;
    int volume = info->patch[0] * info->patch[1] * info->patch[2];

    p->control = graph_input(b->g, "control", SHAPE(p->control_tokens, info->control_channels * volume));
    p->scale = graph_input(b->g, "control scale", SHAPE(info->control_layers, info->width));
    value c = linear(b, p->control, &d->vace_patch, ACT_NONE);
    taps_name(&p->taps, b->g, c, "vace_patch_embedding");
    if (p->control_tokens < p->tokens) {
        p->padding = graph_input(b->g, "control padding", SHAPE(p->tokens - p->control_tokens, info->width));
        c = op_concat_rows(b->g, c, p->padding);
    }
    c = op_add(b->g, linear(b, c, &d->vace_block[0].proj_in, ACT_NONE), x);
    for (int i = 0; i < info->control_layers; i++) {
        c = block(b, c, &d->vace_block[i], "vace_blocks", i);
        taps_name(&p->taps, b->g, c, "vace_blocks.%d.control", i);
        hints[i] = linear(b, c, &d->vace_block[i].proj_out, ACT_NONE);
        taps_name(&p->taps, b->g, hints[i], "vace_blocks.%d.hint", i);
    }
}

static void build_graph(struct build *b)
{
    struct dit *d = b->d;
    struct dit_program *p = b->p;
    const struct dit_info *info = &d->config.info;
    int volume = info->patch[0] * info->patch[1] * info->patch[2];
    value hints[DIT_MAX_LAYERS] = { { 0 } };

    p->latents = graph_input(b->g, "latents", SHAPE(p->tokens, info->channels * volume));
    p->cos = graph_input(b->g, "rope cos", SHAPE(p->tokens, d->config.head_dim / 2));
    p->sin = graph_input(b->g, "rope sin", SHAPE(p->tokens, d->config.head_dim / 2));
    p->sinusoid = graph_input(b->g, "timestep", SHAPE(p->shape.timestep_count, d->config.freq_dim));
    p->text = graph_input(b->g, "text", SHAPE(p->shape.text_rows, info->text_width));

    value x = linear(b, p->latents, &d->patch, ACT_NONE);
    taps_name(&p->taps, b->g, x, "patch_embedding");
    condition(b);
    if (p->shape.control_frames)
        control_hints(b, x, hints);
    for (int i = 0, hint = 0; i < info->layers; i++) {
        x = block(b, x, &d->block[i], "blocks", i);
        taps_name(&p->taps, b->g, x, "blocks.%d.out", i);
        if (p->shape.control_frames && hint < info->control_layers && d->config.vace_layers[hint] == i) {
            x = op_gate_add(b->g, x, hints[hint], op_slice_rows(b->g, p->scale, hint, 1));
            hint++;
        }
    }

    value table = op_reshape(b->g, graph_weight(b->g, d->table), SHAPE(2, info->width));
    value shift = op_add(b->g, b->temb, op_slice_rows(b->g, table, 0, 1));
    value scale = op_add(b->g, b->temb, op_slice_rows(b->g, table, 1, 1));
    x = op_modulate(b->g, op_layer_norm(b->g, x, VALUE_NONE, VALUE_NONE, d->config.eps), scale, shift);
    p->out = linear(b, x, &d->proj_out, ACT_NONE);
    graph_output(b->g, p->out);
}

/* The tokens that stand in for missing control frames are zeros. */
static bool write_padding(struct dit *d, struct dit_program *p, struct error *err)
{
    int64_t count = (p->tokens - p->control_tokens) * d->config.info.width;
    float *zeros = xcalloc((size_t)count, sizeof *zeros);
    bool ok = program_write(p->program, p->padding, zeros, count, err);
    free(zeros);
    return ok;
}

static bool program_build(struct dit *d, struct dit_program *p, const struct dit_call *c, struct error *err)
{
    const int *patch = d->config.info.patch;
    int64_t frame_tokens = (int64_t)(c->height / patch[1]) * (c->width / patch[2]);
    struct build b = { .g = graph_new(), .d = d, .p = p };

    p->shape = (struct dit_call){ .frames = c->frames,
                                  .height = c->height,
                                  .width = c->width,
                                  .text_rows = c->text_rows,
                                  .control_frames = c->control_frames,
                                  .timestep_count = c->timestep_count };
    p->tokens = c->frames / patch[0] * frame_tokens;
    p->control_tokens = c->control_frames / patch[0] * frame_tokens;
    p->taps.wanted = d->taps;
    build_graph(&b);
    p->program = program_new(d->exec, b.g, NULL, err);
    graph_free(&b.g);
    if (p->program && (!p->padding.index || write_padding(d, p, err)))
        return true;
    dit_program_drop(p);
    return false;
}

/* ---- running ---- */

static bool check_call(const struct dit *d, const struct dit_call *c, struct error *err)
{
    const struct dit_info *i = &d->config.info;
    const int *p = i->patch;

    if (c->frames < 1 || c->height < 1 || c->width < 1 || c->frames % p[0] || c->height % p[1] || c->width % p[2])
        return error_set(err, ERROR_INPUT, "painter: latents of %d x %d x %d, expected multiples of %d x %d x %d",
                         c->frames, c->height, c->width, p[0], p[1], p[2]);
    int64_t tokens = (int64_t)(c->frames / p[0]) * (c->height / p[1]) * (c->width / p[2]);
    if (c->text_rows < 1)
        return error_set(err, ERROR_INPUT, "painter: no text rows");
    if (c->timestep_count != 1 && c->timestep_count != tokens)
        return error_set(err, ERROR_INPUT, "painter: %d timesteps, expected 1 or one for each of %lld tokens",
                         c->timestep_count, (long long)tokens);
    if (c->control_frames && (!i->vace || c->control_frames > c->frames || c->control_frames % p[0]))
        return error_set(err, ERROR_INPUT, "painter: %d control frames for %d latent frames of a %s model",
                         c->control_frames, c->frames, i->vace ? "VACE" : "text-to-video");
    if (c->height / p[1] > i->max_positions || c->width / p[2] > i->max_positions)
        return error_set(err, ERROR_INPUT, "painter: %d x %d latents are larger than %d positions", c->height, c->width,
                         i->max_positions);
    for (int t = 0; t < c->frames / p[0]; t++) {
        int at = c->positions ? c->positions[t] : t;
        if (at < 0 || at >= i->max_positions)
            return error_set(err, ERROR_INPUT, "painter: latent frame %d has position %d, expected 0 to %d", t, at,
                             i->max_positions - 1);
    }
    return true;
}

static bool same_shape(const struct dit_call *a, const struct dit_call *b)
{
    return a->frames == b->frames && a->height == b->height && a->width == b->width && a->text_rows == b->text_rows &&
           a->control_frames == b->control_frames && a->timestep_count == b->timestep_count;
}

static struct dit_program *program_for(struct dit *d, const struct dit_call *c, struct error *err)
{
    struct dit_program *oldest = &d->program[0];
    for (int i = 0; i < DIT_PROGRAMS; i++) {
        if (d->program[i].program && same_shape(&d->program[i].shape, c))
            return &d->program[i];
        if (d->program[i].used < oldest->used)
            oldest = &d->program[i];
    }
    if (d->last == oldest)
        d->last = NULL;
    dit_program_drop(oldest);
    return program_build(d, oldest, c, err) ? oldest : NULL;
}

static bool write_patches(struct dit *d, struct dit_program *p, value input, const float *from, int channels,
                          int frames, struct error *err)
{
    int64_t count = (int64_t)channels * frames * p->shape.height * p->shape.width;
    float *tokens = xmalloc((size_t)count * sizeof *tokens);
    dit_patchify(from, channels, frames, p->shape.height, p->shape.width, d->config.info.patch, tokens);
    bool ok = program_write(p->program, input, tokens, count, err);
    free(tokens);
    return ok;
}

static bool write_positions(struct dit *d, struct dit_program *p, const int32_t *positions, struct error *err)
{
    const int *patch = d->config.info.patch;
    int64_t count = p->tokens * (d->config.head_dim / 2);
    float *cos = xmalloc((size_t)count * sizeof *cos), *sin = xmalloc((size_t)count * sizeof *sin);
    dit_rope_tables(p->shape.frames / patch[0], p->shape.height / patch[1], p->shape.width / patch[2],
                    d->config.head_dim, positions, cos, sin);
    bool ok = program_write(p->program, p->cos, cos, count, err) && program_write(p->program, p->sin, sin, count, err);
    free(cos);
    free(sin);
    return ok;
}

static bool write_timesteps(struct dit *d, struct dit_program *p, const float *timesteps, struct error *err)
{
    int64_t count = (int64_t)p->shape.timestep_count * d->config.freq_dim;
    float *sinusoid = xmalloc((size_t)count * sizeof *sinusoid);
    dit_timestep_sinusoid(timesteps, p->shape.timestep_count, d->config.freq_dim, sinusoid);
    bool ok = program_write(p->program, p->sinusoid, sinusoid, count, err);
    free(sinusoid);
    return ok;
}

static bool write_control(struct dit *d, struct dit_program *p, const struct dit_call *c, struct error *err)
{
    const struct dit_info *i = &d->config.info;
    int64_t count = (int64_t)i->control_layers * i->width;
    float *scale = xmalloc((size_t)count * sizeof *scale);
    for (int64_t k = 0; k < count; k++)
        scale[k] = c->control_scale ? c->control_scale[k / i->width] : 1.0f;
    bool ok = program_write(p->program, p->scale, scale, count, err) &&
              write_patches(d, p, p->control, c->control, i->control_channels, c->control_frames, err);
    free(scale);
    return ok;
}

static bool read_flow(struct dit *d, struct dit_program *p, float *out, struct error *err)
{
    const struct dit_info *i = &d->config.info;
    int64_t count = (int64_t)i->out_channels * p->shape.frames * p->shape.height * p->shape.width;
    float *tokens = xmalloc((size_t)count * sizeof *tokens);
    bool ok = program_read(p->program, p->out, tokens, count, err);
    if (ok)
        dit_unpatchify(tokens, i->out_channels, p->shape.frames, p->shape.height, p->shape.width, i->patch, out);
    free(tokens);
    return ok;
}

bool dit_run(struct dit *d, const struct dit_call *c, float *out, struct error *err)
{
    if (!check_call(d, c, err))
        return false;
    struct dit_program *p = program_for(d, c, err);
    if (!p)
        return error_wrap(err, "painter");
    p->used = ++d->runs;
    d->last = p;
    if (write_patches(d, p, p->latents, c->latents, d->config.info.channels, c->frames, err) &&
        write_positions(d, p, c->positions, err) && write_timesteps(d, p, c->timesteps, err) &&
        program_write(p->program, p->text, c->text, (int64_t)c->text_rows * d->config.info.text_width, err) &&
        (!c->control_frames || write_control(d, p, c, err)) && program_run(p->program, err) &&
        read_flow(d, p, out, err))
        return true;
    return error_wrap(err, "painter");
}

bool dit_run_guided(struct dit *d, const struct dit_call *c, const float *negative, float scale, float *out,
                    struct error *err)
{
    if (!negative || scale == 1.0f)
        return dit_run(d, c, out, err);

    int64_t count = (int64_t)d->config.info.out_channels * c->frames * c->height * c->width;
    float *without = xmalloc((size_t)count * sizeof *without);
    struct dit_call other = *c;
    other.text = negative;
    bool ok = dit_run(d, &other, without, err) && dit_run(d, c, out, err);
    for (int64_t i = 0; ok && i < count; i++) {
        float toward = out[i] - without[i];
        float step = scale * toward;
        out[i] = without[i] + step;
    }
    free(without);
    return ok;
}

float *dit_tap(struct dit *d, const char *name, struct shape *shape, struct error *err)
{
    if (!d->last) {
        error_set(err, ERROR_INTERNAL, "painter: nothing was run yet");
        return NULL;
    }
    return taps_read(&d->last->taps, d->last->program, name, shape, err);
}

#include "common/nn/kernel_proof.h"

#include "common/base/arena.h"
#include "common/base/rng.h"
#include "common/nn/ops.h"

#include <assert.h>
#include <stdlib.h>

#define REFERENCE "2008d1b3b4fd7f1c3822fc1d319e559ae16eea9f954129bd03cb52b2ac7da406"

#define SEED        0x53686f746c696e65ull
#define MAX_ARRAYS  24
#define MAX_OUTPUTS 24

struct proof {
    struct graph *g;
    struct arena arena;
    struct weight weight[MAX_ARRAYS];
    int weights;
    struct {
        value v;
        float *data;
        int64_t count;
    } input[MAX_ARRAYS], output[MAX_OUTPUTS];
    int inputs, outputs;
};

/* Magnitudes from 2^-12 to 2^4: rounding shows in every bit, and nothing overflows. */
static float *numbers(struct proof *p, int64_t count)
{
    uint64_t stream = (uint64_t)(p->weights + p->inputs);
    float *data = arena_array(&p->arena, float, count);
    for (int64_t i = 0; i < count; i++) {
        float v = (float)(2.0 * rng_uniform(SEED, stream, 2 * (uint64_t)i) - 1.0);
        for (int halvings = (int)(16.0 * rng_uniform(SEED, stream, 2 * (uint64_t)i + 1)); halvings > 0; halvings--)
            v *= 0.5f;
        data[i] = 16.0f * v;
    }
    return data;
}

static value in(struct proof *p, struct shape shape)
{
    assert(p->inputs < MAX_ARRAYS);
    int64_t count = shape_count(&shape);
    float *data = numbers(p, count);
    value v = graph_input(p->g, "proof", shape);
    p->input[p->inputs].v = v;
    p->input[p->inputs].data = data;
    p->input[p->inputs++].count = count;
    return v;
}

static value weight(struct proof *p, struct shape shape)
{
    assert(p->weights < MAX_ARRAYS);
    float *data = numbers(p, shape_count(&shape));
    struct weight *w = &p->weight[p->weights++];
    *w = (struct weight){ .name = "proof", .type = DTYPE_F32, .shape = shape, .data = data };
    return graph_weight(p->g, w);
}

/* The same, as stored by a pack of half precision. */
static value half_weight(struct proof *p, struct shape shape, enum dtype type)
{
    int64_t count = shape_count(&shape);
    uint16_t *half = arena_array(&p->arena, uint16_t, count);
    value v = weight(p, shape);
    struct weight *w = &p->weight[p->weights - 1];
    const float *data = w->data;
    for (int64_t i = 0; i < count; i++)
        half[i] = type == DTYPE_F16 ? f32_to_f16(data[i]) : f32_to_bf16(data[i]);
    w->type = type;
    w->data = half;
    return v;
}

static value out(struct proof *p, value v)
{
    assert(p->outputs < MAX_OUTPUTS);
    graph_output(p->g, v);
    struct shape s = graph_shape(p->g, v);
    p->output[p->outputs].v = v;
    p->output[p->outputs++].count = shape_count(&s);
    return v;
}

static void transformer_part(struct proof *p)
{
    struct graph *g = p->g;
    value x = in(p, SHAPE(37, 64)), gate = in(p, SHAPE(1, 64)), shift = in(p, SHAPE(1, 64));
    value cosine = in(p, SHAPE(37, 16)), sine = in(p, SHAPE(37, 16));
    value y = out(p, op_modulate(g, op_layer_norm(g, x, VALUE_NONE, VALUE_NONE, 1e-6f), gate, shift));
    value q = out(p, op_linear(g, y, weight(p, SHAPE(64, 64)), weight(p, SHAPE(64)), ACT_NONE));
    value k = out(p, op_rms_norm(g, q, weight(p, SHAPE(64)), 1e-6f));
    q = out(p, op_rope(g, k, cosine, sine, 2, ROPE_PAIRS));
    k = out(p, op_rope(g, k, cosine, sine, 2, ROPE_HALF));
    const struct attention how = { .heads = 2, .kv_heads = 2, .scale = 0.17677669f };
    value a = out(p, op_attention(g, q, k, y, &how));
    value z = out(p, op_linear(g, a, weight(p, SHAPE(96, 64)), VALUE_NONE, ACT_GELU));
    z = out(p, op_linear(g, z, weight(p, SHAPE(64, 96)), weight(p, SHAPE(64)), ACT_SILU));
    out(p, op_gate_add(g, x, z, gate));
    out(p, op_linear(g, op_slice_rows(g, z, 36, 1), weight(p, SHAPE(40, 64)), VALUE_NONE, ACT_NONE));
}

static void vae_part(struct proof *p)
{
    struct graph *g = p->g;
    const struct conv causal = { .pad_before = { 0, 1, 1 }, .pad_after = { 0, 1, 1 } };
    const struct conv up = { .pad_before = { 0, 1, 1 }, .pad_after = { 0, 1, 1 }, .upsample2 = true };
    value x = in(p, SHAPE(4, 5, 7, 12));
    value y = out(p, op_conv(g, x, weight(p, SHAPE(20, 12, 3, 3, 3)), weight(p, SHAPE(20)), &causal));
    y = out(p, op_channel_norm(g, y, weight(p, SHAPE(20)), ACT_SILU));
    out(p, op_conv(g, op_scale(g, y, 0.25f), weight(p, SHAPE(3, 20, 3, 3)), VALUE_NONE, &up));
}

/* What the models of real packs add: rows whose partial sums have many terms, masks and biases over scores, query heads
 * that share keys, weights of half precision. */
static void wide_part(struct proof *p)
{
    struct graph *g = p->g;
    value x = in(p, SHAPE(19, 320));
    value y = out(p, op_layer_norm(g, x, weight(p, SHAPE(320)), weight(p, SHAPE(320)), 1e-6f));
    y = out(p, op_rms_norm(g, y, weight(p, SHAPE(320)), 1e-6f));
    y = out(p, op_channel_norm(g, y, weight(p, SHAPE(320)), ACT_SILU));
    value q = out(p, op_linear(g, y, half_weight(p, SHAPE(64, 320), DTYPE_BF16), VALUE_NONE, ACT_NONE));
    value k = out(p, op_linear(g, y, half_weight(p, SHAPE(32, 320), DTYPE_F16), VALUE_NONE, ACT_NONE));
    const struct attention how = {
        .heads = 4, .kv_heads = 2, .scale = 0.25f, .bias = in(p, SHAPE(4, 19, 19)), .mask = in(p, SHAPE(19))
    };
    float *mask = p->input[p->inputs - 1].data;
    for (int i = 0; i < 19; i++)
        mask[i] = i % 5 == 2 ? 0.0f : 1.0f;
    out(p, op_attention(g, q, k, k, &how));
}

static bool run(struct proof *p, struct exec *x, struct digest *d, struct error *err)
{
    struct program *program = program_new(x, p->g, NULL, err);
    if (!program)
        return false;
    bool ok = true;
    for (int i = 0; i < p->inputs && ok; i++)
        ok = program_write(program, p->input[i].v, p->input[i].data, p->input[i].count, err);
    ok = ok && program_run(program, err);
    struct hash h;
    hash_begin(&h);
    for (int i = 0; i < p->outputs && ok; i++) {
        float *data = arena_array(&p->arena, float, p->output[i].count);
        ok = program_read(program, p->output[i].v, data, p->output[i].count, err);
        for (int64_t e = 0; e < p->output[i].count && ok; e++) { /* bytes in one order on every host */
            union {
                float f;
                uint32_t bits;
            } u = { data[e] };
            const uint8_t bytes[4] = { (uint8_t)u.bits, (uint8_t)(u.bits >> 8), (uint8_t)(u.bits >> 16),
                                       (uint8_t)(u.bits >> 24) };
            hash_bytes(&h, bytes, sizeof bytes);
        }
    }
    *d = hash_end(&h);
    program_free(&program);
    return ok;
}

bool kernel_proof(struct exec *x, struct digest *d, struct error *err)
{
    struct proof *p = xcalloc(1, sizeof *p);
    p->g = graph_new();
    transformer_part(p);
    vae_part(p);
    wide_part(p);
    bool ok = run(p, x, d, err);
    exec_drop_weights(x); /* their memory ends here */
    graph_free(&p->g);
    arena_free(&p->arena);
    free(p);
    return ok || error_wrap(err, "kernel proof on %s", exec_device_name(x));
}

struct digest kernel_proof_reference(void)
{
    struct digest d;
    bool ok = digest_from_hex(&d, REFERENCE);
    assert(ok);
    (void)ok;
    return d;
}

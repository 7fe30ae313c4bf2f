#include "worker/models/text_encoder.h"

#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/rng.h"
#include "common/nn/ops.h"
#include "worker/models/bind.h"
#include "worker/models/taps.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct text_config {
    int d_model, d_kv, d_ff, layers, heads, vocab_size, buckets, max_distance, eos;
    float eps;
};

struct text_layer {
    const struct weight *q, *k, *v, *o, *bias_table; /* [buckets, heads] */
    const struct weight *attention_norm, *feed_norm, *gate, *up, *down;
};

/* A program for a number of rows. Rows are rounded up and the added ones masked, which changes no bit of the others. */
struct text_program {
    int rows;
    struct program *program;
    value hidden, mask, out;
    value *bias; /* [layers], each [heads, rows, rows] */
    struct taps taps;
    int64_t used; /* larger: more recently */
};

enum { ROWS_STEP = ATTENTION_BLOCK, PROGRAMS = 4 };

struct text_encoder {
    struct text_config config;
    struct exec *exec;
    struct weights *weights;
    struct text_layer *layer;
    const struct weight *embedding, *final_norm;
    struct text_program program[PROGRAMS];
    int64_t runs;
    int last_count; /* rows that the last run was asked for */
    struct text_program *last;
    bool taps;
};

static bool read_config(struct text_config *c, const char *dir, struct error *err)
{
    char path[PATH_MAX];
    if (!file_join(path, sizeof path, dir, "config.json"))
        return error_set(err, ERROR_INPUT, "%s: path too long", dir);
    json_t *root = json_load(path, err);
    if (!root)
        return false;

    struct json_reader r = { .where = path, .err = err };
    const json_t *classes = json_list(&r, root, "architectures");
    const char *class = json_string_value(json_array_get(classes, 0));
    if (classes && (!class || strcmp(class, "UMT5EncoderModel")))
        json_fail(&r, "architectures", "is \"%s\", expected \"UMT5EncoderModel\"", class ? class : "");
    c->d_model = (int)json_int(&r, root, "d_model", 1, 65536);
    c->d_kv = (int)json_int(&r, root, "d_kv", 1, 4096);
    c->d_ff = (int)json_int(&r, root, "d_ff", 1, 1 << 20);
    c->layers = (int)json_int(&r, root, "num_layers", 1, 1024);
    c->heads = (int)json_int(&r, root, "num_heads", 1, 1024);
    c->vocab_size = (int)json_int(&r, root, "vocab_size", 2, 1 << 26);
    c->buckets = (int)json_int_or(&r, root, "relative_attention_num_buckets", 4, 65536, 32);
    c->max_distance = (int)json_int_or(&r, root, "relative_attention_max_distance", 2, 1 << 20, 128);
    c->eps = (float)json_number_or(&r, root, "layer_norm_epsilon", 1e-6);
    c->eos = (int)json_int_or(&r, root, "eos_token_id", 0, c->vocab_size - 1, 1);
    const char *feed = json_text(&r, root, "feed_forward_proj");
    if (!r.failed && strcmp(feed, "gated-gelu"))
        json_fail(&r, "feed_forward_proj", "is \"%s\", expected \"gated-gelu\"", feed);
    if (!r.failed && (c->buckets % 4 || c->max_distance <= c->buckets / 4))
        json_fail(&r, "relative_attention_num_buckets", "is %d, which does not fit a largest distance of %d",
                  c->buckets, c->max_distance);
    json_decref(root);
    return !r.failed;
}

static bool bind_all(struct text_encoder *t, struct error *err)
{
    const struct text_config *c = &t->config;
    struct binder b = { .weights = t->weights, .err = err };
    int inner = c->heads * c->d_kv;

    t->embedding = bind(&b, SHAPE(c->vocab_size, c->d_model), "shared.weight");
    t->final_norm = bind(&b, SHAPE(c->d_model), "encoder.final_layer_norm.weight");
    t->layer = xcalloc((size_t)c->layers, sizeof *t->layer);
    for (int i = 0; i < c->layers && !b.failed; i++) {
        struct text_layer *l = &t->layer[i];
        l->q = bind(&b, SHAPE(inner, c->d_model), "encoder.block.%d.layer.0.SelfAttention.q.weight", i);
        l->k = bind(&b, SHAPE(inner, c->d_model), "encoder.block.%d.layer.0.SelfAttention.k.weight", i);
        l->v = bind(&b, SHAPE(inner, c->d_model), "encoder.block.%d.layer.0.SelfAttention.v.weight", i);
        l->o = bind(&b, SHAPE(c->d_model, inner), "encoder.block.%d.layer.0.SelfAttention.o.weight", i);
        l->bias_table = bind(&b, SHAPE(c->buckets, c->heads),
                             "encoder.block.%d.layer.0.SelfAttention.relative_attention_bias.weight", i);
        l->attention_norm = bind(&b, SHAPE(c->d_model), "encoder.block.%d.layer.0.layer_norm.weight", i);
        l->gate = bind(&b, SHAPE(c->d_ff, c->d_model), "encoder.block.%d.layer.1.DenseReluDense.wi_0.weight", i);
        l->up = bind(&b, SHAPE(c->d_ff, c->d_model), "encoder.block.%d.layer.1.DenseReluDense.wi_1.weight", i);
        l->down = bind(&b, SHAPE(c->d_model, c->d_ff), "encoder.block.%d.layer.1.DenseReluDense.wo.weight", i);
        l->feed_norm = bind(&b, SHAPE(c->d_model), "encoder.block.%d.layer.1.layer_norm.weight", i);
    }
    return !b.failed;
}

struct text_encoder *text_encoder_open(const char *dir, struct exec *x, bool taps, struct error *err)
{
    struct text_encoder *t = xcalloc(1, sizeof *t);
    t->exec = x;
    t->taps = taps;
    if (!read_config(&t->config, dir, err) || !(t->weights = weights_open(dir, "model", err)) || !bind_all(t, err))
        text_encoder_close(&t);
    return t;
}

static void program_drop(struct text_program *p)
{
    program_free(&p->program);
    free(p->bias);
    taps_free(&p->taps);
    *p = (struct text_program){ 0 };
}

void text_encoder_close(struct text_encoder **t)
{
    if (!*t)
        return;
    for (int i = 0; i < PROGRAMS; i++)
        program_drop(&(*t)->program[i]);
    exec_drop_weights((*t)->exec);
    weights_close(&(*t)->weights);
    free((*t)->layer);
    free(*t);
    *t = NULL;
}

int text_encoder_width(const struct text_encoder *t)
{
    return t->config.d_model;
}

int text_encoder_bucket(const struct text_encoder *t, int distance)
{
    int half = t->config.buckets / 2, exact = half / 2;
    int side = distance > 0 ? half : 0, far = distance < 0 ? -distance : distance;

    if (far < exact)
        return side + far;
    double share = portable_log((double)far / exact) / portable_log((double)t->config.max_distance / exact);
    int bucket = exact + (int)(share * (half - exact) + 1e-9); /* where the quotient is whole, it counts as reached */
    return side + (bucket < half ? bucket : half - 1);
}

/* ---- the graph ---- */

static value encoder_layer(struct graph *g, struct text_encoder *t, struct text_program *p, int index, value x)
{
    const struct text_config *c = &t->config;
    const struct text_layer *l = &t->layer[index];

    graph_enter(g, "block.%d", index);
    value h = op_rms_norm(g, x, graph_weight(g, l->attention_norm), c->eps);
    value q = op_linear(g, h, graph_weight(g, l->q), VALUE_NONE, ACT_NONE);
    value k = op_linear(g, h, graph_weight(g, l->k), VALUE_NONE, ACT_NONE);
    value v = op_linear(g, h, graph_weight(g, l->v), VALUE_NONE, ACT_NONE);
    value a = op_attention(g, q, k, v,
                           &(struct attention){ .heads = c->heads,
                                                .kv_heads = c->heads,
                                                .scale = 1.0f, /* T5 does not scale its scores */
                                                .bias = p->bias[index],
                                                .mask = p->mask });
    x = op_add(g, x, op_linear(g, a, graph_weight(g, l->o), VALUE_NONE, ACT_NONE));
    taps_name(&p->taps, g, x, "block.%d.self_attn_residual", index);

    h = op_rms_norm(g, x, graph_weight(g, l->feed_norm), c->eps);
    value gate = op_linear(g, h, graph_weight(g, l->gate), VALUE_NONE, ACT_GELU);
    value up = op_linear(g, h, graph_weight(g, l->up), VALUE_NONE, ACT_NONE);
    x = op_add(g, x, op_linear(g, op_mul(g, gate, up), graph_weight(g, l->down), VALUE_NONE, ACT_NONE));
    taps_name(&p->taps, g, x, "block.%d.out", index);
    graph_leave(g);
    return x;
}

/* bias[head][i][j] = table[bucket(j - i)][head] */
static bool write_biases(struct text_encoder *t, struct text_program *p, struct error *err)
{
    const struct text_config *c = &t->config;
    int64_t count = (int64_t)c->heads * p->rows * p->rows;
    float *table = xmalloc(sizeof(float) * (size_t)(c->buckets * c->heads)),
          *bias = xmalloc(sizeof(float) * (size_t)count);
    int *bucket = xmalloc(sizeof(int) * (size_t)(2 * p->rows));
    bool ok = true;

    for (int d = -p->rows; d < p->rows; d++)
        bucket[d + p->rows] = text_encoder_bucket(t, d);
    for (int i = 0; i < c->layers && ok; i++) {
        const struct weight *w = t->layer[i].bias_table;
        float *to = bias;
        dtype_to_f32(table, w->data, w->type, (size_t)(c->buckets * c->heads));
        for (int h = 0; h < c->heads; h++)
            for (int a = 0; a < p->rows; a++)
                for (int b = 0; b < p->rows; b++)
                    *to++ = table[bucket[b - a + p->rows] * c->heads + h];
        ok = program_write(p->program, p->bias[i], bias, count, err);
    }
    free(table);
    free(bias);
    free(bucket);
    return ok;
}

static bool program_build(struct text_encoder *t, struct text_program *p, int rows, struct error *err)
{
    const struct text_config *c = &t->config;
    struct graph *g = graph_new();

    p->rows = rows;
    p->taps.wanted = t->taps;
    p->bias = xcalloc((size_t)c->layers, sizeof *p->bias);
    p->hidden = graph_input(g, "embeddings", SHAPE(rows, c->d_model));
    p->mask = graph_input(g, "mask", SHAPE(rows));
    for (int i = 0; i < c->layers; i++)
        p->bias[i] = graph_input(g, "position bias", SHAPE(c->heads, rows, rows));
    value x = p->hidden;
    for (int i = 0; i < c->layers; i++)
        x = encoder_layer(g, t, p, i, x);
    p->out = op_rms_norm(g, x, graph_weight(g, t->final_norm), c->eps);
    graph_output(g, p->out);
    p->program = program_new(t->exec, g, NULL, err);
    graph_free(&g);
    if (p->program && write_biases(t, p, err))
        return true;
    program_drop(p);
    return error_wrap(err, "text encoder");
}

static struct text_program *program_for(struct text_encoder *t, int rows, struct error *err)
{
    struct text_program *p = &t->program[0];
    for (int i = 0; i < PROGRAMS; i++) {
        if (t->program[i].program && t->program[i].rows == rows)
            return &t->program[i];
        if (t->program[i].used < p->used)
            p = &t->program[i];
    }
    if (t->last == p)
        t->last = NULL;
    program_drop(p);
    return program_build(t, p, rows, err) ? p : NULL;
}

/* ---- running ---- */

static bool check_ids(const struct text_encoder *t, const int32_t *ids, int count, struct error *err)
{
    if (count < 1)
        return error_set(err, ERROR_INPUT, "text encoder: no tokens");
    for (int i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= t->config.vocab_size)
            return error_set(err, ERROR_INPUT, "text encoder: token %d of %d is %d, expected 0 to %d", i + 1, count,
                             ids[i], t->config.vocab_size - 1);
    return true;
}

bool text_encoder_run(struct text_encoder *t, const int32_t *ids, int count, const uint8_t *mask, float *out,
                      struct error *err)
{
    if (!check_ids(t, ids, count, err))
        return false;
    int rows = (count + ROWS_STEP - 1) / ROWS_STEP * ROWS_STEP, width = t->config.d_model;
    struct text_program *p = program_for(t, rows, err);
    if (!p)
        return false;

    float *hidden = xcalloc((size_t)rows * (size_t)width, sizeof *hidden), *seen = xcalloc((size_t)rows, sizeof *seen);
    size_t row_bytes = (size_t)width * dtype_bytes(t->embedding->type);
    for (int i = 0; i < count; i++) {
        const uint8_t *row = (const uint8_t *)t->embedding->data + (size_t)ids[i] * row_bytes;
        dtype_to_f32(hidden + (size_t)i * (size_t)width, row, t->embedding->type, (size_t)width);
        seen[i] = !mask || mask[i] ? 1.0f : 0.0f;
    }
    bool ok = program_write(p->program, p->hidden, hidden, (int64_t)rows * width, err) &&
              program_write(p->program, p->mask, seen, rows, err) && program_run(p->program, err) &&
              program_read(p->program, p->out, hidden, (int64_t)rows * width, err);
    if (ok)
        memcpy(out, hidden, (size_t)count * (size_t)width * sizeof *out);
    free(hidden);
    free(seen);
    p->used = ++t->runs;
    t->last = p;
    t->last_count = count;
    return ok || error_wrap(err, "text encoder");
}

bool text_encoder_embed(struct text_encoder *t, const int32_t *ids, int count, int rows, float *out, struct error *err)
{
    if (rows < 1)
        return error_set(err, ERROR_INPUT, "text encoder: %d rows asked for", rows);
    int used = count < rows - 1 ? count : rows - 1;
    int32_t *all = xmalloc((size_t)rows * sizeof *all);
    if (used)
        memcpy(all, ids, (size_t)used * sizeof *all);
    all[used++] = t->config.eos;
    memset(out, 0, (size_t)rows * (size_t)t->config.d_model * sizeof *out);
    bool ok = text_encoder_run(t, all, used, NULL, out, err);
    free(all);
    return ok;
}

float *text_encoder_tap(struct text_encoder *t, const char *name, struct shape *shape, struct error *err)
{
    if (!t->last) {
        error_set(err, ERROR_INTERNAL, "text encoder: nothing was run yet");
        return NULL;
    }
    float *data = taps_read(&t->last->taps, t->last->program, name, shape, err);
    shape->dim[0] = t->last_count; /* the added rows are at the end */
    return data;
}

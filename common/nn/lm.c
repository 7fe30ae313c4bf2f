#include "common/nn/lm.h"

#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/rng.h"
#include "common/nn/ops.h"
#include "common/nn/weights.h"

#include <stdlib.h>
#include <string.h>

/* config.json of Qwen3ForCausalLM. */
struct lm_config {
    int64_t vocab_size, hidden_size, intermediate_size;
    int layers, heads, kv_heads, head_dim;
    float rms_norm_eps;
    double rope_theta;
    bool tied; /* the head is the embedding */
};

struct lm_layer {
    const struct weight *input_norm, *q, *k, *v, *o, *q_norm, *k_norm, *post_norm, *gate, *up, *down;
};

/* A program feeds a fixed number of rows in front of a fixed number of cache rows; few sizes keep the programs few.
 * Rows that are not needed are padding: their cache rows are overwritten or masked later. */
static const int row_sizes[] = { 1, 16, 64 };
#define ROW_SIZES   3
#define MOST_ROWS   64
#define CACHE_SIZES 10 /* 0, 64, 128... and at last the whole cache */
#define SMALL_CACHE 64

struct body {
    struct program *program; /* NULL: not made yet */
    value x, cos, sin;       /* inputs */
    value at;                /* where the new rows go in the cache */
    value offset, mask;      /* mask: VALUE_NONE where the cache is not read */
    value hidden;            /* output */
};

struct lm {
    struct lm_config c;
    struct weights *weights;
    struct exec *x;
    struct states *states;
    const struct weight *embedding, *head, *norm;
    struct lm_layer *layers;
    struct body bodies[ROW_SIZES][CACHE_SIZES];
    int cache_sizes[CACHE_SIZES];
    int cache_size_count;
    struct program *head_program;
    value head_in, head_out;
    int max_tokens, position;
    double *inverse_frequency;      /* [head_dim / 2] */
    float *rows, *cos, *sin, *mask; /* scratch for one run */
};

/* ---- config ---- */

static void check_class(struct json_reader *r, const json_t *json)
{
    const json_t *list = json_list(r, json, "architectures");
    const char *name = json_string_value(json_array_get(list, 0));

    if (!r->failed && (!name || strcmp(name, "Qwen3ForCausalLM") != 0))
        json_fail(r, "architectures", "\"%.60s\", expected Qwen3ForCausalLM", name ? name : "");
    if (!r->failed && strcmp(json_text_or(r, json, "hidden_act", "silu"), "silu") != 0)
        json_fail(r, "hidden_act", "expected silu");
    if (!r->failed && json_bool_or(r, json, "attention_bias", false))
        json_fail(r, "attention_bias", "expected false");
    if (!r->failed && json_bool_or(r, json, "use_sliding_window", false))
        json_fail(r, "use_sliding_window", "expected false");
}

/* rope_theta and rope_scaling, or rope_parameters, which newer files have instead. */
static double read_rope(struct json_reader *r, const json_t *json)
{
    const json_t *parameters = json_object_get(json, "rope_parameters");
    const json_t *scaling = json_object_get(json, "rope_scaling");

    if (scaling && !json_is_null(scaling))
        json_fail(r, "rope_scaling", "expected null: stretched positions are not read");
    if (!parameters || json_is_null(parameters))
        return json_number_or(r, json, "rope_theta", 10000.0);
    if (strcmp(json_text_or(r, parameters, "rope_type", "default"), "default") != 0)
        json_fail(r, "rope_parameters.rope_type", "expected default");
    return json_number(r, parameters, "rope_theta");
}

static bool read_config(struct lm_config *c, const char *dir, struct error *err)
{
    char path[4096];
    if (!file_join(path, sizeof path, dir, "config.json"))
        return error_set(err, ERROR_INPUT, "%s: the path is too long", dir);
    json_t *json = json_load(path, err);
    if (!json)
        return false;

    struct json_reader r = { .where = path, .err = err };
    check_class(&r, json);
    c->vocab_size = json_int(&r, json, "vocab_size", 2, 1 << 22);
    c->hidden_size = json_int(&r, json, "hidden_size", 2, 1 << 16);
    c->intermediate_size = json_int(&r, json, "intermediate_size", 1, 1 << 18);
    c->layers = (int)json_int(&r, json, "num_hidden_layers", 1, 512);
    c->heads = (int)json_int(&r, json, "num_attention_heads", 1, 1024);
    c->kv_heads = (int)json_int_or(&r, json, "num_key_value_heads", 1, 1024, c->heads);
    c->head_dim = (int)json_int_or(&r, json, "head_dim", 2, 1024, c->heads > 0 ? c->hidden_size / c->heads : 2);
    c->rms_norm_eps = (float)json_number_or(&r, json, "rms_norm_eps", 1e-6);
    c->rope_theta = read_rope(&r, json);
    c->tied = json_bool_or(&r, json, "tie_word_embeddings", false);
    if (!r.failed && (c->kv_heads > c->heads || c->heads % c->kv_heads != 0))
        json_fail(&r, "num_key_value_heads", "%d does not divide num_attention_heads %d", c->kv_heads, c->heads);
    if (!r.failed && c->head_dim % 2 != 0)
        json_fail(&r, "head_dim", "%d is not even", c->head_dim);
    if (!r.failed && !(c->rope_theta > 1.0 && c->rope_theta < 1e12))
        json_fail(&r, "rope_theta", "expected a number above 1");
    if (!r.failed && !(c->rms_norm_eps > 0.0f && c->rms_norm_eps < 1.0f))
        json_fail(&r, "rms_norm_eps", "expected a small positive number");
    json_decref(json);
    return !r.failed;
}

/* ---- weights ---- */

static bool find_layer(struct lm *m, int index, struct error *err)
{
    const struct lm_config *c = &m->c;
    struct lm_layer *l = &m->layers[index];
    int64_t q = (int64_t)c->heads * c->head_dim, kv = (int64_t)c->kv_heads * c->head_dim;
    const struct {
        const char *name;
        const struct weight **to;
        struct shape shape;
    } wanted[] = {
        { "input_layernorm", &l->input_norm, SHAPE(c->hidden_size) },
        { "self_attn.q_proj", &l->q, SHAPE(q, c->hidden_size) },
        { "self_attn.k_proj", &l->k, SHAPE(kv, c->hidden_size) },
        { "self_attn.v_proj", &l->v, SHAPE(kv, c->hidden_size) },
        { "self_attn.o_proj", &l->o, SHAPE(c->hidden_size, q) },
        { "self_attn.q_norm", &l->q_norm, SHAPE(c->head_dim) },
        { "self_attn.k_norm", &l->k_norm, SHAPE(c->head_dim) },
        { "post_attention_layernorm", &l->post_norm, SHAPE(c->hidden_size) },
        { "mlp.gate_proj", &l->gate, SHAPE(c->intermediate_size, c->hidden_size) },
        { "mlp.up_proj", &l->up, SHAPE(c->intermediate_size, c->hidden_size) },
        { "mlp.down_proj", &l->down, SHAPE(c->hidden_size, c->intermediate_size) },
    };

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        char name[96];
        snprintf(name, sizeof name, "model.layers.%d.%s.weight", index, wanted[i].name);
        *wanted[i].to = weights_find(m->weights, name, &wanted[i].shape, err);
        if (!*wanted[i].to)
            return false;
    }
    return true;
}

static bool find_weights(struct lm *m, const char *dir, struct error *err)
{
    const struct shape table = SHAPE(m->c.vocab_size, m->c.hidden_size), norm = SHAPE(m->c.hidden_size);

    m->weights = weights_open(dir, "model", err);
    if (!m->weights)
        return false;
    m->embedding = weights_find(m->weights, "model.embed_tokens.weight", &table, err);
    m->head = m->c.tied ? m->embedding : weights_find(m->weights, "lm_head.weight", &table, err);
    m->norm = m->embedding && m->head ? weights_find(m->weights, "model.norm.weight", &norm, err) : NULL;
    m->layers = xcalloc((size_t)m->c.layers, sizeof *m->layers);
    for (int i = 0; i < m->c.layers && m->norm; i++)
        if (!find_layer(m, i, err))
            return false;
    return m->norm != NULL;
}

/* ---- graphs ---- */

/* RMS norm of each head by itself, then rotation. */
static value turn_heads(struct graph *g, const struct lm *m, const struct body *b, value x, const struct weight *norm,
                        int heads)
{
    struct shape flat = graph_shape(g, x);

    x = op_reshape(g, x, SHAPE(flat.dim[0] * heads, m->c.head_dim));
    x = op_rms_norm(g, x, graph_weight(g, norm), m->c.rms_norm_eps);
    x = op_reshape(g, x, flat);
    return op_rope(g, x, b->cos, b->sin, heads, ROPE_HALF);
}

/* The new rows behind the used part of the cache; they are stored for the runs to come. */
static value with_cache(struct graph *g, const struct lm *m, const struct body *b, int slot, value fresh,
                        int cache_rows)
{
    int64_t all_rows = m->cache_sizes[m->cache_size_count - 1] + MOST_ROWS;
    value state = graph_state(g, slot, SHAPE(all_rows, (int64_t)m->c.kv_heads * m->c.head_dim));

    op_store(g, state, fresh, b->at);
    return cache_rows > 0 ? op_concat_rows(g, op_slice_rows(g, state, 0, cache_rows), fresh) : fresh;
}

static value layer(struct graph *g, const struct lm *m, const struct body *b, int index, value x, int cache_rows)
{
    const struct lm_layer *l = &m->layers[index];
    const struct lm_config *c = &m->c;
    value h = op_rms_norm(g, x, graph_weight(g, l->input_norm), c->rms_norm_eps);
    value q = op_linear(g, h, graph_weight(g, l->q), VALUE_NONE, ACT_NONE);
    value k = op_linear(g, h, graph_weight(g, l->k), VALUE_NONE, ACT_NONE);
    value v = op_linear(g, h, graph_weight(g, l->v), VALUE_NONE, ACT_NONE);

    q = turn_heads(g, m, b, q, l->q_norm, c->heads);
    k = turn_heads(g, m, b, k, l->k_norm, c->kv_heads);
    k = with_cache(g, m, b, 2 * index, k, cache_rows);
    v = with_cache(g, m, b, 2 * index + 1, v, cache_rows);
    const struct attention a = {
        .heads = c->heads,
        .kv_heads = c->kv_heads,
        .scale = (float)(1.0 / portable_sqrt((double)c->head_dim)),
        .mask = b->mask,
        .offset = b->offset,
    };
    h = op_attention(g, q, k, v, &a);
    x = op_add(g, x, op_linear(g, h, graph_weight(g, l->o), VALUE_NONE, ACT_NONE));

    h = op_rms_norm(g, x, graph_weight(g, l->post_norm), c->rms_norm_eps);
    value gate = op_linear(g, h, graph_weight(g, l->gate), VALUE_NONE, ACT_SILU);
    value up = op_linear(g, h, graph_weight(g, l->up), VALUE_NONE, ACT_NONE);
    return op_add(g, x, op_linear(g, op_mul(g, gate, up), graph_weight(g, l->down), VALUE_NONE, ACT_NONE));
}

static bool finish(struct lm *m, struct graph **g, struct program **program, struct error *err)
{
    if (graph_ok(*g, err))
        *program = program_new(m->x, *g, m->states, err);
    graph_free(g);
    return *program != NULL;
}

static bool make_body(struct lm *m, int rows, int cache_rows, struct body *b, struct error *err)
{
    struct graph *g = graph_new();
    int64_t half = m->c.head_dim / 2;

    b->x = graph_input(g, "rows", SHAPE(rows, m->c.hidden_size));
    b->cos = graph_input(g, "cos", SHAPE(rows, half));
    b->sin = graph_input(g, "sin", SHAPE(rows, half));
    b->at = graph_input(g, "at", SHAPE(1));
    b->offset = graph_input(g, "offset", SHAPE(1));
    b->mask = cache_rows > 0 ? graph_input(g, "mask", SHAPE(cache_rows + rows)) : VALUE_NONE;
    value x = b->x;
    for (int i = 0; i < m->c.layers; i++) {
        graph_enter(g, "layers.%d", i);
        x = layer(g, m, b, i, x, cache_rows);
        graph_leave(g);
    }
    b->hidden = x;
    graph_output(g, x);
    return finish(m, &g, &b->program, err);
}

static bool make_head(struct lm *m, struct error *err)
{
    struct graph *g = graph_new();

    m->head_in = graph_input(g, "hidden", SHAPE(1, m->c.hidden_size));
    value x = op_rms_norm(g, m->head_in, graph_weight(g, m->norm), m->c.rms_norm_eps);
    m->head_out = op_linear(g, x, graph_weight(g, m->head), VALUE_NONE, ACT_NONE);
    graph_output(g, m->head_out);
    return finish(m, &g, &m->head_program, err);
}

/* ---- opening ---- */

static void size_caches(struct lm *m)
{
    int64_t token_bytes = (int64_t)m->c.layers * 2 * m->c.kv_heads * m->c.head_dim * (int64_t)sizeof(float);
    int64_t most = LM_CACHE_BYTES / token_bytes;

    if (m->max_tokens <= 0)
        m->max_tokens = most < 1 ? 1 : most > LM_MOST_TOKENS ? LM_MOST_TOKENS : (int)most;
    int whole = (m->max_tokens + ATTENTION_BLOCK - 1) / ATTENTION_BLOCK * ATTENTION_BLOCK;

    m->cache_sizes[m->cache_size_count++] = 0;
    for (int size = SMALL_CACHE; size < whole && m->cache_size_count < CACHE_SIZES - 1; size *= 2)
        m->cache_sizes[m->cache_size_count++] = size;
    m->cache_sizes[m->cache_size_count++] = whole;
}

struct lm *lm_open(const char *dir, struct exec *x, int max_tokens, struct error *err)
{
    struct lm *m = xcalloc(1, sizeof *m);

    m->x = x;
    m->max_tokens = max_tokens;
    if (!read_config(&m->c, dir, err) || !find_weights(m, dir, err))
        goto fail;
    size_caches(m);
    m->states = states_open(x);
    if (!make_head(m, err))
        goto fail;

    int half = m->c.head_dim / 2;
    m->inverse_frequency = xcalloc((size_t)half, sizeof *m->inverse_frequency);
    for (int i = 0; i < half; i++)
        m->inverse_frequency[i] = portable_pow(m->c.rope_theta, -2.0 * i / m->c.head_dim);
    m->rows = xcalloc((size_t)(MOST_ROWS * m->c.hidden_size), sizeof *m->rows);
    m->cos = xcalloc((size_t)(MOST_ROWS * half), sizeof *m->cos);
    m->sin = xcalloc((size_t)(MOST_ROWS * half), sizeof *m->sin);
    m->mask = xcalloc((size_t)(m->cache_sizes[m->cache_size_count - 1] + MOST_ROWS), sizeof *m->mask);
    return m;

fail:
    error_wrap(err, "planner model");
    lm_close(&m);
    return NULL;
}

void lm_close(struct lm **lm)
{
    struct lm *m = *lm;

    if (!m)
        return;
    for (int r = 0; r < ROW_SIZES; r++)
        for (int c = 0; c < CACHE_SIZES; c++)
            program_free(&m->bodies[r][c].program);
    program_free(&m->head_program);
    states_close(&m->states);
    exec_drop_weights(m->x);
    weights_close(&m->weights);
    free(m->layers);
    free(m->inverse_frequency);
    free(m->rows);
    free(m->cos);
    free(m->sin);
    free(m->mask);
    free(m);
    *lm = NULL;
}

int lm_vocab_size(const struct lm *m)
{
    return (int)m->c.vocab_size;
}

int lm_max_tokens(const struct lm *m)
{
    return m->max_tokens;
}

int lm_position(const struct lm *m)
{
    return m->position;
}

void lm_rewind(struct lm *m, int position)
{
    if (position >= 0 && position < m->position)
        m->position = position;
}

/* ---- feeding ---- */

static void fill_rows(struct lm *m, const int32_t *ids, int count, int rows)
{
    size_t row_bytes = (size_t)m->c.hidden_size * dtype_bytes(m->embedding->type);
    int half = m->c.head_dim / 2;

    for (int i = 0; i < rows; i++) {
        float *row = m->rows + (int64_t)i * m->c.hidden_size;
        if (i < count)
            dtype_to_f32(row, (const uint8_t *)m->embedding->data + (size_t)ids[i] * row_bytes, m->embedding->type,
                         (size_t)m->c.hidden_size);
        else
            memset(row, 0, (size_t)m->c.hidden_size * sizeof *row);
        for (int k = 0; k < half; k++) {
            double angle = (m->position + i) * m->inverse_frequency[k];
            m->cos[i * half + k] = (float)portable_cos(angle);
            m->sin[i * half + k] = (float)portable_sin(angle);
        }
    }
}

static bool write_inputs(struct lm *m, const struct body *b, int rows, int cache_rows, struct error *err)
{
    int64_t half = m->c.head_dim / 2;
    float at = (float)m->position, offset = (float)cache_rows;

    for (int j = 0; j < cache_rows + rows; j++)
        m->mask[j] = j < m->position || j >= cache_rows ? 1.0f : 0.0f;
    return program_write(b->program, b->x, m->rows, rows * m->c.hidden_size, err) &&
           program_write(b->program, b->cos, m->cos, rows * half, err) &&
           program_write(b->program, b->sin, m->sin, rows * half, err) &&
           program_write(b->program, b->at, &at, 1, err) && program_write(b->program, b->offset, &offset, 1, err) &&
           (cache_rows == 0 || program_write(b->program, b->mask, m->mask, cache_rows + rows, err));
}

/* Feeds at most MOST_ROWS tokens; their hidden rows are in m->rows afterwards. */
static bool feed_chunk(struct lm *m, const int32_t *ids, int count, struct error *err)
{
    int r = 0, c = 0;

    while (row_sizes[r] < count)
        r++;
    while (m->cache_sizes[c] < m->position)
        c++;
    struct body *b = &m->bodies[r][c];
    if (!b->program && !make_body(m, row_sizes[r], m->cache_sizes[c], b, err))
        return false;
    fill_rows(m, ids, count, row_sizes[r]);
    if (!write_inputs(m, b, row_sizes[r], m->cache_sizes[c], err) || !program_run(b->program, err) ||
        !program_read(b->program, b->hidden, m->rows, row_sizes[r] * m->c.hidden_size, err))
        return false;
    m->position += count;
    return true;
}

static bool read_logits(struct lm *m, int row, float *logits, struct error *err)
{
    return program_write(m->head_program, m->head_in, m->rows + row * m->c.hidden_size, m->c.hidden_size, err) &&
           program_run(m->head_program, err) &&
           program_read(m->head_program, m->head_out, logits, m->c.vocab_size, err);
}

static bool feed(struct lm *m, const int32_t *ids, int count, float *logits, bool all, struct error *err)
{
    if (count > m->max_tokens - m->position)
        return error_set(err, ERROR_USAGE, "%d tokens follow %d; the planner takes at most %d", count, m->position,
                         m->max_tokens);
    for (int i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= m->c.vocab_size)
            return error_set(err, ERROR_INPUT, "token %d is outside of the model's vocabulary of %lld", ids[i],
                             (long long)m->c.vocab_size);

    for (int done = 0; done < count;) {
        int left = count - done;
        int now = left <= 16 ? left : left <= 32 ? 16 : left < MOST_ROWS ? left : MOST_ROWS;
        if (!feed_chunk(m, ids + done, now, err))
            return false;
        for (int row = all ? 0 : now - 1; logits && row < now; row++)
            if ((all || done + now == count) &&
                !read_logits(m, row, all ? logits + (done + row) * m->c.vocab_size : logits, err))
                return false;
        done += now;
    }
    return true;
}

bool lm_feed(struct lm *m, const int32_t *ids, int count, float *logits, struct error *err)
{
    return feed(m, ids, count, logits, false, err);
}

bool lm_feed_all(struct lm *m, const int32_t *ids, int count, float *logits, struct error *err)
{
    return feed(m, ids, count, logits, true, err);
}

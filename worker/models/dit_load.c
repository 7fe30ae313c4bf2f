/* dit_load - reads and checks a painter's folder: configuration, names and shapes of all tensors. */
#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "worker/models/dit_internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- configuration ---- */

static void read_patch(struct json_reader *r, const json_t *root, int patch[3])
{
    const json_t *list = json_list(r, root, "patch_size");
    for (int i = 0; i < 3 && list; i++) {
        const json_t *n = json_array_get(list, (size_t)i);
        if (json_array_size(list) != 3 || !json_is_integer(n) || json_integer_value(n) < 1 ||
            json_integer_value(n) > 16) {
            json_fail(r, "patch_size", "expected three integers from 1 to 16");
            return;
        }
        patch[i] = (int)json_integer_value(n);
    }
}

static void read_vace(struct json_reader *r, const json_t *root, struct dit_config *c)
{
    c->info.control_channels = (int)json_int_or(r, root, "vace_in_channels", 1, 4096, 96);
    const json_t *list = json_list(r, root, "vace_layers");
    if (!list)
        return;
    c->info.control_layers = (int)json_array_size(list);
    c->vace_layers = xcalloc((size_t)c->info.control_layers + 1, sizeof *c->vace_layers);
    for (int i = 0; i < c->info.control_layers; i++) {
        const json_t *n = json_array_get(list, (size_t)i);
        int after = i ? c->vace_layers[i - 1] : -1;
        if (!json_is_integer(n) || json_integer_value(n) <= after || json_integer_value(n) >= c->info.layers) {
            json_fail(r, "vace_layers", "entry %d is not an increasing layer number below %d", i, c->info.layers);
            return;
        }
        c->vace_layers[i] = (int)json_integer_value(n);
    }
    if (c->info.control_layers < 1 || c->vace_layers[0] != 0)
        json_fail(r, "vace_layers", "expected a list that begins with 0");
}

/* Options of the published classes that no Wan 2.1 model sets; another value would need other code. */
static void refuse_variants(struct json_reader *r, const json_t *root)
{
    static const char *const absent[] = { "added_kv_proj_dim", "image_dim", "pos_embed_seq_len" };
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        const json_t *v = json_object_get(root, absent[i]);
        if (v && !json_is_null(v))
            json_fail(r, absent[i], "image conditioning is not supported, expected null");
    }
    const char *norm = json_text_or(r, root, "qk_norm", "rms_norm_across_heads");
    if (strcmp(norm, "rms_norm_across_heads"))
        json_fail(r, "qk_norm", "is \"%s\", expected \"rms_norm_across_heads\"", norm);
}

static bool read_config(struct dit_config *c, const char *dir, struct error *err)
{
    char path[PATH_MAX];
    if (!file_join(path, sizeof path, dir, "config.json"))
        return error_set(err, ERROR_INPUT, "%s: path too long", dir);
    json_t *root = json_load(path, err);
    if (!root)
        return false;

    struct json_reader r = { .where = path, .err = err };
    struct dit_info *i = &c->info;
    const char *class = json_text(&r, root, "_class_name");
    i->vace = !strcmp(class, "WanVACETransformer3DModel");
    if (!r.failed && !i->vace && strcmp(class, "WanTransformer3DModel"))
        json_fail(&r, "_class_name", "is \"%s\", expected \"WanTransformer3DModel\" or \"WanVACETransformer3DModel\"",
                  class);
    i->heads = (int)json_int(&r, root, "num_attention_heads", 1, 1024);
    c->head_dim = (int)json_int(&r, root, "attention_head_dim", 2, 1024);
    i->width = i->heads * c->head_dim;
    i->layers = (int)json_int(&r, root, "num_layers", 1, DIT_MAX_LAYERS);
    i->channels = (int)json_int(&r, root, "in_channels", 1, 4096);
    i->out_channels = (int)json_int_or(&r, root, "out_channels", 1, 4096, i->channels);
    i->text_width = (int)json_int(&r, root, "text_dim", 1, 65536);
    i->max_positions = (int)json_int_or(&r, root, "rope_max_seq_len", 1, 1 << 20, 1024);
    c->ffn_dim = (int)json_int(&r, root, "ffn_dim", 1, 1 << 20);
    c->freq_dim = (int)json_int(&r, root, "freq_dim", 2, 65536);
    c->eps = (float)json_number_or(&r, root, "eps", 1e-6);
    c->cross_norm = json_bool_or(&r, root, "cross_attn_norm", true);
    read_patch(&r, root, i->patch);
    if (!r.failed && (c->head_dim % 2 || c->freq_dim % 2))
        json_fail(&r, c->head_dim % 2 ? "attention_head_dim" : "freq_dim", "is odd, expected an even number");
    if (!r.failed && i->vace)
        read_vace(&r, root, c);
    refuse_variants(&r, root);
    json_decref(root);
    return !r.failed;
}

/* ---- weights ---- */

static struct attention_weights bind_attention(struct binder *b, int width, const char *block, int index, int n)
{
    struct attention_weights a;
    const struct shape square = SHAPE(width, width);
    a.q = bind_layer(b, square, "%s.%d.attn%d.to_q", block, index, n);
    a.k = bind_layer(b, square, "%s.%d.attn%d.to_k", block, index, n);
    a.v = bind_layer(b, square, "%s.%d.attn%d.to_v", block, index, n);
    a.out = bind_layer(b, square, "%s.%d.attn%d.to_out.0", block, index, n);
    a.norm_q = bind(b, SHAPE(width), "%s.%d.attn%d.norm_q.weight", block, index, n);
    a.norm_k = bind(b, SHAPE(width), "%s.%d.attn%d.norm_k.weight", block, index, n);
    return a;
}

static void bind_block(struct binder *b, const struct dit_config *c, const char *block, int index,
                       struct block_weights *w)
{
    int width = c->info.width;
    w->table = bind(b, SHAPE(1, 6, width), "%s.%d.scale_shift_table", block, index);
    w->self = bind_attention(b, width, block, index, 1);
    w->cross = bind_attention(b, width, block, index, 2);
    if (c->cross_norm)
        w->norm2 = bind_layer(b, SHAPE(width), "%s.%d.norm2", block, index);
    w->up = bind_layer(b, SHAPE(c->ffn_dim, width), "%s.%d.ffn.net.0.proj", block, index);
    w->down = bind_layer(b, SHAPE(width, c->ffn_dim), "%s.%d.ffn.net.2", block, index);
}

static bool bind_all(struct dit *d, struct error *err)
{
    const struct dit_config *c = &d->config;
    const struct dit_info *i = &c->info;
    const int *p = i->patch;
    const struct shape square = SHAPE(i->width, i->width);
    struct binder b = { .weights = d->weights, .err = err };

    d->patch = bind_layer(&b, SHAPE(i->width, i->channels, p[0], p[1], p[2]), "patch_embedding");
    d->time1 = bind_layer(&b, SHAPE(i->width, c->freq_dim), "condition_embedder.time_embedder.linear_1");
    d->time2 = bind_layer(&b, square, "condition_embedder.time_embedder.linear_2");
    d->time_proj = bind_layer(&b, SHAPE(6 * i->width, i->width), "condition_embedder.time_proj");
    d->text1 = bind_layer(&b, SHAPE(i->width, i->text_width), "condition_embedder.text_embedder.linear_1");
    d->text2 = bind_layer(&b, square, "condition_embedder.text_embedder.linear_2");
    d->table = bind(&b, SHAPE(1, 2, i->width), "scale_shift_table");
    d->proj_out = bind_layer(&b, SHAPE(i->out_channels * p[0] * p[1] * p[2], i->width), "proj_out");
    d->block = xcalloc((size_t)i->layers, sizeof *d->block);
    for (int n = 0; n < i->layers && !b.failed; n++)
        bind_block(&b, c, "blocks", n, &d->block[n]);
    if (!i->vace)
        return !b.failed;

    d->vace_patch = bind_layer(&b, SHAPE(i->width, i->control_channels, p[0], p[1], p[2]), "vace_patch_embedding");
    d->vace_block = xcalloc((size_t)i->control_layers, sizeof *d->vace_block);
    for (int n = 0; n < i->control_layers && !b.failed; n++) {
        bind_block(&b, c, "vace_blocks", n, &d->vace_block[n]);
        d->vace_block[n].proj_out = bind_layer(&b, square, "vace_blocks.%d.proj_out", n);
        if (n == 0)
            d->vace_block[n].proj_in = bind_layer(&b, square, "vace_blocks.%d.proj_in", n);
    }
    return !b.failed;
}

struct dit *dit_open(const char *dir, struct exec *x, bool taps, struct error *err)
{
    struct dit *d = xcalloc(1, sizeof *d);
    d->exec = x;
    d->taps = taps;
    if (!read_config(&d->config, dir, err) || !(d->weights = weights_open(dir, "diffusion_pytorch_model", err)) ||
        !bind_all(d, err))
        dit_close(&d);
    return d;
}

void dit_program_drop(struct dit_program *p)
{
    program_free(&p->program);
    taps_free(&p->taps);
    *p = (struct dit_program){ 0 };
}

void dit_close(struct dit **d)
{
    if (!*d)
        return;
    for (int i = 0; i < DIT_PROGRAMS; i++)
        dit_program_drop(&(*d)->program[i]);
    exec_drop_weights((*d)->exec);
    weights_close(&(*d)->weights);
    free((*d)->config.vace_layers);
    free((*d)->block);
    free((*d)->vace_block);
    free(*d);
    *d = NULL;
}

const struct dit_info *dit_info(const struct dit *d)
{
    return &d->config.info;
}

/* links: shotline_nn */
/* The Qwen3 decoder against the goldens: logits of a whole prompt, greedy decoding over the KV cache, and configs that
 * must be refused. */
#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "common/nn/lm.h"
#include "common/nn/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef GOLDENS
#define GOLDENS "tests/golden/goldens"
#endif

static const struct {
    const char *model, *name;
    double tolerance; /* relative to the largest logit; the case's own suggestion */
} cases[] = { { "qwen3_tied", "07_qwen3_tied", 2e-5 }, { "qwen3_untied", "07_qwen3_untied", 2e-5 } };
#define CASES 2

struct opened {
    struct exec *x;
    struct lm *lm;
    struct safetensors *inputs, *expected;
    int32_t ids[64];
    int count;
};

static struct safetensors *open_tensors(const char *name, const char *file)
{
    char path[256];
    struct error err = { 0 };

    snprintf(path, sizeof path, "%s/cases/%s/%s", GOLDENS, name, file);
    struct safetensors *f = safetensors_open(path, &err);
    if (!f)
        fail_msg("%s", err.text);
    return f;
}

static void open_case(struct opened *o, size_t index)
{
    char dir[256];
    struct error err = { 0 };

    snprintf(dir, sizeof dir, "%s/models/%s", GOLDENS, cases[index].model);
    o->x = exec_open_ref();
    o->lm = lm_open(dir, o->x, 128, &err);
    if (!o->lm)
        fail_msg("%s", err.text);
    o->inputs = open_tensors(cases[index].name, "inputs.safetensors");
    o->expected = open_tensors(cases[index].name, "expected.safetensors");
    const struct weight *ids = safetensors_find(o->inputs, "input_ids");
    o->count = (int)shape_count(&ids->shape);
    assert_in_range(o->count, 1, 64);
    for (int i = 0; i < o->count; i++) {
        int64_t id;
        memcpy(&id, (const uint8_t *)ids->data + 8 * i, 8);
        o->ids[i] = (int32_t)id;
    }
}

static void close_case(struct opened *o)
{
    lm_close(&o->lm);
    exec_close(&o->x);
    safetensors_close(&o->inputs);
    safetensors_close(&o->expected);
}

static void expect_close(const float *got, const void *expected, size_t count, double tolerance, const char *what)
{
    double most = 0, largest = 0;

    for (size_t i = 0; i < count; i++) {
        float e;
        memcpy(&e, (const uint8_t *)expected + 4 * i, 4);
        most = fmax(most, fabs((double)got[i] - e));
        largest = fmax(largest, fabs((double)e));
    }
    if (!(most <= tolerance * largest))
        fail_msg("%s: off by %g of %g, allowed %g", what, most, largest, tolerance * largest);
}

static void prompt_logits_match_goldens(void **state)
{
    (void)state;
    for (size_t c = 0; c < CASES; c++) {
        struct opened o;
        struct error err = { 0 };
        open_case(&o, c);
        size_t vocab = (size_t)lm_vocab_size(o.lm);
        float *logits = xcalloc((size_t)o.count * vocab, sizeof *logits);
        if (!lm_feed_all(o.lm, o.ids, o.count, logits, &err))
            fail_msg("%s", err.text);
        expect_close(logits, safetensors_find(o.expected, "logits")->data, (size_t)o.count * vocab, cases[c].tolerance,
                     cases[c].name);
        free(logits);
        close_case(&o);
    }
}

static int32_t argmax(const float *x, size_t count)
{
    size_t best = 0;

    for (size_t i = 1; i < count; i++)
        best = x[i] > x[best] ? i : best;
    return (int32_t)best;
}

static void greedy_decoding_matches_goldens(void **state)
{
    (void)state;
    for (size_t c = 0; c < CASES; c++) {
        struct opened o;
        struct error err = { 0 };
        open_case(&o, c);
        size_t vocab = (size_t)lm_vocab_size(o.lm);
        float *logits = xcalloc(vocab, sizeof *logits);
        const struct weight *ids = safetensors_find(o.expected, "generated_ids");
        const struct weight *expected = safetensors_find(o.expected, "generated_logits");
        assert_true(lm_feed(o.lm, o.ids, o.count, logits, &err));
        for (size_t i = 0; i < (size_t)shape_count(&ids->shape); i++) {
            int64_t id;
            memcpy(&id, (const uint8_t *)ids->data + 8 * i, 8);
            expect_close(logits, (const uint8_t *)expected->data + 4 * vocab * i, vocab, cases[c].tolerance,
                         cases[c].name);
            int32_t next = argmax(logits, vocab);
            assert_int_equal(next, id);
            assert_true(lm_feed(o.lm, &next, 1, logits, &err));
        }
        free(logits);
        close_case(&o);
    }
}

/* However a text is cut into feeds, the logits agree closely; cut the same way after a rewind, they are the same bits.
 */
static void cache_carries_over_any_cut(void **state)
{
    static const int cuts[][4] = { { 1, 2, 3, 94 }, { 16, 17, 33, 34 }, { 63, 1, 1, 35 }, { 64, 5, 16, 15 } };
    struct opened o;
    struct error err = { 0 };
    int32_t ids[100];
    (void)state;

    open_case(&o, 0);
    size_t vocab = (size_t)lm_vocab_size(o.lm);
    float *whole = xcalloc(vocab, sizeof *whole), *parts = xcalloc(vocab, sizeof *parts),
          *again = xcalloc(vocab, sizeof *again);
    for (int i = 0; i < 100; i++)
        ids[i] = (i * 37 + 11) % 430;
    assert_true(lm_feed(o.lm, ids, 100, whole, &err));
    for (size_t c = 0; c < 4; c++)
        for (int round = 0; round < 2; round++) {
            lm_rewind(o.lm, 0);
            for (int k = 0, at = 0; k < 4; at += cuts[c][k++])
                assert_true(lm_feed(o.lm, ids + at, cuts[c][k], round == 0 ? parts : again, &err));
            assert_int_equal(lm_position(o.lm), 100);
            expect_close(parts, whole, vocab, 2e-5, "cut");
            if (round == 1)
                assert_memory_equal(parts, again, vocab * sizeof *parts);
        }
    free(whole);
    free(parts);
    free(again);
    close_case(&o);
}

static void too_many_tokens_and_wrong_ids_are_refused(void **state)
{
    struct opened o;
    struct error err = { 0 };
    int32_t ids[129] = { 0 }, wrong = 464;
    (void)state;

    open_case(&o, 0);
    assert_false(lm_feed(o.lm, ids, 129, NULL, &err));
    assert_non_null(strstr(err.text, "128"));
    assert_false(lm_feed(o.lm, &wrong, 1, NULL, &err));
    assert_non_null(strstr(err.text, "464"));
    assert_true(lm_feed(o.lm, ids, 128, NULL, &err));
    assert_false(lm_feed(o.lm, ids, 1, NULL, &err));
    close_case(&o);
}

/* The first model's config with one value changed. `json`: that value. */
static void expect_refused(const char *dir, const char *key, const char *json, const char *named)
{
    char path[256];
    struct error err = { 0 }, ignored;
    snprintf(path, sizeof path, "%s/models/%s/config.json", GOLDENS, cases[0].model);
    json_t *config = json_load(path, &err);
    assert_non_null(config);
    json_object_set_new(config, key, json_parse(json, strlen(json), "test", &ignored));
    snprintf(path, sizeof path, "%s/config.json", dir);
    assert_int_equal(json_dump_file(config, path, 0), 0);
    json_decref(config);

    struct exec *x = exec_open_ref();
    struct lm *lm = lm_open(dir, x, 64, &err);
    if (lm)
        fail_msg("accepted with %s = %s", key, json);
    if (!strstr(err.text, named))
        fail_msg("\"%s\" does not name %s", err.text, named);
    exec_close(&x);
}

static void wrong_configs_are_refused_by_key(void **state)
{
    static const char *const changes[][3] = {
        { "architectures", "[\"LlamaForCausalLM\"]", "LlamaForCausalLM" },
        { "hidden_act", "\"gelu\"", "hidden_act" },
        { "attention_bias", "true", "attention_bias" },
        { "use_sliding_window", "true", "use_sliding_window" },
        { "rope_scaling", "{\"rope_type\":\"yarn\"}", "rope_scaling" },
        { "rope_parameters", "{\"rope_type\":\"yarn\",\"rope_theta\":1000000}", "rope_parameters" },
        { "rope_theta", "-1", "rope_theta" },
        { "num_key_value_heads", "3", "num_key_value_heads" },
        { "head_dim", "31", "head_dim" },
        { "num_hidden_layers", "3", "model.layers.2" },
        { "intermediate_size", "105", "mlp.gate_proj" },
        { "vocab_size", "\"many\"", "vocab_size" },
    };
    char dir[] = "/tmp/test_lm.XXXXXX", from[256], to[256];
    struct error err = { 0 };
    (void)state;

    assert_non_null(mkdtemp(dir));
    snprintf(from, sizeof from, "%s/models/%s/model.safetensors", GOLDENS, cases[0].model);
    snprintf(to, sizeof to, "%s/model.safetensors", dir);
    assert_true(file_copy(from, to, &err));
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        expect_refused(dir, changes[i][0], changes[i][1], changes[i][2]);
    assert_true(file_remove_tree(dir, &err));
}

/* Newer files write rope_parameters instead of rope_theta: the same logits. */
static void both_spellings_of_rope_are_read(void **state)
{
    char dir[] = "/tmp/test_lm.XXXXXX", from[256], to[256];
    struct opened o;
    struct error err = { 0 };
    (void)state;

    assert_non_null(mkdtemp(dir));
    snprintf(from, sizeof from, "%s/models/%s/model.safetensors", GOLDENS, cases[0].model);
    snprintf(to, sizeof to, "%s/model.safetensors", dir);
    assert_true(file_copy(from, to, &err));
    snprintf(from, sizeof from, "%s/models/%s/config.json", GOLDENS, cases[0].model);
    json_t *config = json_load(from, &err);
    json_object_set_new(config, "rope_parameters", json_pack("{s:s,s:f}", "rope_type", "default", "rope_theta", 1e6));
    json_object_del(config, "rope_theta");
    json_object_del(config, "rope_scaling");
    snprintf(to, sizeof to, "%s/config.json", dir);
    assert_int_equal(json_dump_file(config, to, 0), 0);
    json_decref(config);

    open_case(&o, 0);
    struct lm *other = lm_open(dir, o.x, 64, &err);
    assert_non_null(other);
    size_t vocab = (size_t)lm_vocab_size(other);
    float *a = xcalloc(vocab, sizeof *a), *b = xcalloc(vocab, sizeof *b);
    assert_true(lm_feed(o.lm, o.ids, o.count, a, &err));
    assert_true(lm_feed(other, o.ids, o.count, b, &err));
    assert_memory_equal(a, b, vocab * sizeof *a);
    free(a);
    free(b);
    lm_close(&other);
    close_case(&o);
    assert_true(file_remove_tree(dir, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompt_logits_match_goldens),      cmocka_unit_test(greedy_decoding_matches_goldens),
        cmocka_unit_test(cache_carries_over_any_cut),       cmocka_unit_test(too_many_tokens_and_wrong_ids_are_refused),
        cmocka_unit_test(wrong_configs_are_refused_by_key), cmocka_unit_test(both_spellings_of_rope_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

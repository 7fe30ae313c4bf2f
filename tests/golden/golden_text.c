/* golden_text - tokenizers and prompt cleaning: everything must be equal. */
#include "tests/golden/golden.h"

#include "common/base/file.h"
#include "common/nn/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text_case {
    struct golden *c;
    struct tokenizer *t;
    json_t *expected;
};

static bool text_open(struct text_case *x, struct golden *c, struct error *err)
{
    char path[PATH_MAX], file[PATH_MAX];

    *x = (struct text_case){ .c = c };
    if (!golden_path(c, "tokenizer", path, err))
        return false;
    if (file_is_dir(path)) {
        if (!file_join(file, sizeof file, path, "tokenizer.json"))
            return error_set(err, ERROR_INPUT, "%s: path too long", path);
        strcpy(path, file);
    }
    if (!(x->t = tokenizer_open(path, err)) || !file_join(file, sizeof file, c->dir, "expected.json"))
        return false;
    x->expected = json_load(file, err);
    return x->expected != NULL;
}

static void text_close(struct text_case *x)
{
    tokenizer_close(&x->t);
    json_decref(x->expected);
}

static bool ids_equal(const struct token_ids *ids, const json_t *expected)
{
    if (ids->count != json_array_size(expected))
        return false;
    for (size_t i = 0; i < ids->count; i++)
        if (json_integer_value(json_array_get(expected, i)) != ids->ids[i])
            return false;
    return true;
}

/* Tokenizes `text` (with the end mark when `end` >= 0) and compares with the ids under `key`; an absent key is passed
 * over. */
static bool compare_ids(struct text_case *x, const json_t *entry, const char *text, const char *key, int32_t end,
                        struct error *err)
{
    struct token_ids ids = { 0 };
    const json_t *expected = json_object_get(entry, key);
    char what[64];

    if (!expected || !text)
        return true;
    if (!tokenizer_encode(x->t, text, strlen(text), &ids, err))
        return false;
    if (end >= 0)
        token_ids_push(&ids, end);
    x->c->compared++;
    snprintf(what, sizeof what, "%s of text %zu", key, (size_t)x->c->compared);
    golden_equal(x->c, ids_equal(&ids, expected), what);
    token_ids_free(&ids);
    return true;
}

static const char *text_of(const json_t *entry, const char *key)
{
    return json_string_value(json_object_get(entry, key));
}

/* Cleaning must give the reference's text wherever ftfy is not needed; where it is, a difference is said but does not
 * count. */
static void compare_cleaning(struct text_case *x, const json_t *entry, int *unlike_ftfy)
{
    const char *text = text_of(entry, "text"), *with = text_of(entry, "cleaned"),
               *without = text_of(entry, "cleaned_without_ftfy");
    struct str own = { 0 };

    if (!text || !with)
        return;
    prompt_clean(text, &own);
    bool equal = !strcmp(str_text(&own), with);
    x->c->compared++;
    if (!equal && without && strcmp(with, without))
        ++*unlike_ftfy;
    else
        golden_equal(x->c, equal, "cleaned text");
    str_free(&own);
}

/* The fixed-length form: the end mark last, zeros behind. */
static bool compare_padded(struct text_case *x, const json_t *entry, int32_t end, struct error *err)
{
    struct str text = { 0 };
    struct token_ids ids = { 0 };
    const json_t *expected = json_object_get(entry, "input_ids");
    size_t room = json_array_size(expected);

    prompt_clean(text_of(entry, "text") ? text_of(entry, "text") : "", &text);
    bool ok = tokenizer_encode(x->t, str_text(&text), text.size, &ids, err);
    str_free(&text);
    if (ok && room > 0) {
        if (ids.count > room - 1)
            ids.count = room - 1;
        token_ids_push(&ids, end);
        golden_equal(x->c, (json_int_t)ids.count == json_integer_value(json_object_get(entry, "num_valid")),
                     "num_valid");
        while (ids.count < room)
            token_ids_push(&ids, 0);
        golden_equal(x->c, ids_equal(&ids, expected), "padded input_ids");
        x->c->compared++;
    }
    token_ids_free(&ids);
    return ok;
}

bool golden_tokenizer_umt5(struct golden *c, struct error *err)
{
    struct text_case x;
    bool ok = text_open(&x, c, err);
    int32_t end = ok ? tokenizer_find(x.t, "</s>") : -1;
    int unlike_ftfy = 0;
    size_t i;
    json_t *entry;

    if (ok && end < 0)
        ok = error_set(err, ERROR_INPUT, "the tokenizer has no </s>");
    json_array_foreach(json_object_get(x.expected, "tokenize"), i, entry)
    {
        compare_cleaning(&x, entry, &unlike_ftfy);
        ok = ok && compare_ids(&x, entry, text_of(entry, "cleaned"), "ids", end, err) &&
             compare_ids(&x, entry, text_of(entry, "cleaned_without_ftfy"), "ids_without_ftfy", end, err) &&
             compare_ids(&x, entry, text_of(entry, "text"), "ids_of_uncleaned", end, err);
    }
    json_array_foreach(json_object_get(x.expected, "pad_truncate"), i, entry)
    {
        ok = ok && compare_padded(&x, entry, end, err);
    }
    if (unlike_ftfy)
        snprintf(c->note, sizeof c->note, "%d texts cleaned unlike ftfy", unlike_ftfy);
    text_close(&x);
    return ok;
}

bool golden_tokenizer_qwen(struct golden *c, struct error *err)
{
    struct text_case x;
    bool ok = text_open(&x, c, err);
    size_t i, k;
    json_t *entry, *id;

    json_array_foreach(json_object_get(x.expected, "tokenize"), i, entry)
    {
        struct str decoded = { 0 };
        const char *expected = text_of(entry, "decoded");
        ok = ok && compare_ids(&x, entry, text_of(entry, "text"), "ids", -1, err);
        json_array_foreach(json_object_get(entry, "ids"), k, id)
        {
            ok = ok && tokenizer_decode(x.t, (int32_t)json_integer_value(id), &decoded);
        }
        if (expected) {
            c->compared++;
            golden_equal(c, !strcmp(str_text(&decoded), expected), "decoded text");
        }
        str_free(&decoded);
    }
    text_close(&x);
    return ok;
}

/* links: shotline_nn */
/* Tokenizers against the goldens' ids, the parts that no golden shows against hand-made files, and files that try to
 * break them. */
#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "common/nn/tokenizer.h"
#include "common/nn/trie.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef GOLDENS
#define GOLDENS "tests/golden/goldens"
#endif

static char scratch[64];

static struct tokenizer *open_text(const char *json, struct error *err)
{
    char path[128];

    assert_true(file_join(path, sizeof path, scratch, "tokenizer.json"));
    assert_true(file_write(path, json, strlen(json), err));
    return tokenizer_open(path, err);
}

static struct tokenizer *must_open(const char *path)
{
    struct error err = { 0 };
    struct tokenizer *t = tokenizer_open(path, &err);

    if (!t)
        fail_msg("%s", err.text);
    return t;
}

static void expect_ids(const struct tokenizer *t, const char *text, size_t size, const json_t *expected, bool eos,
                       const char *what)
{
    struct token_ids ids = { 0 };
    struct error err = { 0 };

    if (!tokenizer_encode(t, text, size, &ids, &err))
        fail_msg("%s: %s", what, err.text);
    if (eos)
        token_ids_push(&ids, tokenizer_find(t, "</s>"));
    bool same = ids.count == json_array_size(expected);
    for (size_t i = 0; i < ids.count && same; i++)
        same = ids.ids[i] == json_integer_value(json_array_get(expected, i));
    if (!same) {
        struct str got = { 0 };
        for (size_t i = 0; i < ids.count; i++)
            str_printf(&got, " %d", ids.ids[i]);
        char *wanted = json_dumps(expected, JSON_COMPACT);
        fail_msg("%s: \"%s\" gives%s, expected %s", what, text, str_text(&got), wanted);
    }
    token_ids_free(&ids);
}

static json_t *load_case(const char *name, const char *file)
{
    char path[256];
    struct error err = { 0 };

    snprintf(path, sizeof path, "%s/cases/%s/%s", GOLDENS, name, file);
    json_t *json = json_load(path, &err);
    if (!json)
        fail_msg("%s", err.text);
    return json;
}

static const char *text_of(const json_t *item, const char *key)
{
    return json_string_value(json_object_get(item, key));
}

/* UMT5's published layouts of every age give the ids of the reference, cleaned and uncleaned. */
static void unigram_matches_goldens(void **state)
{
    static const char *const cases[] = { "08_umt5_tok_nfkc_strip", "08_umt5_tok_custom_replace",
                                         "08_umt5_tok_custom_ws", "08_umt5_tok_custom_bytefallback" };
    (void)state;

    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char path[256];
        snprintf(path, sizeof path, "%s/cases/%s/tokenizer/tokenizer.json", GOLDENS, cases[c]);
        struct tokenizer *t = must_open(path);
        json_t *expected = load_case(cases[c], "expected.json");
        const json_t *list = json_object_get(expected, "tokenize");
        assert_true(json_array_size(list) > 10);
        for (size_t i = 0; i < json_array_size(list); i++) {
            const json_t *item = json_array_get(list, i);
            struct str cleaned = { 0 };
            prompt_clean(text_of(item, "text"), &cleaned);
            assert_string_equal(str_text(&cleaned), text_of(item, "cleaned"));
            expect_ids(t, str_text(&cleaned), cleaned.size, json_object_get(item, "ids"), true, cases[c]);
            expect_ids(t, text_of(item, "cleaned_without_ftfy"), strlen(text_of(item, "cleaned_without_ftfy")),
                       json_object_get(item, "ids_without_ftfy"), true, cases[c]);
            expect_ids(t, text_of(item, "text"), strlen(text_of(item, "text")),
                       json_object_get(item, "ids_of_uncleaned"), true, cases[c]);
            str_free(&cleaned);
        }
        json_decref(expected);
        tokenizer_close(&t);
    }
}

/* Qwen's ids equal the reference's, and decode to the very bytes of the text. */
static void byte_level_bpe_matches_goldens(void **state)
{
    static const char *const cases[] = { "08_qwen_tok_tied", "08_qwen_tok_untied" };
    static const char *const models[] = { "qwen3_tied", "qwen3_untied" };
    (void)state;

    for (size_t c = 0; c < 2; c++) {
        char path[256];
        snprintf(path, sizeof path, "%s/models/%s/tokenizer.json", GOLDENS, models[c]);
        struct tokenizer *t = must_open(path);
        json_t *expected = load_case(cases[c], "expected.json");
        const json_t *list = json_object_get(expected, "tokenize");
        assert_true(json_array_size(list) > 10);
        for (size_t i = 0; i < json_array_size(list); i++) {
            const json_t *item = json_array_get(list, i);
            const json_t *ids = json_object_get(item, "ids");
            struct str decoded = { 0 };
            expect_ids(t, text_of(item, "text"), json_string_length(json_object_get(item, "text")), ids, false,
                       cases[c]);
            for (size_t k = 0; k < json_array_size(ids); k++)
                assert_true(tokenizer_decode(t, (int32_t)json_integer_value(json_array_get(ids, k)), &decoded));
            assert_string_equal(str_text(&decoded), text_of(item, "decoded"));
            str_free(&decoded);
        }
        assert_int_equal(tokenizer_find(t, "<|im_end|>"), 438);
        assert_int_equal(tokenizer_size(t), 462);
        json_decref(expected);
        tokenizer_close(&t);
    }
}

/* The pipeline case: prompt and negative prompt are cleaned as its reference cleans them. */
static void prompts_are_cleaned_as_the_pipeline_does(void **state)
{
    (void)state;
    json_t *json = load_case("06_pipe_t2v_text", "case.json");
    const json_t *call = json_object_get(json, "call");
    static const char *const keys[] = { "prompt", "negative_prompt" };

    for (size_t i = 0; i < 2; i++) {
        struct str cleaned = { 0 };
        prompt_clean(text_of(call, keys[i]), &cleaned);
        assert_string_equal(str_text(&cleaned), json_string_value(json_array_get(json_object_get(call, "cleaned"), i)));
        str_free(&cleaned);
    }
    json_decref(json);
}

static void cleaning_covers_references_and_bad_bytes(void **state)
{
    static const char *const pairs[][2] = {
        { "&#65;&#x42;&#x43", "ABC" }, /* numeric, with and without the semicolon */
        { "&amp;amp;lt;", "<" },
        { "a &notit; b", "a \xc2\xacit; b" }, /* the longest name that the standard knows */
        { "&#0;|&#xD800;|&#x110000;|&#128;", "\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd|\xe2\x82\xac" },
        { "& &; &x &#; &#x;", "& &; &x &#; &#x;" },
        { "\x1b[31mred\x1b[0m", "red" },
        { "bad \xff byte", "bad \xef\xbf\xbd byte" },
        { "\t\n ", "" },
        { "\xe2\x80\x98x\xe2\x80\x99 \xef\xbc\xa1\xef\xbc\x81", "'x' A!" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct str cleaned = { 0 };
        prompt_clean(pairs[i][0], &cleaned);
        assert_string_equal(str_text(&cleaned), pairs[i][1]);
        str_free(&cleaned);
    }
}

#define UNIGRAM_TAIL                                                                                                   \
    "\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"\xe2\x96\x81\",-2],[\"a\",-3],[\"b\",-"  \
    "3.5],"                                                                                                            \
    "[\"ab\",-4],[\"\xe2\x96\x81"                                                                                      \
    "a\",-4],[\"<tag>\",0],[\"<soft>\",0]]}}"

static void expect_text(const char *json, const char *text, const char *ids)
{
    struct error err = { 0 };
    struct tokenizer *t = open_text(json, &err);
    struct error ignored;

    if (!t)
        fail_msg("%s", err.text);
    json_t *expected = json_parse(ids, strlen(ids), "test", &ignored);
    expect_ids(t, text, strlen(text), expected, false, json);
    json_decref(expected);
    tokenizer_close(&t);
}

/* prepend_scheme and the older add_prefix_space agree; "first" marks only what opens the text. */
static void metaspace_variants(void **state)
{
    (void)state;
    expect_text("{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"add_prefix_space\":true}"
                "," UNIGRAM_TAIL,
                "a b", "[5,1,3]");
    expect_text("{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"add_prefix_space\":"
                "false}," UNIGRAM_TAIL,
                "a b", "[2,1,3]");
    expect_text("{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":"
                "\"never\"}," UNIGRAM_TAIL,
                "ab a", "[4,5]");
    expect_text("{\"added_tokens\":[{\"id\":6,\"content\":\"<tag>\",\"special\":true}],\"pre_tokenizer\":{\"type\":"
                "\"Metaspace\","
                "\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"first\"}," UNIGRAM_TAIL,
                "a<tag>a", "[5,6,2]");
    expect_text("{\"added_tokens\":[{\"id\":6,\"content\":\"<tag>\",\"special\":true}],\"pre_tokenizer\":{\"type\":"
                "\"Metaspace\","
                "\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"always\"}," UNIGRAM_TAIL,
                "a<tag>a", "[5,6,5]");
}

/* Added tokens: swallowed spaces, whole words only, and those sought in normalized text. */
static void added_token_flags(void **state)
{
    (void)state;
    expect_text("{\"added_tokens\":[{\"id\":6,\"content\":\"<tag>\",\"special\":true,\"lstrip\":true,\"rstrip\":true}]"
                "," UNIGRAM_TAIL,
                "a  <tag> b", "[2,6,3]");
    expect_text("{\"added_tokens\":[{\"id\":6,\"content\":\"b\",\"special\":true,\"single_word\":true}]," UNIGRAM_TAIL,
                "ab b", "[4,0,6]");
    expect_text("{\"normalizer\":{\"type\":\"Lowercase\"},\"added_tokens\":[{\"id\":7,\"content\":\"<SOFT>\","
                "\"normalized\":true}]," UNIGRAM_TAIL,
                "A<Soft>B", "[2,7,3]");
    expect_text("{\"normalizer\":{\"type\":\"Lowercase\"},\"added_tokens\":[{\"id\":7,\"content\":\"<SOFT>\","
                "\"normalized\":false}]," UNIGRAM_TAIL,
                "A<SOFT>B", "[2,7,3]");
}

static void normalizers_in_sequence(void **state)
{
    (void)state;
    expect_text("{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Strip\",\"strip_left\":true,"
                "\"strip_right\":true},"
                "{\"type\":\"Replace\",\"pattern\":{\"String\":\".\"},\"content\":\"b\"},{\"type\":\"Prepend\","
                "\"prepend\":\"a\"}]}," UNIGRAM_TAIL,
                "  . ", "[4]");
    expect_text("{\"normalizer\":{\"type\":\"NFKC\"}," UNIGRAM_TAIL, "\xef\xbd\x81\xef\xbd\x82", "[4]");
}

#define BPE_VOCAB                                                                                                      \
    "\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"ab\":3,\"abc\":4,\"\xc4\xa0\":5,\"<unk>\":6,\"1\":7,\"2\":8,\"12\":9}"

/* Pairs are joined in the order in which they were learnt, however the file writes them. */
static void bpe_merges_and_splits(void **state)
{
    (void)state;
    expect_text("{\"model\":{\"type\":\"BPE\"," BPE_VOCAB ",\"merges\":[\"a b\",\"ab c\",\"1 2\"]}}", "abcab12",
                "[4,3,9]");
    expect_text("{\"model\":{\"type\":\"BPE\"," BPE_VOCAB ",\"merges\":[[\"a\",\"b\"],[\"ab\",\"c\"]]}}", "abcab",
                "[4,3]");
    expect_text("{\"model\":{\"type\":\"BPE\",\"ignore_merges\":true," BPE_VOCAB ",\"merges\":[]}}", "abc", "[4]");
    expect_text("{\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":true," BPE_VOCAB ",\"merges\":[]}}",
                "xya", "[6,0]");
    expect_text("{\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\"," BPE_VOCAB ",\"merges\":[]}}", "xya", "[6,6,0]");
    expect_text(
        "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\",\"individual_digits\":true},"
        "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":true}]},\"model\":{\"type\":\"BPE\"," BPE_VOCAB
        ",\"merges\":[\"a b\",\"1 2\"]}}",
        "ab12", "[5,3,5,7,5,8]");
    expect_text(
        "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"b\"},\"behavior\":\"MergedWithPrevious\"},"
        "\"model\":{\"type\":\"BPE\"," BPE_VOCAB ",\"merges\":[\"a b\",\"ab c\"]}}",
        "abcb", "[3,2,1]");
    expect_text(
        "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"b\"},\"behavior\":\"MergedWithNext\"},"
        "\"model\":{\"type\":\"BPE\"," BPE_VOCAB ",\"merges\":[\"a b\",\"ab c\"]}}",
        "abc", "[0,1,2]");
    expect_text("{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[ab]+\"},\"behavior\":\"Removed\","
                "\"invert\":true},"
                "\"model\":{\"type\":\"BPE\"," BPE_VOCAB ",\"merges\":[\"a b\",\"ab c\"]}}",
                "abcab", "[3,3]");
}

/* Each fault is refused in a line that names the file and the place. */
static void faulty_files_are_refused_by_name(void **state)
{
    static const char *const faults[][2] = {
        { "{", "tokenizer.json" },
        { "{}", "model" },
        { "{\"model\":{\"type\":\"WordPiece\"}}", "WordPiece" },
        { "{\"normalizer\":{\"type\":\"Nonsense\"}," UNIGRAM_TAIL, "Nonsense" },
        { "{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA\"}," UNIGRAM_TAIL,
          "precompiled_charsmap" },
        { "{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(\"},\"content\":\"\"}," UNIGRAM_TAIL,
          "regular expression" },
        { "{\"pre_tokenizer\":{\"type\":\"Nonsense\"}," UNIGRAM_TAIL, "Nonsense" },
        { "{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"xy\"}," UNIGRAM_TAIL, "replacement" },
        { "{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"add_prefix_space\":false,\"prepend_"
          "scheme\":\"first\"}," UNIGRAM_TAIL,
          "add_prefix_space" },
        { "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"Never\"}," UNIGRAM_TAIL,
          "Never" },
        { "{\"added_tokens\":[{\"id\":99999999,\"content\":\"x\"}]," UNIGRAM_TAIL, "id" },
        { "{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", "model.vocab" },
        { "{\"model\":{\"type\":\"Unigram\",\"unk_id\":1,\"vocab\":[[\"a\",0]]}}", "unk_id" },
        { "{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",\"x\"]]}}", "model.vocab[0]" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}}", "model.vocab" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", "\"a\"" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}", "merges[0]" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[7]}}", "merges[0]" },
        { "{\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\",\"vocab\":{\"a\":0},\"merges\":[]}}",
          "end_of_word_suffix" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct error err = { 0 };
        struct tokenizer *t = open_text(faults[i][0], &err);
        assert_null(t);
        if (!strstr(err.text, "tokenizer.json") || !strstr(err.text, faults[i][1]))
            fail_msg("\"%s\" does not name %s", err.text, faults[i][1]);
        assert_int_equal(err.kind, ERROR_INPUT);
    }
}

static void text_that_is_not_utf8_is_refused(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct tokenizer *t = open_text("{" UNIGRAM_TAIL, &err);
    struct token_ids ids = { 0 };

    assert_false(tokenizer_encode(t, "a\xc0\x80", 3, &ids, &err));
    assert_non_null(strstr(err.text, "byte 1"));
    token_ids_free(&ids);
    tokenizer_close(&t);
}

/* Steps that blow a text up are stopped before they fill the memory. */
static void growing_texts_are_refused(void **state)
{
    struct str json = { 0 };
    struct error err = { 0 };
    struct token_ids ids = { 0 };
    (void)state;

    str_append(&json, "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
    for (int i = 0; i < 40; i++)
        str_printf(&json, "%s{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaa\"}",
                   i > 0 ? "," : "");
    str_append(&json, "]}," UNIGRAM_TAIL);
    struct tokenizer *t = open_text(json.data, &err);
    assert_non_null(t);
    assert_false(tokenizer_encode(t, "a", 1, &ids, &err));
    assert_non_null(strstr(err.text, "normalizer"));
    tokenizer_close(&t);

    str_clear(&json);
    str_append(&json, "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[");
    for (int i = 0; i < 60; i++)
        str_printf(&json, "%s{\"type\":\"ByteLevel\",\"use_regex\":false,\"add_prefix_space\":false}",
                   i > 0 ? "," : "");
    str_append(&json, "]}," UNIGRAM_TAIL);
    t = open_text(json.data, &err);
    assert_non_null(t);
    assert_false(tokenizer_encode(t, "\xc3\xa9", 2, &ids, &err));
    assert_non_null(strstr(err.text, "pre-tokenizer"));
    tokenizer_close(&t);
    token_ids_free(&ids);
    str_free(&json);
}

/* A pattern that backtracks without end is given up in bounded time. */
static void runaway_pattern_is_given_up(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct tokenizer *t = open_text("{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a+)+[^a]\"},"
                                    "\"behavior\":\"Isolated\"}," UNIGRAM_TAIL,
                                    &err);
    struct token_ids ids = { 0 };
    char text[201];

    assert_non_null(t);
    memset(text, 'a', 200);
    text[200] = 0;
    assert_false(tokenizer_encode(t, text, 200, &ids, &err));
    assert_non_null(strstr(err.text, "gave up"));
    token_ids_free(&ids);
    tokenizer_close(&t);
}

static void trie_finds_the_last_of_equal_entries(void **state)
{
    const struct trie_entry entries[] = {
        { "ab", 2, 1 }, { "", 0, 9 }, { "abc", 3, 2 }, { "ab", 2, 3 }, { "\xff", 1, 4 }
    };
    struct trie *t = trie_new(entries, 5);
    (void)state;

    assert_int_equal(trie_find(t, "ab", 2), 3);
    assert_int_equal(trie_find(t, "abc", 3), 2);
    assert_int_equal(trie_find(t, "\xff", 1), 4);
    assert_int_equal(trie_find(t, "a", 1), -1);
    assert_int_equal(trie_find(t, "", 0), -1);
    assert_int_equal(trie_find(t, "abcd", 4), -1);
    trie_free(&t);
}

static int make_scratch(void **state)
{
    (void)state;
    strcpy(scratch, "/tmp/test_tokenizer.XXXXXX");
    return mkdtemp(scratch) ? 0 : -1;
}

static int drop_scratch(void **state)
{
    (void)state;
    return file_remove_tree(scratch, NULL) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unigram_matches_goldens),
        cmocka_unit_test(byte_level_bpe_matches_goldens),
        cmocka_unit_test(prompts_are_cleaned_as_the_pipeline_does),
        cmocka_unit_test(cleaning_covers_references_and_bad_bytes),
        cmocka_unit_test(metaspace_variants),
        cmocka_unit_test(added_token_flags),
        cmocka_unit_test(normalizers_in_sequence),
        cmocka_unit_test(bpe_merges_and_splits),
        cmocka_unit_test(faulty_files_are_refused_by_name),
        cmocka_unit_test(text_that_is_not_utf8_is_refused),
        cmocka_unit_test(growing_texts_are_refused),
        cmocka_unit_test(runaway_pattern_is_given_up),
        cmocka_unit_test(trie_finds_the_last_of_equal_entries),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}

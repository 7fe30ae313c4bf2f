/* links: shotline_nn */
#include "common/nn/weights.h"

#include "common/nn/safetensors.h"
#include "tests/unit/temp_dir.h"

#include <stdio.h>

static const float numbers[6] = { 1, 2, 3, 4, 5, 6 };

static void write_file(const char *folder, const char *name, const struct weight *tensors, size_t count)
{
    char path[300];
    struct error err = { 0 };
    snprintf(path, sizeof path, "%s/%s", dir, folder);
    assert_true(file_make_dirs(path, 0755, &err));
    snprintf(path, sizeof path, "%s/%s/%s", dir, folder, name);
    assert_true(safetensors_write(path, tensors, count, &err));
}

static void write_text(const char *folder, const char *name, const char *text)
{
    char path[300];
    struct error err = { 0 };
    snprintf(path, sizeof path, "%s/%s", dir, folder);
    assert_true(file_make_dirs(path, 0755, &err));
    snprintf(path, sizeof path, "%s/%s/%s", dir, folder, name);
    assert_true(file_write(path, text, strlen(text), &err));
}

static struct weights *open_folder(const char *folder, struct error *err)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", dir, folder);
    return weights_open(path, "model", err);
}

static void one_file_and_shards_read_alike(void **state)
{
    (void)state;
    const struct weight both[] = { { "a", DTYPE_F32, SHAPE(2, 3), numbers }, { "b", DTYPE_F32, SHAPE(4), numbers } };
    struct error err = { 0 };
    write_file("one", "model.safetensors", both, 2);
    write_file("shards", "model-1.safetensors", &both[0], 1);
    write_file("shards", "model-2.safetensors", &both[1], 1);
    write_text("shards", "model.safetensors.index.json",
               "{\"metadata\": {}, \"weight_map\": {\"a\": \"model-1.safetensors\", \"b\": \"model-2.safetensors\"}}");
    const char *const folders[] = { "one", "shards" };
    for (int i = 0; i < 2; i++) {
        struct weights *w = open_folder(folders[i], &err);
        assert_non_null(w);
        assert_non_null(weights_find(w, "b", &(struct shape){ 0 }, &err));
        assert_null(weights_find(w, "c", &(struct shape){ 0 }, &err));
        const struct weight *a = weights_find(w, "a", &SHAPE(2, 3), &err);
        assert_non_null(a);
        assert_memory_equal(a->data, numbers, sizeof numbers);
        assert_non_null(weights_find(w, "a", &SHAPE(-1, 3), &err));
        assert_non_null(weights_find(w, "a", &(struct shape){ 0 }, &err));
        weights_close(&w);
    }
}

/* What is wrong with a tensor is said with folder, file, tensor, what was found and what was expected. */
static void wrong_tensors_are_named(void **state)
{
    (void)state;
    const struct weight all[] = { { "a", DTYPE_F32, SHAPE(2, 3), numbers }, { "ids", DTYPE_I32, SHAPE(6), numbers } };
    char expected[400];
    struct error err = { 0 };
    write_file("wrong", "model.safetensors", all, 2);
    struct weights *w = open_folder("wrong", &err);
    assert_non_null(w);

    assert_null(weights_find(w, "missing", &SHAPE(1), &err));
    snprintf(expected, sizeof expected, "%s/wrong: tensor missing is missing", dir);
    assert_string_equal(err.text, expected);
    assert_null(weights_find(w, "a", &SHAPE(3, 2), &err));
    snprintf(expected, sizeof expected, "%s/wrong/model.safetensors: tensor a is [2, 3], expected [3, 2]", dir);
    assert_string_equal(err.text, expected);
    assert_null(weights_find(w, "a", &SHAPE(6), &err));
    assert_non_null(strstr(err.text, "expected [6]"));
    assert_null(weights_find(w, "ids", &SHAPE(6), &err));
    assert_non_null(strstr(err.text, "tensor ids is I32, expected F32, F16 or BF16"));
    weights_close(&w);
}

static void wrong_folders_are_named(void **state)
{
    (void)state;
    const struct weight a = { "a", DTYPE_F32, SHAPE(6), numbers };
    static const struct {
        const char *index, *says;
    } cases[] = {
        { "{\"weight_map\": {\"a\": \"gone.safetensors\"}}", "gone.safetensors" },
        { "{\"weight_map\": {\"a\": \"../one/model.safetensors\"}}", "is not a file of this folder" },
        { "{\"weight_map\": {\"a\": \"..\"}}", "is not a file of this folder" },
        { "{\"weight_map\": {\"c\": \"part.safetensors\"}}", "c: is not in part.safetensors" },
        { "{\"weight_map\": {\"a\": 7}}", "a: its file is not text" },
        { "{}", "weight_map: is missing" },
        { "nonsense", "not valid JSON" },
    };
    struct error err = { 0 };
    assert_null(open_folder("nowhere", &err));
    assert_non_null(strstr(err.text, "no weights: expected model.safetensors or model.safetensors.index.json"));
    write_file("index", "part.safetensors", &a, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text("index", "model.safetensors.index.json", cases[i].index);
        assert_null(open_folder("index", &err));
        if (!strstr(err.text, cases[i].says) || !strstr(err.text, "/index"))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.text, cases[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_file_and_shards_read_alike),
        cmocka_unit_test(wrong_tensors_are_named),
        cmocka_unit_test(wrong_folders_are_named),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

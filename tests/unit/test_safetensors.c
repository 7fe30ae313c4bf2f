/* links: shotline_nn */
#include "common/nn/safetensors.h"

#include "tests/unit/temp_dir.h"

#include <stdio.h>

static void what_is_written_is_read(void **state)
{
    (void)state;
    const float a[6] = { 1, 2, 3, 4, 5, 6 };
    const int64_t b[2] = { -7, 1ll << 40 };
    const uint16_t h[3] = { 1, 2, 3 };
    const struct weight tensors[] = {
        { "b.ids", DTYPE_I64, SHAPE(2), b },
        { "a.weight", DTYPE_F32, SHAPE(2, 3), a },
        { "half", DTYPE_F16, SHAPE(3), h },
        { "scalar", DTYPE_F32, { 0 }, a },
    };
    char path[256];
    struct error err = { 0 };
    snprintf(path, sizeof path, "%s/a.safetensors", dir);
    assert_true(safetensors_write(path, tensors, 4, &err));
    struct safetensors *f = safetensors_open(path, &err);
    assert_non_null(f);
    assert_int_equal(safetensors_count(f), 4);
    const struct weight *w = safetensors_find(f, "a.weight");
    assert_non_null(w);
    assert_int_equal(w->type, DTYPE_F32);
    assert_true(shape_equal(&w->shape, &SHAPE(2, 3)));
    assert_memory_equal(w->data, a, sizeof a);
    assert_memory_equal(safetensors_find(f, "b.ids")->data, b, sizeof b);
    assert_memory_equal(safetensors_find(f, "half")->data, h, sizeof h);
    assert_int_equal(safetensors_find(f, "scalar")->shape.rank, 0);
    assert_null(safetensors_find(f, "a"));
    safetensors_close(&f);
    assert_null(f);
}

/* Parses a file made of this header and `payload` data bytes; the whole lies in a heap block of its exact size, so that
 * a sanitizer sees every read outside. */
static bool parse(const char *header, size_t payload, struct error *err)
{
    size_t length = strlen(header), size = 8 + length + payload;
    uint8_t *bytes = calloc(1, size);
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)length >> (8 * i));
    memcpy(bytes + 8, header, length);
    struct safetensors *f = safetensors_parse(bytes, size, "x.safetensors", err);
    bool parsed = f != NULL;
    for (size_t i = 0; parsed && i < safetensors_count(f); i++) {
        const struct weight *w = safetensors_at(f, i);
        size_t size_bytes = (size_t)shape_count(&w->shape) * dtype_bytes(w->type);
        if (size_bytes)
            assert_int_equal(((const uint8_t *)w->data)[size_bytes - 1], 0);
    }
    safetensors_close(&f);
    free(bytes);
    return parsed;
}

/* Each kind of damage gives one line that names the file, the tensor and what was expected. */
static void hostile_headers_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *header, *says;
        size_t payload;
    } cases[] = {
        { "[]", "not a JSON object", 0 },
        { "{", "not valid JSON", 0 },
        { "{\"a\": 3}", "dtype", 0 },
        { "{\"a\": {\"dtype\": \"F7\", \"shape\": [1], \"data_offsets\": [0, 4]}}", "unknown dtype \"F7\"", 4 },
        { "{\"a\": {\"dtype\": \"F32\", \"data_offsets\": [0, 4]}}", "shape", 4 },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [-1], \"data_offsets\": [0, 4]}}", "dimension 0", 4 },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [1.5], \"data_offsets\": [0, 4]}}", "dimension 0", 4 },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [1,1,1,1,1,1,1], \"data_offsets\": [0, 4]}}", "7 dimensions", 4 },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0]}}", "two integers", 4 },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": \"0\"}}", "data_offsets", 4 },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 8]}}",
          "outside of the file's 4 data bytes", 4 },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [8, 4]}}", "outside", 8 },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [-4, 0]}}", "outside", 8 },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [9223372036854775804, 9223372036854775807]}}",
          "outside", 8 },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [3], \"data_offsets\": [0, 8]}}",
          "has 8 bytes, expected 12 for F32 [3]", 8 },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [4611686018427387904, 4], \"data_offsets\": [0, 8]}}",
          "larger than any file", 8 },
        { "{\"a\": {\"dtype\": \"U8\", \"shape\": [4294967296, 4294967296], \"data_offsets\": [0, 0]}}",
          "larger than any file", 8 },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]}, \"a\": {\"dtype\": \"F32\", "
          "\"shape\": [1], \"data_offsets\": [4, 8]}}",
          "duplicate", 8 },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]}, \"b\": {\"dtype\": \"F32\", "
          "\"shape\": [1], \"data_offsets\": [0, 4]}}",
          "may not overlap", 4 },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [4, 8]}}",
          "begins at data byte 4, expected 0", 8 },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]}}",
          "8 data bytes, but its tensors end at 4", 8 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = { 0 };
        assert_false(parse(cases[i].header, cases[i].payload, &err));
        assert_int_equal(err.kind, ERROR_INPUT);
        if (!strstr(err.text, cases[i].says) || !strstr(err.text, "x.safetensors"))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.text, cases[i].says);
    }
}

static void header_length_is_checked(void **state)
{
    (void)state;
    struct error err = { 0 };
    assert_null(safetensors_parse("1234567", 7, "x", &err));
    assert_non_null(strstr(err.text, "too short"));
    assert_null(safetensors_parse("\x09\0\0\0\0\0\0\0{}      ", 16, "x", &err));
    assert_non_null(strstr(err.text, "its header has 9 bytes, but the file has 16"));
    assert_null(safetensors_parse("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "x", &err));
    assert_non_null(strstr(err.text, "its header has"));
}

static void metadata_and_empty_tensors_are_fine(void **state)
{
    (void)state;
    const char *header =
        "{\"__metadata__\": {\"format\": \"pt\"}, \"e\": {\"dtype\": \"F32\", \"shape\": [0, 3], "
        "\"data_offsets\": [0, 0]}, \"a\": {\"dtype\": \"F32\", \"shape\": [], \"data_offsets\": [0, 4]}}";
    struct error err = { 0 };
    assert_true(parse(header, 4, &err));
}

/* A missing file, and one that was cut in the middle. */
static void broken_files_are_named(void **state)
{
    (void)state;
    const float a[64] = { 0 };
    char path[256];
    struct error err = { 0 };
    snprintf(path, sizeof path, "%s/none.safetensors", dir);
    assert_null(safetensors_open(path, &err));
    assert_non_null(strstr(err.text, path));

    snprintf(path, sizeof path, "%s/cut.safetensors", dir);
    assert_true(safetensors_write(path, &(struct weight){ "a", DTYPE_F32, SHAPE(64), a }, 1, &err));
    assert_int_equal(truncate(path, 200), 0);
    assert_null(safetensors_open(path, &err));
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, "a: bytes [0, 256) lie outside"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),  cmocka_unit_test(hostile_headers_are_refused),
        cmocka_unit_test(header_length_is_checked), cmocka_unit_test(metadata_and_empty_tensors_are_fine),
        cmocka_unit_test(broken_files_are_named),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

/* links: shotline_nn */
#include "common/nn/tensor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

static uint32_t bits_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

/* Every half number goes to f32 and back unchanged; numbers in between go to the nearer one, ties to the even one. */
static void half_precision_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        uint16_t half = (uint16_t)h;
        float x, next;
        dtype_to_f32(&x, &half, DTYPE_F16, 1);
        if (isnan(x)) {
            assert_true((f32_to_f16(x) & 0x7fff) > 0x7c00); /* stays one */
            continue;
        }
        assert_int_equal(f32_to_f16(x), half);
        uint16_t above = (uint16_t)(half + 1);
        if ((half & 0x7fff) >= 0x7bff)
            continue;
        dtype_to_f32(&next, &above, DTYPE_F16, 1);
        float middle = (x + next) / 2;
        assert_int_equal(f32_to_f16(middle), half & 1 ? above : half);
        assert_int_equal(f32_to_f16(nextafterf(middle, x)), half);
        assert_int_equal(f32_to_f16(nextafterf(middle, next)), above);
    }
    assert_int_equal(f32_to_f16(65519.0f), 0x7bff);
    assert_int_equal(f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(f32_to_f16(-1e30f), 0xfc00);
}

static void bfloat_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7f80; h++) {
        uint16_t half = (uint16_t)h;
        float x;
        dtype_to_f32(&x, &half, DTYPE_BF16, 1);
        assert_int_equal(bits_of(x), h << 16);
        assert_int_equal(f32_to_bf16(x), half);
        uint32_t middle = h << 16 | 0x8000;
        float tie, below, above;
        memcpy(&tie, &middle, sizeof tie);
        below = nextafterf(tie, 0);
        above = nextafterf(tie, INFINITY);
        assert_int_equal(f32_to_bf16(tie), h + (h & 1));
        assert_int_equal(f32_to_bf16(below), h);
        assert_int_equal(f32_to_bf16(above), h + 1);
    }
    assert_true((f32_to_bf16(NAN) & 0x7fff) > 0x7f80);
}

/* Data of a weight file may begin at any byte. */
static void unaligned_data_is_read(void **state)
{
    (void)state;
    const float numbers[3] = { 1.5f, -2.0f, 1e-20f };
    uint8_t bytes[1 + sizeof numbers];
    float read[3];
    memcpy(bytes + 1, numbers, sizeof numbers);
    dtype_to_f32(read, bytes + 1, DTYPE_F32, 3);
    assert_memory_equal(read, numbers, sizeof numbers);
}

static void shapes_are_compared_and_printed(void **state)
{
    (void)state;
    const struct shape a = SHAPE(2, 3, 4), b = SHAPE(2, 3), scalar = { 0 };
    char text[64];
    assert_int_equal(shape_count(&a), 24);
    assert_int_equal(shape_count(&scalar), 1);
    assert_true(shape_equal(&a, &SHAPE(2, 3, 4)));
    assert_false(shape_equal(&a, &b));
    shape_text(&a, text, sizeof text);
    assert_string_equal(text, "[2, 3, 4]");
    shape_text(&scalar, text, sizeof text);
    assert_string_equal(text, "[]");
    shape_text(&a, text, 5); /* cut, never beyond the room */
    assert_string_equal(text, "[2, ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_precision_rounds_to_nearest_even),
        cmocka_unit_test(bfloat_rounds_to_nearest_even),
        cmocka_unit_test(unaligned_data_is_read),
        cmocka_unit_test(shapes_are_compared_and_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

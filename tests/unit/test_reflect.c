/* links: shotline_gpu */
/* What a kernel binds is read from its SPIR-V; damaged modules are refused. */
#include "common/gpu/kernel.h"

#include "common/base/arena.h"
#include "common/base/rng.h"
#include "shaders/push.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct kernel_layout layout_of(enum kernel k)
{
    struct kernel_layout l;
    struct error err = { 0 };
    assert_true(kernel_reflect(&l, kernel_spirv[k].words, kernel_spirv[k].count, &err));
    return l;
}

static void layouts_match_the_shaders(void **state)
{
    (void)state;
    struct kernel_layout l = layout_of(KERNEL_linear_f32_texel);
    assert_int_equal(l.bindings, 4);
    assert_int_equal(l.kind[0], BINDING_TEXELS);
    assert_int_equal(l.kind[2], BINDING_STORAGE);
    assert_true(l.reads[2] && !l.writes[2] && l.writes[3] && !l.reads[3]);
    assert_int_equal(l.push_bytes, sizeof(struct push_linear));
    l = layout_of(KERNEL_attention_f32);
    assert_int_equal(l.bindings, 7);
    assert_int_equal(l.kind[0], BINDING_STORAGE);
    assert_int_equal(l.push_bytes, sizeof(struct push_attention));
    l = layout_of(KERNEL_conv_f32);
    assert_int_equal(l.push_bytes, sizeof(struct push_conv));
    for (int k = 0; k < KERNEL_COUNT; k++) {
        l = layout_of((enum kernel)k);
        assert_true(l.push_bytes > 0 && l.push_bytes <= 128); /* what every device has */
    }
}

static void damaged_modules_never_crash(void **state)
{
    (void)state;
    struct kernel_layout l;
    struct error err = { 0 };
    const struct kernel_spirv *code = &kernel_spirv[KERNEL_copy_f32];
    uint32_t *words = xmalloc(code->count * sizeof *words);
    assert_false(kernel_reflect(&l, code->words, 3, &err));
    for (uint64_t i = 0; i < 3000; i++) {
        memcpy(words, code->words, code->count * sizeof *words);
        size_t at = (size_t)((double)code->count * rng_uniform(3, 1, i));
        words[at] ^= 1u << (int)(32 * rng_uniform(3, 2, i));
        size_t count = i % 3 == 0 ? at : code->count;
        (void)kernel_reflect(&l, words, count, &err);
    }
    memcpy(words, code->words, code->count * sizeof *words);
    words[0] ^= 1;
    assert_false(kernel_reflect(&l, words, code->count, &err));
    free(words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts_match_the_shaders),
        cmocka_unit_test(damaged_modules_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common/base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

/* Every piece is aligned, zeroed and apart from the others, in small and in large sizes. */
static void pieces_are_aligned_zeroed_and_apart(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 15, 16, 17, 4096, 5000, 3 << 20, 1, 100 };
    struct arena a = { 0 };
    unsigned char *pieces[10 * 40];
    size_t count = 0;
    for (int round = 0; round < 40; round++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            size_t size = round > 2 && sizes[i] > 10000 ? 64 : sizes[i];
            unsigned char *p = arena_alloc(&a, size);
            assert_int_equal((uintptr_t)p % 16, 0);
            for (size_t b = 0; b < size; b++)
                assert_int_equal(p[b], 0);
            memset(p, (int)(count % 251) + 1, size);
            pieces[count++] = p;
        }
    for (size_t i = 0; i < count; i++) {
        size_t size = sizes[i % 10];
        if (i / 10 > 2 && size > 10000)
            size = 64;
        for (size_t b = 0; b < size; b++)
            assert_int_equal(pieces[i][b], (int)(i % 251) + 1);
    }
    arena_free(&a);
}

static void freed_arena_can_be_used_again(void **state)
{
    (void)state;
    struct arena a = { 0 };
    assert_string_equal(arena_strdup(&a, "one"), "one");
    arena_free(&a);
    arena_free(&a);
    assert_string_equal(arena_printf(&a, "%s-%d", "two", 2), "two-2");
    assert_memory_equal(arena_copy(&a, "abc", 3), "abc", 3);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_zeroed_and_apart),
        cmocka_unit_test(freed_arena_can_be_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* links: shotline_nn */
/* Placing intermediates: no two that live at once share a byte, and memory is used again. */
#include "common/base/rng.h"
#include "common/nn/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT 300

static bool overlap(const struct place_item *a, const struct place_item *b)
{
    return a->slab == b->slab && a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

static void values_that_live_together_lie_apart(void **state)
{
    (void)state;
    struct place_item items[COUNT];
    for (int i = 0; i < COUNT; i++) {
        int first = (int)(200 * rng_uniform(1, 1, (uint64_t)i));
        items[i] = (struct place_item){ .bytes = 64 * (int64_t)(100 * rng_uniform(1, 2, (uint64_t)i)),
                                        .first = first,
                                        .last = first + (int)(30 * rng_uniform(1, 3, (uint64_t)i)) };
    }
    struct place_plan plan;
    assert_true(place(items, COUNT, 64, 20000, &plan));
    assert_true(plan.slabs > 1); /* the limit is small enough to need several */
    for (int i = 0; i < COUNT; i++) {
        if (items[i].bytes == 0)
            continue;
        assert_true(items[i].offset % 64 == 0);
        assert_true(items[i].offset + items[i].bytes <= plan.slab_bytes[items[i].slab]);
        assert_true(plan.slab_bytes[items[i].slab] <= 20000);
        for (int j = 0; j < i; j++)
            if (items[j].bytes > 0 && items[i].first <= items[j].last && items[j].first <= items[i].last)
                assert_false(overlap(&items[i], &items[j]));
    }
}

static void a_chain_takes_turns_in_two_places(void **state)
{
    (void)state;
    struct place_item items[50];
    for (int i = 0; i < 50; i++)
        items[i] = (struct place_item){ .bytes = 1000, .first = i, .last = i + 1 };
    struct place_plan plan;
    assert_true(place(items, 50, 8, 1 << 20, &plan));
    assert_int_equal(plan.slabs, 1);
    assert_int_equal(plan.slab_bytes[0], 2000);
}

static void what_is_larger_than_a_slab_has_no_place(void **state)
{
    (void)state;
    struct place_item item = { .bytes = 101, .first = 0, .last = 0 };
    struct place_plan plan;
    assert_false(place(&item, 1, 8, 100, &plan));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_that_live_together_lie_apart),
        cmocka_unit_test(a_chain_takes_turns_in_two_places),
        cmocka_unit_test(what_is_larger_than_a_slab_has_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

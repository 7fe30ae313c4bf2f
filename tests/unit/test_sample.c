/* links: shotline_nn */
/* The pick of the next token, and the walk over options token by token. */
#include "common/nn/sample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const float logits[] = { 0.5f, 2.0f, -1.0f, 2.0f, 9.0f };

static void cold_sampler_takes_the_best_and_the_lowest_of_equals(void **state)
{
    struct sampler s = { .seed = 1 };
    const int32_t candidates[] = { 0, 1, 2, 3 }, behind[] = { 2, 3 };
    (void)state;

    assert_int_equal(sample_token(&s, logits, candidates, 4), 1); /* 4 is better and not allowed */
    assert_int_equal(sample_token(&s, logits, behind, 2), 3);
    assert_int_equal(s.drawn, 0);
}

/* Each candidate comes about as often as the softmax over the candidates says. */
static void warm_sampler_follows_the_masked_softmax(void **state)
{
    struct sampler s = { .seed = 42, .temperature = 2.0 };
    const int32_t candidates[] = { 0, 1, 2 };
    int seen[5] = { 0 };
    double weight[3], total = 0;
    (void)state;

    for (int i = 0; i < 20000; i++)
        seen[sample_token(&s, logits, candidates, 3)]++;
    for (int i = 0; i < 3; i++)
        total += weight[i] = exp(logits[i] / 2.0);
    for (int i = 0; i < 3; i++)
        assert_true(fabs(seen[i] / 20000.0 - weight[i] / total) < 0.015);
    assert_int_equal(seen[3] + seen[4], 0);
}

static void same_seed_gives_the_same_picks(void **state)
{
    struct sampler a = { .seed = 7, .temperature = 1.5 }, b = a, other = { .seed = 8, .temperature = 1.5 };
    const int32_t candidates[] = { 0, 1, 2, 3 };
    int differ = 0;
    (void)state;

    for (int i = 0; i < 200; i++) {
        int32_t pick = sample_token(&a, logits, candidates, 4);
        assert_int_equal(pick, sample_token(&b, logits, candidates, 4));
        differ += pick != sample_token(&other, logits, candidates, 4);
    }
    assert_true(differ > 20);
}

static void walk_ends_in_one_option(void **state)
{
    static const int32_t a[] = { 5, 6, 7 }, b[] = { 5, 6, 8, 9 }, c[] = { 4 };
    const struct sample_option options[] = { { a, 3 }, { b, 4 }, { c, 1 } };
    struct sample_walk w;
    int32_t next[3];
    (void)state;

    sample_walk_open(&w, options, 3);
    assert_int_equal(sample_walk_candidates(&w, next), 2);
    assert_int_equal(next[0], 4);
    assert_int_equal(next[1], 5);
    sample_walk_take(&w, 5);
    assert_true(sample_walk_result(&w) == SIZE_MAX);
    assert_int_equal(sample_walk_candidates(&w, next), 1); /* nothing to decide */
    sample_walk_take(&w, next[0]);
    assert_int_equal(sample_walk_candidates(&w, next), 2);
    sample_walk_take(&w, 8);
    assert_int_equal(sample_walk_result(&w), 1);
    assert_int_equal(w.depth, 3);
    sample_walk_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cold_sampler_takes_the_best_and_the_lowest_of_equals),
        cmocka_unit_test(warm_sampler_follows_the_masked_softmax),
        cmocka_unit_test(same_seed_gives_the_same_picks),
        cmocka_unit_test(walk_ends_in_one_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* links: shotline_coordinator_core */
/* What of the coordinator's blobs is a cache, and what is still needed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "coordinator/core/cache.h"
#include "tests/unit/farm_graph.h"

static const struct digest listing = { { 1 } };

static bool holds(const struct ledger *l, const struct digest *d)
{
    struct cache_needs n = { 0 };

    cache_needs_of(&n, l, &listing);
    bool held = cache_holds(&n, d);
    cache_needs_free(&n);
    return held;
}

static const struct digest *output(const struct video *v, uint32_t position, enum output_name n)
{
    return &task_find_output(&v->tasks[position], n)->digest;
}

/* Works on until this task is done. */
static void work_up_to(struct ledger *l, struct campaign *c, uint32_t position)
{
    while (c->videos[0].tasks[position].state != TASK_DONE)
        graph_finish_unjudged(l, graph_lease(l, c, 1, 0), 10);
}

/* What a task has made is needed until all that start from it are done; then it is a cache. */
static void an_output_is_needed_until_it_was_used(void **state)
{
    (void)state;
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct video *v = &c->videos[0];

    assert_true(holds(&l, &listing));
    work_up_to(&l, c, G_ANCHOR);
    assert_true(holds(&l, output(v, G_ANCHOR, OUTPUT_STATE)));
    work_up_to(&l, c, G_LEFT);
    assert_true(holds(&l, output(v, G_ANCHOR, OUTPUT_STATE))); /* of the other range */
    work_up_to(&l, c, G_RIGHT);
    assert_false(holds(&l, output(v, G_ANCHOR, OUTPUT_STATE)));
    assert_true(holds(&l, output(v, G_LEFT, OUTPUT_LATENTS)));
    ledger_free(&l);
}

/* A shot whose takes are not judged keeps what it may show, and what another take starts from. */
static void an_unsettled_shot_keeps_its_takes(void **state)
{
    (void)state;
    struct gate_verdict bad = { .count = 1, .faults = { { CHECK_FLASH_TINT, 30, 12 } } };
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct video *v = &c->videos[0];

    work_up_to(&l, c, G_DECODE);
    const struct digest mezzanine = *output(v, G_DECODE, OUTPUT_MEZZANINE),
                        latents = *output(v, G_LEFT, OUTPUT_LATENTS);
    assert_true(holds(&l, &mezzanine));
    assert_false(holds(&l, &latents));
    assert_true(holds(&l, output(v, G_TEXT, OUTPUT_EMBEDDING)));
    takes_judged(&l, ledger_next_unjudged(&l), &bad, 0);
    assert_true(holds(&l, &mezzanine)); /* it may be the best of them in the end */
    assert_int_equal(v->shots[0].takes, 2);
    const uint32_t second = v->shots[0].decodes[1];
    work_up_to(&l, c, second);
    graph_pass(&l);
    assert_false(holds(&l, &mezzanine)); /* the second is shown */
    assert_true(holds(&l, output(v, second, OUTPUT_MEZZANINE)));
    assert_false(holds(&l, output(v, G_TEXT, OUTPUT_EMBEDDING)));
    ledger_free(&l);
}

/* The file is kept from when it is there, its manifest with it, and nothing else of a video that has ended. */
static void finished_videos_stay(void **state)
{
    (void)state;
    const struct blob_ref manifest = { .digest = { { 7 } }, .bytes = 100 };
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct video *v = &c->videos[0];

    c->cast = arena_new(&c->arena, struct cast_member);
    *c->cast = (struct cast_member){ .has_image = true, .image.digest = { { 9 } } };
    c->cast_count = 1;
    work_up_to(&l, c, G_DECODE);
    graph_pass(&l);
    work_up_to(&l, c, G_STITCH);
    const struct digest file = *output(v, G_STITCH, OUTPUT_VIDEO);
    assert_true(holds(&l, &file)); /* though it has no manifest yet */
    video_finish(&l, v, &manifest, 0);
    assert_true(holds(&l, &file));
    assert_true(holds(&l, &manifest.digest));
    assert_true(holds(&l, &c->cast->image.digest));
    for (uint32_t i = 0; i < G_STITCH; i++)
        for (uint32_t k = 0; k < v->tasks[i].output_count; k++)
            assert_false(holds(&l, &v->tasks[i].outputs[k].blob.digest));
    ledger_clean(&l);     /* only what was saved can go */
    ledger_remove(&l, c); /* its record is removed: nobody can ask for it any more */
    assert_false(holds(&l, &file));
    ledger_free(&l);
}

/* The state that a task would go on from is needed; of a campaign that was cancelled nothing is. */
static void a_saved_state_is_needed(void **state)
{
    (void)state;
    const struct blob_ref saved = { .digest = { { 5 } }, .bytes = 10 };
    struct ledger l = { 0 };
    struct campaign *c = graph_campaign(&l, 1, false);
    struct video *v = &c->videos[0];

    work_up_to(&l, c, G_NEGATIVE);
    work_up_to(&l, c, G_TEXT);
    struct task *t = graph_lease(&l, c, 1, 0);
    assert_true(task_checkpoint(&l, t, t->worker, t->attempt, 1, &saved));
    assert_true(holds(&l, &saved.digest));
    campaign_cancel(&l, c, 0);
    assert_false(holds(&l, &saved.digest));
    assert_false(holds(&l, output(v, G_TEXT, OUTPUT_EMBEDDING)));
    ledger_free(&l);
}

static void a_little_more_goes_than_is_too_much(void **state)
{
    (void)state;
    assert_int_equal(cache_surplus(1000, 1000), 0);
    assert_int_equal(cache_surplus(1001, 1000), 51);
    assert_int_equal(cache_surplus(10, 1), 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_output_is_needed_until_it_was_used),
        cmocka_unit_test(an_unsettled_shot_keeps_its_takes),
        cmocka_unit_test(finished_videos_stay),
        cmocka_unit_test(a_saved_state_is_needed),
        cmocka_unit_test(a_little_more_goes_than_is_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

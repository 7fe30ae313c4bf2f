/* Device memory: what the lean profile saves and what it does not change, on a Vulkan device. */
#include "tests/golden/task_bench.h"

#include <stdio.h>

#include <cmocka.h>

static struct exec *open_device(int64_t max_bytes)
{
    struct error err = { 0 };
    struct exec *x = exec_open_vk(&(struct exec_options){ .max_bytes = max_bytes }, &err);
    if (!x)
        fail_msg("%s", err.text);
    return x;
}

static void assert_same_files(const struct shot_files *a, const struct shot_files *b)
{
    assert_same_blob(&a->latents, &b->latents);
    assert_same_blob(&a->mezzanine, &b->mezzanine);
    assert_same_blob(&a->frames, &b->frames);
    assert_same_blob(&a->thumbnail, &b->thumbnail);
    assert_same_blob(&a->scores, &b->scores);
    assert_same_blob(&a->video, &b->video);
}

/* A shot as usual; what its tasks need of the device one by one, and what they heap up on it. */
static struct shot_files usual;
static int64_t alone_bytes, heaped_bytes;

static int shoot_as_usual(void **state)
{
    struct exec *x = open_device(0);
    if (bench_open_all(state) != 0)
        return -1;
    for (int alone = 1; alone >= 0; alone--) {
        struct bench b;
        bench_open_on(&b, alone ? "alone" : "usual", x);
        b.alone = alone;
        bench_shoot(&b, false, &usual);
        *(alone ? &alone_bytes : &heaped_bytes) = exec_bytes_peak(x);
        b.exec = NULL; /* it stays open for the second shooting */
        bench_close(&b);
    }
    exec_close(&x);
    return 0;
}

/* A lean shot is the same, byte for byte, from less memory; so is one of which only those tasks are lean that fail as
 * usual on a device that is too small for them. */
static void lean_tasks_give_the_same_bytes_from_less_memory(void **state)
{
    (void)state;
    struct exec *x = open_device(alone_bytes * 5 / 8);
    for (int lean = 1; lean >= 0; lean--) {
        struct bench b;
        struct shot_files files;
        bench_open_on(&b, lean ? "lean" : "mixed", x);
        b.lean = lean;
        b.falls_back = !lean;
        bench_shoot(&b, false, &files);
        assert_same_files(&files, &usual);
        if (lean)
            print_message("device memory at most: %lld KiB, lean %lld\n", (long long)alone_bytes >> 10,
                          (long long)exec_bytes_peak(x) >> 10);
        assert_true(lean || b.fell_back > 0);
        b.exec = NULL;
        bench_close(&b);
    }
    exec_close(&x);
}

/* What earlier tasks left on the device is no reason to fail: a task gets the device to itself first. */
static void models_of_earlier_tasks_make_room(void **state)
{
    (void)state;
    struct bench b;
    struct shot_files files;
    assert_true(alone_bytes < heaped_bytes);
    bench_open_on(&b, "tight", open_device(alone_bytes));
    bench_shoot(&b, false, &files);
    assert_same_files(&files, &usual);
    bench_close(&b);
}

int main(void)
{
    struct error err = { 0 };
    struct exec *x = exec_open_vk(&(struct exec_options){ 0 }, &err);
    if (!x) {
        printf("no device: %s\n", err.text);
        return 77;
    }
    exec_close(&x);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lean_tasks_give_the_same_bytes_from_less_memory),
        cmocka_unit_test(models_of_earlier_tasks_make_room),
    };
    return cmocka_run_group_tests(tests, shoot_as_usual, bench_remove_all);
}

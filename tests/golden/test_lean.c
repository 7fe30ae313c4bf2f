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

/* A task that needs the device, and how it ends. */
static enum error_kind text_ends(struct bench *b, bool lean)
{
    struct task_outputs out;
    struct error err = { 0 };
    Shotline__TaskSpec spec = SHOTLINE__TASK_SPEC__INIT;
    Shotline__TextTask t = SHOTLINE__TEXT_TASK__INIT;
    spec.kind = SHOTLINE__TASK_KIND__TASK_TEXT;
    spec.text = &t;
    spec.numerics = SHOTLINE__NUMERICS__NUMERICS_EXACT;
    spec.has_profile = true;
    spec.profile = lean ? SHOTLINE__PROFILE__PROFILE_LEAN : SHOTLINE__PROFILE__PROFILE_USUAL;
    t.prompt = "a red round monster";
    return task_execute(&b->run, &spec, &out, &err) ? ERROR_NONE : err.kind;
}

/* On a device that is too small for the usual profile, which says so, a lean shot comes out the same, byte for byte. */
static void lean_tasks_give_the_same_bytes_from_less_memory(void **state)
{
    (void)state;
    struct bench b;
    struct shot_files files;
    bench_open_on(&b, "lean", open_device(alone_bytes / 2));
    assert_int_equal(text_ends(&b, false), ERROR_MEMORY);
    assert_int_equal(exec_bytes_used(b.exec), 0); /* and nothing is left behind */
    assert_int_equal(text_ends(&b, true), ERROR_NONE);
    b.lean = true;
    bench_shoot(&b, false, &files);
    print_message("device memory at most: %lld KiB, lean %lld\n", (long long)alone_bytes >> 10,
                  (long long)exec_bytes_peak(b.exec) >> 10);
    assert_same_files(&files, &usual);
    bench_close(&b);
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

/* links: shotline_client */
#include "client/output.h"
#include "client/progress.h"

#include "common/base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define WAITING SHOTLINE__WORK_STATE__WORK_WAITING
#define RUNNING SHOTLINE__WORK_STATE__WORK_RUNNING
#define DONE    SHOTLINE__WORK_STATE__WORK_DONE

/* A campaign of two videos with one shot each, `steps` of 10 done. */
static Shotline__CampaignStatus *campaign(struct arena *a, unsigned steps, Shotline__WorkState state)
{
    Shotline__CampaignStatus *c = arena_new(a, Shotline__CampaignStatus);
    shotline__campaign_status__init(c);
    c->name = arena_strdup(a, "test");
    c->campaign = 7;
    c->state = RUNNING;
    c->tasks = 12;
    c->tasks_done = 3;
    c->elapsed_ms = 65000;
    c->has_eta_ms = true;
    c->eta_ms = 30000;
    c->n_videos = 2;
    c->videos = arena_array(a, Shotline__VideoStatus *, 2);
    for (int i = 0; i < 2; i++) {
        Shotline__VideoStatus *v = c->videos[i] = arena_new(a, Shotline__VideoStatus);
        shotline__video_status__init(v);
        v->name = arena_printf(a, "video-%d", i + 1);
        v->state = i ? WAITING : state;
        v->n_shots = i ? 0 : 1;
        v->shots = arena_array(a, Shotline__ShotStatus *, 1);
        v->shots[0] = arena_new(a, Shotline__ShotStatus);
        shotline__shot_status__init(v->shots[0]);
        v->shots[0]->number = 1;
        v->shots[0]->ranges = 2;
        v->shots[0]->steps = 10;
        v->shots[0]->steps_done = steps;
        v->shots[0]->state = state;
    }
    return c;
}

static void times_read_well(void **state)
{
    (void)state;
    char to[32];
    output_clock(0, to, sizeof to);
    assert_string_equal(to, "0:00");
    output_clock(-5, to, sizeof to);
    assert_string_equal(to, "0:00");
    output_clock(59600, to, sizeof to);
    assert_string_equal(to, "1:00");
    output_clock(3723000, to, sizeof to);
    assert_string_equal(to, "1:02:03");
}

static void bars_fill_from_empty_to_full(void **state)
{
    (void)state;
    struct str s = { 0 };
    output_bar(-1, 4, &s);
    output_bar(0.5, 4, &s);
    output_bar(0.99, 4, &s);
    output_bar(7, 4, &s);
    assert_string_equal(str_text(&s), "[....][##..][###.][####]");
    str_free(&s);
}

static void tables_are_aligned(void **state)
{
    (void)state;
    struct table t = { 0 };
    struct str s = { 0 };
    table_row(&t, (const char *const[]){ "ID", "NAME", "WHY" }, 3);
    table_row(&t, (const char *const[]){ "1", "long name", "" }, 3);
    table_row(&t, (const char *const[]){ "22", "", "reason" }, 3);
    table_print(&t, &s);
    assert_string_equal(str_text(&s), "ID  NAME       WHY\n"
                                      "1   long name\n"
                                      "22             reason\n");
    table_free(&t);
    str_free(&s);
}

/* Only a finished video is whole, whatever the steps say; nonsense from the wire stays in bounds. */
static void fraction_is_one_only_when_done(void **state)
{
    (void)state;
    struct arena a = { 0 };
    assert_true(output_fraction(campaign(&a, 0, RUNNING)->videos[0]) == 0);
    double half = output_fraction(campaign(&a, 5, RUNNING)->videos[0]);
    assert_true(half > 0.4 && half < 0.5);
    assert_true(output_fraction(campaign(&a, 4000000000u, RUNNING)->videos[0]) < 1);
    assert_true(output_fraction(campaign(&a, 0, RUNNING)->videos[1]) == 0);
    assert_true(output_fraction(campaign(&a, 3, DONE)->videos[0]) == 1);
    Shotline__CampaignStatus *c = campaign(&a, 3, RUNNING);
    c->videos[0]->shots[0]->steps = 0;
    assert_true(output_fraction(c->videos[0]) == 0);
    arena_free(&a);
}

/* Plain lines come when something changes, and only then. */
static void plain_progress_says_what_is_new(void **state)
{
    (void)state;
    struct arena a = { 0 };
    struct str s = { 0 };
    struct progress p;
    progress_begin(&p, PROGRESS_PLAIN);
    progress_format(&p, campaign(&a, 0, RUNNING), 24, &s);
    assert_string_equal(str_text(&s), "video-1: running 0%, 0 of 1 shots; 3 of 12 tasks, 1:05, ETA 0:30\n"
                                      "video-2: waiting; 3 of 12 tasks, 1:05, ETA 0:30\n");
    str_clear(&s);
    progress_format(&p, campaign(&a, 0, RUNNING), 24, &s);
    assert_string_equal(str_text(&s), "");
    progress_format(&p, campaign(&a, 5, RUNNING), 24, &s);
    assert_string_equal(str_text(&s), "video-1: running 40%, 0 of 1 shots; 3 of 12 tasks, 1:05, ETA 0:30\n");
    str_clear(&s);
    progress_format(&p, campaign(&a, 10, DONE), 24, &s);
    assert_string_equal(str_text(&s), "video-1: done; 3 of 12 tasks, 1:05, ETA 0:30\n");
    progress_end(&p);
    str_free(&s);
    arena_free(&a);
}

/* Bars are drawn over the ones before; a small screen shows those that run. */
static void bars_stay_on_the_screen(void **state)
{
    (void)state;
    struct arena a = { 0 };
    struct str s = { 0 };
    struct progress p;
    progress_begin(&p, PROGRESS_BARS);
    progress_format(&p, campaign(&a, 5, RUNNING), 24, &s);
    assert_int_equal(p.lines, 3);
    assert_non_null(
        strstr(str_text(&s), "video-1                  [#############.................]  45% running, 0 of 1 shots"));
    assert_true(str_text(&s)[0] == 'v');
    str_clear(&s);
    progress_format(&p, campaign(&a, 5, RUNNING), 3, &s);
    assert_true(str_starts(str_text(&s), "\x1b[3A\r"));
    assert_int_equal(p.lines, 2);
    assert_null(strstr(str_text(&s), "video-2"));
    progress_end(&p);
    str_free(&s);
    arena_free(&a);
}

static void json_progress_is_one_object_per_line(void **state)
{
    (void)state;
    struct arena a = { 0 };
    struct str s = { 0 };
    struct progress p;
    progress_begin(&p, PROGRESS_JSON);
    progress_format(&p, campaign(&a, 5, RUNNING), 24, &s);
    size_t lines = 0;
    for (char *line = strtok(s.data, "\n"); line; line = strtok(NULL, "\n")) {
        json_t *o = json_loads(line, 0, NULL);
        assert_non_null(o);
        assert_string_equal(json_string_value(json_object_get(o, "event")), "video");
        assert_int_equal(json_integer_value(json_object_get(o, "campaign")), 7);
        json_decref(o);
        lines++;
    }
    assert_int_equal(lines, 2);
    progress_end(&p);
    str_free(&s);
    arena_free(&a);
}

static void summary_tells_speed_up_and_overlap(void **state)
{
    (void)state;
    struct arena a = { 0 };
    struct str s = { 0 };
    Shotline__CampaignStatus *c = campaign(&a, 10, DONE);
    c->state = DONE;
    c->elapsed_ms = 50000;
    c->busy_ms = 90000;
    c->overlap_ms = 9000;
    c->ranges_at_once = 2;
    c->tasks_cached = 1;
    output_summary(c, &s);
    assert_string_equal(
        str_text(&s),
        "done: 12 tasks in 50.0 s, 1 of them from the cache\n"
        "speed-up over one worker: 1.80x (90.0 s of work in 50.0 s)\n"
        "overlap of frame ranges cost 9.0 s of that work (10.0 %); up to 2 ranges of one shot ran at once\n");
    str_clear(&s);
    c->shots_judged = c->shots_settled = 8;
    c->shots_first_try = 6;
    c->shots_passed = 7;
    c->retry_ms = 18000;
    output_gates(c, &s);
    assert_string_equal(str_text(&s), "gates: 6 of 8 shots passed at the first try (75 %), 7 of 8 in the end (88 %); "
                                      "takes that are not shown cost 18.0 s of work (20.0 %)\n");
    str_clear(&s);
    Shotline__ShotStatus *shot = c->videos[0]->shots[0];
    shot->has_passed = true;
    shot->passed = false;
    shot->take = 2;
    shot->takes = 3;
    shot->fault = "flash: flash_tint is 31, expected at most 12";
    output_faults(c->videos[0], &s);
    assert_non_null(strstr(str_text(&s), "shot 1, shown in take 2 of 3, did not pass: flash: flash_tint is 31"));
    str_clear(&s);
    c->busy_ms = 0;
    output_summary(c, &s);
    assert_non_null(strstr(str_text(&s), "none to tell"));
    str_free(&s);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_read_well),
        cmocka_unit_test(bars_fill_from_empty_to_full),
        cmocka_unit_test(tables_are_aligned),
        cmocka_unit_test(fraction_is_one_only_when_done),
        cmocka_unit_test(plain_progress_says_what_is_new),
        cmocka_unit_test(bars_stay_on_the_screen),
        cmocka_unit_test(json_progress_is_one_object_per_line),
        cmocka_unit_test(summary_tells_speed_up_and_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

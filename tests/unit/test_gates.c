/* links: shotline_tasks shotline_coordinator_core */
/* Every defect is caught by its gate and by no other: a small moving scene is drawn, spoiled, measured as a worker does
 * it and judged as the coordinator does. bench/gates does the same to shots that the farm rendered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/file.h"
#include "common/nn/pack.h"
#include "tests/gates/clips.h"

#include <math.h>
#include <stdio.h>

enum { WIDTH = 128, HEIGHT = 80, FRAMES = 25, FPS = 8 };

/* ---- the scene ---- */

static int dice(int scene, int x, int y, int range)
{
    return (int)(range * rng_uniform((uint64_t)scene, (uint64_t)(x + 1000), (uint64_t)(y + 1000)));
}

/* Soft spots, `cell` pixels apart, 0 to 255. */
static int spots(int scene, int x, int y, int cell)
{
    const int i = x / cell, j = y / cell, u = x % cell, v = y % cell;
    const int top = dice(scene, i, j, 256) * (cell - u) + dice(scene, i + 1, j, 256) * u,
              bottom = dice(scene, i, j + 1, 256) * (cell - u) + dice(scene, i + 1, j + 1, 256) * u;
    return (top * (cell - v) + bottom * v) / (cell * cell);
}

static void draw(const struct clip *c, int scene, int f)
{
    const int figure_x = 40 + f, figure_y = 44 + f % 4 / 2;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            const int at = x + FRAMES - f; /* the camera goes left by a pixel, the picture to the right */
            const int light = 50 + spots(scene, at, y, 16) / 2 + spots(scene + 1, at, y, 5) / 8;
            const int dx = x - figure_x, dy = y - figure_y, r = dx * dx + dy * dy;
            uint8_t *p = clip_frame(c, f) + 3 * (y * WIDTH + x);
            p[0] = clip_clamp(light - 10);
            p[1] = clip_clamp(light);
            p[2] = clip_clamp(light + 10);
            if (r < 169) {
                const bool eye = abs(abs(dx) - 5) < 2 && dy > -6 && dy < -1;
                p[0] = eye ? 240 : r > 130 ? 120 : 225;
                p[1] = eye ? 240 : 35;
                p[2] = eye ? 240 : 40;
            }
        }
}

static struct clip scene(int number)
{
    struct clip c = { .width = WIDTH,
                      .height = HEIGHT,
                      .fps = FPS,
                      .frames = FRAMES,
                      .planned_frames = FRAMES,
                      .borders = { { 9, 12 } },
                      .border_count = 1,
                      .camera = "pan left" };
    c.figure = (struct palette){ .count = 2, .colour = { { 100, 0, 0, 0.8f }, { 48, 68, 47, 0.2f } } }; /* white, red */
    c.rgb = xmalloc((size_t)FRAMES * clip_frame_bytes(&c));
    for (int f = 0; f < FRAMES; f++)
        draw(&c, number, f);
    return c;
}

static void judge(const struct clip *c, const struct gate_limits *l, struct gate_verdict *v)
{
    struct gate_scores s;
    struct error err = { 0 };
    if (!clip_scores(c, &s, &err))
        fail_msg("%s", err.text);
    gates_judge(v, &s, &(struct gate_plan){ .frames = c->planned_frames, .camera = c->camera }, l);
    gate_scores_free(&s);
}

static struct gate_limits limits(void)
{
    struct gate_limits l;
    gate_limits_default(&l);
    /* The defaults are wide for any model's sake; this scene is a known one. */
    l.limit[CHECK_CUT_RESIDUAL] = 0.6;
    l.limit[CHECK_BLUR_SHARPNESS] = 2;
    return l;
}

static void each_defect_is_caught_by_its_gate_alone(void **state)
{
    (void)state;
    const struct gate_limits l = limits();
    struct clip good = scene(1), other = scene(50);
    for (enum defect d = DEFECT_NONE; d < DEFECTS; d++) {
        struct clip c = clip_copy(&good);
        struct gate_verdict v;
        char text[600];
        assert_true(clip_spoil(&c, d, &other));
        judge(&c, &l, &v);
        verdict_text(&v, text, sizeof text);
        if (v.count != (d != DEFECT_NONE) || (v.count && check_gate(v.faults[0].check) != clip_defects[d].gate))
            fail_msg("%s: expected %s, found: %s", clip_defects[d].name,
                     d ? gate_name(clip_defects[d].gate) : "nothing", text);
        free(c.rgb);
    }
    free(good.rgb);
    free(other.rgb);
}

/* In a dark shot that changes much anyway, light turns all colours over; but it goes as it came. */
static void a_flash_is_no_cut_whatever_it_does_to_the_colours(void **state)
{
    (void)state;
    const struct gate_limits l = limits();
    struct clip c = scene(1);
    struct gate_verdict v;
    struct gate_scores s;
    struct error err;
    assert_true(clip_spoil(&c, DEFECT_FLASH, NULL));
    assert_true(clip_scores(&c, &s, &err));
    for (int f = FRAMES / 2; f < FRAMES; f++) {
        s.lasting[f] = 0.9;
        s.colours[f] = f == FRAMES / 2 || f == FRAMES / 2 + 2 ? 0.9 : 0;
    }
    const struct gate_plan plan = { .frames = FRAMES, .camera = c.camera };
    gates_judge(&v, &s, &plan, &l);
    assert_int_equal(v.count, 1);
    assert_int_equal(check_gate(v.faults[0].check), GATE_FLASH);

    for (int k = 0; k < 3; k++)
        s.tint[FRAMES / 2 + 2][k] = 0; /* the light stays */
    gates_judge(&v, &s, &plan, &l);
    assert_int_equal(v.count, 1);
    assert_int_equal(check_gate(v.faults[0].check), GATE_CUT);
    gate_scores_free(&s);
    free(c.rgb);
}

/* The text is the same bytes everywhere: it is part of what a task's key promises. */
static void scores_are_pinned(void **state)
{
    (void)state;
    struct clip c = scene(1);
    struct str json = { 0 };
    struct digest d;
    char hex[DIGEST_HEX_ROOM];
    clip_scores_text(&c, &json);
    assert_true(str_starts(json.data, "{\"format\":5,\"frames\":25,\"columns\":128,\"fps\":8,\"unusable\":0,"
                                      "\"borders\":[[9,12]],\"dark\":["));
    d = digest_of(json.data, json.size);
    digest_hex(&d, hex);
    assert_string_equal(hex, "5af011627ae28a47354ccc7e3768dfdba8ef6de569fdea41fe7a56335c1f5f2d");
    str_free(&json);
    free(c.rgb);
}

/* Whatever a worker sends is read or refused. */
static void strange_scores_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"format\":4}",
        "{\"format\":5,\"frames\":1e9}",
        "{\"format\":5,\"frames\":1,\"columns\":0,\"fps\":8,\"unusable\":0}",
        "{\"format\":5,\"frames\":1,\"columns\":9,\"fps\":8,\"unusable\":0,\"borders\":[],\"dark\":[]}",
    };
    struct clip c = scene(1);
    struct str json = { 0 };
    struct gate_scores s;
    struct error err;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(gate_scores_parse(&s, texts[i], strlen(texts[i]), &err));
    clip_scores_text(&c, &json);
    for (size_t cut = 1; cut < json.size; cut += 97)
        assert_false(gate_scores_parse(&s, json.data, cut, &err));
    for (size_t i = 0; i < json.size; i += 11) { /* a digit or a sign that is another */
        const char was = json.data[i];
        json.data[i] = was == '[' ? '{' : was == ',' ? ']' : was == '"' ? '[' : '"';
        assert_false(gate_scores_parse(&s, json.data, json.size, &err));
        json.data[i] = was;
    }
    str_free(&json);
    free(c.rgb);
}

/* Verdicts survive the store, and the nearer one to its limits is the better one. */
static void verdicts_are_kept_and_compared(void **state)
{
    (void)state;
    struct gate_verdict a = { 2, { { CHECK_FLASH_TINT, 31.25, 12 }, { CHECK_PAN, -0.06, 0.01 } } }, b, none = { 0 };
    struct str text = { 0 };
    struct json_out out = { .to = &text };
    char words[200];
    verdict_write(&a, NULL, &out);
    assert_true(verdict_parse(&b, text.data));
    assert_int_equal(b.count, 2);
    assert_int_equal(b.faults[1].check, CHECK_PAN);
    assert_true(b.faults[1].measure == -0.06);
    verdict_text(&a, words, sizeof words);
    assert_string_equal(words,
                        "flash: flash_tint is 31.25, expected at most 12; camera: pan_least is -0.06, expected at "
                        "least 0.01");
    assert_false(verdict_parse(&b, "[{\"check\":\"taste\",\"measure\":1,\"limit\":2}]"));
    assert_false(verdict_parse(&b, "{}"));
    assert_true(verdict_better(&none, &a));
    b = (struct gate_verdict){ 1, { { CHECK_FLASH_TINT, 60, 12 } } };
    assert_true(verdict_better(&b, &a));
    struct gate_verdict c = { 1, { { CHECK_FLASH_TINT, 14, 12 } } };
    assert_true(verdict_better(&c, &b));
    assert_false(verdict_better(&c, &c));
    str_free(&text);
}

/* ---- gates.json ---- */

static bool load(const char *text, struct gate_limits *l, struct error *err)
{
    char dir[] = "/tmp/shotline-gates-XXXXXX", path[64];
    struct error ignored;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/gates.json", dir);
    assert_true(!text || file_write(path, text, strlen(text), err));
    bool ok = gate_limits_load(l, dir, err);
    file_remove_tree(dir, &ignored);
    return ok;
}

static void limits_are_read_over_the_defaults(void **state)
{
    (void)state;
    struct gate_limits l, usual;
    struct error err = { 0 };
    gate_limits_default(&usual);
    assert_true(load(NULL, &l, &err));
    assert_memory_equal(l.limit, usual.limit, sizeof l.limit);
    assert_true(load("{\"limits\":{\"flash_tint\":7.5,\"freeze_change\":0.5},\"measured\":{}}", &l, &err));
    assert_true(l.limit[CHECK_FLASH_TINT] == 7.5 && l.freeze_change == 0.5);
    assert_true(l.limit[CHECK_STEP_TINT] == usual.limit[CHECK_STEP_TINT]);
    static const char *const bad[] = { "{\"limits\":{\"flash\":1}}",
                                       "{\"limits\":{\"flash_tint\":\"x\"}}",
                                       "{\"limits\":{\"flash_tint\":-1}}",
                                       "{\"limit\":{}}",
                                       "{}",
                                       "[]",
                                       "nonsense" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(load(bad[i], &l, &err));
    assert_false(load(bad[0], &l, &err));
    assert_non_null(strstr(err.text, "flash"));
}

/* The embedded pack's limits are none of its identity: calibrating again renders nothing again. */
static void the_packs_limits_are_not_in_its_digest(void **state)
{
    (void)state;
    struct pack_listing listing;
    struct gate_limits l;
    struct error err = { 0 };
    if (!pack_list(&listing, "packs/tiny", &err) || !gate_limits_load(&l, "packs/tiny", &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < listing.count; i++)
        assert_string_not_equal(listing.files[i].path, "gates.json");
    pack_listing_free(&listing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_defect_is_caught_by_its_gate_alone),
        cmocka_unit_test(a_flash_is_no_cut_whatever_it_does_to_the_colours),
        cmocka_unit_test(scores_are_pinned),
        cmocka_unit_test(strange_scores_are_refused),
        cmocka_unit_test(verdicts_are_kept_and_compared),
        cmocka_unit_test(limits_are_read_over_the_defaults),
        cmocka_unit_test(the_packs_limits_are_not_in_its_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

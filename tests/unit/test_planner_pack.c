/* links: shotline_planner */
/* The embedded planner does what it is asked, and it is its weights that know how: with shuffled weights the plans stay
 * valid, and fit the prompts no better than chance. */
#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/rng.h"
#include "common/nn/safetensors.h"
#include "coordinator/plan/plan.h"
#include "coordinator/plan/planner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef PLANNER
#define PLANNER "packs/tiny/planner"
#endif

/* What a prompt asks, and how a plan says it. */
static const char *const colours[] = { "red", "yellow", "green", "blue", "purple" };
static const char *const places[][2] = {
    { "on the beach", "beach" }, { "in the forest", "forest" }, { "in the desert", "desert" }, { "in the snow", "snow" }
};
static const char *const lights[][2] = { { "by day", "day" }, { "at night", "night" } };
static const char *const actions[][2] = { { "waves", "waving" },
                                          { "jumps", "jumping" },
                                          { "walks left", "walking left" },
                                          { "walks right", "walking right" },
                                          { "stands", "standing" } };
#define PROMPTS 20 /* each place with each colour once */
#define ASKED   4  /* place, light, colour, action */

/* How many of the four things the first shot shows. */
static int fulfilled(const struct plan *p, int index)
{
    const struct plan_shot *s = &p->shots[0];
    const struct plan_member *m = &p->members[s->actors[0].member];
    char colour[32];

    snprintf(colour, sizeof colour, " %s ", colours[index % 5]);
    return (strcmp(s->fields[FIELD_PLACE], places[index % 4][1]) == 0) +
           (strcmp(s->fields[FIELD_LIGHT], lights[index / 4 % 2][1]) == 0) + (strstr(m->phrase, colour) != NULL) +
           (strcmp(s->actors[0].action, actions[(index + index / 5) % 5][1]) == 0);
}

/* The share of what was asked over all prompts; every plan must be valid. */
static double score(const char *dir)
{
    struct exec *x = exec_open_ref();
    struct error err = { 0 };
    struct planner *p = planner_open(dir, x, 0, &err);
    int hits = 0;

    if (!p)
        fail_msg("%s", err.text);
    for (int i = 0; i < PROMPTS; i++) {
        struct str text = { 0 };
        struct plan plan;
        char prompt[160];
        snprintf(prompt, sizeof prompt, "a %s round monster %s %s %s.", colours[i % 5], actions[(i + i / 5) % 5][0],
                 places[i % 4][0], lights[i / 4 % 2][0]);
        if (!planner_plan(p, &(struct plan_request){ .prompt = prompt, .duration_ms = 3000 }, &text, &err) ||
            !plan_parse(&plan, text.data, text.size, planner_grammar(p), 3000, &err))
            fail_msg("\"%s\": %s", prompt, err.text);
        hits += fulfilled(&plan, i);
        plan_free(&plan);
        str_free(&text);
    }
    planner_close(&p);
    exec_close(&x);
    return (double)hits / (PROMPTS * ASKED);
}

/* The same numbers in each tensor, in another order. */
static void shuffle(const struct weight *from, uint64_t stream, struct weight *to)
{
    size_t count = (size_t)shape_count(&from->shape), size = dtype_bytes(from->type);
    uint8_t *data = xmalloc(count * size), swap[8];

    memcpy(data, from->data, count * size);
    for (size_t i = count; i > 1; i--) {
        size_t k = (size_t)(rng_uniform(1, stream, i) * (double)i);
        memcpy(swap, data + (i - 1) * size, size);
        memcpy(data + (i - 1) * size, data + k * size, size);
        memcpy(data + k * size, swap, size);
    }
    *to = *from;
    to->data = data;
}

static void copy_shuffled(const char *dir)
{
    static const char *const files[] = { "config.json", "tokenizer.json", "grammar.json", "system.txt" };
    char path[256], from[256];
    struct error err = { 0 };

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(from, sizeof from, PLANNER "/%s", files[i]);
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        if (!file_copy(from, path, &err))
            fail_msg("%s", err.text);
    }
    struct safetensors *f = safetensors_open(PLANNER "/model.safetensors", &err);
    if (!f)
        fail_msg("%s", err.text);
    size_t count = safetensors_count(f);
    struct weight *shuffled = xcalloc(count, sizeof *shuffled);
    for (size_t i = 0; i < count; i++)
        shuffle(safetensors_at(f, i), i, &shuffled[i]);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    if (!safetensors_write(path, shuffled, count, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)shuffled[i].data);
    free(shuffled);
    safetensors_close(&f);
}

static void weights_know_and_grammar_does_not(void **state)
{
    char dir[] = "/tmp/test_planner_pack.XXXXXX";
    struct error err = { 0 };
    (void)state;

    assert_non_null(mkdtemp(dir));
    copy_shuffled(dir);
    double trained = score(PLANNER), chance = score(dir);
    assert_true(file_remove_tree(dir, &err));
    print_message("of what was asked the planner shows %.2f, with shuffled weights %.2f\n", trained, chance);
    assert_true(trained >= 0.75);
    assert_true(chance <= 0.5); /* blind guesses come to 0.29 */
}

/* A given cast comes first and is who plays; the length is what was asked. */
static void given_cast_plays(void **state)
{
    static const struct given_member mia[] = { { "mia", "character", "a green tall monster with a crown", false } };
    struct exec *x = exec_open_ref();
    struct error err = { 0 };
    struct planner *p = planner_open(PLANNER, x, 0, &err);
    struct str text = { 0 };
    struct plan plan;
    (void)state;

    if (!p)
        fail_msg("%s", err.text);
    struct plan_request r = { .prompt = "mia jumps in the desert", .duration_ms = 6300, .cast = mia, .cast_count = 1 };
    assert_true(planner_plan(p, &r, &text, &err));
    assert_true(plan_parse(&plan, text.data, text.size, planner_grammar(p), 6300, &err));
    assert_string_equal(plan.members[0].id, "mia");
    int plays = 0;
    for (size_t i = 0; i < plan.shot_count; i++)
        plays += plan.shots[i].actors[0].member == 0;
    assert_true(plays > 0);
    plan_free(&plan);
    str_free(&text);
    planner_close(&p);
    exec_close(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_know_and_grammar_does_not),
        cmocka_unit_test(given_cast_plays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

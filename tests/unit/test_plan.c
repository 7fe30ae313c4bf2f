/* links: shotline_plan */
/* Whatever answers the grammar's choices, the plan is valid and as long as was asked; a plan that a person broke is
 * refused by shot and field. */
#include "common/base/rng.h"
#include "coordinator/plan/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char small[] =
    "{\"shortest_ms\":1000,\"unit_ms\":500,\"longest_ms\":4000,\"max_cast\":3,\"max_actors\":2,"
    "\"phrases\":{\"character\":[[\"a \"],[\"red\",\"blue\"],[\" \"],[\"round\",\"square\"],[\" monster\"],[\"\",\" "
    "with a crown\"]],"
    "\"product\":[[\"a \"],[\"red\",\"blue\"],[\" cup\"]]},"
    "\"actions\":{\"character\":{\"standing\":\"standing\",\"walking left\":\"walking left\"},\"product\":{\"on "
    "display\":\"on display\"}},"
    "\"place\":{\"forest\":\"in the forest\",\"beach\":\"on the beach\"},\"light\":{\"day\":\"by day\",\"night\":\"at "
    "night\"},"
    "\"size\":{\"wide\":\"wide shot\",\"medium\":\"medium shot\"},\"angle\":{\"eye level\":\"\",\"low\":\"low angle\"},"
    "\"camera\":{\"static\":\"static camera\",\"zoom in\":\"camera zooms "
    "in\"},\"transition\":{\"cut\":\"\",\"dissolve\":\"\"}}";

static struct grammar *must_parse(const char *json)
{
    struct error err = { 0 };
    struct grammar *g = grammar_parse(json, strlen(json), "grammar.json", 0, &err);

    if (!g)
        fail_msg("%s", err.text);
    return g;
}

static struct grammar *builtin_grammar(void)
{
    struct error err = { 0 };
    struct grammar *g = grammar_open("/nowhere", 0, &err);

    if (!g)
        fail_msg("%s", err.text);
    return g;
}

/* A plan's text with every choice made by dice. */
static void roll_plan(const struct grammar *g, const struct given_member *given, size_t given_count, int64_t total_ms,
                      uint64_t seed, struct str *text)
{
    static const char *const texts[] = { "a \"quoted\" back\\slash", "\xe4\xb8\x80\xe5\x8f\xaa\xe7\x8c\xab", "x",
                                         "an old sailor in a yellow coat" };
    struct error err = { 0 };
    struct grammar_walk *w = grammar_walk_new(g, given, given_count, total_ms, &err);
    uint64_t rolls = 0;

    if (!w)
        fail_msg("%s", err.text);
    for (;;) {
        struct grammar_piece p = grammar_walk_next(w);
        if (p.kind == PIECE_END)
            break;
        double dice = rng_uniform(seed, 7, rolls++);
        if (p.kind == PIECE_LITERAL) {
            assert_true(p.text[0] != 0);
            str_append(text, p.text);
        } else if (p.kind == PIECE_CHOICE) {
            assert_true(p.option_count >= 2);
            for (size_t a = 0; a < p.option_count; a++) /* no option begins another */
                for (size_t b = 0; b < p.option_count; b++)
                    assert_true(a == b || !str_starts(p.options[b], p.options[a]));
            size_t option = (size_t)(dice * (double)p.option_count);
            str_append(text, p.options[option]);
            grammar_walk_choose(w, option);
        } else {
            const char *words = texts[(size_t)(dice * 4)];
            assert_false(grammar_walk_write(w, ""));
            assert_false(grammar_walk_write(w, "line\nbreak"));
            assert_true(grammar_walk_write(w, words));
            json_escape(text, words);
            str_append_char(text, '"');
        }
    }
    grammar_walk_free(&w);
}

static void expect_valid(const struct grammar *g, const struct given_member *given, size_t given_count,
                         int64_t total_ms, uint64_t seed)
{
    struct str text = { 0 }, again = { 0 };
    struct error err = { 0 };
    struct plan p;

    roll_plan(g, given, given_count, total_ms, seed, &text);
    if (!plan_parse(&p, text.data, text.size, g, total_ms, &err))
        fail_msg("seed %llu, %lld ms: %s\n%s", (unsigned long long)seed, (long long)total_ms, err.text, text.data);
    int64_t sum = 0;
    for (size_t i = 0; i < p.shot_count; i++) {
        sum += p.shots[i].duration_ms;
        assert_true(p.shots[i].duration_ms <= g->longest_ms);
        assert_true(p.shots[i].duration_ms >= g->shortest_ms || p.shot_count == 1);
    }
    assert_int_equal(sum, total_ms);
    assert_int_equal(p.duration_ms, total_ms);
    for (size_t i = 0; i < given_count; i++) {
        assert_string_equal(p.members[i].id, given[i].id);
        assert_string_equal(p.members[i].phrase, given[i].phrase);
    }
    plan_write(&p, &again);
    assert_string_equal(again.data, text.data); /* what the walk spells is the canonical text */
    plan_free(&p);
    str_free(&text);
    str_free(&again);
}

static const struct given_member two[] = { { "mia", "character", "a red round monster", false },
                                           { "A", "product", "the \"best\" cup \\o/", false } };

static void every_walk_is_a_valid_plan(void **state)
{
    static const int64_t lengths[] = { 1000, 1500, 2000, 3300, 4000, 4400, 6000, 7250, 8000, 12500, 30000, 120000 };
    (void)state;
    struct grammar *g = must_parse(small), *free_text = builtin_grammar();

    for (uint64_t seed = 0; seed < 3000; seed++) {
        int64_t length = lengths[seed % 12];
        expect_valid(g, two, seed % 3, length, seed);
        if (seed % 4 == 0)
            expect_valid(free_text, two, seed % 3, length, seed);
    }
    grammar_close(&g);
    grammar_close(&free_text);
}

/* How many members are in no shot that have to be: those who are named, and all new ones. */
static int unseen(const struct plan *p, const struct given_member *given, size_t given_count)
{
    int count = 0;

    for (size_t m = 0; m < p->member_count; m++) {
        bool seen = m < given_count && !given[m].named;
        for (size_t s = 0; s < p->shot_count; s++)
            for (int a = 0; a < p->shots[s].actor_count; a++)
                seen |= p->shots[s].actors[a].member == (int)m;
        count += !seen;
    }
    return count;
}

/* Wherever there is time for them, in plans of dice: those whom the prompt names, and new members. */
static void everybody_who_must_be_is_shown(void **state)
{
    static const int64_t lengths[] = { 1000, 1500, 2000, 2700, 3000, 4000, 6500, 20000 };
    const struct given_member cast[] = { { "mia", "character", "x", true },
                                         { "leo", "character", "y", false },
                                         { "cup", "product", "z", true } };
    int not_needed = 0;
    (void)state;
    struct grammar *g = must_parse(small);

    for (int actors = 1; actors <= 2; actors++) {
        g->max_actors = actors;
        for (uint64_t seed = 0; seed < 2000; seed++) {
            int64_t length = lengths[seed % 8];
            size_t given = seed / 8 % 4;
            struct str text = { 0 };
            struct error err = { 0 };
            struct plan p;
            roll_plan(g, cast, given, length, seed, &text);
            if (!plan_parse(&p, text.data, text.size, g, length, &err))
                fail_msg("seed %llu: %s", (unsigned long long)seed, err.text);
            int late = given == 3 && actors == 1 && length < 2000; /* two are named, and there is room for one shot */
            assert_int_equal(unseen(&p, cast, given), late);
            for (size_t s = 0; s < p.shot_count; s++)
                for (int a = 0; a < p.shots[s].actor_count; a++)
                    not_needed += given > 1 && p.shots[s].actors[a].member == 1;
            plan_free(&p);
            str_free(&text);
        }
    }
    assert_true(not_needed > 100); /* who is not named may still play */
    grammar_close(&g);
}

/* The values of size are listed from the widest on. */
static void a_scene_opens_with_its_widest_shot(void **state)
{
    int medium_openings = 0, closer = 0;
    (void)state;
    struct grammar *g = must_parse(small);

    for (uint64_t seed = 0; seed < 500; seed++) {
        struct str text = { 0 };
        struct error err = { 0 };
        struct plan p;
        roll_plan(g, NULL, 0, 12000, seed, &text);
        assert_true(plan_parse(&p, text.data, text.size, g, 12000, &err));
        const char *opening = "";
        for (size_t s = 0; s < p.shot_count; s++) {
            const char *size = p.shots[s].fields[FIELD_SIZE];
            if (s == 0 || p.shots[s].scene != p.shots[s - 1].scene) {
                opening = size;
                medium_openings += strcmp(size, "medium") == 0;
                continue;
            }
            assert_false(strcmp(opening, "medium") == 0 && strcmp(size, "wide") == 0);
            closer += strcmp(size, opening) != 0;
        }
        plan_free(&p);
        str_free(&text);
    }
    assert_true(medium_openings > 100 && closer > 100);
    grammar_close(&g);
}

/* Every length to the millisecond, the ones shorter than the shortest shot too. */
static void durations_add_up_for_every_length(void **state)
{
    (void)state;
    struct grammar *g = must_parse(small);

    for (int64_t ms = 1; ms < 9000; ms += ms < 4600 ? 7 : 61)
        expect_valid(g, NULL, 0, ms, (uint64_t)ms);
    grammar_close(&g);
}

static const char good[] = "{\"cast\":[{\"id\":\"A\",\"kind\":\"character\",\"phrase\":\"a red round "
                           "monster\"},{\"id\":\"B\",\"kind\":\"product\",\"phrase\":\"a blue "
                           "cup\"}],\"shots\":[{\"scene\":1,\"place\":\"forest\",\"light\":\"night\",\"size\":\"wide\","
                           "\"angle\":\"low\",\"camera\":\"static\","
                           "\"actors\":[{\"cast\":\"A\",\"enters\":1,\"action\":\"standing\"},{\"cast\":\"B\","
                           "\"enters\":2,\"action\":\"on display\"}],"
                           "\"duration\":2.5,\"transition\":\"dissolve\",\"match\":0},{\"scene\":1,\"place\":"
                           "\"forest\",\"light\":\"night\",\"size\":\"medium\","
                           "\"angle\":\"eye level\",\"camera\":\"zoom "
                           "in\",\"actors\":[{\"cast\":\"A\",\"enters\":1,\"action\":\"walking left\"}],"
                           "\"duration\":3.8,\"transition\":\"cut\",\"match\":1}]}";

static void prompts_follow_the_contract(void **state)
{
    (void)state;
    struct grammar *g = must_parse(small);
    struct error err = { 0 };
    struct plan p;
    struct str text = { 0 };

    assert_true(plan_parse(&p, good, strlen(good), g, 6300, &err));
    plan_prompt(&p, 0, g, &text);
    assert_string_equal(text.data, "wide shot of a red round monster standing and a blue cup on display, in the "
                                   "forest, at night, low angle, static camera");
    str_clear(&text);
    plan_prompt(&p, 1, g, &text);
    assert_string_equal(text.data,
                        "medium shot of a red round monster walking left, in the forest, at night, camera zooms in");
    str_free(&text);
    plan_free(&p);
    grammar_close(&g);
}

/* White space and key order are the writer's own; the digest is that of the canonical text. */
static void digest_does_not_depend_on_layout(void **state)
{
    (void)state;
    struct grammar *g = must_parse(small);
    struct error err = { 0 };
    struct plan a, b;
    struct str loose = { 0 };

    for (const char *s = good; *s; s++) {
        str_append_char(&loose, *s);
        if (*s == ',' && s[1] == '"')
            str_append(&loose, "\n  ");
    }
    assert_true(plan_parse(&a, good, strlen(good), g, 0, &err));
    assert_true(plan_parse(&b, loose.data, loose.size, g, 0, &err));
    struct digest x = plan_digest(&a), y = plan_digest(&b), direct = digest_of(good, strlen(good));
    assert_true(digest_equal(&x, &y));
    assert_true(digest_equal(&x, &direct));
    str_free(&loose);
    plan_free(&a);
    plan_free(&b);
    grammar_close(&g);
}

struct edit {
    const char *from, *to; /* the first `from` in the good plan becomes `to` */
    const char *named[2];  /* what the message must name */
};

static void expect_refused(const struct grammar *g, const char *json, int64_t asked_ms, const struct edit *e)
{
    struct error err = { 0 };
    struct plan p;

    if (plan_parse(&p, json, strlen(json), g, asked_ms, &err))
        fail_msg("accepted with \"%s\"", e->to);
    assert_int_equal(err.kind, ERROR_INPUT);
    assert_null(p.shots);
    for (int i = 0; i < 2; i++)
        if (!strstr(err.text, e->named[i]))
            fail_msg("\"%s\" does not name \"%s\"", err.text, e->named[i]);
}

static void broken_plans_are_refused_by_shot_and_field(void **state)
{
    static const struct edit edits[] = {
        { "\"cast\":[", "\"caste\":[", { "caste", "plan" } },
        { "\"shots\":[", "\"shots\":[],\"more\":[", { "more", "plan" } },
        { "\"id\":\"B\"", "\"id\":\"A\"", { "cast 2", "id" } },
        { "\"id\":\"B\"", "\"id\":\"a b\"", { "cast 2", "id" } },
        { "\"kind\":\"product\"", "\"kind\":\"ghost\"", { "cast 2: kind", "ghost" } },
        { "a blue cup", "a\\nblue cup", { "cast 2", "phrase" } },
        { "\"phrase\":\"a blue cup\"", "\"phrase\":7", { "cast 2", "phrase" } },
        { "\"scene\":1", "\"scene\":2", { "shot 1", "scene" } },
        { "\"scene\":1,\"place\":\"forest\",\"light\":\"night\",\"size\":\"medium\"",
          "\"scene\":3,\"place\":\"forest\",\"light\":\"night\",\"size\":\"medium\"",
          { "shot 2", "scene" } },
        { "\"place\":\"forest\"", "\"place\":\"moon\"", { "shot 1: place", "forest, beach" } },
        { "\"light\":\"night\",\"size\":\"medium\"",
          "\"light\":\"day\",\"size\":\"medium\"",
          { "shot 2: light", "same scene" } },
        { "\"size\":\"wide\"", "\"size\":\"huge\"", { "shot 1: size", "huge" } },
        { "\"size\":\"wide\"", "\"size\":\"wide\",\"size\":\"wide\"", { "plan", "JSON" } },
        { "\"angle\":\"low\",", "", { "shot 1: angle", "missing" } },
        { "\"camera\":\"zoom in\"", "\"camera\":null", { "shot 2: camera", "text" } },
        { "\"camera\":\"static\"", "\"camera\":\"static\",\"mood\":\"sad\"", { "shot 1", "mood" } },
        { "\"cast\":\"B\",\"enters\":2", "\"cast\":\"C\",\"enters\":2", { "shot 1: actor 2: cast", "C" } },
        { "\"cast\":\"B\",\"enters\":2,\"action\":\"on display\"",
          "\"cast\":\"A\",\"enters\":2,\"action\":\"standing\"",
          { "shot 1: actor 2: cast", "twice" } },
        { "\"enters\":2", "\"enters\":3", { "shot 1: actor 2", "enters" } },
        { "\"action\":\"on display\"", "\"action\":\"standing\"", { "shot 1: actor 2: action", "on display" } },
        { "\"actors\":[{\"cast\":\"A\",\"enters\":1,\"action\":\"walking left\"}]",
          "\"actors\":[]",
          { "shot 2", "actors" } },
        { "\"duration\":2.5", "\"duration\":2.75", { "shot 1: duration", "2.5" } },
        { "\"duration\":2.5", "\"duration\":5.0", { "shot 1", "duration" } },
        { "\"duration\":2.5", "\"duration\":\"2.5\"", { "shot 1", "duration" } },
        { "\"duration\":2.5", "\"duration\":-1", { "shot 1", "duration" } },
        { "\"duration\":3.8", "\"duration\":3.5", { "shot 2", "duration" } },
        { "\"duration\":3.8", "\"duration\":2.0", { "6300", "4500" } },
        { "\"transition\":\"dissolve\"", "\"transition\":\"wipe\"", { "shot 1: transition", "cut, dissolve" } },
        { "\"transition\":\"cut\"", "\"transition\":\"dissolve\"", { "shot 2: transition", "cut" } },
        { "\"match\":1", "\"match\":2", { "shot 2", "match" } },
        { "\"match\":0", "\"match\":1", { "shot 1", "match" } },
        { "}]}", "}]", { "plan", "JSON" } },
    };
    (void)state;
    struct grammar *g = must_parse(small);

    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        const struct edit *e = &edits[i];
        const char *at = strstr(good, e->from);
        struct str text = { 0 };
        if (!at)
            fail_msg("the good plan has no %s", e->from);
        if (strcmp(e->from, "}]}") == 0) /* the last one, not the first */
            at = good + strlen(good) - 3;
        str_append_bytes(&text, good, (size_t)(at - good));
        str_append(&text, e->to);
        str_append(&text, at + strlen(e->from));
        expect_refused(g, text.data, 6300, e);
        str_free(&text);
    }
    expect_refused(g, good, 7000, &(struct edit){ .to = "7 s", .named = { "shot 2", "duration" } });
    expect_refused(g, "[]", 0, &(struct edit){ .to = "a list", .named = { "plan", "object" } });
    grammar_close(&g);
}

static void faulty_grammars_are_refused_by_field(void **state)
{
    static const struct edit edits[] = {
        { "\"shortest_ms\"", "\"shortest\"", { "grammar.json", "shortest" } },
        { "\"longest_ms\":4000", "\"longest_ms\":1500", { "longest_ms", "twice" } },
        { "\"longest_ms\":4000", "\"longest_ms\":3900", { "unit_ms", "500" } },
        { "\"max_cast\":3", "\"max_cast\":27", { "grammar.json", "max_cast" } },
        { "\"max_actors\":2", "\"max_actors\":0", { "grammar.json", "max_actors" } },
        { "[\"red\",\"blue\"]", "[\"red\",\"red round\"]", { "phrases.character", "begins" } },
        { "[\"red\",\"blue\"]", "[\"red\",\"red\"]", { "phrases.character", "begins" } },
        { "[\" \"]", "[\" \",\"-\"]", { "phrases.character", "literal" } },
        { "[\"red\",\"blue\"]", "[]", { "phrases.character", "part 2" } },
        { "[\" monster\"]", "[\"\"]", { "phrases.character", "printable" } },
        { "\"standing\":\"standing\"", "\"stan\\\"ding\":\"standing\"", { "actions.character", "quote" } },
        { "\"product\":{\"on display\":\"on display\"}",
          "\"ghost\":{\"on display\":\"on display\"}",
          { "actions", "product" } },
        { "\"place\":{", "\"place\":{\"a\\u0007b\":\"\",", { "place", "printable" } },
        { "\"light\":{\"day\":\"by day\",\"night\":\"at night\"}", "\"light\":{}", { "light", "values" } },
        { "\"light\":{\"day\":\"by day\"", "\"light\":{\"day\":7", { "light", "day" } },
        { "\"cut\":\"\",", "", { "transition", "cut" } },
        { "\"transition\":{\"cut\":\"\",\"dissolve\":\"\"}", "\"transition\":\"text\"", { "transition", "cut" } },
        { "\"angle\"", "\"angel\"", { "grammar.json", "angel" } },
        { "{\"shortest_ms\"", "{\"alias\":[\"x1\",\"x2\"],\"shortest_ms\"", { "alias", "at least 3" } },
        { "{\"shortest_ms\"", "{\"alias\":\"x1\",\"shortest_ms\"", { "alias", "list" } },
        { "{\"shortest_ms\"", "{\"alias\":[\"x1\",\"x2\",\"x 3\"],\"shortest_ms\"", { "alias", "entry 3" } },
        { "{\"shortest_ms\"", "{\"alias\":[\"x1\",\"x\",\"x3\"],\"shortest_ms\"", { "alias", "entry 2" } },
        { "{\"shortest_ms\"", "{\"alias\":[\"x1\",7,\"x3\"],\"shortest_ms\"", { "alias", "entry 2" } },
        { "{\"shortest_ms\"", "{\"alias\":[\"x1\",\"x2\",\"x12\"],\"shortest_ms\"", { "x1", "x12" } },
    };
    (void)state;

    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        const struct edit *e = &edits[i];
        const char *at = strstr(small, e->from);
        struct error err = { 0 };
        struct str text = { 0 };
        assert_non_null(at);
        str_append_bytes(&text, small, (size_t)(at - small));
        str_append(&text, e->to);
        str_append(&text, at + strlen(e->from));
        struct grammar *g = grammar_parse(text.data, text.size, "grammar.json", 0, &err);
        if (g)
            fail_msg("accepted: %s", e->to);
        for (int k = 0; k < 2; k++)
            if (!strstr(err.text, e->named[k]))
                fail_msg("\"%s\" does not name \"%s\"", err.text, e->named[k]);
        str_free(&text);
    }
}

/* What the painter can draw bounds the shots further. */
static void longest_shot_can_be_lowered(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct grammar *g = grammar_parse(small, strlen(small), "g", 2700, &err);

    assert_non_null(g);
    assert_int_equal(g->longest_ms, 2500);
    for (uint64_t seed = 0; seed < 200; seed++)
        expect_valid(g, NULL, 0, 3000 + 130 * (int64_t)seed, seed);
    grammar_close(&g);
    assert_null(grammar_parse(small, strlen(small), "g", 1900, &err));
}

static void given_members_are_checked(void **state)
{
    static const struct {
        struct given_member members[2];
        size_t count;
        const char *named;
    } cases[] = {
        { { { "a b", "character", "x", false } }, 1, "a b" },
        { { { "mia", "ghost", "x", false } }, 1, "ghost" },
        { { { "mia", "character", "", false } }, 1, "phrase" },
        { { { "mia", "character", "x", false }, { "mia", "product", "y", false } }, 2, "twice" },
    };
    (void)state;
    struct grammar *g = must_parse(small);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = { 0 };
        assert_null(grammar_walk_new(g, cases[i].members, cases[i].count, 3000, &err));
        if (!strstr(err.text, cases[i].named))
            fail_msg("\"%s\" does not name \"%s\"", err.text, cases[i].named);
    }
    assert_null(grammar_walk_new(g, NULL, 0, 0, NULL));
    grammar_close(&g);
}

static void seconds_are_short_and_exact(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = { { 2500, "2.5" },   { 3000, "3.0" }, { 3250, "3.25" },
                  { 1001, "1.001" }, { 50, "0.05" },  { 120000, "120.0" } };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str text = { 0 };
        seconds_append(&text, cases[i].ms);
        assert_string_equal(text.data, cases[i].text);
        str_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_walk_is_a_valid_plan),
        cmocka_unit_test(everybody_who_must_be_is_shown),
        cmocka_unit_test(a_scene_opens_with_its_widest_shot),
        cmocka_unit_test(durations_add_up_for_every_length),
        cmocka_unit_test(prompts_follow_the_contract),
        cmocka_unit_test(digest_does_not_depend_on_layout),
        cmocka_unit_test(broken_plans_are_refused_by_shot_and_field),
        cmocka_unit_test(faulty_grammars_are_refused_by_field),
        cmocka_unit_test(longest_shot_can_be_lowered),
        cmocka_unit_test(given_members_are_checked),
        cmocka_unit_test(seconds_are_short_and_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

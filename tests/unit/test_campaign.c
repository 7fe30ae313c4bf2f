/* links: shotline_client */
#include "client/campaign.h"

#include "common/base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/shotline-test-campaign-XXXXXX";
static char path[64];

static int setup(void **state)
{
    (void)state;
    struct error err;
    char file[64];
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/monsters.cfg", dir);
    snprintf(file, sizeof file, "%s/mia.png", dir);
    if (!file_write(file, "\x89PNG\r\n\x1a\nand what the farm will judge", 36, &err))
        return -1;
    snprintf(file, sizeof file, "%s/empty.png", dir);
    if (!file_write(file, "", 0, &err))
        return -1;
    static const char plan[] =
        "{ \"cast\": [],\n \"shots\": [ {\"duration\": 2.5}, {\"duration\": 2.0}, {\"duration\": 1} ] }";
    snprintf(file, sizeof file, "%s/plan.json", dir);
    if (!file_write(file, plan, sizeof plan - 1, &err))
        return -1;
    snprintf(file, sizeof file, "%s/bad.json", dir);
    if (!file_write(file, "{ \"shots\": [ ", 13, &err))
        return -1;
    snprintf(file, sizeof file, "%s/zero.json", dir);
    return file_write(file, "{ \"shots\": [] }", 15, &err) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    struct error err;
    return file_remove_tree(dir, &err) ? 0 : -1;
}

static bool load(struct campaign *c, const char *text, const struct campaign_wishes *wishes, struct error *err)
{
    assert_true(file_write(path, text, strlen(text), err));
    return campaign_load(c, path, wishes, err);
}

static void good(struct campaign *c, const char *text)
{
    struct error err = { 0 };
    if (!load(c, text, &(struct campaign_wishes){ 0 }, &err))
        fail_msg("%s", err.text);
}

static void everything_is_read(void **state)
{
    (void)state;
    struct campaign c;
    good(&c, "name = \"spring\"; pack = \"packs/p\"; seed = \"0xffffffffffffffff\"; priority = -2;\n"
             "steps = 12; guidance_scale = 4.5; takes = 5; on_gate_failure = \"fail\";\n"
             "output = { width = 320; height = 192; fps = 24; crf = 20; };\n"
             "cast = ( { id = \"mia\"; kind = \"character\"; phrase = \"a red monster\"; image = \"mia.png\"; },\n"
             "         { id = \"cup\"; kind = \"product\"; phrase = \"a blue cup\"; } );\n"
             "videos = ( { name = \"one\"; prompt = \"mia waves\"; duration = 7.5; size = \"640x360\"; seed = 9; },\n"
             "           { name = \"two\"; plan = \"plan.json\"; } );\n");
    const Shotline__Campaign *m = &c.message;
    char where[96];
    assert_string_equal(m->name, "spring");
    snprintf(where, sizeof where, "%s/packs/p", dir);
    assert_string_equal(c.pack, where);
    assert_int_equal(m->priority, -2);
    assert_true(m->has_steps && m->steps == 12);
    assert_true(m->has_guidance_scale && m->guidance_scale == 4.5);
    assert_int_equal(m->takes, 5);
    assert_int_equal(m->on_gate_failure, SHOTLINE__GATE_POLICY__GATE_FAIL);
    assert_int_equal(m->n_cast, 2);
    assert_string_equal(m->cast[0]->id, "mia");
    assert_string_equal(m->cast[1]->kind, "product");
    snprintf(where, sizeof where, "%s/mia.png", dir);
    assert_string_equal(c.images[0], where);
    assert_null(c.images[1]);
    assert_int_equal(m->n_videos, 2);
    const Shotline__VideoRequest *v = m->videos[0];
    assert_string_equal(v->prompt, "mia waves");
    assert_null(v->plan);
    assert_int_equal(v->duration_ms, 7500);
    assert_int_equal(v->width, 640);
    assert_int_equal(v->height, 360);
    assert_int_equal(v->fps, 24);
    assert_int_equal(v->crf, 20);
    assert_true(v->seed == 9);
    v = m->videos[1];
    assert_null(v->prompt);
    assert_string_equal(v->plan, "{\"cast\":[],\"shots\":[{\"duration\":2.5},{\"duration\":2.0},{\"duration\":1}]}");
    assert_int_equal(v->duration_ms, 5500);
    assert_int_equal(v->width, 320);
    campaign_free(&c);
}

/* The name comes from the file's, sizes and rate from the pack, seeds from the campaign's seed and the video's name. */
static void little_is_enough(void **state)
{
    (void)state;
    struct campaign c;
    good(&c, "videos = ( { name = \"a\"; prompt = \"x\"; }, { name = \"b\"; prompt = \"y\"; } );");
    assert_string_equal(c.message.name, "monsters");
    assert_null(c.pack);
    assert_int_equal(c.message.videos[0]->width, 0);
    assert_int_equal(c.message.videos[0]->fps, 0);
    assert_int_equal(c.message.videos[0]->duration_ms, CAMPAIGN_DURATION_MS);
    uint64_t a = c.message.videos[0]->seed, b = c.message.videos[1]->seed;
    assert_true(a != b);
    campaign_free(&c);

    good(&c, "videos = ( { name = \"new\"; prompt = \"x\"; }, { name = \"b\"; prompt = \"y\"; } );");
    assert_true(c.message.videos[1]->seed == b); /* adding and removing videos leaves the others alone */
    campaign_free(&c);
}

static void command_line_wishes_are_for_the_silent(void **state)
{
    (void)state;
    struct campaign c;
    struct error err = { 0 };
    const struct campaign_wishes wishes = { .has_seed = true, .seed = 5, .duration_ms = 3000 };
    assert_true(load(&c,
                     "seed = 1; videos = ( { name = \"a\"; prompt = \"x\"; }, { name = \"b\"; prompt = \"y\"; duration "
                     "= 8; seed = 3; } );",
                     &wishes, &err));
    uint64_t a = c.message.videos[0]->seed;
    assert_int_equal(c.message.videos[0]->duration_ms, 3000);
    assert_int_equal(c.message.videos[1]->duration_ms, 8000);
    assert_true(c.message.videos[1]->seed == 3);
    campaign_free(&c);
    good(&c, "seed = 5; videos = ( { name = \"a\"; prompt = \"x\"; } );");
    assert_true(c.message.videos[0]->seed == a);
    campaign_free(&c);
}

/* Lists span a matrix; a video takes part with the variables that it names. */
static void variables_span_a_matrix(void **state)
{
    (void)state;
    struct campaign c;
    good(&c, "variables = { hero = [ \"a Red Monster\", \"a cup\" ]; place = [ \"forest\", \"beach\", \"city\" ]; };\n"
             "templates = { line = \"${hero} in the ${place}\"; };\n"
             "videos = ( { name = \"clip-${place}-${hero}\"; prompt = \"${line}, at night\"; },\n"
             "           { name = \"solo\"; prompt = \"${hero} ${hero}\"; }, { name = \"plain\"; prompt = \"$5 } {\"; "
             "} );\n");
    assert_int_equal(c.message.n_videos, 6 + 2 + 1);
    static const char *const names[] = { "clip-forest-a-red-monster",
                                         "clip-beach-a-red-monster",
                                         "clip-city-a-red-monster",
                                         "clip-forest-a-cup",
                                         "clip-beach-a-cup",
                                         "clip-city-a-cup",
                                         "solo-01",
                                         "solo-02",
                                         "plain" };
    for (size_t i = 0; i < 9; i++)
        assert_string_equal(c.message.videos[i]->name, names[i]);
    assert_string_equal(c.message.videos[1]->prompt, "a Red Monster in the beach, at night");
    assert_string_equal(c.message.videos[5]->prompt, "a cup in the city, at night");
    assert_string_equal(c.message.videos[7]->prompt, "a cup a cup");
    assert_string_equal(c.message.videos[8]->prompt, "$5 } {");
    campaign_free(&c);
}

/* Each mistake gives one line with file, line and key; nothing is left allocated (ASan sees it). */
static void mistakes_are_named(void **state)
{
    (void)state;
#define VIDEO "videos = ( { name = \"a\"; prompt = \"x\"; } );"
    static const struct {
        const char *text, *place, *message;
    } cases[] = {
        { "colour = 3;\n" VIDEO, "1: colour: ", "unknown key; expected one of: name, pack" },
        { "seed = 1;\nvideos = ( { name = \"a\"; prompt = \"x\"; lenght = 3; } );",
          "2: videos[0].lenght: ", "unknown key" },
        { "seed = 1.5;\n" VIDEO, "1: seed: ", "expected an integer or text with one, found a number with a point" },
        { "seed = 18446744073709551615;\n" VIDEO, "1: ", "at most 64 bits" },
        { "steps = 0;\n" VIDEO, "1: steps: ", "expected an integer from 1 to 1000, found 0" },
        { "steps = 4294967297;\n" VIDEO, "1: steps: ", "found 4294967297" },
        { "name = \"../x\";\n" VIDEO, "1: name: ", "found \"../x\"" },
        { "output = 3;\n" VIDEO, "1: output: ", "expected a group" },
        { "output = { width = 321; height = 200; };\n" VIDEO,
          "1: output.width: ", "expected an even number, found 321" },
        { "output = { width = 320; };\n" VIDEO, "1: output: ", "both width and height" },
        { "output = {\n fps = \"x\"; };\n" VIDEO, "2: output.fps: ", "expected an integer, found text" },
        { "output = { crf = 52; };\n" VIDEO, "1: output.crf: ", "from 0 to 51" },
        { "guidance_scale = 0.5;\n" VIDEO, "1: guidance_scale: ", "from 1 to 30" },
        { "takes = 0;\n" VIDEO, "1: takes: ", "from 1 to 8, found 0" },
        { "takes = 9;\n" VIDEO, "1: takes: ", "from 1 to 8, found 9" },
        { "on_gate_failure = \"ask\";\n" VIDEO, "1: on_gate_failure: ", "expected keep or fail, found \"ask\"" },
        { "seed = 1;", "", "expected the key \"videos\"" },
        { "videos = ();", "1: videos: ", "expected a list" },
        { "videos = { a = 1; };", "1: videos: ", "expected a list" },
        { "videos = ( 3 );", "1: videos[0]: ", "expected a group" },
        { "videos = ( { prompt = \"x\"; } );", "1: videos[0]: ", "expected the key \"name\"" },
        { "videos = ( { name = \"a\"; } );", "1: videos[0]: ", "either \"prompt\" or \"plan\"" },
        { "videos = ( { name = \"a\"; prompt = \"x\"; plan = \"plan.json\"; } );", "1: videos[0]: ", "either" },
        { "videos = ( { name = \"a\"; prompt = \"\"; } );", "1: videos[0].prompt: ", "text of 1 to" },
        { "videos = ( { name = \"a b\"; prompt = \"x\"; } );", "1: videos[0].name: ", "file name" },
        { "videos = ( { name = \"a\"; prompt = \"x\"; },\n { name = \"a\"; prompt = \"y\"; } );",
          "2: videos[1].name: ", "two videos would be called \"a\"" },
        { "videos = ( { name = \"a\"; prompt = \"x\"; duration = 0.1; } );",
          "1: videos[0].duration: ", "from 0.5 to 120" },
        { "videos = ( { name = \"a\"; prompt = \"x\"; duration = \"6\"; } );",
          "1: videos[0].duration: ", "expected a number, found text" },
        { "videos = ( { name = \"a\"; prompt = \"x\"; size = \"640\"; } );", "1: videos[0].size: ", "WIDTHxHEIGHT" },
        { "videos = ( { name = \"a\"; prompt = \"x\"; size = \"641x360\"; } );",
          "1: videos[0].size: ", "even numbers" },
        { "videos = ( { name = \"a\"; prompt = \"x\"; seed = -1; } );", "1: videos[0].seed: ", "at least 0" },
        { "videos = ( { name = \"a\"; prompt = \"${who}\"; } );",
          "1: videos[0].prompt: ", "\"${who}\" is neither a variable nor a template" },
        { "videos = ( { name = \"a\"; prompt = \"${who\"; } );", "1: videos[0].prompt: ", "expected \"}\"" },
        { "videos = ( { name = \"a\"; plan = \"none.json\"; } );", "1: videos[0].plan: ", "none.json" },
        { "videos = ( { name = \"a\"; plan = \"bad.json\"; } );", "1: videos[0].plan: ", "not valid JSON" },
        { "videos = ( { name = \"a\"; plan = \"zero.json\"; } );", "1: videos[0].plan: ", "add up" },
        { "videos = ( { name = \"a\"; plan = \"plan.json\"; duration = 3; } );",
          "1: videos[0].duration: ", "own durations" },
        { "variables = [ \"a\" ];\n" VIDEO, "1: variables: ", "expected a group" },
        { "variables = { a = \"x\"; };\n" VIDEO, "1: variables.a: ", "expected a list of texts" },
        { "variables = { a = [ 1, 2 ]; };\n" VIDEO,
          "1: variables.a[0]: ", "expected text in quotes, found an integer" },
        { "variables = { a = [ ]; };\n" VIDEO, "1: variables.a: ", "expected a list of texts" },
        { "templates = { t = \"${x}\"; };\n" VIDEO, "1: templates.t: ", "\"${x}\" is not a variable" },
        { "templates = { t = 3; };\n" VIDEO, "1: templates.t: ", "expected text" },
        { "variables = { a = [ \"!\", \"?\" ]; };\nvideos = ( { name = \"v${a}\"; prompt = \"x\"; } );",
          "2: videos[0].name: ", "two videos would be called \"v\"" },
        { "cast = \"mia\";\n" VIDEO, "1: cast: ", "expected a list" },
        { "cast = ( { id = \"mia\"; kind = \"character\"; } );\n" VIDEO,
          "1: cast[0]: ", "expected the key \"phrase\"" },
        { "cast = ( { id = \"Mia\"; kind = \"character\"; phrase = \"x\"; } );\n" VIDEO,
          "1: cast[0].id: ", "found \"Mia\"" },
        { "cast = ( { id = \"a23456789-123456789-123456789-123\"; kind = \"character\"; phrase = \"x\"; } );\n" VIDEO,
          "1: cast[0].id: ", "expected 1 to 32 of" },
        { "cast = ( { id = \"mia\"; kind = \"character\"; phrase = \"\"; } );\n" VIDEO,
          "1: cast[0].phrase: ", "1 to 200 characters" },
        { "cast = ( { id = \"mia\"; kind = \"dog\"; phrase = \"x\"; } );\n" VIDEO,
          "1: cast[0].kind: ", "character, product or place" },
        { "cast = ( { id = \"a\"; kind = \"place\"; phrase = \"x\"; }, { id = \"a\"; kind = \"place\"; phrase = \"x\"; "
          "} );\n" VIDEO,
          "1: cast[1].id: ", "already" },
        { "cast = ( { id = \"mia\"; kind = \"character\"; phrase = \"x\";\n image = \"none.png\"; } );\n" VIDEO,
          "2: cast[0].image: ", "cannot read the reference image" },
        { "cast = ( { id = \"mia\"; kind = \"character\"; phrase = \"x\"; image = \"empty.png\"; } );\n" VIDEO,
          "1: cast[0].image: ", "expected a PNG or JPEG picture" },
        { "@include \"/etc/passwd\"\n" VIDEO, "1: ", "@include is not allowed" },
        { "videos = ( { name = \"a\"; prompt = \"x\" }", "1: ", "syntax error" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct campaign c;
        struct error err = { 0 };
        char place[128];
        assert_false(load(&c, cases[i].text, &(struct campaign_wishes){ 0 }, &err));
        snprintf(place, sizeof place, "%s:%s", path, cases[i].place);
        if (strncmp(err.text, place, strlen(place)) != 0 || !strstr(err.text, cases[i].message))
            fail_msg("case %zu: \"%s\" is not \"%s...%s\"", i, err.text, place, cases[i].message);
        assert_null(strchr(err.text, '\n'));
        assert_int_equal(err.kind, ERROR_INPUT);
    }
}

static void missing_campaign_is_named(void **state)
{
    (void)state;
    struct campaign c;
    struct error err = { 0 };
    assert_false(campaign_load(&c, "/no/such.cfg", &(struct campaign_wishes){ 0 }, &err));
    assert_non_null(strstr(err.text, "/no/such.cfg"));
}

static void a_prompt_is_a_campaign_of_one(void **state)
{
    (void)state;
    struct campaign c;
    struct error err = { 0 };
    const struct campaign_wishes wishes = { .has_seed = true, .seed = UINT64_MAX, .duration_ms = 2000 };
    assert_true(
        campaign_from_single(&c, &(struct campaign_single){ .name = "v", .prompt = "${x} stays" }, &wishes, &err));
    assert_int_equal(c.message.n_videos, 1);
    assert_string_equal(c.message.videos[0]->prompt, "${x} stays");
    assert_true(c.message.videos[0]->seed == UINT64_MAX);
    assert_int_equal(c.message.videos[0]->duration_ms, 2000);
    campaign_free(&c);
    assert_false(campaign_from_single(&c, &(struct campaign_single){ .name = "v/w", .prompt = "x" }, &wishes, &err));
    assert_int_equal(err.kind, ERROR_USAGE);
    assert_false(
        campaign_from_single(&c, &(struct campaign_single){ .name = "v", .plan_path = "/no/plan" }, &wishes, &err));
    assert_non_null(strstr(err.text, "/no/plan"));
}

/* A campaign file may come from anybody: what it names lies in its own folder, wherever links lead. */
static void what_lies_elsewhere_is_refused(void **state)
{
    static const char *const bad[] = {
        "cast = ( { id = \"a\"; kind = \"character\"; phrase = \"x\"; image = \"%s/o.png\"; } );\n"
        "videos = ( { name = \"v\"; prompt = \"x\"; } );",
        "cast = ( { id = \"a\"; kind = \"character\"; phrase = \"x\"; image = \"link.png\"; } );\n"
        "videos = ( { name = \"v\"; prompt = \"x\"; } );",
        "videos = ( { name = \"v\"; plan = \"in/../../%s/plan.json\"; } );",
        "videos = ( { name = \"v\"; plan = \"folder/plan.json\"; } );",
        "pack = \"%s\"; videos = ( { name = \"v\"; prompt = \"x\"; } );",
        "pack = \"..\"; videos = ( { name = \"v\"; prompt = \"x\"; } );",
    };
    char other[] = "/tmp/shotline-elsewhere-XXXXXX", file[128], link[128];
    struct campaign_wishes wishes = { 0 };
    struct error err = { 0 };
    struct campaign c;

    (void)state;
    assert_non_null(mkdtemp(other));
    snprintf(file, sizeof file, "%s/o.png", other);
    assert_true(file_write(file, "\x89PNG\r\n\x1a\n and more", 18, &err));
    snprintf(link, sizeof link, "%s/link.png", dir);
    assert_int_equal(symlink(file, link), 0);
    snprintf(link, sizeof link, "%s/folder", dir);
    assert_int_equal(symlink(other, link), 0);
    snprintf(link, sizeof link, "%s/in", dir);
    assert_int_equal(mkdir(link, 0700), 0);
    snprintf(file, sizeof file, "%s/plan.json", other);
    assert_true(file_write(file, "{ \"shots\": [ {\"duration\": 2} ] }", 32, &err));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[1024];

        /* "in/../../NAME": beside the campaign's folder, where both were made */
        snprintf(text, sizeof text, bad[i], strstr(bad[i], "../%s") ? strrchr(other, '/') + 1 : other);
        wishes = (struct campaign_wishes){ 0 };
        assert_false(load(&c, text, &wishes, &err));
        assert_int_equal(err.kind, ERROR_INPUT);
        if (!strstr(err.text, "outside the campaign's folder"))
            fail_msg("%s", err.text);
        wishes.allowed = wishes.allowed_packs = "/tmp";
        if (!load(&c, text, &wishes, &err))
            fail_msg("%s", err.text);
        campaign_free(&c);
    }
    /* A folder whose name only begins like the allowed one. */
    wishes.allowed = "/tmp/shotline-else";
    assert_false(load(&c, bad[3], &wishes, &err));
    assert_true(file_remove_tree(other, &err));
}

/* The files that ship with the project parse, and span what their comments say. */
static void shipped_campaigns_are_right(void **state)
{
    (void)state;
    struct campaign c;
    struct error err = { 0 };
    const struct campaign_wishes wishes = { .allowed_packs = "/nowhere:packs" };
    assert_true(campaign_load(&c, "deploy/quickstart.cfg", &wishes, &err));
    assert_string_equal(c.message.videos[0]->name, "two-monsters");
    campaign_free(&c);
    if (!campaign_load(&c, "deploy/example.cfg", &wishes, &err))
        fail_msg("%s", err.text);
    assert_int_equal(c.message.n_videos, 5);
    assert_string_equal(c.message.videos[1]->name, "spring-forest-at-night");
    campaign_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(little_is_enough),
        cmocka_unit_test(command_line_wishes_are_for_the_silent),
        cmocka_unit_test(variables_span_a_matrix),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(missing_campaign_is_named),
        cmocka_unit_test(a_prompt_is_a_campaign_of_one),
        cmocka_unit_test(what_lies_elsewhere_is_refused),
        cmocka_unit_test(shipped_campaigns_are_right),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

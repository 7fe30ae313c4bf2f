/* links: shotline_coordinator_farm */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/base/file.h"
#include "common/wire/codec.h"
#include "coordinator/farm/intake.h"
#include "coordinator/farm/text.h"
#include "tests/unit/farm_plan.h"

#include <math.h>
#include <stdlib.h>

/* A good campaign: two videos and two members. Each test spoils one field. */
struct sample {
    Shotline__Campaign campaign;
    Shotline__VideoRequest video[2], *videos[2];
    Shotline__CastMember member[2], *cast[2];
    Shotline__Blob image;
    struct digest digest;
    uint8_t token[16];
    struct grammar *grammar;
    struct store_dir *blobs;
    char dir[64];
};

static void sample_good(struct sample *s)
{
    shotline__campaign__init(&s->campaign);
    shotline__blob__init(&s->image);
    s->digest = digest_of("picture", 7);
    s->image.digest = codec_bytes(&s->digest);
    s->image.bytes = 7;
    for (int i = 0; i < 2; i++) {
        shotline__video_request__init(&s->video[i]);
        s->video[i].name = i ? "second" : "first";
        s->video[i].prompt = "a prompt";
        s->video[i].duration_ms = 3000;
        s->video[i].crf = 20;
        s->videos[i] = &s->video[i];
        shotline__cast_member__init(&s->member[i]);
        s->member[i].id = i ? "cup" : "mia";
        s->member[i].kind = i ? "product" : "character";
        s->member[i].phrase = "a red thing";
        s->cast[i] = &s->member[i];
    }
    s->member[1].image = &s->image;
    s->campaign.name = "all good";
    s->campaign.token = (ProtobufCBinaryData){ sizeof s->token, s->token };
    s->campaign.videos = s->videos;
    s->campaign.n_videos = 2;
    s->campaign.cast = s->cast;
    s->campaign.n_cast = 2;
}

static int setup(void **state)
{
    static struct sample s;
    struct error err;
    struct digest d;

    s = (struct sample){ .dir = "/tmp/shotline-intake-XXXXXX" };
    if (!mkdtemp(s.dir))
        return 1;
    s.grammar = farm_grammar();
    s.blobs = store_dir_open(s.dir, 0, &err);
    sample_good(&s);
    *state = &s;
    return !s.blobs || !store_dir_add_bytes(s.blobs, "picture", 7, &d, &err);
}

static int teardown(void **state)
{
    struct sample *s = *state;
    struct error err;

    grammar_close(&s->grammar);
    store_dir_close(&s->blobs);
    return !file_remove_tree(s->dir, &err);
}

static struct campaign *take(struct sample *s, struct error *err)
{
    return intake_campaign(&(struct intake){ .grammar = s->grammar, .blobs = s->blobs }, &s->campaign, err);
}

static void good(struct sample *s)
{
    struct error err = { 0 };
    struct campaign *c = take(s, &err);

    if (!c)
        fail_msg("%s", err.text);
    campaign_free(&c);
}

/* The campaign as it stands is refused with these words; then it is made good again. */
static void refused(struct sample *s, const char *words)
{
    struct error err = { 0 };
    struct campaign *c = take(s, &err);

    if (c || err.kind != ERROR_INPUT || !strstr(err.text, words))
        fail_msg("expected \"%s\", found: %s", words, c ? "it was taken" : err.text);
    sample_good(s);
}

static void campaigns_are_taken_as_they_are(void **state)
{
    struct sample *s = *state;
    struct error err = { 0 };

    s->campaign.has_steps = 1;
    s->campaign.steps = 4;
    s->video[1].seed = UINT64_MAX;
    struct campaign *c = take(s, &err);
    assert_non_null(c);
    assert_int_equal(c->video_count, 2);
    assert_int_equal(c->cast_count, 2);
    assert_int_equal(c->steps, 4);
    assert_true(c->videos[1].seed == UINT64_MAX);
    assert_true(c->cast[1].has_image && !c->cast[0].has_image);
    assert_int_equal(c->cast[1].image.bytes, 7);
    /* what the store keeps gives the same campaign again */
    struct arena arena = { 0 };
    const Shotline__Campaign *again =
        codec_unpack(&shotline__campaign__descriptor, c->request, c->request_bytes, &arena, &err);
    struct campaign *r = intake_campaign(&(struct intake){ .grammar = s->grammar }, again, &err);
    assert_non_null(r);
    assert_string_equal(r->videos[1].name, "second");
    assert_int_equal(r->request_bytes, c->request_bytes);
    campaign_free(&r);
    campaign_free(&c);
    arena_free(&arena);
}

static void every_bad_field_is_named(void **state)
{
    struct sample *s = *state;
    char longest[5000];

    good(s);
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';

    s->campaign.name = "";
    refused(s, "name: 0 bytes");
    s->campaign.token.len = 15;
    refused(s, "token: 15 bytes, expected 16");
    s->campaign.has_steps = 1;
    s->campaign.steps = 1001;
    refused(s, "steps: 1001, expected 1 to 1000");
    s->campaign.has_guidance_scale = 1;
    s->campaign.guidance_scale = NAN;
    refused(s, "guidance_scale");
    s->campaign.priority = 101;
    refused(s, "priority");
    s->campaign.has_takes = 1;
    s->campaign.takes = 9;
    refused(s, "takes: 9, expected 1 to 8");
    s->campaign.has_on_gate_failure = 1;
    s->campaign.on_gate_failure = (Shotline__GatePolicy)3;
    refused(s, "on_gate_failure: 3");
    s->campaign.n_videos = 0;
    refused(s, "videos: 0");

    s->member[1].id = "mia";
    refused(s, "cast[1]: id: \"mia\" is given twice");
    s->member[0].id = "no good";
    refused(s, "cast[0]: id");
    s->member[0].kind = "vehicle";
    refused(s, "cast[0]: kind: \"vehicle\": this farm's pack knows character, product");
    s->member[0].phrase = longest;
    refused(s, "cast[0]: phrase");
    s->member[1].phrase = "bad \xff utf-8";
    refused(s, "cast[1]: phrase");
    s->digest.bytes[3] ^= 1;
    refused(s, "cast[1]: image: the farm does not have");
    s->image.bytes = 8;
    refused(s, "cast[1]: image: 8 bytes, and the blob has 7");
    s->image.digest.len = 31;
    refused(s, "cast[1]: image: its digest");

    s->video[1].name = "first";
    refused(s, "videos[1]: name: \"first\" is given twice");
    s->video[0].name = "../etc/passwd";
    refused(s, "videos[0]: name");
    s->video[0].name = ".hidden";
    refused(s, "videos[0]: name");
    s->video[1].prompt = NULL;
    refused(s, "videos[1]: expected either a prompt or a plan");
    s->video[1].plan = "{}";
    refused(s, "videos[1]: expected either a prompt or a plan");
    s->video[1].prompt = longest;
    refused(s, "videos[1]: prompt");
    s->video[1].duration_ms = 0;
    refused(s, "videos[1]: duration: 0 s, expected 1 to 120");
    s->video[1].duration_ms = 4000000000u;
    refused(s, "videos[1]: duration");
    s->video[0].width = 64;
    refused(s, "videos[0]: height: 0, expected 16");
    s->video[0].width = s->video[0].height = 65;
    refused(s, "videos[0]: size: 65x65, expected even");
    s->video[0].width = s->video[0].height = 100000;
    refused(s, "videos[0]: width");
    s->video[0].fps = 121;
    refused(s, "videos[0]: fps");
    s->video[0].crf = 52;
    refused(s, "videos[0]: crf: 52, expected 0 to 51");
    good(s);
}

/* An edited plan is checked like the planner's, and its cast must be the campaign's. */
static void edited_plans_are_checked(void **state)
{
    struct sample *s = *state;
    struct str text = { 0 };
    struct error err = { 0 };

    farm_roll_plan(s->grammar, NULL, 0, 3000, 4, &text);
    s->video[0].prompt = NULL;
    s->video[0].plan = text.data;
    struct campaign *c = take(s, &err);
    if (!c)
        fail_msg("%s", err.text);
    assert_string_equal(c->videos[0].given_plan, text.data);
    campaign_free(&c);

    s->video[0].prompt = NULL;
    s->video[0].plan = text.data;
    s->video[0].duration_ms = 3500;
    refused(s, "videos[0]: plan");
    s->video[0].prompt = NULL;
    s->video[0].plan = "not json";
    refused(s, "videos[0]: plan");
    s->video[0].prompt = NULL;
    s->video[0].plan = "{\"cast\":[{\"id\":\"mia\",\"kind\":\"product\",\"phrase\":\"a "
                       "cup\"}],\"shots\":[{\"scene\":1,\"place\":\"forest\",\"light\":"
                       "\"day\",\"size\":\"wide\",\"angle\":\"eye "
                       "level\",\"camera\":\"static\",\"actors\":[{\"cast\":\"mia\",\"enters\":1,\"action\":"
                       "\"on display\"}],\"duration\":3.0,\"transition\":\"cut\",\"match\":0}]}";
    refused(s, "cast mia: a product here, and a character in the campaign");
    str_free(&text);
}

static void words_from_outside_stay_on_their_line(void **state)
{
    (void)state;
    char to[16];

    text_clean(to, sizeof to, "a\nb\t\"c\" \xc3\xa9 and more");
    assert_string_equal(to, "a?b??c? ?? and ");
    assert_true(text_is_plain("na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80"));
    assert_false(text_is_plain("\xc0\xaf"));         /* overlong */
    assert_false(text_is_plain("\xed\xa0\x80"));     /* a surrogate */
    assert_false(text_is_plain("\xf4\x90\x80\x80")); /* beyond Unicode */
    assert_false(text_is_plain("cut \xe2\x82"));
    assert_false(text_is_plain("\xc2\x9b")); /* a terminal's control sequence */
    assert_false(text_is_plain("line\nline"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(campaigns_are_taken_as_they_are),
        T(every_bad_field_is_named),
        T(edited_plans_are_checked),
        cmocka_unit_test(words_from_outside_stay_on_their_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

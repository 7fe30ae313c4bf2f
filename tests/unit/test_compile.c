/* links: shotline_coordinator_core */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "coordinator/core/compile.h"
#include "coordinator/core/key.h"
#include "tests/unit/farm_plan.h"

#include <stdlib.h>

static struct campaign *compiled(const struct grammar *g, const struct pack_defaults *pack, struct plan *plan,
                                 int64_t ms, uint32_t fps, uint64_t seed)
{
    struct campaign *c = farm_rolled_campaign(g, plan, ms, fps, seed);
    struct error err = { 0 };

    if (!compile_video(&c->videos[0], &(struct compile_input){ .pack = pack, .grammar = g, .plan = plan }, &err))
        fail_msg("%s", err.text);
    return c;
}

/* Windows cover every latent, neighbours share the overlap, and no latent is in three of them. */
static void windows_cover_every_latent(void **state)
{
    (void)state;
    struct decode_range w[256];

    for (int window = 2; window <= 21; window++)
        for (int overlap = 1; 2 * overlap <= window; overlap++)
            for (int frames = 1; frames <= 64; frames++) {
                int covered[64] = { 0 };
                size_t count = compile_windows(frames, window, overlap, w);

                assert_true(count >= 1);
                assert_int_equal(count == 1, frames <= window);
                assert_int_equal(w[0].first, 0);
                assert_int_equal(w[count - 1].first + w[count - 1].count, frames);
                for (size_t i = 0; i < count; i++) {
                    assert_in_range(w[i].count, count > 1 ? overlap + 1 : frames, window);
                    if (i)
                        assert_int_equal(w[i - 1].first + w[i - 1].count - w[i].first, overlap);
                    for (int k = 0; k < w[i].count; k++)
                        covered[w[i].first + k]++;
                }
                for (int k = 0; k < frames; k++)
                    assert_in_range(covered[k], 1, 2);
            }
}

/* stride * n + 1 frames are made of n+1 latents; what lies between takes the next more. */
static void latents_hold_the_frames(void **state)
{
    (void)state;
    for (int stride = 1; stride <= 8; stride *= 2)
        for (int frames = 1; frames < 200; frames++) {
            int n = compile_latents(frames, stride);

            assert_true(stride * (n - 1) + 1 >= frames);
            assert_true(n == 1 || stride * (n - 2) + 1 < frames);
        }
}

/* Whatever the plan, the file has exactly round(duration x fps) frames, and each shot renders what its part needs,
 * handles included. */
static void frames_add_up(void **state)
{
    (void)state;
    static const uint32_t rates[] = { 0, 8, 12, 16, 24, 25, 30, 60, 3 };
    struct grammar *g = farm_grammar();

    for (uint64_t seed = 0; seed < 40; seed++)
        for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
            int64_t ms = 1000 + (int64_t)(seed * 537 % 29000);
            uint32_t fps = rates[r] ? rates[r] : 8;
            struct plan plan = { 0 };
            struct campaign *c = compiled(g, &farm_pack, &plan, ms, rates[r], seed);
            const struct video *v = &c->videos[0];
            const struct stitch_params *p = &v->tasks[v->task_count - 1].stitch;
            int64_t sum = 0;

            assert_int_equal(v->tasks[v->task_count - 1].kind, TASK_STITCH);
            assert_int_equal(p->frames, (ms * fps + 500) / 1000);
            assert_int_equal(p->shot_count, plan.shot_count);
            for (size_t i = 0; i < p->shot_count; i++) {
                const struct stitch_shot *s = &p->shots[i];
                int incoming = i ? p->shots[i - 1].transition_frames : 0;
                int needed = (2 * (s->frames - 1) + 1) * 8 / (2 * (int)fps) + 1;

                sum += s->frames - s->transition_frames;
                assert_true(incoming + s->transition_frames <= s->frames);
                assert_true(4 * (v->shots[i].latent_frames - 1) + 1 >= needed);
                assert_in_range(v->shots[i].latent_frames, 1, farm_pack.longest_shot);
                if (!s->transition_frames)
                    assert_string_equal(s->transition, "cut");
            }
            assert_int_equal(sum, p->frames);
            assert_int_equal(p->shots[p->shot_count - 1].transition_frames, 0);
            campaign_free(&c);
            plan_free(&plan);
        }
    grammar_close(&g);
}

/* The graph: topological, every dependent knows its makers, a split shot has one anchor and the windows of the pack, an
 * unsplit one a single task. */
static void graphs_are_whole(void **state)
{
    (void)state;
    struct grammar *g = farm_grammar();
    int split = 0, unsplit = 0;

    for (uint64_t seed = 0; seed < 60; seed++) {
        struct plan plan = { 0 };
        struct campaign *c = compiled(g, &farm_pack, &plan, 12000, 8, seed);
        const struct video *v = &c->videos[0];
        int negatives = 0;

        for (uint32_t i = 0; i < v->task_count; i++) {
            const struct task *t = &v->tasks[i];
            uint32_t missing = 0;

            assert_int_equal(t->position, i);
            assert_ptr_equal(t->video, v);
            assert_true(t->work > 0 && t->rank >= t->work);
            negatives += t->kind == TASK_TEXT && !strcmp(t->text.prompt, farm_pack.negative_prompt);
            for (uint32_t k = 0; k < t->input_count; k++) {
                const struct task *from = &v->tasks[t->inputs[k].from];
                bool listed = false;

                if (!t->inputs[k].output)
                    continue;
                missing++;
                assert_true(from->position < i);
                assert_true(output_required(from->kind, from->role, t->inputs[k].output));
                assert_true(from->rank > t->rank);
                for (uint32_t d = 0; d < from->dependent_count; d++)
                    listed = listed || from->dependents[d] == i;
                assert_true(listed);
            }
            assert_int_equal(t->inputs_missing, missing);
        }
        assert_int_equal(negatives, 1);
        for (uint32_t s = 0; s < v->shot_count; s++) {
            struct decode_range w[64];
            size_t count = compile_windows(v->shots[s].latent_frames, farm_pack.window, farm_pack.overlap, w),
                   ranges = 0;
            int anchors = 0, wholes = 0, decodes = 0;

            for (uint32_t i = 0; i < v->task_count; i++) {
                const struct task *t = &v->tasks[i];

                if (t->shot != s + 1)
                    continue;
                anchors += t->role == ROLE_ANCHOR;
                wholes += t->role == ROLE_WHOLE;
                decodes += t->kind == TASK_DECODE;
                if (t->role == ROLE_RANGE) {
                    assert_int_equal(t->denoise.window_first, w[ranges].first);
                    assert_int_equal(t->denoise.window_count, w[ranges].count);
                    assert_int_equal(t->denoise.step_from, 4);
                    assert_int_equal(t->denoise.step_to, 8);
                    ranges++;
                }
            }
            assert_int_equal(decodes, 1);
            assert_int_equal(anchors, count > 1);
            assert_int_equal(wholes, count == 1);
            assert_int_equal(ranges, count > 1 ? count : 0);
            assert_int_equal(v->shots[s].ranges, count);
            split += count > 1;
            unsplit += count == 1;
        }
        campaign_free(&c);
        plan_free(&plan);
    }
    assert_true(split > 10 && unsplit > 10);
    grammar_close(&g);
}

/* Same question, same graph; whatever decides a byte changes it. */
static void the_graph_hangs_on_its_inputs_alone(void **state)
{
    (void)state;
    struct grammar *g = farm_grammar();
    struct plan a_plan = { 0 }, b_plan = { 0 };
    struct campaign *a = compiled(g, &farm_pack, &a_plan, 9000, 8, 5),
                    *b = compiled(g, &farm_pack, &b_plan, 9000, 8, 5);

    assert_true(digest_equal(&a->videos[0].graph, &b->videos[0].graph));
    plan_free(&b_plan);
    campaign_free(&b);
    b = farm_rolled_campaign(g, &b_plan, 9000, 8, 5);
    b->videos[0].seed = 1;
    struct error err;
    assert_true(compile_video(&b->videos[0],
                              &(struct compile_input){ .pack = &farm_pack, .grammar = g, .plan = &b_plan }, &err));
    assert_false(digest_equal(&a->videos[0].graph, &b->videos[0].graph));
    plan_free(&b_plan);
    campaign_free(&b);

    struct pack_defaults other = farm_pack;
    other.handoff_step = 5;
    b = compiled(g, &other, &b_plan, 9000, 8, 5);
    assert_false(digest_equal(&a->videos[0].graph, &b->videos[0].graph));
    plan_free(&b_plan);
    campaign_free(&b);
    plan_free(&a_plan);
    campaign_free(&a);
    grammar_close(&g);
}

/* The cast: as many references as the pack takes; an image is encoded, a phrase is drawn with the campaign's first
 * seed. */
static void the_cast_is_shared(void **state)
{
    (void)state;
    static const char text[] = "{\"cast\":[{\"id\":\"mia\",\"kind\":\"character\",\"phrase\":\"a red monster\"},"
                               "{\"id\":\"cup\",\"kind\":\"product\",\"phrase\":\"a blue cup\"}],\"shots\":["
                               "{\"scene\":1,\"place\":\"forest\",\"light\":\"day\",\"size\":\"wide\",\"angle\":\"eye "
                               "level\",\"camera\":\"static\",\"actors\":["
                               "{\"cast\":\"mia\",\"enters\":1,\"action\":\"standing\"},{\"cast\":\"cup\",\"enters\":2,"
                               "\"action\":\"on display\"}],"
                               "\"duration\":2.0,\"transition\":\"cut\",\"match\":0},"
                               "{\"scene\":2,\"place\":\"beach\",\"light\":\"day\",\"size\":\"wide\",\"angle\":\"eye "
                               "level\",\"camera\":\"static\",\"actors\":["
                               "{\"cast\":\"mia\",\"enters\":1,\"action\":\"standing\"}],\"duration\":2.0,"
                               "\"transition\":\"cut\",\"match\":1}]}";
    struct grammar *g = farm_grammar();

    for (int references = 0; references <= 2; references++) {
        struct pack_defaults pack = farm_pack;
        struct plan plan = { 0 };
        struct error err = { 0 };
        struct campaign *c = campaign_new();
        uint32_t casts = 0, identities = 0, images = 0;

        pack.references = references;
        if (!plan_parse(&plan, text, strlen(text), g, 4000, &err))
            fail_msg("%s", err.text);
        c->videos = arena_array(&c->arena, struct video, 2);
        c->video_count = 2;
        for (uint32_t i = 0; i < 2; i++)
            c->videos[i] = (struct video){ .campaign = c, .number = i + 1, .seed = 40 + i };
        c->cast = arena_array(&c->arena, struct cast_member, 2);
        c->cast[0] = (struct cast_member){ .id = "mia", .kind = "character", .phrase = "a red monster" };
        c->cast[1] = (struct cast_member){
            .id = "cup", .kind = "product", .phrase = "a blue cup", .has_image = true, .image = { .bytes = 9 }
        };
        c->cast_count = 2;
        struct video *v = &c->videos[1];
        assert_true(compile_video(v, &(struct compile_input){ .pack = &pack, .grammar = g, .plan = &plan }, &err));
        for (uint32_t i = 0; i < v->task_count; i++) {
            const struct task *t = &v->tasks[i];

            if (t->kind == TASK_CAST) {
                casts++;
                images += t->inputs[0].slot == INPUT_IMAGE;
                if (t->inputs[0].slot != INPUT_IMAGE) {
                    assert_int_equal(t->cast.seed, 40);
                    assert_string_equal(v->tasks[t->inputs[0].from].text.prompt, "a red monster, on white");
                }
            }
            for (uint32_t k = 0; t->kind == TASK_DENOISE && k < t->input_count; k++)
                identities += t->inputs[k].slot == INPUT_IDENTITY;
            if (t->kind == TASK_DENOISE) {
                assert_int_equal(t->denoise.seed, 41);
                assert_int_equal(t->denoise.noise_shot, 1); /* the second shot must match the first */
            }
        }
        assert_int_equal(casts, references);
        assert_int_equal(images, references == 2);
        assert_int_equal(identities, references == 0 ? 0 : references == 1 ? 2 : 3);
        campaign_free(&c);
        plan_free(&plan);
    }
    grammar_close(&g);
}

/* A shot that the pack cannot draw is refused by number. */
static void a_shot_beyond_the_pack_is_named(void **state)
{
    (void)state;
    struct grammar *g = farm_grammar();
    struct plan plan = { 0 };
    struct campaign *c = farm_rolled_campaign(g, &plan, 2000, 8, 1);
    struct pack_defaults pack = farm_pack;
    struct error err = { 0 };

    pack.longest_shot = 2;
    assert_false(
        compile_video(&c->videos[0], &(struct compile_input){ .pack = &pack, .grammar = g, .plan = &plan }, &err));
    assert_non_null(strstr(err.text, "shot 1"));
    assert_int_equal(c->videos[0].task_count, 0);
    campaign_free(&c);
    plan_free(&plan);
    grammar_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_cover_every_latent),
        cmocka_unit_test(latents_hold_the_frames),
        cmocka_unit_test(frames_add_up),
        cmocka_unit_test(graphs_are_whole),
        cmocka_unit_test(the_graph_hangs_on_its_inputs_alone),
        cmocka_unit_test(the_cast_is_shared),
        cmocka_unit_test(a_shot_beyond_the_pack_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

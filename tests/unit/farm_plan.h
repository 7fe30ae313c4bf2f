/* farm_plan - a small grammar, a small pack, and plans whose every choice was made by dice: for the tests of the
 * coordinator. */
#ifndef SHOTLINE_TESTS_FARM_PLAN_H
#define SHOTLINE_TESTS_FARM_PLAN_H

#include "common/base/rng.h"
#include "common/nn/pack.h"
#include "coordinator/core/ledger.h"
#include "coordinator/plan/plan.h"

#include <string.h>

static const char farm_grammar_json[] =
    "{\"shortest_ms\":1000,\"unit_ms\":500,\"longest_ms\":4000,\"max_cast\":3,\"max_actors\":2,"
    "\"phrases\":{\"character\":[[\"a \"],[\"red\",\"blue\"],[\" monster\"]],\"product\":[[\"a "
    "\"],[\"red\",\"blue\"],[\" cup\"]]},"
    "\"actions\":{\"character\":{\"standing\":\"standing\",\"walking\":\"walking\"},\"product\":{\"on display\":\"on "
    "display\"}},"
    "\"place\":{\"forest\":\"in the forest\",\"beach\":\"on the beach\"},\"light\":{\"day\":\"by day\",\"night\":\"at "
    "night\"},"
    "\"size\":{\"wide\":\"wide shot\",\"medium\":\"medium shot\"},\"angle\":{\"eye level\":\"\"},"
    "\"camera\":{\"static\":\"static camera\",\"zoom in\":\"camera zooms in\"},"
    "\"transition\":{\"cut\":\"\",\"dissolve\":\"\",\"fade\":\"\"}}";

static const struct pack_defaults farm_pack = { .name = "dice",
                                                .width = 64,
                                                .height = 32,
                                                .fps = 8,
                                                .steps = 8,
                                                .guidance_scale = 2.5,
                                                .handoff_step = 4,
                                                .window = 5,
                                                .overlap = 2,
                                                .strides = { .time = 4, .space = 8 },
                                                .longest_shot = 9, /* 33 frames: 4.125 s */
                                                .references = 1,
                                                .reference_suffix = ", on white",
                                                .max_sequence_length = 32,
                                                .negative_prompt = "blurred" };

static inline struct grammar *farm_grammar(void)
{
    struct error err = { 0 };
    struct grammar *g = grammar_parse(farm_grammar_json, strlen(farm_grammar_json), "grammar.json", 4125, &err);

    if (!g)
        fail_msg("%s", err.text);
    return g;
}

/* As much of a VAE's config as a coordinator reads. */
static const char farm_vae_json[] =
    "{\"dim_mult\":[1,2,4,4],\"temperal_downsample\":[false,true,true],\"patch_size\":null}";

/* The text of a valid plan of this length; every choice is a throw of the dice `seed`. */
static inline void farm_roll_plan(const struct grammar *g, const struct given_member *given, size_t given_count,
                                  int64_t total_ms, uint64_t seed, struct str *text)
{
    struct error err = { 0 };
    struct grammar_walk *w = grammar_walk_new(g, given, given_count, total_ms, &err);
    uint64_t rolls = 0;

    if (!w)
        fail_msg("%s", err.text);
    for (;;) {
        struct grammar_piece p = grammar_walk_next(w);

        if (p.kind == PIECE_END)
            break;
        if (p.kind == PIECE_CHOICE) {
            size_t option = (size_t)(rng_uniform(seed, 0, rolls++) * (double)p.option_count);

            str_append(text, p.options[option]);
            grammar_walk_choose(w, option);
        } else {
            str_append(text, p.text);
        }
    }
    grammar_walk_free(&w);
}

/* A campaign of one video with a rolled plan, not compiled yet. */
static inline struct campaign *farm_rolled_campaign(const struct grammar *g, struct plan *plan, int64_t total_ms,
                                                    uint32_t fps, uint64_t seed)
{
    struct campaign *c = campaign_new();
    struct str text = { 0 };
    struct error err = { 0 };

    farm_roll_plan(g, NULL, 0, total_ms, seed, &text);
    if (!plan_parse(plan, text.data, text.size, g, total_ms, &err))
        fail_msg("%s: %s", text.data, err.text);
    c->name = "dice";
    c->videos = arena_array(&c->arena, struct video, 1);
    c->video_count = 1;
    c->videos[0] = (struct video){ .campaign = c,
                                   .number = 1,
                                   .name = "v",
                                   .prompt = "dice",
                                   .state = WORK_PLANNING,
                                   .fps = fps,
                                   .seed = 18446744073709551615u,
                                   .crf = 20,
                                   .duration_ms = (uint32_t)total_ms };
    c->videos[0].plan_text = text.data;
    c->videos[0].plan_digest = plan_digest(plan);
    return c;
}

#endif

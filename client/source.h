/* source - what render, plan and submit work on: a campaign file, or one prompt or plan with its options. */
#ifndef SHOTLINE_CLIENT_SOURCE_H
#define SHOTLINE_CLIENT_SOURCE_H

#include "client/campaign.h"
#include "common/base/args.h"

struct source {
    const char *prompt, *plan, *name, *size, *allowed;
    uint64_t seed;
    bool has_seed;
    double duration;
    bool has_duration;
};

#define SOURCE_DEFAULTS                                                                                                \
    {                                                                                                                  \
        .name = "video"                                                                                                \
    }

/* For an option table; `s` is a struct source. */
#define SOURCE_OPTIONS(s)                                                                                              \
    { 'p', "prompt", ARG_TEXT, &(s).prompt, .value = "TEXT", .help = "one video of this text, without a file" },       \
        { 0, "plan", ARG_TEXT, &(s).plan, .value = "FILE", .help = "one video of this edited plan" },                  \
        { 0, "name", ARG_TEXT, &(s).name, .value = "NAME", .help = "the name of that one video [video]" },             \
        { 0,                                                                                                           \
          "allow-path",                                                                                                \
          ARG_TEXT,                                                                                                    \
          &(s).allowed,                                                                                                \
          .value = "DIR[:DIR]",                                                                                        \
          .help = "folders that the campaign file may name files of [its own]" },                                      \
        { 0, "size", ARG_TEXT, &(s).size, .value = "WxH", .help = "its size [the pack's]" },                           \
        { 0,                                                                                                           \
          "seed",                                                                                                      \
          ARG_UINT64,                                                                                                  \
          &(s).seed,                                                                                                   \
          .value = "N",                                                                                                \
          .help = "seed, instead of the campaign's [0]",                                                               \
          .given = &(s).has_seed },                                                                                    \
    {                                                                                                                  \
        0, "duration", ARG_NUMBER, &(s).duration, 0.5, 120, "S", "seconds of videos that state none [6]",              \
            &(s).has_duration                                                                                          \
    }

/* Loads what the person asked for; `file` is the operand or NULL. */
bool source_load(struct campaign *c, const struct source *s, const char *file, struct error *err);

#endif

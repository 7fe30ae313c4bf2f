/* grammar - which shot lists a pack can draw: its vocabulary (planner/grammar.json), and the walk that spells every
 * valid plan.
 *
 * The walk is a sequence of pieces: literal text that must come, and choices between strings of which none begins
 * another. Whoever answers the choices (a language model, a test's dice) ends with a valid plan whose durations add up,
 * that shows everybody who must be shown (as far as there is time) and opens each scene with its widest shot.
 * packs/README.md is the contract. Pure. */
#ifndef SHOTLINE_COORDINATOR_PLAN_GRAMMAR_H
#define SHOTLINE_COORDINATOR_PLAN_GRAMMAR_H

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/base/str.h"

#include <stddef.h>
#include <stdint.h>

#define PLAN_MAX_CAST   26 /* the planner names its own members by one letter */
#define PLAN_MAX_ACTORS 8
#define PLAN_MAX_TEXT   80  /* characters of a free text */
#define PLAN_MAX_PHRASE 200 /* characters of a cast phrase that a person wrote */
#define PLAN_MAX_ID     32  /* bytes of a cast id */
#define PLAN_LONGEST_MS 3600000

/* What a field may be, and the words that the painter reads for it. */
struct vocabulary {
    bool text; /* any text of at most PLAN_MAX_TEXT characters, which is its own words */
    size_t count;
    const char **values;
    const char **words;
};

struct phrase_part {
    size_t count;
    const char **entries; /* one: a literal */
};

/* A kind of cast member: how its phrase is built, and what it can do. */
struct cast_kind {
    const char *name;
    bool text; /* any phrase */
    size_t part_count;
    struct phrase_part *parts;
    struct vocabulary actions;
};

enum shot_field { FIELD_PLACE, FIELD_LIGHT, FIELD_SIZE, FIELD_ANGLE, FIELD_CAMERA, FIELD_TRANSITION, FIELD_COUNT };
const char *shot_field_name(enum shot_field f); /* its key in the plan */

struct grammar {
    struct arena arena;
    int64_t shortest_ms, unit_ms, longest_ms;
    int max_cast, max_actors;
    size_t alias_count; /* 0, or at least max_cast */
    const char **alias; /* what the model calls the members that the campaign names, in their order */
    size_t kind_count;
    struct cast_kind *kinds;
    struct vocabulary fields[FIELD_COUNT];
};

/* DIR/grammar.json, or the built-in film vocabulary with free phrases and places where DIR has none. `longest_ms` > 0
 * bounds the shots further (what the painter can draw). NULL on failure. */
struct grammar *grammar_open(const char *dir, int64_t longest_ms, struct error *err);
/* The same from the file's bytes; `where` names them in messages. */
struct grammar *grammar_parse(const char *json, size_t size, const char *where, int64_t longest_ms, struct error *err);
void grammar_close(struct grammar **g);

const struct cast_kind *grammar_kind(const struct grammar *g, const char *name); /* NULL: unknown */
const char *vocabulary_words(const struct vocabulary *v, const char *value);     /* NULL: not a value */

/* How long the next shot may be when `left_ms` of the video are still to fill; the last option may be all of it.
 * `options` has room for grammar_most_durations(g). Returns how many there are, at least 1. */
size_t grammar_durations(const struct grammar *g, int64_t left_ms, int64_t *options);
size_t grammar_most_durations(const struct grammar *g);

/* Seconds with one decimal, or as many as they need: "2.5", "3.25". */
void seconds_append(struct str *to, int64_t ms);

/* ---- the walk ---- */

struct given_member { /* given by the campaign: comes first, as it is */
    const char *id, *kind, *phrase;
    bool named; /* the prompt speaks of it: it must be shown. (New members must be shown in any case.) */
};

enum piece_kind {
    PIECE_LITERAL, /* `text` must come */
    PIECE_CHOICE,  /* one of `options` */
    PIECE_TEXT,    /* 1 to PLAN_MAX_TEXT characters as the inside of a JSON string, and its closing quote */
    PIECE_END,     /* the plan is complete */
};

struct grammar_piece {
    enum piece_kind kind;
    const char *text;
    const char *const *options; /* at least 2, each with the one character that follows it */
    size_t option_count;
};

struct grammar_walk;

/* NULL when the given members do not fit the grammar. `total_ms` > 0. All is borrowed for the walk. */
struct grammar_walk *grammar_walk_new(const struct grammar *g, const struct given_member *given, size_t given_count,
                                      int64_t total_ms, struct error *err);
void grammar_walk_free(struct grammar_walk **w);

/* The next piece; its strings live until the next call. After a choice or text call the fitting one of these two first.
 */
struct grammar_piece grammar_walk_next(struct grammar_walk *w);
void grammar_walk_choose(struct grammar_walk *w, size_t option);
/* `text`: plain, neither quoted nor escaped. False when it is no such text (the walk then stays where it is). */
bool grammar_walk_write(struct grammar_walk *w, const char *text);

/* Appends `text` as the inside of a JSON string. */
void json_escape(struct str *to, const char *text);
/* Whether `id` can name a cast member: 1 to PLAN_MAX_ID letters, digits, - or _. */
bool plan_id_ok(const char *id);
/* Whether `text` is 1 to `most` printable characters of UTF-8 that do not begin with a space. */
bool plan_text_ok(const char *text, size_t most);

#endif

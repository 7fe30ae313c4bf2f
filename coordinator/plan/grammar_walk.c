/* The walk of a grammar: a small machine that writes literals until something must be chosen. */
#include "coordinator/plan/grammar.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum step {
    STEP_CAST,
    STEP_CAST_MORE,
    STEP_KIND,
    STEP_PHRASE,
    STEP_SHOT,
    STEP_SCENE,
    STEP_FIELD, /* place, light, size, angle, camera: `field` */
    STEP_ACTOR,
    STEP_ACTION,
    STEP_ACTOR_MORE,
    STEP_DURATION,
    STEP_TRANSITION,
    STEP_MATCH,
    STEP_END,
};

struct walk_member {
    char id[PLAN_MAX_ID + 1];
    const struct cast_kind *kind;
};

struct grammar_walk {
    const struct grammar *g;
    const struct given_member *given;
    size_t given_count;
    enum step step;

    struct str literal; /* written and not yet taken */
    bool taken;         /* the caller has seen `literal` */
    struct arena options_arena;
    const char **options; /* the open choice, NULL: none */
    size_t option_count;
    bool text; /* a free text is due */

    struct walk_member members[PLAN_MAX_CAST];
    bool owed[PLAN_MAX_CAST]; /* must be shown, and has not been */
    size_t member_count, owed_count;
    size_t part; /* STEP_PHRASE */
    bool eaten;  /* an option already brought the next literal's first character */

    int number; /* of the shot, from 1 */
    int scene;
    bool same_scene;
    enum shot_field field;
    size_t opening_size;          /* of the scene's first shot: an index of the field's values */
    size_t first_value;           /* of the open field: what comes before it is not offered */
    char *place_and_light[2];     /* of the scene */
    int cast_left[PLAN_MAX_CAST]; /* members that have not entered this shot */
    int cast_left_count, actors;
    int candidates[PLAN_MAX_CAST]; /* indices of cast_left that may enter now */
    int64_t left_ms, lasts_ms;
    int64_t *durations;
};

static void answered(struct grammar_walk *w, size_t option);

/* ---- choices ---- */

static void begin_options(struct grammar_walk *w, size_t most)
{
    arena_free(&w->options_arena);
    w->options = arena_array(&w->options_arena, const char *, most);
    w->option_count = 0;
}

static void add_option(struct grammar_walk *w, const char *text, char follower)
{
    w->options[w->option_count++] = arena_printf(&w->options_arena, "%s%c", text, follower);
}

/* A choice with one option is none. */
static void end_options(struct grammar_walk *w)
{
    if (w->option_count > 1)
        return;
    const char *only = w->options[0];
    w->options = NULL;
    str_append(&w->literal, only);
    answered(w, 0);
}

static void choose_more(struct grammar_walk *w)
{
    begin_options(w, 2);
    add_option(w, "", ']');
    add_option(w, "", ',');
}

static void choose_word(struct grammar_walk *w, const struct vocabulary *v, size_t first)
{
    w->first_value = first;
    if (v->text) {
        w->text = true;
        return;
    }
    begin_options(w, v->count);
    for (size_t i = first; i < v->count; i++)
        add_option(w, v->values[i], '"');
    end_options(w);
}

/* ---- who is still to be shown ---- */

static void owe(struct grammar_walk *w, size_t member)
{
    w->owed[member] = true;
    w->owed_count++;
}

/* How many members can enter in `left_ms` of shots. */
static size_t rooms(const struct grammar_walk *w, int64_t left_ms)
{
    int64_t shots = left_ms <= 0 ? 0 : left_ms < w->g->shortest_ms ? 1 : left_ms / w->g->shortest_ms;

    return (size_t)shots * (size_t)w->g->max_actors;
}

/* How many can enter after this shot, which takes at least the shortest time. */
static size_t later_rooms(const struct grammar_walk *w)
{
    return rooms(w, w->left_ms) - (size_t)w->g->max_actors;
}

/* ---- cast ---- */

static void open_cast(struct grammar_walk *w)
{
    str_append(&w->literal, "{\"cast\":[");
    for (size_t i = 0; i < w->given_count; i++) {
        const struct given_member *m = &w->given[i];
        str_printf(&w->literal, "%s{\"id\":\"%s\",\"kind\":\"%s\",\"phrase\":\"", i > 0 ? "," : "", m->id, m->kind);
        json_escape(&w->literal, m->phrase);
        str_append(&w->literal, "\"}");
        str_copy(w->members[i].id, sizeof w->members[i].id, m->id);
        w->members[i].kind = grammar_kind(w->g, m->kind);
        if (m->named)
            owe(w, i);
    }
    w->member_count = w->given_count;
    w->step = w->member_count > 0 ? STEP_CAST_MORE : STEP_KIND;
}

static void more_cast(struct grammar_walk *w)
{
    if (w->member_count < (size_t)w->g->max_cast && w->owed_count < rooms(w, w->left_ms)) {
        choose_more(w);
        return;
    }
    str_append(&w->literal, "],\"shots\":[");
    w->step = STEP_SHOT;
}

static bool id_taken(const struct grammar_walk *w, const char *id)
{
    for (size_t i = 0; i < w->member_count; i++)
        if (strcmp(w->members[i].id, id) == 0)
            return true;
    return false;
}

static void choose_kind(struct grammar_walk *w)
{
    char id[2] = "A";

    while (id_taken(w, id))
        id[0]++; /* at most PLAN_MAX_CAST - 1 letters are taken */
    str_copy(w->members[w->member_count].id, sizeof id, id);
    str_printf(&w->literal, "{\"id\":\"%s\",\"kind\":\"", id);
    begin_options(w, w->g->kind_count);
    for (size_t i = 0; i < w->g->kind_count; i++)
        add_option(w, w->g->kinds[i].name, '"');
    end_options(w);
}

/* The phrase from `part` on, up to its next choice. */
static void walk_phrase(struct grammar_walk *w)
{
    const struct cast_kind *k = w->members[w->member_count].kind;

    if (k->text && w->part == 0) {
        w->text = true;
        return;
    }
    for (; w->part < k->part_count; w->part++) {
        const struct phrase_part *p = &k->parts[w->part];
        if (p->count > 1) {
            char follower = w->part + 1 < k->part_count ? k->parts[w->part + 1].entries[0][0] : '"';
            begin_options(w, p->count);
            for (size_t i = 0; i < p->count; i++)
                add_option(w, p->entries[i], follower);
            return;
        }
        str_append(&w->literal, p->entries[0] + w->eaten);
        w->eaten = false;
    }
    str_append(&w->literal, w->eaten ? "}" : "\"}");
    owe(w, w->member_count++);
    w->step = STEP_CAST_MORE;
}

/* ---- shots ---- */

static void open_shot(struct grammar_walk *w)
{
    if (w->left_ms == 0) {
        str_append(&w->literal, "]}");
        w->step = STEP_END;
        return;
    }
    w->number++;
    str_append(&w->literal, w->number > 1 ? ",{\"scene\":" : "{\"scene\":");
    w->step = STEP_SCENE;
    w->actors = 0;
    w->cast_left_count = (int)w->member_count;
    for (int i = 0; i < w->cast_left_count; i++)
        w->cast_left[i] = i;
}

static void choose_scene(struct grammar_walk *w)
{
    char number[16];

    begin_options(w, 2);
    for (int i = 0; i < (w->number == 1 ? 1 : 2); i++) {
        snprintf(number, sizeof number, "%d", w->number == 1 ? 1 : w->scene + i);
        add_option(w, number, ',');
    }
    end_options(w);
}

static void choose_field(struct grammar_walk *w)
{
    str_printf(&w->literal, "%s\"%s\":\"", w->field == FIELD_PLACE ? "" : ",", shot_field_name(w->field));
    if (w->same_scene && w->field <= FIELD_LIGHT) {
        json_escape(&w->literal, w->place_and_light[w->field]);
        str_append_char(&w->literal, '"');
        w->field++;
        return;
    }
    /* the values of size begin with the widest, and so does a scene */
    choose_word(w, &w->g->fields[w->field], w->same_scene && w->field == FIELD_SIZE ? w->opening_size : 0);
}

/* Where no place would be left for those who must be shown, one of them enters. */
static void choose_actor(struct grammar_walk *w)
{
    size_t others = later_rooms(w) + (size_t)(w->g->max_actors - w->actors - 1);
    bool only_owed = false;

    for (int i = 0; i < w->cast_left_count; i++)
        only_owed |= w->owed_count > others && w->owed[w->cast_left[i]];
    str_append(&w->literal, "{\"cast\":\"");
    begin_options(w, (size_t)w->cast_left_count);
    for (int i = 0; i < w->cast_left_count; i++) {
        if (only_owed && !w->owed[w->cast_left[i]])
            continue;
        w->candidates[w->option_count] = i;
        add_option(w, w->members[w->cast_left[i]].id, '"');
    }
    end_options(w);
}

static void more_actors(struct grammar_walk *w)
{
    bool full = w->cast_left_count == 0 || w->actors == w->g->max_actors;

    str_append_char(&w->literal, '}');
    if (full) {
        str_append_char(&w->literal, ']');
        w->step = STEP_DURATION;
    } else if (w->owed_count > later_rooms(w)) {
        str_append_char(&w->literal, ',');
        w->step = STEP_ACTOR;
    } else {
        choose_more(w);
    }
}

static void choose_duration(struct grammar_walk *w)
{
    size_t all = grammar_durations(w->g, w->left_ms, w->durations), count = 0;
    struct str text = { 0 };

    /* lengths that leave shots for those who must be shown; the shortest when none does */
    for (size_t i = 0; i < all; i++)
        if (rooms(w, w->left_ms - w->durations[i]) >= w->owed_count)
            w->durations[count++] = w->durations[i];
    count += count == 0;

    str_append(&w->literal, ",\"duration\":");
    begin_options(w, count);
    for (size_t i = 0; i < count; i++) {
        str_clear(&text);
        seconds_append(&text, w->durations[i]);
        add_option(w, str_text(&text), ',');
    }
    str_free(&text);
    end_options(w);
}

static void choose_transition(struct grammar_walk *w)
{
    str_append(&w->literal, "\"transition\":\"");
    if (w->lasts_ms < w->left_ms) {
        choose_word(w, &w->g->fields[FIELD_TRANSITION], 0);
        return;
    }
    str_append(&w->literal, "cut\"");
    w->step = STEP_MATCH;
}

static void choose_match(struct grammar_walk *w)
{
    char number[16];

    str_append(&w->literal, ",\"match\":");
    begin_options(w, (size_t)w->number);
    for (int i = 0; i < w->number; i++) {
        snprintf(number, sizeof number, "%d", i);
        add_option(w, number, '}');
    }
    end_options(w);
}

/* ---- the machine ---- */

static void run_step(struct grammar_walk *w)
{
    switch (w->step) {
    case STEP_CAST:
        open_cast(w);
        break;
    case STEP_CAST_MORE:
        more_cast(w);
        break;
    case STEP_KIND:
        choose_kind(w);
        break;
    case STEP_PHRASE:
        walk_phrase(w);
        break;
    case STEP_SHOT:
        open_shot(w);
        break;
    case STEP_SCENE:
        choose_scene(w);
        break;
    case STEP_FIELD:
        if (w->field < FIELD_TRANSITION) {
            choose_field(w);
        } else {
            str_append(&w->literal, ",\"actors\":[");
            w->step = STEP_ACTOR;
        }
        break;
    case STEP_ACTOR:
        choose_actor(w);
        break;
    case STEP_ACTION: {
        const struct walk_member *m = &w->members[w->cast_left[w->cast_left_count]];
        str_printf(&w->literal, ",\"enters\":%d,\"action\":\"", w->actors);
        choose_word(w, &m->kind->actions, 0);
        break;
    }
    case STEP_ACTOR_MORE:
        more_actors(w);
        break;
    case STEP_DURATION:
        choose_duration(w);
        break;
    case STEP_TRANSITION:
        choose_transition(w);
        break;
    case STEP_MATCH:
        choose_match(w);
        break;
    case STEP_END:
        break;
    }
}

/* Takes the candidate out of those left, keeping it right behind them for STEP_ACTION. */
static void enter_actor(struct grammar_walk *w, int index)
{
    int member = w->cast_left[index];
    int behind = w->cast_left_count - 1 - index;

    memmove(&w->cast_left[index], &w->cast_left[index + 1], (size_t)behind * sizeof *w->cast_left);
    w->cast_left[--w->cast_left_count] = member;
    w->actors++;
    w->owed_count -= w->owed[member];
    w->owed[member] = false;
}

static void keep_field(struct grammar_walk *w, const char *value)
{
    if (w->field <= FIELD_LIGHT) {
        free(w->place_and_light[w->field]);
        w->place_and_light[w->field] = xstrdup(value);
    }
    w->field++;
}

static void answered(struct grammar_walk *w, size_t option)
{
    switch (w->step) {
    case STEP_CAST_MORE:
        if (option == 0)
            str_append(&w->literal, ",\"shots\":[");
        w->step = option == 0 ? STEP_SHOT : STEP_KIND;
        break;
    case STEP_KIND:
        w->members[w->member_count].kind = &w->g->kinds[option];
        str_append(&w->literal, ",\"phrase\":\"");
        w->part = 0;
        w->eaten = false;
        w->step = STEP_PHRASE;
        break;
    case STEP_PHRASE:
        w->part++;
        w->eaten = true;
        break;
    case STEP_SCENE:
        w->same_scene = w->number > 1 && option == 0;
        w->scene += !w->same_scene;
        w->field = FIELD_PLACE;
        w->step = STEP_FIELD;
        break;
    case STEP_FIELD:
        option += w->first_value;
        if (w->field == FIELD_SIZE && !w->same_scene)
            w->opening_size = option;
        keep_field(w, w->g->fields[w->field].values[option]);
        break;
    case STEP_ACTOR:
        enter_actor(w, w->candidates[option]);
        w->step = STEP_ACTION;
        break;
    case STEP_ACTION:
        w->step = STEP_ACTOR_MORE;
        break;
    case STEP_ACTOR_MORE:
        w->step = option == 0 ? STEP_DURATION : STEP_ACTOR;
        break;
    case STEP_DURATION:
        w->lasts_ms = w->durations[option];
        w->step = STEP_TRANSITION;
        break;
    case STEP_TRANSITION:
        w->step = STEP_MATCH;
        break;
    case STEP_MATCH:
        w->left_ms -= w->lasts_ms;
        w->step = STEP_SHOT;
        break;
    default:
        assert(!"no choice is open");
    }
}

struct grammar_piece grammar_walk_next(struct grammar_walk *w)
{
    if (w->taken)
        str_clear(&w->literal);
    w->taken = false;
    while (!w->options && !w->text && w->step != STEP_END)
        run_step(w);
    if (w->literal.size > 0) {
        w->taken = true;
        return (struct grammar_piece){ .kind = PIECE_LITERAL, .text = w->literal.data };
    }
    if (w->options)
        return (struct grammar_piece){ .kind = PIECE_CHOICE, .options = w->options, .option_count = w->option_count };
    return (struct grammar_piece){ .kind = w->text ? PIECE_TEXT : PIECE_END };
}

void grammar_walk_choose(struct grammar_walk *w, size_t option)
{
    assert(w->options && option < w->option_count);
    w->options = NULL;
    answered(w, option);
}

bool grammar_walk_write(struct grammar_walk *w, const char *text)
{
    assert(w->text);
    if (!plan_text_ok(text, PLAN_MAX_TEXT))
        return false;
    w->text = false;
    if (w->step == STEP_FIELD)
        keep_field(w, text);
    else
        answered(w, 0);
    return true;
}

static bool check_given(const struct grammar *g, const struct given_member *given, size_t count, struct error *err)
{
    if (count > (size_t)g->max_cast)
        return error_set(err, ERROR_USAGE, "the cast has %zu members; this pack takes at most %d", count, g->max_cast);
    for (size_t i = 0; i < count; i++) {
        const struct given_member *m = &given[i];
        if (!plan_id_ok(m->id))
            return error_set(err, ERROR_USAGE, "cast \"%.40s\": an id is 1 to %d letters, digits, - or _", m->id,
                             PLAN_MAX_ID);
        if (!grammar_kind(g, m->kind))
            return error_set(err, ERROR_USAGE, "cast %s: the pack knows no kind \"%.40s\"", m->id, m->kind);
        if (!plan_text_ok(m->phrase, PLAN_MAX_PHRASE))
            return error_set(err, ERROR_USAGE, "cast %s: the phrase must be 1 to %d printable characters", m->id,
                             PLAN_MAX_PHRASE);
        for (size_t k = 0; k < i; k++)
            if (strcmp(given[k].id, m->id) == 0)
                return error_set(err, ERROR_USAGE, "cast %s: the id is used twice", m->id);
    }
    return true;
}

struct grammar_walk *grammar_walk_new(const struct grammar *g, const struct given_member *given, size_t given_count,
                                      int64_t total_ms, struct error *err)
{
    if (total_ms <= 0 || total_ms > PLAN_LONGEST_MS) {
        error_set(err, ERROR_USAGE, "a video of %" PRId64 " ms: expected 1 to %d", total_ms, PLAN_LONGEST_MS);
        return NULL;
    }
    if (!check_given(g, given, given_count, err))
        return NULL;

    struct grammar_walk *w = xcalloc(1, sizeof *w);
    w->g = g;
    w->given = given;
    w->given_count = given_count;
    w->left_ms = total_ms;
    w->durations = xmalloc(grammar_most_durations(g) * sizeof *w->durations);
    return w;
}

void grammar_walk_free(struct grammar_walk **walk)
{
    struct grammar_walk *w = *walk;

    if (!w)
        return;
    str_free(&w->literal);
    arena_free(&w->options_arena);
    for (int i = 0; i < 2; i++)
        free(w->place_and_light[i]);
    free(w->durations);
    free(w);
    *walk = NULL;
}

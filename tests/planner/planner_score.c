/* planner_score - how well a planner does what it is asked: plans held-out prompts and compares them with the facts
 * that a person noted for each (prompts.json).
 *
 * What must hold always (a valid plan of the asked length, every named member shown, no scene that gets wider after its
 * opening, the same plan each time) fails the program; the rest is counted, and held against --at-least. */
#include "common/base/args.h"
#include "common/base/clock.h"
#include "common/base/json.h"
#include "coordinator/plan/plan.h"
#include "coordinator/plan/planner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_CAST  8
#define MOST_ASKED 8

/* "mia: jumping, beach": a member, and what is asked of one shot with it */
struct beat {
    char who[96];
    const char *action, *fields[FIELD_COUNT]; /* NULL: not asked */
};

struct wish {
    const char *prompt;
    int64_t duration_ms;
    struct given_member cast[MOST_CAST];
    size_t cast_count;
    struct beat asked[MOST_ASKED];
    size_t asked_count;
};

enum measure { SHOWN, PLACE, LIGHT, ACTION, CAMERA, SIZE, BEAT, ORDER, MEASURES };
static const char *const titles[MEASURES] = { "shown", "place", "time", "action", "camera", "size", "beat", "order" };

struct tally {
    int prompts, met[MEASURES], asked[MEASURES];
};

/* ---- reading ---- */

static bool take(const struct vocabulary *v, const char *word, const char **to)
{
    for (size_t i = 0; i < v->count; i++)
        if (strcmp(v->values[i], word) == 0) {
            *to = v->values[i];
            return true;
        }
    return false;
}

/* "jumping" is an action, "beach" a place: no two fields of the pack share a value. */
static bool read_word(const struct grammar *g, const char *word, struct beat *b)
{
    for (size_t k = 0; k < g->kind_count; k++)
        if (take(&g->kinds[k].actions, word, &b->action))
            return true;
    for (int f = 0; f < FIELD_COUNT; f++)
        if (take(&g->fields[f], word, &b->fields[f]))
            return true;
    return false;
}

static bool read_beat(const struct grammar *g, const char *text, struct beat *b, struct error *err)
{
    char copy[256], *rest = copy;

    if (!str_copy(copy, sizeof copy, text))
        return error_set(err, ERROR_INPUT, "\"%.60s\" is too long", text);
    char *who = strsep(&rest, ":");
    if (!str_copy(b->who, sizeof b->who, who))
        return error_set(err, ERROR_INPUT, "\"%.60s\": nobody's name is that long", text);
    while (rest) {
        char *word = strsep(&rest, ",");
        if (!read_word(g, word + (word[0] == ' '), b))
            return error_set(err, ERROR_INPUT, "\"%.60s\": \"%.40s\" is no value of this grammar", text, word);
    }
    return true;
}

static bool read_wish(const struct grammar *g, const json_t *root, const json_t *item, struct wish *w,
                      struct error *err)
{
    struct json_reader r = { .where = "prompt", .err = err };
    const json_t *members = json_object_get(root, "cast"), *cast = json_list(&r, item, "cast");
    const json_t *asked = json_list(&r, item, "asked");

    *w = (struct wish){ .prompt = json_text(&r, item, "prompt"),
                        .duration_ms = (int64_t)(1000 * json_number(&r, item, "seconds")) };
    if (r.failed)
        return false;
    if (json_array_size(cast) > MOST_CAST || json_array_size(asked) > MOST_ASKED)
        return error_set(err, ERROR_INPUT, "\"%.60s\": too many members or beats", w->prompt);
    for (; w->cast_count < json_array_size(cast); w->cast_count++) {
        const char *id = json_string_value(json_array_get(cast, w->cast_count));
        const json_t *member = id ? json_object_get(members, id) : NULL;
        if (!member)
            return error_set(err, ERROR_INPUT, "\"%.60s\": its cast is not in the file", w->prompt);
        w->cast[w->cast_count] = (struct given_member){ .id = id,
                                                        .kind = json_text(&r, member, "kind"),
                                                        .phrase = json_text(&r, member, "phrase") };
    }
    for (; w->asked_count < json_array_size(asked); w->asked_count++) {
        const char *text = json_string_value(json_array_get(asked, w->asked_count));
        if (!text || !read_beat(g, text, &w->asked[w->asked_count], err))
            return error_wrap(err, "\"%.60s\"", w->prompt);
    }
    return !r.failed;
}

/* ---- comparing ---- */

static bool has_word(const char *phrase, const char *word, size_t size)
{
    for (const char *at = phrase; (at = strstr(at, word)); at++)
        if ((at == phrase || at[-1] == ' ') && (at[size] == 0 || at[size] == ' '))
            return true;
    return false;
}

/* A member by its id, or by words that its phrase has. */
static bool is_who(const struct wish *w, const struct beat *b, const struct plan *p, int member)
{
    char copy[sizeof b->who], *rest = copy;

    for (size_t i = 0; i < w->cast_count; i++)
        if (strcmp(w->cast[i].id, b->who) == 0)
            return strcmp(p->members[member].id, b->who) == 0;
    str_copy(copy, sizeof copy, b->who);
    while (rest) {
        char *word = strsep(&rest, " ");
        if (!has_word(p->members[member].phrase, word, strlen(word)))
            return false;
    }
    return true;
}

/* Whether a shot from `first` on shows the beat's member with all of (or only one of) what is asked; *at is its index.
 */
static bool find_shot(const struct wish *w, const struct beat *b, const struct plan *p, size_t first,
                      const char *action, const char *const *fields, size_t *at)
{
    for (size_t s = first; s < p->shot_count; s++)
        for (int a = 0; a < p->shots[s].actor_count; a++) {
            const struct plan_actor *actor = &p->shots[s].actors[a];
            bool fits = is_who(w, b, p, actor->member) && (!action || strcmp(actor->action, action) == 0);
            for (int f = 0; f < FIELD_COUNT; f++)
                fits = fits && (!fields[f] || strcmp(fields[f], p->shots[s].fields[f]) == 0);
            if (fits) {
                *at = s;
                return true;
            }
        }
    return false;
}

static void count(struct tally *t, enum measure m, bool met)
{
    t->asked[m]++;
    t->met[m] += met;
}

static void score(const struct wish *w, const struct plan *p, struct tally *t)
{
    static const enum measure measures[FIELD_COUNT] = {
        [FIELD_PLACE] = PLACE, [FIELD_LIGHT] = LIGHT, [FIELD_SIZE] = SIZE, [FIELD_CAMERA] = CAMERA
    };
    static const char *const nothing[FIELD_COUNT];
    size_t next = 0, at;
    bool in_order = true;

    t->prompts++;
    for (size_t i = 0; i < w->asked_count; i++) {
        const struct beat *b = &w->asked[i];
        count(t, SHOWN, find_shot(w, b, p, 0, NULL, nothing, &at));
        if (b->action)
            count(t, ACTION, find_shot(w, b, p, 0, b->action, nothing, &at));
        for (int f = 0; f < FIELD_COUNT; f++) {
            const char *one[FIELD_COUNT] = { 0 };
            one[f] = b->fields[f];
            if (one[f])
                count(t, measures[f], find_shot(w, b, p, 0, NULL, one, &at));
        }
        count(t, BEAT, find_shot(w, b, p, 0, b->action, b->fields, &at));
        in_order = in_order && find_shot(w, b, p, next, b->action, b->fields, &at);
        next = in_order ? at : next;
    }
    count(t, ORDER, in_order);
}

/* ---- what must always hold ---- */

static bool check_always(const struct wish *w, const struct plan *p, const struct grammar *g, struct error *err)
{
    const struct vocabulary *sizes = &g->fields[FIELD_SIZE];
    size_t opening = 0, at;
    static const char *const nothing[FIELD_COUNT];

    if (p->duration_ms != w->duration_ms)
        return error_set(err, ERROR_INPUT, "the plan lasts %lld ms", (long long)p->duration_ms);
    for (size_t s = 0; s < p->shot_count; s++) {
        size_t size = 0;
        while (size < sizes->count && strcmp(sizes->values[size], p->shots[s].fields[FIELD_SIZE]) != 0)
            size++;
        if (s == 0 || p->shots[s].scene != p->shots[s - 1].scene)
            opening = size;
        else if (size < opening)
            return error_set(err, ERROR_INPUT, "shot %zu is wider than the opening of its scene", s + 1);
    }
    for (size_t i = 0; i < w->asked_count; i++)
        for (size_t k = 0; k < w->cast_count; k++)
            if (strcmp(w->asked[i].who, w->cast[k].id) == 0 && !find_shot(w, &w->asked[i], p, 0, NULL, nothing, &at))
                return error_set(err, ERROR_INPUT, "%s is named and in no shot", w->cast[k].id);
    return true;
}

static bool plan_one(struct planner *planner, const struct wish *w, struct str *text, struct plan *p, struct error *err)
{
    const struct grammar *g = planner_grammar(planner);

    str_clear(text);
    return (planner_plan(
                planner,
                &(struct plan_request){
                    .prompt = w->prompt, .duration_ms = w->duration_ms, .cast = w->cast, .cast_count = w->cast_count },
                text, err) &&
            plan_parse(p, text->data, text->size, g, w->duration_ms, err)) ||
           error_wrap(err, "\"%.60s\"", w->prompt);
}

/* ---- the program ---- */

static void print_row(const char *name, const struct tally *t)
{
    printf("%-10s%8d", name, t->prompts);
    for (int m = 0; m < MEASURES; m++)
        if (t->asked[m] > 0)
            printf("%8.1f", 100.0 * t->met[m] / t->asked[m]);
        else
            printf("%8s", "-");
    putchar('\n');
}

static void print_tables(const struct tally *tallies)
{
    struct tally all = tallies[0];

    all.prompts += tallies[1].prompts;
    for (int m = 0; m < MEASURES; m++) {
        all.met[m] += tallies[1].met[m];
        all.asked[m] += tallies[1].asked[m];
    }
    printf("%-10s%8s", "cast", "prompts");
    for (int m = 0; m < MEASURES; m++)
        printf("%8s", titles[m]);
    putchar('\n');
    print_row("described", &tallies[0]);
    print_row("named", &tallies[1]);
    print_row("all", &all);
}

static bool good_enough(const struct tally *tallies, int64_t at_least, struct error *err)
{
    static const enum measure held[] = { PLACE, ACTION, CAMERA };

    for (size_t i = 0; i < sizeof held / sizeof *held; i++) {
        enum measure m = held[i];
        int met = tallies[0].met[m] + tallies[1].met[m], asked = tallies[0].asked[m] + tallies[1].asked[m];
        if (100 * met < at_least * asked)
            return error_set(err, ERROR_INPUT, "%s: %d of %d are met, expected %lld%%", titles[m], met, asked,
                             (long long)at_least);
    }
    return true;
}

static bool run(const char *dir, const char *prompts, int64_t every, int64_t at_least, bool verbose, struct error *err)
{
    struct exec *x = exec_open_ref();
    struct planner *planner = planner_open(dir, x, 0, err);
    json_t *root = planner ? json_load(prompts, err) : NULL;
    const json_t *list = root ? json_object_get(root, "prompts") : NULL;
    struct tally tallies[2] = { 0 };
    struct str text = { 0 }, again = { 0 };
    int64_t began_ms = clock_now_ms();
    bool ok = root != NULL;

    if (root && json_array_size(list) == 0)
        ok = error_set(err, ERROR_INPUT, "%s: no prompts", prompts);
    for (size_t i = 0; ok && i < json_array_size(list); i += (size_t)every) {
        struct wish w;
        struct plan p, second;
        ok = read_wish(planner_grammar(planner), root, json_array_get(list, i), &w, err) &&
             plan_one(planner, &w, &text, &p, err);
        if (!ok)
            break;
        struct tally before = tallies[w.cast_count > 0], *t = &tallies[w.cast_count > 0];
        score(&w, &p, t);
        ok = check_always(&w, &p, planner_grammar(planner), err) || error_wrap(err, "\"%.60s\"", w.prompt);
        if (verbose && t->met[BEAT] - before.met[BEAT] < t->asked[BEAT] - before.asked[BEAT])
            printf("%s\n    %s\n", w.prompt, text.data);
        plan_free(&p);
        if (ok && plan_one(planner, &w, &again, &second, err)) {
            plan_free(&second);
            if (strcmp(text.data, again.data) != 0)
                ok = error_set(err, ERROR_INPUT, "\"%.60s\": another plan the second time", w.prompt);
        }
    }
    if (ok) {
        print_tables(tallies);
        fprintf(stderr, "%.2f s for each plan\n",
                (double)(clock_now_ms() - began_ms) / 2000.0 / (tallies[0].prompts + tallies[1].prompts));
        ok = good_enough(tallies, at_least, err);
    }
    str_free(&text);
    str_free(&again);
    json_decref(root);
    planner_close(&planner);
    exec_close(&x);
    return ok;
}

int main(int argc, char **argv)
{
    int64_t every = 1, at_least = 0;
    bool verbose = false;
    const char *operands[8];
    int operand_count = 0;
    struct error err = { 0 };
    const struct arg_option options[] = {
        { 'n', "every", ARG_INT, &every, 1, 1000, "N", "plan only each Nth prompt [1]", NULL },
        { 0, "at-least", ARG_INT, &at_least, 0, 100, "PERCENT", "fail when fewer places, actions or moves are met [0]",
          NULL },
        { 'v', "verbose", ARG_FLAG, &verbose, 0, 0, NULL, "print the plans that miss something", NULL },
    };
    const struct arg_command command = { .program = "planner_score",
                                         .operands = "PLANNER PROMPTS",
                                         .summary = "plans held-out prompts and prints how much of them is met",
                                         .options = options,
                                         .option_count = sizeof options / sizeof *options,
                                         .min_operands = 2,
                                         .max_operands = 2 };
    enum args_result parsed = args_parse(&command, argc, argv, operands, &operand_count, &err);

    if (parsed == ARGS_HELP)
        return 0;
    bool ok = parsed == ARGS_OK && run(operands[0], operands[1], every, at_least, verbose, &err);
    if (!ok)
        fprintf(stderr, "planner_score: %s\n", err.text);
    return ok ? 0 : err.kind == ERROR_USAGE ? 2 : 1;
}

#include "coordinator/plan/plan.h"

#include "common/base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading: errors name the place ---- */

struct reader {
    struct plan *p;
    const struct grammar *g;
    struct error *err;
    char place[64]; /* "shot 2", "cast 1" */
};

static bool fail(struct reader *r, const char *field, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static bool fail(struct reader *r, const char *field, const char *fmt, ...)
{
    char text[384];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return error_set(r->err, ERROR_INPUT, "plan: %s%s%s%s%s", r->place, r->place[0] ? ": " : "", field,
                     field[0] ? ": " : "", text);
}

static bool only_keys(struct reader *r, const json_t *object, const char *const *keys)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return fail(r, "", "expected an object");
    json_object_foreach((json_t *)object, key, value)
    {
        size_t i = 0;
        while (keys[i] && strcmp(keys[i], key) != 0)
            i++;
        if (!keys[i])
            return fail(r, "", "\"%.60s\" is not a key of a plan", key);
    }
    for (size_t i = 0; keys[i]; i++)
        if (!json_object_get(object, keys[i]))
            return fail(r, keys[i], "is missing");
    return true;
}

static bool read_list(struct reader *r, const json_t *object, const char *key, size_t most, const json_t **list)
{
    *list = json_object_get(object, key);
    if (!json_is_array(*list) || json_array_size(*list) == 0 || json_array_size(*list) > most)
        return fail(r, key, "expected a list of 1 to %zu", most);
    return true;
}

static bool read_text(struct reader *r, const json_t *object, const char *key, const char **text)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_string(value))
        return fail(r, key, "expected text");
    *text = arena_strdup(&r->p->arena, json_string_value(value));
    return true;
}

static bool read_int(struct reader *r, const json_t *object, const char *key, int low, int high, int *number)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_integer(value) || json_integer_value(value) < low || json_integer_value(value) > high) {
        if (low == high)
            return fail(r, key, "expected %d", low);
        return fail(r, key, "expected a number from %d to %d", low, high);
    }
    *number = (int)json_integer_value(value);
    return true;
}

/* "forest, beach, snow" for messages, cut where it gets long. */
static void list_values(const struct vocabulary *v, struct str *to)
{
    for (size_t i = 0; i < v->count && to->size < 240; i++)
        str_printf(to, "%s%.60s", i > 0 ? ", " : "", v->values[i]);
    if (v->text)
        str_printf(to, "1 to %d printable characters", PLAN_MAX_TEXT);
}

static bool read_word(struct reader *r, const json_t *object, const char *key, const struct vocabulary *v,
                      const char **word)
{
    if (!read_text(r, object, key, word))
        return false;
    if (vocabulary_words(v, *word))
        return true;

    struct str known = { 0 };
    list_values(v, &known);
    fail(r, key, "\"%.60s\" is unknown, expected %s", *word, str_text(&known));
    str_free(&known);
    return false;
}

static bool read_member(struct reader *r, const json_t *item, size_t index)
{
    static const char *const keys[] = { "id", "kind", "phrase", NULL };
    struct plan_member *m = &r->p->members[index];

    snprintf(r->place, sizeof r->place, "cast %zu", index + 1);
    if (!only_keys(r, item, keys) || !read_text(r, item, "id", &m->id) || !read_text(r, item, "kind", &m->kind) ||
        !read_text(r, item, "phrase", &m->phrase))
        return false;
    if (!plan_id_ok(m->id))
        return fail(r, "id", "\"%.40s\" is not 1 to %d letters, digits, - or _", m->id, PLAN_MAX_ID);
    for (size_t i = 0; i < index; i++)
        if (strcmp(r->p->members[i].id, m->id) == 0)
            return fail(r, "id", "\"%s\" is used twice", m->id);
    if (!grammar_kind(r->g, m->kind))
        return fail(r, "kind", "\"%.60s\" is unknown to this pack", m->kind);
    if (!plan_text_ok(m->phrase, PLAN_MAX_PHRASE))
        return fail(r, "phrase", "expected 1 to %d printable characters", PLAN_MAX_PHRASE);
    return true;
}

static bool read_actor(struct reader *r, const json_t *item, struct plan_shot *s, int shot_number)
{
    static const char *const keys[] = { "cast", "enters", "action", NULL };
    struct plan_actor *a = &s->actors[s->actor_count];
    const char *id = NULL;
    int enters = 0;

    snprintf(r->place, sizeof r->place, "shot %d: actor %d", shot_number, s->actor_count + 1);
    if (!only_keys(r, item, keys) || !read_text(r, item, "cast", &id) ||
        !read_int(r, item, "enters", s->actor_count + 1, s->actor_count + 1, &enters))
        return false;
    a->member = -1;
    for (size_t i = 0; i < r->p->member_count; i++)
        if (strcmp(r->p->members[i].id, id) == 0)
            a->member = (int)i;
    if (a->member < 0)
        return fail(r, "cast", "\"%.40s\" is nobody in the cast", id);
    for (int i = 0; i < s->actor_count; i++)
        if (s->actors[i].member == a->member)
            return fail(r, "cast", "\"%s\" is in the shot twice", id);
    s->actor_count++;
    return read_word(r, item, "action", &grammar_kind(r->g, r->p->members[a->member].kind)->actions, &a->action);
}

static bool read_actors(struct reader *r, const json_t *item, struct plan_shot *s, int number)
{
    const json_t *list;

    if (!read_list(r, item, "actors", (size_t)r->g->max_actors, &list))
        return false;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!read_actor(r, json_array_get(list, i), s, number))
            return false;
    snprintf(r->place, sizeof r->place, "shot %d", number);
    return true;
}

static bool read_duration(struct reader *r, const json_t *item, struct plan_shot *s)
{
    const json_t *value = json_object_get(item, "duration");
    double ms = json_is_number(value) ? json_number_value(value) * 1000 : -1;

    if (!(ms >= 1 && ms <= PLAN_LONGEST_MS) || fabs(ms - floor(ms + 0.5)) > 1e-6)
        return fail(r, "duration", "expected seconds with at most 3 decimals");
    s->duration_ms = (int64_t)floor(ms + 0.5);
    return true;
}

static bool check_scene(struct reader *r, const struct plan_shot *s, const struct plan_shot *before)
{
    if (!before || s->scene != before->scene)
        return true;
    for (int f = FIELD_PLACE; f <= FIELD_LIGHT; f++)
        if (strcmp(s->fields[f], before->fields[f]) != 0)
            return fail(r, shot_field_name((enum shot_field)f),
                        "\"%.60s\" differs from \"%.60s\" of the shot before, which is in the same scene %d",
                        s->fields[f], before->fields[f], s->scene);
    return true;
}

static bool read_shot(struct reader *r, const json_t *item, size_t index)
{
    static const char *const keys[] = { "scene",  "place",    "light",      "size",  "angle", "camera",
                                        "actors", "duration", "transition", "match", NULL };
    struct plan_shot *s = &r->p->shots[index];
    const struct plan_shot *before = index > 0 ? s - 1 : NULL;
    int number = (int)index + 1;

    snprintf(r->place, sizeof r->place, "shot %d", number);
    if (!only_keys(r, item, keys) ||
        !read_int(r, item, "scene", before ? before->scene : 1, before ? before->scene + 1 : 1, &s->scene))
        return false;
    for (int f = 0; f < FIELD_COUNT; f++)
        if (!read_word(r, item, shot_field_name((enum shot_field)f), &r->g->fields[f], &s->fields[f]))
            return false;
    return check_scene(r, s, before) && read_actors(r, item, s, number) && read_duration(r, item, s) &&
           read_int(r, item, "match", 0, number - 1, &s->match);
}

/* Each length must be one that the grammar offers at this point. */
static bool check_lengths(struct reader *r, int64_t asked_ms)
{
    int64_t *options = xmalloc(grammar_most_durations(r->g) * sizeof *options);
    int64_t left = asked_ms > 0 ? asked_ms : r->p->duration_ms;
    bool ok = true;

    for (size_t i = 0; i < r->p->shot_count && ok; i++) {
        struct str text = { 0 };
        int64_t ms = r->p->shots[i].duration_ms;
        size_t count = left > 0 ? grammar_durations(r->g, left, options) : 0, k = 0;
        snprintf(r->place, sizeof r->place, "shot %zu", i + 1);
        while (k < count && options[k] != ms)
            k++;
        if (k == count) {
            for (size_t o = 0; o < count && o < 24; o++) {
                str_append(&text, o > 0 ? ", " : "");
                seconds_append(&text, options[o]);
            }
            ok = fail(r, "duration", "%" PRId64 ".%03" PRId64 " s does not fit, expected %s", ms / 1000, ms % 1000,
                      count > 0 ? str_text(&text) : "no more shots: the asked length is full");
        }
        str_free(&text);
        left -= ms;
    }
    free(options);
    r->place[0] = 0;
    if (ok && left != 0)
        return fail(r, "", "the shots last %" PRId64 " ms, expected %" PRId64, r->p->duration_ms, asked_ms);
    return ok;
}

static bool read_plan(struct reader *r, const json_t *root, int64_t asked_ms)
{
    static const char *const keys[] = { "cast", "shots", NULL };
    struct plan *p = r->p;
    const json_t *cast, *shots;

    if (!only_keys(r, root, keys) || !read_list(r, root, "cast", (size_t)r->g->max_cast, &cast) ||
        !read_list(r, root, "shots", PLAN_MAX_SHOTS, &shots))
        return false;
    p->members = arena_array(&p->arena, struct plan_member, json_array_size(cast));
    for (size_t i = 0; i < json_array_size(cast); i++) {
        if (!read_member(r, json_array_get(cast, i), i))
            return false;
        p->member_count++;
    }
    p->shots = arena_array(&p->arena, struct plan_shot, json_array_size(shots));
    for (size_t i = 0; i < json_array_size(shots); i++) {
        if (!read_shot(r, json_array_get(shots, i), i))
            return false;
        p->shot_count++;
        p->duration_ms += p->shots[i].duration_ms;
    }
    if (strcmp(p->shots[p->shot_count - 1].fields[FIELD_TRANSITION], "cut") != 0)
        return fail(r, "transition", "\"%.60s\" ends the last shot, expected cut",
                    p->shots[p->shot_count - 1].fields[FIELD_TRANSITION]);
    return check_lengths(r, asked_ms);
}

bool plan_parse(struct plan *p, const char *json, size_t size, const struct grammar *g, int64_t asked_ms,
                struct error *err)
{
    json_t *root = json_parse(json, size, "plan", err);
    struct reader r = { .p = p, .g = g, .err = err };

    *p = (struct plan){ 0 };
    if (!root)
        return false;
    bool ok = read_plan(&r, root, asked_ms);
    json_decref(root);
    if (!ok)
        plan_free(p);
    return ok;
}

void plan_free(struct plan *p)
{
    arena_free(&p->arena);
    *p = (struct plan){ 0 };
}

/* ---- writing ---- */

static void write_field(struct str *to, const char *before, const char *text)
{
    str_append(to, before);
    json_escape(to, text);
    str_append_char(to, '"');
}

static void write_shot(const struct plan *p, const struct plan_shot *s, struct str *to)
{
    str_printf(to, "{\"scene\":%d", s->scene);
    for (int f = 0; f < FIELD_TRANSITION; f++) {
        str_printf(to, ",\"%s", shot_field_name((enum shot_field)f));
        write_field(to, "\":\"", s->fields[f]);
    }
    str_append(to, ",\"actors\":[");
    for (int i = 0; i < s->actor_count; i++) {
        str_printf(to, "%s{\"cast\":\"%s\",\"enters\":%d", i > 0 ? "," : "", p->members[s->actors[i].member].id, i + 1);
        write_field(to, ",\"action\":\"", s->actors[i].action);
        str_append_char(to, '}');
    }
    str_append(to, "],\"duration\":");
    seconds_append(to, s->duration_ms);
    write_field(to, ",\"transition\":\"", s->fields[FIELD_TRANSITION]);
    str_printf(to, ",\"match\":%d}", s->match);
}

void plan_write(const struct plan *p, struct str *to)
{
    str_append(to, "{\"cast\":[");
    for (size_t i = 0; i < p->member_count; i++) {
        write_field(to, i > 0 ? ",{\"id\":\"" : "{\"id\":\"", p->members[i].id);
        write_field(to, ",\"kind\":\"", p->members[i].kind);
        write_field(to, ",\"phrase\":\"", p->members[i].phrase);
        str_append_char(to, '}');
    }
    str_append(to, "],\"shots\":[");
    for (size_t i = 0; i < p->shot_count; i++) {
        str_append(to, i > 0 ? "," : "");
        write_shot(p, &p->shots[i], to);
    }
    str_append(to, "]}");
}

struct digest plan_digest(const struct plan *p)
{
    struct str text = { 0 };

    plan_write(p, &text);
    struct digest d = digest_of(str_text(&text), text.size);
    str_free(&text);
    return d;
}

static void append_part(struct str *to, const char *separator, const char *words)
{
    if (!words || !words[0])
        return;
    if (to->size > 0)
        str_append(to, separator);
    str_append(to, words);
}

void plan_prompt(const struct plan *p, size_t index, const struct grammar *g, struct str *to)
{
    const struct plan_shot *s = &p->shots[index];
    static const enum shot_field rest[] = { FIELD_PLACE, FIELD_LIGHT, FIELD_ANGLE, FIELD_CAMERA };
    struct str text = { 0 };

    append_part(&text, "", vocabulary_words(&g->fields[FIELD_SIZE], s->fields[FIELD_SIZE]));
    for (int i = 0; i < s->actor_count; i++) {
        const struct plan_member *m = &p->members[s->actors[i].member];
        append_part(&text, i > 0 ? " and " : " of ", m->phrase);
        append_part(&text, " ", vocabulary_words(&grammar_kind(g, m->kind)->actions, s->actors[i].action));
    }
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        append_part(&text, ", ", vocabulary_words(&g->fields[rest[i]], s->fields[rest[i]]));
    str_append(to, str_text(&text));
    str_free(&text);
}

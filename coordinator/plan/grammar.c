#include "coordinator/plan/grammar.h"

#include "common/base/file.h"
#include "common/base/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* For planners that know all words: free phrases and places, a film-maker's usual terms for the rest. */
static const char builtin[] =
    "{\"shortest_ms\":1500,\"unit_ms\":500,\"longest_ms\":5000,\"max_cast\":4,\"max_actors\":2,"
    "\"phrases\":{\"character\":\"text\",\"product\":\"text\"},"
    "\"actions\":{\"character\":\"text\",\"product\":\"text\"},"
    "\"place\":\"text\","
    "\"light\":{\"day\":\"in daylight\",\"golden hour\":\"at golden hour\",\"overcast\":\"under an overcast "
    "sky\",\"night\":\"at night\","
    "\"neon\":\"in neon light\",\"studio\":\"in studio light\",\"candlelight\":\"by candlelight\"},"
    "\"size\":{\"wide\":\"wide shot\",\"full\":\"full shot\",\"medium\":\"medium shot\",\"close-up\":\"close-up\"},"
    "\"angle\":{\"eye level\":\"\",\"low\":\"low angle\",\"high\":\"high angle\",\"overhead\":\"overhead view\"},"
    "\"camera\":{\"static\":\"static camera\",\"pan left\":\"camera pans left\",\"pan right\":\"camera pans "
    "right\",\"tilt up\":\"camera tilts up\","
    "\"zoom in\":\"camera zooms in\",\"dolly in\":\"camera moves in\",\"tracking\":\"camera "
    "follows\",\"handheld\":\"handheld camera\"},"
    "\"transition\":{\"cut\":\"\",\"dissolve\":\"\",\"fade\":\"\"}}";

#define LARGEST_FILE  (1 << 20)
#define LONGEST_ALIAS 16

const char *shot_field_name(enum shot_field f)
{
    static const char *const names[FIELD_COUNT] = { "place", "light", "size", "angle", "camera", "transition" };
    return names[f];
}

/* ---- texts ---- */

/* The bytes of a printable character, 0 when there is none. */
static size_t printable(const unsigned char *s)
{
    if (s[0] < 0x80)
        return s[0] >= 0x20 && s[0] != 0x7f ? 1 : 0;
    size_t n = s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
    if (s[0] > 0xf4 || n == 0)
        return 0;
    uint32_t c = s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    bool control = c < 0xa0 || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff || (n == 3 && c < 0x800) ||
                   (n == 4 && c < 0x10000) || c == 0x2028 || c == 0x2029 || (c & 0xfffe) == 0xfffe;
    return control ? 0 : n;
}

bool plan_text_ok(const char *text, size_t most)
{
    size_t characters = 0;

    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t n = printable(s);
        if (n == 0 || ++characters > most)
            return false;
        s += n;
    }
    return characters > 0 && text[0] != ' ';
}

bool plan_id_ok(const char *id)
{
    size_t size = strlen(id);

    return size > 0 && size <= PLAN_MAX_ID &&
           strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == size;
}

void json_escape(struct str *to, const char *text)
{
    for (const char *s = text; *s; s++) {
        if (*s == '"' || *s == '\\')
            str_append_char(to, '\\');
        str_append_char(to, *s);
    }
}

void seconds_append(struct str *to, int64_t ms)
{
    str_printf(to, "%" PRId64 ".%" PRId64, ms / 1000, ms / 100 % 10);
    if (ms % 100 == 0)
        return;
    str_printf(to, "%" PRId64, ms / 10 % 10);
    if (ms % 10 != 0)
        str_printf(to, "%" PRId64, ms % 10);
}

const char *vocabulary_words(const struct vocabulary *v, const char *value)
{
    if (v->text)
        return plan_text_ok(value, PLAN_MAX_TEXT) ? value : NULL;
    for (size_t i = 0; i < v->count; i++)
        if (strcmp(v->values[i], value) == 0)
            return v->words[i];
    return NULL;
}

const struct cast_kind *grammar_kind(const struct grammar *g, const char *name)
{
    for (size_t i = 0; i < g->kind_count; i++)
        if (strcmp(g->kinds[i].name, name) == 0)
            return &g->kinds[i];
    return NULL;
}

/* ---- durations ---- */

size_t grammar_most_durations(const struct grammar *g)
{
    return (size_t)((g->longest_ms - g->shortest_ms) / g->unit_ms) + 1;
}

/* Since longest >= 2 * shortest, whatever is left and not shorter than the shortest shot can be filled, so no option
 * leads into a dead end. */
size_t grammar_durations(const struct grammar *g, int64_t left_ms, int64_t *options)
{
    int64_t whole = left_ms / g->unit_ms * g->unit_ms;
    size_t count = 0;

    for (int64_t d = g->shortest_ms; d <= g->longest_ms; d += g->unit_ms) {
        if (d == whole && left_ms <= g->longest_ms)
            options[count++] = left_ms; /* what is no multiple of the unit falls to the last shot */
        else if (whole - d >= g->shortest_ms)
            options[count++] = d;
    }
    if (count == 0) /* a video shorter than the shortest shot */
        options[count++] = left_ms;
    return count;
}

/* ---- reading ---- */

static const char *read_value(struct json_reader *r, struct grammar *g, const char *field, const char *text,
                              bool may_be_empty)
{
    if (!(may_be_empty && text[0] == 0) && !plan_text_ok(text[0] == ' ' ? text + 1 : text, PLAN_MAX_TEXT) &&
        strcmp(text, " ") != 0)
        json_fail(r, field, "\"%.90s\" is not 1 to %d printable characters", text, PLAN_MAX_TEXT);
    if (strpbrk(text, "\"\\"))
        json_fail(r, field, "\"%.90s\" has a quote or a backslash", text);
    return arena_strdup(&g->arena, text);
}

static bool is_text_word(const json_t *value)
{
    return json_is_string(value) && strcmp(json_string_value(value), "text") == 0;
}

static void read_vocabulary(struct json_reader *r, struct grammar *g, const char *field, const json_t *value,
                            struct vocabulary *v)
{
    const char *key;
    json_t *words;

    if (r->failed)
        return;
    v->text = is_text_word(value);
    if (v->text)
        return;
    if (json_object_size(value) == 0) {
        json_fail(r, field, "expected an object of values and words, or \"text\"");
        return;
    }
    v->values = arena_array(&g->arena, const char *, json_object_size(value));
    v->words = arena_array(&g->arena, const char *, json_object_size(value));
    json_object_foreach((json_t *)value, key, words)
    {
        if (!json_is_string(words)) {
            json_fail(r, field, "the words of \"%.60s\" are not text", key);
            return;
        }
        if (key[0] == ' ')
            json_fail(r, field, "\"%.60s\" begins with a space", key);
        v->values[v->count] = read_value(r, g, field, key, false);
        v->words[v->count] = read_value(r, g, field, json_string_value(words), true);
        v->count++;
    }
}

/* A walk decides between entries when it sees where they differ: none may begin another, with the character that
 * follows both. */
static void check_part(struct json_reader *r, const char *field, const struct phrase_part *p, char follower)
{
    for (size_t a = 0; a < p->count; a++)
        for (size_t b = 0; b < p->count; b++) {
            size_t size = strlen(p->entries[a]);
            if (a != b && strncmp(p->entries[a], p->entries[b], size) == 0 &&
                (p->entries[b][size] == follower || p->entries[b][size] == 0))
                json_fail(r, field, "\"%s%c\" begins \"%s%c\": the two cannot be told apart", p->entries[a], follower,
                          p->entries[b], follower);
        }
}

static size_t count_characters(const char *text)
{
    size_t count = 0;

    for (; *text; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

/* What the parts spell together must be a phrase that plans may hold: see plan_text_ok. */
static void check_phrase(struct json_reader *r, const char *field, const struct cast_kind *k)
{
    size_t longest = 0;
    bool begins = true; /* nothing may stand before this part */

    for (size_t i = 0; i < k->part_count; i++) {
        bool empty = false;
        size_t most = 0;

        for (size_t e = 0; e < k->parts[i].count; e++) {
            const char *entry = k->parts[i].entries[e];

            if (begins && entry[0] == ' ')
                json_fail(r, field, "a phrase may begin with the space of \"%.60s\"", entry);
            empty = empty || !*entry;
            most = count_characters(entry) > most ? count_characters(entry) : most;
        }
        begins = begins && empty;
        longest += most;
    }
    if (begins)
        json_fail(r, field, "a phrase may be empty");
    if (longest > PLAN_MAX_PHRASE)
        json_fail(r, field, "a phrase may have %zu characters, expected at most %d", longest, PLAN_MAX_PHRASE);
}

static void read_phrase(struct json_reader *r, struct grammar *g, const char *field, const json_t *list,
                        struct cast_kind *k)
{
    k->text = is_text_word(list);
    if (k->text)
        return;
    if (json_array_size(list) == 0) {
        json_fail(r, field, "expected a list of lists of texts, or \"text\"");
        return;
    }
    k->part_count = json_array_size(list);
    k->parts = arena_array(&g->arena, struct phrase_part, k->part_count);
    for (size_t i = 0; i < k->part_count; i++) {
        const json_t *entries = json_array_get(list, i);
        struct phrase_part *p = &k->parts[i];
        if (json_array_size(entries) == 0) {
            json_fail(r, field, "part %zu is not a list of texts", i + 1);
            return;
        }
        p->entries = arena_array(&g->arena, const char *, json_array_size(entries));
        for (; p->count < json_array_size(entries); p->count++) {
            const json_t *entry = json_array_get(entries, p->count);
            if (!json_is_string(entry)) {
                json_fail(r, field, "part %zu has an entry that is no text", i + 1);
                return;
            }
            p->entries[p->count] = read_value(r, g, field, json_string_value(entry), json_array_size(entries) > 1);
        }
    }
    for (size_t i = 0; i < k->part_count; i++) {
        bool last = i + 1 == k->part_count;
        if (k->parts[i].count < 2)
            continue;
        if (!last && k->parts[i + 1].count > 1)
            json_fail(r, field, "parts %zu and %zu both have several entries; a literal must stand between them", i + 1,
                      i + 2);
        else
            check_part(r, field, &k->parts[i], last ? '"' : k->parts[i + 1].entries[0][0]);
    }
    check_phrase(r, field, k);
}

static void read_kinds(struct json_reader *r, struct grammar *g, const json_t *json)
{
    const json_t *phrases = json_group(r, json, "phrases");
    const json_t *actions = json_object_get(json, "actions");
    bool any_action = is_text_word(actions);
    const char *name;
    json_t *value;

    if (r->failed)
        return;
    if (json_object_size(phrases) == 0)
        json_fail(r, "phrases", "expected at least one kind of cast member");
    if (!any_action && !json_is_object(actions))
        json_fail(r, "actions", "expected an object, or \"text\"");
    g->kinds = arena_array(&g->arena, struct cast_kind, json_object_size(phrases));
    json_object_foreach((json_t *)phrases, name, value)
    {
        struct cast_kind *k = &g->kinds[g->kind_count++];
        char field[96];
        snprintf(field, sizeof field, "phrases.%.60s", name);
        k->name = read_value(r, g, "phrases", name, false);
        if (!r->failed)
            read_phrase(r, g, field, value, k);
        snprintf(field, sizeof field, "actions.%.60s", name);
        if (any_action)
            k->actions.text = true;
        else
            read_vocabulary(r, g, field, json_object_get(actions, name), &k->actions);
    }
    json_object_foreach((json_t *)actions, name, value)
    {
        if (!r->failed && !grammar_kind(g, name))
            json_fail(r, "actions", "\"%.60s\" is not a kind in phrases", name);
    }
}

static void read_times(struct json_reader *r, struct grammar *g, const json_t *json, int64_t longest_ms)
{
    g->unit_ms = json_int(r, json, "unit_ms", 1, 60000);
    g->shortest_ms = json_int(r, json, "shortest_ms", 1, 60000);
    g->longest_ms = json_int(r, json, "longest_ms", 1, 600000);
    if (r->failed)
        return;
    if (g->shortest_ms % g->unit_ms != 0 || g->longest_ms % g->unit_ms != 0)
        json_fail(r, "unit_ms", "shortest_ms and longest_ms must be multiples of %" PRId64, g->unit_ms);
    if (longest_ms > 0 && g->longest_ms > longest_ms)
        g->longest_ms = longest_ms / g->unit_ms * g->unit_ms;
    if (g->longest_ms < 2 * g->shortest_ms)
        json_fail(r, "longest_ms",
                  "shots of %" PRId64 " to %" PRId64
                  " ms cannot fill every length: the longest must be at least twice the shortest",
                  g->shortest_ms, g->longest_ms);
}

/* An alias stands in the prompt and in the plan, so it is an id; each must be found again among the others. */
static void read_alias(struct json_reader *r, struct grammar *g, const json_t *list)
{
    if (!list || r->failed)
        return;
    if (!json_is_array(list) || json_array_size(list) < (size_t)g->max_cast) {
        json_fail(r, "alias", "expected a list of at least %d words, one for each member of a cast", g->max_cast);
        return;
    }
    g->alias = arena_array(&g->arena, const char *, json_array_size(list));
    for (; g->alias_count < json_array_size(list); g->alias_count++) {
        const char *word = json_string_value(json_array_get(list, g->alias_count));
        if (!word || strlen(word) < 2 || strlen(word) > LONGEST_ALIAS || !plan_id_ok(word)) {
            json_fail(r, "alias", "entry %zu is not 2 to %d letters, digits, - or _", g->alias_count + 1,
                      LONGEST_ALIAS);
            return;
        }
        for (size_t i = 0; i < g->alias_count; i++)
            if (strstr(g->alias[i], word) || strstr(word, g->alias[i]))
                json_fail(r, "alias", "\"%s\" and \"%s\" cannot be told apart", g->alias[i], word);
        g->alias[g->alias_count] = arena_strdup(&g->arena, word);
    }
}

static void read_grammar(struct json_reader *r, struct grammar *g, const json_t *json, int64_t longest_ms)
{
    static const char *const keys[] = { "shortest_ms", "unit_ms", "longest_ms", "max_cast", "max_actors",
                                        "phrases",     "actions", "place",      "light",    "size",
                                        "angle",       "camera",  "transition", "alias",    NULL };

    if (!json_is_object(json)) {
        json_fail(r, "grammar", "expected an object");
        return;
    }
    json_only_keys(r, json, keys);
    read_times(r, g, json, longest_ms);
    g->max_cast = (int)json_int(r, json, "max_cast", 1, PLAN_MAX_CAST);
    g->max_actors = (int)json_int(r, json, "max_actors", 1, PLAN_MAX_ACTORS);
    read_alias(r, g, json_object_get(json, "alias"));
    read_kinds(r, g, json);
    for (int f = 0; f < FIELD_COUNT; f++)
        read_vocabulary(r, g, shot_field_name(f), json_object_get(json, shot_field_name(f)), &g->fields[f]);
    if (!r->failed && (g->fields[FIELD_TRANSITION].text || !vocabulary_words(&g->fields[FIELD_TRANSITION], "cut")))
        json_fail(r, "transition", "expected an object with \"cut\", the end of every last shot");
}

struct grammar *grammar_parse(const char *json, size_t size, const char *where, int64_t longest_ms, struct error *err)
{
    json_t *root = json_parse(json, size, where, err);
    if (!root)
        return NULL;

    struct json_reader r = { .where = where, .err = err };
    struct grammar *g = xcalloc(1, sizeof *g);
    read_grammar(&r, g, root, longest_ms);
    json_decref(root);
    if (r.failed)
        grammar_close(&g);
    return g;
}

struct grammar *grammar_open(const char *dir, int64_t longest_ms, struct error *err)
{
    char path[4096];
    size_t size;

    if (!file_join(path, sizeof path, dir, "grammar.json")) {
        error_set(err, ERROR_INPUT, "%s: the path is too long", dir);
        return NULL;
    }
    if (!file_exists(path))
        return grammar_parse(builtin, strlen(builtin), "built-in grammar", longest_ms, err);

    char *json = file_read(path, LARGEST_FILE, &size, err);
    struct grammar *g = json ? grammar_parse(json, size, path, longest_ms, err) : NULL;
    free(json);
    return g;
}

void grammar_close(struct grammar **g)
{
    if (!*g)
        return;
    arena_free(&(*g)->arena);
    free(*g);
    *g = NULL;
}

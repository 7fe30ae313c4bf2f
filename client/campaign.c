#include "client/campaign.h"

#include "client/paths.h"
#include "client/variables.h"
#include "common/base/config.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/json.h"
#include "common/base/str.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LARGEST_PLAN = 1 << 20,
    LONGEST_PROMPT = 4000,
    LONGEST_NAME = 100,
    LONGEST_ID = 32,
    LONGEST_PHRASE = 200,
    MOST_CAST = 26,
};

/* One file while it is read. */
struct campaign_reader {
    struct campaign *c;
    const char *dir; /* the campaign file's folder */
    struct variables variables;
    const struct campaign_wishes *wishes;
    uint64_t seed;
    uint32_t width, height, fps, crf; /* `output`, for videos that say nothing */
    size_t room;                      /* of message.videos */
    struct error *err;
};

static const char *text_or(const struct config_node *node, const char *fallback)
{
    struct error ignored;
    if (node)
        config_text(node, &fallback, &ignored);
    return fallback;
}

static bool is_name(const char *s, bool lower)
{
    size_t n = strspn(s, lower ? "abcdefghijklmnopqrstuvwxyz0123456789_-"
                               : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return n > 0 && s[n] == '\0' && n <= LONGEST_NAME && s[0] != '.' && s[0] != '-';
}

/* Paths are relative to the campaign's file. NULL with the reader's error when it may not name this one. */
static const char *path_from(struct campaign_reader *r, const struct config_node *node, const char *path,
                             const char *allowed)
{
    const char *whole = path[0] == '/' ? path : arena_printf(&r->c->arena, "%s/%s", r->dir, path);
    char real[PATH_MAX];
    struct error why;

    if (paths_resolve(whole, r->dir, allowed, real, &why))
        return arena_strdup(&r->c->arena, real);
    config_fail(node, r->err, "%s", why.text);
    return NULL;
}

static bool read_optional_int(struct campaign_reader *r, const struct config_node *group, const char *key, int64_t min,
                              int64_t max, uint32_t *to)
{
    const struct config_node *node = config_get(group, key);
    int64_t v;
    if (!node)
        return true;
    if (!config_int(node, min, max, &v, r->err))
        return false;
    *to = (uint32_t)v;
    return true;
}

/* H.264 in 4:2:0 has no odd sides. */
static bool read_side(struct campaign_reader *r, const struct config_node *group, const char *key, uint32_t *to)
{
    if (!read_optional_int(r, group, key, 16, CAMPAIGN_LARGEST_SIDE, to))
        return false;
    if (*to % 2)
        return config_fail(config_get(group, key), r->err, "expected an even number, found %u", *to);
    return true;
}

static bool read_output(struct campaign_reader *r, const struct config_node *output)
{
    static const char *const keys[] = { "width", "height", "fps", "crf", NULL };
    if (!output)
        return true;
    if (!config_only_keys(output, keys, r->err) || !read_side(r, output, "width", &r->width) ||
        !read_side(r, output, "height", &r->height) || !read_optional_int(r, output, "fps", 1, 120, &r->fps) ||
        !read_optional_int(r, output, "crf", 0, 51, &r->crf))
        return false;
    if ((r->width == 0) != (r->height == 0))
        return config_fail(output, r->err, "expected both width and height, or neither");
    return true;
}

/* ------------------------------------------------------------------------------------------------ cast */

static bool read_cast_member(struct campaign_reader *r, const struct config_node *node, size_t number)
{
    static const char *const keys[] = { "id", "kind", "phrase", "image", NULL };
    static const char *const needed[] = { "id", "kind", "phrase", NULL };
    if (!config_only_keys(node, keys, r->err))
        return false;
    const char *value;
    for (const char *const *key = needed; *key; key++) {
        if (!config_get(node, *key))
            return config_fail(node, r->err, "expected the key \"%s\"", *key);
        if (!config_text(config_get(node, *key), &value, r->err))
            return false;
    }
    const char *id = text_or(config_get(node, "id"), "");
    const char *kind = text_or(config_get(node, "kind"), "");
    const char *phrase = text_or(config_get(node, "phrase"), "");
    if (!is_name(id, true) || strlen(id) > LONGEST_ID)
        return config_fail(config_get(node, "id"), r->err, "expected 1 to %d of a-z, 0-9, _ and -, found \"%s\"",
                           LONGEST_ID, id);
    if (strcmp(kind, "character") && strcmp(kind, "product") && strcmp(kind, "place"))
        return config_fail(config_get(node, "kind"), r->err, "expected character, product or place, found \"%s\"",
                           kind);
    if (!*phrase || strlen(phrase) > LONGEST_PHRASE)
        return config_fail(config_get(node, "phrase"), r->err, "expected a text of 1 to %d characters", LONGEST_PHRASE);

    Shotline__Campaign *m = &r->c->message;
    for (size_t i = 0; i < number; i++)
        if (strcmp(m->cast[i]->id, id) == 0)
            return config_fail(config_get(node, "id"), r->err, "\"%s\" is already in the cast", id);

    Shotline__CastMember *member = arena_new(&r->c->arena, Shotline__CastMember);
    shotline__cast_member__init(member);
    member->id = arena_strdup(&r->c->arena, id);
    member->kind = arena_strdup(&r->c->arena, kind);
    member->phrase = arena_strdup(&r->c->arena, phrase);
    m->cast[number] = member;

    const struct config_node *image = config_get(node, "image");
    if (!image)
        return true;
    if (!config_text(image, &value, r->err))
        return false;
    const char *path = path_from(r, image, value, r->wishes->allowed);
    if (!path)
        return false;
    /* Looked at now, so that a missing image is met before anything is sent. The farm decodes it. */
    struct error why;
    size_t size = 0;
    char *bytes = file_read(path, CAMPAIGN_LARGEST_IMAGE, &size, &why);
    if (!bytes)
        return config_fail(image, r->err, "cannot read the reference image: %s", why.text);
    bool picture = size > 8 && (memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0 || memcmp(bytes, "\xff\xd8\xff", 3) == 0);
    free(bytes);
    if (!picture)
        return config_fail(image, r->err, "expected a PNG or JPEG picture, found something else in %s", path);
    r->c->images[number] = path;
    return true;
}

static bool read_cast(struct campaign_reader *r, const struct config_node *cast)
{
    if (!cast)
        return true;
    if (!config_is_list(cast))
        return config_fail(cast, r->err, "expected a list ( { id = ...; kind = ...; phrase = ...; }, ... )");
    size_t count = config_count(cast);
    if (count > MOST_CAST)
        return config_fail(cast, r->err, "expected at most %d members, found %zu", MOST_CAST, count);
    Shotline__Campaign *m = &r->c->message;
    m->cast = arena_array(&r->c->arena, Shotline__CastMember *, count);
    r->c->images = arena_array(&r->c->arena, const char *, count);
    for (size_t i = 0; i < count; i++) {
        if (!read_cast_member(r, config_at(cast, i), i))
            return false;
        m->n_cast = i + 1;
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------ plans */

/* Reads an edited plan and adds its durations up. Its rules are checked by the farm, which has the pack's grammar. */
static char *read_plan(struct arena *arena, const char *path, uint32_t *duration_ms, struct error *err)
{
    size_t size = 0;
    char *text = file_read(path, LARGEST_PLAN, &size, err);
    if (!text)
        return NULL;
    json_t *plan = json_parse(text, size, path, err);
    struct json_reader reader = { .where = path, .err = err, .failed = !plan };
    const json_t *shots = plan ? json_list(&reader, plan, "shots") : NULL;
    double seconds = 0;
    for (size_t i = 0; i < json_array_size(shots); i++)
        seconds += json_number(&reader, json_array_get(shots, i), "duration");
    if (!reader.failed && !(seconds * 1000 >= CAMPAIGN_SHORTEST_MS && seconds * 1000 <= CAMPAIGN_LONGEST_MS))
        json_fail(&reader, "shots", "expected durations that add up to %g-%g seconds, found %g",
                  CAMPAIGN_SHORTEST_MS / 1000, CAMPAIGN_LONGEST_MS / 1000, seconds);
    /* The farm takes one line of JSON without spaces: the same plan has the same bytes however it was edited. */
    char *packed = reader.failed ? NULL : json_dumps(plan, JSON_COMPACT | JSON_REAL_PRECISION(12));
    char *kept = packed ? arena_strdup(arena, packed) : NULL;
    *duration_ms = (uint32_t)(seconds * 1000 + 0.5);
    free(packed);
    free(text);
    json_decref(plan);
    return kept;
}

/* ------------------------------------------------------------------------------------------------ videos */

/* A video's seed depends on its name and not on its place in the file: adding a video leaves the others alone. */
static uint64_t seed_of(uint64_t campaign_seed, const char *name)
{
    struct hash h;
    hash_begin(&h);
    hash_text(&h, "video seed");
    hash_u64(&h, campaign_seed);
    hash_text(&h, name);
    struct digest d = hash_end(&h);
    uint64_t seed = 0;
    for (int i = 0; i < 8; i++)
        seed |= (uint64_t)d.bytes[i] << (8 * i);
    return seed;
}

static bool read_size(struct campaign_reader *r, const struct config_node *node, Shotline__VideoRequest *v)
{
    const char *text;
    if (!config_text(node, &text, r->err))
        return false;
    int used = 0;
    unsigned w = 0, h = 0;
    if (sscanf(text, "%4ux%4u%n", &w, &h, &used) != 2 || text[used] != '\0' || w < 16 || h < 16 || w % 2 || h % 2 ||
        w > CAMPAIGN_LARGEST_SIDE || h > CAMPAIGN_LARGEST_SIDE)
        return config_fail(node, r->err, "expected \"WIDTHxHEIGHT\", even numbers from 16 to %d, found \"%s\"",
                           CAMPAIGN_LARGEST_SIDE, text);
    v->width = w;
    v->height = h;
    return true;
}

/* What all videos of one entry share. */
struct video_entry {
    const struct config_node *node, *name, *prompt;
    Shotline__VideoRequest common;
    bool has_seed;
    size_t points; /* videos that the entry's variables span */
};

static bool add_video(struct campaign_reader *r, const struct video_entry *e, const struct variables_choice *choice,
                      size_t index)
{
    Shotline__Campaign *m = &r->c->message;
    if (m->n_videos == CAMPAIGN_MAX_VIDEOS)
        return config_fail(e->node, r->err, "expected at most %u videos in a campaign", CAMPAIGN_MAX_VIDEOS);
    Shotline__VideoRequest *v = arena_new(&r->c->arena, Shotline__VideoRequest);
    *v = e->common;

    struct str text = { 0 };
    const char *name = text_or(e->name, "");
    variables_expand(&r->variables, name, choice, true, &text);
    if (e->points > 1 && !strstr(name, "${")) /* nothing in the name tells the videos apart: number them */
        str_printf(&text, "-%0*zu", e->points > 99 ? 4 : 2, index + 1);
    v->name = arena_strdup(&r->c->arena, str_text(&text));
    str_clear(&text);
    if (e->prompt) {
        variables_expand(&r->variables, text_or(e->prompt, ""), choice, false, &text);
        v->prompt = arena_strdup(&r->c->arena, str_text(&text));
    }
    str_free(&text);

    if (!is_name(v->name, false))
        return config_fail(e->name, r->err, "expected a file name of letters, digits, . _ and -, found \"%s\"",
                           v->name);
    if (v->prompt && (!*v->prompt || strlen(v->prompt) > LONGEST_PROMPT))
        return config_fail(e->prompt, r->err, "expected a text of 1 to %d characters", LONGEST_PROMPT);
    for (size_t i = 0; i < m->n_videos; i++)
        if (strcmp(m->videos[i]->name, v->name) == 0)
            return config_fail(e->name, r->err, "two videos would be called \"%s\"", v->name);
    if (!e->has_seed)
        v->seed = seed_of(r->seed, v->name);

    if (m->n_videos == r->room) { /* an arena cannot grow in place: the old array stays behind */
        size_t room = r->room ? r->room * 2 : 16;
        Shotline__VideoRequest **more = arena_array(&r->c->arena, Shotline__VideoRequest *, room);
        if (m->n_videos)
            memcpy(more, m->videos, m->n_videos * sizeof *more);
        m->videos = more;
        r->room = room;
    }
    m->videos[m->n_videos++] = v;
    return true;
}

static bool read_source(struct campaign_reader *r, struct video_entry *e, struct variables_choice *choice)
{
    const struct config_node *plan = config_get(e->node, "plan");
    e->prompt = config_get(e->node, "prompt");
    if (!e->prompt == !plan)
        return config_fail(e->node, r->err, "expected either \"prompt\" or \"plan\"");
    if (e->prompt)
        return variables_mark(&r->variables, e->prompt, choice, r->err);

    const char *file;
    struct error why = { 0 };
    if (!config_text(plan, &file, r->err))
        return false;
    file = path_from(r, plan, file, r->wishes->allowed);
    if (!file)
        return false;
    e->common.plan = read_plan(&r->c->arena, file, &e->common.duration_ms, &why);
    if (!e->common.plan)
        return config_fail(plan, r->err, "%s", why.text);
    if (config_get(e->node, "duration"))
        return config_fail(config_get(e->node, "duration"), r->err, "a plan has its own durations");
    return true;
}

static bool read_video(struct campaign_reader *r, const struct config_node *node)
{
    static const char *const keys[] = { "name", "prompt", "plan", "duration", "size", "seed", NULL };
    struct video_entry e = { .node = node };
    struct variables_choice choice = { 0 };
    if (!config_only_keys(node, keys, r->err))
        return false;
    e.name = config_get(node, "name");
    if (!e.name)
        return config_fail(node, r->err, "expected the key \"name\"");

    shotline__video_request__init(&e.common);
    e.common.width = r->width;
    e.common.height = r->height;
    e.common.fps = r->fps;
    e.common.crf = r->crf;
    e.common.duration_ms = r->wishes->duration_ms ? r->wishes->duration_ms : CAMPAIGN_DURATION_MS;
    if (!variables_mark(&r->variables, e.name, &choice, r->err) || !read_source(r, &e, &choice))
        return false;

    const struct config_node *duration = config_get(node, "duration"), *size = config_get(node, "size"),
                             *seed = config_get(node, "seed");
    double seconds;
    if (duration) {
        if (!config_number(duration, CAMPAIGN_SHORTEST_MS / 1000, CAMPAIGN_LONGEST_MS / 1000, &seconds, r->err))
            return false;
        e.common.duration_ms = (uint32_t)(seconds * 1000 + 0.5);
    }
    if (size && !read_size(r, size, &e.common))
        return false;
    e.has_seed = seed != NULL;
    if (seed && !config_uint64(seed, &e.common.seed, r->err))
        return false;

    e.points = variables_points(&r->variables, &choice);
    size_t index = 0;
    do {
        if (!add_video(r, &e, &choice, index++))
            return false;
    } while (variables_next(&r->variables, &choice));
    return true;
}

static bool read_videos(struct campaign_reader *r, const struct config_node *root)
{
    const struct config_node *videos = config_get(root, "videos");
    if (!videos)
        return config_fail(root, r->err, "expected the key \"videos\": what is to be made");
    if (!config_is_list(videos) || config_count(videos) == 0)
        return config_fail(videos, r->err, "expected a list ( { name = ...; prompt = ...; }, ... )");
    for (size_t i = 0; i < config_count(videos); i++)
        if (!read_video(r, config_at(videos, i)))
            return false;
    return true;
}

/* ------------------------------------------------------------------------------------------------ the whole */

static void message_init(struct campaign *c, const char *name)
{
    shotline__campaign__init(&c->message);
    c->message.name = arena_strdup(&c->arena, name);
}

static bool read_gate_policy(struct campaign_reader *r, const struct config_node *node)
{
    Shotline__Campaign *m = &r->c->message;
    const char *text;
    if (!node)
        return true;
    if (!config_text(node, &text, r->err))
        return false;
    m->has_on_gate_failure = true;
    if (strcmp(text, "keep") == 0)
        m->on_gate_failure = SHOTLINE__GATE_POLICY__GATE_KEEP;
    else if (strcmp(text, "fail") == 0)
        m->on_gate_failure = SHOTLINE__GATE_POLICY__GATE_FAIL;
    else
        return config_fail(node, r->err, "expected keep or fail, found \"%s\"", text);
    return true;
}

static bool read_settings(struct campaign_reader *r, const struct config_node *root)
{
    Shotline__Campaign *m = &r->c->message;
    const struct config_node *name = config_get(root, "name"), *pack = config_get(root, "pack"),
                             *priority = config_get(root, "priority"), *guidance = config_get(root, "guidance_scale"),
                             *seed = config_get(root, "seed");
    const char *text;
    int64_t number;
    if (name) {
        if (!config_text(name, &text, r->err))
            return false;
        if (!is_name(text, false))
            return config_fail(name, r->err, "expected letters, digits, . _ and -, found \"%s\"", text);
        m->name = arena_strdup(&r->c->arena, text);
    }
    if (pack) {
        if (!config_text(pack, &text, r->err))
            return false;
        r->c->pack = path_from(r, pack, text, r->wishes->allowed_packs);
        if (!r->c->pack)
            return false;
    }
    if (seed && !config_uint64(seed, &r->seed, r->err))
        return false;
    if (r->wishes->has_seed)
        r->seed = r->wishes->seed;
    if (!read_optional_int(r, root, "steps", 1, 1000, &m->steps))
        return false;
    m->has_steps = config_get(root, "steps") != NULL;
    if (!read_optional_int(r, root, "takes", 1, CAMPAIGN_MOST_TAKES, &m->takes) ||
        !read_gate_policy(r, config_get(root, "on_gate_failure")))
        return false;
    m->has_takes = config_get(root, "takes") != NULL;
    if (priority) {
        if (!config_int(priority, -100, 100, &number, r->err))
            return false;
        m->has_priority = true;
        m->priority = (int32_t)number;
    }
    if (guidance) {
        if (!config_number(guidance, 1, 30, &m->guidance_scale, r->err))
            return false;
        m->has_guidance_scale = true;
    }
    return read_output(r, config_get(root, "output"));
}

static bool read_campaign(struct campaign_reader *r, const struct config_node *root)
{
    static const char *const keys[] = {
        "name", "pack",      "seed",      "priority", "steps", "guidance_scale", "takes", "on_gate_failure", "output",
        "cast", "variables", "templates", "videos",   NULL
    };
    return config_only_keys(root, keys, r->err) && read_settings(r, root) &&
           variables_read(&r->variables, config_get(root, "variables"), config_get(root, "templates"), r->err) &&
           read_cast(r, config_get(root, "cast")) && read_videos(r, root);
}

/* "a/monsters.cfg": folder "a", name "monsters". */
static void split_path(struct arena *arena, const char *path, const char **dir, const char **name)
{
    const char *slash = strrchr(path, '/');
    *dir = !slash ? "." : slash == path ? "" : arena_printf(arena, "%.*s", (int)(slash - path), path);
    char *base = arena_strdup(arena, slash ? slash + 1 : path);
    char *dot = strrchr(base, '.');
    if (dot && dot != base)
        *dot = '\0';
    *name = is_name(base, false) ? base : "campaign";
}

bool campaign_load(struct campaign *c, const char *path, const struct campaign_wishes *wishes, struct error *err)
{
    *c = (struct campaign){ 0 };
    struct config *config = config_open(path, err);
    if (!config)
        return false;
    struct campaign_reader r = { .c = c, .wishes = wishes, .crf = 18, .err = err };
    const char *name;
    split_path(&c->arena, path, &r.dir, &name);
    message_init(c, name);
    bool ok = read_campaign(&r, config_root(config));
    config_close(&config);
    if (!ok)
        campaign_free(c);
    return ok;
}

bool campaign_from_single(struct campaign *c, const struct campaign_single *s, const struct campaign_wishes *wishes,
                          struct error *err)
{
    *c = (struct campaign){ 0 };
    if (!is_name(s->name, false))
        return error_set(err, ERROR_USAGE, "--name: expected letters, digits, . _ and -, found \"%s\"", s->name);
    if (s->prompt && (!*s->prompt || strlen(s->prompt) > LONGEST_PROMPT))
        return error_set(err, ERROR_USAGE, "--prompt: expected a text of 1 to %d characters", LONGEST_PROMPT);
    message_init(c, s->name);
    Shotline__VideoRequest *v = arena_new(&c->arena, Shotline__VideoRequest);
    shotline__video_request__init(v);
    v->name = c->message.name;
    v->width = s->width;
    v->height = s->height;
    v->crf = 18;
    v->seed = wishes->has_seed ? wishes->seed : 0;
    v->duration_ms = wishes->duration_ms ? wishes->duration_ms : CAMPAIGN_DURATION_MS;
    if (s->prompt) {
        v->prompt = arena_strdup(&c->arena, s->prompt);
    } else {
        v->plan = read_plan(&c->arena, s->plan_path, &v->duration_ms, err);
        if (!v->plan) {
            campaign_free(c);
            return false;
        }
    }
    c->message.videos = arena_array(&c->arena, Shotline__VideoRequest *, 1);
    c->message.videos[0] = v;
    c->message.n_videos = 1;
    return true;
}

void campaign_free(struct campaign *c)
{
    arena_free(&c->arena);
    *c = (struct campaign){ 0 };
}

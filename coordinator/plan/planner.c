#include "coordinator/plan/planner.h"

#include "common/base/file.h"
#include "common/nn/lm.h"
#include "common/nn/sample.h"
#include "common/nn/tokenizer.h"
#include "coordinator/plan/names.h"
#include "coordinator/plan/plan.h"

#include <stdlib.h>
#include <string.h>

/* What a token can add to a free text. */
struct text_token {
    int32_t id;
    uint8_t characters; /* 0: it begins with the closing quote */
    bool space;         /* begins with a space */
};

struct planner {
    struct grammar *grammar;
    struct tokenizer *tokenizer;
    struct lm *lm;
    char *system;
    int told_tokens;                /* of the system's message, which stays in the model's cache; 0: not fed yet */
    bool told;                      /* by the built-in text: a general model, which may think before it answers */
    struct text_token *text_tokens; /* only where the grammar has free texts */
    size_t text_token_count;
    float *logits;
    int32_t *candidates;
};

/* ---- opening ---- */

static void describe(const struct grammar *g, enum shot_field f, struct str *to)
{
    const struct vocabulary *v = &g->fields[f];

    str_printf(to, "- %s: ", shot_field_name(f));
    for (size_t i = 0; i < v->count; i++)
        str_printf(to, "%s%s", i > 0 ? ", " : "", v->values[i]);
    str_append(to, v->text ? "a short phrase that says where, such as \"in a snowy forest\"\n" : "\n");
}

/* What a general model has to know of the task. */
static char *builtin_system(const struct grammar *g)
{
    struct str s = { 0 };

    str_append(&s, "You are a film director. Turn the user's wish into a shot list: one line of JSON without spaces, "
                   "with the keys in this order:\n"
                   "{\"cast\":[{\"id\":\"A\",\"kind\":\"character\",\"phrase\":\"...\"}],\"shots\":[{\"scene\":1,"
                   "\"place\":\"...\",\"light\":\"...\","
                   "\"size\":\"...\",\"angle\":\"...\",\"camera\":\"...\",\"actors\":[{\"cast\":\"A\",\"enters\":1,"
                   "\"action\":\"...\"}],"
                   "\"duration\":2.5,\"transition\":\"cut\",\"match\":0}]}\n"
                   "Tell the wish as a sequence of shots, each with one clear action. Fields:\n");
    str_append(&s, "- phrase: how the member looks, in a few words that stay the same in all shots\n- kind: ");
    for (size_t i = 0; i < g->kind_count; i++)
        str_printf(&s, "%s%s", i > 0 ? ", " : "", g->kinds[i].name);
    str_append(&s, "\n- scene: counts the places; a shot of the same scene keeps place and light\n");
    for (int f = 0; f < FIELD_COUNT; f++)
        describe(g, (enum shot_field)f, &s);
    str_printf(
        &s,
        "- actors: 1 to %d members in order of entrance, each with what it does, such as \"runs through the snow\"\n",
        g->max_actors);
    str_append(&s, "- duration: ");
    seconds_append(&s, g->shortest_ms);
    str_append(&s, " to ");
    seconds_append(&s, g->longest_ms);
    str_append(&s, " seconds; all shots together last as long as the user says\n"
                   "- match: the number of an earlier shot whose look this one keeps, or 0\n"
                   "The user's cast comes first, unchanged. Answer with the JSON alone.");
    return s.data;
}

static bool read_system(struct planner *p, const char *dir, struct error *err)
{
    char path[4096];
    size_t size = 0;

    if (!file_join(path, sizeof path, dir, "system.txt"))
        return error_set(err, ERROR_INPUT, "%s: the path is too long", dir);
    p->told = !file_exists(path);
    p->system = p->told ? builtin_system(p->grammar) : file_read(path, 1 << 16, &size, err);
    if (p->system && size > 0 && p->system[size - 1] == '\n')
        p->system[size - 1] = 0;
    return p->system != NULL;
}

static bool has_texts(const struct grammar *g)
{
    for (int f = 0; f < FIELD_COUNT; f++)
        if (g->fields[f].text)
            return true;
    for (size_t i = 0; i < g->kind_count; i++)
        if (g->kinds[i].text || g->kinds[i].actions.text)
            return true;
    return false;
}

static uint8_t count_characters(const char *text)
{
    uint8_t count = 0;

    for (; *text; text++)
        count += ((uint8_t)*text & 0xc0) != 0x80;
    return count;
}

/* Only tokens of whole characters that need no escape take part: nothing can then end half-way. */
static void find_text_tokens(struct planner *p)
{
    int32_t size = tokenizer_size(p->tokenizer);
    struct str text = { 0 };

    if (size > lm_vocab_size(p->lm))
        size = lm_vocab_size(p->lm);
    p->text_tokens = xcalloc((size_t)size, sizeof *p->text_tokens);
    for (int32_t id = 0; id < size; id++) {
        str_clear(&text);
        if (tokenizer_is_added(p->tokenizer, id) || !tokenizer_decode(p->tokenizer, id, &text) || text.size == 0 ||
            strlen(text.data) != text.size)
            continue;
        struct text_token t = { .id = id, .space = text.data[0] == ' ' };
        const char *body = t.space ? text.data + 1 : text.data; /* plan_text_ok is strict about how a text begins */
        bool plain =
            !strpbrk(text.data, "\"\\") && body[0] != ' ' && (body[0] == 0 || plan_text_ok(body, PLAN_MAX_TEXT));
        if (plain)
            t.characters = count_characters(text.data);
        if (plain || text.data[0] == '"')
            p->text_tokens[p->text_token_count++] = t;
    }
    str_free(&text);
}

struct planner *planner_open(const char *dir, struct exec *x, int64_t longest_ms, struct error *err)
{
    struct planner *p = xcalloc(1, sizeof *p);
    char path[4096];

    p->grammar = grammar_open(dir, longest_ms, err);
    if (!p->grammar || !read_system(p, dir, err))
        goto fail;
    if (!file_join(path, sizeof path, dir, "tokenizer.json")) {
        error_set(err, ERROR_INPUT, "%s: the path is too long", dir);
        goto fail;
    }
    p->tokenizer = tokenizer_open(path, err);
    if (!p->tokenizer)
        goto fail;
    p->lm = lm_open(dir, x, 0, err);
    if (!p->lm)
        goto fail;
    if (has_texts(p->grammar))
        find_text_tokens(p);
    p->logits = xcalloc((size_t)lm_vocab_size(p->lm), sizeof *p->logits);
    p->candidates = xcalloc((size_t)lm_vocab_size(p->lm), sizeof *p->candidates);
    return p;

fail:
    planner_close(&p);
    return NULL;
}

void planner_close(struct planner **planner)
{
    struct planner *p = *planner;

    if (!p)
        return;
    grammar_close(&p->grammar);
    tokenizer_close(&p->tokenizer);
    lm_close(&p->lm);
    free(p->system);
    free(p->text_tokens);
    free(p->logits);
    free(p->candidates);
    free(p);
    *planner = NULL;
}

const struct grammar *planner_grammar(const struct planner *p)
{
    return p->grammar;
}

/* ---- one plan ---- */

struct run {
    struct planner *p;
    const struct plan_request *request;
    struct given_member *cast; /* the request's, as the model knows it */
    struct str prompt;         /* likewise */
    struct sampler sampler;
    struct token_ids waiting; /* decided, and not yet fed: literals go in one feed with what was chosen before them */
    struct str *plan;
    struct error *err;
};

static bool encode(struct run *r, const char *text, size_t size, struct token_ids *ids)
{
    return tokenizer_encode(r->p->tokenizer, text, size, ids, r->err) || error_wrap(r->err, "planner");
}

/* What a person wrote must not end the message it stands in. */
static void append_words(struct str *to, const char *text)
{
    for (; *text; text++) {
        str_append_char(to, *text);
        if (text[0] == '<' && text[1] == '|')
            str_append_char(to, ' ');
    }
}

/* The prompt and the cast in the words of the model. */
static void read_names(struct run *r)
{
    const struct grammar *g = r->p->grammar;
    const struct plan_request *q = r->request;
    const char *const *alias = g->alias_count > 0 ? g->alias : NULL;
    struct str clean = { 0 };

    prompt_clean(q->prompt, &clean);
    names_read(str_text(&clean), alias, r->cast, q->cast_count, &r->prompt);
    for (size_t i = 0; alias && i < q->cast_count; i++)
        r->cast[i].id = alias[i];
    str_free(&clean);
}

static bool check_prompt(struct run *r)
{
    struct token_ids ids = { 0 };
    struct str text = { 0 };

    append_words(&text, str_text(&r->prompt));
    bool ok = encode(r, str_text(&text), text.size, &ids);
    if (ok && ids.count > PLANNER_MAX_PROMPT)
        ok = error_set(r->err, ERROR_USAGE, "the prompt has %zu tokens; the planner reads at most %d", ids.count,
                       PLANNER_MAX_PROMPT);
    str_free(&text);
    token_ids_free(&ids);
    return ok;
}

/* The system's message is the same in every request: it is fed once, and always by itself, so that the cache holds the
 * same bits whatever was planned before. */
static bool tell_system(struct run *r)
{
    struct planner *p = r->p;
    struct token_ids ids = { 0 };
    struct str text = { 0 };

    lm_rewind(p->lm, p->told_tokens);
    if (p->told_tokens > 0)
        return true;
    str_printf(&text, "<|im_start|>system\n%s<|im_end|>\n", p->system);
    bool ok = encode(r, text.data, text.size, &ids) && lm_feed(p->lm, ids.ids, (int)ids.count, NULL, r->err);
    if (ok)
        p->told_tokens = lm_position(p->lm);
    else
        lm_rewind(p->lm, 0);
    str_free(&text);
    token_ids_free(&ids);
    return ok;
}

static void append_phrase(const struct run *r, const char *phrase, struct str *to)
{
    const struct grammar *g = r->p->grammar;
    struct str clean = { 0 }, parted = { 0 };

    prompt_clean(phrase, &clean);
    names_part(str_text(&clean), g->alias, g->alias_count, &parted);
    append_words(to, str_text(&parted));
    str_free(&clean);
    str_free(&parted);
}

static bool begin(struct run *r)
{
    const struct plan_request *q = r->request;
    struct str chat = { 0 };

    if (!check_prompt(r) || !tell_system(r))
        return false;
    str_append(&chat, "<|im_start|>user\n");
    append_words(&chat, str_text(&r->prompt));
    str_append(&chat, "\nseconds: ");
    seconds_append(&chat, q->duration_ms);
    for (size_t i = 0; i < q->cast_count; i++) {
        str_printf(&chat, "\ncast: %s = %s: ", r->cast[i].id, r->cast[i].kind);
        append_phrase(r, r->cast[i].phrase, &chat);
    }
    str_append(&chat, "<|im_end|>\n<|im_start|>assistant\n");
    if (r->p->told && tokenizer_find(r->p->tokenizer, "<think>") >= 0)
        str_append(&chat, "<think>\n\n</think>\n\n"); /* the published way to ask for an answer at once */
    bool ok = encode(r, chat.data, chat.size, &r->waiting);
    str_free(&chat);
    return ok;
}

/* Feeds what waits; afterwards p->logits tell what the model would say next. */
static bool ask(struct run *r)
{
    if (r->request->cancel && atomic_load(r->request->cancel))
        return error_set(r->err, ERROR_CANCELLED, "planning was cancelled");
    if (r->waiting.count == 0) /* nothing was decided since */
        return true;
    if (r->waiting.count > (size_t)lm_max_tokens(r->p->lm))
        return error_set(r->err, ERROR_USAGE, "the request has %zu tokens; the planner takes at most %d",
                         r->waiting.count, lm_max_tokens(r->p->lm));
    bool ok = lm_feed(r->p->lm, r->waiting.ids, (int)r->waiting.count, r->p->logits, r->err);
    r->waiting.count = 0;
    return ok;
}

static bool choose(struct run *r, const struct grammar_piece *piece, size_t *chosen)
{
    size_t count = piece->option_count;
    struct token_ids *ids = xcalloc(count, sizeof *ids);
    struct sample_option *options = xcalloc(count, sizeof *options);
    int32_t *candidates = xcalloc(count, sizeof *candidates);
    struct sample_walk walk;
    bool ok = true;

    for (size_t i = 0; i < count && ok; i++) {
        ok = encode(r, piece->options[i], strlen(piece->options[i]), &ids[i]);
        options[i] = (struct sample_option){ ids[i].ids, ids[i].count };
    }
    sample_walk_open(&walk, options, count);
    while (ok && sample_walk_result(&walk) == SIZE_MAX) {
        size_t next = sample_walk_candidates(&walk, candidates);
        if (next == 0) /* two options with the same tokens: a tokenizer that drops what it does not know */
            ok = error_set(r->err, ERROR_INPUT, "planner: tokenizer.json cannot tell \"%s\" from its neighbours",
                           piece->options[0]);
        else if (next == 1 || (ok = ask(r))) {
            int32_t token = next == 1 ? candidates[0] : sample_token(&r->sampler, r->p->logits, candidates, next);
            sample_walk_take(&walk, token);
            token_ids_push(&r->waiting, token);
        }
    }
    if (ok) {
        *chosen = sample_walk_result(&walk);
        for (size_t i = walk.depth; i < options[*chosen].count; i++)
            token_ids_push(&r->waiting, options[*chosen].ids[i]);
    }
    sample_walk_close(&walk);
    for (size_t i = 0; i < count; i++)
        token_ids_free(&ids[i]);
    free(ids);
    free(options);
    free(candidates);
    return ok;
}

/* A free text, token by token, up to the closing quote or the last character that it may have. */
static bool write_text(struct run *r, struct str *text)
{
    struct planner *p = r->p;
    size_t characters = 0;

    while (characters < PLAN_MAX_TEXT) {
        size_t count = 0;
        for (size_t i = 0; i < p->text_token_count; i++) {
            const struct text_token *t = &p->text_tokens[i];
            if (t->characters > 0 ? characters + t->characters <= PLAN_MAX_TEXT && !(t->space && characters == 0)
                                  : characters > 0)
                p->candidates[count++] = t->id;
        }
        if (count == 0)
            return error_set(r->err, ERROR_INPUT, "planner: tokenizer.json has no token that can begin a text");
        if (!ask(r))
            return false;
        int32_t token = sample_token(&r->sampler, p->logits, p->candidates, count);
        size_t before = text->size;
        tokenizer_decode(p->tokenizer, token, text);
        if (text->data[before] == '"') {
            text->size = before;
            text->data[before] = 0;
            break;
        }
        characters += count_characters(text->data + before);
        token_ids_push(&r->waiting, token);
    }
    return encode(r, "\"", 1, &r->waiting);
}

static bool answer_text(struct run *r, struct grammar_walk *walk)
{
    struct str text = { 0 };
    bool ok = write_text(r, &text);

    if (ok && !grammar_walk_write(walk, text.data))
        ok = error_set(r->err, ERROR_INTERNAL, "planner: \"%.100s\" is no free text", text.data);
    if (ok) {
        json_escape(r->plan, text.data);
        str_append_char(r->plan, '"');
    }
    str_free(&text);
    return ok;
}

static bool walk_grammar(struct run *r, struct grammar_walk *walk)
{
    for (;;) {
        struct grammar_piece piece = grammar_walk_next(walk);
        size_t chosen;
        switch (piece.kind) {
        case PIECE_LITERAL:
            str_append(r->plan, piece.text);
            if (!encode(r, piece.text, strlen(piece.text), &r->waiting))
                return false;
            break;
        case PIECE_CHOICE:
            if (!choose(r, &piece, &chosen))
                return false;
            str_append(r->plan, piece.options[chosen]);
            grammar_walk_choose(walk, chosen);
            break;
        case PIECE_TEXT:
            if (!answer_text(r, walk))
                return false;
            break;
        case PIECE_END:
            return true;
        }
    }
}

static bool is_given(const struct plan_request *q, const char *id)
{
    for (size_t i = 0; i < q->cast_count; i++)
        if (strcmp(q->cast[i].id, id) == 0)
            return true;
    return false;
}

/* From the model's names to the campaign's; the new members take the letters that are free. */
static void rename_members(struct plan *plan, const struct plan_request *q)
{
    char letter[2] = "A";

    for (size_t i = 0; i < plan->member_count; i++) {
        if (i < q->cast_count) {
            plan->members[i].id = q->cast[i].id;
            continue;
        }
        while (is_given(q, letter))
            letter[0]++; /* at most PLAN_MAX_CAST - 1 letters are given */
        plan->members[i].id = arena_strdup(&plan->arena, letter);
        letter[0]++;
    }
}

bool planner_plan(struct planner *p, const struct plan_request *q, struct str *plan, struct error *err)
{
    struct str text = { 0 };
    struct run r = { .p = p,
                     .request = q,
                     .cast = xcalloc(q->cast_count + 1, sizeof *r.cast),
                     .sampler = { .seed = q->seed, .temperature = q->temperature },
                     .plan = &text,
                     .err = err };
    struct plan checked;

    for (size_t i = 0; i < q->cast_count; i++)
        r.cast[i] = q->cast[i];
    struct grammar_walk *walk = grammar_walk_new(p->grammar, r.cast, q->cast_count, q->duration_ms, err);
    bool ok = walk != NULL;
    if (ok) {
        read_names(&r); /* the walk has seen that the campaign's own names are fit; it begins with the model's */
        ok = begin(&r) && walk_grammar(&r, walk);
    }
    if (ok && !plan_parse(&checked, text.data, text.size, p->grammar, q->duration_ms, err)) {
        err->kind = ERROR_INTERNAL;
        ok = error_wrap(err, "the planner's own plan");
    } else if (ok) {
        rename_members(&checked, q);
        plan_write(&checked, plan);
        plan_free(&checked);
    }
    grammar_walk_free(&walk);
    token_ids_free(&r.waiting);
    str_free(&r.prompt);
    str_free(&text);
    free(r.cast);
    return ok;
}

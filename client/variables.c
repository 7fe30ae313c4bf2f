#include "client/variables.h"

#include "common/base/str.h"

#include <ctype.h>
#include <string.h>

/* The next "${name}" in a text. */
struct reference {
    const char *start, *name;
    size_t name_size;
    const char *end; /* after the brace */
};

/* false at the end of the text; an opening without a closing brace has end == NULL. */
static bool next_reference(const char *text, struct reference *r)
{
    r->start = strstr(text, "${");
    if (!r->start)
        return false;
    r->name = r->start + 2;
    r->name_size = strcspn(r->name, "}");
    r->end = r->name[r->name_size] ? r->name + r->name_size + 1 : NULL;
    return true;
}

static int find_variable(const struct variables *v, const struct reference *r)
{
    for (size_t i = 0; i < v->count; i++)
        if (strlen(v->list[i].name) == r->name_size && memcmp(v->list[i].name, r->name, r->name_size) == 0)
            return (int)i;
    return -1;
}

static const struct config_node *find_template(const struct variables *v, const struct reference *r)
{
    for (size_t i = 0; v->templates && i < config_count(v->templates); i++) {
        const struct config_node *t = config_at(v->templates, i);
        if (strlen(config_name(t)) == r->name_size && memcmp(config_name(t), r->name, r->name_size) == 0)
            return t;
    }
    return NULL;
}

static const char *text_of(const struct config_node *node)
{
    const char *text = "";
    struct error ignored;
    config_text(node, &text, &ignored); /* its type was checked when the file was read */
    return text;
}

bool variables_read(struct variables *v, const struct config_node *lists, const struct config_node *templates,
                    struct error *err)
{
    *v = (struct variables){ .templates = templates };
    if (lists && !config_is_group(lists))
        return config_fail(lists, err, "expected a group { NAME = [ \"value\", ... ]; }");
    for (size_t i = 0; lists && i < config_count(lists); i++) {
        const struct config_node *values = config_at(lists, i);
        if (!config_is_list(values) || config_count(values) == 0)
            return config_fail(values, err, "expected a list of texts, as in [ \"one\", \"two\" ]");
        const char *text;
        for (size_t k = 0; k < config_count(values); k++)
            if (!config_text(config_at(values, k), &text, err))
                return false;
        if (v->count == VARIABLES_MAX)
            return config_fail(values, err, "expected at most %d variables", VARIABLES_MAX);
        v->list[v->count++] = (struct variable){ config_name(values), values };
    }
    if (templates && !config_is_group(templates))
        return config_fail(templates, err, "expected a group { NAME = \"text with ${variable}\"; }");
    for (size_t i = 0; templates && i < config_count(templates); i++) {
        const struct config_node *t = config_at(templates, i);
        const char *text;
        if (!config_text(t, &text, err))
            return false;
        for (size_t k = 0; k < v->count; k++)
            if (strcmp(v->list[k].name, config_name(t)) == 0)
                return config_fail(t, err, "expected a name that no variable has");
        /* Checked here once: a template holds variables only, so that no expansion can go round in circles. */
        struct reference r;
        for (; next_reference(text, &r); text = r.end) {
            if (!r.end)
                return config_fail(t, err, "expected \"}\" after \"%.40s\"", r.start);
            if (find_variable(v, &r) < 0)
                return config_fail(t, err, "\"${%.*s}\" is not a variable", (int)r.name_size, r.name);
        }
    }
    return true;
}

static bool mark(const struct variables *v, const struct config_node *node, const char *text,
                 struct variables_choice *choice, struct error *err)
{
    struct reference r;
    for (; next_reference(text, &r); text = r.end) {
        if (!r.end)
            return config_fail(node, err, "expected \"}\" after \"%.40s\"", r.start);
        int i = find_variable(v, &r);
        const struct config_node *t = find_template(v, &r);
        if (i >= 0)
            choice->used[i] = true;
        else if (!t)
            return config_fail(node, err, "\"${%.*s}\" is neither a variable nor a template", (int)r.name_size, r.name);
        else if (!mark(v, t, text_of(t), choice, err))
            return false;
    }
    return true;
}

bool variables_mark(const struct variables *v, const struct config_node *node, struct variables_choice *choice,
                    struct error *err)
{
    const char *text;
    return config_text(node, &text, err) && mark(v, node, text, choice, err);
}

bool variables_next(const struct variables *v, struct variables_choice *choice)
{
    for (size_t i = v->count; i-- > 0;) {
        if (!choice->used[i])
            continue;
        if (++choice->value[i] < config_count(v->list[i].values))
            return true;
        choice->value[i] = 0;
    }
    return false;
}

size_t variables_points(const struct variables *v, const struct variables_choice *choice)
{
    size_t points = 1;
    for (size_t i = 0; i < v->count; i++)
        if (choice->used[i] && points < 1000000) /* enough to be refused, and no overflow */
            points *= config_count(v->list[i].values);
    return points;
}

/* Letters and digits in lower case, with one dash for each run of anything else. */
static void put_slug(const char *text, struct str *to)
{
    bool dash = false, any = false;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (!isalnum(c)) {
            dash = any;
            continue;
        }
        if (dash)
            str_append_char(to, '-');
        str_append_char(to, (char)tolower(c));
        dash = false;
        any = true;
    }
}

void variables_expand(const struct variables *v, const char *text, const struct variables_choice *choice, bool as_name,
                      struct str *to)
{
    struct reference r;
    for (; next_reference(text, &r) && r.end; text = r.end) {
        str_append_bytes(to, text, (size_t)(r.start - text));
        int i = find_variable(v, &r);
        if (i < 0) {
            const struct config_node *t = find_template(v, &r);
            if (t)
                variables_expand(v, text_of(t), choice, as_name, to);
        } else {
            const char *value = text_of(config_at(v->list[i].values, choice->value[i]));
            if (as_name)
                put_slug(value, to);
            else
                str_append(to, value);
        }
    }
    str_append(to, text);
}

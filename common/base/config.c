#include "common/base/config.h"

#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/str.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <libconfig.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_FILE = 4 << 20 };

struct config {
    config_t tree;
    char path[PATH_MAX];
};

/* A config_node is a libconfig setting under a name that callers cannot look into. */
static const config_setting_t *setting_of(const struct config_node *n)
{
    return (const config_setting_t *)n;
}

static const struct config_node *node_of(const config_setting_t *s)
{
    return (const struct config_node *)s;
}

/* ------------------------------------------------------------------------------------------------ reading
 * libconfig 1.5 reads integers with atoi and lets @include open any file. So the text is walked first: includes are
 * refused, and an integer that needs 64 bits gets the suffix L (which libconfig demands) or is refused. */
struct walk {
    const char *p;
    int line;
    const char *path;
    struct str out;
    struct error *err;
};

static void walk_copy(struct walk *w, size_t count)
{
    for (size_t i = 0; i < count; i++)
        w->line += w->p[i] == '\n';
    str_append_bytes(&w->out, w->p, count);
    w->p += count;
}

/* libconfig loses the memory of a text without its closing quote: it is refused before. */
static bool walk_string(struct walk *w)
{
    size_t n = 1;
    while (w->p[n] && w->p[n] != '"')
        n += w->p[n] == '\\' && w->p[n + 1] ? 2 : 1;
    if (!w->p[n])
        return error_set(w->err, ERROR_INPUT, "%s:%d: a text begins here whose closing quote is missing", w->path,
                         w->line);
    walk_copy(w, n + 1);
    return true;
}

static size_t block_comment_length(const char *p)
{
    const char *end = strstr(p + 2, "*/");
    return end ? (size_t)(end - p) + 2 : strlen(p);
}

static bool starts_number(const char *p)
{
    if (*p == '+' || *p == '-')
        p++;
    return isdigit((unsigned char)*p);
}

static bool walk_number(struct walk *w)
{
    const char *start = w->p;
    size_t n = (*start == '+' || *start == '-') ? 1 : 0;
    while (isalnum((unsigned char)start[n]) || start[n] == '.' ||
           ((start[n] == '+' || start[n] == '-') && (start[n - 1] == 'e' || start[n - 1] == 'E')))
        n++;
    char word[64];
    if (n >= sizeof word)
        return error_set(w->err, ERROR_INPUT, "%s:%d: %.40s...: a number of %zu characters", w->path, w->line, start,
                         n);
    memcpy(word, start, n);
    word[n] = '\0';
    size_t digits = n;
    while (digits > 0 && word[digits - 1] == 'L')
        digits--;
    bool has_suffix = digits < n;
    word[digits] = '\0';

    const char *magnitude = word + (*word == '+' || *word == '-');
    bool hex = magnitude[0] == '0' && (magnitude[1] == 'x' || magnitude[1] == 'X');
    char *end;
    errno = 0;
    long long v = strtoll(word, &end, hex ? 16 : 10);
    bool integer = *end == '\0';
    if (integer && errno == ERANGE)
        return error_set(w->err, ERROR_INPUT,
                         "%s:%d: %s: expected an integer of at most 64 bits with sign (larger seeds: write them as "
                         "text in quotes)",
                         w->path, w->line, word);
    walk_copy(w, n);
    if (integer && !has_suffix && (v < INT_MIN || v > INT_MAX))
        str_append_char(&w->out, 'L');
    return true;
}

static bool at_include(const struct walk *w)
{
    const char *p = w->p;
    while (*p == ' ' || *p == '\t')
        p++;
    return str_starts(p, "@include");
}

static bool walk_text(struct walk *w)
{
    bool line_start = true;
    while (*w->p) {
        if (line_start && at_include(w))
            return error_set(w->err, ERROR_INPUT, "%s:%d: @include is not allowed: a campaign is one file", w->path,
                             w->line);
        line_start = *w->p == '\n';
        if (*w->p == '"') {
            if (!walk_string(w))
                return false;
        } else if (*w->p == '#' || (w->p[0] == '/' && w->p[1] == '/')) {
            walk_copy(w, strcspn(w->p, "\n"));
        } else if (w->p[0] == '/' && w->p[1] == '*') {
            walk_copy(w, block_comment_length(w->p));
        } else if (starts_number(w->p)) {
            if (!walk_number(w))
                return false;
        } else if (isalpha((unsigned char)*w->p) || *w->p == '*') {
            size_t n = 1;
            while (isalnum((unsigned char)w->p[n]) || strchr("-_*", w->p[n] ? w->p[n] : ' '))
                n++;
            walk_copy(w, n);
        } else {
            walk_copy(w, 1);
        }
    }
    return true;
}

struct config *config_parse(const char *text, const char *path, struct error *err)
{
    struct walk w = { .p = text, .line = 1, .path = path, .err = err };
    if (!walk_text(&w)) {
        str_free(&w.out);
        return NULL;
    }
    struct config *c = xcalloc(1, sizeof *c);
    config_init(&c->tree);
    str_copy(c->path, sizeof c->path, path);
    if (!config_read_string(&c->tree, str_text(&w.out))) {
        error_set(err, ERROR_INPUT, "%s:%d: %s", path, config_error_line(&c->tree), config_error_text(&c->tree));
        config_close(&c);
    } else {
        config_setting_set_hook(config_root_setting(&c->tree), c);
    }
    str_free(&w.out);
    return c;
}

struct config *config_open(const char *path, struct error *err)
{
    size_t size = 0;
    char *text = file_read(path, LARGEST_FILE, &size, err);
    if (!text)
        return NULL;
    struct config *c = NULL;
    if (strlen(text) != size)
        error_set(err, ERROR_INPUT, "%s: expected text, found a zero byte at offset %zu", path, strlen(text));
    else
        c = config_parse(text, path, err);
    free(text);
    return c;
}

void config_close(struct config **c)
{
    if (!*c)
        return;
    config_destroy(&(*c)->tree);
    free(*c);
    *c = NULL;
}

/* ------------------------------------------------------------------------------------------------ walking */

const struct config_node *config_root(const struct config *c)
{
    return node_of(config_root_setting(&c->tree));
}

const struct config_node *config_get(const struct config_node *group, const char *key)
{
    return config_is_group(group) ? node_of(config_setting_get_member(setting_of(group), key)) : NULL;
}

size_t config_count(const struct config_node *node)
{
    return config_setting_is_aggregate(setting_of(node)) ? (size_t)config_setting_length(setting_of(node)) : 0;
}

const struct config_node *config_at(const struct config_node *node, size_t index)
{
    if (index >= config_count(node))
        return NULL;
    return node_of(config_setting_get_elem(setting_of(node), (unsigned)index));
}

const char *config_name(const struct config_node *node)
{
    return config_setting_name(setting_of(node));
}

bool config_is_group(const struct config_node *node)
{
    return config_setting_is_group(setting_of(node));
}

bool config_is_list(const struct config_node *node)
{
    return config_setting_is_list(setting_of(node)) || config_setting_is_array(setting_of(node));
}

int config_line(const struct config_node *node)
{
    return (int)config_setting_source_line(setting_of(node));
}

/* "videos[2].prompt": names from the root down. */
static void put_place(const config_setting_t *s, struct str *to)
{
    if (config_setting_is_root(s))
        return;
    const config_setting_t *parent = config_setting_parent(s);
    put_place(parent, to);
    if (config_setting_name(s))
        str_printf(to, "%s%s", to->size ? "." : "", config_setting_name(s));
    else
        str_printf(to, "[%d]", config_setting_index(s));
}

bool config_fail(const struct config_node *node, struct error *err, const char *fmt, ...)
{
    const config_setting_t *root = setting_of(node);
    while (!config_setting_is_root(root))
        root = config_setting_parent(root);
    const struct config *c = config_setting_get_hook(root);

    struct str text = { 0 };
    str_printf(&text, "%s:%d: ", c->path, config_line(node));
    struct str place = { 0 };
    put_place(setting_of(node), &place);
    if (place.size)
        str_printf(&text, "%s: ", str_text(&place));
    str_free(&place);
    va_list ap;
    va_start(ap, fmt);
    str_vprintf(&text, fmt, ap);
    va_end(ap);
    error_set(err, ERROR_INPUT, "%s", str_text(&text));
    str_free(&text);
    return false;
}

/* ------------------------------------------------------------------------------------------------ typed reads */

static const char *found_name(const struct config_node *n)
{
    switch (config_setting_type(setting_of(n))) {
    case CONFIG_TYPE_GROUP:
        return "a group { }";
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        return "an integer";
    case CONFIG_TYPE_FLOAT:
        return "a number with a point";
    case CONFIG_TYPE_STRING:
        return "text";
    case CONFIG_TYPE_BOOL:
        return "true or false";
    case CONFIG_TYPE_ARRAY:
        return "an array [ ]";
    case CONFIG_TYPE_LIST:
        return "a list ( )";
    }
    return "nothing";
}

static bool is_integer(const struct config_node *n)
{
    int type = config_setting_type(setting_of(n));
    return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
}

bool config_text(const struct config_node *node, const char **value, struct error *err)
{
    if (config_setting_type(setting_of(node)) != CONFIG_TYPE_STRING)
        return config_fail(node, err, "expected text in quotes, found %s", found_name(node));
    *value = config_setting_get_string(setting_of(node));
    return true;
}

bool config_int(const struct config_node *node, int64_t min, int64_t max, int64_t *value, struct error *err)
{
    if (!is_integer(node))
        return config_fail(node, err, "expected an integer, found %s", found_name(node));
    int64_t v = config_setting_get_int64(setting_of(node));
    if (v < min || v > max)
        return config_fail(node, err, "expected an integer from %" PRId64 " to %" PRId64 ", found %" PRId64, min, max,
                           v);
    *value = v;
    return true;
}

bool config_uint64(const struct config_node *node, uint64_t *value, struct error *err)
{
    if (is_integer(node)) {
        int64_t v = config_setting_get_int64(setting_of(node));
        if (v < 0)
            return config_fail(node, err, "expected an integer of at least 0, found %" PRId64, v);
        *value = (uint64_t)v;
        return true;
    }
    const char *text = NULL;
    if (config_setting_type(setting_of(node)) != CONFIG_TYPE_STRING)
        return config_fail(node, err, "expected an integer or text with one, found %s", found_name(node));
    text = config_setting_get_string(setting_of(node));
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *digits = hex ? text + 2 : text;
    char *end = NULL;
    errno = 0;
    unsigned long long v = strtoull(digits, &end, hex ? 16 : 10);
    /* The first character rules out the signs and blanks that strtoull would take. */
    if (!isxdigit((unsigned char)*digits) || *end != '\0' || errno == ERANGE)
        return config_fail(node, err, "expected an integer from 0 to 18446744073709551615, found \"%s\"", text);
    *value = v;
    return true;
}

bool config_number(const struct config_node *node, double min, double max, double *value, struct error *err)
{
    double v;
    if (is_integer(node))
        v = (double)config_setting_get_int64(setting_of(node));
    else if (config_setting_type(setting_of(node)) == CONFIG_TYPE_FLOAT)
        v = config_setting_get_float(setting_of(node));
    else
        return config_fail(node, err, "expected a number, found %s", found_name(node));
    if (!(v >= min && v <= max))
        return config_fail(node, err, "expected a number from %g to %g, found %g", min, max, v);
    *value = v;
    return true;
}

bool config_only_keys(const struct config_node *group, const char *const *keys, struct error *err)
{
    if (!config_is_group(group))
        return config_fail(group, err, "expected a group { }, found %s", found_name(group));
    for (size_t i = 0; i < config_count(group); i++) {
        const struct config_node *child = config_at(group, i);
        bool known = false;
        for (const char *const *k = keys; *k && !known; k++)
            known = strcmp(*k, config_name(child)) == 0;
        if (known)
            continue;
        struct str list = { 0 };
        for (const char *const *k = keys; *k; k++)
            str_printf(&list, "%s%s", k == keys ? "" : ", ", *k);
        config_fail(child, err, "unknown key; expected one of: %s", str_text(&list));
        str_free(&list);
        return false;
    }
    return true;
}

#include "common/base/args.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the parser is in argv, and what goes wrong. */
struct args_reader {
    const struct arg_command *command;
    int argc;
    char **argv;
    int next;
    struct error *err;
};

static bool bad(struct args_reader *r, const struct arg_option *o, const char *text, const char *expected)
{
    return error_set(r->err, ERROR_USAGE, "--%s: \"%s\" is not %s", o->name, text, expected);
}

static bool put_int(struct args_reader *r, const struct arg_option *o, const char *text)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno == ERANGE || (double)v < o->min || (double)v > o->max) {
        char expected[96];
        snprintf(expected, sizeof expected, "a whole number from %.0f to %.0f", o->min, o->max);
        return bad(r, o, text, expected);
    }
    *(int64_t *)o->to = v;
    return true;
}

static bool put_number(struct args_reader *r, const struct arg_option *o, const char *text)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end != '\0' || !(v >= o->min && v <= o->max)) {
        char expected[96];
        snprintf(expected, sizeof expected, "a number from %g to %g", o->min, o->max);
        return bad(r, o, text, expected);
    }
    *(double *)o->to = v;
    return true;
}

static bool put_uint64(struct args_reader *r, const struct arg_option *o, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    /* strtoull takes "-1" and gives 2^64 - 1. */
    if (end == text || *end != '\0' || errno == ERANGE || text[strspn(text, " \t")] == '-')
        return bad(r, o, text, "a whole number from 0 to 18446744073709551615");
    *(uint64_t *)o->to = v;
    return true;
}

static bool put_value(struct args_reader *r, const struct arg_option *o, const char *text)
{
    bool ok = true;
    switch (o->kind) {
    case ARG_FLAG:
        *(bool *)o->to = true;
        break;
    case ARG_TEXT:
        *(const char **)o->to = text;
        break;
    case ARG_INT:
        ok = put_int(r, o, text);
        break;
    case ARG_NUMBER:
        ok = put_number(r, o, text);
        break;
    case ARG_UINT64:
        ok = put_uint64(r, o, text);
        break;
    }
    if (ok && o->given)
        *o->given = true;
    return ok;
}

static const struct arg_option *find(const struct arg_command *c, const char *name, size_t size, char letter)
{
    for (size_t i = 0; i < c->option_count; i++) {
        const struct arg_option *o = &c->options[i];
        if (name ? strlen(o->name) == size && memcmp(o->name, name, size) == 0 : o->letter == letter)
            return o;
    }
    return NULL;
}

/* The value stands in the same word (`inside`) or is the next word. */
static bool take_value(struct args_reader *r, const struct arg_option *o, const char *inside)
{
    if (o->kind == ARG_FLAG)
        return inside ? error_set(r->err, ERROR_USAGE, "--%s: takes no value, found \"%s\"", o->name, inside)
                      : put_value(r, o, NULL);
    if (!inside) {
        if (r->next >= r->argc)
            return error_set(r->err, ERROR_USAGE, "--%s: expected %s after it", o->name, o->value ? o->value : "VALUE");
        inside = r->argv[r->next++];
    }
    return put_value(r, o, inside);
}

static bool take_long(struct args_reader *r, const char *word)
{
    const char *equals = strchr(word, '=');
    size_t size = equals ? (size_t)(equals - word) : strlen(word);
    const struct arg_option *o = find(r->command, word, size, 0);
    if (!o)
        return error_set(r->err, ERROR_USAGE, "--%.*s: unknown option (see %s --help)", (int)size, word,
                         r->command->program);
    return take_value(r, o, equals ? equals + 1 : NULL);
}

/* "-qv" is two flags; "-oFILE" is an option and its value. */
static bool take_letters(struct args_reader *r, const char *word)
{
    for (const char *p = word; *p; p++) {
        const struct arg_option *o = find(r->command, NULL, 0, *p);
        if (!o)
            return error_set(r->err, ERROR_USAGE, "-%c: unknown option (see %s --help)", *p, r->command->program);
        if (o->kind != ARG_FLAG)
            return take_value(r, o, p[1] ? p + 1 : NULL);
        if (!put_value(r, o, NULL))
            return false;
    }
    return true;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

enum args_result args_parse(const struct arg_command *c, int argc, char **argv, const char **operands,
                            int *operand_count, struct error *err)
{
    struct args_reader r = { .command = c, .argc = argc, .argv = argv, .next = 1, .err = err };
    int count = 0;
    bool only_operands = false;
    while (r.next < argc) {
        const char *word = argv[r.next++];
        bool ok = true;
        if (only_operands || word[0] != '-' || word[1] == '\0') {
            operands[count++] = word;
        } else if (strcmp(word, "--") == 0) {
            only_operands = true;
        } else if (is_help(word)) {
            args_usage(c);
            return ARGS_HELP;
        } else {
            ok = word[1] == '-' ? take_long(&r, word + 2) : take_letters(&r, word + 1);
        }
        if (!ok)
            return ARGS_BAD;
    }
    *operand_count = count;
    if (count < c->min_operands) {
        error_set(err, ERROR_USAGE, "expected %s (see %s --help)", c->operands, c->program);
        return ARGS_BAD;
    }
    if (count > c->max_operands) {
        error_set(err, ERROR_USAGE, "\"%s\" is one operand too many (see %s --help)", operands[c->max_operands],
                  c->program);
        return ARGS_BAD;
    }
    return ARGS_OK;
}

void args_usage(const struct arg_command *c)
{
    printf("Usage: %s [options]%s%s\n%s\n\n", c->program, c->operands[0] ? " " : "", c->operands, c->summary);
    for (size_t i = 0; i < c->option_count; i++) {
        const struct arg_option *o = &c->options[i];
        char left[64];
        if (o->letter)
            snprintf(left, sizeof left, "-%c, --%s %s", o->letter, o->name, o->value ? o->value : "");
        else
            snprintf(left, sizeof left, "    --%s %s", o->name, o->value ? o->value : "");
        printf("  %-26s %s\n", left, o->help ? o->help : "");
    }
    printf("  %-26s %s\n", "-h, --help", "print this text");
}

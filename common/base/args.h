/* args - an option table gives parsing, checking and the usage text; shared by the three programs. */
#ifndef SHOTLINE_BASE_ARGS_H
#define SHOTLINE_BASE_ARGS_H

#include "common/base/error.h"

#include <stddef.h>
#include <stdint.h>

enum arg_kind {
    ARG_FLAG,   /* bool */
    ARG_TEXT,   /* const char * (borrowed from argv) */
    ARG_INT,    /* int64_t within [min, max] */
    ARG_NUMBER, /* double within [min, max] */
    ARG_UINT64, /* uint64_t, the whole range (seeds) */
};

struct arg_option {
    char letter;      /* 0: none */
    const char *name; /* long name without dashes */
    enum arg_kind kind;
    void *to;          /* where the value goes; it keeps its default when the option is absent */
    double min, max;   /* ARG_INT, ARG_NUMBER */
    const char *value; /* the value's name in the usage text: "FILE" */
    const char *help;  /* one line, with the default in brackets */
    bool *given;       /* optional: set when the option appears */
};

struct arg_command {
    const char *program;  /* "shotline submit" */
    const char *operands; /* "CAMPAIGN..." or "" */
    const char *summary;  /* one line */
    const struct arg_option *options;
    size_t option_count;
    int min_operands, max_operands;
};

enum args_result { ARGS_OK, ARGS_HELP, ARGS_BAD };

/* Parses argv[1..]. Options may stand between operands; "--" ends them; "--name=value" and "-ovalue" work.
 * operands[] (room for argc) receives the rest. ARGS_HELP: usage was printed on stdout; the caller exits 0.
 * ARGS_BAD: *err is ERROR_USAGE and names the option, its text and what was expected. */
enum args_result args_parse(const struct arg_command *c, int argc, char **argv, const char **operands,
                            int *operand_count, struct error *err);

void args_usage(const struct arg_command *c);

#endif

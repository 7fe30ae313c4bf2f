/* error - what went wrong, as a value: a kind for code, a text for people. */
#ifndef SHOTLINE_BASE_ERROR_H
#define SHOTLINE_BASE_ERROR_H

#include <stdbool.h>

enum error_kind {
    ERROR_NONE = 0,
    ERROR_USAGE,       /* the person asked for something that cannot be: exit code 2 */
    ERROR_INPUT,       /* bad bytes from a file, the wire or a model */
    ERROR_IO,          /* the operating system refused: missing file, full disk, broken socket */
    ERROR_MEMORY,      /* host or device memory ran out: try a leaner profile */
    ERROR_DEVICE,      /* the GPU or its driver failed */
    ERROR_UNREACHABLE, /* nobody answers: trying again later may help */
    ERROR_CANCELLED,   /* stopped on request */
    ERROR_INTERNAL,    /* a broken promise that was caught */
};

struct error {
    enum error_kind kind;
    char text[512];
};

/* Fills *err (NULL allowed) and returns false, so that `return error_set(...)` reads well. */
bool error_set(struct error *err, enum error_kind kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "CONTEXT: " in front of the text; returns false. */
bool error_wrap(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The process exit code for an error: 2 for misuse, 1 for failure. */
int error_exit_code(const struct error *err);

const char *error_kind_name(enum error_kind kind);

#endif

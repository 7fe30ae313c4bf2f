/* variables - ${name} in a campaign's texts: lists of values that span a matrix of videos, and templates that stand for
 * a text. */
#ifndef SHOTLINE_CLIENT_VARIABLES_H
#define SHOTLINE_CLIENT_VARIABLES_H

#include "common/base/config.h"
#include "common/base/str.h"

#include <stddef.h>

#define VARIABLES_MAX 16

struct variable {
    const char *name;
    const struct config_node *values; /* a non-empty list of texts */
};

/* Borrowed from the config. */
struct variables {
    struct variable list[VARIABLES_MAX];
    size_t count;
    const struct config_node *templates; /* a group of texts; NULL: none */
};

/* Reads the groups `variables` and `templates` (either may be NULL). */
bool variables_read(struct variables *v, const struct config_node *lists, const struct config_node *templates,
                    struct error *err);

/* One point of the matrix: which value each variable has. `used` says which ones the texts name. */
struct variables_choice {
    bool used[VARIABLES_MAX];
    size_t value[VARIABLES_MAX];
};

/* Marks the variables that a text names, directly or through a template. `node` is where the text stands. */
bool variables_mark(const struct variables *v, const struct config_node *node, struct variables_choice *choice,
                    struct error *err);

/* Steps to the next point (the last variable runs fastest); false after the last one. */
bool variables_next(const struct variables *v, struct variables_choice *choice);

/* The number of points that the used variables span. */
size_t variables_points(const struct variables *v, const struct variables_choice *choice);

/* Puts the text with its values filled in. `as_name`: values become file-name parts ("Red Cup" -> "red-cup"). The text
 * was marked before. */
void variables_expand(const struct variables *v, const char *text, const struct variables_choice *choice, bool as_name,
                      struct str *to);

#endif

/* config - a libconfig file as a checked tree: every error names file and line, unknown keys included.
 *
 * @include is refused; an integer that does not fit is refused and not wrapped. */
#ifndef SHOTLINE_BASE_CONFIG_H
#define SHOTLINE_BASE_CONFIG_H

#include "common/base/error.h"

#include <stddef.h>
#include <stdint.h>

struct config;      /* one parsed file */
struct config_node; /* a group, list or value inside it, borrowed from the config */

struct config *config_open(const char *path, struct error *err);
struct config *config_parse(const char *text, const char *path, struct error *err); /* path: for messages only */
void config_close(struct config **c);

const struct config_node *config_root(const struct config *c);

/* Children; NULL when absent (no error). */
const struct config_node *config_get(const struct config_node *group, const char *key);
size_t config_count(const struct config_node *node); /* of a group, list or array; else 0 */
const struct config_node *config_at(const struct config_node *node, size_t index);
const char *config_name(const struct config_node *node); /* NULL for list elements */
bool config_is_group(const struct config_node *node);
bool config_is_list(const struct config_node *node); /* list or array */
int config_line(const struct config_node *node);

/* Typed reads of a node; false with *err "FILE:LINE: KEY: expected ..., found ...". */
bool config_text(const struct config_node *node, const char **value, struct error *err);
bool config_int(const struct config_node *node, int64_t min, int64_t max, int64_t *value, struct error *err);
bool config_uint64(const struct config_node *node, uint64_t *value,
                   struct error *err); /* also "0x..." or decimal text */
bool config_number(const struct config_node *node, double min, double max, double *value, struct error *err);

/* Fails on the first child whose key is not in the NULL-terminated list, naming its line and the keys allowed. */
bool config_only_keys(const struct config_node *group, const char *const *keys, struct error *err);

/* "FILE:LINE: " + message, for the caller's own checks; returns false. */
bool config_fail(const struct config_node *node, struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif

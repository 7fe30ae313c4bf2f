/* regex - a pattern of a tokenizer.json, over PCRE2 with UTF-8 and Unicode classes. */
#ifndef SHOTLINE_NN_REGEX_H
#define SHOTLINE_NN_REGEX_H

#include "common/base/error.h"

#include <stddef.h>
#include <stdint.h>

struct regex;

/* `literal`: the pattern is plain text. NULL on failure, with the place in the pattern. */
struct regex *regex_open(const char *pattern, size_t size, bool literal, struct error *err);
void regex_close(struct regex **r);

/* Calls `found` for each match from left to right, empty ones included, but for one that stands where the match before
 * it ended. False when matching was given up (a pattern that backtracks without end). `text` is valid UTF-8. */
bool regex_each(const struct regex *r, const char *text, size_t size,
                void (*found)(void *with, size_t first, size_t end), void *with, struct error *err);

#endif

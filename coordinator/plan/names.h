/* names - where a prompt speaks of the campaign's cast.
 *
 * A campaign names its cast freely, so a small model cannot know the names. It reads the words of the pack's "alias"
 * in their place (packs/README.md), and whoever is named is known for certain, whatever the model makes of it. Pure. */
#ifndef SHOTLINE_COORDINATOR_PLAN_NAMES_H
#define SHOTLINE_COORDINATOR_PLAN_NAMES_H

#include "coordinator/plan/grammar.h"

/* Marks the members whose id stands in the prompt, and appends the prompt as the model reads it: with alias[i] in place
 * of cast[i].id, or unchanged when `alias` is NULL (else it has `count` entries). An id counts as a whole word, in
 * capitals or small (an id of one letter only as it is written); its - and _ may also be each other, or spaces; the
 * longest id that fits is meant. The prompt is valid UTF-8. A word of `alias` that the prompt itself contains is
 * parted. */
void names_read(const char *prompt, const char *const *alias, struct given_member *cast, size_t count, struct str *to);

/* Appends a text in which no alias stands. */
void names_part(const char *text, const char *const *alias, size_t count, struct str *to);

#endif

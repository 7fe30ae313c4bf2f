/* text - words from outside, made fit for logs and messages. */
#ifndef SHOTLINE_COORDINATOR_FARM_TEXT_H
#define SHOTLINE_COORDINATOR_FARM_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Copies with truncation; control characters, quotes and bytes beyond ASCII become '?', so that a log line stays one
 * line. */
void text_clean(char *to, size_t room, const char *from);

/* Valid UTF-8 without control characters. */
bool text_is_plain(const char *text);

#endif

/* unicode - what tokenizers and prompt cleaning ask of Unicode, over utf8proc: UTF-8, white space, normal forms,
 * clusters.
 *
 * Texts are UTF-8 that utf8_check has passed; functions then never fail. */
#ifndef SHOTLINE_NN_UNICODE_H
#define SHOTLINE_NN_UNICODE_H

#include "common/base/error.h"
#include "common/base/str.h"

#include <stdint.h>

/* ERROR_INPUT, naming the byte, when `text` is not UTF-8 (surrogates and overlong forms included). */
bool utf8_check(const char *text, size_t size, struct error *err);
/* The bytes of the character that starts here (`size` > 0); *c is its code point. */
size_t utf8_next(const char *text, size_t size, uint32_t *c);
/* The bytes of the character that ends at `size` (> 0). */
size_t utf8_last(const char *text, size_t size, uint32_t *c);
void utf8_append(struct str *s, uint32_t c);

bool unicode_is_space(uint32_t c); /* the White_Space property */
bool unicode_is_word(uint32_t c);  /* \w: letters, marks, decimal digits, connectors */

enum normal_form { NORMAL_NFC, NORMAL_NFD, NORMAL_NFKC, NORMAL_NFKD };
void unicode_normalize(enum normal_form form, const char *text, size_t size, struct str *to);
void unicode_lower(const char *text, size_t size, struct str *to);

/* The bytes of the extended grapheme cluster that starts here (`size` > 0). */
size_t unicode_cluster(const char *text, size_t size);

#endif

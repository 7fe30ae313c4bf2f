/* html_entities - the named character references of HTML (WHATWG), with and without their semicolon. */
#ifndef SHOTLINE_NN_HTML_ENTITIES_H
#define SHOTLINE_NN_HTML_ENTITIES_H

#include <stddef.h>

#define HTML_ENTITY_LONGEST 32 /* bytes of a name */

/* The text of the longest reference whose name `text` (what follows '&') begins with; *used is the name's length. NULL:
 * none. */
const char *html_entity(const char *text, size_t size, size_t *used);

#endif

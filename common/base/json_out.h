/* json_out - JSON text written piece by piece, with no tree in between: for texts that are written all the time.
 *
 * Two layouts, byte for byte those of Jansson: indented by two spaces with the members as they come (a manifest), or
 * canonical: no spaces, and the members of each object sorted (what is hashed). */
#ifndef SHOTLINE_BASE_JSON_OUT_H
#define SHOTLINE_BASE_JSON_OUT_H

#include "common/base/str.h"

#include <stdint.h>

#define JSON_OUT_DEPTH   16
#define JSON_OUT_MEMBERS 32 /* of all canonical objects that are open at a time */

struct json_out {
    struct str *to; /* appended to */
    bool canonical;

    /* Private. */
    uint32_t depth, count;
    struct json_level {
        bool object, filled;
        uint32_t first; /* member */
    } levels[JSON_OUT_DEPTH];
    struct json_member {
        const char *key;
        size_t begin;
    } members[JSON_OUT_MEMBERS];
};

/* `key`: of a member of an object, plain text that stays until the object ends; NULL in a list and for the whole. */
void json_out_object(struct json_out *o, const char *key);
void json_out_list(struct json_out *o, const char *key);
void json_out_end(struct json_out *o); /* of the object or list that was begun last */

void json_out_text(struct json_out *o, const char *key, const char *text); /* valid UTF-8 */
void json_out_int(struct json_out *o, const char *key, int64_t value);
void json_out_real(struct json_out *o, const char *key,
                   double value); /* no NAN; reads back to the same double, or the largest */
void json_out_bool(struct json_out *o, const char *key, bool value);
/* Any JSON, laid out anew when indented. Canonical: it must be so already. */
void json_out_json(struct json_out *o, const char *key, const char *text);

#endif

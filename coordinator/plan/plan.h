/* plan - the shot list of one video: who plays, and every shot with its place, camera, actors and length.
 *
 * Made by the planner, or written by a person and checked here. Its canonical text (one line of JSON, packs/README.md)
 * is what is stored, shown and hashed. Pure. */
#ifndef SHOTLINE_COORDINATOR_PLAN_PLAN_H
#define SHOTLINE_COORDINATOR_PLAN_PLAN_H

#include "common/base/hash.h"
#include "coordinator/plan/grammar.h"

#define PLAN_MAX_SHOTS 1000

struct plan_member {
    const char *id, *kind, *phrase;
};

struct plan_actor {
    int member; /* index into the plan's cast */
    const char *action;
};

struct plan_shot {
    int scene;                                 /* from 1 */
    const char *fields[FIELD_COUNT];           /* place, light, size, angle, camera, transition */
    struct plan_actor actors[PLAN_MAX_ACTORS]; /* in order of entrance */
    int actor_count;
    int64_t duration_ms;
    int match; /* 0, or the number (from 1) of an earlier shot */
};

struct plan {
    struct arena arena; /* holds all that follows */
    size_t member_count;
    struct plan_member *members;
    size_t shot_count;
    struct plan_shot *shots;
    int64_t duration_ms; /* of all shots together */
};

/* Reads and checks a plan. `asked_ms` is what the durations must add up to (0: any length). False with *err naming shot
 * and field
 * ("shot 2: place: ..."); *p is then empty. */
bool plan_parse(struct plan *p, const char *json, size_t size, const struct grammar *g, int64_t asked_ms,
                struct error *err);
void plan_free(struct plan *p);

/* Appends the canonical text. */
void plan_write(const struct plan *p, struct str *to);
struct digest plan_digest(const struct plan *p); /* of the canonical text */

/* Appends what the painter reads for shots[index]: "SIZE of PHRASE ACTION[ and PHRASE ACTION], PLACE, LIGHT[, ANGLE],
 * CAMERA". */
void plan_prompt(const struct plan *p, size_t index, const struct grammar *g, struct str *to);

#endif

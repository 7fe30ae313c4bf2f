/* intake - a campaign from outside: every field checked before anything believes it. Errors name the field:
 * "videos[2].crf: 99, expected 0 to 51". */
#ifndef SHOTLINE_COORDINATOR_FARM_INTAKE_H
#define SHOTLINE_COORDINATOR_FARM_INTAKE_H

#include "common/base/error.h"
#include "common/wire/store_dir.h"
#include "coordinator/core/job.h"
#include "coordinator/plan/grammar.h"
#include "proto/types.pb-c.h"

#define INTAKE_MAX_VIDEOS       500
#define INTAKE_MAX_CAST         PLAN_MAX_CAST
#define INTAKE_MAX_PROMPT       4000 /* bytes */
#define INTAKE_LONGEST_MS       120000
#define INTAKE_LARGEST_SIZE     4096 /* pixels */
#define INTAKE_LARGEST_MANIFEST (64u << 20)

struct intake {
    const struct grammar *grammar;
    struct store_dir *manifests; /* where the manifest of a verification is; NULL: none is taken */
    struct store_dir
        *blobs; /* where reference images must be; NULL: not looked for (a campaign that was accepted before) */
};

/* A new campaign without ids. NULL with *err (ERROR_INPUT). */
struct campaign *intake_campaign(const struct intake *in, const Shotline__Campaign *m, struct error *err);

/* One video with its cast, to be planned only: a campaign of one video that is never stored. */
struct campaign *intake_video(const struct intake *in, const Shotline__VideoRequest *video,
                              Shotline__CastMember *const *cast, size_t cast_count, struct error *err);

/* The campaign's members as the planner takes them, in the campaign's arena. */
struct given_member *intake_members(struct campaign *c);

#endif

/* campaign - what a user submits, read from a libconfig file into the message that goes to a farm. See
 * deploy/example.cfg for every key.
 *
 * Pure but for reading files: nothing is sent here. Paths in a campaign are relative to its file. */
#ifndef SHOTLINE_CLIENT_CAMPAIGN_H
#define SHOTLINE_CLIENT_CAMPAIGN_H

#include "common/base/arena.h"
#include "common/base/error.h"
#include "proto/client.pb-c.h"

#include <stdint.h>

struct campaign {
    struct arena arena;         /* owns everything below */
    Shotline__Campaign message; /* without token and without the digests of images */
    const char **images;        /* per cast member: the file to upload first, or NULL */
    const char *pack;           /* the pack's folder; NULL: none was named */
};

/* What the command line says for videos that say nothing themselves. */
struct campaign_wishes {
    bool has_seed;
    uint64_t seed;        /* in the place of the campaign's seed */
    uint32_t duration_ms; /* 0: six seconds */
    /* Folders outside its own that a campaign file may name files of, and packs; see paths.h. */
    const char *allowed, *allowed_packs;
};

/* A farm refuses what is beyond these; here the message names the place in the file, before anything is started. */
#define CAMPAIGN_DURATION_MS   6000u
#define CAMPAIGN_SHORTEST_MS   500.0
#define CAMPAIGN_LONGEST_MS    120000.0
#define CAMPAIGN_MAX_VIDEOS    500u
#define CAMPAIGN_LARGEST_SIDE  4096
#define CAMPAIGN_MOST_TAKES    8
#define CAMPAIGN_LARGEST_IMAGE (64u << 20)

bool campaign_load(struct campaign *c, const char *path, const struct campaign_wishes *wishes, struct error *err);

/* A campaign of one video, without a file. */
struct campaign_single {
    const char *name;
    const char *prompt; /* exactly one of prompt and plan_path */
    const char *plan_path;
    uint32_t width, height; /* 0: the pack's */
};
bool campaign_from_single(struct campaign *c, const struct campaign_single *s, const struct campaign_wishes *wishes,
                          struct error *err);

void campaign_free(struct campaign *c);

#endif

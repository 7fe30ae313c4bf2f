/* pack - a model folder's own description: shotline.json, and the digest that names the whole pack. */
#ifndef SHOTLINE_NN_PACK_H
#define SHOTLINE_NN_PACK_H

#include "common/base/error.h"
#include "common/base/hash.h"

#include <stdint.h>

/* shotline.json, see packs/README.md */
struct pack_defaults {
    char name[64];
    int width, height, fps;
    int steps;
    double guidance_scale;
    int handoff_step;
    int window, overlap, longest_shot; /* latent frames */
    int references;
    char reference_suffix[128];
    int max_sequence_length;
    char negative_prompt[512];
};

/* Reads and checks DIR/shotline.json: all keys, ranges, and that they fit each other. */
bool pack_defaults_load(struct pack_defaults *p, const char *dir, struct error *err);

/* One file of a pack, for transfer and for the pack's digest. */
struct pack_file {
    char path[256]; /* relative, with '/' */
    int64_t bytes;
    struct digest digest;
};

struct pack_listing {
    struct pack_file *files; /* sorted by path */
    size_t count;
    struct digest digest;    /* over the sorted (path, digest) list */
};

/* Lists and hashes every regular file below DIR (hidden files, README* and LICENSE* are not part of a pack's identity and are left out). */
bool pack_list(struct pack_listing *l, const char *dir, struct error *err);
/* The digest of a listing whose files are already filled in. */
struct digest pack_listing_digest(const struct pack_listing *l);
void pack_listing_free(struct pack_listing *l);

/* Checks that the folder has every component that a render needs, with readable configs and all tensors of the right shapes
 * (each model's own *_check does the latter; this checks files and classes). */
bool pack_check_files(const char *dir, bool with_planner, struct error *err);

#endif

/* pack - a model folder's own description: shotline.json, and the digest that names the whole pack. */
#ifndef SHOTLINE_NN_PACK_H
#define SHOTLINE_NN_PACK_H

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/json.h"

#include <stdint.h>

enum { PACK_VAE_MAX_LEVELS = 8 };

/* Frames and pixels of one latent of the pack's VAE: a shot of n latent frames has time_stride * (n - 1) + 1 frames. */
struct pack_strides {
    int time, space;
};

/* From a VAE's config, already parsed: `patch_size`, `dim_mult` (at most PACK_VAE_MAX_LEVELS), `temperal_downsample`.
 * On failure the reader says so.
 */
struct pack_strides pack_vae_strides(struct json_reader *r, const json_t *config);

/* shotline.json, see packs/README.md, and what its numbers are counted in. */
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
    struct pack_strides strides; /* of vae/config.json */
};

/* Reads and checks DIR/shotline.json: all keys, ranges, that they fit each other and DIR/vae/config.json. */
bool pack_defaults_load(struct pack_defaults *p, const char *dir, struct error *err);

/* Width and height must be multiples of this: the painter folds 2 x 2 latents into a token. */
static inline int pack_size_multiple(const struct pack_defaults *p)
{
    return 2 * p->strides.space;
}

/* One file of a pack, for transfer and for the pack's digest. */
struct pack_file {
    char path[256]; /* relative, with '/' */
    int64_t bytes;
    struct digest digest;
};

struct pack_listing {
    struct pack_file *files; /* sorted by path */
    size_t count;
    struct digest digest; /* over the sorted (path, digest) list */
};

/* Lists and hashes every regular file below DIR (hidden files, README*, LICENSE* and gates.json, which only judges, are
 * not part of a pack's identity and are left out). */
bool pack_list(struct pack_listing *l, const char *dir, struct error *err);
/* The digest of a listing whose files are already filled in. */
struct digest pack_listing_digest(const struct pack_listing *l);
void pack_listing_free(struct pack_listing *l);

/* Checks that the folder has every component that a render needs, with readable configs and all tensors of the right
 * shapes (each model's own *_check does the latter; this checks files and classes). */
bool pack_check_files(const char *dir, bool with_planner, struct error *err);

#endif

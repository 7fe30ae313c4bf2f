/* manifest - the record from which a video can be made again, byte for byte. Pure.
 *
 * It says what was computed and what came out, and nothing of when, where or in how many attempts: two runs of the same
 * campaign give the same text. */
#ifndef SHOTLINE_COORDINATOR_CORE_MANIFEST_H
#define SHOTLINE_COORDINATOR_CORE_MANIFEST_H

#include "common/base/error.h"
#include "common/base/str.h"
#include "common/nn/pack.h"
#include "coordinator/core/gates.h"
#include "coordinator/core/job.h"
#include "coordinator/core/key.h"

struct manifest_input {
    const struct video *video; /* all tasks done */
    const struct key_context *keys;
    const struct pack_defaults *pack;
    const struct pack_listing *listing;
    const struct gate_limits *gates;
};

/* Replaces what is in *to. */
void manifest_write(const struct manifest_input *in, struct str *to);

/* ---- reading one ---- */

struct manifest_ref {
    enum input_slot slot;
    struct digest digest;
};
struct manifest_task {
    enum task_kind kind;
    enum task_role role;
    uint32_t shot;
    struct digest key;      /* as it says */
    struct digest real_key; /* as its parameters and inputs make it */
    const json_t *params;
    struct manifest_ref *inputs;
    size_t input_count;
    struct task_output outputs[TASK_MAX_OUTPUTS];
    uint32_t output_count;
};
struct manifest {
    json_t *json; /* owns what the texts point to */
    struct arena arena;
    const char *name, *pack_name;
    struct key_context keys;
    struct digest video_digest;
    struct manifest_task *tasks; /* in the order of making: what an input names was made before, or was given */
    size_t task_count;
};
/* False with *err (ERROR_INPUT) when the text is no manifest; whether the keys are right is left to the caller. `where`
 * is for messages. */
bool manifest_read(struct manifest *m, const char *text, size_t size, const char *where, struct error *err);
void manifest_free(struct manifest *m);

#endif

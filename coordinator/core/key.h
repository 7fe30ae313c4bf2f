/* key - the name of a task's work: same key, same bytes. A digest of what the task computes, of what from, and of what
 * defines the arithmetic. */
#ifndef SHOTLINE_COORDINATOR_CORE_KEY_H
#define SHOTLINE_COORDINATOR_CORE_KEY_H

#include "coordinator/core/job.h"

#include "common/base/json.h"
#include "common/base/json_out.h"

/* What every task of a farm has in common. */
struct key_context {
    struct digest pack;
    uint32_t version; /* of the arithmetic: KERNEL_SET_VERSION */
};

/* The parameters without inputs, an object: what the key hashes (canonical) and the manifest shows. */
void task_params(const struct task *t, const char *name, struct json_out *o);

/* The key from its parts, for who has no task but a record of one. Between them: key_input for each input, in order.
 * `params`: canonical. */
struct hash key_begin(const char *kind, const struct key_context *c, const char *params, size_t input_count);
void key_input(struct hash *key, const char *slot, const struct digest *d);

/* All inputs must be known. */
struct digest task_key(const struct task *t, const struct key_context *c);

/* A deterministic text of a JSON value: sorted keys, no spaces, numbers that read back to the same double. Free it. */
char *json_canonical(const json_t *value);

#endif

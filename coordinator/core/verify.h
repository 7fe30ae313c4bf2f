/* verify - a finished video's manifest as tasks to be made again, and what came out of them. Pure.
 *
 * A verification is a campaign of one video whose tasks are those of the manifest. The chosen ones run whatever the
 * cache says, each from the inputs that the manifest names; their outputs are compared with the manifest's, and are
 * never a result: nothing is written over, and whoever needs the task's output goes on with what the manifest says. A
 * task that was not chosen is taken as done, and made again too when its bytes are no longer here. */
#ifndef SHOTLINE_COORDINATOR_CORE_VERIFY_H
#define SHOTLINE_COORDINATOR_CORE_VERIFY_H

#include "common/base/error.h"
#include "coordinator/core/job.h"
#include "coordinator/core/key.h"

/* Compiles the video of a verification from the manifest's text. Refused (ERROR_INPUT): another pack or kernel set than
 * the farm's, a key that is not of its task, a choice beyond its tasks. */
bool verify_compile(struct video *v, const char *manifest, const struct key_context *farm, struct error *err);

/* A task of a verification was made again: notes in t->trouble what is different, or that nothing is. */
void verify_judge(struct task *t, const struct task_output *outputs, uint32_t count);

enum verdict {
    VERDICT_OPEN = 1, /* not made again yet */
    VERDICT_NOT_CHOSEN,
    VERDICT_SAME,
    VERDICT_DIFFERENT,
    VERDICT_UNMADE, /* it failed, or its inputs could not be made again */
};
enum verdict verify_verdict(const struct task *t);
/* Tasks with that verdict. */
uint32_t verify_count(const struct video *v, enum verdict verdict);

#endif

#include "coordinator/core/job.h"

#include <string.h>

#define NAME_OF(table, i) ((size_t)(i) < sizeof(table) / sizeof *(table) && (table)[i] ? (table)[i] : "unknown")

const char *task_kind_name(enum task_kind k)
{
    static const char *const names[] = { [TASK_TEXT] = "text",
                                         [TASK_CAST] = "cast",
                                         [TASK_DENOISE] = "denoise",
                                         [TASK_DECODE] = "decode",
                                         [TASK_STITCH] = "stitch" };
    return NAME_OF(names, k);
}

const char *task_role_name(enum task_role r)
{
    static const char *const names[] = {
        [ROLE_NONE] = "", [ROLE_WHOLE] = "whole", [ROLE_ANCHOR] = "anchor", [ROLE_RANGE] = "range"
    };
    return NAME_OF(names, r);
}

const char *task_state_name(enum task_state s)
{
    static const char *const names[] = {
        [TASK_WAITING] = "waiting", [TASK_READY] = "ready",   [TASK_RUNNING] = "running",
        [TASK_DONE] = "done",       [TASK_FAILED] = "failed", [TASK_CANCELLED] = "cancelled"
    };
    return NAME_OF(names, s);
}

const char *work_state_name(enum work_state s)
{
    static const char *const names[] = {
        [WORK_PLANNING] = "planning", [WORK_WAITING] = "waiting", [WORK_RUNNING] = "running",
        [WORK_DONE] = "done",         [WORK_FAILED] = "failed",   [WORK_CANCELLED] = "cancelled"
    };
    return NAME_OF(names, s);
}

const char *profile_name(enum profile p)
{
    return p == PROFILE_LEAN ? "lean" : "usual";
}

const char *failure_name(enum failure f)
{
    static const char *const names[] = { [FAILURE_MEMORY] = "memory",
                                         [FAILURE_INPUT] = "input",
                                         [FAILURE_WORKER] = "worker",
                                         [FAILURE_CANCELLED] = "cancelled" };
    return NAME_OF(names, f);
}

const char *task_reason_name(enum task_reason r)
{
    static const char *const names[] = {
        [REASON_NONE] = "nothing is known",
        [REASON_INPUTS] = "waits for its inputs",
        [REASON_TWIN] = "waits for the same work of another video",
        [REASON_NO_WORKER] = "no worker is connected",
        [REASON_ALL_BUSY] = "waits for a free worker",
        [REASON_NOT_ASKING] = "its workers do not ask for work yet",
        [REASON_FASTER_SOON] = "waits for a faster worker",
        [REASON_SET_ASIDE] = "its workers are set aside after failures",
        [REASON_TOO_SMALL] = "no connected worker has enough memory",
        [REASON_FAILED_ON_THEM] = "failed on every connected worker",
        [REASON_FAIR_SHARE] = "waits for a free worker, other campaigns go first",
        [REASON_RUNNING] = "runs",
        [REASON_UNHEARD] = "runs, and its worker is silent",
        [REASON_DONE] = "done",
        [REASON_CACHED] = "done from the cache",
        [REASON_LOST] = "too many workers were lost while they ran it",
        [REASON_BAD_INPUT] = "its inputs cannot be used",
        [REASON_FAILED_EVERYWHERE] = "failed on too many workers",
        [REASON_NO_MEMORY] = "no worker has enough memory",
        [REASON_TIMED_OUT] = "took too long again and again",
        [REASON_INPUT_GONE] = "an input is no longer stored",
        [REASON_CANCELLED] = "cancelled",
        [REASON_VIDEO_FAILED] = "its video failed by another task",
    };
    return NAME_OF(names, r);
}

static const char *const output_names[] = {
    [OUTPUT_EMBEDDING] = "embedding", [OUTPUT_IDENTITY] = "identity",   [OUTPUT_PREVIEW] = "preview",
    [OUTPUT_STATE] = "state",         [OUTPUT_LATENTS] = "latents",     [OUTPUT_MEZZANINE] = "mezzanine",
    [OUTPUT_FRAMES] = "frames",       [OUTPUT_THUMBNAIL] = "thumbnail", [OUTPUT_SCORES] = "scores",
    [OUTPUT_VIDEO] = "video",
};

const char *output_text(enum output_name n)
{
    return NAME_OF(output_names, n);
}

bool output_from_text(enum output_name *n, const char *text)
{
    for (size_t i = 1; i < sizeof output_names / sizeof *output_names; i++)
        if (!strcmp(output_names[i], text)) {
            *n = (enum output_name)i;
            return true;
        }
    return false;
}

const char *input_slot_name(enum input_slot s)
{
    static const char *const names[] = { [INPUT_TEXT] = "text",         [INPUT_NEGATIVE_TEXT] = "negative_text",
                                         [INPUT_IDENTITY] = "identity", [INPUT_STATE] = "state",
                                         [INPUT_LATENTS] = "latents",   [INPUT_MEZZANINE] = "mezzanine",
                                         [INPUT_IMAGE] = "image" };
    return NAME_OF(names, s);
}

bool task_kind_from_text(enum task_kind *k, const char *text)
{
    for (*k = TASK_TEXT; *k <= TASK_STITCH; ++*k)
        if (!strcmp(task_kind_name(*k), text))
            return true;
    return false;
}

bool task_role_from_text(enum task_role *r, const char *text)
{
    for (*r = ROLE_NONE; *r <= ROLE_RANGE; ++*r)
        if (!strcmp(task_role_name(*r), text))
            return true;
    return false;
}

bool input_slot_from_text(enum input_slot *s, const char *text)
{
    for (*s = INPUT_TEXT; *s <= INPUT_IMAGE; ++*s)
        if (!strcmp(input_slot_name(*s), text))
            return true;
    return false;
}

bool output_required(enum task_kind k, enum task_role r, enum output_name n)
{
    switch (k) {
    case TASK_TEXT:
        return n == OUTPUT_EMBEDDING;
    case TASK_CAST:
        return n == OUTPUT_IDENTITY;
    case TASK_DENOISE:
        return n == (r == ROLE_ANCHOR ? OUTPUT_STATE : OUTPUT_LATENTS);
    case TASK_DECODE:
        return n == OUTPUT_LATENTS || n == OUTPUT_MEZZANINE || n == OUTPUT_FRAMES || n == OUTPUT_SCORES;
    case TASK_STITCH:
        return n == OUTPUT_VIDEO;
    }
    return false;
}

bool output_allowed(enum task_kind k, enum task_role r, enum output_name n)
{
    return output_required(k, r, n) || (k == TASK_CAST && n == OUTPUT_PREVIEW) ||
           (k == TASK_DECODE && n == OUTPUT_THUMBNAIL);
}

int64_t task_footprint(const struct task *t)
{
    switch (t->kind) {
    case TASK_CAST:
        return (int64_t)t->cast.width * t->cast.height;
    case TASK_DENOISE:
        return (int64_t)t->denoise.width * t->denoise.height * t->denoise.window_count;
    case TASK_DECODE:
        return (int64_t)t->decode.width * t->decode.height;
    case TASK_TEXT:
    case TASK_STITCH:
        break;
    }
    return 1; /* of one size */
}

double task_attempt_work(const struct task *t)
{
    const struct denoise_params *p = &t->denoise;
    int left;

    if (t->kind != TASK_DENOISE)
        return t->work;
    left = t->step_count                         ? (int)t->step_count
           : (int)t->resumed_step > p->step_from ? p->step_to - (int)t->resumed_step
                                                 : p->step_to - p->step_from;
    return left < p->step_to - p->step_from ? t->work * left / (p->step_to - p->step_from) : t->work;
}

bool work_ended(enum work_state s)
{
    return s == WORK_DONE || s == WORK_FAILED || s == WORK_CANCELLED;
}

bool task_ended(enum task_state s)
{
    return s == TASK_DONE || s == TASK_FAILED || s == TASK_CANCELLED;
}

const struct blob_ref *task_find_output(const struct task *t, enum output_name n)
{
    for (uint32_t i = 0; i < t->output_count; i++)
        if (t->outputs[i].name == n)
            return &t->outputs[i].blob;
    return NULL;
}

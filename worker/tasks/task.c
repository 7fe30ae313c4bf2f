#include "worker/tasks/task.h"

#include "common/base/log.h"
#include "worker/tasks/task_internal.h"

#include <string.h>

bool task_check(const char *name, int64_t v, int64_t min, int64_t max, struct error *err)
{
    return (v >= min && v <= max) || error_set(err, ERROR_INPUT, "%s is %lld, expected %lld to %lld", name,
                                               (long long)v, (long long)min, (long long)max);
}

bool task_check_size(const struct task_run *run, uint32_t width, uint32_t height, struct error *err)
{
    const uint32_t patch = (uint32_t)pack_size_multiple(studio_defaults(run->studio)), most = 4096;
    if (width < patch || height < patch || width > most || height > most || width % patch || height % patch)
        return error_set(err, ERROR_INPUT, "size is %ux%u, expected multiples of %u, %u to %u", width, height, patch,
                         patch, most);
    return true;
}

int task_latents(const struct task_run *run, uint32_t pixels)
{
    return (int)pixels / studio_defaults(run->studio)->strides.space;
}

bool task_cancelled(const struct task_run *run, struct error *err)
{
    if (!run->cancel || !atomic_load(run->cancel))
        return false;
    error_set(err, ERROR_CANCELLED, "cancelled");
    return true;
}

void task_progress(const struct task_run *run, uint32_t step, uint32_t steps)
{
    if (run->progress)
        run->progress(run->context, step, steps);
}

static bool dispatch(const struct task_run *run, const Shotline__TaskSpec *spec, struct task_outputs *out,
                     struct error *err)
{
    if (spec->numerics != SHOTLINE__NUMERICS__NUMERICS_EXACT)
        return error_set(err, ERROR_INPUT, "numerics %d, expected exact: this worker has no other",
                         (int)spec->numerics);
    switch (spec->kind) {
    case SHOTLINE__TASK_KIND__TASK_TEXT:
        return spec->text ? task_text_run(run, spec->text, out, err) || error_wrap(err, "text")
                          : error_set(err, ERROR_INPUT, "text: the task says nothing");
    case SHOTLINE__TASK_KIND__TASK_CAST:
        return spec->cast ? task_cast_run(run, spec->cast, out, err) || error_wrap(err, "cast")
                          : error_set(err, ERROR_INPUT, "cast: the task says nothing");
    case SHOTLINE__TASK_KIND__TASK_DENOISE:
        return spec->denoise ? task_denoise_run(run, spec->denoise, out, err) || error_wrap(err, "denoise")
                             : error_set(err, ERROR_INPUT, "denoise: the task says nothing");
    case SHOTLINE__TASK_KIND__TASK_DECODE:
        return spec->decode ? task_decode_run(run, spec->decode, out, err) || error_wrap(err, "decode")
                            : error_set(err, ERROR_INPUT, "decode: the task says nothing");
    case SHOTLINE__TASK_KIND__TASK_STITCH:
        return spec->stitch ? task_stitch_run(run, spec->stitch, out, err) || error_wrap(err, "stitch")
                            : error_set(err, ERROR_INPUT, "stitch: the task says nothing");
    default:
        return error_set(err, ERROR_INPUT, "task kind %d is not known", (int)spec->kind);
    }
}

bool task_execute(const struct task_run *run, const Shotline__TaskSpec *spec, struct task_outputs *out,
                  struct error *err)
{
    const bool lean = spec->profile == SHOTLINE__PROFILE__PROFILE_LEAN;
    *out = (struct task_outputs){ 0 };
    if (!lean && spec->profile != SHOTLINE__PROFILE__PROFILE_USUAL)
        return error_set(err, ERROR_INPUT, "profile %d, expected usual or lean", (int)spec->profile);
    bool others = studio_enter(run->studio, lean);
    bool done = dispatch(run, spec, out, err);
    if (!done && err->kind == ERROR_MEMORY && others) {
        /* Models of earlier tasks were in the way. A task is pure: it begins again with the device to itself. */
        log_info("task.again", "reason=\"%s\"", err->text);
        studio_clear(run->studio);
        *out = (struct task_outputs){ 0 };
        done = dispatch(run, spec, out, err);
    }
    if (!done && err->kind == ERROR_MEMORY)
        studio_clear(run->studio); /* what it left is of no use to the next one */
    return done;
}

/* ---- inputs ---- */

struct input_list {
    struct digest *inputs;
    size_t count, room;
};

static void note(struct input_list *l, const Shotline__Blob *b)
{
    if (b && b->digest.len == DIGEST_BYTES && l->count < l->room)
        memcpy(l->inputs[l->count++].bytes, b->digest.data, DIGEST_BYTES);
}

size_t task_inputs(const Shotline__TaskSpec *spec, struct digest *inputs, size_t room)
{
    struct input_list l = { .inputs = inputs, .room = room };
    if (spec->cast) {
        note(&l, spec->cast->image);
        note(&l, spec->cast->text);
        note(&l, spec->cast->negative_text);
    }
    if (spec->denoise) {
        note(&l, spec->denoise->text);
        note(&l, spec->denoise->negative_text);
        for (size_t i = 0; i < spec->denoise->n_identities; i++)
            note(&l, spec->denoise->identities[i]);
        note(&l, spec->denoise->state);
    }
    for (size_t i = 0; spec->decode && i < spec->decode->n_ranges; i++)
        note(&l, spec->decode->ranges[i]->latents);
    for (size_t i = 0; spec->decode && i < spec->decode->n_identities; i++)
        note(&l, spec->decode->identities[i]);
    for (size_t i = 0; spec->stitch && i < spec->stitch->n_shots; i++)
        note(&l, spec->stitch->shots[i]->mezzanine);
    return l.count;
}

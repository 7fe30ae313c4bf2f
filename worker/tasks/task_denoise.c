/* task_denoise - a window of a shot, from one step to another. The anchor is the whole shot up to the hand-off; a range
 * is one window from there to the end. */
#include "worker/tasks/denoise.h"
#include "worker/tasks/noise.h"
#include "worker/tasks/task_internal.h"

#include "common/base/arena.h"

#include <stdlib.h>
#include <string.h>

static bool check(const struct task_run *run, const Shotline__DenoiseTask *t, struct error *err)
{
    if (!task_check_size(run, t->width, t->height, err) ||
        !task_check("latent_frames", t->latent_frames, 1, SOLVER_MAX_FRAMES, err) ||
        !task_check("window_count", t->window_count, 1, t->latent_frames, err) ||
        !task_check("window_first", t->window_first, 0, t->latent_frames - t->window_count, err) ||
        !task_check("steps", t->steps, 1, SAMPLER_MAX_STEPS, err) ||
        !task_check("step_to", t->step_to, 1, t->steps, err) ||
        !task_check("step_from", t->step_from, 0, t->step_to - 1, err) ||
        !task_check("take", t->take, 0, NOISE_MAX_TAKE, err) ||
        !task_check("number of identities", (int64_t)t->n_identities, 0, SOLVER_MAX_REFERENCES, err))
        return false;
    if (!(t->guidance_scale >= 0 && t->guidance_scale <= 100))
        return error_set(err, ERROR_INPUT, "guidance_scale is %g, expected 0 to 100", t->guidance_scale);
    if (!t->state && t->step_from > 0)
        return error_set(err, ERROR_INPUT, "step_from is %u without a state to start from", t->step_from);
    return true;
}

/* The blobs that a denoise task reads. */
struct inputs {
    float *text, *negative;
    int text_rows, text_width;
    float *references[SOLVER_MAX_REFERENCES]; /* in the order in which they stand in time */
    int channels;                             /* of latents */
};

static void inputs_free(struct inputs *in)
{
    free(in->text);
    free(in->negative);
    for (int i = 0; i < SOLVER_MAX_REFERENCES; i++)
        free(in->references[i]);
}

static bool inputs_read(struct inputs *in, const struct task_run *run, const Shotline__DenoiseTask *t,
                        struct error *err)
{
    struct shape text = SHAPE(-1, -1);
    in->text = task_blob_tensor(run, t->text, "text", "embedding", &text, err);
    if (!in->text || !task_check("rows of the text embedding", text.dim[0], 1, TASK_MAX_TEXT_ROWS, err))
        return false;
    in->text_rows = (int)text.dim[0];
    in->text_width = (int)text.dim[1];
    in->negative = task_blob_tensor(run, t->negative_text, "negative text", "embedding", &text, err);
    if (!in->negative)
        return false;

    struct dit *dit = studio_dit(run->studio, err);
    if (!dit)
        return false;
    in->channels = dit_info(dit)->channels;
    const int count = (int)t->n_identities;
    for (int i = 0; i < count; i++) {
        struct shape latent = SHAPE(in->channels, task_latents(run, t->height), task_latents(run, t->width));
        /* as in the reference pipeline each further reference is put in front of those before it */
        float **slot = &in->references[count - 1 - i];
        if (!(*slot = task_blob_tensor(run, t->identities[i], "identity", "latent", &latent, err)))
            return false;
    }
    return true;
}

static void start_from_noise(struct solver_state *s, const struct task_run *run, const Shotline__DenoiseTask *t,
                             int channels)
{
    struct noise n = {
        .kind = NOISE_SHOT,
        .seed = t->seed,
        .take = t->take,
        .shot = t->noise_shot,
        .channels = channels,
        .height = task_latents(run, t->height),
        .width = task_latents(run, t->width),
    };
    const int references = (int)t->n_identities, window = (int)t->window_count, frames = references + window;
    float *noise = xmalloc((size_t)channels * frames * n.height * n.width * sizeof *noise);
    noise_fill(&n, t->window_first, window, noise, frames, references);
    n.kind = NOISE_REFERENCE;
    noise_fill(&n, 0, references, noise, frames, 0);

    *s = (struct solver_state){ .references = references, .first = (int)t->window_first };
    sampler_state_init(&s->sampler, channels, frames, n.height, n.width, noise);
    free(noise);
}

/* The window of the state that the task names, which must be the one that the spec speaks of. */
static bool start_from_state(struct solver_state *s, const struct task_run *run, const Shotline__DenoiseTask *t,
                             int channels, struct error *err)
{
    struct solver_state whole = { 0 };
    size_t size;
    char *bytes = task_blob_read(run, t->state, "state", &size, err);
    if (!bytes)
        return false;
    bool ok = solver_state_parse(&whole, bytes, size, "state", err);
    free(bytes);
    if (!ok)
        return false;
    const struct sampler_state *v = &whole.sampler;
    const int height = task_latents(run, t->height), width = task_latents(run, t->width);
    if (v->channels != channels || v->height != height || v->width != width ||
        whole.references != (int)t->n_identities || v->step != (int)t->step_from)
        ok = error_set(
            err, ERROR_INPUT,
            "state: %d channels of %dx%d with %d references after %d steps, expected %d of %dx%d with %zu after %u",
            v->channels, v->width, v->height, whole.references, v->step, channels, width, height, t->n_identities,
            t->step_from);
    ok = ok && solver_state_slice(s, &whole, (int)t->window_first, (int)t->window_count, err);
    solver_state_free(&whole);
    return ok;
}

static bool give_state(const struct task_run *run, const struct solver_state *s, struct task_outputs *out,
                       struct error *err)
{
    char path[1024];
    return task_scratch(run, "state.safetensors", path, sizeof path, err) && solver_state_write(s, path, err) &&
           task_add_file(run, out, "state", path, err);
}

/* The window alone: reference slots have done their work. */
static bool give_latents(const struct task_run *run, const struct solver_state *s, struct task_outputs *out,
                         struct error *err)
{
    const struct sampler_state *v = &s->sampler;
    const int window = solver_state_window(s);
    const int64_t area = (int64_t)v->height * v->width;
    float *latents = xmalloc((size_t)(v->channels * window * area) * sizeof *latents);
    for (int c = 0; c < v->channels; c++)
        memcpy(latents + c * window * area, v->sample + ((int64_t)c * v->frames + s->references) * area,
               (size_t)(window * area) * sizeof *latents);
    bool ok = task_add_tensors(
        run, out, "latents",
        &(struct weight){ "latents", DTYPE_F32, SHAPE(v->channels, window, v->height, v->width), latents }, 1, err);
    free(latents);
    return ok;
}

bool task_denoise_run(const struct task_run *run, const Shotline__DenoiseTask *t, struct task_outputs *out,
                      struct error *err)
{
    struct inputs in = { 0 };
    struct solver_state state = { 0 };
    bool ok = check(run, t, err) && inputs_read(&in, run, t, err);
    if (ok && t->state)
        ok = start_from_state(&state, run, t, in.channels, err);
    else if (ok)
        start_from_noise(&state, run, t, in.channels);
    if (ok) {
        const struct denoise d = {
            .text = in.text,
            .negative = in.negative,
            .text_rows = in.text_rows,
            .text_width = in.text_width,
            .references = (const float *const *)in.references,
            .latent_frames = (int)t->latent_frames,
            .steps = (int)t->steps,
            .step_to = (int)t->step_to,
            .guidance_scale = t->guidance_scale,
            .resumable = true,
        };
        ok = denoise_run(run, &d, &state, err) &&
             (t->step_to < t->steps ? give_state(run, &state, out, err) : give_latents(run, &state, out, err));
    }
    solver_state_free(&state);
    inputs_free(&in);
    return ok;
}

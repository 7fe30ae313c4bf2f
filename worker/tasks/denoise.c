#include "worker/tasks/denoise.h"

#include "common/base/arena.h"
#include "common/base/log.h"
#include "worker/tasks/task_internal.h"

#include <stdlib.h>
#include <string.h>

/* Reference slots are (latent | zeros | zeros), a shot's own frames a slice of the empty control that was encoded once
 * for the whole shot. */
static float *make_control(const struct denoise *d, const struct solver_state *s, int control_channels,
                           const float *empty, int empty_frames)
{
    const struct sampler_state *v = &s->sampler;
    const int64_t area = (int64_t)v->height * v->width;
    const int window = solver_state_window(s);
    float *control = xcalloc((size_t)control_channels * v->frames * area, sizeof *control);

    for (int c = 0; c < control_channels; c++) {
        float *to = control + (int64_t)c * v->frames * area;
        for (int r = 0; r < s->references && c < v->channels; r++)
            memcpy(to + r * area, d->references[r] + c * area, (size_t)area * sizeof *to);
        memcpy(to + s->references * area, empty + ((int64_t)c * empty_frames + s->first) * area,
               (size_t)(window * area) * sizeof *to);
    }
    return control;
}

static bool check(const struct denoise *d, const struct solver_state *s, const struct dit_info *info, struct error *err)
{
    const struct sampler_state *v = &s->sampler;
    if (v->channels != info->channels || info->out_channels != info->channels)
        return error_set(err, ERROR_INPUT, "the state has %d channels, the painter reads %d and writes %d", v->channels,
                         info->channels, info->out_channels);
    if (d->text_width != info->text_width)
        return error_set(err, ERROR_INPUT, "the text embedding has %d columns, the painter reads %d", d->text_width,
                         info->text_width);
    if (info->patch[0] != 1 || v->height % info->patch[1] || v->width % info->patch[2])
        return error_set(err, ERROR_INPUT, "latents of %dx%d do not fit the painter's patches of %dx%dx%d", v->width,
                         v->height, info->patch[0], info->patch[1], info->patch[2]);
    if (s->references > 0 && !info->vace)
        return error_set(err, ERROR_INPUT, "%d references for a painter that takes none", s->references);
    if (s->references + d->latent_frames > info->max_positions)
        return error_set(err, ERROR_INPUT, "%d latent frames and %d references, the painter has %d positions",
                         d->latent_frames, s->references, info->max_positions);
    return true;
}

/* The painter, with the control latents that it wants (*control stays NULL when it takes none). */
static struct dit *prepare(struct studio *studio, const struct denoise *d, const struct solver_state *s,
                           float **control, struct error *err)
{
    struct dit *dit = studio_dit(studio, err);
    if (!dit || !check(d, s, dit_info(dit), err))
        return NULL;
    if (!dit_info(dit)->vace)
        return dit;
    const int channels = dit_info(dit)->control_channels;
    int empty_frames;
    const float *empty = studio_empty_control(studio, channels, d->latent_frames, s->sampler.height, s->sampler.width,
                                              &empty_frames, err);
    if (!empty)
        return NULL;
    *control = make_control(d, s, channels, empty, empty_frames);
    return studio_dit(studio, err); /* again: a lean studio has closed it for the VAE */
}

/* A state that cannot be saved costs steps should the worker be lost, and not the task. */
static void save(const struct task_run *run, const struct solver_state *s)
{
    struct task_outputs out = { 0 };
    struct error why = { 0 };
    char path[1024];

    if (task_scratch(run, "checkpoint.safetensors", path, sizeof path, &why) && solver_state_write(s, path, &why) &&
        task_add_file(run, &out, "state", path, &why))
        run->saved(run->context, (uint32_t)s->sampler.step, &out.output[0]);
    else
        log_warn("denoise.unsaved", "step=%d reason=\"%s\"", s->sampler.step, why.text);
}

bool denoise_run(const struct task_run *run, const struct denoise *d, struct solver_state *s, struct error *err)
{
    struct sampler_state *v = &s->sampler;
    struct schedule schedule = { 0 };
    float *control = NULL, *flow = NULL;
    int32_t *positions = NULL;
    bool ok = false;

    const struct sampler_config *config = studio_sampler(run->studio, err);
    if (!config || !schedule_make(&schedule, config, d->steps, err))
        goto out;
    struct dit *dit = prepare(run->studio, d, s, &control, err);
    if (!dit)
        goto out;

    positions = xmalloc((size_t)v->frames * sizeof *positions);
    for (int i = 0; i < v->frames; i++)
        positions[i] = i < s->references ? i : s->first + i; /* the window keeps the shot's positions */
    flow = xmalloc((size_t)sampler_state_count(v) * sizeof *flow);
    const int step_from = v->step;
    while (v->step < d->step_to) {
        if (d->resumable && v->step > step_from && run->save_now && run->save_now(run->context))
            save(run, s);
        if (task_cancelled(run, err))
            goto out;
        const struct dit_call call = {
            .frames = v->frames,
            .height = v->height,
            .width = v->width,
            .text_rows = d->text_rows,
            .control_frames = control ? v->frames : 0,
            .latents = v->sample,
            .positions = positions,
            .timesteps = &schedule.timesteps[v->step],
            .timestep_count = 1,
            .text = d->text,
            .control = control,
        };
        if (!dit_run_guided(dit, &call, d->negative, (float)d->guidance_scale, flow, err) ||
            !sampler_step(&schedule, v, flow, err)) {
            error_wrap(err, "step %d", v->step);
            goto out;
        }
        task_progress(run, (uint32_t)(v->step - step_from), (uint32_t)(d->step_to - step_from));
    }
    ok = true;
out:
    free(flow);
    free(positions);
    free(control);
    schedule_free(&schedule);
    return ok;
}

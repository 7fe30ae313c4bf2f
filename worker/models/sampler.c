#include "worker/models/sampler.h"

#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/rng.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- configuration ---- */

/* The option must have this value, which is also what an absent key means. */
static void expect_bool(struct json_reader *r, const json_t *root, const char *key, bool expected)
{
    if (json_bool_or(r, root, key, expected) != expected)
        json_fail(r, key, "is %s, expected %s", expected ? "false" : "true", expected ? "true" : "false");
}

static void expect_text(struct json_reader *r, const json_t *root, const char *key, const char *expected)
{
    const char *found = json_text_or(r, root, key, expected);
    if (!r->failed && strcmp(found, expected))
        json_fail(r, key, "is \"%s\", expected \"%s\"", found, expected);
}

static void expect_null(struct json_reader *r, const json_t *root, const char *key)
{
    const json_t *v = json_object_get(root, key);
    if (v && !json_is_null(v))
        json_fail(r, key, "is set, expected null");
}

static void read_unipc(struct json_reader *r, const json_t *root, struct sampler_config *c)
{
    c->kind = SAMPLER_UNIPC;
    c->shift = json_number_or(r, root, "flow_shift", 1.0);
    c->order = (int)json_int_or(r, root, "solver_order", 1, 2, 2);
    c->lower_order_final = json_bool_or(r, root, "lower_order_final", true);
    if (!json_bool_or(r, root, "use_flow_sigmas", false))
        json_fail(r, "use_flow_sigmas", "is false or missing, expected true");
    expect_text(r, root, "prediction_type", "flow_prediction");
    expect_text(r, root, "solver_type", "bh2");
    expect_text(r, root, "final_sigmas_type", "zero");
    expect_bool(r, root, "predict_x0", true);
    expect_bool(r, root, "thresholding", false);
    expect_null(r, root, "solver_p");
    if (json_array_size(json_object_get(root, "disable_corrector")))
        json_fail(r, "disable_corrector", "is not empty, expected []");
}

static void read_euler(struct json_reader *r, const json_t *root, struct sampler_config *c)
{
    c->kind = SAMPLER_EULER;
    c->shift = json_number_or(r, root, "shift", 1.0);
    expect_bool(r, root, "invert_sigmas", false);
    expect_bool(r, root, "stochastic_sampling", false);
    expect_null(r, root, "shift_terminal");
}

bool sampler_config_load(struct sampler_config *c, const char *dir, struct error *err)
{
    char path[PATH_MAX];
    if (!file_join(path, sizeof path, dir, "scheduler_config.json"))
        return error_set(err, ERROR_INPUT, "%s: path too long", dir);
    json_t *root = json_load(path, err);
    if (!root)
        return false;

    struct json_reader r = { .where = path, .err = err };
    *c = (struct sampler_config){ 0 };
    const char *class = json_text(&r, root, "_class_name");
    if (!r.failed && !strcmp(class, "UniPCMultistepScheduler"))
        read_unipc(&r, root, c);
    else if (!r.failed && !strcmp(class, "FlowMatchEulerDiscreteScheduler"))
        read_euler(&r, root, c);
    else
        json_fail(&r, "_class_name",
                  "is \"%s\", expected \"UniPCMultistepScheduler\" or \"FlowMatchEulerDiscreteScheduler\"", class);
    c->train_timesteps = (int)json_int_or(&r, root, "num_train_timesteps", 1, 1000000, 1000);
    expect_bool(&r, root, "use_karras_sigmas", false);
    expect_bool(&r, root, "use_exponential_sigmas", false);
    expect_bool(&r, root, "use_beta_sigmas", false);
    expect_bool(&r, root, "use_dynamic_shifting", false);
    if (!r.failed && !(c->shift > 0 && c->shift <= 1000))
        json_fail(&r, c->kind == SAMPLER_UNIPC ? "flow_shift" : "shift", "is %g, expected a number above 0, up to 1000",
                  c->shift);
    json_decref(root);
    return !r.failed;
}

/* ---- noise levels ---- */

static double shifted(double sigma, double shift)
{
    return shift * sigma / (1.0 + (shift - 1.0) * sigma);
}

/* `steps` levels from 1 towards 1 / train, the last one left out; in double until they are stored. */
static void unipc_levels(struct schedule *s)
{
    double end = 1.0 / s->config.train_timesteps;
    for (int i = 0; i < s->steps; i++) {
        double sigma = shifted(1.0 + i * ((end - 1.0) / s->steps), s->config.shift);
        if (sigma > 1.0 - 1e-6) /* alpha = 1 - sigma has a logarithm */
            sigma -= 1e-6;
        s->sigmas[i] = (float)sigma;
        s->timesteps[i] = (float)(int)(sigma * s->config.train_timesteps);
    }
}

/* The ends of the trained levels, shifted (in f32, as the scheduler keeps them); between them evenly spaced; shifted
 * again. */
static void euler_levels(struct schedule *s)
{
    int train = s->config.train_timesteps;
    double first = (float)shifted(1.0, s->config.shift) * (double)train;
    double last = (float)shifted((float)(1.0 / train), s->config.shift) * (double)train;
    for (int i = 0; i < s->steps; i++) {
        double t = s->steps > 1 ? first + i * ((last - first) / (s->steps - 1)) : first;
        s->sigmas[i] = (float)shifted(t / train, s->config.shift);
        s->timesteps[i] = s->sigmas[i] * (float)train;
    }
}

bool schedule_make(struct schedule *s, const struct sampler_config *c, int steps, struct error *err)
{
    if (steps < 1 || steps > SAMPLER_MAX_STEPS)
        return error_set(err, ERROR_INPUT, "%d denoising steps, expected 1 to %d", steps, SAMPLER_MAX_STEPS);
    *s = (struct schedule){ .config = *c, .steps = steps };
    s->sigmas = xcalloc((size_t)steps + 1, sizeof *s->sigmas);
    s->timesteps = xcalloc((size_t)steps, sizeof *s->timesteps);
    if (c->kind == SAMPLER_UNIPC)
        unipc_levels(s);
    else
        euler_levels(s);
    return true;
}

void schedule_free(struct schedule *s)
{
    free(s->sigmas);
    free(s->timesteps);
    *s = (struct schedule){ 0 };
}

/* ---- state ---- */

int64_t sampler_state_count(const struct sampler_state *s)
{
    return (int64_t)s->channels * s->frames * s->height * s->width;
}

static float *copy_of(const float *from, int64_t count)
{
    float *to = xmalloc((size_t)count * sizeof *to);
    memcpy(to, from, (size_t)count * sizeof *to);
    return to;
}

void sampler_state_init(struct sampler_state *s, int channels, int frames, int height, int width, const float *noise)
{
    *s = (struct sampler_state){ .channels = channels, .frames = frames, .height = height, .width = width };
    s->sample = copy_of(noise, sampler_state_count(s));
}

void sampler_state_free(struct sampler_state *s)
{
    free(s->sample);
    free(s->last_sample);
    free(s->x0[0]);
    free(s->x0[1]);
    *s = (struct sampler_state){ 0 };
}

static float *pick_frames(const float *from, const struct sampler_state *s, const int32_t *index, int count)
{
    if (!from)
        return NULL;
    size_t frame = (size_t)s->height * (size_t)s->width;
    float *to = xmalloc((size_t)s->channels * (size_t)count * frame * sizeof *to);
    for (int c = 0; c < s->channels; c++)
        for (int i = 0; i < count; i++)
            memcpy(to + ((size_t)c * (size_t)count + (size_t)i) * frame,
                   from + ((size_t)c * (size_t)s->frames + (size_t)index[i]) * frame, frame * sizeof *to);
    return to;
}

void sampler_state_pick(struct sampler_state *to, const struct sampler_state *from, const int32_t *index, int count)
{
    *to = *from;
    to->frames = count;
    to->sample = pick_frames(from->sample, from, index, count);
    to->last_sample = pick_frames(from->last_sample, from, index, count);
    for (int i = 0; i < 2; i++)
        to->x0[i] = pick_frames(from->x0[i], from, index, count);
}

/* ---- UniPC: Zhao et al., "UniPC: a unified predictor-corrector framework" (2023), bh2, prediction of x0 ---- */

/* log(alpha / sigma) */
static double lambda(const struct schedule *c, int i)
{
    return portable_log(1.0 - (double)c->sigmas[i]) - portable_log((double)c->sigmas[i]);
}

/* One move from level `from` to level `from` + 1, as coefficients of: the sample, m0 (the prediction at `from`), D1 =
 * (m1 - m0) with m1 the prediction before that, and, for the corrector, Dt = (mt - m0) with mt the prediction at the
 * new level. */
struct move {
    float sample, m0, d1, dt;
};

static struct move unipc_move(const struct schedule *c, int from, int order, bool corrector)
{
    double sigma_s = c->sigmas[from], sigma_t = c->sigmas[from + 1], alpha_s = 1.0 - sigma_s, alpha_t = 1.0 - sigma_t;
    if (sigma_t == 0.0) /* the last level: the prediction itself */
        return (struct move){ .m0 = 1.0f };

    double shrink = sigma_t * alpha_s / (alpha_t * sigma_s); /* exp(-h), where h is the step in lambda */
    double phi = shrink - 1.0;                               /* expm1(-h); also B(h) of bh2 */
    double h = lambda(c, from + 1) - lambda(c, from);
    struct move m = { .sample = (float)(sigma_t / sigma_s), .m0 = (float)(-alpha_t * phi) };
    if (order == 1) {
        m.dt = (float)(corrector ? -alpha_t * phi * 0.5 : 0.0);
        return m;
    }

    double r1 = (lambda(c, from - 1) - lambda(c, from)) / h; /* where m1 stands, in steps: negative */
    double rho1 = 0.5, rho_t = 0.0;
    if (corrector) { /* rho1 + rho_t = b1 and r1 * rho1 + rho_t = b2 */
        double phi2 = phi / -h - 1.0, phi3 = phi2 / -h - 0.5;
        double b1 = phi2 / phi, b2 = 2.0 * phi3 / phi;
        rho1 = (b2 - b1) / (r1 - 1.0);
        rho_t = b1 - rho1;
    }
    m.d1 = (float)(-alpha_t * phi * rho1 / r1);
    m.dt = (float)(-alpha_t * phi * rho_t);
    return m;
}

/* to = sample * x + m0 * a + d1 * (b - a) + dt * (t - a), from left to right; absent arrays have no term. */
static void apply_move(const struct move *m, const float *x, const float *a, const float *b, const float *t, float *to,
                       int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        float p = m->sample * x[i], q = m->m0 * a[i];
        float sum = p + q;
        if (b) {
            float d = b[i] - a[i];
            float r = m->d1 * d;
            sum = sum + r;
        }
        if (t) {
            float d = t[i] - a[i];
            float r = m->dt * d;
            sum = sum + r;
        }
        to[i] = sum;
    }
}

/* The prediction of the clean latents from the flow at the sample's level. */
static float *predict_x0(const struct sampler_state *s, float sigma, const float *flow)
{
    int64_t count = sampler_state_count(s);
    float *x0 = xmalloc((size_t)count * sizeof *x0);
    for (int64_t i = 0; i < count; i++) {
        float noise = sigma * flow[i];
        x0[i] = s->sample[i] - noise;
    }
    return x0;
}

static void unipc_step(const struct schedule *c, struct sampler_state *s, const float *flow)
{
    int64_t count = sampler_state_count(s);
    float *x0 = predict_x0(s, c->sigmas[s->step], flow);

    if (s->kept > 0) { /* with the new prediction the move that led here can be corrected */
        struct move m = unipc_move(c, s->step - 1, s->order, true);
        apply_move(&m, s->last_sample, s->x0[0], s->order > 1 ? s->x0[1] : NULL, x0, s->sample, count);
    }
    free(s->x0[1]);
    s->x0[1] = s->x0[0];
    s->x0[0] = x0;

    int left = c->steps - s->step;
    s->order = c->config.order;
    if (c->config.lower_order_final && left < s->order)
        s->order = left;
    if (s->kept + 1 < s->order)
        s->order = s->kept + 1;
    if (s->kept < 2)
        s->kept++;

    if (!s->last_sample)
        s->last_sample = xmalloc((size_t)count * sizeof *s->last_sample);
    memcpy(s->last_sample, s->sample, (size_t)count * sizeof *s->sample);
    struct move m = unipc_move(c, s->step, s->order, false);
    apply_move(&m, s->last_sample, s->x0[0], s->order > 1 ? s->x0[1] : NULL, NULL, s->sample, count);
}

static void euler_step(const struct schedule *c, struct sampler_state *s, const float *flow)
{
    int64_t count = sampler_state_count(s);
    float step = c->sigmas[s->step + 1] - c->sigmas[s->step];
    for (int64_t i = 0; i < count; i++) {
        float move = step * flow[i];
        s->sample[i] = s->sample[i] + move;
    }
}

/* Whether the bookkeeping is what `step` steps leave behind: a state may come from a file. */
static bool unipc_state_is_whole(const struct sampler_state *s)
{
    int kept = s->step < 2 ? s->step : 2;
    return s->kept == kept && s->order <= kept && (kept == 0 || (s->order > 0 && s->last_sample && s->x0[0])) &&
           (kept < 2 || s->x0[1]);
}

bool sampler_step(const struct schedule *c, struct sampler_state *s, const float *flow, struct error *err)
{
    if (s->step < 0 || s->step >= c->steps)
        return error_set(err, ERROR_INPUT, "sampler: step %d of %d", s->step + 1, c->steps);
    if (c->config.kind == SAMPLER_UNIPC && !unipc_state_is_whole(s))
        return error_set(err, ERROR_INPUT, "sampler: after %d steps the state keeps %d predictions of order %d",
                         s->step, s->kept, s->order);
    if (c->config.kind == SAMPLER_UNIPC)
        unipc_step(c, s, flow);
    else
        euler_step(c, s, flow);
    s->step++;
    return true;
}

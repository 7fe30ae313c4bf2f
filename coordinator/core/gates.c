#include "coordinator/core/gates.h"

#include "common/base/file.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The defaults are wide: they catch a collapse of any model. A pack's own gates.json knows how its shots look. */
static const struct check {
    enum gate gate;
    const char *key;
    bool least;
    double standard, lowest, highest; /* of the limit */
} checks[GATE_CHECKS] = {
    [CHECK_UNUSABLE] = { GATE_UNUSABLE, NULL, false, 0, 0, 0 },
    [CHECK_FRAMES] = { GATE_FRAMES, NULL, false, 0, 0, 0 },
    [CHECK_BLACK_BRIGHT] = { GATE_BLACK, "black_bright", true, 16, 0, 255 },
    [CHECK_GREY_SPREAD] = { GATE_GREY, "grey_spread", true, 8, 0, 255 },
    [CHECK_NOISE_SHARPNESS] = { GATE_NOISE, "noise_sharpness", false, 120, 0, 2040 },
    [CHECK_CUT_RESIDUAL] = { GATE_CUT, "cut_residual", false, 0.8, 0, 1000 },
    [CHECK_CUT_COLOURS] = { GATE_CUT, "cut_colours", false, 0.7, 0, 1 },
    [CHECK_FREEZE_SECONDS] = { GATE_FREEZE, "freeze_seconds", false, 0.8, 0, 3600 },
    [CHECK_BLUR_SHARPNESS] = { GATE_BLUR, "blur_sharpness", true, 0.5, 0, 2040 },
    [CHECK_BLUR_DROP] = { GATE_BLUR, "blur_drop", true, 0.35, 0, 1 },
    [CHECK_FLICKER_TINT] = { GATE_FLICKER, "flicker_tint", false, 4, 0, 255 },
    [CHECK_FLASH_TINT] = { GATE_FLASH, "flash_tint", false, 16, 0, 255 },
    [CHECK_STEP_TINT] = { GATE_COLOUR_STEP, "step_tint", false, 16, 0, 255 },
    [CHECK_JUMP_PICTURE] = { GATE_MOTION_JUMP, "jump_picture", false, 0.05, 0, 10 },
    [CHECK_JUMP_FIGURE] = { GATE_MOTION_JUMP, "jump_figure", false, 0.2, 0, 10 },
    [CHECK_IDENTITY_DENSE] = { GATE_IDENTITY, "identity_dense", true, 0.01, 0, 1 },
    [CHECK_PAN] = { GATE_CAMERA, "pan_least", true, -0.05, -10, 10 },
    [CHECK_ZOOM] = { GATE_CAMERA, "zoom_least", true, -0.05, -10, 10 },
    [CHECK_STATIC] = { GATE_CAMERA, "static_most", false, 0.25, 0, 10 },
};

const char *gate_name(enum gate g)
{
    static const char *const names[GATES] = {
        [GATE_UNUSABLE] = "not finite",
        [GATE_FRAMES] = "frame count",
        [GATE_BLACK] = "black",
        [GATE_GREY] = "grey",
        [GATE_NOISE] = "noise",
        [GATE_CUT] = "cut",
        [GATE_FREEZE] = "freeze",
        [GATE_BLUR] = "blur",
        [GATE_FLICKER] = "flicker",
        [GATE_FLASH] = "flash",
        [GATE_COLOUR_STEP] = "colour step",
        [GATE_MOTION_JUMP] = "motion jump",
        [GATE_IDENTITY] = "identity",
        [GATE_CAMERA] = "camera",
    };
    return (unsigned)g < GATES ? names[g] : "unknown";
}

enum gate check_gate(enum gate_check c)
{
    return checks[c].gate;
}

const char *check_key(enum gate_check c)
{
    return checks[c].key;
}

bool check_is_least(enum gate_check c)
{
    return checks[c].least;
}

/* A text for people and for the store, where `key` is NULL. */
static const char *check_text(enum gate_check c)
{
    return checks[c].key ? checks[c].key : c == CHECK_UNUSABLE ? "unusable" : "frames";
}

/* ---- limits ---- */

#define FREEZE_CHANGE "freeze_change"

void gate_limits_default(struct gate_limits *l)
{
    for (int c = 0; c < GATE_CHECKS; c++)
        l->limit[c] = checks[c].standard;
    l->freeze_change = 0.02;
}

static double number_within(struct json_reader *r, const json_t *object, const char *key, double fallback,
                            double lowest, double highest)
{
    double v = json_number_or(r, object, key, fallback);
    if (!r->failed && !(v >= lowest && v <= highest))
        json_fail(r, key, "is %g, expected %g to %g", v, lowest, highest);
    return v;
}

static void read_limits(struct gate_limits *l, struct json_reader *r, const json_t *root)
{
    static const char *const top[] = { "limits", "measured", NULL };
    const char *keys[GATE_CHECKS + 2] = { FREEZE_CHANGE };
    int count = 1;
    json_only_keys(r, root, top);
    const json_t *limits = json_group(r, root, "limits");
    for (int c = 0; c < GATE_CHECKS; c++)
        if (checks[c].key)
            keys[count++] = checks[c].key;
    json_only_keys(r, limits, keys);
    for (int c = 0; c < GATE_CHECKS; c++)
        if (checks[c].key)
            l->limit[c] = number_within(r, limits, checks[c].key, l->limit[c], checks[c].lowest, checks[c].highest);
    l->freeze_change = number_within(r, limits, FREEZE_CHANGE, l->freeze_change, 0, 255);
}

bool gate_limits_load(struct gate_limits *l, const char *dir, struct error *err)
{
    char path[PATH_MAX];
    gate_limits_default(l);
    if (!file_join(path, sizeof path, dir, "gates.json"))
        return error_set(err, ERROR_INPUT, "%s: path too long", dir);
    if (!file_exists(path))
        return true;
    json_t *root = json_load(path, err);
    if (!root)
        return false;
    struct json_reader r = { .where = path, .err = err };
    if (json_is_object(root))
        read_limits(l, &r, root);
    else
        json_fail(&r, "the file", "is not a JSON object");
    json_decref(root);
    return !r.failed;
}

/* ---- verdicts ---- */

void gates_judge(struct gate_verdict *v, const struct gate_scores *s, const struct gate_plan *plan,
                 const struct gate_limits *l)
{
    double measures[GATE_CHECKS];
    bool failed[GATES] = { false };
    gates_measure(measures, s, plan, l);
    *v = (struct gate_verdict){ 0 };
    for (int c = 0; c < GATE_CHECKS; c++) {
        const double measure = measures[c], limit = l->limit[c];
        if (isnan(measure) || failed[checks[c].gate] || (checks[c].least ? measure >= limit : measure <= limit))
            continue;
        failed[checks[c].gate] = true;
        v->faults[v->count++] = (struct gate_fault){ (enum gate_check)c, measure, limit };
    }
}

bool verdict_passed(const struct gate_verdict *v)
{
    return v->count == 0;
}

/* How far the worst fault is beyond its limit, in limits. */
static double excess(const struct gate_verdict *v)
{
    double worst = 0;
    for (uint32_t i = 0; i < v->count; i++) {
        const struct gate_fault *f = &v->faults[i];
        const double beyond = fabs(f->measure - f->limit) / (fabs(f->limit) + 1e-3);
        worst = beyond > worst ? beyond : worst;
    }
    return worst;
}

bool verdict_better(const struct gate_verdict *a, const struct gate_verdict *b)
{
    return a->count != b->count ? a->count < b->count : excess(a) < excess(b);
}

void verdict_text(const struct gate_verdict *v, char *to, size_t room)
{
    size_t used = 0;
    if (room)
        *to = '\0';
    for (uint32_t i = 0; i < v->count && used < room; i++) {
        const struct gate_fault *f = &v->faults[i];
        const int n = snprintf(to + used, room - used, "%s%s: %s is %.4g, expected at %s %.4g", i ? "; " : "",
                               gate_name(checks[f->check].gate), check_text(f->check), f->measure,
                               checks[f->check].least ? "least" : "most", f->limit);
        used += n > 0 ? (size_t)n : 0;
    }
}

void verdict_write(const struct gate_verdict *v, const char *key, struct json_out *o)
{
    json_out_list(o, key);
    for (uint32_t i = 0; i < v->count; i++) {
        const struct gate_fault *f = &v->faults[i];
        json_out_object(o, NULL);
        json_out_text(o, "gate", gate_name(checks[f->check].gate));
        json_out_text(o, "check", check_text(f->check));
        json_out_real(o, "measure", f->measure);
        json_out_real(o, "limit", f->limit);
        json_out_end(o);
    }
    json_out_end(o);
}

bool verdict_parse(struct gate_verdict *v, const char *text)
{
    struct error err;
    json_t *list = json_parse(text, strlen(text), "verdict", &err);
    struct json_reader r = { .where = "verdict", .err = &err, .failed = !json_is_array(list) };
    *v = (struct gate_verdict){ 0 };
    for (size_t i = 0; !r.failed && i < json_array_size(list) && i < GATES; i++) {
        const json_t *fault = json_array_get(list, i);
        const char *check = json_text(&r, fault, "check");
        int c = 0;
        while (c < GATE_CHECKS && strcmp(check_text((enum gate_check)c), check))
            c++;
        if (c == GATE_CHECKS)
            json_fail(&r, "check", "is \"%s\"", check);
        v->faults[v->count++] = (struct gate_fault){ (enum gate_check)c, json_number(&r, fault, "measure"),
                                                     json_number(&r, fault, "limit") };
    }
    json_decref(list);
    return !r.failed;
}

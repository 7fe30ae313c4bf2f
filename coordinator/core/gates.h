/* gates - judges what a worker measured of a shot's frames: which of the ways in which generated video goes wrong does
 * it show? Pure.
 *
 * One fault is named once: what is plainly its consequence (a black frame is also flat, and a flash) is not held
 * against the shot again. Frames that are black or grey, and cuts, take no part in what is measured over time. */
#ifndef SHOTLINE_COORDINATOR_CORE_GATES_H
#define SHOTLINE_COORDINATOR_CORE_GATES_H

#include "common/base/error.h"
#include "common/base/json.h"
#include "common/base/json_out.h"
#include "coordinator/core/gate_scores.h"

#include <stdbool.h>
#include <stdint.h>

/* In the order in which they are judged. */
enum gate {
    GATE_UNUSABLE,    /* samples that are not finite */
    GATE_FRAMES,      /* too few or too many frames */
    GATE_BLACK,       /* a frame without light */
    GATE_GREY,        /* a frame of one brightness */
    GATE_NOISE,       /* a frame that collapsed to noise */
    GATE_CUT,         /* a cut that nobody planned */
    GATE_FREEZE,      /* frames that repeat */
    GATE_BLUR,        /* a frame whose sharpness collapsed */
    GATE_FLICKER,     /* brightness goes up and down from frame to frame */
    GATE_FLASH,       /* a few frames are lighter, or darker */
    GATE_COLOUR_STEP, /* colours change where two ranges meet */
    GATE_MOTION_JUMP, /* the picture or a figure jumps where two ranges meet */
    GATE_IDENTITY,    /* a figure without its colours */
    GATE_CAMERA,      /* the camera does not move as planned */
    GATES
};
const char *gate_name(enum gate g); /* "colour step" */

/* What the gates look at: each check is one number, which must be at least, or at most, its limit. */
enum gate_check {
    CHECK_UNUSABLE,        /* samples */
    CHECK_FRAMES,          /* missing or surplus */
    CHECK_BLACK_BRIGHT,    /* least: luma of the light parts of the darkest frame */
    CHECK_GREY_SPREAD,     /* least: luma between the dark and the light parts of the flattest frame */
    CHECK_NOISE_SHARPNESS, /* most: of the sharpest frame, luma */
    CHECK_CUT_RESIDUAL,    /* most: share of a frame's texture that the frame before does not explain */
    CHECK_CUT_COLOURS,    /* most: share of the pixels in other colours than a frame before, beyond the frames around */
    CHECK_FREEZE_SECONDS, /* most: of frames that repeat */
    CHECK_BLUR_SHARPNESS, /* least: of the softest frame, luma */
    CHECK_BLUR_DROP,      /* least: the softest frame's sharpness beside the shot's median */
    CHECK_FLICKER_TINT,   /* most: 0 to 255, of which a quarter of the frames goes up and down */
    CHECK_FLASH_TINT,     /* most: 0 to 255, that a frame is off the level around it */
    CHECK_STEP_TINT,      /* most: 0 to 255, across a border */
    CHECK_JUMP_PICTURE,   /* most: share of the width in one frame, at a border */
    CHECK_JUMP_FIGURE,    /* most: the same, of a figure's centre beyond its own motion */
    CHECK_IDENTITY_DENSE, /* least: share of a figure's colours where there are most of them */
    CHECK_PAN,            /* least: share of the width in a second, where a pan is planned */
    CHECK_ZOOM,           /* least: growth in a second, where a zoom is planned */
    CHECK_STATIC,         /* most: share of the width in a second, where the camera stands */
    GATE_CHECKS
};
enum gate check_gate(enum gate_check c);
const char *check_key(enum gate_check c); /* in gates.json; NULL: its limit is fixed */
bool check_is_least(enum gate_check c);

struct gate_limits {
    double limit[GATE_CHECKS];
    double freeze_change; /* luma: a frame that changes less repeats the one before */
};
void gate_limits_default(struct gate_limits *l);
/* DIR/gates.json over the defaults; without that file they stand. Its keys: packs/README.md. */
bool gate_limits_load(struct gate_limits *l, const char *dir, struct error *err);

struct gate_plan {
    int frames;
    const char *camera; /* as the plan names it; a move that is not known here is not judged */
};

/* One number per check; NAN where there is nothing to check. Some take the limits of others: what is black takes no
 * part in what comes after. */
void gates_measure(double measures[GATE_CHECKS], const struct gate_scores *s, const struct gate_plan *plan,
                   const struct gate_limits *l);

/* ---- the verdict on a take ---- */

struct gate_fault {
    enum gate_check check;
    double measure, limit;
};
struct gate_verdict {
    uint32_t count;
    struct gate_fault faults[GATES]; /* one per gate at most */
};

void gates_judge(struct gate_verdict *v, const struct gate_scores *s, const struct gate_plan *plan,
                 const struct gate_limits *l);
bool verdict_passed(const struct gate_verdict *v);
/* Fewer faults, or as many that are nearer to their limits. */
bool verdict_better(const struct gate_verdict *a, const struct gate_verdict *b);
/* "flash 31.2, at most 12; camera 0.01, at least 0.03" */
void verdict_text(const struct gate_verdict *v, char *to, size_t room);

/* For the store and the manifest: [{"gate": "flash", "check": "flash_tint", "measure": 31.2, "limit": 12}], and back;
 * false when it is none. */
void verdict_write(const struct gate_verdict *v, const char *key, struct json_out *o);
bool verdict_parse(struct gate_verdict *v, const char *text);

#endif

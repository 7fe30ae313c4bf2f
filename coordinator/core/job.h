/* job - the records of the farm: campaigns, their videos, shots and tasks. Structs and names only; lifecycle.h changes
 * their states.
 *
 * A task never points outside its video: what several videos need (the text of a prompt, the look of a cast member) is
 * one task in each of them with the same key, and the second one is answered by the first one's result. */
#ifndef SHOTLINE_COORDINATOR_CORE_JOB_H
#define SHOTLINE_COORDINATOR_CORE_JOB_H

#include "common/base/arena.h"
#include "common/base/curve.h"
#include "common/base/hash.h"

#include <stdbool.h>
#include <stdint.h>

struct campaign_id {
    uint64_t v;
};
struct video_id {
    uint64_t v;
};
struct task_id {
    uint64_t v;
};
struct worker_id {
    uint64_t v; /* 0: nobody */
};
struct attempt {
    uint32_t v; /* 0: never tried; strictly increasing per task, durable before dispatch */
};

/* The numbers are those of the wire and of the store: never change them. */
enum task_kind { TASK_TEXT = 1, TASK_CAST, TASK_DENOISE, TASK_DECODE, TASK_STITCH };
#define TASK_KINDS 6 /* for arrays indexed by kind */
enum task_role { ROLE_NONE, ROLE_WHOLE, ROLE_ANCHOR, ROLE_RANGE };
enum task_state { TASK_WAITING = 1, TASK_READY, TASK_RUNNING, TASK_DONE, TASK_FAILED, TASK_CANCELLED };
enum work_state { WORK_PLANNING = 1, WORK_WAITING, WORK_RUNNING, WORK_DONE, WORK_FAILED, WORK_CANCELLED };
enum profile { PROFILE_USUAL, PROFILE_LEAN }; /* how a task uses device memory: its bytes do not depend on it */
enum failure { FAILURE_MEMORY = 1, FAILURE_INPUT, FAILURE_WORKER, FAILURE_CANCELLED };

/* Why a task is not done yet, or how it ended; explain.h finds it and says it in words. Reasons of failed tasks are
 * stored. */
enum task_reason {
    REASON_NONE,
    REASON_INPUTS = 1,     /* tasks before it are not done */
    REASON_TWIN,           /* the same work is under way for another video */
    REASON_NO_WORKER,      /* nobody is connected */
    REASON_ALL_BUSY,       /* whoever could run it runs something else, or other tasks go first */
    REASON_NOT_ASKING,     /* whoever could run it asks for no work: fetches the pack, or leaves */
    REASON_FASTER_SOON,    /* a worker that is busy will have done it before an idle one would */
    REASON_SET_ASIDE,      /* whoever could run it failed too often in this campaign and is given a rest */
    REASON_TOO_SMALL,      /* no connected worker has more memory than what was not enough */
    REASON_FAILED_ON_THEM, /* it failed on every connected worker: others may come back */
    REASON_FAIR_SHARE,     /* as REASON_ALL_BUSY, and tasks of other campaigns go first */
    REASON_RUNNING = 20,
    REASON_UNHEARD, /* its worker has not said anything for more than a heartbeat */
    REASON_DONE = 30,
    REASON_CACHED, /* done without work of its own */
    REASON_LOST = 40,
    REASON_BAD_INPUT,
    REASON_FAILED_EVERYWHERE,
    REASON_NO_MEMORY,
    REASON_TIMED_OUT,
    REASON_INPUT_GONE,
    REASON_CANCELLED = 50,
    REASON_VIDEO_FAILED,
};
#define TASK_REASONS 52 /* for arrays indexed by reason */

enum output_name {
    OUTPUT_EMBEDDING = 1,
    OUTPUT_IDENTITY,
    OUTPUT_PREVIEW,
    OUTPUT_STATE,
    OUTPUT_LATENTS,
    OUTPUT_MEZZANINE,
    OUTPUT_FRAMES,
    OUTPUT_THUMBNAIL,
    OUTPUT_SCORES,
    OUTPUT_VIDEO,
};
enum input_slot {
    INPUT_TEXT = 1,
    INPUT_NEGATIVE_TEXT,
    INPUT_IDENTITY,
    INPUT_STATE,
    INPUT_LATENTS,
    INPUT_MEZZANINE,
    INPUT_IMAGE,
};

const char *task_kind_name(enum task_kind k);
const char *task_role_name(enum task_role r);
bool task_kind_from_text(enum task_kind *k, const char *text);
bool task_role_from_text(enum task_role *r, const char *text);
bool input_slot_from_text(enum input_slot *s, const char *text);
const char *task_state_name(enum task_state s);
const char *work_state_name(enum work_state s);
const char *profile_name(enum profile p);
const char *failure_name(enum failure f);
const char *task_reason_name(enum task_reason r); /* "waits for inputs" */
const char *output_text(enum output_name n);      /* as on the wire: "latents" */
bool output_from_text(enum output_name *n, const char *text);
const char *input_slot_name(enum input_slot s);

/* What a task of this kind and role must give, and what it may give. */
bool output_required(enum task_kind k, enum task_role r, enum output_name n);
bool output_allowed(enum task_kind k, enum task_role r, enum output_name n);

struct blob_ref {
    struct digest digest;
    int64_t bytes;
};

struct task_input {
    enum input_slot slot;
    uint32_t from;           /* position of the task in its video that makes it */
    enum output_name output; /* 0: a given blob, and `from` is meaningless */
    bool known;
    struct blob_ref blob; /* when known */
};

#define TASK_MAX_OUTPUTS 8
struct task_output {
    enum output_name name;
    struct blob_ref blob;
};

/* ---- what each kind computes, besides its inputs ---- */
struct text_params {
    const char *prompt;
};
struct cast_params {
    const char *kind; /* character | product | place */
    uint64_t seed;
    int width, height, steps;
    double guidance_scale;
};
struct denoise_params {
    int width, height;
    int latent_frames; /* of the whole shot */
    int window_first, window_count;
    int steps, step_from, step_to;
    double guidance_scale;
    uint64_t seed;
    uint32_t noise_shot, take;
};
struct decode_range {
    int first, count;
};
struct decode_params {
    struct decode_range *ranges; /* one per INPUT_LATENTS */
    size_t range_count;
    int latent_frames, width, height, fps;
};
struct stitch_shot {
    int frames; /* in the file, transitions included */
    const char *transition;
    int transition_frames;
};
struct stitch_params {
    struct stitch_shot *shots; /* one per INPUT_MEZZANINE */
    size_t shot_count;
    int width, height, fps_in, fps_out, frames, crf;
};

#define TASK_MAX_FAILED_ON 8
#define TASK_MAX_LOSSES    5 /* free retries of a task whose worker was lost, as long as it makes no progress */
#define TASK_MAX_TIMEOUTS  3 /* attempts that took too long, before the task fails */

struct video;
struct gate_verdict; /* gates.h */
struct task {
    struct task_id id;
    struct video *video;
    uint32_t position; /* in its video */
    enum task_kind kind;
    enum task_role role;
    uint32_t shot; /* number from 1; 0: none */
    uint32_t take; /* of its shot, from 0 */
    union {
        struct text_params text;
        struct cast_params cast;
        struct denoise_params denoise;
        struct decode_params decode;
        struct stitch_params stitch;
    };
    struct task_input *inputs;
    uint32_t input_count, inputs_missing;
    uint32_t *dependents; /* positions */
    uint32_t dependent_count;
    double work; /* units of this kind's work, for speeds */
    double rank; /* work on the longest way to the finished video: who has more goes first */

    enum task_state state;
    struct digest key; /* once all inputs are known */
    struct task_output outputs[TASK_MAX_OUTPUTS];
    uint32_t output_count;
    bool cached;                        /* done without work of its own */
    enum task_reason reason;            /* TASK_FAILED: why */
    const struct task_output *expected; /* of a verification: what its manifest says; NULL: ordinary work */
    uint32_t expected_count;
    struct worker_id made_by; /* of a verification: who made it first, when that is known; another one is preferred */

    struct attempt attempt;                         /* the last one issued */
    struct attempt committed;                       /* whose result it has; in memory only */
    bool attempt_over;                              /* the last one failed: no more news of it; in memory only */
    struct worker_id worker;                        /* of that attempt */
    int64_t lease_until_ms;                         /* in memory only, meaningful while TASK_RUNNING */
    int64_t dispatched_ms;                          /* in memory only */
    bool seen;                                      /* the worker has named this attempt since it was sent */
    uint32_t step, step_count;                      /* progress that the worker told, from resumed_step on */
    int64_t expected_ms, stepped_ms, first_step_ms; /* of the attempt: patience.h; in memory only */
    uint32_t first_step;
    uint32_t losses;                                /* workers lost under it since it began or last came further */
    struct worker_id failed_on[TASK_MAX_FAILED_ON]; /* distinct workers that reported a failure of their own */
    uint32_t failed_count;
    uint32_t errors;         /* of those failures: not for want of memory */
    enum profile profile;    /* of its next attempt, or of the one that runs */
    int64_t too_small_bytes; /* device memory that was not enough in this profile: 0 unknown */
    int64_t busy_ms;
    uint32_t timeouts;      /* attempts that took too long */
    struct worker_id avoid; /* whose attempt did last: others are asked first; in memory only */

    /* A long denoising saves its solver state: the next attempt goes on from there and ends in the same bytes. */
    struct blob_ref checkpoint;
    uint32_t checkpoint_step; /* steps that the state has behind it; 0: no checkpoint */
    uint32_t furthest_step;   /* of all the states it saved, the lost ones too; in memory only */
    uint32_t resumed_step;    /* where the attempt that runs began; 0: at the task's first step; in memory only */

    bool dirty; /* must be saved in this turn */
    struct task *next_dirty;
    struct task *twin, *twin_before; /* next and previous task with the same key hash */
    uint32_t queue_place; /* in its campaign's queue, from 1; 0: not queued (parked behind a twin, or not ready) */
    char *trouble;        /* owned: what the last failed attempt said */

    struct gate_verdict *verdict; /* owned: of a decode, how its take was judged; NULL: not yet */
    bool unjudged;                /* in the ledger's list */
    struct task *next_unjudged;
};

#define TAKES_MOST 8 /* of one shot */

struct shot {
    uint32_t number; /* from 1 */
    int latent_frames;
    int file_frames; /* in the file, transitions included */
    uint32_t ranges; /* denoise tasks that end it */
    int steps;       /* denoising steps of one latent frame */
    const char *prompt;
    const char *camera;           /* the planned move, as the plan names it */
    uint32_t size;                /* tasks of one take; its decode is the last of them */
    uint32_t takes;               /* begun so far */
    uint32_t decodes[TAKES_MOST]; /* position of each take's decode */
    uint32_t settled;             /* position + 1 of the decode that the video shows; 0: no take was accepted yet */
};

struct cast_member {
    const char *id, *kind, *phrase;
    bool has_image;
    struct blob_ref image;
};

struct campaign;
struct video {
    struct video_id id;
    struct campaign *campaign;
    uint32_t number; /* from 1 */
    const char *name;
    const char *prompt;     /* NULL when a plan was given */
    const char *given_plan; /* NULL when a prompt was given */
    uint32_t duration_ms, width, height, fps, crf;
    uint64_t seed;

    enum work_state state;
    char reason[512]; /* why it failed */
    char *plan_text;  /* owned, in the form that plan_write gives; NULL while planning */
    struct digest plan_digest;
    struct arena arena; /* of the task graph */
    struct digest
        graph; /* digest of the compiled graph, kept when that is dropped: whether a stored one is still the same */
    struct shot *shots;
    uint32_t shot_count;
    struct task *tasks; /* owned; with room for the takes to come, so that a task never moves */
    uint32_t task_count, task_room;
    uint32_t stitch;                /* position */
    uint32_t tasks_open;            /* not yet done */
    struct blob_ref manifest, file; /* when done */

    bool dirty, graph_dirty; /* the latter: its tasks were never saved */
    struct video *next_dirty;
    bool listed; /* its manifest must be written */
    struct video *next_complete;
    uint64_t manifest_order; /* the last one that is being written, or was */
};

/* A campaign that makes the tasks of a manifest again: verify.h. */
struct verification {
    struct blob_ref manifest;
    uint32_t *chosen; /* positions; none: all */
    size_t chosen_count;
};

struct campaign_figures {
    uint32_t tasks, tasks_done, tasks_cached;
    uint32_t shots_judged;    /* whose first take was judged */
    uint32_t shots_first_try; /* of them: it passed */
    uint32_t shots_settled;   /* show a take, or gave up */
    uint32_t shots_passed;    /* of them: with a take that passed */
    int64_t retry_ms;         /* of workers' time in takes that are not shown */
};

/* What becomes of a shot of which no take passed its gates. The numbers are those of the wire. */
enum gate_policy { GATE_KEEP = 1, GATE_FAIL };

struct campaign {
    struct campaign_id id;
    uint8_t token[16];
    const char *name;
    int32_t priority;
    uint32_t steps;        /* steps 0: the pack's */
    double guidance_scale; /* 0: the pack's */
    uint32_t takes;        /* of a shot, at most */
    enum gate_policy on_gate_failure;
    struct cast_member *cast;
    uint32_t cast_count;
    struct video *videos;
    uint32_t video_count;
    uint32_t unplanned; /* every video before this one has its plan, has failed, or is with the planner */
    void *request;      /* owned: the bytes that the client sent, for the store */
    size_t request_bytes;
    struct digest pack;
    struct curve_key owner;            /* who submitted it; none on a farm without keys */
    struct verification *verification; /* NULL: ordinary work */

    enum work_state state;
    int64_t created_ms; /* wall clock */
    int64_t ended_ms;   /* wall clock; 0 while live */
    int64_t busy_ms, overlap_ms;
    uint32_t ranges_at_once;
    uint32_t superseded; /* reports of stale attempts */

    struct campaign_figures figures; /* once it has ended */
    bool shelved;                    /* it has ended, and the graphs of its videos are in the store only: shelf.h */
    uint64_t used;                   /* who ended or was asked for last has the highest number */

    struct standing *standings; /* workers that failed in it: standing.h */
    uint32_t standing_count, standing_room;
    uint32_t running;    /* tasks, for the fair share */
    struct task **queue; /* heap of the tasks that could start now, first in order on top */
    uint32_t queue_count, queue_room;
    struct arena arena;  /* names, cast, videos */
    bool dirty, unsaved; /* unsaved: not in the store yet */
    struct campaign *next_dirty;
};

/* What of its size asks for device memory; compares tasks of one kind. */
int64_t task_footprint(const struct task *t);
/* The work of the attempt that runs or has run: less than the task's when it goes on from a checkpoint. */
double task_attempt_work(const struct task *t);

bool work_ended(enum work_state s);
bool task_ended(enum task_state s);

const struct blob_ref *task_find_output(const struct task *t, enum output_name n); /* NULL: it has none */

#endif

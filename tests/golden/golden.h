/* golden - one case of a goldens folder: its inputs, what the reference implementation gave, and how far ours is from
 * it. */
#ifndef SHOTLINE_TESTS_GOLDEN_H
#define SHOTLINE_TESTS_GOLDEN_H

#include "common/base/arena.h"
#include "common/base/json.h"
#include "common/nn/exec.h"
#include "common/nn/safetensors.h"

#include <limits.h>

struct golden {
    const char *root;              /* the goldens folder */
    char name[256], dir[PATH_MAX]; /* of the case */
    struct exec *exec;
    json_t *json;                          /* case.json */
    struct safetensors *inputs, *expected; /* NULL for tokenizer cases */
    struct arena arena;                    /* arrays that live as long as the case */

    int compared;            /* tensors (or texts) that were compared */
    int64_t *done;           /* by expected tensor: how many of its values were compared */
    int mismatches;          /* of things that must be equal */
    double error, tolerance; /* of the worst tensor: largest error / tolerance */
    char worst[64];
    char note[128]; /* printed behind the line */
};

bool golden_open(struct golden *c, const char *root, const char *name, struct exec *x, struct error *err);
void golden_close(struct golden *c);

/* A kind's function: runs the case and compares. False when it could not be run. */
typedef bool golden_run(struct golden *c, struct error *err);
golden_run golden_umt5, golden_dit, golden_vae_encode, golden_vae_decode, golden_scheduler, golden_pipeline,
    golden_qwen3, golden_tokenizer_umt5, golden_tokenizer_qwen;

const char *golden_kind(const struct golden *c);
/* The folder or file that "model" (or another key) names: in the goldens folder, or in the case's own. */
bool golden_path(const struct golden *c, const char *key, char path[PATH_MAX], struct error *err);

/* An input as f32 (integers are converted); *shape may be NULL. NULL with *err when there is none. */
float *golden_input(struct golden *c, const char *name, struct shape *shape, struct error *err);
int32_t *golden_input_ids(struct golden *c, const char *name, struct shape *shape, struct error *err);
struct schedule;
void golden_schedule(struct golden *c, const struct schedule *s); /* compares noise levels and timesteps */

bool golden_has_input(const struct golden *c, const char *name);
const struct weight *golden_expected(const struct golden *c, const char *name);      /* NULL when there is none */
double golden_call_number(const struct golden *c, const char *key, double fallback); /* of "call" */
/* A whole number of "call", least..most; an absent one is `fallback`. */
bool golden_call_int(const struct golden *c, const char *key, int fallback, int least, int most, int *to,
                     struct error *err);

/* Compares one expected tensor. A tensor that the case does not have is passed over; a wrong count is a mismatch. */
void golden_compare(struct golden *c, const char *name, const float *got, int64_t count);
void golden_compare_ints(struct golden *c, const char *name, const int64_t *got, int64_t count);
/* One of several equal parts that lie one after another in the expected tensor. A case in which some are left out
 * fails.
 */
void golden_compare_part(struct golden *c, const char *name, int64_t part, const float *got, int64_t count);
/* Two texts or numbers that must be equal. */
void golden_equal(struct golden *c, bool equal, const char *what);

/* Names a tensor without which the case proves nothing: it is an error when it has not been compared. */
bool golden_require(const struct golden *c, const char *name, struct error *err);

/* Whether all of what was compared agrees; a tensor of which only some parts were compared does not. */
bool golden_passed(struct golden *c);

/* [a, b] -> [b, a] for a matrix of rows x cols. */
float *golden_transpose(struct golden *c, const float *from, int64_t rows, int64_t cols);

#endif

/* planner - a language model that turns a prompt into a plan, under the pack's grammar.
 *
 * The grammar says what may come next; the model only ever answers its choices, so that every answer is a valid plan of
 * the asked length. The same request gives the same plan on every machine. Synchronous: the coordinator gives it a
 * thread of its own. */
#ifndef SHOTLINE_COORDINATOR_PLAN_PLANNER_H
#define SHOTLINE_COORDINATOR_PLAN_PLANNER_H

#include "common/nn/exec.h"
#include "coordinator/plan/grammar.h"

#include <stdatomic.h>

struct planner;

#define PLANNER_MAX_PROMPT 1024 /* tokens of the prompt as it was asked */

/* `dir`: a pack's planner folder, or any Qwen3 folder (without grammar.json it plans with the built-in film vocabulary,
 * without system.txt it is told what to do by a built-in text). `longest_ms` > 0: what the painter can draw in one
 * shot. The executor is borrowed. */
struct planner *planner_open(const char *dir, struct exec *x, int64_t longest_ms, struct error *err);
void planner_close(struct planner **p);

const struct grammar *planner_grammar(const struct planner *p);

struct plan_request {
    const char *prompt;
    int64_t duration_ms;
    const struct given_member *cast; /* named by the campaign; may be none */
    size_t cast_count;
    uint64_t seed;
    double temperature;        /* 0: always the likeliest */
    const atomic_bool *cancel; /* optional: becomes true when the answer is no longer wanted */
};

/* Appends the plan's canonical text. ERROR_USAGE: the request cannot be planned (too long, unknown kind of cast);
 * ERROR_CANCELLED. */
bool planner_plan(struct planner *p, const struct plan_request *r, struct str *plan, struct error *err);

#endif

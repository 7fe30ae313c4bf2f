/* patience - how long an attempt may take before it is given up: from measured speed and from its own steps, never from
 * a fixed clock where something was measured. Pure.
 *
 * Heartbeats say that a worker lives, not that its task gets on: one whose step counter stands still is stalled, one
 * that tells no steps is late after a multiple of what it should take. Steps that go on, however slowly, are never
 * late. Each time-out doubles the patience with that task, so that slow but healthy work ends all the same. */
#ifndef SHOTLINE_COORDINATOR_CORE_PATIENCE_H
#define SHOTLINE_COORDINATOR_CORE_PATIENCE_H

#include "coordinator/core/fleet.h"

#define PATIENCE_FLOOR_MS      60000                     /* never less */
#define PATIENCE_UNMEASURED_MS (INT64_C(30) * 60 * 1000) /* while nothing is known of this worker and kind */
#define PATIENCE_TIMES         4                         /* the expected time */
#define PATIENCE_LEAN          4                         /* times more for the lean profile */
#define PATIENCE_STEPS         10                        /* times the expected step */

enum overdue { OVERDUE_NOT, OVERDUE_STALLED, OVERDUE_LATE };

/* The attempt was given to this worker just now: sets what is expected of it. */
void patience_begin(struct task *t, const struct worker *w);
/* The worker tells its progress. */
void patience_step(struct task *t, uint32_t step, uint32_t steps, int64_t now_ms);
/* Whether the running attempt should be given up. To be asked when its worker speaks: a silent one loses its lease. */
enum overdue patience_over(const struct task *t, int64_t now_ms);

#endif

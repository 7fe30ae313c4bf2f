/* standing - how workers do in a campaign: one that fails again and again is set aside there, and forgiven later.
 *
 * In memory only: a restart of the coordinator forgives, and the tasks themselves remember where they failed. A
 * campaign without failures has no standings at all. */
#ifndef SHOTLINE_COORDINATOR_CORE_STANDING_H
#define SHOTLINE_COORDINATOR_CORE_STANDING_H

#include "coordinator/core/ledger.h"

#define STANDING_LIMIT    3                         /* failures since its last success there */
#define STANDING_ASIDE_MS (INT64_C(10) * 60 * 1000) /* then it gets nothing of that campaign for so long */

struct standing {
    struct worker_id worker;
    uint32_t failures;
    int64_t aside_until_ms; /* 0: not set aside */
};

/* The worker failed at a task of the campaign. True when it is set aside by that. */
bool standing_failed(struct campaign *c, struct worker_id worker, int64_t now_ms);

/* The worker did a task of the campaign: its failures there are forgotten. */
void standing_done(struct campaign *c, struct worker_id worker);

/* One that is set aside somewhere did a task elsewhere: it is forgiven on probation - the next failure sets it aside
 * again. Walks all campaigns: to be called only for a worker that is set aside. */
void standing_forgive(struct ledger *l, struct worker_id worker);

/* Until when the worker gets no task of the campaign; 0: it may have one. */
int64_t standing_aside_until_ms(const struct campaign *c, struct worker_id worker, int64_t now_ms);

/* In how many campaigns it is set aside. */
uint32_t standing_campaigns(const struct ledger *l, struct worker_id worker, int64_t now_ms);

#endif

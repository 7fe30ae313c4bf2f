#include "coordinator/core/standing.h"

#include <stdlib.h>

static struct standing *find(const struct campaign *c, struct worker_id worker)
{
    for (uint32_t i = 0; i < c->standing_count; i++)
        if (c->standings[i].worker.v == worker.v)
            return &c->standings[i];
    return NULL;
}

bool standing_failed(struct campaign *c, struct worker_id worker, int64_t now_ms)
{
    struct standing *s = find(c, worker);

    if (!s) {
        if (c->standing_count == c->standing_room) {
            c->standing_room = c->standing_room ? c->standing_room * 2 : 4;
            c->standings = xrealloc(c->standings, c->standing_room * sizeof *c->standings);
        }
        s = &c->standings[c->standing_count++];
        *s = (struct standing){ .worker = worker };
    }
    if (++s->failures < STANDING_LIMIT)
        return false;
    s->failures = STANDING_LIMIT - 1; /* after that time it is on probation */
    s->aside_until_ms = now_ms + STANDING_ASIDE_MS;
    return true;
}

void standing_done(struct campaign *c, struct worker_id worker)
{
    struct standing *s = c->standing_count ? find(c, worker) : NULL;

    if (s)
        *s = c->standings[--c->standing_count];
}

void standing_forgive(struct ledger *l, struct worker_id worker)
{
    for (size_t i = 0; i < l->campaign_count; i++) {
        struct standing *s = find(l->campaigns[i], worker);

        if (s)
            s->aside_until_ms = 0;
    }
}

int64_t standing_aside_until_ms(const struct campaign *c, struct worker_id worker, int64_t now_ms)
{
    const struct standing *s = c->standing_count ? find(c, worker) : NULL;

    return s && s->aside_until_ms > now_ms ? s->aside_until_ms : 0;
}

uint32_t standing_campaigns(const struct ledger *l, struct worker_id worker, int64_t now_ms)
{
    uint32_t count = 0;

    for (size_t i = 0; i < l->campaign_count; i++)
        count += !work_ended(l->campaigns[i]->state) && standing_aside_until_ms(l->campaigns[i], worker, now_ms);
    return count;
}

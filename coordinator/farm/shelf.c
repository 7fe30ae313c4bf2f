#include "coordinator/farm/shelf.h"

#include "coordinator/farm/recover.h"

#include <inttypes.h>

struct campaign *shelf_find(struct farm *f, struct campaign_id id, struct error *err)
{
    struct campaign *c = ledger_campaign(&f->ledger, id);

    if (!c) {
        if (id.v && id.v <= f->ledger.last_campaign)
            error_set(err, ERROR_INPUT, "campaign %" PRIu64 " has ended, and its record has been removed", id.v);
        else
            error_set(err, ERROR_INPUT, "campaign %" PRIu64 " is not known here", id.v);
        return NULL;
    }
    c->used = ++f->ledger.uses;
    return c;
}

struct campaign *shelf_campaign(struct farm *f, struct campaign_id id, struct error *err)
{
    struct campaign *c = shelf_find(f, id, err);

    return c && (!c->shelved || recover_graphs(f, c, err)) ? c : NULL;
}

struct task *shelf_task(struct farm *f, struct task_id id, struct error *err)
{
    struct task *t = ledger_task(&f->ledger, id);
    struct campaign_id campaign;

    if (t)
        return t;
    if (!store_find_task(f->store, id, &campaign, err) || (campaign.v && !shelf_campaign(f, campaign, err)))
        return NULL;
    t = ledger_task(&f->ledger, id);
    if (!t)
        error_set(err, ERROR_INPUT, "task %" PRIu64 " is not known here", id.v);
    return t;
}

void shelf_tidy(struct farm *f)
{
    while (f->ledger.ended_tasks > f->tasks_kept) {
        struct campaign *oldest = NULL;

        for (size_t i = 0; i < f->ledger.campaign_count; i++) {
            struct campaign *c = f->ledger.campaigns[i];

            if (work_ended(c->state) && !c->shelved && (!oldest || c->used < oldest->used))
                oldest = c;
        }
        if (!oldest)
            return;
        ledger_shelve(&f->ledger, oldest);
    }
}

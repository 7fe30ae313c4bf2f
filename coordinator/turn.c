#include "coordinator/turn.h"

#include "coordinator/api/admission.h"
#include "coordinator/api/client_api.h"
#include "coordinator/api/submission.h"
#include "coordinator/api/worker_api.h"
#include "coordinator/farm/artifacts.h"
#include "coordinator/farm/judging.h"
#include "coordinator/farm/leases.h"
#include "coordinator/farm/planning.h"
#include "coordinator/farm/shelf.h"
#include "coordinator/store/journal.h"

#define MESSAGES_PER_TURN 1024 /* of each conversation: they share a commit, and nobody waits long */

/* Blobs that nothing in the store names any more. */
static void remove_garbage(struct farm *f)
{
    for (size_t i = 0; i < f->ledger.garbage_count; i++)
        if (!ledger_keeps_blob(&f->ledger, &f->ledger.garbage[i]) &&
            !digest_equal(&f->listing_blob.digest, &f->ledger.garbage[i]))
            store_dir_remove(f->blobs, &f->ledger.garbage[i]);
    f->ledger.garbage_count = 0;
}

bool turn_take(struct farm *f, int64_t now_ms, int64_t wall_ms, struct error *err)
{
    bool ok;

    f->wall_ms = wall_ms;
    f->again = worker_api_drain(f, MESSAGES_PER_TURN, now_ms, &ok, err);
    if (!ok)
        return false;
    f->again |= client_api_drain(f, MESSAGES_PER_TURN, now_ms);
    if (!planning_drain(f, submission_planned, err))
        return false;
    planning_tick(f);
    judging_drain(f);
    leases_tick(f, now_ms);
    leases_dispatch(f, now_ms);
    artifacts_tick(f, now_ms);
    if (!eviction_tick(&f->eviction, now_ms, wall_ms, err) || !admission_save(f, err) ||
        !store_save(f->store, &f->ledger, &f->fleet, err))
        return false;
    farm_send_all(f);
    remove_garbage(f);
    eviction_carry_out(&f->eviction);
    shelf_tidy(f);
    if (f->journal)
        journal_flush(f->journal);
    return artifacts_forget(f, err);
}

int64_t turn_due_ms(const struct farm *f)
{
    int64_t at = f->again ? 0 : f->look_over_at_ms;

    return artifacts_wait(f) && f->manifests_at_ms < at ? f->manifests_at_ms : at;
}

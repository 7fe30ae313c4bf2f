#include "coordinator/farm/artifacts.h"

#include "common/base/log.h"
#include "coordinator/core/lifecycle.h"
#include "coordinator/core/manifest.h"
#include "coordinator/core/verify.h"
#include "coordinator/farm/scribe.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NO_ROOM_PAUSE_MS 5000

/* The video of a verification ends with its manifest's words on it. */
static void finish_verification(struct farm *f, struct video *v)
{
    uint32_t different = verify_count(v, VERDICT_DIFFERENT), same = verify_count(v, VERDICT_SAME);

    if (different)
        video_fail(&f->ledger, v, f->wall_ms, "%" PRIu32 " of %" PRIu32 " tasks were made differently", different,
                   different + same);
    else
        video_finish(&f->ledger, v, &v->campaign->verification->manifest, f->wall_ms);
    log_info("verify.done", "campaign=%" PRIu64 " video=%" PRIu64 " same=%" PRIu32 " different=%" PRIu32,
             v->campaign->id.v, v->id.v, same, different);
}

/* Has the scribe write its manifest. */
static void order_manifest(struct farm *f, struct video *v)
{
    struct str text = { 0 };

    manifest_write(
        &(struct manifest_input){
            .video = v, .keys = &f->ledger.keys, .pack = &f->pack, .listing = &f->listing, .gates = &f->gates },
        &text);
    v->manifest_order = ++f->last_manifest_order;
    f->manifests_ordered++;
    scribe_ask(f->scribe,
               &(struct scribe_order){ .campaign = v->campaign->id, .video = v->number, .order = v->manifest_order },
               &text);
}

/* The video that waits for this very manifest. NULL: it was cancelled meanwhile, or an input of it was lost and is made
 * again, and so will be its manifest. */
static struct video *who_waits(struct farm *f, const struct scribe_order *o)
{
    struct campaign *c = ledger_campaign(&f->ledger, o->campaign);
    struct video *v = c ? &c->videos[o->video - 1] : NULL;

    return v && v->manifest_order == o->order && !v->listed && video_is_complete(v) ? v : NULL;
}

static void finish(struct farm *f, const struct scribe_answer *a, int64_t now_ms)
{
    struct video *v = who_waits(f, &a->order);

    f->manifests_ordered--;
    if (!v)
        return;
    if (!a->manifest.bytes) { /* the work is done, and waits for room */
        log_error("video.manifest_waits", "video=%" PRIu64 " retry_ms=%d reason=\"%s\"", v->id.v, NO_ROOM_PAUSE_MS,
                  a->why.text);
        ledger_list_complete(&f->ledger, v);
        f->manifests_at_ms = now_ms + NO_ROOM_PAUSE_MS;
        return;
    }
    video_finish(&f->ledger, v, &a->manifest, f->wall_ms);
    log_info("video.done", "campaign=%" PRIu64 " video=%" PRIu64, v->campaign->id.v, v->id.v);
}

bool artifacts_wait(const struct farm *f)
{
    return f->ledger.complete && f->manifests_ordered < SCRIBE_AT_ONCE;
}

void artifacts_tick(struct farm *f, int64_t now_ms)
{
    struct scribe_answer a;

    while (now_ms >= f->manifests_at_ms && artifacts_wait(f)) {
        struct video *v = ledger_next_complete(&f->ledger);

        if (!video_is_complete(v)) /* it was cancelled, or an input was lost again */
            continue;
        if (v->campaign->verification)
            finish_verification(f, v);
        else
            order_manifest(f, v);
    }
    while (scribe_take(f->scribe, &a))
        finish(f, &a, now_ms);
}

bool artifacts_forget(struct farm *f, struct error *err)
{
    for (size_t i = 0; i < f->ledger.campaign_count && f->ledger.campaign_count > FARM_MAX_KEPT;) {
        struct campaign *c = f->ledger.campaigns[i];

        if (!work_ended(c->state)) {
            i++;
            continue;
        }
        if (!store_forget_campaign(f->store, c->id, err))
            return false;
        log_info("campaign.forgotten", "campaign=%" PRIu64, c->id.v);
        ledger_remove(&f->ledger, c);
    }
    return true;
}

#include "coordinator/artifacts.h"

#include "common/base/log.h"
#include "coordinator/core/lifecycle.h"
#include "coordinator/core/manifest.h"
#include "coordinator/core/verify.h"

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

/* False when there is no room for its manifest now: the work is done, and waits. */
static bool finish(struct farm *f, struct video *v)
{
    struct blob_ref manifest = { 0 };
    struct error fault;

    if (v->campaign->verification) {
        finish_verification(f, v);
        return true;
    }
    struct str text = { 0 };

    manifest_write(
        &(struct manifest_input){
            .video = v, .keys = &f->ledger.keys, .pack = &f->pack, .listing = &f->listing, .gates = &f->gates },
        &text);
    manifest.bytes = (int64_t)text.size;
    bool stored = store_dir_add_bytes(f->blobs, text.data, text.size, &manifest.digest, &fault);
    str_free(&text);
    if (!stored) {
        log_error("video.manifest_waits", "video=%" PRIu64 " retry_ms=%d reason=\"%s\"", v->id.v, NO_ROOM_PAUSE_MS,
                  fault.text);
        return false;
    }
    video_finish(&f->ledger, v, &manifest, f->wall_ms);
    log_info("video.done", "campaign=%" PRIu64 " video=%" PRIu64, v->campaign->id.v, v->id.v);
    return true;
}

void artifacts_tick(struct farm *f, int64_t now_ms)
{
    struct video *v;

    while (now_ms >= f->manifests_at_ms && (v = ledger_next_complete(&f->ledger))) {
        if (!video_is_complete(v) || finish(f, v)) /* it may have been cancelled, or an input was lost again */
            continue;
        ledger_list_complete(&f->ledger, v);
        f->manifests_at_ms = now_ms + NO_ROOM_PAUSE_MS;
    }
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

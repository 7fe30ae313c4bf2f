#include "coordinator/artifacts.h"

#include "common/base/log.h"
#include "coordinator/lifecycle.h"
#include "coordinator/manifest.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void finish(struct farm *f, struct video *v)
{
    struct blob_ref manifest = { 0 };
    struct error fault;
    char *text = manifest_write(
        &(struct manifest_input){ .video = v, .keys = &f->ledger.keys, .pack = &f->pack, .listing = &f->listing },
        &fault);

    if (text) {
        manifest.bytes = (int64_t)strlen(text);
        if (store_dir_add_bytes(f->blobs, text, strlen(text), &manifest.digest, &fault)) {
            video_finish(&f->ledger, v, &manifest, f->wall_ms);
            log_info("video.done", "campaign=%" PRIu64 " video=%" PRIu64, v->campaign->id.v, v->id.v);
            free(text);
            return;
        }
        free(text);
    }
    log_error("video.no_manifest", "video=%" PRIu64 " reason=\"%s\"", v->id.v, fault.text);
    video_fail(&f->ledger, v, f->wall_ms, "manifest: %s", fault.text);
}

void artifacts_tick(struct farm *f)
{
    for (size_t c = 0; c < f->ledger.campaign_count; c++) {
        struct campaign *campaign = f->ledger.campaigns[c];

        for (uint32_t i = 0; !work_ended(campaign->state) && i < campaign->video_count; i++)
            if (video_is_complete(&campaign->videos[i]))
                finish(f, &campaign->videos[i]);
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

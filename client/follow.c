#include "client/follow.h"

#include "client/output.h"

#include <time.h>

enum { PERIOD_MS = 500 };

const Shotline__CampaignStatus *follow(struct session *s, uint64_t id, enum progress_style style, struct arena *arena,
                                       struct error *err)
{
    struct progress progress;
    progress_begin(&progress, style);
    const Shotline__CampaignStatus *c;
    for (;;) {
        arena_free(arena);
        c = session_status(s, id, arena, err);
        if (!c)
            break;
        progress_show(&progress, c);
        if (output_state_ended(c->state))
            break;
        /* A signal ends the pause early, and the next request sees it. */
        nanosleep(&(struct timespec){ .tv_nsec = PERIOD_MS * 1000000L }, NULL);
    }
    progress_end(&progress);
    return c;
}

bool follow_verdict(const Shotline__CampaignStatus *c, struct error *err)
{
    for (size_t i = 0; i < c->n_videos; i++) {
        const Shotline__VideoStatus *v = c->videos[i];
        if (v->state == SHOTLINE__WORK_STATE__WORK_FAILED)
            return error_set(err, ERROR_INPUT, "%s: %s", v->name, v->reason ? v->reason : "failed");
    }
    if (c->state == SHOTLINE__WORK_STATE__WORK_CANCELLED)
        return error_set(err, ERROR_CANCELLED, "campaign %llu was cancelled", (unsigned long long)c->campaign);
    if (c->state != SHOTLINE__WORK_STATE__WORK_DONE)
        return error_set(err, ERROR_INPUT, "campaign %llu is %s", (unsigned long long)c->campaign,
                         output_state(c->state));
    return true;
}

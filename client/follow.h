/* follow - watches a campaign to its end. */
#ifndef SHOTLINE_CLIENT_FOLLOW_H
#define SHOTLINE_CLIENT_FOLLOW_H

#include "client/progress.h"
#include "client/session.h"

/* Shows the progress until the campaign has ended; the last status lives in `arena`. NULL when the farm is lost or the
 * person interrupts. A campaign that ended badly is still a status: see follow_verdict. */
const Shotline__CampaignStatus *follow(struct session *s, uint64_t id, enum progress_style style, struct arena *arena,
                                       struct error *err);

/* true when all videos are done; else *err names the first one that is not, and why. */
bool follow_verdict(const Shotline__CampaignStatus *c, struct error *err);

#endif

/* status - what is shown of campaigns, their videos and shots, of the workers and of the storage. The replies live in
 * the request's arena. */
#ifndef SHOTLINE_COORDINATOR_API_STATUS_H
#define SHOTLINE_COORDINATOR_API_STATUS_H

#include "coordinator/api/request.h"

/* One campaign with its videos from `first_video` on, as many as an answer has room for. */
Shotline__StatusReply *status_campaign(const struct request *r, const struct campaign *c, uint32_t first_video);
/* All campaigns in short, and the storage. */
Shotline__StatusReply *status_farm(const struct request *r);
/* The workers that were heard of since the start. */
Shotline__WorkersReply *status_workers(const struct request *r);

#endif

/* client_api - the conversation with clients: who may ask for what, and who answers it. One request, one reply. */
#ifndef SHOTLINE_COORDINATOR_API_CLIENT_API_H
#define SHOTLINE_COORDINATOR_API_CLIENT_API_H

#include "coordinator/farm/farm.h"

/* Takes up to `most` messages; says whether more may be waiting. */
bool client_api_drain(struct farm *f, int most, int64_t now_ms);

#endif

/* client_api - the conversation with clients: submit, plan, status, cancel, workers. One request, one reply. */
#ifndef SHOTLINE_COORDINATOR_API_CLIENT_API_H
#define SHOTLINE_COORDINATOR_API_CLIENT_API_H

#include "coordinator/farm.h"

/* Takes up to `most` messages; says whether more may be waiting. */
bool client_api_drain(struct farm *f, int most, int64_t now_ms);

/* The answer to a PlanRequest has come from the planner: its text, or why there is none. */
void client_api_planned(struct farm *f, uint64_t job, const char *plan, const struct error *why);

#endif

/* client_api - the conversation with clients: submit, plan, status, cancel, workers. One request, one reply. */
#ifndef SHOTLINE_COORDINATOR_API_CLIENT_API_H
#define SHOTLINE_COORDINATOR_API_CLIENT_API_H

#include "coordinator/farm/farm.h"

struct plan_answer;

/* Takes up to `most` messages; says whether more may be waiting. */
bool client_api_drain(struct farm *f, int most, int64_t now_ms);

/* A planning_answered: the planner's answer goes to whoever has asked for it. */
void client_api_planned(struct farm *f, const struct plan_answer *a);

#endif

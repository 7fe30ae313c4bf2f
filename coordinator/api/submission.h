/* submission - what clients want made, or made no longer: campaigns submitted, plans asked for, campaigns cancelled.
 * Each answers its request. */
#ifndef SHOTLINE_COORDINATOR_API_SUBMISSION_H
#define SHOTLINE_COORDINATOR_API_SUBMISSION_H

#include "coordinator/api/request.h"

struct plan_answer;

/* A campaign that is known by its token is not made twice: the answer is its number again. */
void submission_campaign(const struct request *r, const Shotline__SubmitRequest *q);

/* Answered at once from a plan that was made before, else when the planner has made one. */
void submission_plan(const struct request *r, const Shotline__PlanRequest *q);
/* A planning_answered: the planner's answer goes to whoever waits for it. */
void submission_planned(struct farm *f, const struct plan_answer *a);

void submission_cancel(const struct request *r, const Shotline__CancelRequest *q);

#endif

/* planning - from a new video to its running task graph: the plan is found, asked for, or was given; then it is
 * compiled. */
#ifndef SHOTLINE_COORDINATOR_FARM_PLANNING_H
#define SHOTLINE_COORDINATOR_FARM_PLANNING_H

#include "coordinator/farm/farm.h"

struct plan_answer;

/* Starts videos whose plan is there, and asks the planner for the others, a few at a time. */
void planning_tick(struct farm *f);

/* Takes what the planner has made: the plans of videos start them, those that only a client waits for go to
 * `for_client`. False when the store failed. */
typedef void planning_answered(struct farm *f, const struct plan_answer *a);
bool planning_drain(struct farm *f, planning_answered *for_client, struct error *err);

/* A plan made before for the same question; NULL: none. Free it. */
char *planning_find(struct farm *f, const struct video *v);

/* Asks for a plan that only a client waits for; returns the job. */
uint64_t planning_ask_for_client(struct farm *f, const struct video *v);

/* Parses the video's plan text and compiles it. False with *err. */
bool planning_compile(struct farm *f, struct video *v, struct error *err);

#endif

/* shelf - the task graphs of campaigns that have ended: only those that were used last stay in memory; the others are
 * read again from the store when somebody asks. So a farm's memory does not grow with what it has done. */
#ifndef SHOTLINE_COORDINATOR_FARM_SHELF_H
#define SHOTLINE_COORDINATOR_FARM_SHELF_H

#include "coordinator/farm/farm.h"

/* As it is: its graphs may be on the shelf. NULL: unknown (ERROR_INPUT). */
struct campaign *shelf_find(struct farm *f, struct campaign_id id, struct error *err);
/* With its graphs, from the shelf if they are there. NULL: unknown (ERROR_INPUT), or the store cannot be read. */
struct campaign *shelf_campaign(struct farm *f, struct campaign_id id, struct error *err);
struct task *shelf_task(struct farm *f, struct task_id id, struct error *err);

/* At the end of a turn, when all is saved: puts away what is too much. */
void shelf_tidy(struct farm *f);

#endif

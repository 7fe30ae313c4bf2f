/* turn - the farm at work: a turn takes what has arrived, decides, saves all of it in one transaction, and only then
 * lets anybody know. The loop gives it its turns, and so do tests and simulations with fake endpoints and clocks of
 * their own. */
#ifndef SHOTLINE_COORDINATOR_TURN_H
#define SHOTLINE_COORDINATOR_TURN_H

#include "coordinator/farm/farm.h"

/* Of a farm that was recovered. False when the store failed: nothing was answered, and the process must end. */
bool turn_take(struct farm *f, int64_t now_ms, int64_t wall_ms, struct error *err);
/* When the next turn is due even if nothing arrives. */
int64_t turn_due_ms(const struct farm *f);

#endif

/* loop - waits for messages, plans, signals and deadlines, and gives the farm its turns. Ends on SIGINT or SIGTERM. */
#ifndef SHOTLINE_COORDINATOR_LOOP_H
#define SHOTLINE_COORDINATOR_LOOP_H

#include "coordinator/farm/farm.h"

/* signals: a signalfd. False with *err when the farm cannot go on. */
bool loop_run(struct farm *f, int signals, struct error *err);

#endif

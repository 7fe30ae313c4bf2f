/* figures - what a campaign has come to, in numbers: tasks, and how its shots fared at the gates. Pure. */
#ifndef SHOTLINE_COORDINATOR_CORE_FIGURES_H
#define SHOTLINE_COORDINATOR_CORE_FIGURES_H

#include "coordinator/core/job.h"

/* Adds a video's. */
void figures_add(struct campaign_figures *to, const struct video *v);
/* A campaign's: of its graphs, or, when those are on the shelf, what they came to. */
struct campaign_figures figures_of(const struct campaign *c);

#endif

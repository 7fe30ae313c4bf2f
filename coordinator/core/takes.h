/* takes - a shot whose take failed its gates is made again with other noise; this decides which take a video shows.
 * Pure.
 *
 * The number of a take follows from results alone: takes are made one after another, each is judged by what its decode
 * measured, and the first that passes is shown. So the same campaign shows the same takes whatever its workers did. */
#ifndef SHOTLINE_COORDINATOR_CORE_TAKES_H
#define SHOTLINE_COORDINATOR_CORE_TAKES_H

#include "coordinator/core/gates.h"
#include "coordinator/core/ledger.h"

/* Adds the next take of a shot to the graph: its first take's tasks again, with other noise. Returns the position of
 * the first of them; they wait for video_extend. There must be room: fewer than the campaign's `takes`. */
uint32_t takes_add(struct video *v, struct shot *s);

/* The verdict on a decode that is done: its take is shown; or the shot's next take begins; or, after the last one, the
 * best of them is shown or the video fails, as the campaign wishes. */
void takes_judged(struct ledger *l, struct task *decode, const struct gate_verdict *verdict, int64_t wall_ms);

/* After a restart, with the verdicts laid over the graph: the shots that show a take again. Before video_resume. */
void takes_restore(struct video *v);

/* A shot whose newest take was judged and is not shown. Of a running video: what follows from a verdict is saved with
 * it, so its record is damaged. NULL: none. */
const struct shot *takes_unsettled(const struct video *v);

/* The take that a shot shows, or else the best of those that were judged; NULL: none was. */
const struct task *takes_best(const struct video *v, const struct shot *s);

/* "shot 3: none of 2 takes passed; the best, take 1: flash 31.2, limit 12" */
void takes_describe(const struct task *best, char *to, size_t room);

#endif

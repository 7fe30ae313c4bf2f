/* join - from a join line to a credential of one's own: makes a pair of keys here, and has the farm accept the public
 * one in the place of the line's, which is dead from then on. */
#ifndef SHOTLINE_WIRE_JOIN_H
#define SHOTLINE_WIRE_JOIN_H

#include "common/base/credential.h"

#include <stdatomic.h>
#include <stdint.h>

/* The credential lies in `path` afterwards. The pair is on disk before the farm hears of it (PATH.new), so that the
 * same line works again after a try whose answer was lost, here and only here. stop: see blob.h. */
bool join_farm(const struct credential *line, const char *path, struct credential *made, int64_t timeout_ms,
               const atomic_bool *stop, struct error *err);

/* The line itself, or standard input's first one for "-": what stands in an argument can be seen in a list of
 * processes. Keep the result until it is read. */
bool join_read_line(const char *argument, char line[CREDENTIAL_LINE_ROOM], struct error *err);

#endif

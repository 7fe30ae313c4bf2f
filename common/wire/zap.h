/* zap - the door of a farm with keys: a thread that answers libzmq when it asks who may connect (ZeroMQ's RFC 27),
 * notes every connection that fails at the door, and hangs up on whoever opens too many.
 *
 * czmq's zauth is of no use here: it leaves User-Id empty, and so no message would tell the key of its sender. libzmq
 * cannot drop a peer that is connected; so whoever may be refused later is refused message by message. */
#ifndef SHOTLINE_WIRE_ZAP_H
#define SHOTLINE_WIRE_ZAP_H

#include "common/wire/callers.h"
#include "common/wire/endpoint.h"

/* Whether a peer that has proved this key may connect. Called on the door's thread; must not wait for anything. */
typedef bool zap_judge(void *context, const struct curve_key *key, const char *address);

struct zap;
/* Before any endpoint with keys is bound: without it nobody could come in with a name. One per process. */
struct zap *zap_open(zap_judge *judge, void *context, struct error *err);
/* How many connections all the watched endpoints take together; before the first of them. Without it: any number. */
void zap_limit(struct zap *z, const struct callers_limits *l);
void zap_close(struct zap **z); /* after the endpoints */

/* Counts who comes and goes at a bound endpoint, and logs who is turned away: one line per reason and minute. `name`: a
 * literal. */
bool zap_watch(struct zap *z, struct endpoint *e, const char *name, struct error *err);

#endif

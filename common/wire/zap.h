/* zap - the door of a farm with keys: a thread that answers libzmq when it asks who may connect (ZeroMQ's RFC 27), and
 * notes every connection that fails at the door.
 *
 * czmq's zauth is of no use here: it leaves User-Id empty, and so no message would tell the key of its sender. libzmq
 * cannot drop a peer that is connected; so whoever may be refused later is refused message by message. */
#ifndef SHOTLINE_WIRE_ZAP_H
#define SHOTLINE_WIRE_ZAP_H

#include "common/wire/endpoint.h"

/* Whether a peer that has proved this key may connect. Called on the door's thread; must not wait for anything. */
typedef bool zap_judge(void *context, const struct curve_key *key, const char *address);

struct zap;
/* Before any endpoint with keys is bound: without it nobody could come in with a name. One per process. */
struct zap *zap_open(zap_judge *judge, void *context, struct error *err);
void zap_close(struct zap **z); /* after the endpoints */

/* Logs who fails to prove a key at a bound endpoint: one line per reason and minute. `name`: a literal. */
bool zap_watch(struct zap *z, struct endpoint *e, const char *name, struct error *err);

#endif

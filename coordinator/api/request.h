/* request - what a client asked for, and the way back to it: one request, one reply. */
#ifndef SHOTLINE_COORDINATOR_API_REQUEST_H
#define SHOTLINE_COORDINATOR_API_REQUEST_H

#include "coordinator/farm/farm.h"
#include "proto/client.pb-c.h"

struct request {
    struct farm *f;
    const struct peer *peer;
    const struct message *message; /* NULL for an answer that comes later */
    uint64_t sequence;
    int64_t now_ms;
    struct arena *arena; /* until it is answered */
};

/* The reply leaves after the turn's commit. */
void request_reply(const struct request *r, Shotline__FromFarm *m);
void request_fail(const struct request *r, Shotline__FarmErrorKind kind, const char *text);

/* The campaign that is asked about, with its task graphs if they matter. NULL: there is none, and the client is told.
 */
struct campaign *request_campaign(const struct request *r, uint64_t id, bool graphs);

#endif

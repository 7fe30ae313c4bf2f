/* admission - what clients ask about keys: invite, join, revoke, list. The replies live in `arena`; NULL with *err when
 * there is nothing to reply but that. */
#ifndef SHOTLINE_COORDINATOR_API_ADMISSION_H
#define SHOTLINE_COORDINATOR_API_ADMISSION_H

#include "coordinator/farm/farm.h"
#include "proto/client.pb-c.h"

Shotline__Invited *admission_invite(struct farm *f, const Shotline__InviteRequest *q, struct arena *arena,
                                    struct error *err);
/* message: what the request came in; its key is the invite. */
Shotline__Joined *admission_join(struct farm *f, const Shotline__JoinRequest *q, const struct message *message,
                                 int64_t now_ms, struct arena *arena, struct error *err);
/* Its workers' leases are given up with it. */
Shotline__Revoked *admission_revoke(struct farm *f, const Shotline__RevokeRequest *q, struct arena *arena,
                                    struct error *err);
Shotline__KeysReply *admission_keys(struct farm *f, struct arena *arena, struct error *err);

/* At the start, before anybody can connect: the list from the store into the guard, and the operator of this machine
 * into the list if need be. */
bool admission_load(struct guard *g, struct store *s, const struct credential *owner, int64_t wall_ms,
                    struct error *err);
/* Changes of this turn, into its transaction. False when the store failed. */
bool admission_save(struct farm *f, struct error *err);

#endif

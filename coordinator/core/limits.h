/* limits - how much a peer may say: messages by a token bucket for each conversation, malformed ones by another, after
 * which it is not listened to for a while. And what was refused, so that it is logged once and not at every message.
 * Pure: now_ms is an argument. */
#ifndef SHOTLINE_COORDINATOR_CORE_LIMITS_H
#define SHOTLINE_COORDINATOR_CORE_LIMITS_H

#include "coordinator/core/access.h"

#define LIMITS_SETS          2048 /* of LIMITS_WAYS peers; in a full set the one that was silent longest is forgotten */
#define LIMITS_WAYS          4
#define LIMITS_CONVERSATIONS 3
#define LIMITS_BURST_S       4 /* a full bucket holds what comes in so many seconds */
#define LIMITS_MALFORMED     20
#define LIMITS_FORGIVE_MS    10000   /* one malformed message less */
#define LIMITS_IGNORE_MS     60000   /* after too many */
#define LIMITS_LOG_EVERY_MS  3600000 /* the same refusal of the same peer */

/* Who is meant: a key, or the bytes of a connection where there are no keys. */
struct limits_who {
    uint8_t bytes[32];
};

struct limits_peer {
    struct limits_who who;
    int64_t heard_ms; /* 0: the place is free */
    double tokens[LIMITS_CONVERSATIONS];
    int64_t filled_ms[LIMITS_CONVERSATIONS];
    double malformed; /* of late */
    int64_t malformed_ms, ignored_until_ms;
    int64_t logged_ms[REFUSALS]; /* 0: never */
    uint32_t refused[REFUSALS];
};

struct limits {
    double messages_per_s; /* of one peer in one conversation */
    struct limits_peer *peers;
};

void limits_init(struct limits *l, double messages_per_s);
void limits_free(struct limits *l);

/* A message has come: REFUSAL_NONE, REFUSAL_RATE or REFUSAL_IGNORED. */
enum refusal limits_message(struct limits *l, const struct limits_who *who, int conversation, int64_t now_ms);
/* It was refused. Counts it, and says whether that is to be logged; a malformed message (any of the reasons that no
 * honest peer gives) brings the peer nearer to being ignored. */
bool limits_refused(struct limits *l, const struct limits_who *who, enum refusal r, int64_t now_ms);

/* How many messages of this peer were refused, as far as is remembered. */
uint64_t limits_count(const struct limits *l, const struct limits_who *who);

#endif

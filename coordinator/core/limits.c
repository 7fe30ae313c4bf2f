#include "coordinator/core/limits.h"

#include "common/base/arena.h"

#include <stdlib.h>
#include <string.h>

void limits_init(struct limits *l, double messages_per_s)
{
    *l = (struct limits){ .messages_per_s = messages_per_s,
                          .peers = xcalloc((size_t)LIMITS_SETS * LIMITS_WAYS, sizeof *l->peers) };
}

void limits_free(struct limits *l)
{
    free(l->peers);
    *l = (struct limits){ 0 };
}

/* The places where a peer can be. */
static struct limits_peer *set_of(const struct limits *l, const struct limits_who *who)
{
    uint32_t v = 0;

    for (size_t i = 0; i < sizeof who->bytes; i++) /* FNV-1a: connections differ in few bytes */
        v = (v ^ who->bytes[i]) * 16777619u;
    return &l->peers[(size_t)(v % LIMITS_SETS) * LIMITS_WAYS];
}

static struct limits_peer *find(const struct limits *l, const struct limits_who *who)
{
    struct limits_peer *set = set_of(l, who);

    for (int i = 0; i < LIMITS_WAYS; i++)
        if (set[i].heard_ms && memcmp(&set[i].who, who, sizeof *who) == 0)
            return &set[i];
    return NULL;
}

static struct limits_peer *find_or_make(struct limits *l, const struct limits_who *who, int64_t now_ms)
{
    struct limits_peer *p = find(l, who);

    if (!p) {
        struct limits_peer *set = set_of(l, who);

        p = set;
        for (int i = 1; i < LIMITS_WAYS; i++)
            if (set[i].heard_ms < p->heard_ms)
                p = &set[i];
        *p = (struct limits_peer){ .who = *who };
        for (int c = 0; c < LIMITS_CONVERSATIONS; c++) {
            p->tokens[c] = l->messages_per_s * LIMITS_BURST_S;
            p->filled_ms[c] = now_ms;
        }
    }
    p->heard_ms = now_ms > 0 ? now_ms : 1;
    return p;
}

enum refusal limits_message(struct limits *l, const struct limits_who *who, int conversation, int64_t now_ms)
{
    struct limits_peer *p = find_or_make(l, who, now_ms);
    const double most = l->messages_per_s * LIMITS_BURST_S;
    double *tokens = &p->tokens[conversation];

    if (now_ms < p->ignored_until_ms)
        return REFUSAL_IGNORED;
    *tokens += (double)(now_ms - p->filled_ms[conversation]) * l->messages_per_s / 1000;
    *tokens = *tokens < most ? *tokens : most;
    p->filled_ms[conversation] = now_ms;
    if (*tokens < 1)
        return REFUSAL_RATE;
    *tokens -= 1;
    return REFUSAL_NONE;
}

bool limits_refused(struct limits *l, const struct limits_who *who, enum refusal r, int64_t now_ms)
{
    struct limits_peer *p = find_or_make(l, who, now_ms);

    p->refused[r]++;
    if (r == REFUSAL_MALFORMED || r == REFUSAL_TOO_LARGE || r == REFUSAL_DIGEST) {
        p->malformed -= (double)(now_ms - p->malformed_ms) / LIMITS_FORGIVE_MS;
        p->malformed = (p->malformed > 0 ? p->malformed : 0) + 1;
        p->malformed_ms = now_ms;
        if (p->malformed > LIMITS_MALFORMED)
            p->ignored_until_ms = now_ms + LIMITS_IGNORE_MS;
    }
    if (p->logged_ms[r] && now_ms - p->logged_ms[r] < LIMITS_LOG_EVERY_MS)
        return false;
    p->logged_ms[r] = p->heard_ms;
    return true;
}

uint64_t limits_count(const struct limits *l, const struct limits_who *who)
{
    const struct limits_peer *p = find(l, who);
    uint64_t count = 0;

    for (int r = 0; p && r < REFUSALS; r++)
        count += p->refused[r];
    return count;
}

/* agent_report - finished and failed attempts until the farm has acknowledged them. */
#include "worker/agent_internal.h"

#include "common/base/log.h"
#include "common/base/str.h"
#include "common/wire/codec.h"

#include <inttypes.h>
#include <stdlib.h>

struct report *agent_find_report(struct agent *a, uint64_t task, uint32_t attempt)
{
    for (size_t i = 0; i < a->report_count; i++)
        if (a->reports[i].result.task == task && a->reports[i].result.attempt == attempt)
            return &a->reports[i];
    return NULL;
}

struct report *agent_add_report(struct agent *a, const struct result *r, bool ours, int64_t now_ms)
{
    struct report *to = agent_find_report(a, r->task, r->attempt);

    if (!to) {
        if (a->report_count == a->report_room) {
            a->report_room = a->report_room ? 2 * a->report_room : 8;
            a->reports = xrealloc(a->reports, a->report_room * sizeof *a->reports);
        }
        to = &a->reports[a->report_count++];
    }
    *to = (struct report){ .result = *r, .ours = ours, .next_ms = now_ms, .every_ms = a->heartbeat_ms };
    return to;
}

static void settle(struct agent *a, struct report *r)
{
    if (!r->failed)
        a->hooks.settled(a->hooks.context, &r->result);
    *r = a->reports[--a->report_count];
}

void agent_fail(struct agent *a, const struct result *of, Shotline__FailureClass failure, const char *reason,
                int64_t now_ms)
{
    struct report *r = agent_add_report(a, of, true, now_ms);

    r->failed = true;
    r->failure = failure;
    str_copy(r->reason, sizeof r->reason, reason);
    if (a->joined)
        agent_say_report(a, r, now_ms);
}

static void on_missing(struct agent *a, struct report *r, const Shotline__ReportAck *ack)
{
    struct digest missing[RESULT_MAX_OUTPUTS];
    size_t n = 0;

    if (r->failed || r->uploading)
        return;
    for (size_t i = 0; i < r->result.count; i++)
        for (size_t k = 0; k < ack->n_missing; k++) {
            struct digest d;

            if (codec_digest(&d, &ack->missing[k]) && digest_equal(&d, &r->result.outputs[i].digest)) {
                missing[n++] = d;
                break;
            }
        }
    if (n == 0)
        return; /* names nothing of ours: said again later */
    r->uploading = true;
    a->hooks.upload(a->hooks.context, &r->result, missing, n);
}

void agent_on_ack(struct agent *a, const Shotline__ReportAck *ack)
{
    struct report *r = agent_find_report(a, ack->task, ack->attempt);

    if (!r)
        return; /* a repeat */
    switch (ack->verdict) {
    case SHOTLINE__REPORT_VERDICT__REPORT_SUPERSEDED:
        log_info("report.superseded", "task=%" PRIu64 " attempt=%" PRIu32, ack->task, ack->attempt);
        settle(a, r);
        break;
    case SHOTLINE__REPORT_VERDICT__REPORT_OK:
        settle(a, r);
        break;
    case SHOTLINE__REPORT_VERDICT__REPORT_MISSING_BLOB:
        on_missing(a, r, ack);
        break;
    default:
        log_warn("agent.bad_verdict", "verdict=%d", (int)ack->verdict);
    }
}

void agent_uploaded(struct agent *a, uint64_t task, uint32_t attempt, bool ok, const char *reason, int64_t now_ms)
{
    struct report *r = agent_find_report(a, task, attempt);
    struct result lost;

    if (!r || !r->uploading)
        return;
    r->uploading = false;
    r->every_ms = a->heartbeat_ms;
    if (!ok) { /* the farm cannot have this result: better to say so than to go on forever */
        lost = r->result;
        a->hooks.settled(a->hooks.context, &lost);
        agent_fail(a, &lost, SHOTLINE__FAILURE_CLASS__FAILURE_WORKER, reason, now_ms);
    } else if (a->joined) {
        agent_say_report(a, r, now_ms);
    }
}

void agent_restore(struct agent *a, const struct result *r, int64_t now_ms)
{
    agent_add_report(a, r, false, now_ms);
}

#include "coordinator/api/client_api.h"

#include "common/wire/codec.h"
#include "coordinator/api/admission.h"
#include "coordinator/api/guard.h"
#include "coordinator/api/inspect.h"
#include "coordinator/api/request.h"
#include "coordinator/api/status.h"
#include "coordinator/api/submission.h"
#include "coordinator/farm/leases.h"
#include "coordinator/farm/text.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- what is shown ---- */

static void on_status(const struct request *r, const Shotline__StatusRequest *q)
{
    const struct campaign *c = q->has_campaign ? request_campaign(r, q->campaign, true) : NULL;
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;

    if (q->has_campaign && !c)
        return;
    m.status = c ? status_campaign(r, c, q->first_video) : status_farm(r);
    request_reply(r, &m);
}

static void on_workers(const struct request *r)
{
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;

    m.workers = status_workers(r);
    request_reply(r, &m);
}

static void on_log(const struct request *r, const Shotline__LogRequest *q)
{
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    struct error fault;

    m.log = inspect_log(r->f, q, r->arena, &fault);
    if (m.log)
        request_reply(r, &m);
    else
        request_fail(r, SHOTLINE__FARM_ERROR_KIND__FARM_NOT_FOUND, fault.text);
}

static void on_explain(const struct request *r, const Shotline__ExplainRequest *q)
{
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    struct error fault;

    m.explain = inspect_explain(r->f, q, r->now_ms, r->arena, &fault);
    if (m.explain)
        request_reply(r, &m);
    else
        request_fail(r, SHOTLINE__FARM_ERROR_KIND__FARM_NOT_FOUND, fault.text);
}

static void on_verify(const struct request *r, const Shotline__VerifyRequest *q)
{
    const struct campaign *c = request_campaign(r, q->campaign, true);
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    struct error fault;

    if (!c)
        return;
    m.verify = inspect_verification(r->f, c, r->arena, &fault);
    if (m.verify)
        request_reply(r, &m);
    else
        request_fail(r, SHOTLINE__FARM_ERROR_KIND__FARM_BAD_REQUEST, fault.text);
}

/* ---- administration ---- */

static void on_drain(const struct request *r, const Shotline__DrainRequest *q)
{
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    Shotline__Drained d = SHOTLINE__DRAINED__INIT;
    char name[64], text[128];

    text_clean(name, sizeof name, q->name);
    d.workers = leases_drain(r->f, name);
    if (!d.workers) {
        snprintf(text, sizeof text, "no connected worker has the name \"%s\"", name);
        request_fail(r, SHOTLINE__FARM_ERROR_KIND__FARM_NOT_FOUND, text);
        return;
    }
    m.drained = &d;
    request_reply(r, &m);
}

static void on_keys(const struct request *r, const Shotline__ToFarm *q)
{
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    struct error fault;

    if (q->invite)
        m.invited = admission_invite(r->f, q->invite, r->arena, &fault);
    else if (q->join)
        m.joined = admission_join(r->f, q->join, r->message, r->now_ms, r->arena, &fault);
    else if (q->revoke)
        m.revoked = admission_revoke(r->f, q->revoke, r->arena, &fault);
    else
        m.keys = admission_keys(r->f, r->arena, &fault);
    if (m.invited || m.joined || m.revoked || m.keys)
        request_reply(r, &m);
    else
        request_fail(r, SHOTLINE__FARM_ERROR_KIND__FARM_BAD_REQUEST, fault.text);
}

/* ---- the conversation ---- */

/* A message asks for one thing: what it may and what is done are then about the same. */
static bool asks_one_thing(const Shotline__ToFarm *m)
{
    const ProtobufCMessageDescriptor *d = m->base.descriptor;
    int count = 0;

    for (unsigned i = 0; i < d->n_fields; i++)
        count += d->fields[i].type == PROTOBUF_C_TYPE_MESSAGE &&
                 *(void *const *)((const char *)m + d->fields[i].offset) != NULL;
    return count <= 1;
}

/* What a request needs; what is not named here is for operators. */
static enum access_verb verb_of(const Shotline__ToFarm *m)
{
    if (m->join)
        return ACCESS_JOIN;
    if (m->status || m->workers || m->log || m->explain || m->verify)
        return ACCESS_LOOK;
    if (m->submit || m->plan || m->cancel)
        return ACCESS_SUBMIT;
    return ACCESS_ADMINISTER;
}

static void on_message(struct farm *f, const struct message *message, int64_t now_ms)
{
    const char *why = NULL;
    const bool heard = guard_hears(f->guard, CONVERSATION_CLIENTS, message, now_ms, &why);

    if (!heard && !why)
        return;

    struct arena arena = { 0 };
    struct error fault;
    const Shotline__ToFarm *m =
        codec_unpack(&shotline__to_farm__descriptor, message->data, message->size, &arena, &fault);
    struct request r = { .f = f, .peer = &message->peer, .message = message, .now_ms = now_ms, .arena = &arena };
    char text[128];

    if (!m) {
        guard_refused(f->guard, CONVERSATION_CLIENTS, message, REFUSAL_MALFORMED, fault.text, now_ms);
    } else {
        r.sequence = m->sequence;
        if (!asks_one_thing(m)) {
            request_fail(&r, SHOTLINE__FARM_ERROR_KIND__FARM_BAD_REQUEST, "several requests in one message");
        } else if (!heard || !guard_allows(f->guard, CONVERSATION_CLIENTS, message, verb_of(m), now_ms, &why)) {
            request_fail(&r, SHOTLINE__FARM_ERROR_KIND__FARM_FORBIDDEN, why);
        } else if (m->version != WIRE_VERSION) {
            snprintf(text, sizeof text, "this farm speaks version %u of the protocol, the client %" PRIu32,
                     WIRE_VERSION, m->version);
            request_fail(&r, SHOTLINE__FARM_ERROR_KIND__FARM_BAD_REQUEST, text);
        } else if (m->submit) {
            submission_campaign(&r, m->submit);
        } else if (m->plan) {
            submission_plan(&r, m->plan);
        } else if (m->status) {
            on_status(&r, m->status);
        } else if (m->cancel) {
            submission_cancel(&r, m->cancel);
        } else if (m->workers) {
            on_workers(&r);
        } else if (m->explain) {
            on_explain(&r, m->explain);
        } else if (m->log) {
            on_log(&r, m->log);
        } else if (m->verify) {
            on_verify(&r, m->verify);
        } else if (m->invite || m->join || m->revoke || m->keys) {
            on_keys(&r, m);
        } else if (m->drain) {
            on_drain(&r, m->drain);
        } else {
            request_fail(&r, SHOTLINE__FARM_ERROR_KIND__FARM_BAD_REQUEST, "an empty request");
        }
    }
    arena_free(&arena);
}

bool client_api_drain(struct farm *f, int most, int64_t now_ms)
{
    struct message message;

    for (int i = 0; i < most; i++) {
        if (!endpoint_receive(f->clients, &message))
            return false;
        on_message(f, &message, now_ms);
    }
    return true;
}

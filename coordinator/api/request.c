#include "coordinator/api/request.h"

#include "coordinator/farm/shelf.h"

void request_reply(const struct request *r, Shotline__FromFarm *m)
{
    m->sequence = r->sequence;
    farm_send(r->f, r->f->clients, r->peer, &m->base);
}

void request_fail(const struct request *r, Shotline__FarmErrorKind kind, const char *text)
{
    Shotline__FromFarm m = SHOTLINE__FROM_FARM__INIT;
    Shotline__FarmError e = SHOTLINE__FARM_ERROR__INIT;

    e.kind = kind;
    e.text = (char *)text;
    m.error = &e;
    request_reply(r, &m);
}

struct campaign *request_campaign(const struct request *r, uint64_t id, bool graphs)
{
    const struct campaign_id campaign = { id };
    struct error fault;
    struct campaign *c = graphs ? shelf_campaign(r->f, campaign, &fault) : shelf_find(r->f, campaign, &fault);

    if (!c)
        request_fail(r,
                     fault.kind == ERROR_INPUT ? SHOTLINE__FARM_ERROR_KIND__FARM_NOT_FOUND
                                               : SHOTLINE__FARM_ERROR_KIND__FARM_FAILED,
                     fault.text);
    return c;
}

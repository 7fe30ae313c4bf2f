/* client - people who submit campaigns under a token until they are told an id, ask how things are until all is ended,
 * now and then cancel, and submit again what was accepted already. */
#include "tests/sim/world.h"

#include "common/wire/codec.h"
#include "common/wire/endpoint.h"
#include "coordinator/farm/intake.h"
#include "proto/client.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define fail_msg(...) (fprintf(stderr, __VA_ARGS__), abort())
#include "tests/unit/farm_plan.h"

#define TASKS_PER_VIDEO 14 /* about */
#define ASK_AGAIN_MS    3000
#define LOOK_MS         20000
#define SEQUENCES       100000 /* the rest of a sequence names the order */
#define NOBODY          99999

struct order {
    uint8_t token[16];
    struct str packed; /* the Campaign */
    uint64_t id;       /* 0: not accepted yet */
    bool ended, cancel;
    int64_t cancel_at_ms;
    uint64_t asked;
};

struct clients {
    struct order *orders;
    uint32_t count, ended;
    uint64_t sequence;
};

/* ---- what is asked for ---- */

static char *roll_plan(struct world *w, const struct grammar *g, int64_t ms)
{
    struct str text = { 0 };

    farm_roll_plan(g, NULL, 0, ms, dice_u64(&w->content), &text);
    return text.data;
}

static void make_campaign(struct world *w, struct order *o, uint32_t number, uint32_t videos, const struct grammar *g)
{
    Shotline__Campaign c = SHOTLINE__CAMPAIGN__INIT;
    Shotline__VideoRequest *list = xcalloc(videos, sizeof *list), **pointers = xcalloc(videos, sizeof *pointers);
    struct arena arena = { 0 };

    for (size_t i = 0; i < sizeof o->token; i++)
        o->token[i] = (uint8_t)dice_u64(&w->content);
    for (uint32_t i = 0; i < videos; i++) {
        Shotline__VideoRequest *v = pointers[i] = &list[i];

        shotline__video_request__init(v);
        v->name = arena_printf(&arena, "film-%" PRIu32, i);
        v->duration_ms = 500 * (uint32_t)dice_between(&w->content, 2, 16);
        v->seed = dice_u64(&w->content);
        v->crf = 20;
        if (dice_u64(&w->content) % 16 == 0) {
            v->prompt = arena_printf(&arena, "a wish, number %" PRIu64, dice_u64(&w->content) % 1000);
        } else {
            char *plan = roll_plan(w, g, v->duration_ms);

            v->plan = arena_strdup(&arena, plan);
            free(plan);
        }
    }
    c.name = arena_printf(&arena, "campaign-%" PRIu32, number);
    c.token = (ProtobufCBinaryData){ sizeof o->token, o->token };
    c.has_priority = 1;
    c.priority = (int32_t)dice_between(&w->content, -2, 2);
    c.has_takes = c.has_on_gate_failure = 1;
    c.takes = (uint32_t)dice_between(&w->content, 1, dice_u64(&w->content) & 1 ? 2 : TAKES_MOST);
    c.on_gate_failure = (Shotline__GatePolicy)dice_between(&w->content, GATE_KEEP, GATE_FAIL);
    c.n_videos = videos;
    c.videos = pointers;
    codec_pack(&c.base, &o->packed);
    oracle_expect(w, o->packed.data, o->packed.size);
    if (dice_u64(&w->content) % 16 == 0) {
        o->cancel = true;
        o->cancel_at_ms = w->now_ms + dice_between(&w->content, 1000, 120000);
    }
    arena_free(&arena);
    free(list);
    free(pointers);
}

/* ---- asking ---- */

/* asks: who the answer is for */
static void speak(struct world *w, uint32_t order, uint32_t asks, Shotline__ToFarm *m)
{
    struct str packed = { 0 };

    m->version = WIRE_VERSION;
    m->sequence = ++w->clients->sequence * SEQUENCES + asks;
    codec_pack(&m->base, &packed);
    network_from_client(w, order % CLIENTS, packed.data, packed.size);
    str_free(&packed);
}

static void submit(struct world *w, uint32_t order)
{
    Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
    Shotline__SubmitRequest s = SHOTLINE__SUBMIT_REQUEST__INIT;
    struct arena arena = { 0 };
    struct error err;
    const struct order *o = &w->clients->orders[order];

    s.campaign = codec_unpack(&shotline__campaign__descriptor, o->packed.data, o->packed.size, &arena, &err);
    m.submit = &s;
    speak(w, order, order, &m);
    arena_free(&arena);
}

/* Somebody looks around; whatever the answer is, the farm goes on. */
static void look(struct world *w, uint32_t order)
{
    Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
    Shotline__StatusRequest status = SHOTLINE__STATUS_REQUEST__INIT;
    Shotline__WorkersRequest workers = SHOTLINE__WORKERS_REQUEST__INIT;
    Shotline__ExplainRequest explain = SHOTLINE__EXPLAIN_REQUEST__INIT;

    explain.has_task = 1;
    explain.task = (uint64_t)dice_between(&w->luck, 1, (int64_t)w->coordinator.farm.ledger.last_task + 2);
    switch (dice_between(&w->luck, 0, 3)) {
    case 0:
        m.status = &status;
        break;
    case 1:
        m.workers = &workers;
        break;
    case 2:
        explain.has_task = 0;
        explain.has_campaign = 1;
        explain.campaign = w->clients->orders[order].id;
        m.explain = &explain;
        break;
    default:
        m.explain = &explain;
    }
    speak(w, order, NOBODY, &m);
}

static void ask(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct order *o = &w->clients->orders[who];
    Shotline__ToFarm m = SHOTLINE__TO_FARM__INIT;
    Shotline__StatusRequest status = SHOTLINE__STATUS_REQUEST__INIT;
    Shotline__CancelRequest cancel = SHOTLINE__CANCEL_REQUEST__INIT;

    (void)token, (void)data;
    if (o->ended)
        return;
    if (!keys_client_joined(w, who % CLIENTS)) {
        world_at(w, w->now_ms + ASK_AGAIN_MS, ask, who, 0, NULL);
        return;
    }
    o->asked++;
    if (!o->id) {
        submit(w, who);
    } else if (o->cancel && w->now_ms >= o->cancel_at_ms) {
        oracle_cancelled(w, o->token);
        cancel.campaign = o->id;
        m.cancel = &cancel;
        speak(w, who, who, &m);
    } else {
        if (o->asked % 4 == 1)
            look(w, who);
        if (o->asked % 8 == 0)
            submit(w, who); /* it has been accepted: the same id must come back */
        status.has_campaign = 1;
        status.campaign = o->id;
        m.status = &status;
        speak(w, who, who, &m);
    }
    world_at(w, w->now_ms + (o->id ? LOOK_MS : ASK_AGAIN_MS), ask, who, 0, NULL);
}

/* It was told that it may not. That is right while it is, or is about to be, revoked; and later it is no longer who has
 * submitted what its former self did. */
static void take_refusal(struct world *w, uint32_t client, struct order *o, const char *text)
{
    bool renewed;

    if (!keys_client_good(w, client, &renewed))
        return;
    if (renewed && !strncmp(text, "somebody else", 13))
        o->cancel = false;
    else
        world_break(w, "client %" PRIu32 " is in good standing and was told: %s", client, text);
}

static void take_answer(struct world *w, const Shotline__FromFarm *m)
{
    uint32_t number = (uint32_t)(m->sequence % SEQUENCES);

    if (number >= w->clients->count)
        return;
    struct order *o = &w->clients->orders[number];
    if (m->submitted) {
        if (o->id && o->id != m->submitted->campaign)
            world_break(w, "a client submitted campaign %" PRIu64 " again and was told %" PRIu64, o->id,
                        m->submitted->campaign);
        o->id = m->submitted->campaign;
    } else if (m->cancelled) {
        o->cancel = false;
    } else if (m->status && m->status->n_campaigns == 1 && !o->ended && m->status->campaigns[0]->campaign == o->id) {
        o->ended = work_ended((enum work_state)m->status->campaigns[0]->state);
        w->clients->ended += o->ended;
    } else if (m->error && m->error->kind == SHOTLINE__FARM_ERROR_KIND__FARM_FORBIDDEN) {
        take_refusal(w, number % CLIENTS, o, m->error->text);
    } else if (m->error && m->error->kind != SHOTLINE__FARM_ERROR_KIND__FARM_BUSY) {
        world_break(w, "a client was told: %s", m->error->text);
    }
}

void client_receive(struct world *w, uint32_t client, const void *data, size_t size)
{
    struct arena arena = { 0 };
    struct error err;
    const Shotline__FromFarm *m = codec_unpack(&shotline__from_farm__descriptor, data, size, &arena, &err);

    if (m)
        take_answer(w, m);
    else
        world_break(w, "client %" PRIu32 " got a message that is none: %s", client, err.text);
    arena_free(&arena);
}

bool clients_satisfied(const struct world *w)
{
    return w->clients->ended == w->clients->count;
}

void clients_open(struct world *w)
{
    struct clients *c = w->clients = xcalloc(1, sizeof *c);
    struct grammar *g = farm_grammar();
    uint32_t videos = w->set.tasks / TASKS_PER_VIDEO, per_campaign = videos > 400 ? 60 : 1 + videos / 8;

    c->count = (videos + per_campaign - 1) / per_campaign;
    c->orders = xcalloc(c->count, sizeof *c->orders);
    for (uint32_t i = 0; i < c->count; i++) {
        make_campaign(w, &c->orders[i], i, i + 1 < c->count ? per_campaign : videos - i * per_campaign, g);
        world_at(w, w->now_ms + dice_between(&w->luck, 1, 10000), ask, i, 0, NULL);
    }
    grammar_close(&g);
}

void clients_close(struct world *w)
{
    for (uint32_t i = 0; w->clients && i < w->clients->count; i++)
        str_free(&w->clients->orders[i].packed);
    if (w->clients)
        free(w->clients->orders);
    free(w->clients);
    w->clients = NULL;
}

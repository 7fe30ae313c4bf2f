/* fuzz_codec - bytes from a peer: decoded as each top-level message, and what a worker takes goes on into its agent.
 * The first byte chooses the message. */
#include "common/base/log.h"
#include "common/wire/codec.h"
#include "proto/blob.pb-c.h"
#include "proto/client.pb-c.h"
#include "proto/worker.pb-c.h"
#include "worker/agent.h"
#include "worker/report.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct agent *agent;

/* Whatever the agent says must be a message that can be read. */
static void hook_send(void *context, const Shotline__ToCoordinator *m)
{
    struct arena arena = { 0 };
    struct str packed = { 0 };

    (void)context;
    codec_pack(&m->base, &packed);
    if (!codec_unpack(&shotline__to_coordinator__descriptor, packed.data, packed.size, &arena, NULL))
        abort();
    arena_free(&arena);
    str_free(&packed);
}

static void hook_nothing(void *context)
{
    (void)context;
}

static void hook_start(void *context, const Shotline__Lease *lease)
{
    struct result done = { .task = lease->task, .attempt = lease->attempt, .count = 1, .outputs = { { .name = "x" } } };
    const struct digest state = { { 1 } };

    (void)context;
    agent_checkpoint(agent, 1, &state, 1);
    agent_done(agent, &done, 1);
}

static void hook_save(void *context, const struct digest *state)
{
    (void)context;
    (void)state;
    agent_saved(agent, true, 1);
}

static void hook_fetch_pack(void *context, const struct digest *pack, const struct digest *listing)
{
    (void)context;
    (void)listing;
    agent_pack_held(agent, pack, 1);
}

static void hook_upload(void *context, const struct result *r, const struct digest *missing, size_t count)
{
    (void)context;
    (void)missing;
    agent_uploaded(agent, r->task, r->attempt, count % 2, "odd", 1);
}

static void hook_settled(void *context, const struct result *r)
{
    (void)context;
    (void)r;
}

static void talk(const Shotline__ToWorker *m)
{
    static const struct agent_identity who = { .name = "fuzzed", .device = "none", .patience_ms = 10 };
    static const struct agent_hooks hooks = { .send = hook_send,
                                              .reconnect = hook_nothing,
                                              .start = hook_start,
                                              .cancel = hook_nothing,
                                              .hand_over = hook_nothing,
                                              .save = hook_save,
                                              .fetch_pack = hook_fetch_pack,
                                              .upload = hook_upload,
                                              .settled = hook_settled };
    const struct result left = { .task = 1, .attempt = 1, .count = 1, .outputs = { { .name = "video" } } };

    log_set_level(LOG_LEVEL_ERROR);
    agent = agent_new(&who, &hooks, 0);
    agent_restore(agent, &left, 0);
    if (m->lease) { /* one that holds the pack of the lease, so that the lease is looked at */
        struct digest pack;

        if (codec_digest(&pack, &m->lease->spec->pack))
            agent_pack_held(agent, &pack, 0);
    }
    agent_message(agent, m, 0);
    agent_tick(agent, 1000);
    agent_message(agent, m, 1001);
    agent_tick(agent, agent_deadline_ms(agent));
    agent_leave(agent, 5000);
    agent_tick(agent, 5010);
    agent_free(&agent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { 0 };
    const Shotline__ToCoordinator *to_coordinator;
    const Shotline__ToWorker *to_worker;
    struct result result;

    if (size == 0)
        return 0;
    switch (data[0] % 5) {
    case 0:
        to_coordinator = codec_unpack(&shotline__to_coordinator__descriptor, data + 1, size - 1, &arena, NULL);
        if (to_coordinator && to_coordinator->done)
            result_from_done(&result, to_coordinator->done, NULL);
        break;
    case 1:
        to_worker = codec_unpack(&shotline__to_worker__descriptor, data + 1, size - 1, &arena, NULL);
        if (to_worker)
            talk(to_worker);
        break;
    case 2:
        codec_unpack(&shotline__to_farm__descriptor, data + 1, size - 1, &arena, NULL);
        break;
    case 3:
        codec_unpack(&shotline__from_farm__descriptor, data + 1, size - 1, &arena, NULL);
        break;
    case 4:
        codec_unpack(&shotline__blob_message__descriptor, data + 1, size - 1, &arena, NULL);
        break;
    }
    arena_free(&arena);
    return 0;
}

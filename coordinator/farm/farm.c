#include "coordinator/farm/farm.h"

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/nn/version.h"
#include "common/wire/codec.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Keys whose results are all still here. */
static uint32_t find_result(void *context, const struct digest *key, struct task_output *outputs)
{
    struct farm *f = context;
    uint32_t count = store_find_result(f->store, key, outputs);

    for (uint32_t i = 0; i < count; i++)
        if (store_dir_bytes(f->blobs, &outputs[i].blob.digest) != outputs[i].blob.bytes)
            return 0;
    return count;
}

/* The listing that workers fetch a pack by: JSON [{path, bytes, digest}]. */
static bool store_listing(struct farm *f, struct error *err)
{
    json_t *list = json_array();

    for (size_t i = 0; i < f->listing.count; i++) {
        const struct pack_file *file = &f->listing.files[i];
        char hex[DIGEST_HEX_ROOM];

        digest_hex(&file->digest, hex);
        json_array_append_new(
            list, json_pack("{ss sI ss}", "path", file->path, "bytes", (json_int_t)file->bytes, "digest", hex));
    }
    char *text = json_canonical(list);
    f->listing_blob.bytes = (int64_t)strlen(text);
    bool ok = store_dir_add_bytes(f->blobs, text, strlen(text), &f->listing_blob.digest, err);
    free(text);
    json_decref(list);
    return ok;
}

int64_t farm_longest_ms(const struct farm *f)
{
    return (f->pack.strides.time * (int64_t)(f->pack.longest_shot - 1) + 1) * 1000 / f->pack.fps;
}

static bool read_pack(struct farm *f, struct error *err)
{
    char planner[PATH_MAX];

    if (!pack_defaults_load(&f->pack, f->pack_dir, err) || !gate_limits_load(&f->gates, f->pack_dir, err) ||
        !pack_list(&f->listing, f->pack_dir, err))
        return false;
    if (!file_join(planner, sizeof planner, f->pack_dir, "planner"))
        return error_set(err, ERROR_USAGE, "%s: the path is too long", f->pack_dir);
    f->grammar = grammar_open(planner, farm_longest_ms(f), err);
    f->ledger.keys = (struct key_context){ .pack = f->listing.digest, .version = KERNEL_SET_VERSION };
    return f->grammar && store_listing(f, err);
}

bool farm_open(struct farm *f, const struct farm_parts *parts, struct error *err)
{
    *f = (struct farm){ .pack_dir = parts->pack_dir,
                        .store = parts->store,
                        .blobs = parts->blobs,
                        .workers = parts->workers,
                        .clients = parts->clients,
                        .kernel_proof = parts->kernel_proof,
                        .planner = parts->planner,
                        .scribe = parts->scribe,
                        .journal = parts->journal,
                        .guard = parts->guard,
                        .checkpoint_ms = parts->checkpoint_ms,
                        .tasks_kept = FARM_TASKS_KEPT,
                        .status_bytes = FARM_STATUS_BYTES,
                        .eviction = { .store = parts->store,
                                      .blobs = parts->blobs,
                                      .ledger = &f->ledger,
                                      .listing = &f->listing_blob.digest,
                                      .quota_bytes = parts->cache_bytes,
                                      .grace_ms = EVICTION_GRACE_MS,
                                      .look_ms = EVICTION_LOOK_MS },
                        .fleet = { .heartbeat_ms = FARM_HEARTBEAT_MS, .lease_ms = FARM_LEASE_MS } };
    f->ledger.find_result = find_result;
    f->ledger.context = f;
    if (read_pack(f, err))
        return true;
    farm_close(f);
    return false;
}

void farm_close(struct farm *f)
{
    for (size_t i = 0; i < f->out_room; i++)
        str_free(&f->out[i].bytes);
    free(f->out);
    free(f->keys_changed);
    ledger_free(&f->ledger);
    fleet_free(&f->fleet);
    eviction_free(&f->eviction);
    grammar_close(&f->grammar);
    pack_listing_free(&f->listing);
}

uint64_t farm_send(struct farm *f, struct endpoint *to, const struct peer *peer, const ProtobufCMessage *m)
{
    if (f->out_count == f->out_room) {
        size_t room = f->out_room ? 2 * f->out_room : 64;

        f->out = xrealloc(f->out, room * sizeof *f->out);
        memset(f->out + f->out_room, 0, (room - f->out_room) * sizeof *f->out);
        f->out_room = room;
    }
    struct outgoing *o = &f->out[f->out_count++];
    o->to = to;
    o->peer = *peer;
    codec_pack(m, &o->bytes);
    return f->out_before + f->out_count;
}

bool farm_send_with(struct farm *f, uint64_t number, const ProtobufCMessage *m)
{
    if (number <= f->out_before || number > f->out_before + f->out_count)
        return false;
    codec_add(m, &f->out[number - f->out_before - 1].bytes);
    return true;
}

void farm_send_all(struct farm *f)
{
    for (size_t i = 0; i < f->out_count; i++)
        if (!endpoint_send(f->out[i].to, &f->out[i].peer, f->out[i].bytes.data, f->out[i].bytes.size))
            log_debug("message.dropped", "bytes=%zu", f->out[i].bytes.size);
    f->out_before += f->out_count;
    f->out_count = 0;
}

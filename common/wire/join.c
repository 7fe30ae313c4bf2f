#include "common/wire/join.h"

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/str.h"
#include "common/wire/codec.h"
#include "common/wire/endpoint.h"
#include "proto/client.pb-c.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { RESEND_MS = 1000, SLICE_MS = 50 };

/* The answer, once it is there. */
static const Shotline__FromFarm *answer(struct endpoint *e, struct arena *arena)
{
    struct message m;

    while (endpoint_receive(e, &m)) {
        const Shotline__FromFarm *reply = codec_unpack(&shotline__from_farm__descriptor, m.data, m.size, arena, NULL);
        if (reply && (reply->joined || reply->error))
            return reply;
    }
    return NULL;
}

static const Shotline__FromFarm *ask(struct endpoint *e, const char *farm, const struct str *packed, int64_t timeout_ms,
                                     const atomic_bool *stop, struct arena *arena, struct error *err)
{
    const int64_t start_ms = clock_now_ms();
    int64_t resend_ms = start_ms;

    for (;;) {
        const int64_t now_ms = clock_now_ms();
        const Shotline__FromFarm *reply = answer(e, arena);

        if (reply)
            return reply;
        if (stop && atomic_load(stop))
            error_set(err, ERROR_CANCELLED, "interrupted");
        else if (endpoint_refused(e))
            error_set(err, ERROR_INPUT, "%s: the farm does not know this invite: it has expired, or was revoked", farm);
        else if (now_ms - start_ms >= timeout_ms)
            error_set(err, ERROR_UNREACHABLE, "%s: no answer within %g s", farm, (double)timeout_ms / 1000);
        else {
            if (now_ms >= resend_ms) {
                endpoint_send(e, NULL, packed->data, packed->size);
                resend_ms = now_ms + RESEND_MS;
            }
            endpoint_wait(e, SLICE_MS);
            continue;
        }
        return NULL;
    }
}

/* Says to the farm who we want to be; *to gets the name and role that it answers. */
static bool register_key(const struct credential *line, struct credential *to, int64_t timeout_ms,
                         const atomic_bool *stop, struct error *err)
{
    const struct endpoint_keys keys = { .own = line->own, .farm = line->farm_key };
    Shotline__ToFarm request = SHOTLINE__TO_FARM__INIT;
    Shotline__JoinRequest join = SHOTLINE__JOIN_REQUEST__INIT;
    struct arena arena = { 0 };
    struct str packed = { 0 };
    char address[PATH_MAX];
    bool ok = false;

    if (!endpoint_address(line->farm, CONVERSATION_CLIENTS, address, sizeof address, err))
        return false;
    struct endpoint *e = endpoint_connect(address, &keys, err);
    if (!e)
        return false;
    request.version = WIRE_VERSION;
    request.sequence = 1;
    join.key = (ProtobufCBinaryData){ .len = CURVE_BYTES, .data = to->own.public.bytes };
    request.join = &join;
    codec_pack(&request.base, &packed);

    const Shotline__FromFarm *reply = ask(e, line->farm, &packed, timeout_ms, stop, &arena, err);
    if (reply && reply->error) {
        error_set(err, ERROR_INPUT, "%s: the farm refuses: %s", line->farm, reply->error->text);
    } else if (reply) {
        ok = str_copy(to->name, sizeof to->name, reply->joined->name) && (int)reply->joined->role == (int)line->role;
        if (!ok)
            error_set(err, ERROR_INPUT, "%s: the answer does not fit the join line", line->farm);
    }
    endpoint_close(&e);
    str_free(&packed);
    arena_free(&arena);
    return ok;
}

bool join_farm(const struct credential *line, const char *path, struct credential *made, int64_t timeout_ms,
               const atomic_bool *stop, struct error *err)
{
    char fresh[PATH_MAX];

    if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
        return error_set(err, ERROR_USAGE, "%s: the path is too long", path);
    if (!file_exists(fresh) || !credential_load(made, fresh, err) || !curve_equal(&made->invite, &line->own.public)) {
        *made = *line;
        made->invite = line->own.public;
        made->own = curve_pair_new();
        if (!credential_save(made, fresh, err))
            return false;
    }
    str_copy(made->farm, sizeof made->farm, line->farm);
    made->role = line->role;
    if (!register_key(line, made, timeout_ms, stop, err))
        return false;
    if (!credential_save(made, path, err))
        return false;
    unlink(fresh);
    return true;
}

bool join_read_line(const char *argument, char line[CREDENTIAL_LINE_ROOM], struct error *err)
{
    if (strcmp(argument, "-") != 0)
        return str_copy(line, CREDENTIAL_LINE_ROOM, argument) ||
               error_set(err, ERROR_USAGE, "the join line is longer than any that `shotline invite` prints");
    if (!fgets(line, CREDENTIAL_LINE_ROOM, stdin))
        return error_set(err, ERROR_USAGE, "no join line on standard input");
    line[strcspn(line, "\r\n")] = '\0';
    return true;
}

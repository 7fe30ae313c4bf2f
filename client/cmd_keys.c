/* keys: who may enter a farm, and who may no longer. */
#include "client/commands.h"
#include "client/output.h"
#include "common/base/clock.h"
#include "common/base/credential.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *state_of(const Shotline__KeyStatus *k)
{
    switch (k->state) {
    case SHOTLINE__KEY_STATE__KEY_INVITED:
        return clock_wall_ms() < k->expires_ms ? "invited" : "expired";
    case SHOTLINE__KEY_STATE__KEY_USED:
        return "used";
    case SHOTLINE__KEY_STATE__KEY_MEMBER:
        return "member";
    case SHOTLINE__KEY_STATE__KEY_REVOKED:
        return "revoked";
    default:
        return "?";
    }
}

static void print_keys(const Shotline__KeysReply *reply, bool all, bool json, struct str *to)
{
    static const char *const head[] = { "NAME", "ROLE", "STATE", "SINCE", "REFUSED", "KEY" };
    struct table t = { 0 };
    table_row(&t, head, 6);
    for (size_t i = 0; i < reply->n_keys; i++) {
        const Shotline__KeyStatus *k = reply->keys[i];
        const char *state = state_of(k);
        char key[CURVE_TEXT_ROOM] = "", since[32] = "", refused[24];
        time_t seconds = (time_t)(k->created_ms / 1000);
        struct curve_key bytes;
        struct tm tm;

        if (!all && (strcmp(state, "used") == 0 || strcmp(state, "expired") == 0))
            continue;
        if (k->key.len == CURVE_BYTES) {
            memcpy(bytes.bytes, k->key.data, CURVE_BYTES);
            curve_text(&bytes, key);
        }
        if (json) {
            output_json(json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "event", "key", "name", k->name, "role",
                                  role_name((enum role)k->role), "state", state, "key", key, "created_ms",
                                  (json_int_t)k->created_ms, "expires_ms", (json_int_t)k->expires_ms, "refused",
                                  (json_int_t)k->refused));
            continue;
        }
        if (localtime_r(&seconds, &tm))
            strftime(since, sizeof since, "%Y-%m-%d %H:%M", &tm);
        snprintf(refused, sizeof refused, "%" PRIu64, k->refused);
        table_row(&t, (const char *const[]){ k->name, role_name((enum role)k->role), state, since, refused, key }, 6);
    }
    if (!json)
        table_print(&t, to);
    table_free(&t);
}

struct keys {
    struct farm_options farm;
    bool all;
};

static bool list_keys(void *options, const char *const *operands, int count, struct error *err)
{
    const struct keys *o = options;
    struct arena arena = { 0 };
    struct str text = { 0 };
    Shotline__ToFarm request = SHOTLINE__TO_FARM__INIT;
    Shotline__KeysRequest ask = SHOTLINE__KEYS_REQUEST__INIT;

    (void)operands;
    (void)count;
    request.keys = &ask;
    const Shotline__FromFarm *reply = command_ask(&o->farm, &request, &arena, err);
    bool ok = reply && (reply->keys || error_set(err, ERROR_INPUT, "the farm's answer holds no keys"));
    if (ok) {
        print_keys(reply->keys, o->all, o->farm.json, &text);
        output_text(&text);
    }
    arena_free(&arena);
    return ok;
}

int cmd_keys(int argc, char **argv)
{
    struct keys o = { .farm = FARM_DEFAULTS };
    const struct arg_option options[] = {
        { 'a', "all", ARG_FLAG, &o.all, .help = "invites that were used or have expired too" },
        FARM_OPTIONS(o.farm),
    };
    const struct arg_command command = {
        .program = "shotline keys",
        .operands = "",
        .summary = "Lists who may enter a farm, and how many of their messages were refused since its start.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    return command_run(&command, argc, argv, list_keys, &o);
}

/* revoke: shuts somebody out, also where they are connected now. */
#include "client/commands.h"
#include "client/output.h"

#include <inttypes.h>
#include <stdio.h>

static bool revoke(const struct farm_options *o, const char *name, struct error *err)
{
    struct arena arena = { 0 };
    Shotline__ToFarm request = SHOTLINE__TO_FARM__INIT;
    Shotline__RevokeRequest ask = SHOTLINE__REVOKE_REQUEST__INIT;
    struct session *s = command_connect(o, err);

    ask.name = (char *)name;
    request.revoke = &ask;
    const Shotline__FromFarm *reply = s ? session_ask(s, &request, (int64_t)(o->timeout_s * 1000), &arena, err) : NULL;
    bool ok = reply && (reply->revoked || error_set(err, ERROR_INPUT, "the farm's answer holds no name"));
    if (ok && o->json)
        output_json(json_pack("{s:s, s:s, s:i}", "event", "revoked", "name", reply->revoked->name, "leases",
                              (int)reply->revoked->leases));
    else if (ok)
        fprintf(stderr, "%s is shut out; %" PRIu32 " leases were taken back\n", reply->revoked->name,
                reply->revoked->leases);
    session_close(&s);
    arena_free(&arena);
    return ok;
}

int cmd_revoke(int argc, char **argv)
{
    struct farm_options farm = FARM_DEFAULTS;
    const struct arg_option options[] = { FARM_OPTIONS(farm) };
    const struct arg_command command = {
        .program = "shotline revoke",
        .operands = "NAME",
        .summary = "Shuts a member of a farm out, or makes an invite void, by name or key (see shotline keys).",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .min_operands = 1,
        .max_operands = 1,
    };
    struct error err = { 0 };
    const char *operands[argc];
    int count = 0;
    enum args_result parsed = args_parse(&command, argc, argv, operands, &count, &err);
    if (parsed == ARGS_HELP)
        return 0;
    if (parsed == ARGS_BAD || !revoke(&farm, operands[0], &err))
        return command_fail(&err);
    return 0;
}

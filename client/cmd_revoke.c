/* revoke: shuts somebody out, also where they are connected now. */
#include "client/commands.h"
#include "client/output.h"

#include <inttypes.h>
#include <stdio.h>

static bool revoke(void *options, const char *const *operands, int count, struct error *err)
{
    const struct farm_options *o = options;
    struct arena arena = { 0 };
    Shotline__ToFarm request = SHOTLINE__TO_FARM__INIT;
    Shotline__RevokeRequest ask = SHOTLINE__REVOKE_REQUEST__INIT;

    (void)count;
    ask.name = (char *)operands[0];
    request.revoke = &ask;
    const Shotline__FromFarm *reply = command_ask(o, &request, &arena, err);
    bool ok = reply && (reply->revoked || error_set(err, ERROR_INPUT, "the farm's answer holds no name"));
    if (ok && o->json)
        output_json(json_pack("{s:s, s:s, s:i}", "event", "revoked", "name", reply->revoked->name, "leases",
                              (int)reply->revoked->leases));
    else if (ok)
        fprintf(stderr, "%s is shut out; %" PRIu32 " leases were taken back\n", reply->revoked->name,
                reply->revoked->leases);
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
    return command_run(&command, argc, argv, revoke, &farm);
}

/* join: from a join line to a key of one's own. */
#include "client/commands.h"
#include "client/farms.h"
#include "client/output.h"
#include "common/wire/join.h"

#include <limits.h>
#include <stdio.h>

static bool join(const char *argument, int64_t timeout_ms, bool json, struct error *err)
{
    char line[CREDENTIAL_LINE_ROOM], path[PATH_MAX];
    struct credential invite = { 0 }, made = { 0 };
    bool ok = join_read_line(argument, line, err) && credential_from_line(&invite, line, err);

    if (ok && invite.role == ROLE_WORKER)
        ok = error_set(err, ERROR_USAGE, "this line is for a worker: shotline-worker --join LINE");
    ok = ok && farms_path(invite.farm, path, sizeof path, err) &&
         join_farm(&invite, path, &made, timeout_ms, &command_stop, err);
    if (ok && json)
        output_json(json_pack("{s:s, s:s, s:s, s:s, s:s}", "event", "joined", "farm", made.farm, "name", made.name,
                              "role", role_name(made.role), "key", path));
    else if (ok)
        fprintf(stderr, "joined %s as %s (%s); the key is in %s\n", made.farm, made.name, role_name(made.role), path);
    curve_forget(&invite.own);
    curve_forget(&made.own);
    return ok;
}

int cmd_join(int argc, char **argv)
{
    double timeout_s = 10;
    bool json = false;
    const struct arg_option options[] = {
        { 't', "timeout", ARG_NUMBER, &timeout_s, 0.1, 3600, "S", "wait so long for an answer [10]", NULL },
        { 0, "json", ARG_FLAG, &json, .help = "one JSON object per line" },
    };
    const struct arg_command command = {
        .program = "shotline join",
        .operands = "LINE",
        .summary =
            "Enters a farm with a line that `shotline invite` has printed there (- reads it from standard input).",
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
    if (parsed == ARGS_BAD || !join(operands[0], (int64_t)(timeout_s * 1000), json, &err))
        return command_fail(&err);
    return 0;
}

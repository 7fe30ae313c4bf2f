/* join: from a join line to a key of one's own. */
#include "client/commands.h"
#include "client/farms.h"
#include "client/output.h"
#include "common/wire/join.h"

#include <limits.h>
#include <stdio.h>

struct join {
    double timeout_s;
    bool json;
};

static bool join(void *options, const char *const *operands, int count, struct error *err)
{
    const struct join *o = options;
    char line[CREDENTIAL_LINE_ROOM], path[PATH_MAX];
    struct credential invite = { 0 }, made = { 0 };
    (void)count;
    bool ok = join_read_line(operands[0], line, err) && credential_from_line(&invite, line, err);

    if (ok && invite.role == ROLE_WORKER)
        ok = error_set(err, ERROR_USAGE, "this line is for a worker: shotline-worker --join LINE");
    ok = ok && farms_path(invite.farm, path, sizeof path, err) &&
         join_farm(&invite, path, &made, (int64_t)(o->timeout_s * 1000), &command_stop, err);
    if (ok && o->json)
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
    struct join o = { .timeout_s = 10 };
    const struct arg_option options[] = {
        { 't', "timeout", ARG_NUMBER, &o.timeout_s, 0.1, 3600, "S", "wait so long for an answer [10]", NULL },
        { 0, "json", ARG_FLAG, &o.json, .help = "one JSON object per line" },
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
    return command_run(&command, argc, argv, join, &o);
}

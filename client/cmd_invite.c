/* invite: a join line, good once, for one more worker or client. The line's secret is made here; the farm gets to know
 * the public key that belongs to it. */
#include "client/commands.h"
#include "client/output.h"
#include "common/base/credential.h"
#include "common/base/str.h"

#include <stdio.h>
#include <string.h>

struct invite {
    struct farm_options farm;
    enum role role;
    const char *name;
    const char *expires;
    uint64_t expires_ms;
};

static bool make_line(const Shotline__Invited *reply, struct credential *c, char line[CREDENTIAL_LINE_ROOM],
                      struct error *err)
{
    if (reply->farm_key.len != CURVE_BYTES || !str_copy(c->farm, sizeof c->farm, reply->farm) ||
        !str_copy(c->name, sizeof c->name, reply->name))
        return error_set(err, ERROR_INPUT, "the farm's answer holds no invite");
    memcpy(c->farm_key.bytes, reply->farm_key.data, CURVE_BYTES);
    return credential_line(c, line) || error_set(err, ERROR_INPUT, "the farm's address is too long for a join line");
}

static bool invite(const struct invite *o, struct error *err)
{
    struct credential c = { .role = o->role, .own = curve_pair_new() };
    char line[CREDENTIAL_LINE_ROOM];
    struct arena arena = { 0 };
    Shotline__ToFarm request = SHOTLINE__TO_FARM__INIT;
    Shotline__InviteRequest ask = SHOTLINE__INVITE_REQUEST__INIT;
    struct session *s = command_connect(&o->farm, err);

    ask.key = (ProtobufCBinaryData){ .len = CURVE_BYTES, .data = c.own.public.bytes };
    ask.role = (Shotline__Role)o->role;
    ask.name = (char *)o->name;
    ask.expires_ms = o->expires_ms;
    request.invite = &ask;
    const Shotline__FromFarm *reply =
        s ? session_ask(s, &request, (int64_t)(o->farm.timeout_s * 1000), &arena, err) : NULL;
    bool ok = reply && (reply->invited || error_set(err, ERROR_INPUT, "the farm's answer holds no invite")) &&
              make_line(reply->invited, &c, line, err);
    if (ok && o->farm.json) {
        output_json(json_pack("{s:s, s:s, s:s, s:s, s:I}", "event", "invite", "name", c.name, "role", role_name(c.role),
                              "line", line, "expires_ms", (json_int_t)o->expires_ms));
    } else if (ok) {
        printf("%s %s\n", o->role == ROLE_WORKER ? "shotline-worker --join" : "shotline join", line);
        fprintf(stderr, "%s: good once, within %s; whoever has this line can use it\n", c.name, o->expires);
    }
    session_close(&s);
    arena_free(&arena);
    curve_forget(&c.own);
    return ok;
}

int cmd_invite(int argc, char **argv)
{
    struct invite o = { .farm = FARM_DEFAULTS, .expires = "24h" };
    const struct arg_option options[] = {
        { 'n', "name", ARG_TEXT, &o.name, .value = "NAME", .help = "by which the farm knows the bearer [ROLE-N]" },
        { 'e', "expires", ARG_TEXT, &o.expires, .value = "TIME",
          .help = "how long the line is good: 30m, 24h, 7d [24h]" },
        FARM_OPTIONS(o.farm),
    };
    const struct arg_command command = {
        .program = "shotline invite",
        .operands = "worker|viewer|submitter|operator",
        .summary = "Prints a join line: what to run on another machine, once, to let it into the farm.",
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
    if (parsed == ARGS_OK) {
        o.role = role_from_name(operands[0]);
        if (o.role == ROLE_NOBODY)
            error_set(&err, ERROR_USAGE, "\"%s\" is not a role: expected worker, viewer, submitter or operator",
                      operands[0]);
        else if (!command_duration(o.expires, &o.expires_ms, &err))
            error_wrap(&err, "--expires");
        else if (invite(&o, &err))
            return 0;
    }
    return command_fail(&err);
}

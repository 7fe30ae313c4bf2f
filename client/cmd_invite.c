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
    const char *name;
    const char *expires;
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

static bool invite(const struct invite *o, enum role role, uint64_t expires_ms, struct error *err)
{
    struct credential c = { .role = role, .own = curve_pair_new() };
    char line[CREDENTIAL_LINE_ROOM];
    struct arena arena = { 0 };
    Shotline__ToFarm request = SHOTLINE__TO_FARM__INIT;
    Shotline__InviteRequest ask = SHOTLINE__INVITE_REQUEST__INIT;

    ask.key = (ProtobufCBinaryData){ .len = CURVE_BYTES, .data = c.own.public.bytes };
    ask.role = (Shotline__Role)role;
    ask.name = (char *)o->name;
    ask.expires_ms = expires_ms;
    request.invite = &ask;
    const Shotline__FromFarm *reply = command_ask(&o->farm, &request, &arena, err);
    bool ok = reply && (reply->invited || error_set(err, ERROR_INPUT, "the farm's answer holds no invite")) &&
              make_line(reply->invited, &c, line, err);
    if (ok && o->farm.json) {
        output_json(json_pack("{s:s, s:s, s:s, s:s, s:I}", "event", "invite", "name", c.name, "role", role_name(c.role),
                              "line", line, "expires_ms", (json_int_t)expires_ms));
    } else if (ok) {
        printf("%s %s\n", role == ROLE_WORKER ? "shotline-worker --join" : "shotline join", line);
        fprintf(stderr, "%s: good once, within %s; whoever has this line can use it\n", c.name, o->expires);
    }
    arena_free(&arena);
    curve_forget(&c.own);
    return ok;
}

static bool invite_one(void *options, const char *const *operands, int count, struct error *err)
{
    const struct invite *o = options;
    enum role role = role_from_name(operands[0]);
    uint64_t expires_ms;
    (void)count;
    if (role == ROLE_NOBODY)
        return error_set(err, ERROR_USAGE, "\"%s\" is not a role: expected worker, viewer, submitter or operator",
                         operands[0]);
    if (!command_duration(o->expires, &expires_ms, err))
        return error_wrap(err, "--expires");
    return invite(o, role, expires_ms, err);
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
    return command_run(&command, argc, argv, invite_one, &o);
}

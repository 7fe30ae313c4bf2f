/* command - what the commands have in common: reading their arguments, finding the farm, asking it. */
#include "client/commands.h"
#include "client/farms.h"
#include "client/target.h"
#include "common/base/str.h"
#include "common/wire/endpoint.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int command_fail(const struct error *err)
{
    fprintf(stderr, "shotline: %s\n", err->text);
    return error_exit_code(err);
}

int command_run(const struct arg_command *c, int argc, char **argv, command_body *body, void *options)
{
    struct error err = { 0 };
    const char *operands[argc];
    int count = 0;
    enum args_result parsed = args_parse(c, argc, argv, operands, &count, &err);

    if (parsed == ARGS_HELP)
        return 0;
    return parsed == ARGS_OK && body(options, operands, count, &err) ? 0 : command_fail(&err);
}

/* Whether the folder of an address is there. In /tmp anybody may have made it first, and would be told everything. */
static bool look_for(const char *address, bool *there, struct error *err)
{
    const char *folder = address + strlen("ipc://");
    struct stat st;

    *there = lstat(folder, &st) == 0;
    if (*there && (!S_ISDIR(st.st_mode) || st.st_uid != geteuid()))
        return error_set(err, ERROR_INPUT,
                         "%s: expected a folder of this user; if the farm behind it is meant: --farm %s", folder,
                         address);
    return true;
}

/* Which farm is meant where nobody says: a render that runs now, or where a coordinator of this user listens by
 * default; else the one that was joined. */
static bool choose_farm(char *address, size_t room, struct credential *c, bool *joined, struct error *err)
{
    bool there;

    *joined = false;
    if (!local_farm_address_of(NULL, address, room, err) || !look_for(address, &there, err))
        return false;
    if (there)
        return true;
    endpoint_default_address(address, room);
    if (!look_for(address, &there, err))
        return false;
    if (there)
        return true;
    if (!farms_find(NULL, NULL, c, joined, err))
        return false;
    if (*joined)
        str_copy(address, room, c->farm);
    return true;
}

static const char *given(const char *option, const char *variable)
{
    const char *value = option ? option : getenv(variable);

    return value && *value ? value : NULL;
}

struct session *command_connect(const struct farm_options *o, struct error *err)
{
    char address[PATH_MAX];
    const char *farm = given(o->farm, "SHOTLINE_FARM"), *key = given(o->key, "SHOTLINE_KEY");
    struct credential c = { 0 };
    struct endpoint_keys keys;
    struct session *s;
    bool found = false;

    if (!farm && !key) {
        if (!choose_farm(address, sizeof address, &c, &found, err))
            return NULL;
        farm = address;
    } else if ((key || endpoint_has_keys(farm)) && !farms_find(farm, key, &c, &found, err)) {
        return NULL;
    }
    farm = farm ? farm : c.farm;
    if (endpoint_has_keys(farm) && !found) {
        error_set(err, ERROR_USAGE,
                  "%s: there is no key for this farm here: ask its operator for a line of `shotline invite`", farm);
        return NULL;
    }
    keys = (struct endpoint_keys){ .own = c.own, .farm = c.farm_key };
    s = session_open(
        &(struct session_options){
            .farm = farm,
            .keys = found ? &keys : NULL,
            .timeout_ms = (int64_t)(o->timeout_s * 1000),
            .stop = &command_stop,
        },
        err);
    curve_forget(&keys.own);
    curve_forget(&c.own);
    return s;
}

struct session *command_connect_local(struct local_farm *farm, struct error *err)
{
    return session_open(
        &(struct session_options){
            .farm = local_farm_address(farm),
            .timeout_ms = LOCAL_FARM_START_MS,
            .stop = &command_stop,
            .alive = local_farm_alive,
            .context = farm,
        },
        err);
}

const Shotline__FromFarm *command_ask(const struct farm_options *o, Shotline__ToFarm *request, struct arena *arena,
                                      struct error *err)
{
    struct session *s = command_connect(o, err);
    const Shotline__FromFarm *reply = s ? session_ask(s, request, (int64_t)(o->timeout_s * 1000), arena, err) : NULL;

    session_close(&s);
    return reply;
}

bool command_duration(const char *text, uint64_t *ms, struct error *err)
{
    static const struct {
        char letter;
        uint64_t ms;
    } units[] = { { 's', 1000 }, { 'm', 60000 }, { 'h', 3600000 }, { 'd', 86400000 } };
    char *end;
    unsigned long v = strtoul(text, &end, 10);

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (*text >= '0' && *text <= '9' && end[0] == units[i].letter && !end[1] && v > 0 && v <= 1000000) {
            *ms = v * units[i].ms;
            return true;
        }
    return error_set(err, ERROR_USAGE, "\"%s\" is not a time: expected one like 90s, 30m, 24h or 7d", text);
}

bool command_campaign(const char *text, uint64_t *id, struct error *err)
{
    struct target t;
    if (!target_read(&t, text, false, NULL) || t.kind != TARGET_CAMPAIGN)
        return error_set(err, ERROR_USAGE, "\"%s\" is not the number of a campaign", text);
    *id = t.campaign;
    return true;
}

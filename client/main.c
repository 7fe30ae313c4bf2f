/* shotline - the client: from a campaign or a prompt to finished videos. */
#include "client/commands.h"
#include "client/farms.h"
#include "client/local_farm.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/wire/endpoint.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

atomic_bool command_stop;

static const struct command {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    { "render", "make videos here, with a private farm of workers", cmd_render },
    { "plan", "print the shot list of a prompt as JSON, without rendering", cmd_plan },
    { "submit", "give a campaign to a farm", cmd_submit },
    { "status", "print what a farm has done so far", cmd_status },
    { "watch", "follow a campaign to its end", cmd_watch },
    { "fetch", "bring finished videos here", cmd_fetch },
    { "cancel", "stop a campaign", cmd_cancel },
    { "workers", "list a farm's workers", cmd_workers },
    { "explain", "tell why a task waits, failed or runs, and what is next", cmd_explain },
    { "verify", "make a video's tasks again and compare", cmd_verify },
    { "log", "print what has happened on a farm", cmd_log },
    { "fsck", "check a stopped farm's folder", cmd_fsck },
    { "invite", "print a join line for a worker or a client", cmd_invite },
    { "join", "enter a farm with a join line", cmd_join },
    { "keys", "list who may enter a farm", cmd_keys },
    { "revoke", "shut somebody out of a farm", cmd_revoke },
};

static void print_usage(FILE *to)
{
    fputs("Usage: shotline COMMAND [options]\nAI videos from a campaign file, on a farm.\n\n", to);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("  version    print the version\n\nshotline COMMAND --help tells a command's options.\n", to);
}

static void on_signal(int number)
{
    (void)number;
    atomic_store(&command_stop, true);
}

static void catch_signals(void)
{
    /* Without SA_RESTART: a signal must end a wait. */
    struct sigaction action = { .sa_handler = on_signal };
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int command_fail(const struct error *err)
{
    fprintf(stderr, "shotline: %s\n", err->text);
    return error_exit_code(err);
}

/* Which farm is meant where nobody says: a render that runs now, or where a coordinator of this user listens by
 * default; else the one that was joined. */
static bool choose_farm(char *address, size_t room, struct credential *c, bool *joined, struct error *err)
{
    *joined = false;
    if (!local_farm_address_of(NULL, address, room, err))
        return false;
    if (file_is_dir(address + strlen("ipc://")))
        return true;
    endpoint_default_address(address, room);
    if (file_is_dir(address + strlen("ipc://")))
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
    char *end;
    unsigned long long v = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || *text == '-' || *text == '+')
        return error_set(err, ERROR_USAGE, "\"%s\" is not the number of a campaign", text);
    *id = v;
    return true;
}

int main(int argc, char **argv)
{
    /* czmq would put handlers of its own over ours. */
    setenv("ZSYS_SIGHANDLER", "false", 1);
    log_set_name("shotline");
    catch_signals();
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_usage(stdout);
        return 0;
    }
    if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
        puts("shotline " SHOTLINE_VERSION);
        return 0;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (*name)
        fprintf(stderr, "shotline: \"%s\" is not a command (see shotline help)\n", name);
    else
        print_usage(stderr);
    return 2;
}

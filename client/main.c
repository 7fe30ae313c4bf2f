/* shotline - the client: from a campaign or a prompt to finished videos. */
#include "client/commands.h"
#include "client/local_farm.h"
#include "common/base/file.h"
#include "common/base/log.h"
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
    { "log", "print what has happened on a farm", cmd_log },
    { "fsck", "check a stopped farm's folder", cmd_fsck },
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

struct session *command_connect(const struct farm_options *o, struct error *err)
{
    char address[PATH_MAX];
    const char *farm = o->farm ? o->farm : getenv("SHOTLINE_FARM");
    if (!farm || !*farm) {
        /* A render that runs now, else where a coordinator of this user listens by default. */
        if (!local_farm_address_of(NULL, address, sizeof address, err))
            return NULL;
        if (!file_is_dir(address + strlen("ipc://")))
            endpoint_default_address(address, sizeof address);
        farm = address;
    }
    return session_open(
        &(struct session_options){
            .farm = farm,
            .timeout_ms = (int64_t)(o->timeout_s * 1000),
            .stop = &command_stop,
        },
        err);
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

/* shotline - the client: from a campaign or a prompt to finished videos. */
#include "client/commands.h"
#include "common/base/log.h"

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

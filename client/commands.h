/* commands - the commands of `shotline`, each with a file cmd_NAME.c, and what they have in common: a command gets its
 * own argv, has a table of options and a body, and returns the exit code. */
#ifndef SHOTLINE_CLIENT_COMMANDS_H
#define SHOTLINE_CLIENT_COMMANDS_H

#include "client/local_farm.h"
#include "client/session.h"
#include "common/base/args.h"
#include "common/base/error.h"

#include <stdatomic.h>

int cmd_render(int argc, char **argv);
int cmd_plan(int argc, char **argv);
int cmd_submit(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_watch(int argc, char **argv);
int cmd_fetch(int argc, char **argv);
int cmd_cancel(int argc, char **argv);
int cmd_workers(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_fsck(int argc, char **argv);
int cmd_invite(int argc, char **argv);
int cmd_join(int argc, char **argv);
int cmd_keys(int argc, char **argv);
int cmd_revoke(int argc, char **argv);

/* Set by SIGINT, SIGTERM and SIGHUP: what runs ends soon and cleans up. */
extern atomic_bool command_stop;

/* What a command does once its `options` (the struct that its table fills) and operands were read. */
typedef bool command_body(void *options, const char *const *operands, int count, struct error *err);

/* Reads the arguments by the table and runs the body; returns the exit code. */
int command_run(const struct arg_command *c, int argc, char **argv, command_body *body, void *options);

/* Says what went wrong on stderr; returns the exit code. */
int command_fail(const struct error *err);

/* The options of commands that speak to a farm that is already there. */
struct farm_options {
    const char *farm; /* NULL: $SHOTLINE_FARM, else a render that runs now, else the default address, else the only
                         farm that was joined */
    const char *key;  /* file of a credential; NULL: $SHOTLINE_KEY, else what farms.h finds */
    double timeout_s;
    bool json;
};
#define FARM_DEFAULTS                                                                                                  \
    {                                                                                                                  \
        .timeout_s = 10                                                                                                \
    }
/* Four of the options of a command. */
#define FARM_OPTIONS(o) FARM_OPTION_FARM(o), FARM_OPTION_KEY(o), FARM_OPTION_TIMEOUT(o), FARM_OPTION_JSON(o)
#define FARM_OPTION_FARM(o)                                                                                            \
    {                                                                                                                  \
        .letter = 'f', .name = "farm", .kind = ARG_TEXT, .to = &(o).farm, .value = "ADDRESS",                          \
        .help = "ipc:///DIR or tcp://HOST:PORT [$SHOTLINE_FARM, else here]"                                            \
    }
#define FARM_OPTION_KEY(o)                                                                                             \
    {                                                                                                                  \
        .name = "key", .kind = ARG_TEXT, .to = &(o).key, .value = "FILE",                                              \
        .help = "credential for a tcp:// farm [$SHOTLINE_KEY, else that of shotline join]"                             \
    }
#define FARM_OPTION_TIMEOUT(o)                                                                                         \
    {                                                                                                                  \
        .letter = 't', .name = "timeout", .kind = ARG_NUMBER, .to = &(o).timeout_s, .min = 0.1, .max = 3600,           \
        .value = "S", .help = "wait so long for an answer [10]"                                                        \
    }
#define FARM_OPTION_JSON(o)                                                                                            \
    {                                                                                                                  \
        .name = "json", .kind = ARG_FLAG, .to = &(o).json, .help = "one JSON object per line"                          \
    }

/* Connects; NULL with *err when nobody answers. */
struct session *command_connect(const struct farm_options *o, struct error *err);

/* The same for a private farm that was just started. */
struct session *command_connect_local(struct local_farm *farm, struct error *err);

/* Connects and asks one thing; the reply lives in `arena`. Whether it answers the question is the caller's to see. */
const Shotline__FromFarm *command_ask(const struct farm_options *o, Shotline__ToFarm *request, struct arena *arena,
                                      struct error *err);

/* "90s", "30m", "24h", "7d" in milliseconds. */
bool command_duration(const char *text, uint64_t *ms, struct error *err);

/* The number of a campaign among the operands. */
bool command_campaign(const char *text, uint64_t *id, struct error *err);

#endif

/* shotline-fsck - whether a stopped farm's state folder agrees with itself. `shotline fsck` starts it. */
#include "common/base/args.h"
#include "common/base/json.h"
#include "coordinator/store/fsck.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void print_json(json_t *o)
{
    char *text = json_dumps(o, JSON_COMPACT);

    json_decref(o);
    puts(text ? text : "{}");
    free(text);
}

static void say(void *context, enum finding f, const char *text)
{
    if (*(const bool *)context)
        print_json(json_pack("{s:s, s:s, s:s}", "event", "finding", "kind", finding_name(f), "text", text));
    else
        printf("%-14s %s\n", finding_name(f), text);
    fflush(stdout);
}

static void print_report(const struct fsck_report *r, bool repair, bool json)
{
    uint64_t all = 0, mended = 0;

    for (enum finding f = FINDING_STORE; f < FINDING_ORPHANS; f++) {
        all += r->found[f];
        mended += repair ? r->repaired[f] : f == FINDING_BLOB_DAMAGED || f == FINDING_RESULT_GONE ? r->found[f] : 0;
    }
    if (json) {
        print_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "event", "fsck", "blobs",
                             (json_int_t)r->blobs, "blob_bytes", (json_int_t)r->blob_bytes, "results",
                             (json_int_t)r->results, "evicted", (json_int_t)r->evicted, "videos", (json_int_t)r->videos,
                             "tasks", (json_int_t)r->tasks, "findings", (json_int_t)all, repair ? "mended" : "mendable",
                             (json_int_t)mended, "orphans", (json_int_t)r->found[FINDING_ORPHANS]));
        return;
    }
    printf("looked at %" PRIu64 " blobs (%.1f MB), %" PRIu64 " results, %" PRIu64 " finished videos with %" PRIu64
           " tasks\n",
           r->blobs, (double)r->blob_bytes / 1e6, r->results, r->videos, r->tasks);
    if (r->evicted)
        printf("%" PRIu64 " results were evicted to make room: their tasks are made again when they are needed\n",
               r->evicted);
    if (!all)
        puts("nothing is wrong");
    else if (repair)
        printf("%" PRIu64 " findings, %" PRIu64 " mended\n", all, mended);
    else
        printf("%" PRIu64 " findings; --repair would mend %" PRIu64 "\n", all, mended);
}

int main(int argc, char **argv)
{
    bool repair = false, json = false;
    const struct arg_option options[] = {
        { .name = "repair",
          .kind = ARG_FLAG,
          .to = &repair,
          .help = "move damaged blobs aside and forget results whose bytes are gone: their tasks are made again" },
        { .name = "json", .kind = ARG_FLAG, .to = &json, .help = "one JSON object per line" },
    };
    const struct arg_command command = { .program = "shotline fsck",
                                         .operands = "FOLDER",
                                         .summary = "Checks a stopped farm's state folder: the database, every blob's "
                                                    "digest, every result and manifest. Fails when something is wrong.",
                                         .options = options,
                                         .option_count = sizeof options / sizeof *options,
                                         .min_operands = 1,
                                         .max_operands = 1 };
    const char *operands[argc];
    struct fsck_report report;
    struct error err = { 0 };
    int count;

    switch (args_parse(&command, argc, argv, operands, &count, &err)) {
    case ARGS_HELP:
        return 0;
    case ARGS_OK:
        if (fsck_run(operands[0], repair, say, &json, &report, &err)) {
            print_report(&report, repair, json);
            return fsck_clean(&report) ? 0 : 1;
        }
        break;
    case ARGS_BAD:
        break;
    }
    fprintf(stderr, "shotline: %s\n", err.text);
    return error_exit_code(&err);
}

/* verify: makes the tasks of a manifest again, and compares. */
#include "client/commands.h"
#include "client/local_farm.h"
#include "client/output.h"
#include "common/base/file.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 300, MOST_IMAGES = 64 };

struct verify {
    struct farm_options farm;
    const char *manifest, *pack, *device;
    const char *const *images; /* that the farm may have no more */
    int image_count;
    int64_t sample, workers;
    uint64_t seed;
    bool has_seed, has_workers, local;
};

static const char *verdict_name(Shotline__Verdict v)
{
    switch (v) {
    case SHOTLINE__VERDICT__VERDICT_OPEN:
        return "open";
    case SHOTLINE__VERDICT__VERDICT_NOT_CHOSEN:
        return "not chosen";
    case SHOTLINE__VERDICT__VERDICT_SAME:
        return "same";
    case SHOTLINE__VERDICT__VERDICT_DIFFERENT:
        return "DIFFERENT";
    case SHOTLINE__VERDICT__VERDICT_UNMADE:
        return "not made";
    default:
        return "unknown"; /* a newer farm */
    }
}

/* ---- what is asked for ---- */

/* How many tasks the manifest has; 0 with *err. The farm looks at the rest of it. */
static size_t count_tasks(const char *path, struct error *err)
{
    json_t *manifest = json_load(path, err);
    if (!manifest)
        return 0;
    size_t count = json_array_size(json_object_get(manifest, "tasks"));
    json_decref(manifest);
    if (count == 0)
        error_set(err, ERROR_INPUT, "%s: no manifest: expected a list \"tasks\"", path);
    return count;
}

/* splitmix64: any 64 bits make a good start. */
static uint64_t roll(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* `wanted` different numbers below `count`. */
static uint32_t *choose(uint64_t seed, size_t wanted, size_t count, struct arena *arena)
{
    uint32_t *all = arena_array(arena, uint32_t, count);
    for (size_t i = 0; i < count; i++)
        all[i] = (uint32_t)i;
    for (size_t i = 0; i < wanted; i++) {
        size_t k = i + (size_t)(roll(&seed) % (count - i));
        uint32_t swapped = all[i];
        all[i] = all[k];
        all[k] = swapped;
    }
    return all;
}

static bool make_request(struct campaign *c, struct verify *v, struct error *err)
{
    size_t count = count_tasks(v->manifest, err);
    if (!count)
        return false;
    Shotline__Verification *m = arena_new(&c->arena, Shotline__Verification);
    shotline__verification__init(m);
    shotline__campaign__init(&c->message);
    c->message.verify = m;
    const char *name = strrchr(v->manifest, '/');
    c->message.name = arena_printf(&c->arena, "verify %.60s", name ? name + 1 : v->manifest);
    if (v->sample && (size_t)v->sample < count) {
        if (!v->has_seed && getrandom(&v->seed, sizeof v->seed, 0) != sizeof v->seed)
            return error_set(err, ERROR_IO, "getrandom: %s", strerror(errno));
        m->n_tasks = (size_t)v->sample;
        m->tasks = choose(v->seed, m->n_tasks, count, &c->arena);
        if (!v->farm.json)
            fprintf(stderr, "a sample of %zu of %zu tasks (--seed %" PRIu64 ")\n", m->n_tasks, count, v->seed);
    }
    return true;
}

/* ---- what came out ---- */

struct tally {
    size_t same, different, unmade, elsewhere, known;
};

static struct tally count_verdicts(const Shotline__VerifyReply *r)
{
    struct tally n = { 0 };
    for (size_t i = 0; i < r->n_tasks; i++) {
        const Shotline__VerifiedTask *t = r->tasks[i];
        bool made = t->verdict == SHOTLINE__VERDICT__VERDICT_SAME || t->verdict == SHOTLINE__VERDICT__VERDICT_DIFFERENT;
        n.same += t->verdict == SHOTLINE__VERDICT__VERDICT_SAME;
        n.different += t->verdict == SHOTLINE__VERDICT__VERDICT_DIFFERENT;
        n.unmade += t->verdict == SHOTLINE__VERDICT__VERDICT_UNMADE;
        n.known += made && t->has_elsewhere;
        n.elsewhere += made && t->has_elsewhere && t->elsewhere;
    }
    return n;
}

static void print_task(const Shotline__VerifiedTask *t, bool json)
{
    if (json) {
        json_t *o = json_pack("{s:s, s:i, s:I, s:s, s:s, s:s, s:s}", "event", "verified", "position", (int)t->position,
                              "task", (json_int_t)t->task, "what", t->what, "verdict", verdict_name(t->verdict),
                              "worker", t->worker ? t->worker : "", "trouble", t->trouble ? t->trouble : "");
        if (t->has_elsewhere)
            json_object_set_new(o, "elsewhere", json_boolean(t->elsewhere));
        output_json(o);
    } else if (t->verdict != SHOTLINE__VERDICT__VERDICT_SAME) {
        printf("%s: tasks[%u], %s%s%s\n", verdict_name(t->verdict), t->position, t->what, t->worker ? ", on " : "",
               t->worker ? t->worker : "");
        if (t->trouble)
            printf("    %s\n", t->trouble);
    }
}

static bool print_reply(const Shotline__VerifyReply *r, const struct verify *v, struct error *err)
{
    struct tally n = count_verdicts(r);
    for (size_t i = 0; i < r->n_tasks; i++)
        if (r->tasks[i]->verdict != SHOTLINE__VERDICT__VERDICT_NOT_CHOSEN)
            print_task(r->tasks[i], v->farm.json);
    if (v->farm.json)
        output_json(json_pack("{s:s, s:s, s:i, s:i, s:i, s:i}", "event", "verification", "state",
                              output_state(r->state), "same", (int)n.same, "different", (int)n.different, "unmade",
                              (int)n.unmade, "elsewhere", (int)n.elsewhere));
    else
        printf("%zu tasks made again: %zu the same, %zu different; %zu of %zu on another worker than the first time\n",
               n.same + n.different, n.same, n.different, n.elsewhere, n.known);
    if (r->state == SHOTLINE__WORK_STATE__WORK_DONE && !n.different)
        return true;
    return error_set(err, ERROR_INPUT, "%s: %s", v->manifest,
                     r->reason                                          ? r->reason
                     : r->state == SHOTLINE__WORK_STATE__WORK_CANCELLED ? "the verification was cancelled"
                                                                        : "the farm tells of no reason");
}

static bool follow_verification(struct session *s, uint64_t id, const struct verify *v, struct error *err)
{
    for (;;) {
        struct arena arena = { 0 };
        Shotline__ToFarm request = SHOTLINE__TO_FARM__INIT;
        Shotline__VerifyRequest ask = SHOTLINE__VERIFY_REQUEST__INIT;
        ask.campaign = id;
        request.verify = &ask;
        const Shotline__FromFarm *reply = session_ask(s, &request, LOCAL_FARM_START_MS, &arena, err);
        bool ok = reply && (reply->verify || error_set(err, ERROR_INPUT, "the farm's answer holds no verification"));
        bool ended = false;
        if (ok && output_state_ended(reply->verify->state)) {
            ended = true;
            ok = print_reply(reply->verify, v, err);
        }
        arena_free(&arena);
        if (!ok || ended)
            return ok;
        nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
    }
}

static bool verify_on(struct session *s, struct verify *v, struct error *err)
{
    struct campaign c = { 0 };
    uint64_t id;
    bool ok = make_request(&c, v, err);
    for (int i = 0; ok && i < v->image_count; i++)
        ok = session_put(s, v->images[i], &c.arena, err) != NULL;
    if (ok)
        c.message.verify->manifest = session_put(s, v->manifest, &c.arena, err);
    ok = ok && c.message.verify->manifest && session_submit(s, &c, &id, err) && follow_verification(s, id, v, err);
    campaign_free(&c);
    return ok;
}

/* A farm that has nothing: every byte is made from the pack, the plan's words and the given images. */
static bool verify_local(struct verify *v, struct error *err)
{
    const char *base = getenv("TMPDIR");
    char state[PATH_MAX];
    if (snprintf(state, sizeof state, "%s/shotline-verify-XXXXXX", base && *base == '/' ? base : "/tmp") >=
            (int)sizeof state ||
        !mkdtemp(state))
        return error_set(err, ERROR_IO, "%s: %s", state, strerror(errno));
    struct local_farm *farm = local_farm_open(
        &(struct local_farm_options){
            .state = state, .pack = v->pack, .device = v->device, .workers = (int)v->workers },
        err);
    struct session *s = farm ? command_connect_local(farm, err) : NULL;
    bool ok = s && verify_on(s, v, err);
    session_close(&s);
    local_farm_close(&farm);
    file_remove_tree(state, NULL);
    return ok;
}

static bool verify_standing(struct verify *v, struct error *err)
{
    struct session *s = command_connect(&v->farm, err);
    bool ok = s && verify_on(s, v, err);
    session_close(&s);
    return ok;
}

static bool verify(void *options, const char *const *operands, int count, struct error *err)
{
    struct verify *v = options;
    if (v->has_seed && !v->sample)
        return error_set(err, ERROR_USAGE, "--seed: only a --sample is chosen by lot");
    if (v->local && v->farm.farm)
        return error_set(err, ERROR_USAGE, "--local: a private farm has no address: leave out --farm");
    if (!v->local && (v->pack || v->device || v->has_workers))
        return error_set(err, ERROR_USAGE, "%s: a standing farm has its own: give --local",
                         v->pack     ? "--pack"
                         : v->device ? "--device"
                                     : "--workers");
    v->manifest = operands[0];
    v->images = operands + 1;
    v->image_count = count - 1;
    return v->local ? verify_local(v, err) : verify_standing(v, err);
}

int cmd_verify(int argc, char **argv)
{
    struct verify v = { .farm = FARM_DEFAULTS, .workers = 2 };
    const struct arg_option options[] = {
        { 'n', "sample", ARG_INT, &v.sample, 1, 1e6, "N", "only so many tasks, chosen by lot [all]", NULL },
        { 0, "seed", ARG_UINT64, &v.seed, .value = "S", .help = "of the lot, to choose the same again",
          .given = &v.has_seed },
        { 0, "local", ARG_FLAG, &v.local, .help = "with a private farm that begins with nothing" },
        { 'w', "workers", ARG_INT, &v.workers, 1, 64, "N", "of the private farm [2]", &v.has_workers },
        { 0, "pack", ARG_TEXT, &v.pack, .value = "DIR", .help = "of the private farm [packs/tiny]" },
        { 0, "device", ARG_TEXT, &v.device, .value = "NAME", .help = "of the private farm's workers" },
        FARM_OPTIONS(v.farm),
    };
    const struct arg_command command = {
        .program = "shotline verify",
        .operands = "MANIFEST [IMAGE...]",
        .summary =
            "Makes the tasks of a video again from its manifest, on other workers where there are some, and "
            "compares the digests. Fails when one is different. Reference images that the farm has no more follow "
            "the manifest.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .min_operands = 1,
        .max_operands = 1 + MOST_IMAGES,
    };
    return command_run(&command, argc, argv, verify, &v);
}

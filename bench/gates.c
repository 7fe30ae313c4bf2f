/* links: shotline_tasks shotline_video shotline_coordinator_core shotline_nn shotline_wire */
/* gates - calibrates a pack's gates on shots that a farm rendered, and tries the gates on them.
 *
 * Reads the mezzanines that manifests name, spoils each of them in every way that the gates are there for, and says how
 * many of the shots each gate rejects as they are, which gate catches which defect, and whether another one does.
 * With --calibrate it writes a gates.json, with limits from all of the shots; what it says then is what limits do that
 * come from one half of the shots and are tried on the other, both ways. */
#include "common/base/args.h"
#include "common/base/file.h"
#include "common/base/str.h"
#include "common/nn/pack.h"
#include "tests/gates/rendered.h"

#include <math.h>

struct shot {
    struct rendered r;
    struct gate_plan plans[DEFECTS];
    struct gate_scores scores[DEFECTS]; /* of the shot spoiled in each way; frames 0: it cannot be */
    bool spoiled[DEFECTS];
};

struct shots {
    struct shot *list;
    size_t count;
};

static void die(const struct error *err)
{
    fprintf(stderr, "gates: %s\n", err->text);
    exit(1);
}

/* ---- shots ---- */

/* The text that the worker sent must be what is measured here: the frames went through a file in between. Renders from
 * before the measures changed have another form, and are good enough to be measured again. */
static bool same_scores(const struct rendered *r, const json_t *task, struct error *err)
{
    struct str json = { 0 };
    if (json_integer_value(json_object_get(json_object_get(task, "params"), "scores")) != GATE_SCORES_FORMAT)
        return true;
    clip_scores_text(&r->clip, &json);
    struct digest theirs;
    const struct digest d = digest_of(json.data, json.size);
    str_free(&json);
    return (rendered_digest(json_object_get(json_object_get(task, "outputs"), "scores"), &theirs) &&
            digest_equal(&d, &theirs)) ||
           error_set(err, ERROR_INPUT, "the scores of the worker are not those of its frames");
}

/* What another pack drew says nothing of this one. */
static bool same_pack(const json_t *manifest, const struct digest *pack, struct error *err)
{
    struct digest d;
    return !rendered_digest(json_object_get(manifest, "pack"), &d) || digest_equal(&d, pack) ||
           error_set(err, ERROR_INPUT, "was rendered with another pack");
}

static void read_manifest(struct shots *s, struct store_dir *blobs, const struct digest *pack, const char *path)
{
    struct error err = { 0 };
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    json_t *manifest = json_load(path, &err);
    const json_t *task;
    size_t i;
    if (!manifest || !same_pack(manifest, pack, &err)) {
        error_wrap(&err, "%s", path);
        die(&err);
    }
    json_array_foreach(json_object_get(manifest, "tasks"), i, task)
    {
        if (strcmp(json_string_value(json_object_get(task, "kind")), "decode"))
            continue;
        s->list = xrealloc(s->list, (s->count + 1) * sizeof *s->list);
        struct shot *shot = &s->list[s->count++];
        *shot = (struct shot){ .r = { .reference = false } };
        snprintf(shot->r.name, sizeof shot->r.name, "%.*s shot %d", (int)strcspn(name, "."), name,
                 (int)json_integer_value(json_object_get(task, "shot")));
        if (!rendered_read(&shot->r, blobs, manifest, task, &err) || !same_scores(&shot->r, task, &err)) {
            error_wrap(&err, "%s", shot->r.name);
            die(&err);
        }
    }
    json_decref(manifest);
}

/* Another shot that shows something else, half way round. */
static const struct clip *elsewhere(const struct shots *s, size_t i)
{
    const struct rendered *me = &s->list[i].r;
    for (size_t k = s->count / 2; k < s->count / 2 + s->count; k++) {
        const struct rendered *r = &s->list[(i + k) % s->count].r;
        if ((strcmp(r->place, me->place) || strcmp(r->light, me->light)) && 2 * r->clip.frames > me->clip.frames)
            return &r->clip;
    }
    return &me->clip;
}

static void spoil_all(struct shots *s)
{
    struct error err = { 0 };
    for (size_t i = 0; i < s->count; i++)
        for (enum defect d = DEFECT_NONE; d < DEFECTS; d++) {
            struct shot *shot = &s->list[i];
            const struct clip *other = elsewhere(s, i);
            struct clip c = clip_copy(&shot->r.clip);
            shot->spoiled[d] = (d != DEFECT_CUT || other != &shot->r.clip) && clip_spoil(&c, d, other);
            if (shot->spoiled[d] && !clip_scores(&c, &shot->scores[d], &err))
                die(&err);
            shot->plans[d] = (struct gate_plan){ .frames = c.planned_frames, .camera = c.camera };
            free(c.rgb);
        }
}

/* ---- what they cover ---- */

static void count_word(json_t *counts, const char *word)
{
    json_object_set_new(counts, word, json_integer(json_integer_value(json_object_get(counts, word)) + 1));
}

static void print_counts(const char *title, const json_t *counts)
{
    const char *word;
    json_t *count;
    printf("%-10s", title);
    json_object_foreach((json_t *)counts, word, count) printf("  %s %lld", word, (long long)json_integer_value(count));
    printf("\n");
}

/* Which of the pack's own words no shot shows. */
static void print_uncovered(const json_t *grammar, const char *title, const json_t *counts)
{
    const json_t *words = json_object_get(grammar, title);
    const char *word;
    json_t *value;
    json_object_foreach((json_t *)words, word, value)
    {
        if (json_is_object(value))
            print_uncovered(words, word, counts); /* of characters, of products */
        else if (!json_object_get(counts, word))
            printf("gates: no shot shows: %s\n", word);
    }
}

static void print_cover(const struct shots *s, const char *pack)
{
    static const char *const titles[] = {
        "place", "light", "size", "camera", "actions", "member", "reference", "frames"
    };
    enum { TITLES = sizeof titles / sizeof titles[0] };
    json_t *counts[TITLES], *grammar;
    char path[PATH_MAX];
    struct error err = { 0 };
    if (!file_join(path, sizeof path, pack, "planner/grammar.json") || !(grammar = json_load(path, &err)))
        die(&err);
    for (int t = 0; t < TITLES; t++)
        counts[t] = json_object();
    for (size_t i = 0; i < s->count; i++) {
        const struct rendered *r = &s->list[i].r;
        char frames[16];
        snprintf(frames, sizeof frames, "%d", r->clip.frames);
        const char *words[TITLES] = {
            r->place, r->light, r->size, r->clip.camera, r->action, r->member, r->reference ? "an image" : "drawn",
            frames
        };
        for (int t = 0; t < TITLES; t++)
            count_word(counts[t], words[t]);
    }
    printf("%zu shots\n", s->count);
    for (int t = 0; t < TITLES; t++) {
        print_counts(titles[t], counts[t]);
        print_uncovered(grammar, titles[t], counts[t]);
        json_decref(counts[t]);
    }
    json_decref(grammar);
}

static void print_measures(const struct shots *s, const struct gate_limits *l)
{
    printf("\nshot");
    for (enum gate_check c = 0; c < GATE_CHECKS; c++)
        if (check_key(c))
            printf("\t%s", check_key(c));
    printf("\n");
    for (size_t i = 0; i < s->count; i++) {
        double measures[GATE_CHECKS];
        gates_measure(measures, &s->list[i].scores[DEFECT_NONE], &s->list[i].plans[DEFECT_NONE], l);
        printf("%s", s->list[i].r.name);
        for (enum gate_check c = 0; c < GATE_CHECKS; c++)
            if (check_key(c))
                printf(isnan(measures[c]) ? "\t-" : "\t%.4g", measures[c]);
        printf("\n");
    }
}

/* ---- calibration ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct spread {
    size_t count;
    double values[5]; /* smallest, 1 in 20, median, 19 in 20, largest */
};

/* Of the shots whose number has the rest `half` when divided by 2; -1: all. Shots of one video are next to each other.
 */
static struct spread spread_of(const struct shots *s, int half, enum gate_check check, const struct gate_limits *l)
{
    static const double shares[5] = { 0, 0.05, 0.5, 0.95, 1 };
    double *list = xcalloc(s->count, sizeof *list), measures[GATE_CHECKS];
    struct spread spread = { 0 };
    for (size_t i = 0; i < s->count; i++) {
        const struct shot *shot = &s->list[i];
        gates_measure(measures, &shot->scores[DEFECT_NONE], &shot->plans[DEFECT_NONE], l);
        if ((half < 0 || (int)(i % 2) == half) && !isnan(measures[check]))
            list[spread.count++] = measures[check];
    }
    qsort(list, spread.count, sizeof *list, by_value);
    for (int k = 0; k < 5 && spread.count; k++)
        spread.values[k] = list[(size_t)(shares[k] * (double)(spread.count - 1) + 0.5)];
    free(list);
    return spread;
}

/* How the distance from the usual is told: as a difference, or as a ratio where small values are near to each other.
 * A planned move has a direction: a quarter of the usual is still the right one, and the other one is wrong however
 * many shots of the pack show it. Of what must be there at all, a part of what 19 in 20 shots have is enough. */
enum distance { DIFFERENCE, RATIO, DIRECTION, PART };

/* Beyond what is measured of 19 in 20 there is at least this much room (for a ratio: a factor). */
static const struct {
    enum distance distance;
    double room;
} calibration[GATE_CHECKS] = {
    [CHECK_BLACK_BRIGHT] = { RATIO, 1.5 },      [CHECK_GREY_SPREAD] = { RATIO, 1.5 },
    [CHECK_NOISE_SHARPNESS] = { RATIO, 1.3 },   [CHECK_CUT_RESIDUAL] = { DIFFERENCE, 0.1 },
    [CHECK_CUT_COLOURS] = { DIFFERENCE, 0.1 },  [CHECK_FREEZE_SECONDS] = { DIFFERENCE, 0.3 },
    [CHECK_BLUR_SHARPNESS] = { RATIO, 1.15 },   [CHECK_BLUR_DROP] = { RATIO, 1.15 },
    [CHECK_FLICKER_TINT] = { DIFFERENCE, 1.5 }, [CHECK_FLASH_TINT] = { DIFFERENCE, 6 },
    [CHECK_STEP_TINT] = { DIFFERENCE, 5 },      [CHECK_JUMP_PICTURE] = { DIFFERENCE, 0.015 },
    [CHECK_JUMP_FIGURE] = { DIFFERENCE, 0.02 }, [CHECK_IDENTITY_DENSE] = { PART, 2 },
    [CHECK_PAN] = { DIRECTION, 0.0005 },        [CHECK_ZOOM] = { DIRECTION, 0.0005 },
    [CHECK_STATIC] = { DIFFERENCE, 0.006 },
};

/* Seen from the median, a limit stands 1.6 times as far as the most extreme shot; but one odd shot does not open a
 * gate: no further than 3.5 times as far as 19 of 20. Defects are much further out (bench/README.md), and a take that
 * is made again for nothing costs as much as the shot. */
static double limit_from(const struct spread *s, enum gate_check check)
{
    const bool least = check_is_least(check), ratio = calibration[check].distance == RATIO;
    double usual = s->values[2], extreme = s->values[least ? 0 : 4], common = s->values[least ? 1 : 3],
           room = calibration[check].room;
    if (calibration[check].distance == DIRECTION)
        return fmax(fmin(usual / 4, common - room), 0);
    if (calibration[check].distance == PART)
        return common / room;
    if (ratio) {
        usual = log(fmax(usual, 1e-4));
        extreme = log(fmax(extreme, 1e-4));
        common = log(fmax(common, 1e-4));
        room = log(room);
    }
    const double all = fabs(extreme - usual), most = fabs(common - usual),
                 way = fmax(fmin(1.6 * all, 3.5 * most), most + room), limit = least ? usual - way : usual + way;
    return ratio ? exp(limit) : fmax(limit, 0);
}

static double rounded(double v)
{
    return floor(v * 1e4 + 0.5) / 1e4;
}

/* The limits of single frames come first: what is black takes no part in what comes after. */
static void calibrate(struct gate_limits *l, const struct shots *s, int half)
{
    gate_limits_default(l);
    for (enum gate_check c = 0; c < GATE_CHECKS; c++) {
        const struct spread spread = spread_of(s, half, c, l);
        if (check_key(c) && spread.count)
            l->limit[c] = rounded(limit_from(&spread, c));
    }
}

static void write_limits(const struct shots *s, const struct gate_limits *l, json_t *tried, const char *path)
{
    json_t *limits = json_object(), *measured = json_object();
    struct str line = { 0 };
    struct error err = { 0 };
    for (enum gate_check c = 0; c < GATE_CHECKS; c++) {
        const struct spread spread = spread_of(s, -1, c, l);
        const double *q = spread.values;
        if (!check_key(c) || !spread.count)
            continue;
        json_object_set_new(limits, check_key(c), json_real(l->limit[c]));
        json_object_set_new(measured, check_key(c),
                            json_pack("{si sf sf sf sf sf}", "shots", (int)spread.count, "least", rounded(q[0]), "p5",
                                      rounded(q[1]), "median", rounded(q[2]), "p95", rounded(q[3]), "most",
                                      rounded(q[4])));
    }
    json_object_set_new(limits, "freeze_change", json_real(l->freeze_change));
    json_object_set_new(measured, "tried", tried);
    json_t *file = json_pack("{so so}", "limits", limits, "measured", measured);
    char *text = json_dumps(file, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
    str_printf(&line, "%s\n", text);
    if (!file_write(path, line.data, line.size, &err))
        die(&err);
    str_free(&line);
    free(text);
    json_decref(file);
}

/* ---- what the gates do ---- */

struct tally {
    size_t shots, any, own, alone, others[GATES];
};

static bool caught(const struct gate_verdict *v, enum gate g)
{
    for (uint32_t i = 0; i < v->count; i++)
        if (check_gate(v->faults[i].check) == g)
            return true;
    return false;
}

static void tally_add(struct tally *t, enum defect d, const struct gate_verdict *v)
{
    const bool mine = caught(v, clip_defects[d].gate);
    t->shots++;
    t->any += v->count > 0;
    t->own += mine;
    t->alone += mine && v->count == 1;
    for (enum gate g = 0; g < GATES; g++)
        t->others[g] += g != clip_defects[d].gate && caught(v, g);
}

/* A shot that is rejected as it is says nothing about defects. `missed` prints which shots are not caught, too. */
static void try_shots(struct tally tallies[DEFECTS], const struct shots *s, int half, const struct gate_limits *l,
                      bool missed)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct shot *shot = &s->list[i];
        bool rejected = false;
        for (enum defect d = DEFECT_NONE; d < DEFECTS && !rejected && (half < 0 || (int)(i % 2) == half); d++) {
            struct gate_verdict v;
            char text[400];
            if (!shot->spoiled[d])
                continue;
            gates_judge(&v, &shot->scores[d], &shot->plans[d], l);
            tally_add(&tallies[d], d, &v);
            verdict_text(&v, text, sizeof text);
            rejected = d == DEFECT_NONE && v.count;
            if (rejected)
                printf("rejected: %s: %s\n", shot->r.name, text);
            else if (missed && d != DEFECT_NONE && !caught(&v, clip_defects[d].gate))
                printf("missed: %s: %s%s%s\n", shot->r.name, clip_defects[d].name, v.count ? ": " : "", text);
        }
    }
}

static void print_tallies(const struct tally tallies[DEFECTS])
{
    printf("\n| defect | shots | caught | by its gate | by it alone | other gates |\n|---|---|---|---|---|---|\n");
    for (enum defect d = DEFECT_NONE; d < DEFECTS; d++) {
        const struct tally *t = &tallies[d];
        if (d == DEFECT_NONE)
            printf("| %s | %zu | %zu | | |", clip_defects[d].name, t->shots, t->any);
        else
            printf("| %s | %zu | %zu | %zu | %zu |", clip_defects[d].name, t->shots, t->any, t->own, t->alone);
        for (enum gate g = 0; g < GATES; g++)
            if (t->others[g])
                printf(" %s %zu", gate_name(g), t->others[g]);
        printf(" |\n");
    }
}

static json_t *tallies_json(const struct tally tallies[DEFECTS])
{
    json_t *o = json_object();
    for (enum defect d = DEFECT_NONE; d < DEFECTS; d++)
        json_object_set_new(o, clip_defects[d].name,
                            json_pack("{si si}", "shots", (int)tallies[d].shots, d ? "caught" : "rejected",
                                      (int)(d ? tallies[d].own : tallies[d].any)));
    return o;
}

static void shots_free(struct shots *s)
{
    for (size_t i = 0; i < s->count; i++) {
        rendered_free(&s->list[i].r);
        for (enum defect d = DEFECT_NONE; d < DEFECTS; d++)
            if (s->list[i].spoiled[d])
                gate_scores_free(&s->list[i].scores[d]);
    }
    free(s->list);
}

int main(int argc, char **argv)
{
    const char *state = NULL, *pack = "packs/tiny", *to = NULL;
    bool missed = false, measures = false;
    const struct arg_option options[] = {
        { 's', "state", ARG_TEXT, &state, .value = "DIR", .help = "of the render: its blobs" },
        { 'p', "pack", ARG_TEXT, &pack, .value = "DIR",
          .help = "that drew the shots, whose gates.json is tried [packs/tiny]" },
        { 'c', "calibrate", ARG_TEXT, &to, .value = "FILE", .help = "set the limits from these shots, and write them" },
        { 'm', "missed", ARG_FLAG, &missed, .help = "name the shots whose defects are missed" },
        { 'l', "measures", ARG_FLAG, &measures, .help = "print what each shot measures" },
    };
    const struct arg_command command = {
        .program = "gates",
        .operands = "MANIFEST...",
        .summary = "Calibrates gates on rendered shots, and tries the gates on them.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .min_operands = 1,
        .max_operands = 1000,
    };
    struct error err = { 0 };
    struct shots shots = { 0 };
    struct gate_limits limits;
    struct pack_listing listing;
    struct tally tallies[DEFECTS] = { { 0 } };
    const char *operands[argc];
    char blobs_dir[PATH_MAX];
    int count = 0;
    enum args_result parsed = args_parse(&command, argc, argv, operands, &count, &err);
    if (parsed == ARGS_HELP)
        return 0;
    if (parsed == ARGS_BAD || !state || !file_join(blobs_dir, sizeof blobs_dir, state, "blobs")) {
        fprintf(stderr, "gates: %s\n", parsed == ARGS_BAD ? err.text : "--state: expected the folder of a render");
        return 2;
    }
    struct store_dir *blobs = store_dir_open(blobs_dir, 0, &err);
    if (!blobs || !pack_list(&listing, pack, &err) || (!to && !gate_limits_load(&limits, pack, &err)))
        die(&err);
    for (int i = 0; i < count; i++)
        read_manifest(&shots, blobs, &listing.digest, operands[i]);
    spoil_all(&shots);
    print_cover(&shots, pack);
    for (int half = 0; to && half < 2; half++) {
        calibrate(&limits, &shots, !half);
        try_shots(tallies, &shots, half, &limits, missed);
    }
    if (to) {
        calibrate(&limits, &shots, -1);
        write_limits(&shots, &limits, tallies_json(tallies), to);
    } else {
        try_shots(tallies, &shots, -1, &limits, missed);
    }
    print_tallies(tallies);
    if (measures)
        print_measures(&shots, &limits);
    shots_free(&shots);
    pack_listing_free(&listing);
    store_dir_close(&blobs);
    return 0;
}

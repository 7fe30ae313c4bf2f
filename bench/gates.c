/* links: shotline_tasks shotline_video shotline_coordinator_core shotline_nn shotline_wire */
/* gates - calibrates a pack's gates on shots that a farm rendered, and tries the gates on them.
 *
 * Reads the mezzanines that manifests name. With --calibrate it sets the limits from what these shots measure and
 * writes a gates.json; else it takes those of the pack. Then it says how many of these shots each gate rejects, and
 * spoils each of them in every way that the gates are there for: which gate catches it, and does another one? */
#include "common/base/args.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/str.h"
#include "common/nn/safetensors.h"
#include "common/wire/store_dir.h"
#include "tests/gates/clips.h"
#include "worker/video_read.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>

struct shots {
    struct clip *clips;
    char (*names)[80];
    size_t count;
};

static void die(const struct error *err)
{
    fprintf(stderr, "gates: %s\n", err->text);
    exit(1);
}

/* ---- clips from manifests ---- */

static bool digest_field(const json_t *object, struct digest *d)
{
    const char *hex = json_string_value(json_object_get(object, "digest"));
    return hex && digest_from_hex(d, hex);
}

static bool read_frames(struct clip *c, const char *path, struct error *err)
{
    struct video_reader *r = video_reader_open(path, err);
    bool end = false, ok = r != NULL;
    if (!r)
        return false;
    c->width = video_reader_width(r);
    c->height = video_reader_height(r);
    for (int room = 0; ok && !end;) {
        if (c->frames == room) {
            room = room ? 2 * room : 64;
            c->rgb = xrealloc(c->rgb, (size_t)room * clip_frame_bytes(c));
        }
        ok = video_reader_next(r, clip_frame(c, c->frames), &end, err);
        c->frames += ok && !end;
    }
    video_reader_close(&r);
    return ok;
}

static bool read_palette(struct palette *p, const char *path, struct error *err)
{
    struct safetensors *f = safetensors_open(path, err);
    const struct weight *w = f ? safetensors_find(f, "palette") : NULL;
    bool ok = w && w->type == DTYPE_F32 && w->shape.rank == 2 && w->shape.dim[0] <= PALETTE_COLOURS;
    if (f && !ok)
        error_set(err, ERROR_INPUT, "%s: no palette", path);
    if (ok) {
        p->count = (int)w->shape.dim[0];
        memcpy(p->colour, w->data, (size_t)p->count * sizeof p->colour[0]);
    }
    safetensors_close(&f);
    return ok;
}

static bool read_clip(struct clip *c, struct store_dir *blobs, const json_t *manifest, const json_t *task,
                      struct error *err)
{
    const json_t *params = json_object_get(task, "params"), *ranges = json_object_get(params, "ranges"), *input;
    const json_t *shot = json_array_get(json_object_get(json_object_get(manifest, "plan"), "shots"),
                                        (size_t)json_integer_value(json_object_get(task, "shot")) - 1);
    struct digest d;
    char path[PATH_MAX];
    size_t i;
    *c = (struct clip){ .fps = (int)json_integer_value(json_object_get(params, "fps")),
                        .camera = xstrdup(json_string_value(json_object_get(shot, "camera"))) };
    c->planned_frames = 4 * ((int)json_integer_value(json_object_get(params, "latent_frames")) - 1) + 1;
    for (i = 0; i + 1 < json_array_size(ranges) && i < CLIP_MOST_BORDERS; i++) {
        const json_t *a = json_array_get(ranges, i), *b = json_array_get(ranges, i + 1);
        const int from = (int)json_integer_value(json_array_get(b, 0)),
                  end = (int)(json_integer_value(json_array_get(a, 0)) + json_integer_value(json_array_get(a, 1)));
        c->borders[c->border_count++] = (struct gate_seam){ from ? 4 * (from - 1) + 1 : 0, 4 * (end - 1) };
    }
    json_array_foreach(json_object_get(task, "inputs"), i, input)
    {
        if (strcmp(json_string_value(json_object_get(input, "slot")), "identity"))
            continue;
        if (!digest_field(input, &d) || !store_dir_path(blobs, &d, path, sizeof path))
            return error_set(err, ERROR_INPUT, "an identity is not in the store");
        if (!read_palette(&c->figure, path, err))
            return false;
    }
    if (!digest_field(json_object_get(json_object_get(task, "outputs"), "mezzanine"), &d) ||
        !store_dir_path(blobs, &d, path, sizeof path))
        return error_set(err, ERROR_INPUT, "a mezzanine is not in the store");
    return read_frames(c, path, err);
}

/* The text that the worker sent must be what is measured here: the frames went through a file in between. */
static bool same_scores(const struct clip *c, struct store_dir *blobs, const json_t *task, struct error *err)
{
    struct str json = { 0 };
    struct digest d, theirs;
    clip_scores_text(c, &json);
    d = digest_of(json.data, json.size);
    bool ok = digest_field(json_object_get(json_object_get(task, "outputs"), "scores"), &theirs) &&
              store_dir_has(blobs, &theirs) && digest_equal(&d, &theirs);
    str_free(&json);
    return ok || error_set(err, ERROR_INPUT, "the scores of the worker are not those of its frames");
}

static void read_manifest(struct shots *s, struct store_dir *blobs, const char *path)
{
    struct error err = { 0 };
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    json_t *manifest = json_load(path, &err);
    const json_t *task;
    size_t i;
    if (!manifest)
        die(&err);
    json_array_foreach(json_object_get(manifest, "tasks"), i, task)
    {
        if (strcmp(json_string_value(json_object_get(task, "kind")), "decode"))
            continue;
        s->clips = xrealloc(s->clips, (s->count + 1) * sizeof *s->clips);
        s->names = xrealloc(s->names, (s->count + 1) * sizeof *s->names);
        snprintf(s->names[s->count], sizeof s->names[0], "%.*s shot %d", (int)strcspn(name, "."), name,
                 (int)json_integer_value(json_object_get(task, "shot")));
        if (!read_clip(&s->clips[s->count], blobs, manifest, task, &err) ||
            !same_scores(&s->clips[s->count], blobs, task, &err)) {
            error_wrap(&err, "%s", s->names[s->count]);
            die(&err);
        }
        s->count++;
    }
    json_decref(manifest);
}

/* ---- measures ---- */

static void measure(const struct clip *c, const struct gate_limits *l, double *measures, struct gate_verdict *v)
{
    struct gate_scores scores;
    struct error err = { 0 };
    const struct gate_plan plan = { .frames = c->planned_frames, .camera = c->camera };
    if (!clip_scores(c, &scores, &err))
        die(&err);
    gates_measure(measures, &scores, &plan, l);
    gates_judge(v, &scores, &plan, l);
    gate_scores_free(&scores);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct spread {
    size_t count;
    double values[5]; /* smallest, 1 in 20, median, 19 in 20, largest */
};

static struct spread spread_of(double (*measures)[GATE_CHECKS], size_t count, enum gate_check check)
{
    static const double shares[5] = { 0, 0.05, 0.5, 0.95, 1 };
    double *list = xcalloc(count, sizeof *list);
    struct spread s = { 0 };
    for (size_t i = 0; i < count; i++)
        if (!isnan(measures[i][check]))
            list[s.count++] = measures[i][check];
    qsort(list, s.count, sizeof *list, by_value);
    for (int k = 0; k < 5 && s.count; k++)
        s.values[k] = list[(size_t)(shares[k] * (double)(s.count - 1) + 0.5)];
    free(list);
    return s;
}

/* ---- calibration ---- */

/* Seen from the median, a limit stands 1.6 times as far as the most extreme shot; but one odd shot does not open a
 * gate: no further than 3.5 times as far as 19 of 20. Beyond those it leaves at least this much room. Defects are much
 * further out (bench/README.md), and a take that is made again for nothing costs as much as the shot. */
static const double least_room[GATE_CHECKS] = {
    [CHECK_BLACK_BRIGHT] = 16,     [CHECK_GREY_SPREAD] = 12,     [CHECK_NOISE_SHARPNESS] = 2,
    [CHECK_CUT_RESIDUAL] = 0.1,    [CHECK_FREEZE_SECONDS] = 0.3, [CHECK_BLUR_SHARPNESS] = 0.2,
    [CHECK_BLUR_DROP] = 0.1,       [CHECK_FLICKER_TINT] = 1.5,   [CHECK_FLASH_TINT] = 6,
    [CHECK_STEP_TINT] = 5,         [CHECK_JUMP_PICTURE] = 0.015, [CHECK_JUMP_FIGURE] = 0.02,
    [CHECK_IDENTITY_SHARE] = 0.01, [CHECK_PAN] = 0.015,          [CHECK_ZOOM] = 0.03,
    [CHECK_STATIC] = 0.025,
};

static double limit_from(const struct spread *s, enum gate_check check)
{
    const bool least = check_is_least(check);
    const double median = s->values[2], all = fabs(s->values[least ? 0 : 4] - median),
                 most = fabs(s->values[least ? 1 : 3] - median), room = most + least_room[check];
    double way = 1.6 * all < 3.5 * most ? 1.6 * all : 3.5 * most;
    way = way > room ? way : room;
    const double limit = least ? median - way : median + way;
    return least && check != CHECK_PAN && check != CHECK_ZOOM && limit < 0 ? 0 : limit;
}

static double rounded(double v)
{
    return floor(v * 1e4 + 0.5) / 1e4;
}

static void calibrate(struct gate_limits *l, const struct shots *s, const char *path)
{
    double(*measures)[GATE_CHECKS] = xcalloc(s->count, sizeof *measures);
    json_t *limits = json_object(), *measured = json_object();
    struct gate_verdict v;
    struct error err = { 0 };
    gate_limits_default(l);
    for (size_t i = 0; i < s->count; i++)
        measure(&s->clips[i], l, measures[i], &v);
    for (enum gate_check c = 0; c < GATE_CHECKS; c++) {
        const struct spread spread = spread_of(measures, s->count, c);
        const double *q = spread.values;
        if (!check_key(c) || !spread.count)
            continue;
        l->limit[c] = rounded(limit_from(&spread, c));
        json_object_set_new(limits, check_key(c), json_real(l->limit[c]));
        json_object_set_new(measured, check_key(c),
                            json_pack("{si sf sf sf sf sf}", "shots", (int)spread.count, "least", rounded(q[0]), "p5",
                                      rounded(q[1]), "median", rounded(q[2]), "p95", rounded(q[3]), "most",
                                      rounded(q[4])));
    }
    json_object_set_new(limits, "freeze_change", json_real(l->freeze_change));
    json_t *file = json_pack("{so so}", "limits", limits, "measured", measured);
    char *text = json_dumps(file, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
    struct str line = { 0 };
    str_printf(&line, "%s\n", text);
    if (!file_write(path, line.data, line.size, &err))
        die(&err);
    str_free(&line);
    free(text);
    json_decref(file);
    free(measures);
}

/* ---- what the gates do ---- */

static bool caught(const struct gate_verdict *v, enum gate g)
{
    for (uint32_t i = 0; i < v->count; i++)
        if (check_gate(v->faults[i].check) == g)
            return true;
    return false;
}

static void try_defects(const struct shots *s, const struct gate_limits *l)
{
    bool *rejected = xcalloc(s->count, sizeof *rejected);
    double measures[GATE_CHECKS];
    printf("\n%-32s %6s %7s %12s %12s\n", "defect", "shots", "caught", "by its gate", "by it alone");
    for (enum defect d = DEFECT_NONE; d < DEFECTS; d++) {
        size_t shots = 0, any = 0, own = 0, alone = 0, others[GATES] = { 0 };
        for (size_t i = 0; i < s->count; i++) {
            struct clip c = clip_copy(&s->clips[i]);
            struct gate_verdict v;
            if (!rejected[i] && clip_spoil(&c, d, &s->clips[(i + s->count / 2) % s->count])) {
                measure(&c, l, measures, &v);
                const bool mine = caught(&v, clip_defects[d].gate);
                shots++;
                any += v.count > 0;
                own += mine;
                alone += mine && v.count == 1;
                for (enum gate g = 0; g < GATES; g++)
                    others[g] += g != clip_defects[d].gate && caught(&v, g);
                if (d == DEFECT_NONE && v.count) {
                    char text[400];
                    rejected[i] = true; /* what is rejected as it is says nothing about defects */
                    verdict_text(&v, text, sizeof text);
                    printf("rejected: %s: %s\n", s->names[i], text);
                }
            }
            free(c.rgb);
        }
        printf("%-32s %6zu %7zu %12zu %12zu", clip_defects[d].name, shots, any, own, alone);
        for (enum gate g = 0; g < GATES; g++)
            if (others[g])
                printf("  %s %zu", gate_name(g), others[g]);
        printf("\n");
    }
    free(rejected);
}

int main(int argc, char **argv)
{
    const char *state = NULL, *pack = "packs/tiny", *to = NULL;
    const struct arg_option options[] = {
        { 's', "state", ARG_TEXT, &state, .value = "DIR", .help = "of the render: its blobs" },
        { 'p', "pack", ARG_TEXT, &pack, .value = "DIR", .help = "whose gates.json is tried [packs/tiny]" },
        { 'c', "calibrate", ARG_TEXT, &to, .value = "FILE", .help = "set the limits from these shots, and write them" },
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
    if (!blobs || (!to && !gate_limits_load(&limits, pack, &err)))
        die(&err);
    for (int i = 0; i < count; i++)
        read_manifest(&shots, blobs, operands[i]);
    if (to)
        calibrate(&limits, &shots, to);
    try_defects(&shots, &limits);
    for (size_t i = 0; i < shots.count; i++) {
        free(shots.clips[i].rgb);
        free((char *)shots.clips[i].camera);
    }
    free(shots.clips);
    free(shots.names);
    store_dir_close(&blobs);
    return 0;
}

#include "coordinator/core/gate_scores.h"

#include "common/base/json.h"

#define MOST_BORDERS 1024
#define MOST_FIGURES 16
#define LARGEST      1000000000

struct reader {
    struct json_reader r;
    struct gate_scores *s;
    double columns;
};

static int64_t whole(struct reader *r, const json_t *v, const char *key)
{
    if (!json_is_integer(v) || json_integer_value(v) > LARGEST || json_integer_value(v) < -LARGEST) {
        json_fail(&r->r, key, "expected whole numbers");
        return 0;
    }
    return json_integer_value(v);
}

/* A list of `rows` lists of `width` numbers, or of numbers when `width` is 1, in 1/unit. */
static double *read_rows(struct reader *r, const json_t *object, const char *key, size_t rows, size_t width,
                         double unit)
{
    const json_t *list = json_list(&r->r, object, key);
    double *to = arena_array(&r->s->arena, double, rows *width + 1);
    if (!r->r.failed && json_array_size(list) != rows)
        json_fail(&r->r, key, "is a list of %zu, expected %zu", json_array_size(list), rows);
    for (size_t i = 0; !r->r.failed && i < rows; i++) {
        const json_t *row = json_array_get(list, i);
        if (width > 1 && json_array_size(row) != width) {
            json_fail(&r->r, key, "expected lists of %zu numbers", width);
            break;
        }
        for (size_t k = 0; k < width; k++)
            to[i * width + k] = (double)whole(r, width > 1 ? json_array_get(row, k) : row, key) / unit;
    }
    return to;
}

static size_t rows_of(struct reader *r, const json_t *root, const char *key, size_t most)
{
    size_t count = json_array_size(json_list(&r->r, root, key));
    if (count > most)
        json_fail(&r->r, key, "is a list of %zu, expected at most %zu", count, most);
    return r->r.failed ? 0 : count;
}

static void read_borders(struct reader *r, const json_t *root)
{
    struct gate_scores *s = r->s;
    s->border_count = rows_of(r, root, "borders", MOST_BORDERS);
    const double *rows = read_rows(r, root, "borders", s->border_count, 2, 1);
    s->borders = arena_array(&s->arena, struct gate_border, s->border_count);
    for (size_t i = 0; !r->r.failed && i < s->border_count; i++) {
        s->borders[i] = (struct gate_border){ (int)rows[2 * i], (int)rows[2 * i + 1] };
        if (s->borders[i].first < 0 || s->borders[i].first > s->borders[i].last)
            json_fail(&r->r, "borders", "expected the first and the last of some frames");
    }
}

static void read_figures(struct reader *r, const json_t *root)
{
    struct gate_scores *s = r->s;
    const json_t *list = json_list(&r->r, root, "figures");
    s->figure_count = rows_of(r, root, "figures", MOST_FIGURES);
    s->figures = arena_array(&s->arena, struct gate_figure, s->figure_count);
    for (size_t i = 0; !r->r.failed && i < s->figure_count; i++) {
        static const char *const keys[] = { "share", "dense", "x", "y", NULL };
        const json_t *figure = json_array_get(list, i);
        if (!json_is_object(figure)) {
            json_fail(&r->r, "figures", "expected groups");
            break;
        }
        json_only_keys(&r->r, figure, keys);
        s->figures[i] = (struct gate_figure){
            .share = read_rows(r, figure, "share", (size_t)s->frames, 1, 10000),
            .dense = read_rows(r, figure, "dense", (size_t)s->frames, 1, 10000),
            .x = read_rows(r, figure, "x", (size_t)s->frames, 1, 100 * r->columns),
            .y = read_rows(r, figure, "y", (size_t)s->frames, 1, 100 * r->columns),
        };
    }
}

static void read_all(struct reader *r, const json_t *root)
{
    static const char *const keys[] = { "format", "frames",    "columns", "fps",     "unusable", "borders", "dark",
                                        "bright", "sharpness", "change",  "tint",    "residual", "colours", "lasting",
                                        "move",   "camera",    "drift",   "figures", NULL };
    struct gate_scores *s = r->s;
    json_only_keys(&r->r, root, keys);
    json_int(&r->r, root, "format", GATE_SCORES_FORMAT, GATE_SCORES_FORMAT);
    s->frames = (int)json_int(&r->r, root, "frames", 0, GATE_MOST_FRAMES);
    s->fps = (int)json_int(&r->r, root, "fps", 1, 240);
    s->unusable = json_int(&r->r, root, "unusable", 0, INT64_MAX);
    r->columns = (double)json_int(&r->r, root, "columns", 1, 8192);
    if (r->r.failed)
        return;
    const size_t frames = (size_t)s->frames;
    read_borders(r, root);
    s->dark = read_rows(r, root, "dark", frames, 1, 1);
    s->bright = read_rows(r, root, "bright", frames, 1, 1);
    s->sharpness = read_rows(r, root, "sharpness", frames, 1, 100);
    s->change = read_rows(r, root, "change", frames, 1, 1000);
    s->residual = read_rows(r, root, "residual", frames, 1, 1000);
    s->colours = read_rows(r, root, "colours", frames, 1, 1000);
    s->lasting = read_rows(r, root, "lasting", frames, 1, 1000);
    s->tint = (double(*)[3])read_rows(r, root, "tint", frames, 3, 100);
    s->move = (double(*)[2])read_rows(r, root, "move", frames, 2, r->columns);
    s->camera_count = rows_of(r, root, "camera", frames);
    s->camera = (double(*)[3])read_rows(r, root, "camera", s->camera_count, 3, 10000);
    s->drift_count = rows_of(r, root, "drift", frames);
    s->drift = (double(*)[2])read_rows(r, root, "drift", s->drift_count, 2, 1);
    for (size_t i = 0; i < s->drift_count; i++)
        s->drift[i][0] /= 10000;
    read_figures(r, root);
}

bool gate_scores_parse(struct gate_scores *s, const char *text, size_t size, struct error *err)
{
    *s = (struct gate_scores){ 0 };
    json_t *root =
        size <= GATE_SCORES_LARGEST
            ? json_parse(text, size, "scores", err)
            : (error_set(err, ERROR_INPUT, "scores: %zu bytes, expected at most %u", size, GATE_SCORES_LARGEST), NULL);
    if (!root)
        return false;
    struct reader r = { .r = { .where = "scores", .err = err }, .s = s };
    if (json_is_object(root))
        read_all(&r, root);
    else
        json_fail(&r.r, "the text", "is not a JSON object");
    json_decref(root);
    if (r.r.failed)
        gate_scores_free(s);
    return !r.r.failed;
}

void gate_scores_free(struct gate_scores *s)
{
    arena_free(&s->arena);
    *s = (struct gate_scores){ 0 };
}

#include "client/output.h"

#include "common/base/arena.h"
#include "common/base/hash.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void output_clock(int64_t ms, char *to, size_t room)
{
    int64_t s = ms < 0 ? 0 : (ms + 500) / 1000;
    if (s < 3600)
        snprintf(to, room, "%" PRId64 ":%02d", s / 60, (int)(s % 60));
    else
        snprintf(to, room, "%" PRId64 ":%02d:%02d", s / 3600, (int)(s / 60 % 60), (int)(s % 60));
}

const char *output_state(Shotline__WorkState state)
{
    switch (state) {
    case SHOTLINE__WORK_STATE__WORK_PLANNING:
        return "planning";
    case SHOTLINE__WORK_STATE__WORK_WAITING:
        return "waiting";
    case SHOTLINE__WORK_STATE__WORK_RUNNING:
        return "running";
    case SHOTLINE__WORK_STATE__WORK_DONE:
        return "done";
    case SHOTLINE__WORK_STATE__WORK_FAILED:
        return "failed";
    case SHOTLINE__WORK_STATE__WORK_CANCELLED:
        return "cancelled";
    default:
        return "unknown"; /* a newer farm */
    }
}

bool output_state_ended(Shotline__WorkState state)
{
    return state == SHOTLINE__WORK_STATE__WORK_DONE || state == SHOTLINE__WORK_STATE__WORK_FAILED ||
           state == SHOTLINE__WORK_STATE__WORK_CANCELLED;
}

/* ------------------------------------------------------------------------------------------------ tables */

void table_row(struct table *t, const char *const *cells, size_t columns)
{
    assert(columns <= TABLE_COLUMNS);
    if (t->rows == 0)
        t->columns = columns;
    t->cells = xrealloc(t->cells, (t->rows + 1) * t->columns * sizeof *t->cells);
    for (size_t i = 0; i < t->columns; i++) {
        struct str *cell = &t->cells[t->rows * t->columns + i];
        *cell = (struct str){ 0 };
        str_append(cell, i < columns ? cells[i] : "");
    }
    t->rows++;
}

void table_print(const struct table *t, struct str *to)
{
    size_t widths[TABLE_COLUMNS] = { 0 };
    for (size_t i = 0; i < t->rows * t->columns; i++)
        if (t->cells[i].size > widths[i % t->columns])
            widths[i % t->columns] = t->cells[i].size;
    for (size_t row = 0; row < t->rows; row++) {
        size_t blanks = 0; /* owed before the next cell that has text */
        for (size_t i = 0; i < t->columns; i++) {
            const struct str *cell = &t->cells[row * t->columns + i];
            if (cell->size)
                str_printf(to, "%*s%s", (int)blanks, "", str_text(cell));
            blanks = (cell->size ? 0 : blanks) + widths[i] - cell->size + 2;
        }
        str_append_char(to, '\n');
    }
}

void table_free(struct table *t)
{
    for (size_t i = 0; i < t->rows * t->columns; i++)
        str_free(&t->cells[i]);
    free(t->cells);
    *t = (struct table){ 0 };
}

/* ------------------------------------------------------------------------------------------------ progress */

double output_fraction(const Shotline__VideoStatus *v)
{
    /* Denoising is nearly all of the work; decoding a shot and stitching get the rest. */
    static const double denoising = 0.9;
    double steps = 0, done = 0, shots = 0;
    if (v->state == SHOTLINE__WORK_STATE__WORK_DONE)
        return 1;
    for (size_t i = 0; i < v->n_shots; i++) {
        const Shotline__ShotStatus *s = v->shots[i];
        steps += s->steps;
        done += s->steps_done < s->steps ? s->steps_done : s->steps;
        shots += s->state == SHOTLINE__WORK_STATE__WORK_DONE;
    }
    if (v->n_shots == 0 || steps <= 0)
        return 0;
    double fraction = denoising * done / steps + (1 - denoising) * shots / (double)v->n_shots;
    return fraction < 0.99 ? fraction : 0.99; /* not done yet, whatever the sums say */
}

void output_bar(double fraction, size_t width, struct str *to)
{
    double full = fraction < 0 ? 0 : fraction > 1 ? 1 : fraction;
    size_t signs = (size_t)(full * (double)width);
    str_append_char(to, '[');
    for (size_t i = 0; i < width; i++)
        str_append_char(to, i < signs ? '#' : '.');
    str_append_char(to, ']');
}

/* ------------------------------------------------------------------------------------------------ JSON lines */

void output_json(json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(object);
    puts(text ? text : "{}");
    fflush(stdout);
    free(text);
}

json_t *output_video_json(uint64_t campaign, const Shotline__VideoStatus *v)
{
    json_t *shots = json_array();
    for (size_t i = 0; i < v->n_shots; i++) {
        const Shotline__ShotStatus *s = v->shots[i];
        json_t *shot =
            json_pack("{s:i, s:i, s:i, s:i, s:s}", "number", (int)s->number, "ranges", (int)s->ranges, "steps_done",
                      (int)s->steps_done, "steps", (int)s->steps, "state", output_state(s->state));
        if (s->has_take && s->has_takes) {
            json_object_set_new(shot, "take", json_integer(s->take));
            json_object_set_new(shot, "takes", json_integer(s->takes));
        }
        if (s->has_passed)
            json_object_set_new(shot, "passed", json_boolean(s->passed));
        if (s->fault)
            json_object_set_new(shot, "fault", json_string(s->fault));
        json_array_append_new(shots, shot);
    }
    json_t *artifacts = json_object();
    for (size_t i = 0; i < v->n_artifacts; i++) {
        struct digest d;
        char hex[DIGEST_HEX_ROOM] = "";
        const Shotline__NamedBlob *a = v->artifacts[i];
        if (a->blob->digest.len == DIGEST_BYTES) {
            memcpy(d.bytes, a->blob->digest.data, DIGEST_BYTES);
            digest_hex(&d, hex);
        }
        json_object_set_new(artifacts, a->name, json_string(hex));
    }
    json_t *o = json_pack("{s:s, s:I, s:s, s:s, s:f, s:o, s:o}", "event", "video", "campaign", (json_int_t)campaign,
                          "name", v->name, "state", output_state(v->state), "fraction", output_fraction(v), "shots",
                          shots, "artifacts", artifacts);
    if (v->reason)
        json_object_set_new(o, "reason", json_string(v->reason));
    return o;
}

json_t *output_campaign_json(const Shotline__CampaignStatus *c)
{
    json_t *o = json_pack("{s:s, s:I, s:s, s:s, s:i, s:i, s:i, s:I, s:I, s:I, s:i}", "event", "campaign", "campaign",
                          (json_int_t)c->campaign, "name", c->name, "state", output_state(c->state), "tasks",
                          (int)c->tasks, "tasks_done", (int)c->tasks_done, "tasks_cached", (int)c->tasks_cached,
                          "elapsed_ms", (json_int_t)c->elapsed_ms, "busy_ms", (json_int_t)c->busy_ms, "overlap_ms",
                          (json_int_t)c->overlap_ms, "ranges_at_once", (int)c->ranges_at_once);
    if (c->has_superseded)
        json_object_set_new(o, "superseded", json_integer(c->superseded));
    if (c->has_eta_ms)
        json_object_set_new(o, "eta_ms", json_integer((json_int_t)c->eta_ms));
    if (c->has_shots_judged)
        json_object_set_new(o, "gates",
                            json_pack("{s:i, s:i, s:i, s:i, s:I}", "judged", (int)c->shots_judged, "first_try",
                                      (int)c->shots_first_try, "settled", (int)c->shots_settled, "passed",
                                      (int)c->shots_passed, "retry_ms", (json_int_t)c->retry_ms));
    return o;
}

/* ------------------------------------------------------------------------------------------------ gates */

static double percent(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 0;
}

void output_gates(const Shotline__CampaignStatus *c, struct str *to)
{
    if (!c->shots_judged)
        return;
    str_printf(to, "gates: %u of %u shots passed at the first try (%.0f %%)", c->shots_first_try, c->shots_judged,
               percent(c->shots_first_try, c->shots_judged));
    str_printf(to, ", %u of %u in the end (%.0f %%)", c->shots_passed, c->shots_settled,
               percent(c->shots_passed, c->shots_settled));
    str_printf(to, "; takes that are not shown cost %.1f s of work (%.1f %%)\n", (double)c->retry_ms / 1000,
               percent((double)c->retry_ms, (double)c->busy_ms));
}

void output_faults(const Shotline__VideoStatus *v, struct str *to)
{
    for (size_t i = 0; i < v->n_shots; i++) {
        const Shotline__ShotStatus *s = v->shots[i];
        if (s->has_passed && !s->passed)
            str_printf(to, "%s: shot %u, %s take %u of %u, did not pass: %s\n", v->name, s->number,
                       v->state == SHOTLINE__WORK_STATE__WORK_FAILED ? "best" : "shown in", s->take, s->takes,
                       s->fault ? s->fault : "unknown");
    }
}

/* ------------------------------------------------------------------------------------------------ summary */

static void output_speed(const Shotline__CampaignStatus *c, struct str *to)
{
    double elapsed = (double)c->elapsed_ms / 1000, busy = (double)c->busy_ms / 1000,
           overlap = (double)c->overlap_ms / 1000;
    str_printf(to, "%s: %u tasks in %.1f s, %u of them from the cache\n", output_state(c->state), c->tasks, elapsed,
               c->tasks_cached);
    if (busy <= 0 || elapsed <= 0) {
        str_append(to, "speed-up: none to tell, since no worker had anything to do\n");
        return;
    }
    str_printf(to, "speed-up over one worker: %.2fx (%.1f s of work in %.1f s)\n", busy / elapsed, busy, elapsed);
    str_printf(to, "overlap of frame ranges cost %.1f s of that work (%.1f %%)", overlap, 100 * overlap / busy);
    if (c->ranges_at_once > 1)
        str_printf(to, "; up to %u ranges of one shot ran at once", c->ranges_at_once);
    str_append_char(to, '\n');
}

void output_summary(const Shotline__CampaignStatus *c, struct str *to)
{
    output_speed(c, to);
    output_gates(c, to);
    for (size_t i = 0; i < c->n_videos; i++)
        output_faults(c->videos[i], to);
}

void output_text(struct str *text)
{
    fputs(str_text(text), stdout);
    str_free(text);
}

void output_end(const Shotline__CampaignStatus *c, bool json)
{
    struct str text = { 0 };

    if (json) {
        output_json(output_campaign_json(c));
        return;
    }
    output_summary(c, &text);
    fputs(str_text(&text), stderr);
    str_free(&text);
}

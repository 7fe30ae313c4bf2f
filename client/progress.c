#include "client/progress.h"

#include "client/output.h"
#include "common/base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR_WIDTH = 30, NAME_WIDTH = 24, FALLBACK_LINES = 24 };

enum progress_style progress_style_for(bool json)
{
    return json ? PROGRESS_JSON : isatty(STDERR_FILENO) ? PROGRESS_BARS : PROGRESS_PLAIN;
}

void progress_begin(struct progress *p, enum progress_style style)
{
    *p = (struct progress){ .style = style };
}

void progress_end(struct progress *p)
{
    free(p->seen);
    *p = (struct progress){ 0 };
}

static size_t shots_done(const Shotline__VideoStatus *v)
{
    size_t done = 0;
    for (size_t i = 0; i < v->n_shots; i++)
        done += v->shots[i]->state == SHOTLINE__WORK_STATE__WORK_DONE;
    return done;
}

static void put_bar_line(const Shotline__VideoStatus *v, struct str *to)
{
    double fraction = output_fraction(v);
    str_printf(to, "%-*.*s ", NAME_WIDTH, NAME_WIDTH, v->name);
    output_bar(fraction, BAR_WIDTH, to);
    str_printf(to, " %3.0f%% %s", 100 * fraction, output_state(v->state));
    if (v->state == SHOTLINE__WORK_STATE__WORK_RUNNING)
        str_printf(to, ", %zu of %zu shots", shots_done(v), v->n_shots);
    str_append(to, "\x1b[K\n");
}

static void put_total(const Shotline__CampaignStatus *c, struct str *to)
{
    char elapsed[32], eta[32];
    output_clock((int64_t)c->elapsed_ms, elapsed, sizeof elapsed);
    str_printf(to, "%u of %u tasks, %s", c->tasks_done, c->tasks, elapsed);
    if (c->has_eta_ms && !output_state_ended(c->state)) {
        output_clock((int64_t)c->eta_ms, eta, sizeof eta);
        str_printf(to, ", ETA %s", eta);
    }
}

/* All videos where they fit; else those that run, as many as the screen holds. */
static void put_bars(struct progress *p, const Shotline__CampaignStatus *c, size_t screen_lines, struct str *to)
{
    size_t room = screen_lines > 3 ? screen_lines - 2 : 1, lines = 0;
    bool all = c->n_videos <= room;
    if (p->lines)
        str_printf(to, "\x1b[%zuA\r", p->lines);
    for (size_t i = 0; i < c->n_videos && lines < room; i++) {
        if (!all && c->videos[i]->state != SHOTLINE__WORK_STATE__WORK_RUNNING)
            continue;
        put_bar_line(c->videos[i], to);
        lines++;
    }
    put_total(c, to);
    str_append(to, "\x1b[K\n\x1b[J");
    p->lines = lines + 1;
}

/* A line when a video's state changes and at each tenth of its way. */
static void put_news(struct progress *p, const Shotline__CampaignStatus *c, struct str *to)
{
    for (size_t i = 0; i < c->n_videos; i++) {
        const Shotline__VideoStatus *v = c->videos[i];
        int tenths = (int)(10 * output_fraction(v));
        if (p->seen[i].state == (int)v->state && p->seen[i].tenths >= tenths)
            continue;
        p->seen[i] = (struct progress_seen){ (int)v->state, tenths };
        if (p->style == PROGRESS_JSON) {
            json_t *o = output_video_json(c->campaign, v);
            char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(6));
            str_printf(to, "%s\n", text ? text : "{}");
            free(text);
            json_decref(o);
            continue;
        }
        str_printf(to, "%s: %s", v->name, output_state(v->state));
        if (v->state == SHOTLINE__WORK_STATE__WORK_RUNNING)
            str_printf(to, " %d%%, %zu of %zu shots", tenths * 10, shots_done(v), v->n_shots);
        str_append(to, "; ");
        put_total(c, to);
        str_append_char(to, '\n');
    }
}

void progress_format(struct progress *p, const Shotline__CampaignStatus *c, size_t screen_lines, struct str *to)
{
    if (p->style == PROGRESS_BARS) {
        put_bars(p, c, screen_lines, to);
        return;
    }
    if (c->n_videos != p->videos) {
        p->seen = xrealloc(p->seen, c->n_videos * sizeof *p->seen);
        for (size_t i = p->videos; i < c->n_videos; i++)
            p->seen[i] = (struct progress_seen){ -1, -1 };
        p->videos = c->n_videos;
    }
    put_news(p, c, to);
}

void progress_show(struct progress *p, const Shotline__CampaignStatus *c)
{
    struct winsize size = { 0 };
    size_t lines = FALLBACK_LINES;
    if (p->style == PROGRESS_BARS && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0)
        lines = size.ws_row;
    struct str text = { 0 };
    progress_format(p, c, lines, &text);
    FILE *to = p->style == PROGRESS_JSON ? stdout : stderr;
    fputs(str_text(&text), to);
    fflush(to);
    str_free(&text);
}

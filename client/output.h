/* output - how results look: aligned tables, JSON lines, and the words for states and times. Pure but for the printing
 * itself. */
#ifndef SHOTLINE_CLIENT_OUTPUT_H
#define SHOTLINE_CLIENT_OUTPUT_H

#include "common/base/json.h"
#include "common/base/str.h"
#include "proto/client.pb-c.h"

#include <stddef.h>
#include <stdint.h>

/* "0:07", "12:34", "1:02:03" */
void output_clock(int64_t ms, char *to, size_t room);

const char *output_state(Shotline__WorkState state); /* "running" */
bool output_state_ended(Shotline__WorkState state);

/* Prints the text on stdout and drops it. */
void output_text(struct str *text);

/* A table: the first row is the head; columns are as wide as their widest cell; no blanks at line ends. */
#define TABLE_COLUMNS 12 /* at most */
struct table {
    size_t columns, rows;
    struct str *cells; /* [rows, columns] */
};
void table_row(struct table *t, const char *const *cells,
               size_t columns); /* the first row sets the number of columns */
void table_print(const struct table *t, struct str *to);
void table_free(struct table *t);

/* How far a video is, in [0, 1]. */
double output_fraction(const Shotline__VideoStatus *v);

/* "[#####.....]" with `width` signs inside. */
void output_bar(double fraction, size_t width, struct str *to);

/* JSON lines: prints `object` compactly on stdout and drops it. */
void output_json(json_t *object);
json_t *output_campaign_json(const Shotline__CampaignStatus *c); /* "event": "campaign" */
json_t *output_video_json(uint64_t campaign, const Shotline__VideoStatus *v);

/* How many shots passed their gates, and what takes that are not shown cost: a line, once a shot was judged. */
void output_gates(const Shotline__CampaignStatus *c, struct str *to);
/* A line for each shot that did not pass. */
void output_faults(const Shotline__VideoStatus *v, struct str *to);

/* What a finished campaign cost, for people, and which of its shots did not pass: a few lines. */
void output_summary(const Shotline__CampaignStatus *c, struct str *to);
/* Prints how a campaign ended: its summary on stderr, or with `json` a line on stdout. */
void output_end(const Shotline__CampaignStatus *c, bool json);

#endif

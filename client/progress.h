/* progress - what a person sees while a campaign runs: bars with ETA on a terminal, plain lines otherwise, JSON lines
 * for machines. */
#ifndef SHOTLINE_CLIENT_PROGRESS_H
#define SHOTLINE_CLIENT_PROGRESS_H

#include "common/base/str.h"
#include "proto/client.pb-c.h"

#include <stdbool.h>
#include <stddef.h>

enum progress_style { PROGRESS_PLAIN, PROGRESS_BARS, PROGRESS_JSON };

struct progress {
    enum progress_style style;
    size_t lines; /* on the screen now, to be drawn over */
    size_t videos;
    struct progress_seen {
        int state, tenths;
    } * seen; /* what was last said about each video */
};

/* The style that fits: JSON when asked, bars when stderr is a terminal. */
enum progress_style progress_style_for(bool json);

void progress_begin(struct progress *p, enum progress_style style);
/* Puts what is new into `to`: text for stderr (bars, lines) or stdout (JSON). */
void progress_format(struct progress *p, const Shotline__CampaignStatus *c, size_t screen_lines, struct str *to);
void progress_show(struct progress *p, const Shotline__CampaignStatus *c);
void progress_end(struct progress *p);

#endif

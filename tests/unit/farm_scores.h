/* farm_scores - the scores of a shot as an honest worker would send them, with all frames alike and well; tests spoil
 * what they need to. */
#ifndef SHOTLINE_TESTS_FARM_SCORES_H
#define SHOTLINE_TESTS_FARM_SCORES_H

#include "common/base/str.h"

/* "[v,v,...]": v for the first `good` frames, then `bad`. */
static inline void scores_list(struct str *to, const char *name, int frames, int bad_from, int good, int bad)
{
    str_printf(to, ",\"%s\":[", name);
    for (int i = 0; i < frames; i++)
        str_printf(to, "%s%d", i ? "," : "", i < bad_from ? good : bad);
    str_append(to, "]");
}

/* Frames from `black_from` on are black; none when it is `frames`. Release with str_free. */
static inline void farm_scores(struct str *to, int frames, int black_from)
{
    str_printf(to, "{\"format\":5,\"frames\":%d,\"columns\":128,\"fps\":8,\"unusable\":0,\"borders\":[]", frames);
    scores_list(to, "dark", frames, black_from, 20, 0);
    scores_list(to, "bright", frames, black_from, 200, 2);
    scores_list(to, "sharpness", frames, black_from, 1500, 0);
    scores_list(to, "change", frames, frames, 2500, 0);
    scores_list(to, "residual", frames, frames, 120, 0);
    scores_list(to, "colours", frames, frames, 10, 0);
    scores_list(to, "lasting", frames, frames, 30, 0);
    str_append(to, ",\"tint\":[");
    for (int i = 0; i < frames; i++)
        str_append(to, i ? ",[0,0,0]" : "[0,0,0]");
    str_append(to, "],\"move\":[");
    for (int i = 0; i < frames; i++)
        str_append(to, i ? ",[0,0]" : "[0,0]");
    str_append(to, "],\"camera\":[],\"drift\":[],\"figures\":[]}");
}

#endif

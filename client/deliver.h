/* deliver - puts finished videos and their manifests into a folder. */
#ifndef SHOTLINE_CLIENT_DELIVER_H
#define SHOTLINE_CLIENT_DELIVER_H

#include "client/session.h"

/* Makes the folder and sees that it can be written to, before hours of work are spent. */
bool deliver_check(const char *dir, struct error *err);

/* Fetches DIR/NAME.mp4 and DIR/NAME.manifest.json of each finished video; each is there whole or not at all. Of
 * shots that did not pass their gates, in failed videos too, a picture: DIR/NAME.shot3.png. With `json` a line per file
 * on stdout, else its path. *files counts them. */
bool deliver(struct session *s, const Shotline__CampaignStatus *c, const char *dir, bool json, size_t *files,
             struct error *err);

#endif

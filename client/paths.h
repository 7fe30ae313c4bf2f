/* paths - which files a campaign file may name. It may come from somebody else: so those of its own folder, and of the
 * folders that the user allows, wherever a symlink leads. */
#ifndef SHOTLINE_CLIENT_PATHS_H
#define SHOTLINE_CLIENT_PATHS_H

#include "common/base/error.h"

#include <limits.h>

/* Fills `real` with where `path` leads, links followed. ERROR_INPUT when that is in none of the folders: `home`, and
 * the colon-separated ones of `allowed` (may be NULL). A path that leads nowhere is given back as it is: whoever opens
 * it says so. */
bool paths_resolve(const char *path, const char *home, const char *allowed, char real[PATH_MAX], struct error *err);

#endif

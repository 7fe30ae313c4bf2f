/* program - where the farm's other programs are. */
#ifndef SHOTLINE_CLIENT_PROGRAM_H
#define SHOTLINE_CLIENT_PROGRAM_H

#include "common/base/error.h"

#include <stddef.h>

/* The folder of this program; false when the system does not tell. */
bool program_dir(char *to, size_t room);

/* The embedded pack: installed as share/shotline/packs/tiny beside bin, or packs/tiny in a folder above a build tree.
 * `to` has room for PATH_MAX. */
bool program_pack(char *to);

/* Beside this program, in its neighbour's folder of a build tree, or in PATH. `to` has room for PATH_MAX. */
bool program_find(const char *program, const char *build_dir, char *to, struct error *err);

#endif

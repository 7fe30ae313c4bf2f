/* farms - the farms that this user may enter: credentials, each in a file of the user's state folder. */
#ifndef SHOTLINE_CLIENT_FARMS_H
#define SHOTLINE_CLIENT_FARMS_H

#include "common/base/credential.h"

/* Where the credential of a farm is kept. Makes the folder, for this user alone. */
bool farms_path(const char *farm, char *path, size_t room, struct error *err);

/* The credential for the farm at `address`; NULL: the only one that there is. Those that `shotline join` has made, and
 * that of a coordinator with the default state folder. *found false without an error: there is none.
 * `key_file`, where given, is the one. */
bool farms_find(const char *address, const char *key_file, struct credential *c, bool *found, struct error *err);

#endif

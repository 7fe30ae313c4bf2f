/* temp_dir - a folder of the test's own, as set-up and end of a test or of a group. Included once, by the test. */
#ifndef SHOTLINE_TESTS_TEMP_DIR_H
#define SHOTLINE_TESTS_TEMP_DIR_H

#include "common/base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];

static inline int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/shotline-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static inline int remove_dir(void **state)
{
    (void)state;
    return file_remove_tree(dir, NULL) && !file_exists(dir) ? 0 : -1;
}

/* DIR/NAME; good until seven more were asked for. */
static inline const char *in_dir(const char *name)
{
    static char paths[8][256];
    static unsigned turn;
    char *path = paths[turn++ % 8];

    assert_true(file_join(path, sizeof paths[0], dir, name));
    return path;
}

#endif

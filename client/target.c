#include "client/target.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

/* The decimal number that `text` begins with; NULL when it begins with none, else what follows. */
static const char *read_number(const char *text, uint64_t *v)
{
    char *end;

    if (!isdigit((unsigned char)*text))
        return NULL;
    errno = 0;
    *v = strtoull(text, &end, 10);
    return errno ? NULL : end;
}

bool target_read(struct target *t, const char *text, bool workers, struct error *err)
{
    uint64_t v;
    const char *rest = read_number(text, &v);

    if (rest && !*rest) {
        *t = (struct target){ .kind = TARGET_CAMPAIGN, .campaign = v };
        return true;
    }
    if (rest && *rest == '/' && rest[1]) {
        *t = (struct target){ .kind = TARGET_VIDEO, .campaign = v, .name = rest + 1 };
        return true;
    }
    rest = *text == 't' ? read_number(text + 1, &v) : NULL;
    if (rest && !*rest) {
        *t = (struct target){ .kind = TARGET_TASK, .task = v };
        return true;
    }
    rest = *text == 'w' ? read_number(text + 1, &v) : NULL;
    if (workers && *text) { /* w2 is number 2, anything else a name */
        *t = (struct target){ .kind = TARGET_WORKER, .name = rest && !*rest ? text + 1 : text };
        return true;
    }
    return error_set(err, ERROR_USAGE, "\"%s\": expected a campaign (3), a video of one (3/beach), or a task (t17)%s",
                     text, workers ? ", or a worker (here-0)" : "");
}

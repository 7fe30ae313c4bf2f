#include "common/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool error_set(struct error *err, enum error_kind kind, const char *fmt, ...)
{
    if (!err)
        return false;
    /* Formatted aside: the arguments may point into err->text itself. */
    char text[sizeof err->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err->kind = kind;
    memcpy(err->text, text, sizeof text);
    return false;
}

bool error_wrap(struct error *err, const char *fmt, ...)
{
    if (!err)
        return false;
    char text[sizeof err->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);

    /* Context in front; what no longer fits at the end is cut. */
    size_t used = strlen(text), room = sizeof text - used;
    if (room > 2) {
        size_t size = strnlen(err->text, room - 3);
        memcpy(text + used, ": ", 2);
        memcpy(text + used + 2, err->text, size);
        text[used + 2 + size] = '\0';
    }
    memcpy(err->text, text, sizeof text);
    return false;
}

int error_exit_code(const struct error *err)
{
    return err->kind == ERROR_NONE ? 0 : err->kind == ERROR_USAGE ? 2 : 1;
}

const char *error_kind_name(enum error_kind kind)
{
    switch (kind) {
    case ERROR_NONE:
        return "none";
    case ERROR_USAGE:
        return "usage";
    case ERROR_INPUT:
        return "input";
    case ERROR_IO:
        return "io";
    case ERROR_MEMORY:
        return "memory";
    case ERROR_DEVICE:
        return "device";
    case ERROR_UNREACHABLE:
        return "unreachable";
    case ERROR_CANCELLED:
        return "cancelled";
    case ERROR_INTERNAL:
        return "internal";
    }
    return "unknown";
}

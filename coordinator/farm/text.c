#include "coordinator/farm/text.h"

#include <stdint.h>

void text_clean(char *to, size_t room, const char *from)
{
    size_t n = 0;

    for (; *from && n + 1 < room; from++)
        to[n++] = *from >= ' ' && *from <= '~' && *from != '"' ? *from : '?';
    to[n] = '\0';
}

/* Length of the UTF-8 sequence at p, 0 when it is none (overlong forms and surrogates are none). */
static size_t sequence(const uint8_t *p)
{
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t size = p[0] < 0x80                   ? 1
                  : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                  : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
                  : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                                : 0;
    uint32_t c = size > 1 ? p[0] & (0x7fu >> size) : p[0];

    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    return size > 1 && (c < smallest[size] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff) ? 0 : size;
}

bool text_is_plain(const char *text)
{
    for (const uint8_t *p = (const uint8_t *)text; *p;) {
        size_t size = sequence(p);

        /* The second row of control characters begins a sequence for some terminals, as escape does. */
        if (!size || (size == 1 && (*p < ' ' || *p == 0x7f)) || (size == 2 && p[0] == 0xc2 && p[1] < 0xa0))
            return false;
        p += size;
    }
    return true;
}

/* fuzz_join - any bytes as a join line: refused, or a credential whose line is the same again. */
#include "common/base/arena.h"
#include "common/base/credential.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *line = xcalloc(1, size + 1), again[CREDENTIAL_LINE_ROOM];
    struct credential c;
    struct error err;

    memcpy(line, data, size);
    if (credential_from_line(&c, line, &err)) {
        if (!credential_line(&c, again) || strcmp(line, again) != 0)
            abort();
    } else if (err.kind != ERROR_USAGE) {
        abort();
    }
    free(line);
    return 0;
}

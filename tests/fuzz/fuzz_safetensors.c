/* fuzz_safetensors - any bytes as a weight file: it is refused, or every tensor can be read to its last byte. */
#include "common/nn/safetensors.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    struct safetensors *f = safetensors_parse(data, size, "input", &err);

    for (size_t i = 0; f && i < safetensors_count(f); i++) {
        const struct weight *w = safetensors_at(f, i);
        const uint8_t *bytes = w->data;
        size_t count = (size_t)shape_count(&w->shape) * dtype_bytes(w->type);
        uint8_t sum = 0;
        for (size_t k = 0; k < count; k++)
            sum = (uint8_t)(sum + bytes[k]);
        if (safetensors_find(f, w->name) != w || (sum && !count))
            abort();
    }
    safetensors_close(&f);
    return 0;
}

/* fuzz_tokenizer - any bytes as a tokenizer.json and a text: the file is refused, or the text gives ids that the
 * tokenizer can spell.
 *
 * Input: the file, a byte 0xff, the text; without such a byte a fixed text is used. */
#include "common/base/arena.h"
#include "common/nn/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode(const struct tokenizer *t, const char *text, size_t size)
{
    struct token_ids ids = { 0 };
    struct str back = { 0 };
    struct error err;

    if (tokenizer_encode(t, text, size, &ids, &err))
        for (size_t i = 0; i < ids.count; i++)
            if (ids.ids[i] < 0 || ids.ids[i] >= tokenizer_size(t) || !tokenizer_decode(t, ids.ids[i], &back))
                abort();
    str_free(&back);
    token_ids_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char fixed[] =
        " A \xe2\x96\x81 caf\xc3\xa9 \xe4\xb8\x80\xe5\x8f\xaa 12 don't  <s>\r\n e\xcc\x81 \xef\xac\x81 ";
    const uint8_t *cut = size > 0 ? memchr(data, 0xff, size) : NULL;
    size_t json_size = cut ? (size_t)(cut - data) : size;
    struct error err;
    struct tokenizer *t = tokenizer_parse((const char *)data, json_size, "input", &err);

    if (t)
        encode(t, cut ? (const char *)cut + 1 : fixed, cut ? size - json_size - 1 : sizeof fixed - 1);
    tokenizer_close(&t);

    /* the same bytes as a prompt */
    struct str clean = { 0 };
    char *prompt = xcalloc(size + 1, 1);
    if (size > 0)
        memcpy(prompt, data, size);
    prompt_clean(prompt, &clean);
    free(prompt);
    str_free(&clean);
    return 0;
}

/* task_text - a prompt to the embedding that the painter reads. */
#include "worker/tasks/task_internal.h"

#include "common/base/arena.h"

#include <stdlib.h>
#include <string.h>

bool task_text_run(const struct task_run *run, const Shotline__TextTask *t, struct task_outputs *out, struct error *err)
{
    struct str prompt = { 0 };
    struct token_ids ids = { 0 };
    float *embedding = NULL;
    bool ok = false;

    struct tokenizer *tokenizer = studio_tokenizer(run->studio, err);
    if (!tokenizer)
        return false;
    prompt_clean(t->prompt, &prompt);
    if (!tokenizer_encode(tokenizer, str_text(&prompt), prompt.size, &ids, err))
        goto out;
    struct text_encoder *encoder = studio_text_encoder(run->studio, err);
    if (!encoder)
        goto out;
    const int rows = studio_defaults(run->studio)->max_sequence_length, width = text_encoder_width(encoder);
    embedding = xmalloc((size_t)rows * width * sizeof *embedding);
    ok = text_encoder_embed(encoder, ids.ids, (int)ids.count, rows, embedding, err) &&
         task_add_tensors(run, out, "embedding",
                          &(struct weight){ "embedding", DTYPE_F32, SHAPE(rows, width), embedding }, 1, err);
    task_progress(run, 1, 1);
out:
    free(embedding);
    token_ids_free(&ids);
    str_free(&prompt);
    return ok;
}

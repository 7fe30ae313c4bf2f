#include "worker/report.h"

#include "common/base/str.h"
#include "common/wire/codec.h"

#include <string.h>

void result_to_done(const struct result *r, Shotline__WorkerDone *done, struct done_parts *parts)
{
    shotline__worker_done__init(done);
    done->task = r->task;
    done->attempt = r->attempt;
    done->busy_ms = (uint64_t)r->busy_ms;
    done->has_key = true;
    done->key = codec_bytes(&r->key);
    for (size_t i = 0; i < r->count; i++) {
        shotline__blob__init(&parts->blobs[i]);
        shotline__named_blob__init(&parts->named[i]);
        parts->blobs[i].digest = codec_bytes(&r->outputs[i].digest);
        parts->blobs[i].bytes = (uint64_t)r->outputs[i].bytes;
        parts->named[i].name = (char *)r->outputs[i].name;
        parts->named[i].blob = &parts->blobs[i];
        parts->list[i] = &parts->named[i];
    }
    done->n_outputs = r->count;
    done->outputs = parts->list;
}

bool result_from_done(struct result *r, const Shotline__WorkerDone *done, struct error *err)
{
    memset(r, 0, sizeof *r);
    r->task = done->task;
    r->attempt = done->attempt;
    r->busy_ms = done->busy_ms < INT64_MAX ? (int64_t)done->busy_ms : INT64_MAX;
    if (!done->has_key || !codec_digest(&r->key, &done->key))
        return error_set(err, ERROR_INPUT, "result without a task key");
    if (done->n_outputs > RESULT_MAX_OUTPUTS)
        return error_set(err, ERROR_INPUT, "result with %zu outputs, expected at most %d", done->n_outputs,
                         RESULT_MAX_OUTPUTS);
    for (size_t i = 0; i < done->n_outputs; i++) {
        const Shotline__NamedBlob *n = done->outputs[i];

        if (!str_copy(r->outputs[i].name, sizeof r->outputs[i].name, n->name) || n->blob->bytes > INT64_MAX ||
            !codec_digest(&r->outputs[i].digest, &n->blob->digest))
            return error_set(err, ERROR_INPUT, "result with a bad output number %zu", i + 1);
        r->outputs[i].bytes = (int64_t)n->blob->bytes;
    }
    r->count = done->n_outputs;
    return true;
}

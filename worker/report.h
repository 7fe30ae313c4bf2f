/* report - a result between its struct and its message. */
#ifndef SHOTLINE_WORKER_REPORT_H
#define SHOTLINE_WORKER_REPORT_H

#include "proto/worker.pb-c.h"
#include "worker/outbox.h"

/* What a WorkerDone points into. */
struct done_parts {
    Shotline__NamedBlob named[RESULT_MAX_OUTPUTS];
    Shotline__NamedBlob *list[RESULT_MAX_OUTPUTS];
    Shotline__Blob blobs[RESULT_MAX_OUTPUTS];
};

/* Fills *done, which borrows from *r and *parts. */
void result_to_done(const struct result *r, Shotline__WorkerDone *done, struct done_parts *parts);

bool result_from_done(struct result *r, const Shotline__WorkerDone *done, struct error *err);

#endif

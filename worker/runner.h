/* runner - the thread that computes: one task at a time on one device. A machine with several devices runs one worker
 * process per device: an executor belongs to one thread, and a driver that crashes then takes only its own device
 * along. */
#ifndef SHOTLINE_WORKER_RUNNER_H
#define SHOTLINE_WORKER_RUNNER_H

#include "proto/worker.pb-c.h"
#include "worker/news.h"
#include "worker/packs.h"

struct exec;
struct runner;

struct runner_options { /* all borrowed */
    const char *blob_address;
    const struct endpoint_keys *keys; /* see endpoint_connect */
    struct store_dir *blobs;
    struct packs *packs;
    struct outbox *outbox;
    struct newsroom *news;   /* NEWS_PROGRESS and NEWS_CHECKPOINT, then NEWS_DONE or NEWS_FAILED */
    const char *scratch_dir; /* emptied at the start and after each task */
    /* Opens the device: at first use, and again after it was lost. Called on the runner's thread, which closes it. */
    struct exec *(*open_exec)(void *context, struct error *err);
    void *context;
};

struct runner *runner_open(const struct runner_options *o, struct error *err);
/* Cancels what runs and waits until it stopped, at most patience_ms; false when it did not: the thread is still there,
 * and the process had better end. */
bool runner_close(struct runner **r, int64_t patience_ms);

/* Begins a task; the spec is copied. The runner must be idle: the end of the one before was told. */
void runner_start(struct runner *r, const Shotline__Lease *lease);
void runner_cancel(struct runner *r);
void runner_hand_over(struct runner *r); /* as cancel, and a task that can saves its state before it ends */

#endif

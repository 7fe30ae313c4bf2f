/* stage - what test_worker plays on: a coordinator whose lines the test writes, and the worker process before it. */
#ifndef SHOTLINE_TESTS_FARM_STAGE_H
#define SHOTLINE_TESTS_FARM_STAGE_H

#include "common/base/arena.h"
#include "common/wire/blob.h"
#include "common/wire/endpoint.h"
#include "proto/worker.pb-c.h"

#include <sys/types.h>

#define PATIENCE_MS  20000
#define HEARTBEAT_MS 100

extern struct stage {
    char root[64], farm[128], workers[160], blobs_address[160], state[128], errors[128];
    struct store_dir *store;
    struct blob_server *blobs;
    struct endpoint *endpoint;
    struct peer peer; /* who spoke last */
    struct digest pack, listing, key;
    pid_t worker;
    struct arena arena;
} stage;

enum wanted { ANY_HELLO, A_HEARTBEAT_OF_WORK, ANY_READY, ANY_DONE, ANY_FAILED, ANY_BYE };

void open_endpoint(void);
void open_blobs(void);
/* A pack of two files, served like any blob. `listing_text` may be given by a test that wants a bad one. */
void make_pack(const char *listing_text);
void start_worker(void);
/* Waits for the worker's end: its exit code, or 128 + the signal. */
int end_of_worker(void);
int raise_curtain(void **state);
int drop_curtain(void **state);
/* The next message, or NULL after timeout_ms. Valid until the next test. */
const Shotline__ToCoordinator *hear(int64_t timeout_ms);
void say(Shotline__ToWorker *m);
void say_welcome(void);
/* Plays on, answering every hello, until something wanted is said. */
const Shotline__ToCoordinator *await(enum wanted want);
void give_lease(uint64_t task, uint32_t attempt, const char *prompt);
void acknowledge(uint64_t task, uint32_t attempt, Shotline__ReportVerdict verdict, const struct digest *missing);
int outbox_files(void);
void wait_for_empty_outbox(void);
/* The result is what the task says, and its bytes are at the farm. */
void expect_result(const Shotline__ToCoordinator *m, uint64_t task, uint32_t attempt, const char *bytes);
void read_errors(char *text, size_t room);
/* Waits until the worker complains of its pack; until then it asks for no work, unless it may. */
void expect_words(const char *about, bool may_be_ready);
void start_anew(void);

#endif

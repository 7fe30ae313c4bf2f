/* hostile - a peer that does not keep to the rules: `hostile CREDENTIAL CASE` connects with the keys of a credential
 * and prints what the farm answers, one line each. closed.sh runs it against a real coordinator. */
#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/credential.h"
#include "common/wire/codec.h"
#include "common/wire/endpoint.h"
#include "proto/blob.pb-c.h"
#include "proto/client.pb-c.h"
#include "proto/worker.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 10000

static struct credential me;
static struct str packed;
static struct arena arena;

static struct endpoint *reach(enum conversation c)
{
    const struct endpoint_keys keys = { .own = me.own, .farm = me.farm_key };
    struct error err = { 0 };
    char address[300];
    struct endpoint *e =
        endpoint_address(me.farm, c, address, sizeof address, &err) ? endpoint_connect(address, &keys, &err) : NULL;

    if (!e) {
        fprintf(stderr, "hostile: %s\n", err.text);
        exit(1);
    }
    return e;
}

static void say(struct endpoint *e, const ProtobufCMessage *m)
{
    codec_pack(m, &packed);
    endpoint_send(e, NULL, packed.data, packed.size);
}

/* The next message of a kind; NULL when none comes, or the farm has turned us away. */
static void *hear(struct endpoint *e, const ProtobufCMessageDescriptor *type, int64_t patience_ms)
{
    const int64_t until_ms = clock_now_ms() + patience_ms;
    struct message m;

    while (clock_now_ms() < until_ms && !endpoint_refused(e))
        if (endpoint_receive(e, &m))
            return codec_unpack(type, m.data, m.size, &arena, NULL);
        else
            endpoint_wait(e, 20);
    return NULL;
}

/* What the farm says to a harmless question. */
static const char *ask_status(struct endpoint *e, int64_t patience_ms)
{
    static uint64_t sequence;
    Shotline__ToFarm request = SHOTLINE__TO_FARM__INIT;
    Shotline__StatusRequest status = SHOTLINE__STATUS_REQUEST__INIT;

    request.version = WIRE_VERSION;
    request.sequence = ++sequence;
    request.status = &status;
    say(e, &request.base);
    const Shotline__FromFarm *reply = hear(e, &shotline__from_farm__descriptor, patience_ms);
    return !reply ? "nothing" : reply->error ? reply->error->text : reply->status ? "a status" : "something else";
}

/* Garbage, in a number that is forgiven and one that is not. */
static void malformed(void)
{
    struct endpoint *e = reach(CONVERSATION_CLIENTS);

    for (int i = 0; i < 5; i++)
        endpoint_send(e, NULL, "\xff\xff\xff garbage", 11);
    printf("after a little: %s\n", ask_status(e, PATIENCE_MS));
    for (int i = 0; i < 30; i++)
        endpoint_send(e, NULL, "\xff\xff\xff garbage", 11);
    printf("after a lot: %s\n", ask_status(e, 1500));
    endpoint_close(&e);
}

static void oversized(void)
{
    struct endpoint *e = reach(CONVERSATION_WORKERS);
    char *large = xcalloc(1, 300 << 10);

    endpoint_send(e, NULL, large, 300 << 10);
    const Shotline__ToWorker *reply = hear(e, &shotline__to_worker__descriptor, PATIENCE_MS);
    printf("oversized: %s\n", reply && reply->refused ? reply->refused->reason : "nothing");
    endpoint_close(&e);
    /* Beyond what a socket takes the connection is cut, and made again. */
    char *huge = xcalloc(1, WIRE_MAX_MESSAGE + 1);
    e = reach(CONVERSATION_WORKERS);
    endpoint_send(e, NULL, huge, WIRE_MAX_MESSAGE + 1);
    reply = hear(e, &shotline__to_worker__descriptor, 300);
    printf("huge: %s\n", reply ? "an answer" : "nothing");
    endpoint_close(&e);
    free(large);
    free(huge);
}

static const Shotline__BlobResult *blob_ask(struct endpoint *e, Shotline__BlobMessage *m)
{
    m->version = WIRE_VERSION;
    say(e, &m->base);
    for (;;) {
        const Shotline__BlobMessage *reply = hear(e, &shotline__blob_message__descriptor, PATIENCE_MS);

        if (!reply || reply->result)
            return reply ? reply->result : NULL;
        if (reply->credit)
            return NULL;
    }
}

/* Bytes under a name that is not theirs, three times. */
static void wrong_digest(void)
{
    struct endpoint *e = reach(CONVERSATION_BLOBS);
    const struct digest name = digest_of("what it should be", 17);

    for (int i = 0; i < 3; i++) {
        Shotline__BlobMessage m = SHOTLINE__BLOB_MESSAGE__INIT;
        Shotline__BlobPut put = SHOTLINE__BLOB_PUT__INIT;
        Shotline__BlobChunk chunk = SHOTLINE__BLOB_CHUNK__INIT;

        put.digest = chunk.digest = codec_bytes(&name);
        put.bytes = chunk.bytes = 5;
        chunk.data = (ProtobufCBinaryData){ .len = 5, .data = (uint8_t *)"wrong" };
        m.put = &put;
        const Shotline__BlobResult *r = blob_ask(e, &m);
        if (!r) { /* it waits for the bytes */
            m.put = NULL;
            m.chunk = &chunk;
            r = blob_ask(e, &m);
        }
        printf("put: %s\n", !r                                                      ? "nothing"
                            : r->verdict == SHOTLINE__BLOB_VERDICT__BLOB_BAD_DIGEST ? "bad digest"
                            : r->verdict == SHOTLINE__BLOB_VERDICT__BLOB_FORBIDDEN  ? r->text
                                                                                    : "something else");
    }
    endpoint_close(&e);
}

/* Hello as a worker. */
static void work(void)
{
    static const uint8_t boot_id[16] = { 1 }, proof[32] = { 2 };
    struct endpoint *e = reach(CONVERSATION_WORKERS);
    Shotline__ToCoordinator m = SHOTLINE__TO_COORDINATOR__INIT;
    Shotline__WorkerHello hello = SHOTLINE__WORKER_HELLO__INIT;

    hello.version = WIRE_VERSION;
    hello.name = "hostile";
    hello.boot_id = (ProtobufCBinaryData){ .len = sizeof boot_id, .data = (uint8_t *)boot_id };
    hello.kernel_proof = (ProtobufCBinaryData){ .len = sizeof proof, .data = (uint8_t *)proof };
    hello.device = "none";
    m.hello = &hello;
    say(e, &m.base);
    const Shotline__ToWorker *reply = hear(e, &shotline__to_worker__descriptor, PATIENCE_MS);
    printf("hello: %s\n", !reply ? "nothing" : reply->refused ? reply->refused->reason : "welcome");
    endpoint_close(&e);
}

/* Asks again and again over one connection, until the answer changes. */
static void hold(void)
{
    const int64_t until_ms = clock_now_ms() + 60000;
    struct endpoint *e = reach(CONVERSATION_CLIENTS);
    const char *first = ask_status(e, PATIENCE_MS), *now = first;

    printf("first: %s\n", first);
    fflush(stdout);
    while (strcmp(now, first) == 0 && clock_now_ms() < until_ms) {
        endpoint_wait(e, 50);
        now = ask_status(e, PATIENCE_MS);
    }
    printf("then: %s\n", now);
    for (int i = 0; i < 20; i++)
        now = ask_status(e, PATIENCE_MS);
    printf("still: %s\n", now);
    endpoint_close(&e);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = { { "malformed", malformed },
                  { "oversized", oversized },
                  { "wrong_digest", wrong_digest },
                  { "work", work },
                  { "hold", hold } };
    struct error err = { 0 };

    if (argc != 3 || !credential_load(&me, argv[1], &err)) {
        fprintf(stderr, "hostile: %s\n", argc != 3 ? "expected CREDENTIAL CASE" : err.text);
        return 2;
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(cases[i].name, argv[2]) == 0) {
            cases[i].run();
            str_free(&packed);
            arena_free(&arena);
            return 0;
        }
    fprintf(stderr, "hostile: \"%s\" is no case\n", argv[2]);
    return 2;
}

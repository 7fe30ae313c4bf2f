/* proxy - stands between a farm and its peers and is a bad network: it drops, repeats and delays whole messages, by
 * dice with a printed seed. Delayed messages are overtaken by later ones.
 *
 *     chaos-proxy FRONT BACK SEED DROP REPEAT DELAY LATEST_MS
 *
 * FRONT is the base address that peers connect to, BACK the farm's (both ipc://); DROP, REPEAT and DELAY are
 * probabilities of a message of the workers' and clients' conversations. Blobs suffer a tenth of it: a transfer is
 * thousands of messages, and begins anew where one is missing. SIGTERM ends it, with its counts on stdout. */
#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/rng.h"
#include "common/wire/endpoint.h"

#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define CONVERSATIONS 3
#define MOST_PEERS    256 /* of one conversation */
#define BLOB_SHARE    0.1

/* A peer in front, and the connection to the farm that stands for it. */
struct line {
    struct peer peer;
    struct endpoint *back;
};

struct conversation_proxy {
    enum conversation which;
    struct endpoint *front;
    char back_address[PATH_MAX];
    struct line lines[MOST_PEERS];
    size_t line_count;
};

/* A message on its way. */
struct letter {
    int64_t due_ms;
    struct conversation_proxy *proxy;
    size_t line;
    bool to_farm;
    void *data;
    size_t size;
};

static struct {
    struct conversation_proxy proxies[CONVERSATIONS];
    struct letter *letters;
    size_t letter_count, letter_room;
    uint64_t seed, rolls;
    double drop, repeat, delay;
    int64_t latest_ms;
    uint64_t passed, dropped, repeated, delayed;
} p;

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static bool chance(double probability)
{
    return rng_uniform(p.seed, 1, p.rolls++) < probability;
}

static void put(struct conversation_proxy *c, size_t line, bool to_farm, const struct message *m, int64_t due_ms)
{
    if (p.letter_count == p.letter_room) {
        p.letter_room = p.letter_room ? 2 * p.letter_room : 256;
        p.letters = xrealloc(p.letters, p.letter_room * sizeof *p.letters);
    }
    struct letter *l = &p.letters[p.letter_count++];
    *l = (struct letter){
        .due_ms = due_ms, .proxy = c, .line = line, .to_farm = to_farm, .data = xmalloc(m->size + 1), .size = m->size
    };
    memcpy(l->data, m->data, m->size);
}

static void fate(struct conversation_proxy *c, size_t line, bool to_farm, const struct message *m, int64_t now_ms)
{
    double share = c->which == CONVERSATION_BLOBS ? BLOB_SHARE : 1;

    if (chance(share * p.drop)) {
        p.dropped++;
        return;
    }
    for (int copies = chance(share * p.repeat) ? 2 : 1; copies > 0; copies--) {
        int64_t late_ms =
            chance(share * p.delay) ? 1 + (int64_t)(rng_uniform(p.seed, 2, p.rolls++) * (double)p.latest_ms) : 0;

        p.passed++;
        p.repeated += copies == 2;
        p.delayed += late_ms > 0;
        put(c, line, to_farm, m, now_ms + late_ms);
    }
}

static bool line_of(struct conversation_proxy *c, const struct peer *peer, size_t *line)
{
    struct error err;

    for (*line = 0; *line < c->line_count; ++*line)
        if (!memcmp(&c->lines[*line].peer, peer, sizeof *peer))
            return true;
    if (c->line_count == MOST_PEERS)
        return false;
    struct line *new = &c->lines[c->line_count];
    new->peer = *peer;
    new->back = endpoint_connect(c->back_address, NULL, &err);
    if (!new->back) {
        fprintf(stderr, "chaos-proxy: %s\n", err.text);
        return false;
    }
    c->line_count++;
    return true;
}

static void listen_to(struct conversation_proxy *c, int64_t now_ms)
{
    struct message m;
    size_t line;

    while (endpoint_receive(c->front, &m))
        if (!m.fault && line_of(c, &m.peer, &line))
            fate(c, line, true, &m, now_ms);
    for (line = 0; line < c->line_count; line++)
        while (endpoint_receive(c->lines[line].back, &m))
            fate(c, line, false, &m, now_ms);
}

/* In the order in which they are due; among equals in the order of arrival. Returns how long the next one waits. */
static int64_t deliver(int64_t now_ms)
{
    int64_t next_ms = INT64_MAX;
    size_t kept = 0;

    for (size_t i = 0; i < p.letter_count; i++) {
        struct letter *l = &p.letters[i];

        if (l->due_ms > now_ms) {
            next_ms = l->due_ms - now_ms < next_ms ? l->due_ms - now_ms : next_ms;
            p.letters[kept++] = *l;
            continue;
        }
        struct line *line = &l->proxy->lines[l->line];
        if (l->to_farm)
            endpoint_send(line->back, NULL, l->data, l->size);
        else
            endpoint_send(l->proxy->front, &line->peer, l->data, l->size);
        free(l->data);
    }
    p.letter_count = kept;
    return next_ms;
}

static bool open_all(const char *front, const char *back, struct error *err)
{
    for (int i = 0; i < CONVERSATIONS; i++) {
        struct conversation_proxy *c = &p.proxies[i];
        char address[PATH_MAX];

        c->which = (enum conversation)i;
        if (!endpoint_address(front, c->which, address, sizeof address, err) ||
            !endpoint_address(back, c->which, c->back_address, sizeof c->back_address, err))
            return false;
        c->front = endpoint_bind(address, NULL, err);
        if (!c->front)
            return false;
    }
    return true;
}

static void run(void)
{
    static zmq_pollitem_t items[CONVERSATIONS * (MOST_PEERS + 1)];

    while (!stop) {
        size_t count = 0;
        int64_t wait_ms = deliver(clock_now_ms());

        for (int i = 0; i < CONVERSATIONS; i++) {
            struct conversation_proxy *c = &p.proxies[i];

            items[count++] = (zmq_pollitem_t){ .socket = endpoint_socket(c->front), .events = ZMQ_POLLIN };
            for (size_t k = 0; k < c->line_count; k++)
                items[count++] = (zmq_pollitem_t){ .socket = endpoint_socket(c->lines[k].back), .events = ZMQ_POLLIN };
        }
        zmq_poll(items, (int)count, wait_ms < 1000 ? (long)wait_ms : 1000);
        for (int i = 0; i < CONVERSATIONS; i++)
            listen_to(&p.proxies[i], clock_now_ms());
    }
}

int main(int argc, char **argv)
{
    struct sigaction action = { .sa_handler = on_signal };
    struct error err = { 0 };

    if (argc != 8) {
        fprintf(stderr, "Usage: %s FRONT BACK SEED DROP REPEAT DELAY LATEST_MS\n", argv[0]);
        return 2;
    }
    p.seed = strtoull(argv[3], NULL, 10);
    p.drop = strtod(argv[4], NULL);
    p.repeat = strtod(argv[5], NULL);
    p.delay = strtod(argv[6], NULL);
    p.latest_ms = strtoll(argv[7], NULL, 10);
    setenv("ZSYS_SIGHANDLER", "false", 1);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    if (!open_all(argv[1], argv[2], &err)) {
        fprintf(stderr, "chaos-proxy: %s\n", err.text);
        return 1;
    }
    run();
    printf("passed=%" PRIu64 " dropped=%" PRIu64 " repeated=%" PRIu64 " delayed=%" PRIu64 "\n", p.passed, p.dropped,
           p.repeated, p.delayed);
    for (int i = 0; i < CONVERSATIONS; i++) {
        for (size_t k = 0; k < p.proxies[i].line_count; k++)
            endpoint_close(&p.proxies[i].lines[k].back);
        endpoint_close(&p.proxies[i].front);
    }
    for (size_t i = 0; i < p.letter_count; i++)
        free(p.letters[i].data);
    free(p.letters);
    return 0;
}

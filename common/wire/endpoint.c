/* endpoint - see endpoint.h: the ZeroMQ implementation. */
#include "common/wire/endpoint.h"

#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/str.h"

#include <czmq.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A closing socket may still deliver its last words (a bye, a refusal), but not hold up the program. */
#define LINGER_MS 300
/* Notices a peer that vanished without a word, under the conversations' own heartbeats. */
#define PING_MS         5000
#define PING_TIMEOUT_MS 15000
/* Whoever opens a connection has so long to prove a key. */
#define HANDSHAKE_MS 10000
#define BACKLOG      512

struct endpoint {
    zsock_t *sock;
    void *handle; /* the zmq socket inside */
    bool router, keys, refused;
    zsock_t *monitor; /* see endpoint_refused */
    zmq_msg_t body;
};

static const char *const conversation_names[] = { "workers", "clients", "blobs" };

/* Splits "tcp://HOST:PORT"; the host keeps its brackets when it has some. */
static bool split_tcp(const char *address, char *host, size_t room, long *port)
{
    const char *rest = address + strlen("tcp://");
    const char *colon = strrchr(rest, ':');
    char *end;

    if (!colon || colon == rest || (size_t)(colon - rest) >= room || colon[1] < '0' || colon[1] > '9')
        return false;
    memcpy(host, rest, (size_t)(colon - rest));
    host[colon - rest] = '\0';
    *port = strtol(colon + 1, &end, 10);
    return *end == '\0' && *port >= 1 && *port <= 65535;
}

bool endpoint_address(const char *base, enum conversation c, char *to, size_t room, struct error *err)
{
    char host[256];
    long port;
    int n;

    if (str_starts(base, "ipc:///") && base[strlen("ipc:///")]) {
        n = snprintf(to, room, "%s/%s", base, conversation_names[c]);
        if (n < 0 || (size_t)n >= room ||
            (size_t)n - strlen("ipc://") >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
            return error_set(err, ERROR_USAGE, "address %s: the path is too long for a socket; use a shorter folder",
                             base);
        return true;
    }
    if (str_starts(base, "tcp://") && split_tcp(base, host, sizeof host, &port) && port + (long)c <= 65535) {
        n = snprintf(to, room, "tcp://%s:%ld", host, port + (long)c);
        if (n < 0 || (size_t)n >= room)
            return error_set(err, ERROR_USAGE, "address %s: too long", base);
        return true;
    }
    return error_set(err, ERROR_USAGE, "address \"%s\": expected ipc:///FOLDER or tcp://HOST:PORT (ports to 65533)",
                     base);
}

void endpoint_default_address(char *to, size_t room)
{
    const char *run = getenv("XDG_RUNTIME_DIR");

    if (run && *run == '/')
        snprintf(to, room, "ipc://%s/shotline", run);
    else
        snprintf(to, room, "ipc:///tmp/shotline-%u", (unsigned)getuid());
}

bool endpoint_has_keys(const char *address)
{
    return str_starts(address, "tcp://");
}

/* Whether an address may be used with or without keys, as it is. */
static bool check_keys(const char *verb, const char *address, bool keys, struct error *err)
{
    if (endpoint_has_keys(address) && !keys)
        return error_set(err, ERROR_USAGE, "%s %s: tcp:// needs keys, and there are none", verb, address);
    if (!endpoint_has_keys(address) && keys)
        return error_set(err, ERROR_USAGE, "%s %s: only tcp:// has keys", verb, address);
    return true;
}

/* Whoever may write to the folder of a socket can put another one in its place: it must be ours or root's, and where
 * everybody may write (/tmp), each only to what is their own. */
static bool check_folder(const char *path, struct error *err)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return error_set(err, ERROR_IO, "%s: %s", path, strerror(errno));
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return error_set(err, ERROR_INPUT, "%s: the folder belongs to another user, who could answer in our place",
                         path);
    if ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX))
        return error_set(err, ERROR_INPUT, "%s: everybody may write to the folder, and answer in our place", path);
    return true;
}

/* Whether the address has a form that can be bound; makes the folder of an ipc socket, for this user alone. */
static bool prepare_bind(const char *address, struct error *err)
{
    char host[256];
    long port;

    if (str_starts(address, "tcp://"))
        return split_tcp(address, host, sizeof host, &port) ||
               error_set(err, ERROR_USAGE, "bind %s: expected tcp://HOST:PORT", address);
    if (str_starts(address, "ipc:///")) {
        char *folder = xstrdup(address + strlen("ipc://"));
        char *slash = strrchr(folder, '/');
        bool ok = true;

        *slash = '\0';
        if (slash != folder)
            ok = file_make_dirs(folder, 0700, err) && check_folder(folder, err);
        free(folder);
        return ok || error_wrap(err, "bind %s", address);
    }
    if (str_starts(address, "inproc://"))
        return true;
    return error_set(err, ERROR_USAGE, "bind %s: expected ipc:///PATH or tcp://HOST:PORT", address);
}

static struct endpoint *endpoint_new(int type)
{
    struct endpoint *e = xcalloc(1, sizeof *e);

    zsys_handler_set(NULL); /* signals belong to the program */
    e->sock = zsock_new(type);
    e->router = type == ZMQ_ROUTER;
    zmq_msg_init(&e->body);
    if (!e->sock)
        return e;
    e->handle = zsock_resolve(e->sock);
    zsock_set_linger(e->sock, LINGER_MS);
    zsock_set_maxmsgsize(e->sock, WIRE_MAX_MESSAGE);
    zsock_set_heartbeat_ivl(e->sock, PING_MS);
    zsock_set_heartbeat_timeout(e->sock, PING_TIMEOUT_MS);
    zsock_set_ipv6(e->sock, 1);
    zsock_set_handshake_ivl(e->sock, HANDSHAKE_MS);
    if (e->router) {
        zsock_set_router_mandatory(e->sock, 1);
        zsock_set_backlog(e->sock, BACKLOG);
    } else {
        zsock_set_reconnect_ivl_max(e->sock, 2000);
    }
    return e;
}

static bool set_key(struct endpoint *e, int option, const struct curve_key *k)
{
    return zmq_setsockopt(e->handle, option, k->bytes, CURVE_BYTES) == 0;
}

static bool set_keys(struct endpoint *e, const struct curve_pair *own, const struct curve_key *farm)
{
    const int server = 1;

    e->keys = true;
    if (e->router) {
        /* A domain makes libzmq ask our handler (zap.h) about every handshake. */
        zsock_set_zap_domain(e->sock, "shotline");
        return zmq_setsockopt(e->handle, ZMQ_CURVE_SERVER, &server, sizeof server) == 0 &&
               set_key(e, ZMQ_CURVE_SECRETKEY, &own->secret);
    }
    return set_key(e, ZMQ_CURVE_SERVERKEY, farm) && set_key(e, ZMQ_CURVE_PUBLICKEY, &own->public) &&
           set_key(e, ZMQ_CURVE_SECRETKEY, &own->secret);
}

/* To connect, one must be able to write to an ipc socket: its user, and the group if the umask lets it. */
static bool close_to_others(const char *address, struct error *err)
{
    struct stat st;
    const char *path = address + strlen("ipc://");

    if (!str_starts(address, "ipc://"))
        return true;
    if (stat(path, &st) != 0 || chmod(path, st.st_mode & 0770) != 0)
        return error_set(err, ERROR_IO, "%s", strerror(errno));
    return true;
}

static struct endpoint *endpoint_open(int type, const char *address, const struct curve_pair *own,
                                      const struct curve_key *farm, struct error *err)
{
    struct endpoint *e = endpoint_new(type);
    const char *verb = type == ZMQ_ROUTER ? "bind" : "connect";

    if (!e->sock)
        error_set(err, ERROR_IO, "%s %s: no socket: %s", verb, address, zmq_strerror(zmq_errno()));
    else if (own && !set_keys(e, own, farm))
        error_set(err, ERROR_IO, "%s %s: its keys are refused: %s", verb, address, zmq_strerror(zmq_errno()));
    else if ((type == ZMQ_ROUTER ? zmq_bind(e->handle, address) : zmq_connect(e->handle, address)) != 0)
        error_set(err, ERROR_IO, "%s %s: %s", verb, address, zmq_strerror(zmq_errno()));
    else if (type == ZMQ_ROUTER && !close_to_others(address, err))
        error_wrap(err, "%s %s", verb, address);
    else
        return e;
    endpoint_close(&e);
    return NULL;
}

struct endpoint *endpoint_bind(const char *address, const struct curve_pair *own, struct error *err)
{
    if (!prepare_bind(address, err) || !check_keys("bind", address, own != NULL, err))
        return NULL;
    return endpoint_open(ZMQ_ROUTER, address, own, NULL, err);
}

struct endpoint *endpoint_connect(const char *address, const struct endpoint_keys *keys, struct error *err)
{
    if (!check_keys("connect", address, keys != NULL, err))
        return NULL;
    return endpoint_open(ZMQ_DEALER, address, keys ? &keys->own : NULL, keys ? &keys->farm : NULL, err);
}

void endpoint_close(struct endpoint **e)
{
    if (!*e)
        return;
    zmq_msg_close(&(*e)->body);
    if ((*e)->handle) /* an event that finds its reader gone would wait for one, and libzmq's thread with it */
        zmq_socket_monitor((*e)->handle, NULL, 0);
    zsock_destroy(&(*e)->monitor);
    zsock_destroy(&(*e)->sock);
    free(*e);
    *e = NULL;
}

void *endpoint_socket(struct endpoint *e)
{
    return e->handle;
}

bool endpoint_send(struct endpoint *e, const struct peer *peer, const void *data, size_t size)
{
    if (e->router && zmq_send(e->handle, peer->id, peer->size, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
        return false;
    return zmq_send(e->handle, data, size, ZMQ_DONTWAIT) >= 0;
}

/* Reads one frame into *frame; false when nothing is waiting. */
static bool receive_frame(struct endpoint *e, zmq_msg_t *frame)
{
    while (zmq_msg_recv(frame, e->handle, ZMQ_DONTWAIT) < 0)
        if (zmq_errno() != EINTR)
            return false;
    return true;
}

/* One whole message, of whatever shape. False when nothing is waiting. */
static bool receive_message(struct endpoint *e, struct message *m)
{
    struct peer *peer = &m->peer;

    *m = (struct message){ 0 }; /* a peer is compared whole */
    if (!receive_frame(e, &e->body))
        return false;
    if (e->router) {
        size_t size = zmq_msg_size(&e->body);

        if (size > 0 && size <= sizeof peer->id) {
            peer->size = (uint8_t)size;
            memcpy(peer->id, zmq_msg_data(&e->body), size);
        } else {
            m->fault = "its sender has a name of a wrong size";
        }
        if (!zmq_msg_more(&e->body) || !receive_frame(e, &e->body)) {
            m->fault = "it is empty";
            return true;
        }
    }
    if (e->keys && e->router) {
        const char *user = zmq_msg_gets(&e->body, "User-Id"); /* set by our ZAP handler */

        if (!user || !curve_from_text(&m->key, user))
            m->fault = "its sender has no key";
    }
    while (zmq_msg_more(&e->body)) { /* our messages have one frame: skip what is longer */
        m->fault = "it has several frames";
        if (!receive_frame(e, &e->body))
            break;
    }
    if (zmq_msg_size(&e->body) > WIRE_MAX_MESSAGE) /* inproc does not look at the limit */
        m->fault = "it is too large";
    if (!m->fault) {
        m->data = zmq_msg_data(&e->body);
        m->size = zmq_msg_size(&e->body);
    }
    return true;
}

bool endpoint_receive(struct endpoint *e, struct message *m)
{
    while (receive_message(e, m))
        if (!m->fault || e->router) /* a farm wants to know who does that; a peer of a farm just waits on */
            return true;
    return false;
}

bool endpoint_wait(struct endpoint *e, int64_t timeout_ms)
{
    zmq_pollitem_t item = { .socket = e->handle, .events = ZMQ_POLLIN };

    return zmq_poll(&item, 1, timeout_ms > 0 ? (long)timeout_ms : 0) > 0;
}

bool endpoint_refused(struct endpoint *e)
{
    static atomic_uint number;
    char address[64];
    zmq_msg_t frame;

    if (!e->keys || e->router)
        return false;
    if (!e->monitor) {
        snprintf(address, sizeof address, "inproc://refused-%u", atomic_fetch_add(&number, 1));
        if (zmq_socket_monitor(e->handle, address, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) != 0)
            return false;
        e->monitor = zsock_new_pair(address);
        if (!e->monitor)
            return false;
    }
    /* One kind of event is watched, so that any frame means it. */
    zmq_msg_init(&frame);
    while (zmq_msg_recv(&frame, zsock_resolve(e->monitor), ZMQ_DONTWAIT) >= 0)
        e->refused = true;
    zmq_msg_close(&frame);
    return e->refused;
}

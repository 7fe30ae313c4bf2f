#include "client/session.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/wire/blob.h"
#include "common/wire/codec.h"
#include "common/wire/endpoint.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    FIRST_RESEND_MS = 1000, /* doubled at each try */
    LAST_RESEND_MS = 16000,
    SLICE_MS = 100, /* how often a wait looks at `stop` and `alive` */
    BLOB_TIMEOUT_MS = 30000,
};

struct session {
    struct session_options options;
    char farm[PATH_MAX];
    struct endpoint_keys keys;
    struct endpoint *endpoint;
    struct blob_client *blobs; /* opened at the first use */
    uint64_t sequence;
};

static bool stopped(const struct session *s)
{
    return s->options.stop && atomic_load(s->options.stop);
}

static bool farm_error(const Shotline__FarmError *e, struct error *err)
{
    switch (e->kind) {
    case SHOTLINE__FARM_ERROR_KIND__FARM_BAD_REQUEST:
    case SHOTLINE__FARM_ERROR_KIND__FARM_NOT_FOUND:
        return error_set(err, ERROR_INPUT, "%s", e->text);
    case SHOTLINE__FARM_ERROR_KIND__FARM_FORBIDDEN:
        return error_set(err, ERROR_INPUT, "the farm refuses: %s", e->text);
    case SHOTLINE__FARM_ERROR_KIND__FARM_BUSY:
        return error_set(err, ERROR_UNREACHABLE, "the farm is busy: %s", e->text);
    default:
        return error_set(err, ERROR_INTERNAL, "%s", e->text);
    }
}

/* Takes what has come. A reply to an earlier try of another request is late and dropped. */
static const Shotline__FromFarm *receive(struct session *s, struct arena *arena, struct error *err)
{
    struct message m;
    while (endpoint_receive(s->endpoint, &m)) {
        const Shotline__FromFarm *reply = codec_unpack(&shotline__from_farm__descriptor, m.data, m.size, arena, err);
        if (!reply) {
            error_wrap(err, "answer of %s", s->farm);
            return NULL;
        }
        if (reply->sequence == s->sequence)
            return reply;
    }
    return NULL;
}

const Shotline__FromFarm *session_ask(struct session *s, Shotline__ToFarm *request, int64_t timeout_ms,
                                      struct arena *arena, struct error *err)
{
    struct str packed = { 0 };
    request->version = WIRE_VERSION;
    request->sequence = ++s->sequence;
    codec_pack(&request->base, &packed);

    const Shotline__FromFarm *reply = NULL;
    int64_t start_ms = clock_now_ms(), resend_ms = start_ms, pause_ms = FIRST_RESEND_MS;
    err->kind = ERROR_NONE;
    for (;;) {
        int64_t now_ms = clock_now_ms();
        if (stopped(s)) {
            error_set(err, ERROR_CANCELLED, "interrupted");
            break;
        }
        if (s->options.alive && !s->options.alive(s->options.context, err))
            break;
        if (endpoint_refused(s->endpoint)) {
            error_set(err, ERROR_INPUT, "%s: the farm does not accept our key: it is not known there, or revoked",
                      s->farm);
            break;
        }
        if (now_ms - start_ms >= timeout_ms) {
            error_set(err, ERROR_UNREACHABLE, "%s: unreachable coordinator (no answer within %g s)", s->farm,
                      (double)timeout_ms / 1000);
            break;
        }
        if (now_ms >= resend_ms) {
            endpoint_send(s->endpoint, NULL, packed.data, packed.size); /* a full queue is as good as a lost message */
            resend_ms = now_ms + pause_ms;
            pause_ms = pause_ms * 2 < LAST_RESEND_MS ? pause_ms * 2 : LAST_RESEND_MS;
        }
        endpoint_wait(s->endpoint, SLICE_MS);
        reply = receive(s, arena, err);
        if (reply || err->kind != ERROR_NONE)
            break;
    }
    str_free(&packed);
    if (reply && reply->error) {
        farm_error(reply->error, err);
        return NULL;
    }
    return reply;
}

static bool wrong_answer(const struct session *s, struct error *err)
{
    return error_set(err, ERROR_INPUT, "%s: the answer does not fit the request", s->farm);
}

/* A request without effect: is anybody there? */
static bool greet(struct session *s, struct error *err)
{
    struct arena arena = { 0 };
    Shotline__ToFarm request = SHOTLINE__TO_FARM__INIT;
    Shotline__WorkersRequest workers = SHOTLINE__WORKERS_REQUEST__INIT;
    request.workers = &workers;
    bool ok = session_ask(s, &request, s->options.timeout_ms, &arena, err) != NULL;
    arena_free(&arena);
    return ok;
}

struct session *session_open(const struct session_options *o, struct error *err)
{
    struct session *s = xcalloc(1, sizeof *s);
    s->options = *o;
    str_copy(s->farm, sizeof s->farm, o->farm);
    if (o->keys) {
        s->keys = *o->keys;
        s->options.keys = &s->keys;
    }
    char address[PATH_MAX];
    if (endpoint_address(o->farm, CONVERSATION_CLIENTS, address, sizeof address, err))
        s->endpoint = endpoint_connect(address, s->options.keys, err);
    if (!s->endpoint || !greet(s, err))
        session_close(&s);
    return s;
}

void session_close(struct session **s)
{
    if (!*s)
        return;
    blob_client_close(&(*s)->blobs);
    endpoint_close(&(*s)->endpoint);
    curve_forget(&(*s)->keys.own);
    free(*s);
    *s = NULL;
}

static bool open_blobs(struct session *s, struct error *err)
{
    char address[PATH_MAX];
    if (s->blobs)
        return true;
    if (!endpoint_address(s->farm, CONVERSATION_BLOBS, address, sizeof address, err))
        return false;
    s->blobs = blob_client_open(address, s->options.keys, s->options.stop, err);
    return s->blobs != NULL;
}

Shotline__Blob *session_put(struct session *s, const char *path, struct arena *arena, struct error *err)
{
    struct digest d;
    int64_t bytes;
    if (!open_blobs(s, err) || !blob_client_put_file(s->blobs, path, &d, &bytes, BLOB_TIMEOUT_MS, err)) {
        error_wrap(err, "sending %s", path);
        return NULL;
    }
    Shotline__Blob *blob = arena_new(arena, Shotline__Blob);
    shotline__blob__init(blob);
    blob->digest.data = arena_copy(arena, d.bytes, DIGEST_BYTES);
    blob->digest.len = DIGEST_BYTES;
    blob->bytes = (uint64_t)bytes;
    return blob;
}

bool session_upload(struct session *s, struct campaign *c, struct error *err)
{
    for (size_t i = 0; i < c->message.n_cast; i++) {
        if (!c->images[i])
            continue;
        c->message.cast[i]->image = session_put(s, c->images[i], &c->arena, err);
        if (!c->message.cast[i]->image)
            return error_wrap(err, "reference image");
    }
    return true;
}

bool session_submit(struct session *s, struct campaign *c, uint64_t *id, struct error *err)
{
    if (!session_upload(s, c, err))
        return false;
    enum { TOKEN_BYTES = 16 };
    c->message.token.data = arena_alloc(&c->arena, TOKEN_BYTES);
    c->message.token.len = TOKEN_BYTES;
    if (getrandom(c->message.token.data, TOKEN_BYTES, 0) != TOKEN_BYTES)
        return error_set(err, ERROR_IO, "getrandom: %s", strerror(errno));

    struct arena arena = { 0 };
    Shotline__ToFarm request = SHOTLINE__TO_FARM__INIT;
    Shotline__SubmitRequest submit = SHOTLINE__SUBMIT_REQUEST__INIT;
    submit.campaign = &c->message;
    request.submit = &submit;
    const Shotline__FromFarm *reply = session_ask(s, &request, s->options.timeout_ms, &arena, err);
    bool ok = reply != NULL;
    if (reply && !reply->submitted)
        ok = wrong_answer(s, err);
    if (ok)
        *id = reply->submitted->campaign;
    arena_free(&arena);
    return ok;
}

/* Whether a status is of this campaign, and what it leaves for the next answer follows upon what it has. */
static bool status_fits(const Shotline__StatusReply *s, uint64_t id, uint32_t first)
{
    if (!s || s->n_campaigns != 1 || s->campaigns[0]->campaign != id)
        return false;
    size_t count = s->campaigns[0]->n_videos;
    return !s->has_next_video || (count && s->next_video == first + count && s->next_video < CAMPAIGN_MAX_VIDEOS);
}

/* The newer status, with the videos of both. */
static Shotline__CampaignStatus *join_videos(Shotline__CampaignStatus *newer, const Shotline__CampaignStatus *before,
                                             struct arena *arena)
{
    size_t count = before->n_videos + newer->n_videos;
    Shotline__VideoStatus **all = arena_array(arena, Shotline__VideoStatus *, count ? count : 1);
    for (size_t i = 0; i < count; i++)
        all[i] = i < before->n_videos ? before->videos[i] : newer->videos[i - before->n_videos];
    newer->videos = all;
    newer->n_videos = count;
    return newer;
}

const Shotline__CampaignStatus *session_status(struct session *s, uint64_t id, struct arena *arena, struct error *err)
{
    Shotline__CampaignStatus *whole = NULL;
    Shotline__ToFarm request = SHOTLINE__TO_FARM__INIT;
    Shotline__StatusRequest status = SHOTLINE__STATUS_REQUEST__INIT;
    status.has_campaign = true;
    status.campaign = id;
    request.status = &status;
    for (bool more = true; more;) {
        const Shotline__FromFarm *reply = session_ask(s, &request, s->options.timeout_ms, arena, err);
        if (!reply)
            return NULL;
        const Shotline__StatusReply *part = reply->status;
        if (!status_fits(part, id, status.first_video)) {
            wrong_answer(s, err);
            return NULL;
        }
        more = part->has_next_video;
        status.has_first_video = true;
        status.first_video = part->next_video;
        whole = whole ? join_videos(part->campaigns[0], whole, arena) : part->campaigns[0];
    }
    return whole;
}

bool session_cancel(struct session *s, uint64_t id, struct error *err)
{
    struct arena arena = { 0 };
    Shotline__ToFarm request = SHOTLINE__TO_FARM__INIT;
    Shotline__CancelRequest cancel = SHOTLINE__CANCEL_REQUEST__INIT;
    cancel.campaign = id;
    request.cancel = &cancel;
    bool ok = session_ask(s, &request, s->options.timeout_ms, &arena, err) != NULL;
    arena_free(&arena);
    return ok;
}

bool session_fetch(struct session *s, const Shotline__Blob *blob, const char *path, struct error *err)
{
    struct digest d;
    if (!codec_digest(&d, &blob->digest))
        return error_set(err, ERROR_INPUT, "%s: the farm names it by %zu bytes, expected %d", path, blob->digest.len,
                         DIGEST_BYTES);
    if (open_blobs(s, err) && blob_client_get_file(s->blobs, &d, path, BLOB_TIMEOUT_MS, err))
        return true;
    /* The wire keeps PATH.part for a later try; whoever asked for a video wants no half one beside it. */
    char part[PATH_MAX];
    if (snprintf(part, sizeof part, "%s.part", path) < (int)sizeof part)
        unlink(part);
    return error_wrap(err, "fetching %s", path);
}

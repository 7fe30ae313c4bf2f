#include "coordinator/farm/intake.h"

#include "common/wire/codec.h"
#include "coordinator/core/ledger.h"
#include "coordinator/farm/text.h"
#include "coordinator/plan/plan.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool check_text(const char *field, const char *text, size_t most, struct error *err)
{
    if (!*text || strlen(text) > most)
        return error_set(err, ERROR_INPUT, "%s: %zu bytes, expected 1 to %zu", field, strlen(text), most);
    return text_is_plain(text) ||
           error_set(err, ERROR_INPUT, "%s: expected UTF-8 text without control characters", field);
}

static bool check_range(const char *field, uint32_t v, uint32_t min, uint32_t max, struct error *err)
{
    return (v >= min && v <= max) ||
           error_set(err, ERROR_INPUT, "%s: %" PRIu32 ", expected %" PRIu32 " to %" PRIu32, field, v, min, max);
}

static bool take_member(const struct intake *in, struct campaign *c, const Shotline__CastMember *m, struct error *err)
{
    struct cast_member *to = &c->cast[c->cast_count];

    if (!plan_id_ok(m->id))
        return error_set(err, ERROR_INPUT, "id: \"%.40s\": expected 1 to %d letters, digits, - or _", m->id,
                         PLAN_MAX_ID);
    for (uint32_t i = 0; i < c->cast_count; i++)
        if (!strcmp(c->cast[i].id, m->id))
            return error_set(err, ERROR_INPUT, "id: \"%s\" is given twice", m->id);
    if (!grammar_kind(in->grammar, m->kind)) {
        struct str known = { 0 };

        for (size_t i = 0; i < in->grammar->kind_count; i++)
            str_printf(&known, "%s%s", i ? ", " : "", in->grammar->kinds[i].name);
        error_set(err, ERROR_INPUT, "kind: \"%.40s\": this farm's pack knows %s", m->kind, str_text(&known));
        str_free(&known);
        return false;
    }
    if (!check_text("phrase", m->phrase, PLAN_MAX_PHRASE, err))
        return false;
    *to = (struct cast_member){ .id = arena_strdup(&c->arena, m->id),
                                .kind = arena_strdup(&c->arena, m->kind),
                                .phrase = arena_strdup(&c->arena, m->phrase) };
    if (m->image) {
        int64_t bytes = (int64_t)m->image->bytes;

        if (!codec_digest(&to->image.digest, &m->image->digest))
            return error_set(err, ERROR_INPUT, "image: its digest is not of 32 bytes");
        if (in->blobs)
            bytes = store_dir_bytes(in->blobs, &to->image.digest);
        if (bytes < 0)
            return error_set(err, ERROR_INPUT, "image: the farm does not have this reference image: upload it first");
        if ((uint64_t)bytes != m->image->bytes)
            return error_set(err, ERROR_INPUT, "image: %" PRIu64 " bytes, and the blob has %" PRId64, m->image->bytes,
                             bytes);
        to->image.bytes = bytes;
        to->has_image = true;
    }
    c->cast_count++;
    return true;
}

static bool take_cast(const struct intake *in, struct campaign *c, Shotline__CastMember *const *cast, size_t count,
                      struct error *err)
{
    if (count > INTAKE_MAX_CAST)
        return error_set(err, ERROR_INPUT, "cast: %zu members, expected at most %d", count, INTAKE_MAX_CAST);
    c->cast = arena_array(&c->arena, struct cast_member, count ? count : 1);
    for (size_t i = 0; i < count; i++)
        if (!take_member(in, c, cast[i], err))
            return error_wrap(err, "cast[%zu]", i);
    return true;
}

struct given_member *intake_members(struct campaign *c)
{
    struct given_member *given = arena_array(&c->arena, struct given_member, c->cast_count ? c->cast_count : 1);

    for (uint32_t i = 0; i < c->cast_count; i++)
        given[i] = (struct given_member){ .id = c->cast[i].id, .kind = c->cast[i].kind, .phrase = c->cast[i].phrase };
    return given;
}

/* The plan that a person wrote, in its canonical form. */
static bool take_plan(const struct intake *in, struct campaign *c, struct video *v, const char *text, struct error *err)
{
    struct plan plan = { 0 };
    struct str canonical = { 0 };
    bool ok = plan_parse(&plan, text, strlen(text), in->grammar, v->duration_ms, err);

    for (size_t i = 0; ok && i < plan.member_count; i++)
        for (uint32_t k = 0; ok && k < c->cast_count; k++)
            if (!strcmp(plan.members[i].id, c->cast[k].id) && strcmp(plan.members[i].kind, c->cast[k].kind))
                ok = error_set(err, ERROR_INPUT, "cast %s: a %s here, and a %s in the campaign", c->cast[k].id,
                               plan.members[i].kind, c->cast[k].kind);
    if (ok) {
        plan_write(&plan, &canonical);
        v->given_plan = arena_strdup(&c->arena, str_text(&canonical));
        v->duration_ms = (uint32_t)plan.duration_ms;
        ok = plan.duration_ms <= INTAKE_LONGEST_MS ||
             error_set(err, ERROR_INPUT, "%" PRId64 " ms long, expected at most %d", plan.duration_ms,
                       INTAKE_LONGEST_MS);
    }
    str_free(&canonical);
    plan_free(&plan);
    return ok || error_wrap(err, "plan");
}

/* The prompt, and whether a plan of this length with this cast can exist at all. */
static bool take_prompt(const struct intake *in, struct campaign *c, struct video *v, const char *prompt,
                        struct error *err)
{
    if (!check_text("prompt", prompt, INTAKE_MAX_PROMPT, err))
        return false;
    if (v->duration_ms < in->grammar->shortest_ms || v->duration_ms > INTAKE_LONGEST_MS)
        return error_set(err, ERROR_INPUT, "duration: %g s, expected %g to %g", v->duration_ms / 1e3,
                         (double)in->grammar->shortest_ms / 1e3, INTAKE_LONGEST_MS / 1e3);
    v->prompt = arena_strdup(&c->arena, prompt);
    struct grammar_walk *walk = grammar_walk_new(in->grammar, intake_members(c), c->cast_count, v->duration_ms, err);
    bool ok = walk != NULL;
    grammar_walk_free(&walk);
    return ok;
}

static bool take_video(const struct intake *in, struct campaign *c, const Shotline__VideoRequest *m, struct error *err)
{
    struct video *v = &c->videos[c->video_count];

    if (!check_text("name", m->name, 100, err))
        return false;
    if (m->name[0] == '.' || strchr(m->name, '/'))
        return error_set(err, ERROR_INPUT, "name: \"%s\" is no file name", m->name);
    for (uint32_t i = 0; i < c->video_count; i++)
        if (!strcmp(c->videos[i].name, m->name))
            return error_set(err, ERROR_INPUT, "name: \"%s\" is given twice", m->name);
    if ((m->width || m->height) && (!check_range("width", m->width, 16, INTAKE_LARGEST_SIZE, err) ||
                                    !check_range("height", m->height, 16, INTAKE_LARGEST_SIZE, err)))
        return false;
    if (m->width % 2 || m->height % 2)
        return error_set(err, ERROR_INPUT, "size: %" PRIu32 "x%" PRIu32 ", expected even numbers", m->width, m->height);
    if (!check_range("fps", m->fps, 0, 120, err) || !check_range("crf", m->crf, 0, 51, err))
        return false;
    if (!m->prompt == !m->plan)
        return error_set(err, ERROR_INPUT, "expected either a prompt or a plan");
    *v = (struct video){ .campaign = c,
                         .number = c->video_count + 1,
                         .name = arena_strdup(&c->arena, m->name),
                         .duration_ms = m->duration_ms,
                         .width = m->width,
                         .height = m->height,
                         .fps = m->fps,
                         .crf = m->crf,
                         .seed = m->seed,
                         .state = WORK_PLANNING };
    if (!(m->plan ? take_plan(in, c, v, m->plan, err) : take_prompt(in, c, v, m->prompt, err)))
        return false;
    c->video_count++;
    return true;
}

static bool take_videos(const struct intake *in, struct campaign *c, Shotline__VideoRequest *const *videos,
                        size_t count, struct error *err)
{
    if (count < 1 || count > INTAKE_MAX_VIDEOS)
        return error_set(err, ERROR_INPUT, "videos: %zu, expected 1 to %d", count, INTAKE_MAX_VIDEOS);
    c->videos = arena_array(&c->arena, struct video, count);
    for (size_t i = 0; i < count; i++)
        if (!take_video(in, c, videos[i], err))
            return error_wrap(err, "videos[%zu]", i);
    return true;
}

/* A manifest in the place of videos; what it holds is looked at when it is compiled. */
static bool take_verification(const struct intake *in, struct campaign *c, const Shotline__Campaign *m,
                              struct error *err)
{
    const Shotline__Verification *from = m->verify;
    struct verification *to = arena_new(&c->arena, struct verification);

    if (m->n_videos || m->n_cast)
        return error_set(err, ERROR_INPUT, "videos or a cast beside a manifest");
    if (!codec_digest(&to->manifest.digest, &from->manifest->digest))
        return error_set(err, ERROR_INPUT, "manifest: its digest is not of 32 bytes");
    to->chosen = arena_copy(&c->arena, from->tasks, from->n_tasks * sizeof *from->tasks);
    to->chosen_count = from->n_tasks;
    size_t size;
    char *text =
        in->manifests ? store_dir_read(in->manifests, &to->manifest.digest, INTAKE_LARGEST_MANIFEST, &size, err) : NULL;
    if (!text && in->blobs)
        return in->manifests ? error_wrap(err, "manifest")
                             : error_set(err, ERROR_INPUT, "manifest: this farm reads none");
    to->manifest.bytes = text ? (int64_t)size : 0;
    c->verification = to;
    c->videos = arena_array(&c->arena, struct video, 1);
    c->videos[c->video_count++] = (struct video){ .campaign = c,
                                                  .number = 1,
                                                  .name = "manifest",
                                                  .given_plan = arena_strdup(&c->arena, text ? text : ""),
                                                  .state = WORK_PLANNING };
    free(text);
    return true;
}

static bool take_campaign(const struct intake *in, struct campaign *c, const Shotline__Campaign *m, struct error *err)
{
    if (!check_text("name", m->name, 100, err))
        return false;
    if (m->token.len != sizeof c->token)
        return error_set(err, ERROR_INPUT, "token: %zu bytes, expected %zu", m->token.len, sizeof c->token);
    if (!check_range("takes", m->takes, 1, TAKES_MOST, err))
        return false;
    if (m->on_gate_failure != SHOTLINE__GATE_POLICY__GATE_KEEP &&
        m->on_gate_failure != SHOTLINE__GATE_POLICY__GATE_FAIL)
        return error_set(err, ERROR_INPUT, "on_gate_failure: %d, expected 1 (keep) or 2 (fail)",
                         (int)m->on_gate_failure);
    if (m->has_steps && !check_range("steps", m->steps, 1, 1000, err))
        return false;
    if (m->has_guidance_scale && !(isfinite(m->guidance_scale) && m->guidance_scale >= 1 && m->guidance_scale <= 100))
        return error_set(err, ERROR_INPUT, "guidance_scale: %g, expected 1 to 100", m->guidance_scale);
    if (m->priority < -100 || m->priority > 100)
        return error_set(err, ERROR_INPUT, "priority: %" PRId32 ", expected -100 to 100", m->priority);
    c->name = arena_strdup(&c->arena, m->name);
    memcpy(c->token, m->token.data, sizeof c->token);
    c->priority = m->priority;
    c->steps = m->has_steps ? m->steps : 0;
    c->guidance_scale = m->has_guidance_scale ? m->guidance_scale : 0;
    c->takes = m->takes;
    c->on_gate_failure = (enum gate_policy)m->on_gate_failure;
    if (m->verify)
        return take_verification(in, c, m, err) || error_wrap(err, "verify");
    return take_cast(in, c, m->cast, m->n_cast, err) && take_videos(in, c, m->videos, m->n_videos, err);
}

struct campaign *intake_campaign(const struct intake *in, const Shotline__Campaign *m, struct error *err)
{
    struct campaign *c = campaign_new();
    struct str packed = { 0 };

    if (!take_campaign(in, c, m, err)) {
        campaign_free(&c);
        return NULL;
    }
    codec_pack(&m->base, &packed);
    c->request = packed.data;
    c->request_bytes = packed.size;
    return c;
}

struct campaign *intake_video(const struct intake *in, const Shotline__VideoRequest *video,
                              Shotline__CastMember *const *cast, size_t cast_count, struct error *err)
{
    struct campaign *c = campaign_new();
    Shotline__VideoRequest *one = (Shotline__VideoRequest *)video;

    c->name = "plan";
    if (!take_cast(in, c, cast, cast_count, err) || !take_videos(in, c, &one, 1, err))
        campaign_free(&c);
    return c;
}

/* standin - does what the agent of a simulated machine is told to: results are a function of the task's key, and so are
 * the states that a long denoising saves on its way. */
#include "tests/sim/machine.h"

#include "common/wire/codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define GIB (INT64_C(1) << 30)

bool task_poisoned(const struct digest *key, enum task_kind kind)
{
    return (kind == TASK_DENOISE || kind == TASK_DECODE) && key->bytes[5] == 77 && key->bytes[6] < 32;
}

/* A tenth of all tasks need more memory than small machines have, half of these even when they are lean. */
static int64_t need_bytes(const struct digest *key, bool lean)
{
    return key->bytes[7] >= 26 ? GIB : lean && key->bytes[7] < 13 ? 3 * GIB : 6 * GIB;
}

uint32_t standin_step(const struct machine *m)
{
    const struct job *j = &m->job;
    const int64_t past_ms = m->w->now_ms - j->began_ms, half_ms = j->busy_ms / 2, steps = j->step_to - j->step_from;
    const int64_t done_ms = past_ms < half_ms                 ? past_ms
                            : past_ms < half_ms + j->hangs_ms ? half_ms
                                                              : past_ms - j->hangs_ms;

    return j->step_from + (uint32_t)(done_ms >= j->busy_ms ? steps : done_ms * steps / j->busy_ms);
}

/* ---- tasks ---- */

static void result_of(const struct job *j, bool spoilt, struct result *r)
{
    struct digest made_of = j->key;

    made_of.bytes[0] ^= spoilt;
    *r = (struct result){ .task = j->task, .attempt = j->attempt, .key = j->key, .busy_ms = j->busy_ms };
    for (enum output_name n = OUTPUT_EMBEDDING; n <= OUTPUT_VIDEO; n++) {
        char text[OUTPUT_ROOM];

        if (!output_required(j->kind, j->role, n))
            continue;
        output_of(&made_of, output_text(n), text, sizeof text);
        snprintf(r->outputs[r->count].name, sizeof r->outputs[r->count].name, "%s", output_text(n));
        r->outputs[r->count].digest = digest_of(text, strlen(text));
        r->outputs[r->count].bytes = (int64_t)strlen(text);
        r->count++;
    }
}

static void finish(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct machine *m = &w->workers->list[who];
    struct result *r = data;

    if (!machine_awake(w, who, token, finish, data))
        return;
    if (!m->job.runs || m->job.task != r->task || m->job.attempt != r->attempt) {
        free(r);
        return;
    }
    m->job.runs = false;
    if (m->job.no_state) {
        agent_failed(m->agent, SHOTLINE__FAILURE_CLASS__FAILURE_WORKER, "the state is not there", machine_ms(m));
    } else if (m->job.wrong_state) {
        agent_failed(m->agent, SHOTLINE__FAILURE_CLASS__FAILURE_INPUT, "the state is of another step", machine_ms(m));
    } else if (m->job.cancelled) {
        agent_failed(m->agent, SHOTLINE__FAILURE_CLASS__FAILURE_CANCELLED, "cancelled", machine_ms(m));
    } else if (task_poisoned(&r->key, m->job.kind)) {
        agent_failed(m->agent, SHOTLINE__FAILURE_CLASS__FAILURE_INPUT, "poisoned", machine_ms(m));
    } else if (m->device_bytes < need_bytes(&r->key, m->job.lean)) {
        fault_count(w, FAULT_TASK);
        agent_failed(m->agent, SHOTLINE__FAILURE_CLASS__FAILURE_MEMORY, "out of device memory", machine_ms(m));
    } else if (fault_strikes(w, FAULT_TASK, 5000)) {
        agent_failed(m->agent, SHOTLINE__FAILURE_CLASS__FAILURE_WORKER, "the disk is full", machine_ms(m));
    } else {
        /* The real runner sends its outputs first; a farm that lost some of them asks for them again. */
        for (size_t i = 0; w->coordinator.up && dice_u64(&w->luck) % 8 && i < r->count; i++) {
            char text[OUTPUT_ROOM];

            output_of(&r->key, r->outputs[i].name, text, sizeof text);
            blobs_upload(w, &r->outputs[i].digest, text);
        }
        machine_keep(m, r);
        agent_done(m->agent, r, machine_ms(m));
    }
    free(r);
    machine_look_after(m);
}

/* ---- states of long tasks ---- */

static void save_now(struct machine *m)
{
    struct job *j = &m->job;
    struct saved *s = &m->saved[m->saved_next++ % SAVED];
    const uint32_t step = standin_step(m);
    char text[OUTPUT_ROOM];

    if (j->kind != TASK_DENOISE || step <= j->step_saved || step >= j->step_to)
        return;
    j->step_saved = step;
    saved_state_of(&j->key, step, text, sizeof text);
    *s = (struct saved){ .digest = digest_of(text, strlen(text)), .key = j->key, .step = step };
    agent_checkpoint(m->agent, step, &s->digest, (int64_t)strlen(text));
}

static void save_again(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct machine *m = &w->workers->list[who];
    const struct job *of = data;

    if (!machine_awake(w, who, token, save_again, data))
        return;
    if (!m->job.runs || m->job.cancelled || m->job.task != of->task || m->job.attempt != of->attempt) {
        free(data);
        return;
    }
    save_now(m);
    world_at(w, w->now_ms + m->job.save_every_ms, save_again, who, token, data);
    machine_look_after(m);
}

static void state_sent(struct world *w, uint32_t who, uint64_t token, void *data)
{
    struct machine *m = &w->workers->list[who];
    const struct saved *s = data;
    char text[OUTPUT_ROOM];

    if (!machine_awake(w, who, token, state_sent, data))
        return;
    saved_state_of(&s->key, s->step, text, sizeof text);
    agent_saved(m->agent, w->coordinator.up && blobs_upload(w, &s->digest, text), machine_ms(m));
    free(data);
    machine_look_after(m);
}

void standin_save(void *context, const struct digest *state)
{
    struct machine *m = context;

    for (uint32_t i = 0; i < SAVED; i++)
        if (digest_equal(&m->saved[i].digest, state)) {
            struct saved *copy = xmalloc(sizeof *copy);

            *copy = m->saved[i];
            world_at(m->w, m->w->now_ms + dice_between(&m->w->luck, 2, 200), state_sent, m->index, m->life, copy);
            return;
        }
    world_break(m->w, "%s: the agent sends a state that was never saved", m->name);
}

/* A state says how many steps it has behind it, and not of which task: false, when nothing good can come from it. */
static bool take_state(struct machine *m, const Shotline__DenoiseTask *d)
{
    struct job *j = &m->job;
    struct digest state;
    char hex[DIGEST_HEX_ROOM];
    uint32_t step;
    int end = 0;

    j->step_from = j->step_saved = d->step_from;
    j->step_to = d->step_to;
    j->role = d->step_to < d->steps ? ROLE_ANCHOR : ROLE_RANGE;
    j->busy_ms = j->busy_ms * (j->step_to - j->step_from) / 4;
    const char *there = d->state && codec_digest(&state, &d->state->digest) ? blobs_text(m->w, &state) : "";
    j->no_state = !there;
    if (!there || sscanf(there, "saved %" SCNu32 " of %n", &step, &end) != 1)
        return true;
    j->wrong_state = step != d->step_from;
    digest_hex(&j->key, hex);
    return !strcmp(there + end, hex);
}

void standin_start(void *context, const Shotline__Lease *lease)
{
    const Shotline__TaskSpec *spec = lease->spec;
    static const int64_t usual_ms[TASK_KINDS] = { 0, 400, 900, 3000, 1500, 1200 };
    struct machine *m = context;
    struct result *r = xcalloc(1, sizeof *r);

    m->job = (struct job){ .runs = true,
                           .task = lease->task,
                           .attempt = lease->attempt,
                           .kind = (enum task_kind)spec->kind,
                           .began_ms = m->w->now_ms };
    m->job.lean = spec->profile == SHOTLINE__PROFILE__PROFILE_LEAN;
    codec_digest(&m->job.key, &spec->key);
    m->job.busy_ms = usual_ms[m->job.kind] * m->slowness * dice_between(&m->w->luck, 60, 140) / 10000;
    m->job.save_every_ms = lease->checkpoint_ms;
    if (fault_strikes(m->w, FAULT_HANG, 2000))
        m->job.hangs_ms = dice_between(&m->w->luck, 30000, 500000);
    const bool spoilt = spec->denoise && !take_state(m, spec->denoise);
    result_of(&m->job, spoilt, r);
    world_at(m->w, m->w->now_ms + m->job.busy_ms + m->job.hangs_ms, finish, m->index, m->life, r);
    if (spec->denoise && m->job.save_every_ms) {
        struct job *copy = xmalloc(sizeof *copy);

        *copy = m->job;
        world_at(m->w, m->w->now_ms + m->job.save_every_ms, save_again, m->index, m->life, copy);
    }
}

void standin_cancel(void *context)
{
    struct machine *m = context;
    struct result *r = xcalloc(1, sizeof *r);

    m->job.cancelled = true;
    r->task = m->job.task;
    r->attempt = m->job.attempt;
    world_at(m->w, m->w->now_ms + 20, finish, m->index, m->life, r);
}

void standin_hand_over(void *context)
{
    save_now(context);
    standin_cancel(context);
}

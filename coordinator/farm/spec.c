#include "coordinator/farm/spec.h"

#include "common/wire/codec.h"

#include <assert.h>

Shotline__Blob *blob_message(const struct blob_ref *b, struct arena *arena)
{
    Shotline__Blob *m = arena_new(arena, Shotline__Blob);

    shotline__blob__init(m);
    m->digest = codec_bytes(&b->digest);
    m->bytes = (uint64_t)b->bytes;
    return m;
}

/* The first input in a slot; NULL: none. */
static Shotline__Blob *input(const struct task *t, enum input_slot slot, struct arena *arena)
{
    for (uint32_t i = 0; i < t->input_count; i++)
        if (t->inputs[i].slot == slot)
            return blob_message(&t->inputs[i].blob, arena);
    return NULL;
}

/* All inputs in a slot, in order. */
static size_t inputs(const struct task *t, enum input_slot slot, Shotline__Blob ***list, struct arena *arena)
{
    size_t count = 0;

    *list = arena_array(arena, Shotline__Blob *, t->input_count + 1);
    for (uint32_t i = 0; i < t->input_count; i++)
        if (t->inputs[i].slot == slot)
            (*list)[count++] = blob_message(&t->inputs[i].blob, arena);
    return count;
}

static Shotline__TextTask *text_spec(const struct task *t, struct arena *arena)
{
    Shotline__TextTask *m = arena_new(arena, Shotline__TextTask);

    shotline__text_task__init(m);
    m->prompt = (char *)t->text.prompt;
    return m;
}

static Shotline__CastTask *cast_spec(const struct task *t, struct arena *arena)
{
    Shotline__CastTask *m = arena_new(arena, Shotline__CastTask);

    shotline__cast_task__init(m);
    m->kind = (char *)t->cast.kind;
    m->image = input(t, INPUT_IMAGE, arena);
    m->text = input(t, INPUT_TEXT, arena);
    m->negative_text = input(t, INPUT_NEGATIVE_TEXT, arena);
    m->seed = t->cast.seed;
    m->width = (uint32_t)t->cast.width;
    m->height = (uint32_t)t->cast.height;
    m->steps = (uint32_t)t->cast.steps;
    m->guidance_scale = t->cast.guidance_scale;
    return m;
}

static Shotline__DenoiseTask *denoise_spec(const struct task *t, struct arena *arena)
{
    const struct denoise_params *p = &t->denoise;
    Shotline__DenoiseTask *m = arena_new(arena, Shotline__DenoiseTask);

    shotline__denoise_task__init(m);
    m->text = input(t, INPUT_TEXT, arena);
    m->negative_text = input(t, INPUT_NEGATIVE_TEXT, arena);
    m->n_identities = inputs(t, INPUT_IDENTITY, &m->identities, arena);
    m->state = input(t, INPUT_STATE, arena);
    m->width = (uint32_t)p->width;
    m->height = (uint32_t)p->height;
    m->latent_frames = (uint32_t)p->latent_frames;
    m->window_first = (uint32_t)p->window_first;
    m->window_count = (uint32_t)p->window_count;
    m->steps = (uint32_t)p->steps;
    m->step_from = (uint32_t)p->step_from;
    m->step_to = (uint32_t)p->step_to;
    m->guidance_scale = p->guidance_scale;
    m->seed = p->seed;
    m->noise_shot = p->noise_shot;
    m->take = p->take;
    if (t->checkpoint_step) { /* an earlier attempt came so far: same key, same bytes in the end */
        m->state = blob_message(&t->checkpoint, arena);
        m->step_from = t->checkpoint_step;
    }
    return m;
}

static Shotline__DecodeTask *decode_spec(const struct task *t, struct arena *arena)
{
    const struct decode_params *p = &t->decode;
    Shotline__DecodeTask *m = arena_new(arena, Shotline__DecodeTask);
    Shotline__Blob **latents;

    shotline__decode_task__init(m);
    m->n_ranges = inputs(t, INPUT_LATENTS, &latents, arena);
    assert(m->n_ranges == p->range_count);
    m->ranges = arena_array(arena, Shotline__DecodeRange *, m->n_ranges + 1);
    for (size_t i = 0; i < m->n_ranges; i++) {
        Shotline__DecodeRange *r = m->ranges[i] = arena_new(arena, Shotline__DecodeRange);

        shotline__decode_range__init(r);
        r->latents = latents[i];
        r->first = (uint32_t)p->ranges[i].first;
        r->count = (uint32_t)p->ranges[i].count;
    }
    m->latent_frames = (uint32_t)p->latent_frames;
    m->width = (uint32_t)p->width;
    m->height = (uint32_t)p->height;
    m->fps = (uint32_t)p->fps;
    m->n_identities = inputs(t, INPUT_IDENTITY, &m->identities, arena);
    return m;
}

static Shotline__StitchTask *stitch_spec(const struct task *t, struct arena *arena)
{
    const struct stitch_params *p = &t->stitch;
    Shotline__StitchTask *m = arena_new(arena, Shotline__StitchTask);
    Shotline__Blob **mezzanines;

    shotline__stitch_task__init(m);
    m->n_shots = inputs(t, INPUT_MEZZANINE, &mezzanines, arena);
    assert(m->n_shots == p->shot_count);
    m->shots = arena_array(arena, Shotline__StitchShot *, m->n_shots + 1);
    for (size_t i = 0; i < m->n_shots; i++) {
        Shotline__StitchShot *s = m->shots[i] = arena_new(arena, Shotline__StitchShot);

        shotline__stitch_shot__init(s);
        s->mezzanine = mezzanines[i];
        s->frames = (uint32_t)p->shots[i].frames;
        s->transition = (char *)p->shots[i].transition;
        s->transition_frames = (uint32_t)p->shots[i].transition_frames;
    }
    m->width = (uint32_t)p->width;
    m->height = (uint32_t)p->height;
    m->fps_in = (uint32_t)p->fps_in;
    m->fps_out = (uint32_t)p->fps_out;
    m->frames = (uint32_t)p->frames;
    m->crf = (uint32_t)p->crf;
    return m;
}

Shotline__TaskSpec *task_spec(const struct task *t, const struct digest *pack, struct arena *arena)
{
    Shotline__TaskSpec *m = arena_new(arena, Shotline__TaskSpec);

    shotline__task_spec__init(m);
    m->kind = (Shotline__TaskKind)t->kind;
    m->key = codec_bytes(&t->key);
    m->pack = codec_bytes(pack);
    m->numerics = SHOTLINE__NUMERICS__NUMERICS_EXACT;
    m->has_profile = t->profile != PROFILE_USUAL;
    m->profile = (Shotline__Profile)t->profile;
    switch (t->kind) {
    case TASK_TEXT:
        m->text = text_spec(t, arena);
        break;
    case TASK_CAST:
        m->cast = cast_spec(t, arena);
        break;
    case TASK_DENOISE:
        m->denoise = denoise_spec(t, arena);
        break;
    case TASK_DECODE:
        m->decode = decode_spec(t, arena);
        break;
    case TASK_STITCH:
        m->stitch = stitch_spec(t, arena);
        break;
    }
    return m;
}

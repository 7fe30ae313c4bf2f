/* manifest_read - see manifest.h: a manifest as a record of tasks, whoever it comes from. */
#include "coordinator/core/manifest.h"

#include "common/base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANIFEST_FORMAT 1
#define MOST_TASKS      100000
#define MOST_INPUTS     10000

static struct digest read_digest(struct json_reader *r, const json_t *object, const char *key)
{
    struct digest d = { { 0 } };
    const char *hex = json_text(r, object, key);

    if (!r->failed && !digest_from_hex(&d, hex))
        json_fail(r, key, "expected 64 hex digits, found \"%.70s\"", hex);
    return d;
}

static void read_inputs(struct json_reader *r, struct manifest *m, struct manifest_task *t, const json_t *object)
{
    const json_t *list = json_list(r, object, "inputs");
    size_t count = json_array_size(list);

    if (count > MOST_INPUTS) {
        json_fail(r, "inputs", "%zu of them, expected at most %d", count, MOST_INPUTS);
        return;
    }
    t->inputs = arena_array(&m->arena, struct manifest_ref, count + 1);
    for (; !r->failed && t->input_count < count; t->input_count++) {
        struct manifest_ref *in = &t->inputs[t->input_count];
        const json_t *o = json_array_get(list, t->input_count);
        const char *slot = json_text(r, o, "slot");

        if (!r->failed && !input_slot_from_text(&in->slot, slot))
            json_fail(r, "slot", "no task has an input \"%.40s\"", slot);
        in->digest = read_digest(r, o, "digest");
    }
}

static void read_outputs(struct json_reader *r, struct manifest_task *t, const json_t *object)
{
    json_t *group = (json_t *)json_group(r, object, "outputs"), *o;
    const char *name;

    if (r->failed)
        return;
    json_object_foreach(group, name, o)
    {
        struct task_output *to = &t->outputs[t->output_count];

        if (t->output_count == TASK_MAX_OUTPUTS || !output_from_text(&to->name, name) ||
            !output_allowed(t->kind, t->role, to->name)) {
            json_fail(r, "outputs", "\"%.40s\" does not belong to a %s task", name, task_kind_name(t->kind));
            return;
        }
        to->blob.digest = read_digest(r, o, "digest");
        to->blob.bytes = json_int(r, o, "bytes", 0, INT64_MAX);
        t->output_count++;
    }
    for (enum output_name n = OUTPUT_EMBEDDING; n <= OUTPUT_VIDEO; n++) {
        bool there = !output_required(t->kind, t->role, n);

        for (uint32_t i = 0; i < t->output_count; i++)
            there = there || t->outputs[i].name == n;
        if (!there)
            json_fail(r, "outputs", "\"%s\" is missing", output_text(n));
    }
}

static void read_task(struct json_reader *r, struct manifest *m, struct manifest_task *t, const json_t *o)
{
    const char *kind = json_text(r, o, "kind"), *role = json_text_or(r, o, "role", "");

    if (!r->failed && !task_kind_from_text(&t->kind, kind))
        json_fail(r, "kind", "no task is called \"%.40s\"", kind);
    if (!r->failed && !task_role_from_text(&t->role, role))
        json_fail(r, "role", "no task has the role \"%.40s\"", role);
    t->shot = (uint32_t)json_int_or(r, o, "shot", 0, UINT32_MAX, 0);
    t->key = read_digest(r, o, "key");
    t->params = json_group(r, o, "params");
    read_inputs(r, m, t, o);
    read_outputs(r, t, o);
    if (r->failed)
        return;
    char *params = json_canonical(t->params);
    struct hash h = key_begin(kind, &m->keys, params, t->input_count);

    free(params);
    for (size_t i = 0; i < t->input_count; i++)
        key_input(&h, input_slot_name(t->inputs[i].slot), &t->inputs[i].digest);
    t->real_key = hash_end(&h);
}

static void read_tasks(struct json_reader *r, struct manifest *m)
{
    const json_t *list = json_list(r, m->json, "tasks");
    const char *where = r->where;
    size_t count = json_array_size(list);

    if (!r->failed && (count < 1 || count > MOST_TASKS))
        json_fail(r, "tasks", "%zu of them, expected 1 to %d", count, MOST_TASKS);
    if (r->failed)
        return;
    m->tasks = arena_array(&m->arena, struct manifest_task, count);
    for (; !r->failed && m->task_count < count; m->task_count++) {
        char place[160];

        snprintf(place, sizeof place, "%.100s: tasks[%zu]", where, m->task_count);
        r->where = place;
        read_task(r, m, &m->tasks[m->task_count], json_array_get(list, m->task_count));
        r->where = where;
    }
}

bool manifest_read(struct manifest *m, const char *text, size_t size, const char *where, struct error *err)
{
    struct json_reader r = { .where = where, .err = err };

    *m = (struct manifest){ .json = json_parse(text, size, where, err) };
    if (!m->json)
        return false;
    json_int(&r, m->json, "manifest", MANIFEST_FORMAT, MANIFEST_FORMAT);
    m->name = json_text(&r, m->json, "name");
    m->video_digest = read_digest(&r, m->json, "video_digest");
    const char *numerics = json_text(&r, m->json, "numerics");
    if (!r.failed && strcmp(numerics, "exact"))
        json_fail(&r, "numerics", "expected \"exact\", found \"%.40s\"", numerics);
    m->keys.version = (uint32_t)json_int(&r, m->json, "kernel_set", 0, UINT32_MAX);
    const json_t *pack = json_group(&r, m->json, "pack");
    m->pack_name = json_text(&r, pack, "name");
    m->keys.pack = read_digest(&r, pack, "digest");
    read_tasks(&r, m);
    if (r.failed)
        manifest_free(m);
    return !r.failed;
}

void manifest_free(struct manifest *m)
{
    json_decref(m->json);
    arena_free(&m->arena);
    *m = (struct manifest){ 0 };
}

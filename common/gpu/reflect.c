/* reflect - reads from SPIR-V what a kernel binds: so that a dispatch is checked against the shader and not against a
 * second list. */
#include "common/gpu/kernel.h"

#include "common/base/arena.h"

#include <stdlib.h>

enum { /* the few numbers of the SPIR-V specification that matter here */
       SPIRV_MAGIC = 0x07230203,
       OP_TYPE_IMAGE = 25,
       OP_TYPE_POINTER = 32,
       OP_VARIABLE = 59,
       OP_DECORATE = 71,
       OP_MEMBER_DECORATE = 72,
       DECORATION_SPEC_ID = 1,
       DECORATION_NON_WRITABLE = 24,
       DECORATION_NON_READABLE = 25,
       DECORATION_BINDING = 33,
       DECORATION_OFFSET = 35,
       STORAGE_UNIFORM_CONSTANT = 0,
       STORAGE_PUSH_CONSTANT = 9,
       STORAGE_STORAGE_BUFFER = 12,
};

struct id {
    int binding; /* -1: none */
    bool non_writable, non_readable;
    bool image;
    uint32_t pointee;
    uint32_t members_end; /* highest member offset + 4: every push constant is one word */
};

static void decorate(struct id *id, uint32_t decoration, uint32_t literal, bool member, struct kernel_layout *l)
{
    if (decoration == DECORATION_BINDING)
        id->binding = (int)literal;
    else if (decoration == DECORATION_NON_WRITABLE)
        id->non_writable = true;
    else if (decoration == DECORATION_NON_READABLE)
        id->non_readable = true;
    else if (decoration == DECORATION_OFFSET && member && literal + 4 > id->members_end)
        id->members_end = literal + 4;
    else if (decoration == DECORATION_SPEC_ID && (int)literal + 1 > l->specs)
        l->specs = (int)literal + 1;
}

static bool variable(const struct id *ids, uint32_t pointer, const struct id *var, uint32_t storage,
                     struct kernel_layout *l)
{
    const struct id *type = &ids[ids[pointer].pointee];
    if (storage == STORAGE_PUSH_CONSTANT)
        l->push_bytes = (int)type->members_end;
    if (storage != STORAGE_STORAGE_BUFFER && storage != STORAGE_UNIFORM_CONSTANT)
        return true;
    if (var->binding < 0 || var->binding >= KERNEL_MAX_BINDINGS)
        return false;
    if (storage == STORAGE_UNIFORM_CONSTANT && !type->image)
        return false;
    int b = var->binding;
    l->kind[b] = storage == STORAGE_STORAGE_BUFFER ? BINDING_STORAGE : BINDING_TEXELS;
    l->writes[b] = l->kind[b] == BINDING_STORAGE && !var->non_writable && !type->non_writable;
    l->reads[b] = l->kind[b] == BINDING_TEXELS || (!var->non_readable && !type->non_readable);
    if (b + 1 > l->bindings)
        l->bindings = b + 1;
    return true;
}

static bool walk(struct kernel_layout *l, struct id *ids, uint32_t bound, const uint32_t *words, size_t count)
{
    for (size_t at = 5; at < count;) {
        const uint32_t *w = &words[at];
        uint32_t op = w[0] & 0xffff, length = w[0] >> 16;
        if (length == 0 || length > count - at)
            return false;
        at += length;
        if (length < 3 || w[1] >= bound)
            continue;
        if (op == OP_DECORATE)
            decorate(&ids[w[1]], w[2], length > 3 ? w[3] : 0, false, l);
        else if (op == OP_MEMBER_DECORATE && length > 3)
            decorate(&ids[w[1]], w[3], length > 4 ? w[4] : 0, true, l);
        else if (op == OP_TYPE_IMAGE)
            ids[w[1]].image = true;
        else if (op == OP_TYPE_POINTER && length > 3)
            ids[w[1]].pointee = w[3] < bound ? w[3] : 0;
        else if (op == OP_VARIABLE && length > 3 && (w[2] >= bound || !variable(ids, w[1], &ids[w[2]], w[3], l)))
            return false;
    }
    return true;
}

bool kernel_reflect(struct kernel_layout *l, const uint32_t *words, size_t count, struct error *err)
{
    *l = (struct kernel_layout){ 0 };
    if (count < 5 || words[0] != SPIRV_MAGIC || words[3] > (1u << 22))
        return error_set(err, ERROR_INTERNAL, "not a SPIR-V module of %zu words", count);
    uint32_t bound = words[3];
    struct id *ids = xcalloc(bound, sizeof *ids);
    for (uint32_t i = 0; i < bound; i++)
        ids[i].binding = -1;
    bool ok = walk(l, ids, bound, words, count) && l->specs <= KERNEL_MAX_SPECS;
    free(ids);
    return ok || error_set(err, ERROR_INTERNAL, "SPIR-V module with a binding or constant beyond what kernel.h allows");
}

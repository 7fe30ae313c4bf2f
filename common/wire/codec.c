/* codec - see codec.h. A protobuf-c allocator over an arena, with a ceiling: a small message must not unfold into
 * gigabytes of empty records. */
#include "common/wire/codec.h"

#include "common/wire/endpoint.h"

#include <inttypes.h>
#include <string.h>

#define CODEC_MAX_DECODED (32u << 20)

struct bounded_arena {
    struct arena *arena;
    size_t left;
};

static void *bounded_alloc(void *context, size_t bytes)
{
    struct bounded_arena *b = context;

    if (bytes > b->left)
        return NULL; /* protobuf-c then gives the message up */
    b->left -= bytes;
    return arena_alloc(b->arena, bytes > 0 ? bytes : 1);
}

static void bounded_free(void *context, void *p)
{
    (void)context;
    (void)p; /* goes with the arena */
}

struct str_buffer {
    ProtobufCBuffer base;
    struct str *to;
};

static void str_buffer_append(ProtobufCBuffer *b, size_t size, const uint8_t *data)
{
    if (size > 0)
        str_append_bytes(((struct str_buffer *)b)->to, data, size);
}

void codec_pack(const ProtobufCMessage *m, struct str *to)
{
    str_clear(to);
    codec_add(m, to);
}

void codec_add(const ProtobufCMessage *m, struct str *to)
{
    struct str_buffer b = { .base = { .append = str_buffer_append }, .to = to };

    protobuf_c_message_pack_to_buffer(m, &b.base);
}

void *codec_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t size, struct arena *arena,
                   struct error *err)
{
    struct bounded_arena bounded = { .arena = arena, .left = CODEC_MAX_DECODED };
    ProtobufCAllocator allocator = { .alloc = bounded_alloc, .free = bounded_free, .allocator_data = &bounded };
    ProtobufCMessage *m;

    if (size > WIRE_MAX_MESSAGE) {
        error_set(err, ERROR_INPUT, "%s of %zu bytes: at most %u are allowed", type->short_name, size,
                  WIRE_MAX_MESSAGE);
        return NULL;
    }
    m = protobuf_c_message_unpack(type, &allocator, size, data);
    if (!m)
        error_set(err, ERROR_INPUT, "%zu bytes that are no valid %s", size, type->short_name);
    return m;
}

bool codec_digest(struct digest *d, const ProtobufCBinaryData *bytes)
{
    if (bytes->len != DIGEST_BYTES || !bytes->data)
        return false;
    memcpy(d->bytes, bytes->data, DIGEST_BYTES);
    return true;
}

ProtobufCBinaryData codec_bytes(const struct digest *d)
{
    return (ProtobufCBinaryData){ .len = DIGEST_BYTES, .data = (uint8_t *)d->bytes };
}

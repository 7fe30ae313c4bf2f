/* codec - protobuf-c messages to bytes and back, into an arena, within limits. */
#ifndef SHOTLINE_WIRE_CODEC_H
#define SHOTLINE_WIRE_CODEC_H

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/str.h"

#include <protobuf-c/protobuf-c.h>

/* Appends the packed message to *to (cleared first). */
void codec_pack(const ProtobufCMessage *m, struct str *to);
/* Appends it to another message of its type, which then says both: parts that both have must be scalars (of these the
 * last counts) or lists. */
void codec_add(const ProtobufCMessage *m, struct str *to);

/* Decodes into `arena`; NULL with *err when the bytes are not a valid message of this type. Every `bytes digest` field
 * is checked by its user. */
void *codec_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t size, struct arena *arena,
                   struct error *err);

/* A 32-byte bytes field as a digest; false when its size differs. */
bool codec_digest(struct digest *d, const ProtobufCBinaryData *bytes);
/* Borrowed: points into *d. */
ProtobufCBinaryData codec_bytes(const struct digest *d);

#endif

/* rope - rotates pairs of a head's elements; an invocation owns one pair, or, with TEXEL, the four pairs of two texels. */
#version 460
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require
#define PUSH_rope
#include "common/nn/exact_math.h"
#include "shaders/push.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const int LANES = 64;
layout(constant_id = 1) const int HALF = 0; /* 0: (2i, 2i + 1) rotate together; 1: (i, i + half) */

#ifdef TEXEL
#include "shaders/lib/wide.glsl"
layout(binding = 0) uniform textureBuffer x;
layout(binding = 1) uniform textureBuffer cosine;
layout(binding = 2) uniform textureBuffer sine;
layout(binding = 3) writeonly buffer Y { u64vec2 y[]; };
#else
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer C { float cosine[]; };
layout(binding = 2) readonly buffer S { float sine[]; };
layout(binding = 3) writeonly buffer Y { float y[]; };
#endif

float first(float a, float b, float c, float s)
{
    precise float u = a * c;
    precise float w = b * s;
    precise float r = u - w;
    return x_snap(r);
}

float second(float a, float b, float c, float s)
{
    precise float u = a * s;
    precise float w = b * c;
    precise float r = u + w;
    return x_snap(r);
}

void main()
{
    int i = int(gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * LANES + int(gl_LocalInvocationID.x);
#ifdef TEXEL
    int n = p.half_dim >> 2; /* steps per head */
#else
    int n = p.half_dim;
#endif
    int total = p.rows * p.heads * n;
    int e = min(i, total - 1);
    int block = e / n; /* row * heads + head */
    int j = e - block * n;
    int table = block / p.heads * n + j;
#ifdef TEXEL
    vec4 c = texelFetch(cosine, table), s = texelFetch(sine, table);
    int a_at = HALF != 0 ? block * 2 * n + j : block * 2 * n + 2 * j;
    int b_at = HALF != 0 ? a_at + n : a_at + 1;
    vec4 a = texelFetch(x, a_at), b = texelFetch(x, b_at);
    vec4 ra, rb;
    if (HALF != 0) {
        ra = vec4(first(a.x, b.x, c.x, s.x), first(a.y, b.y, c.y, s.y), first(a.z, b.z, c.z, s.z), first(a.w, b.w, c.w, s.w));
        rb = vec4(second(a.x, b.x, c.x, s.x), second(a.y, b.y, c.y, s.y), second(a.z, b.z, c.z, s.z),
                  second(a.w, b.w, c.w, s.w));
    } else {
        ra = vec4(first(a.x, a.y, c.x, s.x), second(a.x, a.y, c.x, s.x), first(a.z, a.w, c.y, s.y), second(a.z, a.w, c.y, s.y));
        rb = vec4(first(b.x, b.y, c.z, s.z), second(b.x, b.y, c.z, s.z), first(b.z, b.w, c.w, s.w), second(b.z, b.w, c.w, s.w));
    }
#else
    float c = cosine[table], s = sine[table];
    int a_at = HALF != 0 ? block * 2 * n + j : block * 2 * n + 2 * j;
    int b_at = HALF != 0 ? a_at + n : a_at + 1;
    float a = x[a_at], b = x[b_at];
    float ra = first(a, b, c, s), rb = second(a, b, c, s);
#endif
    if (i < total) {
#ifdef TEXEL
        y[a_at] = wide4(ra);
        y[b_at] = wide4(rb);
#else
        y[a_at] = ra;
        y[b_at] = rb;
#endif
    }
}

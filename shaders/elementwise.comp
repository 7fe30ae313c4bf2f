/* elementwise - one result per element: sums, products, activations, modulation. A lane keeps its columns and walks down ITEMS rows, so that what is one
 * row for all (a bias, a gate) is fetched once and no index is divided. */
#version 460
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require
#define PUSH_elementwise
#include "common/nn/exact_math.h"
#include "shaders/push.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const int LANES = 16;
layout(constant_id = 1) const int ITEMS = 16;
layout(constant_id = 2) const int OP = 0;  /* enum op_kind, see exec_vk.c */
layout(constant_id = 3) const int ACT = 0; /* enum activation */

const int ADD = 0, MUL = 1, SCALE = 2, ACTIVATE = 3, CLAMP = 4, MODULATE = 5, GATE_ADD = 6;

#ifdef TEXEL
#include "shaders/lib/wide.glsl"
#define VEC vec4
layout(binding = 0) uniform textureBuffer a_texels;
layout(binding = 1) uniform textureBuffer b_texels;
layout(binding = 2) uniform textureBuffer c_texels;
layout(binding = 3) writeonly buffer Y { u64vec2 y[]; };
#define a_at(i) texelFetch(a_texels, i)
#define b_at(i) texelFetch(b_texels, i)
#define c_at(i) texelFetch(c_texels, i)
#else
#define VEC float
layout(binding = 0) readonly buffer A { float a_data[]; };
layout(binding = 1) readonly buffer B { float b_data[]; };
layout(binding = 2) readonly buffer C { float c_data[]; };
layout(binding = 3) writeonly buffer Y { float y[]; };
#define a_at(i) a_data[i]
#define b_at(i) b_data[i]
#define c_at(i) c_data[i]
#endif

float element(float a, float b, float c)
{
    precise float r = a;
    if (OP == ADD)
        r = a + b;
    else if (OP == MUL)
        r = a * b;
    else if (OP == SCALE)
        r = a * p.f0;
    else if (OP == ACTIVATE)
        r = ACT == 1 ? x_gelu(a) : ACT == 2 ? x_silu(a) : a;
    else if (OP == CLAMP)
        r = a < p.f0 ? p.f0 : (a > p.f1 ? p.f1 : a);
    else if (OP == MODULATE) {
        precise float s = 1.0 + b;
        r = x_mac(c, a, s);
    } else if (OP == GATE_ADD)
        r = x_mac(a, b, c);
    return x_snap(r);
}

void main()
{
    int col = int(gl_WorkGroupID.x) * LANES + int(gl_LocalInvocationID.x);
    int row0 = int(gl_WorkGroupID.y) * ITEMS;
    int row1 = min(row0 + ITEMS, p.rows);
    bool two = OP == ADD || OP == MUL || OP == MODULATE || OP == GATE_ADD;
    bool three = OP == MODULATE || OP == GATE_ADD;
    int column = min(col, p.cols - 1);
    VEC b = VEC(0.0), c = VEC(0.0);
    if (two)
        b = b_at(column);
    if (three)
        c = c_at(column);
    for (int row = row0; row < row1; row++) {
        int i = row * p.cols + col;
        int in_range = min(i, p.count - 1);
        VEC a = a_at(in_range);
        if (two && p.b_stride != 0)
            b = b_at(in_range);
        if (three && p.c_stride != 0)
            c = c_at(in_range);
#ifdef TEXEL
        vec4 r = vec4(element(a.x, b.x, c.x), element(a.y, b.y, c.y), element(a.z, b.z, c.z), element(a.w, b.w, c.w));
#else
        float r = element(a, b, c);
#endif
        if (col < p.cols && i < p.count)
#ifdef TEXEL
            y[i] = wide4(r);
#else
            y[i] = r;
#endif
    }
}
